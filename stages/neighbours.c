/* neighbours.c - where an SAE's features lie: principal components of the encoder's and of the decoder's rows, a
 * feature and its nearest neighbours by cosine in each, and whether the two agree.
 *
 * Baig and Mak, Figures 5 and 6, project rows of W_enc and leave open whether another choice of "the feature" would
 * show the same neighbourhoods. Here both are projected, and for every feature its K nearest by cosine in W_enc are
 * compared with those in W_dec (lib/analysis/overlap.h). Only features that fire on held-out rows take part, as
 * directions that nothing trains lie anywhere. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "lib/analysis/knn.h"
#include "lib/analysis/overlap.h"
#include "lib/analysis/pca.h"
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/stage.h"
#include "lib/file/jsonfile.h"
#include "lib/sae/asked.h"
#include "lib/sae/saefile.h"

#define PROG "neighbours"

enum { AXES = 3 };

/* A share of variance below which a component is rounding of the float32 products behind it. */
static const double least_share = 1e-6;

struct settings {
    const char *sae, *evaluate, *features, *feature_of, *out; /* evaluate: NULL where not given */
    int64_t feature, k, threads;
};

/* One of the two matrices, its kept rows. */
struct side {
    const char *name;
    float *x, *score; /* [n,D] rows; [n,3] along the first three components */
    struct pca pca;
    struct knn near;
    double between[2]; /* in the plane, in space */
};

struct run {
    size_t F, D, n, k, asked, at; /* the feature asked for, and its row */
    int32_t *feature;             /* [n] numbers of the kept features */
    struct side side[2];
    double *share, cosine; /* [k]; mean cosine of a feature's two rows */
    uint64_t *common;      /* [k+1] */
    struct overlap overlap;
    char *record;
};

/* --- inputs --- */

/* Numbers of the features that take part, in order: all, or those with a frequency above 0 in evaluate's file. */
static int choose(const struct settings *s, struct run *r, struct err *e) {
    json_t *o = NULL;
    double *often = NULL;
    size_t n = r->F;
    bool live = !strcmp(s->features, "live");
    r->feature = mem_array(r->F, sizeof *r->feature, PROG ": features", e);
    if (!r->feature) return ERR_MEMORY;
    int rc = live ? jsonfile_read(s->evaluate, &o, e) : 0;
    if (!rc && live) rc = jsonfile_reals(o, s->evaluate, "frequency", &often, &n, e);
    if (!rc && n != r->F) {
        rc = err_set(e, ERR_SHAPE, "%s: frequency: want %zu features, got %zu", s->evaluate, r->F, n);
        err_hint(e, "is this file from another SAE?");
    }
    for (size_t f = 0; !rc && f < r->F; f++)
        if (!live || often[f] > 0) r->feature[r->n++] = (int32_t)f;
    free(often);
    json_decref(o);
    return rc;
}

/* The feature asked for must be there and take part; so must more than K others. */
static int find(const struct settings *s, struct run *r, struct err *e) {
    int rc = asked_feature(PROG, s->feature, s->feature_of, r->F, &r->asked, e);
    if (rc) return rc;
    while (r->at < r->n && r->feature[r->at] != (int32_t)r->asked) r->at++;
    if (r->at == r->n) {
        err_set(e, ERR_RANGE, PROG ": feature %zu fires on no held-out row", r->asked);
        return err_hint(e, "choose one with a frequency above 0 in %s, or give --features all", s->evaluate);
    }
    r->k = (size_t)s->k;
    if (r->k < r->n) return 0;
    err_set(e, ERR_RANGE, "--nearest %zu: want fewer than the %zu features", r->k, r->n);
    return err_hint(e, "a feature has %zu others as neighbours", r->n - 1);
}

/* Keep the chosen rows of W; refuse one without direction. */
static int take(const struct run *r, const float *W, struct side *side, const char *sae, struct err *e) {
    size_t row_bytes = r->D * sizeof *W;
    side->x = mem_array(r->n, row_bytes, PROG ": rows", e);
    side->score = side->x ? mem_array(r->n, AXES * sizeof *side->score, PROG ": points", e) : NULL;
    if (!side->score) return ERR_MEMORY;
    for (size_t i = 0; i < r->n; i++) {
        float *x = side->x + i * r->D, most = 0;
        memcpy(x, W + (size_t)r->feature[i] * r->D, row_bytes);
        for (size_t d = 0; d < r->D; d++) most = fmaxf(most, fabsf(x[d]));
        if (!(most > 0))
            return err_set(e, ERR_NUMERIC, "%s: %s: feature %d: a row of zeros has no direction", sae, side->name,
                           r->feature[i]);
    }
    return 0;
}

