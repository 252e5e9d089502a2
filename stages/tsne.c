/* tsne.c - the decoder directions of an SAE (or any rows) as points in the plane. Reads an SAE folder and cooccur's
 * file, or one tensor; writes the points, the exact KL divergence and the trustworthiness. */
#include <stdlib.h>
#include <string.h>

#include "lib/analysis/trust.h"
#include "lib/analysis/tsne_fit.h"
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/progress.h"
#include "lib/base/stage.h"
#include "lib/file/jsonfile.h"
#include "lib/sae/directions.h"

#define PROG "tsne"

struct settings {
    struct directions_source rows;
    const char *repulsion, *init, *out;
    int64_t iterations, seed, threads;
    double perplexity, exaggeration;
};

struct run {
    struct directions rows;
    size_t k, unreached;
    struct knn knn;
    struct edges P;
    float *xy; /* [n,2] */
    double kl, knn_s, descend_s, measure_s;
    struct trust trust;
    struct progress progress;
    char *record;
};

static void tick(void *ctx, size_t done) {
    struct run *r = ctx;
    progress_show(&r->progress, done, "");
}

static int embed(const struct settings *s, struct run *r, struct err *e) {
    struct tsne_options o = {
        .iterations = (size_t)s->iterations, .exaggeration = s->exaggeration, .tick = tick, .ctx = r};
    o.repulsion = !strcmp(s->repulsion, "exact") ? TSNE_EXACT : !strcmp(s->repulsion, "mesh") ? TSNE_MESH : TSNE_AUTO;
    double start_s = clock_s();
    int rc = knn_exact(r->rows.x, r->rows.n, r->rows.D, r->k, &r->knn, e);
    r->knn_s = clock_s() - start_s;
    if (!rc) rc = perplexity_edges(&r->knn, s->perplexity, &r->P, &r->unreached, e);
    if (!rc)
        rc = tsne_fit_start(r->rows.x, r->rows.n, r->rows.D, (uint64_t)s->seed, !strcmp(s->init, "random"), r->xy, e);
    progress_start(&r->progress, PROG, "steps", (size_t)s->iterations);
    if (!rc) rc = tsne_fit_descend(&r->P, &o, r->xy, e);
    progress_end(&r->progress, (size_t)s->iterations, "");
    r->descend_s = clock_s() - start_s - r->knn_s;
    if (!rc) rc = tsne_fit_divergence(&r->P, r->xy, &r->kl, e);
    if (!rc)
        rc = trust_measure(r->rows.x, r->rows.n, r->rows.D, r->xy, &r->knn, trust_neighbours(r->rows.n), &r->trust, e);
    r->measure_s = clock_s() - start_s - r->knn_s - r->descend_s;
    return rc;
}

static int write_points(const struct settings *s, const struct run *r, struct err *e) {
    json_t *o = jsonfile_with(directions_json(&r->rows, "t-SNE", r->xy), "kl=%.17g", r->kl);
    o = jsonfile_with(trust_json(&r->trust, o), "perplexity=%.17g knn=%zu tied_rows=%zu record=%p", s->perplexity, r->k,
                      r->unreached, json_loads(r->record, 0, NULL));
    return jsonfile_write_new(s->out, o, e);
}

static void run_free(struct run *r) {
    directions_free(&r->rows);
    free(r->xy);
    knn_free(&r->knn);
    edges_free(&r->P);
    free(r->record);
}

int main(int argc, char **argv) {
    struct settings s = {0};
    struct run r = {0};
    struct err e = {0};
    struct opt table[] = {
        [DIRECTIONS_OPTIONS] = {"perplexity", OPT_REAL, &s.perplexity, NULL, 1, 5000, NULL, "neighbours",
                                "effective number of neighbours", false},
        {"iterations", OPT_INT, &s.iterations, NULL, 1, 1e6, NULL, "steps", "the first 250 exaggerated", false},
        {"exaggeration", OPT_REAL, &s.exaggeration, NULL, 1, 1000, NULL, "1", "of P in those steps", false},
        {"repulsion", OPT_TEXT, &s.repulsion, "auto", 0, 0, "auto|exact|mesh", NULL,
         "all pairs, or a mesh for many points", false},
        {"init", OPT_TEXT, &s.init, "pca", 0, 0, "pca|random", NULL, "where points start", false},
        {"seed", OPT_INT, &s.seed, "0", 0, 9e15, NULL, "1", "of a random start", false},
        STAGE_THREADS(&s.threads),
        STAGE_OUT(&s.out, "JSON file to write"),
    };
    const struct stage me = {PROG, "embed decoder directions in the plane by t-SNE", OPT_TABLE(table)};
    directions_options(&s.rows, table);
    int rc = stage_start(&me, argc, argv, &e);

    if (!rc) rc = directions_read(PROG, &s.rows, &r.rows, &e);
    if (!rc) rc = stage_record(&me, &r.record, &e);

    if (!rc) rc = perplexity_neighbours(s.perplexity, r.rows.n, &r.k, &e);

    if (!rc) r.xy = mem_array(r.rows.n, 2 * sizeof *r.xy, PROG ": points", &e);
    if (!rc && !r.xy) rc = e.code;

    if (!rc) rc = embed(&s, &r, &e);

    if (!rc) rc = write_points(&s, &r, &e);

    if (!rc)
        stage_done(PROG,
                   "%s: %zu points, KL %.4f, trustworthiness %.4f, preservation %.4f (k %zu); neighbours %.2f s, "
                   "descent %.2f s, measures %.2f s%s",
                   s.out, r.rows.n, r.kl, r.trust.trustworthiness, r.trust.preservation, r.trust.k, r.knn_s,
                   r.descend_s, r.measure_s,
                   r.unreached ? "; some rows have more equal neighbours than the perplexity" : "");
    run_free(&r);
    return stage_end(&me, rc, &e);
}
