/* tsne.c - the decoder directions of an SAE (or any rows) as points in the plane. Reads an SAE folder and cooccur's
 * file, or one tensor; writes the points, the exact KL divergence and the trustworthiness. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "lib/analysis/trust.h"
#include "lib/analysis/tsne.h"
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/opt.h"
#include "lib/base/stage.h"
#include "lib/file/jsonfile.h"
#include "lib/file/safetensors.h"
#include "lib/sae/saefile.h"

#define PROG "tsne"

enum { TRUST_K = 10 };

struct settings {
    const char *sae, *cooccur, *features, *in, *tensor, *repulsion, *init, *out; /* NULL where not given */
    int64_t iterations, seed, threads;
    double perplexity, exaggeration;
};

struct run {
    size_t n, D, k, unreached;
    float *x;         /* [n,D] rows to embed */
    int32_t *feature; /* [n] their numbers in the input */
    struct knn knn;
    struct edges P;
    float *xy; /* [n,2] */
    double kl, knn_s, descend_s, measure_s;
    struct trust trust;
    struct progress progress;
    char *record;
};

static int usage(const struct settings *s, struct err *e) {
    bool sae = s->sae, in = s->in;
    if (sae == in) return err_set(e, ERR_USAGE, PROG ": want either --sae or --in, got %s", sae ? "both" : "neither");
    if (in && (s->cooccur || !s->tensor)) {
        err_set(e, ERR_USAGE, PROG ": --in: want --tensor and no --cooccur beside it");
        return err_hint(e, "--in FILE --tensor NAME embeds all rows of one tensor");
    }
    if (sae && s->tensor) return err_set(e, ERR_USAGE, PROG ": --tensor: is read with --in, not with --sae");
    if (sae && !strcmp(s->features, "live") && !s->cooccur) {
        err_set(e, ERR_USAGE, PROG ": --features live: want --cooccur, got none");
        return err_hint(e, "cooccur's file says which features fire; --features all needs no such file");
    }
    return 0;
}

/* Room for n rows of D, their numbers 0..n-1. */
static int take_rows(struct run *r, size_t n, size_t D, struct err *e) {
    size_t row_bytes;
    if (!size_product(D, sizeof *r->x, 1, &row_bytes)) row_bytes = SIZE_MAX;
    r->n = n;
    r->D = D;
    r->x = mem_array(n, row_bytes, PROG ": rows", e);
    r->feature = mem_array(n, sizeof *r->feature, PROG ": rows", e);
    if (!r->x || !r->feature) return ERR_MEMORY;
    for (size_t i = 0; i < n; i++) r->feature[i] = (int32_t)i;
    return 0;
}

static int read_tensor(const struct settings *s, struct run *r, struct err *e) {
    struct st *f;
    const struct st_tensor *t;
    const int64_t shape[2] = {ST_ANY, ST_ANY};
    int rc = st_open(&f, s->in, e);
    if (rc) return rc;
    rc = st_get(f, s->tensor, -1, 2, shape, &t, e);
    if (!rc && (t->shape[0] > INT32_MAX || !t->shape[1]))
        rc = err_set(e, ERR_SHAPE, "%s: %s: want fewer than 2^31 rows and a column, got [%lld,%lld]", s->in, s->tensor,
                     (long long)t->shape[0], (long long)t->shape[1]);
    if (!rc) rc = st_check_finite(t, e);
    if (!rc) rc = take_rows(r, (size_t)t->shape[0], (size_t)t->shape[1], e);
    if (!rc) rc = st_to_f32(t, 0, t->n_elems, r->x, e);
    st_close(f);
    return rc;
}

