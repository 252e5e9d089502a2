/* cooccur.c - which features of an SAE fire in which chunks of held-out text: a bit matrix, chunks x features.
 *
 * Chunks: lib/analysis/chunks.h. The artifact: lib/analysis/firing.h. Only the rows that lie in a chunk are encoded. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/backends.h"
#include "lib/analysis/chunks.h"
#include "lib/base/arena.h"
#include "lib/base/progress.h"
#include "lib/base/stage.h"
#include "lib/file/jsonfile.h"
#include "lib/file/safetensors.h"
#include "lib/sae/encoder.h"
#include "lib/sae/sae.h"
#include "lib/sae/saefile.h"

#define PROG "cooccur"

enum { BATCH = 1024 };

struct settings {
    const char *sae, *data, *site, *documents, *backend, *out;
    int64_t tokens, per_group, threads;
};

struct run {
    struct sae sae;
    struct safetensors *file;
    const struct safetensors_tensor *rows;
    int32_t *group, *doc; /* [N] */
    json_t *names;
    const char **name;  /* [G] */
    const char *groups; /* metadata of the file */
    size_t N, G;
    struct chunks_plan plan;
    struct firing firing;
    struct encoder encoder;
    int32_t chunk[BATCH];
    char *record;
};

/* --- inputs --- */

static int groups_find(const struct settings *s, struct run *r, struct err *e) {
    r->groups = safetensors_meta(r->file, "groups");
    r->names = r->groups ? json_loads(r->groups, 0, NULL) : NULL;
    r->G = json_is_array(r->names) ? json_array_size(r->names) : 0;
    if (!r->G)
        return err_set(e, ERR_FORMAT, "%s: metadata 'groups': want a JSON array of names, got %.60s", s->data,
                       r->groups ? r->groups : "none");
    r->name = mem_array(r->G, sizeof *r->name, "cooccur: groups", e);
    if (!r->name) return ERR_MEMORY;
    for (size_t g = 0; g < r->G; g++) {
        r->name[g] = json_string_value(json_array_get(r->names, g));
        if (!r->name[g]) return err_set(e, ERR_FORMAT, "%s: metadata 'groups': entry %zu is not a name", s->data, g);
    }
    return 0;
}

static int column(const struct run *r, const char *name, int32_t **out, struct err *e) {
    const int64_t shape[] = {(int64_t)r->N};
    const struct safetensors_tensor *t;
    int rc = safetensors_get(r->file, name, ST_I32, 1, shape, &t, e);
    if (rc) return rc;
    *out = mem_array(r->N, sizeof **out, "cooccur: rows", e);
    if (!*out) return ERR_MEMORY;
    memcpy(*out, t->data, r->N * sizeof **out); /* the map need not be aligned */
    return 0;
}

static int check(const struct settings *s, struct run *r, struct err *e) {
    const int64_t shape[] = {ST_ANY, (int64_t)r->sae.D};
    int rc = safetensors_get(r->file, s->site, -1, 2, shape, &r->rows, e);
    if (rc) {
        if (e->code == ERR_SHAPE)
            err_hint(e, "the SAE in %s is %zu wide: give the site it was trained on", s->sae, r->sae.D);
        return rc;
    }
    enum safetensors_dtype type = r->rows->dtype;
    if (type != ST_BF16 && type != ST_F16 && type != ST_F32)
        return err_set(e, ERR_SHAPE, "%s: %s: want BF16, F16 or F32, got %s", s->data, s->site,
                       safetensors_dtype_name(type));
    r->N = (size_t)r->rows->shape[0];
    rc = groups_find(s, r, e);
    if (!rc) rc = column(r, "row_group", &r->group, e);
    if (!rc) rc = column(r, "row_doc", &r->doc, e);
    if (rc) return rc;
    const struct cooccur_rows rows = {r->N, r->group, r->doc, r->G};
    struct err why = {0};
    rc = chunks_plan(&rows, (size_t)s->tokens, (size_t)s->per_group, !strcmp(s->documents, "within"), r->name, &r->plan,
                     &why);
    if (rc) {
        err_set(e, rc, "%s: %s", s->data, why.text);
        if (why.hint[0]) err_hint(e, "%s", why.hint);
    }
    return rc;
}

