/* latents.c - see latents.h. */
#include "lib/sae/latents.h"

int latents_open(struct latents *l, const struct sae *sae, const struct safetensors *file, const char *path,
                 const char *site, const char *backend, struct err *e) {
    const int64_t shape[] = {ST_ANY, (int64_t)sae->D};
    *l = (struct latents){.path = path, .site = site, .D = sae->D};
    int rc = safetensors_get(file, site, -1, 2, shape, &l->rows, e);
    if (rc == ERR_SHAPE) err_hint(e, "the SAE is %zu wide: give the site it was trained on", sae->D);
    if (rc) return rc;
    enum safetensors_dtype type = l->rows->dtype;
    l->N = (size_t)l->rows->shape[0];
    if (type != ST_BF16 && type != ST_F16 && type != ST_F32)
        return err_set(e, ERR_SHAPE, "%s: %s: want BF16, F16 or F32, got %s", path, site, safetensors_dtype_name(type));
    if (!l->N) return err_set(e, ERR_SHAPE, "%s: %s: want rows, got none", path, site);
    rc = encoder_open(&l->encoder, sae, backend, LATENTS_BATCH, e);
    l->x = l->encoder.x, l->active = &l->encoder.active;
    return rc;
}

int latents_load(struct latents *l, size_t first, size_t B, struct err *e) {
    size_t D = l->D, bad = SIZE_MAX;
    CHECK(B <= LATENTS_BATCH && first + B <= l->N);
    int rc = safetensors_to_f32(l->rows, first * D, B * D, l->x, e);
    if (rc) return rc;
#pragma omp parallel for schedule(static) reduction(min : bad)
    for (size_t b = 0; b < B; b++) {
        float sum = 0;
        for (size_t d = 0; d < D; d++) sum += l->x[b * D + d] - l->x[b * D + d]; /* 0 unless a value is NaN or Inf */
        if (!(sum == 0) && b < bad) bad = b;
    }
    if (bad == SIZE_MAX) return 0;
    err_set(e, ERR_NUMERIC, "%s: %s: row %zu: want finite numbers, got NaN or Inf", l->path, l->site, first + bad);
    return err_hint(e, "collect the activations again");
}

int latents_read(struct latents *l, size_t first, size_t B, struct err *e) {
    int rc = latents_load(l, first, B, e);
    return rc ? rc : encoder_run(&l->encoder, B, e);
}

void latents_close(struct latents *l) {
    encoder_close(&l->encoder);
    *l = (struct latents){0};
}