/* Keep the rows of features with count > 0, in order. */
static int keep_live(const struct settings *s, struct run *r, struct err *e) {
    struct st *f;
    const struct st_tensor *t;
    const int64_t shape[1] = {(int64_t)r->n};
    int rc = st_open(&f, s->cooccur, e);
    if (rc) return rc;
    rc = st_get(f, "count", ST_U32, 1, shape, &t, e);
    if (rc == ERR_SHAPE) err_hint(e, "the SAE has %zu features: is this file from another SAE?", r->n);
    size_t live = 0;
    for (size_t i = 0; !rc && i < r->n; i++) {
        uint32_t count;
        memcpy(&count, (const char *)t->data + i * sizeof count, sizeof count);
        if (!count) continue;
        memmove(r->x + live * r->D, r->x + i * r->D, r->D * sizeof *r->x);
        r->feature[live++] = (int32_t)i;
    }
    st_close(f);
    r->n = rc ? r->n : live;
    return rc;
}

static int read_sae(const struct settings *s, struct run *r, struct err *e) {
    struct sae sae = {0};
    int rc = saefile_read(&sae, s->sae, e);
    if (!rc) rc = take_rows(r, sae.F, sae.D, e);
    if (!rc) memcpy(r->x, sae.W_dec, sae.F * sae.D * sizeof *r->x);
    sae_free(&sae);
    if (!rc && !strcmp(s->features, "live")) rc = keep_live(s, r, e);
    return rc;
}

static void tick(void *ctx, size_t done) {
    struct run *r = ctx;
    progress_show(&r->progress, done, "");
}

static int embed(const struct settings *s, struct run *r, struct err *e) {
    struct tsne_options o = {
        .iterations = (size_t)s->iterations, .exaggeration = s->exaggeration, .tick = tick, .ctx = r};
    o.repulsion = !strcmp(s->repulsion, "exact") ? TSNE_EXACT : !strcmp(s->repulsion, "mesh") ? TSNE_MESH : TSNE_AUTO;
    double start_s = clock_s();
    int rc = knn_exact(r->x, r->n, r->D, r->k, &r->knn, e);
    r->knn_s = clock_s() - start_s;
    if (!rc) rc = perplexity_edges(&r->knn, s->perplexity, &r->P, &r->unreached, e);
    if (!rc) rc = tsne_start(r->x, r->n, r->D, (uint64_t)s->seed, !strcmp(s->init, "random"), r->xy, e);
    progress_start(&r->progress, PROG, "steps", (size_t)s->iterations);
    if (!rc) rc = tsne_descend(&r->P, &o, r->xy, e);
    progress_end(&r->progress, (size_t)s->iterations, "");
    r->descend_s = clock_s() - start_s - r->knn_s;
    if (!rc) rc = tsne_divergence(&r->P, r->xy, &r->kl, e);
    /* The formula of trustworthiness wants k < 2n/3; few points are measured with fewer neighbours. */
    size_t k = r->n > 2 * TRUST_K ? TRUST_K : (r->n - 1) / 2;
    if (!rc) rc = trust_measure(r->x, r->n, r->D, r->xy, &r->knn, k, &r->trust, e);
    r->measure_s = clock_s() - start_s - r->knn_s - r->descend_s;
    return rc;
}

static json_t *column(const struct run *r, size_t c) {
    json_t *a = json_array();
    for (size_t i = 0; i < r->n; i++) json_array_append_new(a, jsonfile_number((double)r->xy[2 * i + c], 9));
    return a;
}

static int write_points(const struct settings *s, const struct run *r, struct err *e) {
    json_t *o = json_pack("{s:I}", "n", (json_int_t)r->n);
    json_object_set_new(o, "feature", jsonfile_i32s(r->feature, r->n));
    json_object_set_new(o, "x", column(r, 0));
    json_object_set_new(o, "y", column(r, 1));
    json_object_set_new(o, "kl", jsonfile_number(r->kl, 17));
    json_object_set_new(o, "trustworthiness", jsonfile_number(r->trust.trustworthiness, 17));
    json_object_set_new(o, "preservation", jsonfile_number(r->trust.preservation, 17));
    json_object_set_new(o, "measured_neighbours", json_integer((json_int_t)r->trust.k));
    json_object_set_new(o, "perplexity", jsonfile_number(s->perplexity, 17));
    json_object_set_new(o, "knn", json_integer((json_int_t)r->k));
    json_object_set_new(o, "tied_rows", json_integer((json_int_t)r->unreached));
    json_object_set_new(o, "record", json_loads(r->record, 0, NULL));
    int rc = jsonfile_write(s->out, o, e);
    json_decref(o);
    return rc;
}

