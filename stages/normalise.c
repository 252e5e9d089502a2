/* normalise.c - one site's rows in one seeded global permutation, and the scalar that normalises them.
 *
 *   --norm unit     scale = 1 / sqrt(mean |x|^2): unit mean squared norm
 *                   (Gemma Scope, Lieberum et al. 2024, section 3.1)
 *   --norm sqrt_d   scale = sqrt(D) / mean |x|
 *                   (Llama Scope, He et al. 2024; SAELens)
 * Rows are written as they are, in their own dtype; whoever reads them multiplies by the scale of the metadata. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/progress.h"
#include "lib/base/stage.h"
#include "lib/file/jsonfile.h"
#include "lib/file/safetensors.h"
#include "lib/sae/rownorms.h"
#include "lib/sae/shuffle.h"

#define PROG "normalise"

enum { STREAM = 1 }; /* of the permutation, under the seed */

struct settings {
    const char *in, *site, *norm, *out;
    int64_t seed, memory_mb, threads;
};

struct run {
    struct safetensors *in;
    const struct safetensors_tensor *site;
    size_t N, D, row_bytes;
    struct shuffle_plan plan;
    struct rownorms norms;
    double scale;
    char *record;
    struct progress progress;
    size_t before; /* rows of finished passes, for the progress line */
};

static int check(const struct settings *s, struct run *r, struct err *e) {
    const int64_t any[] = {ST_ANY, ST_ANY};
    int rc = safetensors_get(r->in, s->site, -1, 2, any, &r->site, e);
    if (rc) return rc;
    enum safetensors_dtype type = r->site->dtype;
    if (type != ST_BF16 && type != ST_F32)
        return err_set(e, ERR_SHAPE, "%s: %s: want BF16 or F32, got %s", s->in, s->site, safetensors_dtype_name(type));
    r->N = (size_t)r->site->shape[0], r->D = (size_t)r->site->shape[1];
    if (!r->N || !r->D) return err_set(e, ERR_SHAPE, "%s: %s: want rows, got [%zu,%zu]", s->in, s->site, r->N, r->D);
    r->row_bytes = r->D * safetensors_dtype_bytes(type);
    size_t memory = s->memory_mb ? (size_t)s->memory_mb << 20 : mem_physical_bytes() / 4;
    r->plan = shuffle_plan(r->N, r->row_bytes, memory);
    return 0;
}

static int scale_find(const struct settings *s, struct run *r, struct err *e) {
    const struct rownorms *n = &r->norms;
    r->scale = !strcmp(s->norm, "unit") ? 1 / sqrt(n->mean_sq_norm) : sqrt((double)r->D) / n->mean_norm;
    if (isfinite(r->scale) && r->scale > 0) return 0;
    err_set(e, ERR_NUMERIC, "%s: %s: want rows that are not all zero, got mean squared norm %g", s->in, s->site,
            n->mean_sq_norm);
    return err_hint(e, "a site whose activations vanish cannot be normalised; check the model's weights");
}

/* The context length that collect recorded: cfg.json of the SAE wants it. */
static int meta_context(const struct run *r, struct stwriter *w, struct err *e) {
    const char *text = safetensors_meta(r->in, "context"), *record = safetensors_meta(r->in, "record");
    char number[32];
    json_t *o = record && !text ? json_loads(record, 0, NULL) : NULL;
    const json_t *v = json_object_get(o, "context");
    if (json_is_integer(v)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
        text = number;
    }
    int rc = text ? stwriter_meta(w, "context", text, e) : 0;
    json_decref(o);
    return rc;
}

