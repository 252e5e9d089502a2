/* dense.h - the elementwise parts of the dense path, used while too many features are active for the sparse one.
 * Blocks of n rows; the products between them are gemm's. Formulas: residual.h, activation.h. Tests: tests/test_step.c */
#ifndef SAEMILL_DENSE_H
#define SAEMILL_DENSE_H

#include "kernels/sae/residual.h"

/* A block of rows. */
struct dense {
    size_t n, F;
    struct activation act;
    const float *theta;        /* [F] */
    float *pre, *z, *g;        /* [n,F] pre-activations; activations; gradients with respect to z, then to pre */
    float *g_b, *g_theta;      /* [F] column sums of dpre and dtheta, added to what is there */
    uint32_t *fired;           /* [F] rows in which the feature is active, added to what is there */
    struct sae_row_sums *sums; /* [n] */
    uint32_t *kept;            /* [n] entries the sparse path would keep, those above activation_bound */
};

/* z, sums (loss 0) and kept of pre. */
void dense_activate(const struct dense *d);

/* A view: r [n,D] holds sum_f z W_dec: r := (2/B) weight (r + b_dec - x), B rows in the whole batch; its loss is added to sums. */
void dense_residual(const struct dense *d, size_t B, size_t D, const struct sae_view *v, const float *x,
                    const float *b_dec, float *r);

/* g := dpre; the column sums. */
void dense_gradient(const struct dense *d);

#endif
