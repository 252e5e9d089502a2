/* residual_ref.c - the definition; see residual.h. */
#include "kernels/sae/residual.h"

void residual_ref(size_t B, size_t D, size_t F, const float *x, const float *W_dec, const float *b_dec,
                  const float *theta, const struct activation *act, const struct active *a, float *G, float *z,
                  float *dpre, float *dtheta, struct sae_row_sums *sums) {
    (void)F;
    for (size_t b = 0; b < B; b++) {
        struct sae_row_sums s = {0};
        for (size_t i = a->row[b]; i < a->row[b + 1]; i++) {
            z[i] = activation_value(a->pre[i], theta[a->feat[i]]);
            s.l0 += z[i] != 0;
            s.penalty += activation_penalty(act, z[i]);
        }
        for (size_t d = 0; d < D; d++) {
            double r = (double)b_dec[d] - (double)x[b * D + d];
            for (size_t i = a->row[b]; i < a->row[b + 1]; i++) r += (double)z[i] * (double)W_dec[a->feat[i] * D + d];
            s.loss += r * r;
            G[b * D + d] = (float)(2.0 / (double)B * r);
        }
        for (size_t i = a->row[b]; i < a->row[b + 1]; i++) {
            double g = 0;
            for (size_t d = 0; d < D; d++) g += (double)G[b * D + d] * (double)W_dec[a->feat[i] * D + d];
            activation_gradient(act, a->pre[i], theta[a->feat[i]], (float)g, &dpre[i], &dtheta[i]);
        }
        sums[b] = s;
    }
}
