/* residual_cpu.c - see residual.h. A row's decoder rows are read twice in a row, so the second time from cache. */
#include "kernels/sae/residual.h"

#include "kernels/base/isa.h"

ISA_INLINE void add_scaled_body(size_t D, float s, const float *restrict w, float *restrict r) {
    for (size_t d = 0; d < D; d++) r[d] += s * w[d];
}
ISA_FUNCTION(static, void, add_scaled, (size_t D, float s, const float *restrict w, float *restrict r), (D, s, w, r))

ISA_INLINE float dot_body(size_t D, const float *restrict v, const float *restrict w) {
    float s = 0;
#pragma omp simd reduction(+ : s)
    for (size_t d = 0; d < D; d++) s += v[d] * w[d];
    return s;
}
ISA_FUNCTION(static, float, dot, (size_t D, const float *restrict v, const float *restrict w), (D, v, w))

/* Returns |r|^2 and turns r into (2/B) r. */
ISA_INLINE double square_and_scale_body(size_t D, float two_over_B, float *restrict r) {
    double s = 0;
#pragma omp simd reduction(+ : s)
    for (size_t d = 0; d < D; d++) {
        s += (double)r[d] * (double)r[d];
        r[d] *= two_over_B;
    }
    return s;
}
ISA_FUNCTION(static, double, square_and_scale, (size_t D, float two_over_B, float *restrict r), (D, two_over_B, r))

void residual_cpu(size_t B, size_t D, size_t F, const float *x, const float *W_dec, const float *b_dec,
                  const float *theta, const struct activation *act, const struct active *a, float *G, float *z,
                  float *dpre, float *dtheta, struct sae_row_sums *sums) {
    (void)F;
#pragma omp parallel for schedule(dynamic, 16)
    for (size_t b = 0; b < B; b++) {
        struct sae_row_sums s = {0};
        float *r = G + b * D;
        for (size_t d = 0; d < D; d++) r[d] = b_dec[d] - x[b * D + d];
        for (size_t i = a->row[b]; i < a->row[b + 1]; i++) {
            z[i] = activation_value(a->pre[i], theta[a->feat[i]]);
            if (z[i] == 0) continue;
            s.l0++;
            s.penalty += activation_penalty(act, z[i]);
            add_scaled(D, z[i], W_dec + a->feat[i] * D, r);
        }
        s.loss = square_and_scale(D, 2.0f / (float)B, r);
        for (size_t i = a->row[b]; i < a->row[b + 1]; i++)
            activation_gradient(act, a->pre[i], theta[a->feat[i]], dot(D, r, W_dec + a->feat[i] * D), &dpre[i],
                                &dtheta[i]);
        sums[b] = s;
    }
}