static int allocate(const struct settings *s, struct run *r, struct err *e) {
    int rc = firing_init(&r->firing, r->sae.F, r->plan.chunks, r->G, e);
    if (rc) return rc;
    for (size_t i = 0; i < r->N; i++)
        if (r->plan.chunk[i] >= 0) r->firing.group[r->plan.chunk[i]] = r->group[i];
    return encoder_open(&r->encoder, &r->sae, s->backend, BATCH, e);
}

/* --- firing --- */

static int row_load(const struct settings *s, struct run *r, size_t row, float *x, struct err *e) {
    size_t D = r->sae.D;
    int rc = safetensors_to_f32(r->rows, row * D, D, x, e);
    for (size_t d = 0; !rc && d < D; d++)
        if (!isfinite(x[d])) {
            rc = err_set(e, ERR_NUMERIC, "%s: %s: row %zu: want finite numbers, got NaN or Inf", s->data, s->site, row);
            err_hint(e, "collect the activations again");
        }
    return rc;
}

static int fire(const struct settings *s, struct run *r, struct err *e) {
    struct progress p;
    size_t B = 0, done = 0;
    int rc = 0;
    progress_start(&p, PROG, "rows", r->plan.rows);
    for (size_t i = 0; !rc && i < r->N; i++) {
        if (r->plan.chunk[i] >= 0) {
            r->chunk[B] = r->plan.chunk[i];
            rc = row_load(s, r, i, r->encoder.x + B++ * r->sae.D, e);
        }
        if (rc || !(B == BATCH || (i + 1 == r->N && B))) continue;
        rc = encoder_run(&r->encoder, B, e);
        if (!rc) chunks_mark(&r->encoder.active, B, r->chunk, &r->firing);
        done += B, B = 0;
        progress_show(&p, done, "");
    }
    progress_end(&p, done, "");
    firing_count(&r->firing);
    return rc;
}

static void run_free(struct run *r) {
    encoder_close(&r->encoder);
    firing_free(&r->firing);
    chunks_plan_free(&r->plan);
    free(r->group), free(r->doc), free(r->name), free(r->record);
    json_decref(r->names);
    safetensors_close(r->file);
    sae_free(&r->sae);
}

int main(int argc, char **argv) {
    struct settings s = {0};
    struct run r = {0};
    struct err e = {0};
    const struct opt table[] = {
        {"sae", OPT_INPUT, &s.sae, NULL, 0, 0, NULL, NULL, "folder of an SAE, from train or SAELens", false},
        {"data", OPT_INPUT, &s.data, NULL, 0, 0, NULL, NULL, "held-out activations, from collect", false},
        {"site", OPT_TEXT, &s.site, NULL, 0, 0, NULL, NULL, "tensor to take: L6R", false},
        {"chunk-tokens", OPT_INT, &s.tokens, NULL, 1, 1 << 20, NULL, "tokens", "consecutive rows of a group in a chunk",
         false},
        {"chunks-per-group", OPT_INT, &s.per_group, "0", 0, INT32_MAX, NULL, "chunks",
         "the first so many of each group; 0: all", false},
        {"chunk-documents", OPT_TEXT, &s.documents, "span", 0, 0, "span|within", NULL,
         "whether a chunk may span documents of its group, or lies within one", false},
        STAGE_BACKEND(&s.backend),
        STAGE_THREADS(&s.threads),
        STAGE_OUT(&s.out, "safetensors file to write"),
    };
    const struct stage me = {PROG, "find which features fire in which chunks of text", OPT_TABLE(table)};
    int rc = stage_start(&me, argc, argv, &e);

    if (!rc) rc = saefile_read(&r.sae, s.sae, &e);
    if (!rc) rc = safetensors_open(&r.file, s.data, &e);
    if (!rc) rc = check(&s, &r, &e);
    if (!rc) rc = stage_record(&me, &r.record, &e);

    if (!rc) rc = allocate(&s, &r, &e);
    if (!rc) rc = fire(&s, &r, &e);
    if (!rc) rc = firing_write(&r.firing, s.out, r.groups, r.record, (size_t)s.tokens, &e);

    if (!rc) {
        size_t never = 0, always = 0;
        for (size_t f = 0; f < r.firing.F; f++)
            never += !r.firing.count[f], always += r.firing.count[f] == r.firing.chunks;
        stage_done(PROG, "%s: %zu chunks of %lld tokens, %zu features: %zu never fire, %zu always", s.out,
                   r.plan.chunks, (long long)s.tokens, r.firing.F, never, always);
    }
    run_free(&r);
    return stage_end(&me, rc, &e);
}
