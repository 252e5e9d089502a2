/* rope.h - rotary position embedding, in place.
 *
 *   x'[i] = x[i] cos - x[i+h] sin,  x'[i+h] = x[i+h] cos + x[i] sin,   h = Dh/2, i < h, angle = position * frequency[i]
 * Su et al. 2021, "RoFormer", eq. 34, with the halves paired as in Hugging Face's rotate_half.
 * Tests: tests/test_lm_kernels.c */
#ifndef SAEMILL_ROPE_H
#define SAEMILL_ROPE_H

#include <stddef.h>

/* The table of one model: row t holds the cosines, then the sines of position t, computed in double.
 *   n_pos      positions 0 .. n_pos-1
 *   h          frequencies, half a head's width
 *   frequency  [h] radians per position
 *   table      [n_pos, 2h] f32; overwritten */
void rope_table(size_t n_pos, size_t h, const double *frequency, float *table);

/* Rotate consecutive positions 0 .. T-1 of one sequence.
 *   T, H, Dh  positions, heads, width of a head (even)
 *   x         [T, H*Dh] f32, rows ldx apart; changed in place
 *   table     of rope_table with h = Dh/2 and at least T positions
 * Single-threaded: disjoint sequences may run at once. */
void rope_ref(size_t T, size_t H, size_t Dh, float *x, size_t ldx, const float *table);
void rope_cpu(size_t T, size_t H, size_t Dh, float *x, size_t ldx, const float *table);

#endif
