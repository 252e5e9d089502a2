/* sae.c - see sae.h. */
#include "lib/sae/sae.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

int sae_init(struct sae *s, enum sae_arch arch, size_t D, size_t F, struct err *e) {
    return sae_init_in(s, &memory_host, arch, D, F, e);
}

int sae_init_in(struct sae *s, const struct memory *from, enum sae_arch arch, size_t D, size_t F, struct err *e) {
    *s = (struct sae){.arch = arch, .D = D, .F = F};
    size_t n, need = SIZE_MAX;
    if (!D || !F)
        return err_set(e, ERR_RANGE, "sae: want at least one dimension and one feature, got D %zu, F %zu", D, F);
    if (size_product(D, F, 2 * sizeof(float), &n) && n < SIZE_MAX / 4)
        need = 2 * arena_need(D * F, sizeof(float)) + 2 * arena_need(F, sizeof(float)) + arena_need(D, sizeof(float));
    int rc = arena_init_in(&s->memory, from, need, "sae: parameters", e);
    if (rc) return rc;
    s->W_enc = arena_take(&s->memory, D * F, sizeof(float));
    s->W_dec = arena_take(&s->memory, D * F, sizeof(float));
    s->b_enc = arena_take(&s->memory, F, sizeof(float));
    s->b_dec = arena_take(&s->memory, D, sizeof(float));
    s->theta = arena_take(&s->memory, F, sizeof(float));
    return 0;
}

void sae_free(struct sae *s) {
    arena_free(&s->memory);
    *s = (struct sae){0};
}

void sae_copy(const struct sae *from, struct sae *to) {
    const size_t D = from->D, F = from->F;
    CHECK(to->D == D && to->F == F);
    to->arch = from->arch;
    memcpy(to->W_enc, from->W_enc, D * F * sizeof(float));
    memcpy(to->W_dec, from->W_dec, D * F * sizeof(float));
    memcpy(to->b_enc, from->b_enc, F * sizeof(float));
    memcpy(to->b_dec, from->b_dec, D * sizeof(float));
    memcpy(to->theta, from->theta, F * sizeof(float));
}

void sae_decode_row(const struct sae *s, size_t n, const unsigned *feat, const float *z, float *out) {
    memcpy(out, s->b_dec, s->D * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        const float *w = s->W_dec + (size_t)feat[i] * s->D;
        float zi = z[i];
#pragma omp simd
        for (size_t d = 0; d < s->D; d++) out[d] += zi * w[d];
    }
}

int sae_fold(struct sae *s, double scale) {
    if (!(scale > 0) || !isfinite(scale) || !isfinite(1 / scale)) return ERR_RANGE;
    double C = 1 / scale;
    for (size_t f = 0; f < s->F; f++) {
        double sum = s->b_enc[f];
        for (size_t d = 0; d < s->D; d++) sum -= (double)s->W_enc[f * s->D + d] * (double)s->b_dec[d];
        s->b_enc[f] = (float)(C * sum);
        s->theta[f] = (float)(C * (double)s->theta[f]);
    }
    for (size_t d = 0; d < s->D; d++) s->b_dec[d] = (float)(C * (double)s->b_dec[d]);
    return 0;
}

size_t sae_clamp_theta(struct sae *s) {
    size_t n = 0;
    for (size_t f = 0; f < s->F; f++)
        if (s->theta[f] < 0) s->theta[f] = 0, n++;
    return n;
}
