/* layernorm.h - layer normalisation.
 *
 *   y[m,d] = (x[m,d] - mu) / sqrt(v + eps) * w[d] + b[d],   mu = mean_d x[m,d],   v = mean_d (x[m,d] - mu)^2
 * Ba, Kiros and Hinton 2016, eq. 4; eps as in torch.nn.LayerNorm.
 * Tests: tests/test_lm_kernels.c */
#ifndef SAEMILL_LAYERNORM_H
#define SAEMILL_LAYERNORM_H

#include <stddef.h>

/*   M, D  rows and width; D > 0
 *   x     [M,D] f32, row-major; read only
 *   w, b  [D] f32; each may be NULL, for ones and zeros
 *   eps   added to the variance, >= 0
 *   y     [M,D] f32; overwritten; may be x itself
 * Edge: a row of equal numbers gives b; with eps 0 it gives NaN, as the formula does. A row's result depends on that
 * row alone. Single-threaded: disjoint rows may run at once. */
void layernorm_ref(size_t M, size_t D, const float *x, const float *w, const float *b, float eps, float *y);
void layernorm_cpu(size_t M, size_t D, const float *x, const float *w, const float *b, float eps, float *y);

#endif