static int open_sae(const struct settings *s, struct run *r, struct err *e) {
    struct sae sae = {0};
    int rc = saefile_read(&sae, s->sae, e);
    if (rc) return rc;
    r->F = sae.F, r->D = sae.D;
    rc = choose(s, r, e);
    if (!rc) rc = find(s, r, e);
    if (!rc) rc = take(r, sae.W_enc, &r->side[0], s->sae, e);
    if (!rc) rc = take(r, sae.W_dec, &r->side[1], s->sae, e);
    sae_free(&sae);
    if (rc) return rc;
    r->share = mem_array(r->k, sizeof *r->share, PROG ": shares", e);
    r->common = mem_array(r->k + 1, sizeof *r->common, PROG ": shares", e);
    return r->share && r->common ? 0 : ERR_MEMORY;
}

/* --- one side --- */

static int project(const struct settings *s, const struct run *r, struct side *side, struct err *e) {
    int rc = pca_scores(side->x, r->n, r->D, AXES, 0, side->score, &side->pca, e);
    if (rc) return rc;
    const struct pca *p = &side->pca;
    if (p->variance[2] > least_share * p->total) return 0;
    err_set(e, ERR_NUMERIC, "%s: %s: want variance along three axes, got %.3g, %.3g, %.3g over %zu features", s->sae,
            side->name, p->variance[0], p->variance[1], p->variance[2], r->n);
    return err_hint(e, "rows that are all equal, or lie on a line or in a plane, cannot be projected to a space");
}

/* Rows to length 1, in place: Euclidean order is then that of the cosine, 1 - d^2/2. */
static void normalise_rows(const struct run *r, float *x) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < r->n; i++) {
        double s = 0;
        for (size_t d = 0; d < r->D; d++) s += (double)x[i * r->D + d] * (double)x[i * r->D + d];
        s = 1 / sqrt(s);
        for (size_t d = 0; d < r->D; d++) x[i * r->D + d] = (float)((double)x[i * r->D + d] * s);
    }
}

static int look(const struct settings *s, const struct run *r, struct side *side, struct err *e) {
    int rc = project(s, r, side, e);
    if (rc) return rc;
    normalise_rows(r, side->x);
    rc = knn_exact(side->x, r->n, r->D, r->k, &side->near, e);
    for (size_t c = 0; !rc && r->n > 2 && c < 2; c++)
        side->between[c] = overlap_between(side->score, AXES, 2 + c, &side->near);
    return rc;
}

static double cosine(const struct run *r, const float *a, const float *b) {
    double s = 0;
    for (size_t d = 0; d < r->D; d++) s += (double)a[d] * (double)b[d];
    return s;
}

static void compare(struct run *r) {
    overlap_measure(&r->side[0].near, &r->side[1].near, r->share, r->common, &r->overlap);
    for (size_t i = 0; i < r->n; i++)
        r->cosine += cosine(r, r->side[0].x + i * r->D, r->side[1].x + i * r->D) / (double)r->n;
}

/* --- output --- */

static json_t *column(const struct run *r, const float *score, size_t c) {
    json_t *a = json_array();
    for (size_t i = 0; i < r->n; i++) a = jsonfile_with(a, "%.9g", (double)score[AXES * i + c]);
    return a;
}

static json_t *side_json(const struct run *r, const struct side *side) {
    const int32_t *near = side->near.index + r->at * r->k;
    json_t *share = json_array(), *id = json_array(), *cos = json_array();
    double sum[2] = {0};
    for (size_t c = 0; c < AXES; c++) {
        double v = side->pca.variance[c] / side->pca.total;
        share = jsonfile_with(share, "%.17g", v);
        sum[0] += c < 2 ? v : 0, sum[1] += v;
    }
    for (size_t q = 0; q < r->k; q++) {
        id = jsonfile_with(id, "%lld", (long long)r->feature[near[q]]);
        double c = cosine(r, side->x + r->at * r->D, side->x + (size_t)near[q] * r->D);
        cos = jsonfile_with(cos, "%.9g", c);
    }
    json_t *o = jsonfile_object(
        "matrix=%s explained=%p explained_2d=%.17g explained_3d=%.17g between_2d=%.17g between_3d=%.17g", side->name,
        share, sum[0], sum[1], side->between[0], side->between[1]);
    return jsonfile_with(o, "neighbours=%p cosine=%p x=%p y=%p z=%p", id, cos, column(r, side->score, 0),
                         column(r, side->score, 1), column(r, side->score, 2));
}

