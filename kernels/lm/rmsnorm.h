/* rmsnorm.h - root mean square layer normalisation.
 *
 *   y[m,d] = x[m,d] / sqrt(mean_d x[m,d]^2 + eps) * w[d]                    Zhang and Sennrich 2019, eq. 4
 * Tests: tests/test_lm_kernels.c */
#ifndef SAEMILL_RMSNORM_H
#define SAEMILL_RMSNORM_H

#include <stddef.h>

/*   M, D  rows and width; D > 0
 *   x     [M,D] f32, row-major; read only
 *   w     [D] f32
 *   eps   added to the mean square, >= 0
 *   y     [M,D] f32; overwritten; may be x itself
 * Edge: a row of zeros with eps 0 gives NaN, as the formula does. A row's result depends on that row alone.
 * Single-threaded: disjoint rows may run at once. */
void rmsnorm_ref(size_t M, size_t D, const float *x, const float *w, float eps, float *y);
void rmsnorm_cpu(size_t M, size_t D, const float *x, const float *w, float eps, float *y);

#endif
