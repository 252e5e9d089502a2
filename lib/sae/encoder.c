/* encoder.c - see encoder.h. */
#include "lib/sae/encoder.h"

#include <string.h>

enum { ACTIVE_PER_ROW = 128 };

static int room(struct encoder *n, size_t cap, struct err *e) {
    active_drop(&n->active);
    arena_free(&n->entries);
    int rc = arena_init_in(&n->entries, n->k->memory, active_need(n->batch, cap), "encoder: active entries", e);
    if (!rc) active_take(&n->active, n->batch, cap, &n->entries);
    return rc;
}

int encoder_open(struct encoder *n, const struct sae *sae, const char *backend, size_t batch, struct err *e) {
    size_t entries;
    *n = (struct encoder){.batch = batch};
    int rc = sae_kernels_open(backend, &n->k, e);
    if (!rc) rc = sae_init_in(&n->sae, n->k->memory, sae->arch, sae->D, sae->F, e);
    if (rc) return rc;
    sae_copy(sae, &n->sae);
    rc = arena_init_in(&n->memory, n->k->memory, arena_need(batch, sae->D * sizeof *n->x), "encoder: rows", e);
    if (rc) return rc;
    n->x = arena_take(&n->memory, batch, sae->D * sizeof *n->x);
    if (!size_product(batch, ACTIVE_PER_ROW, 1, &entries))
        return err_set(e, ERR_MEMORY, "encoder: a batch of %zu rows", batch);
    return room(n, entries, e);
}

void encoder_close(struct encoder *n) {
    sae_free(&n->sae);
    active_drop(&n->active);
    arena_free(&n->memory);
    arena_free(&n->entries);
    *n = (struct encoder){0};
}

int encoder_run(struct encoder *n, size_t B, struct err *e) {
    const struct sae *a = &n->sae;
    CHECK(B <= n->batch);
    for (;;) {
        n->active.B = B;
        int rc = n->k->encode(B, a->D, a->F, n->x, a->W_enc, a->b_enc, a->theta, &n->active);
        if (rc == ERR_RANGE) {
            rc = room(n, n->active.n + n->active.n / 4, e);
            if (rc) return rc;
            continue;
        }
        if (rc) return err_set(e, rc, "encoder: no memory to encode %zu rows with %zu features", B, a->F);
        return n->k->finish(e);
    }
}