static json_t *agreement_json(const struct run *r) {
    json_t *chance = json_array(), *common = json_array();
    double N = (double)(r->n - 1), share = r->share[r->k - 1], sd = r->overlap.share_sd / sqrt((double)r->n);
    for (size_t q = 1; q <= r->k; q++) chance = jsonfile_with(chance, "%.17g", (double)q / N);
    for (size_t m = 0; m <= r->k; m++) common = jsonfile_with(common, "%zu", r->common[m]);
    json_t *o = jsonfile_object("share=%.17g share_chance=%.17g share_over_chance=%.17g share_z=%.17g jaccard=%.17g "
                                "jaccard_chance=%.17g mean_cosine=%.17g",
                                share, (double)r->k / N, share * N / (double)r->k,
                                sd > 0 ? (share - (double)r->k / N) / sd : NAN, r->overlap.jaccard,
                                r->overlap.jaccard_chance, r->cosine);
    const size_t at = r->at * r->k;
    return jsonfile_with(o, "of_feature=%zu share_by_neighbours=%p chance_by_neighbours=%p features_by_common=%p",
                         overlap_common(r->side[0].near.index + at, r->side[1].near.index + at, r->k),
                         jsonfile_f64s(r->share, r->k), chance, common);
}

static int write_out(const struct settings *s, const struct run *r, struct err *e) {
    json_t *sides = json_array();
    json_t *o = jsonfile_object("feature=%zu k=%zu width=%zu d_in=%zu n=%zu features=%s agreement=%p", r->asked, r->k,
                                r->F, r->D, r->n, s->features, agreement_json(r));
    for (int m = 0; m < 2; m++) sides = jsonfile_with(sides, "%p", side_json(r, &r->side[m]));
    o = jsonfile_with(o, "sides=%p feature_of_point=%p record=%p", sides, jsonfile_i32s(r->feature, r->n),
                      json_loads(r->record, 0, NULL));
    return jsonfile_write_new(s->out, o, e);
}

static void run_free(struct run *r) {
    for (int m = 0; m < 2; m++) {
        struct side *side = &r->side[m];
        free(side->x), free(side->score);
        knn_free(&side->near);
    }
    free(r->feature), free(r->share), free(r->common), free(r->record);
}

int main(int argc, char **argv) {
    struct settings s = {0};
    struct run r = {.side = {{.name = "W_enc"}, {.name = "W_dec"}}};
    struct err e = {0};
    const struct opt table[] = {
        {"sae", OPT_INPUT, &s.sae, NULL, 0, 0, NULL, NULL, "folder of an SAE, from train or SAELens", false},
        {"evaluate", OPT_INPUT, &s.evaluate, "", 0, 0, NULL, NULL, "evaluate's file: which features fire", false},
        {"features", OPT_TEXT, &s.features, "live", 0, 0, "live|all", NULL, "those that fire on held-out rows, or all",
         false},
        {"feature", OPT_INT, &s.feature, "-1", -1, INT32_MAX, NULL, "1", "the feature to mark, from 0", false},
        {"feature-of", OPT_INPUT, &s.feature_of, "", 0, 0, NULL, NULL, "or the one that specificity's file looked at",
         false},
        {"nearest", OPT_INT, &s.k, NULL, 1, 1000, NULL, "features", "nearest by cosine to mark and to compare", false},
        STAGE_THREADS(&s.threads),
        STAGE_OUT(&s.out, "JSON file to write"),
    };
    const struct stage me = {PROG, "project an SAE's features and compare their neighbours in W_enc and W_dec",
                             OPT_TABLE(table)};
    int rc = stage_start(&me, argc, argv, &e);
    if (!rc && !strcmp(s.features, "live") && !s.evaluate) {
        rc = err_set(&e, ERR_USAGE, PROG ": --features live: want --evaluate, got none");
        err_hint(&e, "evaluate's file says which features fire; --features all needs no such file");
    }

    double start_s = clock_s();
    if (!rc) rc = open_sae(&s, &r, &e);
    if (!rc) rc = stage_record(&me, &r.record, &e);

    for (int m = 0; m < 2 && !rc; m++) rc = look(&s, &r, &r.side[m], &e);
    if (!rc) compare(&r);
    if (!rc) rc = write_out(&s, &r, &e);

    if (!rc)
        stage_done(
            PROG,
            "%s: %zu features; two axes explain %.1f %% of W_enc, %.1f %% of W_dec; of %zu neighbours %.1f %% agree "
            "(chance %.2f %%); %.2f s",
            s.out, r.n, 100 * (r.side[0].pca.variance[0] + r.side[0].pca.variance[1]) / r.side[0].pca.total,
            100 * (r.side[1].pca.variance[0] + r.side[1].pca.variance[1]) / r.side[1].pca.total, r.k,
            100 * r.share[r.k - 1], 100 * (double)r.k / (double)(r.n - 1), clock_s() - start_s);
    run_free(&r);
    return stage_end(&me, rc, &e);
}
