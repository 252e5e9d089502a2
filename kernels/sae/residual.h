/* residual.h - from the active entries of a batch: reconstruction, residual, loss, and the gradient at every entry.
 *
 *   x^_b = sum_f z_bf W_dec[f] + b_dec,  r_b = x^_b - x_b,  loss_b = |r_b|^2,  G_b = (2/B) r_b = d mean_b loss_b / d x^_b
 *   g_bf = G_b . W_dec[f]                                            sampled at the kept entries only
 *   JumpReLU  z = pre [pre > theta],  dpre = g [pre > theta],  dtheta = -(1/eps) [|pre - theta| < eps/2] (theta g + lambda/B)
 *             (Rajamanoharan et al. 2024, eq. 11 and 12; the L0 penalty's pseudo-derivative acts on the pre-activation)
 *   ReLU      z = max(pre, 0),        dpre = (g + lambda/B) [pre > 0]                for lambda sum_f z_f |W_dec[f]|, |W_dec[f]| = 1
 * Tests: tests/test_step.c (against residual_ref, finite differences of the smoothed objective, and PyTorch). */
#ifndef SAEMILL_RESIDUAL_H
#define SAEMILL_RESIDUAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/sae/encode.h"
#include "kernels/base/inline.h"

/* The activation and its penalty. */
struct sae_rule {
    bool jump; /* JumpReLU with the L0 penalty; else ReLU with the decoder-weighted L1 penalty */
    float
        epsilon; /* bandwidth of the straight-through kernel, in units of the normalised pre-activation; JumpReLU only */
    float lambda; /* sparsity coefficient of this step */
};

/* What a row adds to the step's losses. */
struct sae_row_sums {
    double loss;    /* |x^ - x|^2 */
    double penalty; /* JumpReLU: L0; ReLU: sum_f z_f */
    uint32_t l0;    /* entries with z != 0 */
};

/*   x       [B,D] f32   normalised rows
 *   W_dec   [F,D] f32   rows of unit norm (F: how many a back end copies, where it does)
 *   b_dec   [D]   f32
 *   theta   [F]   f32   not read for ReLU
 *   a             entries by row; for JumpReLU those above theta - eps/2, for ReLU those above 0
 *   G       [B,D] f32   out
 *   z, dpre, dtheta [entries] f32   out, in the order of a
 *   sums    [B]         out
 * Threads: rows are independent; same bytes for any thread count. */
void residual_ref(size_t B, size_t D, size_t F, const float *x, const float *W_dec, const float *b_dec,
                  const float *theta, const struct sae_rule *rule, const struct active *a, float *G, float *z,
                  float *dpre, float *dtheta, struct sae_row_sums *sums);
void residual_cpu(size_t B, size_t D, size_t F, const float *x, const float *W_dec, const float *b_dec,
                  const float *theta, const struct sae_rule *rule, const struct active *a, float *G, float *z,
                  float *dpre, float *dtheta, struct sae_row_sums *sums);

/* The gradient at one entry, given g; shared by every path so that the formula stands once. */
SHARED_INLINE void residual_entry(const struct sae_rule *rule, float per_row_lambda, float pre, float theta, float g,
                                  float *dpre, float *dtheta) {
    if (rule->jump) {
        float u = pre - theta, half = 0.5f * rule->epsilon;
        *dpre = u > 0 ? g : 0;
        *dtheta = u < half && u > -half ? -(theta * g + per_row_lambda) / rule->epsilon : 0;
    } else {
        *dpre = pre > 0 ? g + per_row_lambda : 0;
        *dtheta = 0;
    }
}

#endif
