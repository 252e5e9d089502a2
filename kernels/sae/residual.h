/* residual.h - from the active entries of a batch: reconstruction, residual, loss, and the gradient at every entry.
 *
 *   x^_b = sum_f z_bf W_dec[f] + b_dec,  r_b = x^_b - x_b,  loss_b = |r_b|^2,  G_b = (2/B) r_b = d mean_b loss_b / d x^_b
 *   g_bf = G_b . W_dec[f]                                            sampled at the kept entries only
 *   z, dpre, dtheta of an entry, its penalty                        activation.h
 * Tests: tests/test_step.c (against residual_ref, finite differences of the smoothed objective, and PyTorch). */
#ifndef SAEMILL_RESIDUAL_H
#define SAEMILL_RESIDUAL_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/sae/activation.h"
#include "kernels/sae/encode.h"

/* What a row adds to the step's losses. */
struct sae_row_sums {
    double loss;    /* |x^ - x|^2 */
    double penalty; /* without lambda */
    uint32_t l0;    /* entries with z != 0 */
};

/*   x       [B,D] f32   normalised rows
 *   W_dec   [F,D] f32   rows of unit norm (F: how many a back end copies, where it does)
 *   b_dec   [D]   f32
 *   theta   [F]   f32   0 for an activation without thresholds
 *   a             entries by row, those above activation_bound
 *   G       [B,D] f32   out
 *   z, dpre, dtheta [entries] f32   out, in the order of a
 *   sums    [B]         out
 * Threads: rows are independent; same bytes for any thread count. */
void residual_ref(size_t B, size_t D, size_t F, const float *x, const float *W_dec, const float *b_dec,
                  const float *theta, const struct activation *act, const struct active *a, float *G, float *z,
                  float *dpre, float *dtheta, struct sae_row_sums *sums);
void residual_cpu(size_t B, size_t D, size_t F, const float *x, const float *W_dec, const float *b_dec,
                  const float *theta, const struct activation *act, const struct active *a, float *G, float *z,
                  float *dpre, float *dtheta, struct sae_row_sums *sums);

#endif