static int meta_write(const struct settings *s, const struct run *r, struct stwriter *w, struct err *e) {
    char scale[32], sq[32], norm[32], seed[32];
    snprintf(scale, sizeof scale, "%.17g", r->scale);
    snprintf(sq, sizeof sq, "%.17g", r->norms.mean_sq_norm);
    snprintf(norm, sizeof norm, "%.17g", r->norms.mean_norm);
    snprintf(seed, sizeof seed, "%lld", (long long)s->seed);
    const char *const pair[][2] = {
        {"scale", scale},     {"norm", s->norm},   {"site", s->site},     {"seed", seed},
        {"mean_sq_norm", sq}, {"mean_norm", norm}, {"record", r->record}, {"model", safetensors_meta(r->in, "model")}};
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
        int rc = pair[i][1] ? stwriter_meta(w, pair[i][0], pair[i][1], e) : 0;
        if (rc) return rc;
    }
    return meta_context(r, w, e);
}

static void show(void *run, size_t done) {
    struct run *r = run;
    progress_show(&r->progress, r->before + done, "");
}

static int rows_write(const struct settings *s, struct run *r, struct err *e) {
    struct stwriter *w = NULL;
    const int64_t shape[] = {(int64_t)r->N, (int64_t)r->D};
    int rc = stwriter_open(&w, s->out, e);
    if (!rc) rc = meta_write(s, r, w, e);
    int handle = rc ? -1 : stwriter_declare(w, "rows", r->site->dtype, 2, shape, e);
    if (!rc && handle < 0) rc = handle;
    if (!rc)
        rc =
            shuffle_rows(r->site->data, r->N, r->row_bytes, (uint64_t)s->seed, STREAM, &r->plan, w, handle, show, r, e);
    if (!rc) return stwriter_commit(w, e);
    stwriter_abort(w);
    return rc;
}

int main(int argc, char **argv) {
    struct settings s = {0};
    struct run r = {0};
    struct err e = {0};
    const struct opt table[] = {
        {"in", OPT_INPUT, &s.in, NULL, 0, 0, NULL, NULL, "activations, from collect", false},
        {"site", OPT_TEXT, &s.site, NULL, 0, 0, NULL, NULL, "tensor to take: L6R", false},
        {"norm", OPT_TEXT, &s.norm, NULL, 0, 0, "unit|sqrt_d", NULL,
         "mean |x|^2 becomes 1, or mean |x| becomes sqrt(D)", false},
        {"seed", OPT_INT, &s.seed, "0", 0, 9e15, NULL, "1", "of the permutation", false},
        {"memory-mb", OPT_INT, &s.memory_mb, "0", 0, 1 << 30, NULL, "MiB",
         "memory to use; 0: a quarter of the machine's", true},
        STAGE_THREADS(&s.threads),
        STAGE_OUT(&s.out, "safetensors file to write"),
    };
    const struct stage me = {PROG, "write one site's rows in one seeded global permutation, with their scale",
                             OPT_TABLE(table)};
    int rc = stage_start(&me, argc, argv, &e);

    double start_s = clock_s();
    if (!rc) rc = safetensors_open(&r.in, s.in, &e);
    if (!rc) rc = check(&s, &r, &e);
    if (!rc) rc = stage_record(&me, &r.record, &e);

    size_t passes = r.plan.n_buckets > 1 ? 3 : 2;
    if (!rc) progress_start(&r.progress, PROG, "rows", passes * r.N);
    if (!rc) rc = rownorms(r.site, &r.norms, show, &r, &e);
    if (!rc) rc = scale_find(&s, &r, &e);
    r.before = r.N;
    if (!rc) rc = rows_write(&s, &r, &e);
    if (!rc) progress_end(&r.progress, passes * r.N, "");

    double spent_s = clock_s() - start_s, gb = (double)r.N * (double)r.row_bytes * 1e-9;
    if (!rc)
        stage_done(PROG, "%s: %zu rows of %zu, scale %.6g, %.2f GB in %zu range%s, %.2f GB/s", s.out, r.N, r.D, r.scale,
                   gb, r.plan.n_buckets, r.plan.n_buckets == 1 ? "" : "s", gb / (spent_s > 0 ? spent_s : 1));
    free(r.record);
    safetensors_close(r.in);
    return stage_end(&me, rc, &e);
}
