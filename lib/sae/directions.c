/* directions.c - see directions.h. */
#include "lib/sae/directions.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/file/jsonfile.h"
#include "lib/file/safetensors.h"
#include "lib/sae/saefile.h"

void directions_options(struct directions_source *s, struct opt *table) {
    const struct opt o[DIRECTIONS_OPTIONS] = {
        {"sae", OPT_INPUT, &s->sae, "", 0, 0, NULL, NULL, "SAE folder: its decoder rows are embedded", false},
        {"cooccur", OPT_INPUT, &s->cooccur, "", 0, 0, NULL, NULL, "cooccur's file: which features fire", false},
        {"features", OPT_TEXT, &s->features, "live", 0, 0, "live|all", NULL, "those that fire in some chunk, or all",
         false},
        {"in", OPT_INPUT, &s->in, "", 0, 0, NULL, NULL, "safetensors file, instead of an SAE", false},
        {"tensor", OPT_TEXT, &s->tensor, "", 0, 0, NULL, NULL, "its [n,D] tensor", false},
    };
    memcpy(table, o, sizeof o);
}

static int usage(const char *prog, const struct directions_source *s, struct err *e) {
    bool sae = s->sae, in = s->in;
    if (sae == in)
        return err_set(e, ERR_USAGE, "%s: want either --sae or --in, got %s", prog, sae ? "both" : "neither");
    if (in && (s->cooccur || !s->tensor)) {
        err_set(e, ERR_USAGE, "%s: --in: want --tensor and no --cooccur beside it", prog);
        return err_hint(e, "--in FILE --tensor NAME embeds all rows of one tensor");
    }
    if (sae && s->tensor) return err_set(e, ERR_USAGE, "%s: --tensor: is read with --in, not with --sae", prog);
    if (sae && !strcmp(s->features, "live") && !s->cooccur) {
        err_set(e, ERR_USAGE, "%s: --features live: want --cooccur, got none", prog);
        return err_hint(e, "cooccur's file says which features fire; --features all needs no such file");
    }
    return 0;
}

/* Room for n rows of D, their numbers 0..n-1. */
static int take_rows(struct directions *r, size_t n, size_t D, struct err *e) {
    size_t row_bytes;
    if (!size_product(D, sizeof *r->x, 1, &row_bytes)) row_bytes = SIZE_MAX;
    r->n = n;
    r->D = D;
    r->x = mem_array(n, row_bytes, "rows", e);
    r->feature = mem_array(n, sizeof *r->feature, "rows", e);
    if (!r->x || !r->feature) return ERR_MEMORY;
    for (size_t i = 0; i < n; i++) r->feature[i] = (int32_t)i;
    return 0;
}

static int read_tensor(const struct directions_source *s, struct directions *r, struct err *e) {
    struct safetensors *f;
    const struct safetensors_tensor *t;
    const int64_t shape[2] = {ST_ANY, ST_ANY};
    int rc = safetensors_open(&f, s->in, e);
    if (rc) return rc;
    rc = safetensors_get(f, s->tensor, -1, 2, shape, &t, e);
    if (!rc && (t->shape[0] > INT32_MAX || !t->shape[1]))
        rc = err_set(e, ERR_SHAPE, "%s: %s: want fewer than 2^31 rows and a column, got [%lld,%lld]", s->in, s->tensor,
                     (long long)t->shape[0], (long long)t->shape[1]);
    if (!rc) rc = safetensors_check_finite(t, e);
    if (!rc) rc = take_rows(r, (size_t)t->shape[0], (size_t)t->shape[1], e);
    if (!rc) rc = safetensors_to_f32(t, 0, t->n_elems, r->x, e);
    safetensors_close(f);
    return rc;
}

/* Keep the rows of features with count > 0, in order. */
static int keep_live(const struct directions_source *s, struct directions *r, struct err *e) {
    struct safetensors *f;
    const struct safetensors_tensor *t;
    const int64_t shape[1] = {(int64_t)r->n};
    int rc = safetensors_open(&f, s->cooccur, e);
    if (rc) return rc;
    rc = safetensors_get(f, "count", ST_U32, 1, shape, &t, e);
    if (rc == ERR_SHAPE) err_hint(e, "the SAE has %zu features: is this file from another SAE?", r->n);
    size_t live = 0;
    for (size_t i = 0; !rc && i < r->n; i++) {
        uint32_t count;
        memcpy(&count, (const char *)t->data + i * sizeof count, sizeof count);
        if (!count) continue;
        memmove(r->x + live * r->D, r->x + i * r->D, r->D * sizeof *r->x);
        r->feature[live++] = (int32_t)i;
    }
    safetensors_close(f);
    r->n = rc ? r->n : live;
    return rc;
}

static int read_sae(const struct directions_source *s, struct directions *r, struct err *e) {
    struct sae sae = {0};
    int rc = saefile_read(&sae, s->sae, e);
    if (!rc) rc = take_rows(r, sae.F, sae.D, e);
    if (!rc) memcpy(r->x, sae.W_dec, sae.F * sae.D * sizeof *r->x);
    sae_free(&sae);
    if (!rc && !strcmp(s->features, "live")) rc = keep_live(s, r, e);
    return rc;
}

int directions_read(const char *prog, const struct directions_source *s, struct directions *out, struct err *e) {
    *out = (struct directions){0};
    int rc = usage(prog, s, e);
    if (!rc) rc = s->sae ? read_sae(s, out, e) : read_tensor(s, out, e);
    return rc;
}

void directions_free(struct directions *d) {
    free(d->x);
    free(d->feature);
    *d = (struct directions){0};
}

static json_t *column(const struct directions *d, const float *xy, size_t c) {
    json_t *a = json_array();
    for (size_t i = 0; i < d->n; i++) a = jsonfile_with(a, "%.9g", (double)xy[2 * i + c]);
    return a;
}

json_t *directions_json(const struct directions *d, const char *method, const float *xy) {
    return jsonfile_object("method=%s n=%zu feature=%p x=%p y=%p", method, d->n, jsonfile_i32s(d->feature, d->n),
                           column(d, xy, 0), column(d, xy, 1));
}
