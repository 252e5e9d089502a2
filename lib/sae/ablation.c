/* ablation.c - see ablation.h. */
#include "lib/sae/ablation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/rng.h"

enum { STREAM_NOISE = 0x61626c74 };

/* The active entries as a full matrix [R,F]. */
static void spread(const struct active *a, size_t R, size_t F, float *z) {
    memset(z, 0, R * F * sizeof *z);
    for (size_t r = 0; r < R; r++)
        for (size_t i = a->row[r]; i < a->row[r + 1]; i++) z[r * F + a->feat[i]] = a->pre[i];
}

int ablation_start(struct encoder *n, size_t R, struct ablation_base *b, struct err *e) {
    const size_t D = n->sae.D, F = n->sae.F;
    const struct active *a = &n->active;
    *b = (struct ablation_base){R, D, F, NULL, NULL, NULL};
    b->z = mem_array(R, F * sizeof *b->z, "ablation: latents", e);
    b->before = b->z ? mem_array(R, F * sizeof *b->before, "ablation: latents", e) : NULL;
    b->x_hat = b->before ? mem_array(R, D * sizeof *b->x_hat, "ablation: reconstructions", e) : NULL;
    if (!b->x_hat) return ERR_MEMORY;
    int rc = encoder_run(n, R, e);
    if (rc) return rc;
    spread(a, R, F, b->z);
    for (size_t r = 0; r < R; r++)
        sae_decode_row(&n->sae, a->row[r + 1] - a->row[r], a->feat + a->row[r], a->pre + a->row[r], b->x_hat + r * D);
    memcpy(n->x, b->x_hat, R * D * sizeof *n->x);
    rc = encoder_run(n, R, e);
    if (!rc) spread(a, R, F, b->before);
    return rc;
}

void ablation_base_free(struct ablation_base *b) {
    free(b->z), free(b->before), free(b->x_hat);
    *b = (struct ablation_base){0};
}

/* n->x := y; fills cosine, mse, own. */
static void intervene(struct encoder *n, const struct ablation_base *b, size_t f, enum ablate_how how, double sigma,
                      uint64_t seed, struct ablation *out) {
    const size_t D = b->D;
    const float *w = n->sae.W_dec + f * D;
    for (size_t r = 0; r < b->R; r++) {
        const float *x = b->x_hat + r * D;
        double change = how == ABLATE_CLAMP ? -(double)b->z[r * b->F + f] : sigma * rng_normal(seed, STREAM_NOISE, r),
               xx = 0, yy = 0, xy = 0;
        for (size_t d = 0; d < D; d++) {
            double y = (double)x[d] + change * (double)w[d];
            n->x[r * D + d] = (float)y;
            xx += (double)x[d] * (double)x[d], yy += y * y, xy += (double)x[d] * y;
            out->mse += change * (double)w[d] * change * (double)w[d];
        }
        out->own += fabs(change) / (double)b->R;
        out->cosine += xy / (sqrt(xx) * sqrt(yy)) / (double)b->R;
    }
    out->mse /= (double)b->R * (double)D;
}

static void compare(const struct ablation_base *b, struct ablation *out) {
    const size_t F = b->F;
    float top = 0;
    for (size_t i = 0; i < b->R * F; i++) top = fmaxf(top, b->before[i]);
    const double tolerance = ABLATE_TOLERANCE * (double)top;
    for (size_t f = 0; f < F; f++) {
        int moved = 0, on = 0;
        double sum = 0;
        for (size_t r = 0; r < b->R; r++) {
            double was = b->before[r * F + f], now = out->after[r * F + f], d = fabs(now - was);
            sum += d, moved |= d > tolerance, on |= was > 0 || now > 0;
        }
        out->difference[f] = sum / (double)b->R;
        out->changed += (size_t)moved, out->active += (size_t)on;
    }
}

int ablation_feature(struct encoder *n, const struct ablation_base *b, size_t f, enum ablate_how how, double sigma,
                     uint64_t seed, struct ablation *out, struct err *e) {
    CHECK(f < b->F && b->R <= n->batch);
    *out = (struct ablation){0};
    out->after = mem_array(b->R, b->F * sizeof *out->after, "ablation: latents", e);
    out->difference = out->after ? mem_array(b->F, sizeof *out->difference, "ablation: differences", e) : NULL;
    if (!out->difference) return ERR_MEMORY;
    intervene(n, b, f, how, sigma, seed, out);
    int rc = encoder_run(n, b->R, e);
    if (rc) return rc;
    spread(&n->active, b->R, b->F, out->after);
    compare(b, out);
    return 0;
}

void ablation_free(struct ablation *a) {
    free(a->after), free(a->difference);
    *a = (struct ablation){0};
}
