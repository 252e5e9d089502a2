/* dense.c - see dense.h. Parallel over fixed blocks of rows or of features; sums run in row order. */
#include "kernels/sae/dense.h"

#include "kernels/base/isa.h"

enum { COLUMNS = 256 };

ISA_INLINE void activate_known(const struct activation act, size_t F, const float *restrict pre,
                               const float *restrict theta, float *restrict z, struct sae_row_sums *sums,
                               uint32_t *near) {
    uint32_t n = 0, k = 0;
    double s = 0;
#pragma omp simd reduction(+ : n, k, s)
    for (size_t f = 0; f < F; f++) {
        z[f] = activation_value(pre[f], theta[f]);
        n += z[f] != 0;
        s += activation_penalty(&act, z[f]);
        k += pre[f] > activation_bound(&act, theta[f]);
    }
    sums->l0 = n, sums->penalty = s, *near = k;
}
ISA_INLINE void activate_row_body(const struct activation *act, size_t F, const float *pre, const float *theta,
                                  float *z, struct sae_row_sums *sums, uint32_t *near){
    ACTIVATION_KNOWN(*act, activate_known, F, pre, theta, z, sums,
                     near)} ISA_FUNCTION(static, void, activate_row,
                                         (const struct activation *act, size_t F, const float *pre, const float *theta,
                                          float *z, struct sae_row_sums *sums, uint32_t *near),
                                         (act, F, pre, theta, z, sums, near))

    void dense_activate(size_t n, size_t F, const float *pre, const float *theta, const struct activation *act,
                        float *z, struct sae_row_sums *sums, uint32_t *near) {
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < n; b++) activate_row(act, F, pre + b * F, theta, z + b * F, &sums[b], &near[b]);
}

ISA_INLINE void gradient_known(const struct activation act, size_t n, const float *restrict pre,
                               const float *restrict theta, float *restrict g, float *restrict g_b,
                               float *restrict g_theta, uint32_t *restrict fired) {
    for (size_t f = 0; f < n; f++) {
        float dpre, dtheta;
        activation_gradient(&act, pre[f], theta[f], g[f], &dpre, &dtheta);
        g[f] = dpre;
        g_b[f] += dpre, g_theta[f] += dtheta;
        fired[f] += pre[f] > theta[f];
    }
}
ISA_INLINE void gradient_row_body(const struct activation *act, size_t n, const float *pre, const float *theta,
                                  float *g, float *g_b, float *g_theta, uint32_t *fired){
    ACTIVATION_KNOWN(*act, gradient_known, n, pre, theta, g, g_b, g_theta,
                     fired)} ISA_FUNCTION(static, void, gradient_row,
                                          (const struct activation *act, size_t n, const float *pre, const float *theta,
                                           float *g, float *g_b, float *g_theta, uint32_t *fired),
                                          (act, n, pre, theta, g, g_b, g_theta, fired))

    void dense_gradient(size_t n, size_t F, const float *pre, const float *theta, const struct activation *act,
                        float *g, float *g_b, float *g_theta, uint32_t *fired) {
#pragma omp parallel for schedule(static)
    for (size_t f = 0; f < F; f += COLUMNS)
        for (size_t b = 0; b < n; b++)
            gradient_row(act, F - f < COLUMNS ? F - f : COLUMNS, pre + b * F + f, theta + f, g + b * F + f, g_b + f,
                         g_theta + f, fired + f);
}

ISA_INLINE double residual_row_body(size_t D, float two_over_B, const float *restrict x, const float *restrict b_dec,
                                    float *restrict r) {
    double s = 0;
#pragma omp simd reduction(+ : s)
    for (size_t d = 0; d < D; d++) {
        float v = r[d] + b_dec[d] - x[d];
        s += (double)v * (double)v;
        r[d] = two_over_B * v;
    }
    return s;
}
ISA_FUNCTION(static, double, residual_row,
             (size_t D, float two_over_B, const float *restrict x, const float *restrict b_dec, float *restrict r),
             (D, two_over_B, x, b_dec, r))

void dense_residual(size_t n, size_t B, size_t D, const float *x, const float *b_dec, float *r,
                    struct sae_row_sums *sums) {
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < n; b++) sums[b].loss = residual_row(D, 2.0f / (float)B, x + b * D, b_dec, r + b * D);
}