static void run_free(struct run *r) {
    free(r->x);
    free(r->feature);
    free(r->xy);
    knn_free(&r->knn);
    edges_free(&r->P);
    free(r->record);
}

int main(int argc, char **argv) {
    struct settings s = {0};
    struct run r = {0};
    struct err e = {0};
    const struct opt table[] = {
        {"sae", OPT_INPUT, &s.sae, "", 0, 0, NULL, NULL, "SAE folder: its decoder rows are embedded", false},
        {"cooccur", OPT_INPUT, &s.cooccur, "", 0, 0, NULL, NULL, "cooccur's file: which features fire", false},
        {"features", OPT_TEXT, &s.features, "live", 0, 0, "live|all", NULL, "those that fire in some chunk, or all",
         false},
        {"in", OPT_INPUT, &s.in, "", 0, 0, NULL, NULL, "safetensors file, instead of an SAE", false},
        {"tensor", OPT_TEXT, &s.tensor, "", 0, 0, NULL, NULL, "its [n,D] tensor", false},
        {"perplexity", OPT_REAL, &s.perplexity, "30", 1, 5000, NULL, "neighbours", "effective number of neighbours",
         false},
        {"iterations", OPT_INT, &s.iterations, "1000", 1, 1e6, NULL, "steps", "the first 250 exaggerated", false},
        {"exaggeration", OPT_REAL, &s.exaggeration, "12", 1, 1000, NULL, "1", "of P in those steps", false},
        {"repulsion", OPT_TEXT, &s.repulsion, "auto", 0, 0, "auto|exact|mesh", NULL,
         "all pairs, or a mesh for many points", false},
        {"init", OPT_TEXT, &s.init, "pca", 0, 0, "pca|random", NULL, "where points start", false},
        {"seed", OPT_INT, &s.seed, "0", 0, 9e15, NULL, "1", "of a random start", false},
        {"threads", OPT_INT, &s.threads, "0", 0, 4096, NULL, "threads", "0: all cores", true},
        {"out", OPT_OUTPUT, &s.out, NULL, 0, 0, NULL, NULL, "JSON file to write", false},
    };
    const size_t n = sizeof table / sizeof *table;
    int rc = opt_parse(PROG, "embed decoder directions in the plane by t-SNE", table, n, argc, argv, &e);
    if (rc > 0) return STAGE_OK;
    if (!rc) rc = usage(&s, &e);
    if (!rc && s.threads) omp_set_num_threads((int)s.threads);

    if (!rc) rc = s.sae ? read_sae(&s, &r, &e) : read_tensor(&s, &r, &e);
    if (!rc) rc = opt_record(PROG, table, n, &r.record, &e);

    if (!rc) rc = perplexity_neighbours(s.perplexity, r.n, &r.k, &e);

    if (!rc) r.xy = mem_array(r.n, 2 * sizeof *r.xy, PROG ": points", &e);
    if (!rc && !r.xy) rc = e.code;

    if (!rc) rc = embed(&s, &r, &e);

    if (!rc) rc = write_points(&s, &r, &e);

    if (!rc)
        stage_done(PROG,
                   "%s: %zu points, KL %.4f, trustworthiness %.4f, preservation %.4f (k %zu); neighbours %.2f s, "
                   "descent %.2f s, measures %.2f s%s",
                   s.out, r.n, r.kl, r.trust.trustworthiness, r.trust.preservation, r.trust.k, r.knn_s, r.descend_s,
                   r.measure_s, r.unreached ? "; some rows have more equal neighbours than the perplexity" : "");
    run_free(&r);
    opt_free(table, n);
    return rc ? stage_fail(PROG, &e) : STAGE_OK;
}
