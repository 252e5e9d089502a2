/* encode_ref.c - the definition; see encode.h. */
#include "kernels/sae/encode.h"

int encode_ref(size_t B, size_t D, size_t F, const float *x, const float *W_enc, const float *b_enc, const float *low,
               struct active *a) {
    size_t n = 0;
    for (size_t b = 0; b < B; b++) {
        a->row[b] = n;
        for (size_t f = 0; f < F; f++) {
            double s = b_enc[f];
            for (size_t d = 0; d < D; d++) s += (double)x[b * D + d] * (double)W_enc[f * D + d];
            if (!((float)s > low[f])) continue;
            if (n < a->cap) a->feat[n] = (uint32_t)f, a->pre[n] = (float)s;
            n++;
        }
    }
    a->row[B] = a->n = n;
    return n > a->cap ? ERR_RANGE : 0;
}
