/* dense.h - the elementwise parts of the dense path, used while too many features are active for the sparse one.
 * Row blocks of n rows; the products between them are gemm's. Formulas: residual.h, activation.h. Tests: tests/test_step.c */
#ifndef SAEMILL_DENSE_H
#define SAEMILL_DENSE_H

#include "kernels/sae/residual.h"

/* z := activation(pre); counts.
 *   pre   [n,F] f32  read only        z [n,F] f32  out
 *   theta [F]   f32  read only
 *   sums  [n]        l0 and penalty set, loss left as it is
 *   near  [n]   u32  out: entries the sparse path would keep, those above activation_bound */
void dense_activate(size_t n, size_t F, const float *pre, const float *theta, const struct activation *act, float *z,
                    struct sae_row_sums *sums, uint32_t *near);

/* g [n,F] := dpre in place; column sums added to what is there.
 *   g_b, g_theta [F] f32, fired [F] u32     added to */
void dense_gradient(size_t n, size_t F, const float *pre, const float *theta, const struct activation *act, float *g,
                    float *g_b, float *g_theta, uint32_t *fired);

/* r [n,D] holds sum_f z W_dec: r := (2/B)(r + b_dec - x); sums[].loss set. */
void dense_residual(size_t n, size_t B, size_t D, const float *x, const float *b_dec, float *r,
                    struct sae_row_sums *sums);

#endif
