/* select.h - pick the entries above a bound, in order.
 *   for j in 0..n-1: if v[j] > low[j]: append (base + j, v[j])
 * AVX-512 compress where the processor has it, else plain C; the result is the same. Tests: tests/test_encode.c */
#ifndef SAEMILL_SELECT_H
#define SAEMILL_SELECT_H

#include <stddef.h>
#include <stdint.h>

/*   v     [n] f32      low [n] f32      read only; NaN in either is not above
 *   base      added to the index
 *   feat  [n] u32, pre [n] f32          room for n each
 * Returns how many were appended. */
size_t select_above(size_t n, const float *v, const float *low, uint32_t base, uint32_t *feat, float *pre);

#endif
