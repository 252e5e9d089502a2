/* lse.h - the sum of exponentials of rows that come piece by piece (logits of a vocabulary in tiles).
 *
 *   log sum_n e^x[m,n] = top[m] + log(sum[m])     running maximum and rescaled sum: Milakov and Gimelshein 2018, alg. 3
 * Tests: tests/test_lm_kernels.c */
#ifndef SAEMILL_LSE_H
#define SAEMILL_LSE_H

#include <stddef.h>

/* Add N further columns to M rows.
 *   x    [M,N] f32, rows ldx apart; read only
 *   top  [M] f32, largest element so far; -Inf before the first piece
 *   sum  [M] f64, sum so far of e^(x - top); 0 before the first piece
 * Edge: NaN or +Inf in a row makes its sum NaN; a row of -Inf alone too. A row's result depends on that row and on
 * where it is cut into pieces. Single-threaded: disjoint rows may run at once. */
void lse_ref(size_t M, size_t N, const float *x, size_t ldx, float *top, double *sum);
void lse_cpu(size_t M, size_t N, const float *x, size_t ldx, float *top, double *sum);

#endif
