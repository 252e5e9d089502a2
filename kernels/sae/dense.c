/* dense.c - see dense.h. Parallel over fixed blocks of rows or of features; sums run in row order. */
#include "kernels/sae/dense.h"

#include "kernels/base/isa.h"

enum { COLUMNS = 256 };

ISA_INLINE void activate_jump_body(size_t F, const float *restrict pre, const float *restrict theta, float half,
                                   float *restrict z, uint32_t *l0, uint32_t *near) {
    uint32_t n = 0, k = 0;
#pragma omp simd reduction(+ : n, k)
    for (size_t f = 0; f < F; f++) {
        z[f] = pre[f] > theta[f] ? pre[f] : 0;
        n += z[f] != 0;
        k += pre[f] > theta[f] - half;
    }
    *l0 = n, *near = k;
}
ISA_FUNCTION(static, void, activate_jump,
             (size_t F, const float *restrict pre, const float *restrict theta, float half, float *restrict z,
              uint32_t *l0, uint32_t *near),
             (F, pre, theta, half, z, l0, near))

ISA_INLINE double activate_relu_body(size_t F, const float *restrict pre, float *restrict z, uint32_t *l0) {
    uint32_t n = 0;
    double s = 0;
#pragma omp simd reduction(+ : n, s)
    for (size_t f = 0; f < F; f++) {
        z[f] = pre[f] > 0 ? pre[f] : 0;
        n += z[f] != 0;
        s += (double)z[f];
    }
    *l0 = n;
    return s;
}
ISA_FUNCTION(static, double, activate_relu, (size_t F, const float *restrict pre, float *restrict z, uint32_t *l0),
             (F, pre, z, l0))

void dense_activate(size_t n, size_t F, const float *pre, const float *theta, const struct sae_rule *rule, float *z,
                    struct sae_row_sums *sums, uint32_t *near) {
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < n; b++) {
        if (rule->jump) {
            activate_jump(F, pre + b * F, theta, 0.5f * rule->epsilon, z + b * F, &sums[b].l0, &near[b]);
            sums[b].penalty = sums[b].l0;
        } else {
            sums[b].penalty = activate_relu(F, pre + b * F, z + b * F, &sums[b].l0);
            near[b] = sums[b].l0;
        }
    }
}

ISA_INLINE void gradient_jump_body(size_t n, const float *restrict pre, const float *restrict theta, float half,
                                   float epsilon, float lambda, float *restrict g, float *restrict g_b,
                                   float *restrict g_theta, uint32_t *restrict fired) {
    for (size_t f = 0; f < n; f++) {
        float u = pre[f] - theta[f], t = theta[f] * g[f] + lambda;
        g_theta[f] += u < half && u > -half ? -t / epsilon : 0;
        g[f] = u > 0 ? g[f] : 0;
        g_b[f] += g[f];
        fired[f] += u > 0;
    }
}
ISA_FUNCTION(static, void, gradient_jump,
             (size_t n, const float *restrict pre, const float *restrict theta, float half, float epsilon, float lambda,
              float *restrict g, float *restrict g_b, float *restrict g_theta, uint32_t *restrict fired),
             (n, pre, theta, half, epsilon, lambda, g, g_b, g_theta, fired))

ISA_INLINE void gradient_relu_body(size_t n, const float *restrict pre, float lambda, float *restrict g,
                                   float *restrict g_b, uint32_t *restrict fired) {
    for (size_t f = 0; f < n; f++) {
        g[f] = pre[f] > 0 ? g[f] + lambda : 0;
        g_b[f] += g[f];
        fired[f] += pre[f] > 0;
    }
}
ISA_FUNCTION(static, void, gradient_relu,
             (size_t n, const float *restrict pre, float lambda, float *restrict g, float *restrict g_b,
              uint32_t *restrict fired),
             (n, pre, lambda, g, g_b, fired))

void dense_gradient(size_t n, size_t B, size_t F, const float *pre, const float *theta, const struct sae_rule *rule,
                    float *g, float *g_b, float *g_theta, uint32_t *fired) {
    const float lambda = rule->lambda / (float)B;
#pragma omp parallel for schedule(static)
    for (size_t f = 0; f < F; f += COLUMNS) {
        size_t w = F - f < COLUMNS ? F - f : COLUMNS;
        for (size_t b = 0; b < n; b++) {
            size_t i = b * F + f;
            if (rule->jump)
                gradient_jump(w, pre + i, theta + f, 0.5f * rule->epsilon, rule->epsilon, lambda, g + i, g_b + f,
                              g_theta + f, fired + f);
            else
                gradient_relu(w, pre + i, lambda, g + i, g_b + f, fired + f);
        }
    }
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
