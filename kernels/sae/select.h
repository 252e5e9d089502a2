/* select.h - pick the numbers above a bound, in order.
 *   for j in 0..n-1: if v[j] > low: append (base + j, v[j])
 * AVX-512 compress where the processor has it, else plain C; the result is the same. Tests: tests/test_encode.c */
#ifndef SAEMILL_SELECT_H
#define SAEMILL_SELECT_H

#include <stddef.h>
#include <stdint.h>

/*   v      [n] f32   read only
 *   low              NaN in it or in v is not above
 *   base             added to the index
 *   index  [n] u32, value [n] f32   room for n each; what lies beyond the appended is spoiled
 * Returns how many were appended. */
size_t select_above(size_t n, const float *v, float low, uint32_t base, uint32_t *index, float *value);

#endif
