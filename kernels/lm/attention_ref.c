/* attention_ref.c - see attention.h. */
#include "kernels/lm/attention.h"

#include <math.h>

/* Row i of head h. p [T] holds the scores, then the unnormalised probabilities. */
static void row(const struct attention *a, size_t h, size_t i, float *out, double *p) {
    size_t g = h / (a->H / a->G);
    const float *q = a->q + i * a->ld + h * a->Dh;
    double top = -INFINITY, sum = 0;
    for (size_t j = 0; j <= i; j++) {
        const float *k = a->k + j * a->ld + g * a->Dh;
        p[j] = 0;
        for (size_t d = 0; d < a->Dh; d++) p[j] += (double)q[d] * (double)k[d];
        p[j] *= (double)a->scale;
        if (p[j] > top) top = p[j];
    }
    for (size_t j = 0; j <= i; j++) sum += p[j] = exp(p[j] - top);
    for (size_t d = 0; d < a->Dh; d++) {
        double s = 0;
        for (size_t j = 0; j <= i; j++) s += p[j] * (double)a->v[j * a->ld + g * a->Dh + d];
        out[d] = (float)(s / sum);
    }
}

void attention_ref(const struct attention *a, float *out, size_t ldo, void *work) {
    for (size_t h = 0; h < a->H; h++)
        for (size_t i = 0; i < a->T; i++) row(a, h, i, out + i * ldo + h * a->Dh, work);
}
