/* latents.c - see latents.h. */
#include "lib/sae/latents.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/arena.h"

enum { ACTIVE_PER_ROW = 128 };

int latents_open(struct latents *l, const struct sae *sae, const struct st *file, const char *path, const char *site,
                 const char *backend, struct err *e) {
    const int64_t shape[] = {ST_ANY, (int64_t)sae->D};
    *l = (struct latents){.sae = sae, .path = path, .site = site, .k = sae_kernels_get(backend)};
    CHECK(l->k);
    int rc = st_get(file, site, -1, 2, shape, &l->rows, e);
    if (rc == ERR_SHAPE) err_hint(e, "the SAE is %zu wide: give the site it was trained on", sae->D);
    if (rc) return rc;
    enum st_dtype type = l->rows->dtype;
    l->N = (size_t)l->rows->shape[0];
    if (type != ST_BF16 && type != ST_F16 && type != ST_F32)
        return err_set(e, ERR_SHAPE, "%s: %s: want BF16, F16 or F32, got %s", path, site, st_dtype_name(type));
    if (!l->N) return err_set(e, ERR_SHAPE, "%s: %s: want rows, got none", path, site);
    l->x = mem_array((size_t)LATENTS_BATCH * sae->D, sizeof *l->x, "rows to encode", e);
    return l->x ? active_init(&l->active, LATENTS_BATCH, (size_t)LATENTS_BATCH * ACTIVE_PER_ROW, e) : ERR_MEMORY;
}

static int load(struct latents *l, size_t first, size_t B, struct err *e) {
    size_t D = l->sae->D;
    int rc = st_to_f32(l->rows, first * D, B * D, l->x, e);
    for (size_t t = 0; !rc && t < B * D; t++)
        if (!isfinite(l->x[t])) {
            rc = err_set(e, ERR_NUMERIC, "%s: %s: row %zu: want finite numbers, got NaN or Inf", l->path, l->site,
                         first + t / D);
            err_hint(e, "collect the activations again");
        }
    return rc;
}

int latents_read(struct latents *l, size_t first, size_t B, struct err *e) {
    const struct sae *a = l->sae;
    CHECK(B <= LATENTS_BATCH && first + B <= l->N);
    int rc = load(l, first, B, e);
    if (rc) return rc;
    rc = l->k->encode(B, a->D, a->F, l->x, a->W_enc, a->b_enc, a->theta, &l->active);
    if (rc == ERR_RANGE) { /* more entries than there is room for: make it and encode again */
        size_t cap = l->active.row[B] + l->active.row[B] / 4;
        active_free(&l->active);
        if ((rc = active_init(&l->active, LATENTS_BATCH, cap, e))) return rc;
        rc = l->k->encode(B, a->D, a->F, l->x, a->W_enc, a->b_enc, a->theta, &l->active);
    }
    return rc ? err_set(e, rc, "%s: no memory to encode %zu rows with %zu features", l->path, B, a->F) : 0;
}

void latents_close(struct latents *l) {
    free(l->x);
    active_free(&l->active);
    *l = (struct latents){0};
}
