/* residual.h - from the active entries of a batch: reconstructions, residuals, loss, and the gradient at every entry.
 *
 *   x^_vb = sum_{f in view v} z_bf W_dec[f] + b_dec,  r_vb = x^_vb - x_b,  loss_b = sum_v weight_v |r_vb|^2          (view.h)
 *   G_vb = (2/B) weight_v r_vb = d mean_b loss_b / d x^_vb
 *   g_bf = sum_{v sees f} G_vb . W_dec[f]                            sampled at the kept entries only
 *   z, dpre, dtheta of an entry, its penalty                        activation.h
 * Tests: tests/test_step.c (against residual_ref, finite differences of the smoothed objective, and PyTorch). */
#ifndef SAEMILL_RESIDUAL_H
#define SAEMILL_RESIDUAL_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/sae/activation.h"
#include "kernels/sae/encode.h"
#include "kernels/sae/view.h"

/* What a row adds to the step's losses. */
struct sae_row_sums {
    double loss;    /* of all views */
    double penalty; /* without lambda */
    uint32_t l0;    /* entries with z != 0 */
};

struct residual {
    size_t B, D, F;
    struct activation act;
    struct sae_views views;
    struct active a;    /* entries by row, those above activation_bound; read only */
    const float *x;     /* [B,D] normalised rows */
    const float *W_dec; /* [F,D] rows of unit norm */
    const float *b_dec; /* [D] */
    const float *theta; /* [F] 0 for an activation without thresholds */
    float *G;           /* [V*B,D] out, view after view */
    float *z;           /* [entries] out, in the order of a, as the next two */
    float *dpre, *dtheta;
    struct sae_row_sums *sums; /* [B] out */
};

/* Threads: rows are independent; same bytes for any thread count. On a device started only; V*D floats must fit the shared memory of
 * a block (the 227 KB of an H200: D 7168 at 8 views). */
void residual_ref(const struct residual *r);
void residual_cpu(const struct residual *r);

#endif
