/* dense.c - see dense.h. Parallel over fixed blocks of rows or of features; sums run in row order. */
#include "kernels/sae/dense.h"

#include "kernels/base/isa.h"

enum { COLUMNS = 256 };

/* Row b. */
ISA_INLINE void activate_known(const struct activation act, const struct dense *d, size_t b) {
    const float *restrict pre = d->pre + b * d->F, *restrict theta = d->theta;
    float *restrict z = d->z + b * d->F;
    uint32_t l0 = 0, kept = 0;
    double penalty = 0;
#pragma omp simd reduction(+ : l0, kept, penalty)
    for (size_t f = 0; f < d->F; f++) {
        z[f] = activation_value(pre[f], theta[f]);
        l0 += z[f] != 0;
        penalty += activation_penalty(&act, z[f]);
        kept += pre[f] > activation_bound(&act, theta[f]);
    }
    d->sums[b] = (struct sae_row_sums){.penalty = penalty, .l0 = l0};
    d->kept[b] = kept;
}

ISA_INLINE void activate_row_body(const struct dense *d, size_t b) { ACTIVATION_KNOWN(d->act, activate_known, d, b); }
ISA_FUNCTION(static, void, activate_row, (const struct dense *d, size_t b), (d, b))

void dense_activate(const struct dense *d) {
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < d->n; b++) activate_row(d, b);
}

/* Row b, columns f0 … f0+n-1. */
ISA_INLINE void gradient_known(const struct activation act, const struct dense *d, size_t b, size_t f0, size_t n) {
    const float *restrict pre = d->pre + b * d->F + f0, *restrict theta = d->theta + f0;
    float *restrict g = d->g + b * d->F + f0, *restrict g_b = d->g_b + f0, *restrict g_theta = d->g_theta + f0;
    uint32_t *restrict fired = d->fired + f0;
#pragma omp simd
    for (size_t f = 0; f < n; f++) {
        float dpre, dtheta;
        activation_gradient(&act, pre[f], theta[f], g[f], &dpre, &dtheta);
        g[f] = dpre;
        g_b[f] += dpre, g_theta[f] += dtheta;
        fired[f] += pre[f] > theta[f];
    }
}

ISA_INLINE void gradient_row_body(const struct dense *d, size_t b, size_t f0, size_t n) {
    ACTIVATION_KNOWN(d->act, gradient_known, d, b, f0, n);
}
ISA_FUNCTION(static, void, gradient_row, (const struct dense *d, size_t b, size_t f0, size_t n), (d, b, f0, n))

void dense_gradient(const struct dense *d) {
#pragma omp parallel for schedule(static)
    for (size_t f = 0; f < d->F; f += COLUMNS)
        for (size_t b = 0; b < d->n; b++) gradient_row(d, b, f, d->F - f < COLUMNS ? d->F - f : COLUMNS);
}

ISA_INLINE double residual_row_body(size_t D, float scale, const float *restrict x, const float *restrict b_dec,
                                    float *restrict r) {
    double s = 0;
#pragma omp simd reduction(+ : s)
    for (size_t d = 0; d < D; d++) {
        float v = r[d] + b_dec[d] - x[d];
        s += (double)v * (double)v;
        r[d] = scale * v;
    }
    return s;
}
ISA_FUNCTION(static, double, residual_row,
             (size_t D, float scale, const float *restrict x, const float *restrict b_dec, float *restrict r),
             (D, scale, x, b_dec, r))

void dense_residual(const struct dense *d, size_t B, size_t D, const struct sae_view *v, const float *x,
                    const float *b_dec, float *r) {
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < d->n; b++)
        d->sums[b].loss += (double)v->weight * residual_row(D, view_scale(v, B), x + b * D, b_dec, r + b * D);
}
