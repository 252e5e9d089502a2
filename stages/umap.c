/* umap.c - the decoder directions of an SAE (or any rows) as points in the plane, by UMAP. Reads an SAE folder and
 * cooccur's file, or one tensor; writes the points and their trustworthiness, as tsne does. */
#include <stdlib.h>
#include <string.h>

#include "lib/analysis/trust.h"
#include "lib/analysis/umap_fit.h"
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/progress.h"
#include "lib/base/stage.h"
#include "lib/file/jsonfile.h"
#include "lib/sae/directions.h"

#define PROG "umap"

static const char *const start_name[] = {[UMAP_SPECTRAL] = "spectral", [UMAP_PCA] = "pca", [UMAP_RANDOM] = "random"};

struct settings {
    struct directions_source rows;
    const char *init, *out;
    int64_t neighbors, epochs, seed, threads;
    double min_dist, spread;
};

struct run {
    struct directions rows;
    size_t k;
    struct knn knn;
    struct edges graph;
    struct umap_options how;
    enum umap_fit_start start;
    float *xy; /* [n,2] */
    double knn_s, descend_s;
    struct trust trust;
    struct progress progress;
    char *record;
};

static void tick(void *ctx, size_t done, size_t all) {
    struct run *r = ctx;
    if (done == 1) progress_start(&r->progress, PROG, "epochs", all);
    progress_show(&r->progress, done, "");
    if (done == all) progress_end(&r->progress, all, "");
}

static int embed(const struct settings *s, struct run *r, struct err *e) {
    enum umap_fit_start want = !strcmp(s->init, "random") ? UMAP_RANDOM
                               : !strcmp(s->init, "pca")  ? UMAP_PCA
                                                          : UMAP_SPECTRAL;
    double start_s = clock_s();
    int rc = knn_exact(r->rows.x, r->rows.n, r->rows.D, r->k, &r->knn, e);
    r->knn_s = clock_s() - start_s;
    if (!rc) rc = umap_fit_graph(&r->knn, &r->graph, e);
    if (!rc)
        rc = umap_fit_start(&r->graph, r->rows.x, r->rows.n, r->rows.D, want, (uint64_t)s->seed, r->xy, &r->start, e);
    if (!rc) rc = umap_fit_descend(&r->graph, &r->how, r->xy, e);
    r->descend_s = clock_s() - start_s - r->knn_s;
    if (!rc)
        rc = trust_measure(r->rows.x, r->rows.n, r->rows.D, r->xy, &r->knn, trust_neighbours(r->rows.n), &r->trust, e);
    return rc;
}

static int write_points(const struct settings *s, const struct run *r, struct err *e) {
    json_t *o = trust_json(&r->trust, directions_json(&r->rows, "UMAP", r->xy));
    o = jsonfile_with(o, "neighbors=%lld a=%.17g b=%.17g start=%s record=%p", (long long)s->neighbors, r->how.a,
                      r->how.b, start_name[r->start], json_loads(r->record, 0, NULL));
    return jsonfile_write_new(s->out, o, e);
}

static void run_free(struct run *r) {
    directions_free(&r->rows);
    free(r->xy);
    knn_free(&r->knn);
    edges_free(&r->graph);
    free(r->record);
}

int main(int argc, char **argv) {
    struct settings s = {0};
    struct run r = {0};
    struct err e = {0};
    struct opt table[] = {
        [DIRECTIONS_OPTIONS] = {"neighbors", OPT_INT, &s.neighbors, NULL, 2, 5000, NULL, "neighbours",
                                "of a point, itself counted", false},
        {"min-dist", OPT_REAL, &s.min_dist, NULL, 0, 1000, NULL, "1", "how close points may come", false},
        {"spread", OPT_REAL, &s.spread, NULL, 1e-3, 1000, NULL, "1", "scale of the picture; at least --min-dist",
         false},
        {"epochs", OPT_INT, &s.epochs, "0", 0, 1e6, NULL, "epochs", "0: 500 to 10000 points, 200 above", false},
        {"init", OPT_TEXT, &s.init, "spectral", 0, 0, "spectral|pca|random", NULL, "where points start", false},
        {"seed", OPT_INT, &s.seed, "0", 0, 9e15, NULL, "1", "of the start and of the points that push", false},
        STAGE_THREADS(&s.threads),
        STAGE_OUT(&s.out, "JSON file to write"),
    };
    const struct stage me = {PROG, "embed decoder directions in the plane by UMAP", OPT_TABLE(table)};
    directions_options(&s.rows, table);
    int rc = stage_start(&me, argc, argv, &e);

    r.how = (struct umap_options){.epochs = (size_t)s.epochs, .seed = (uint64_t)s.seed, .tick = tick, .ctx = &r};
    if (!rc) rc = umap_fit_curve(s.min_dist, s.spread, &r.how.a, &r.how.b, &e);

    if (!rc) rc = directions_read(PROG, &s.rows, &r.rows, &e);
    if (!rc) rc = stage_record(&me, &r.record, &e);

    if (!rc) rc = umap_fit_neighbours((size_t)s.neighbors, r.rows.n, &r.k, &e);

    if (!rc) r.xy = mem_array(r.rows.n, 2 * sizeof *r.xy, PROG ": points", &e);
    if (!rc && !r.xy) rc = e.code;

    if (!rc) rc = embed(&s, &r, &e);

    if (!rc) rc = write_points(&s, &r, &e);

    if (!rc)
        stage_done(PROG,
                   "%s: %zu points, trustworthiness %.4f, preservation %.4f (k %zu), %s start; neighbours %.2f s, "
                   "descent %.2f s",
                   s.out, r.rows.n, r.trust.trustworthiness, r.trust.preservation, r.trust.k, start_name[r.start],
                   r.knn_s, r.descend_s);
    run_free(&r);
    return stage_end(&me, rc, &e);
}
