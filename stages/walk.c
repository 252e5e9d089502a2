/* walk.c - random walks from real activations: reconstruction loss, cosine similarity and distance against the step.
 * Reads an SAE and collect's file; writes medians, bands, one walk in full with its path in the plane, and the expected
 * distance. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/backends.h"
#include "lib/analysis/pca.h"
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/rng.h"
#include "lib/base/stage.h"
#include "lib/file/jsonfile.h"
#include "lib/sae/latents.h"
#include "lib/sae/saefile.h"
#include "lib/sae/random_walk.h"

#define PROG "walk"

enum { STREAM_ROWS = 0x73746172 };

struct settings {
    const char *sae, *data, *site, *directions, *backend, *out;
    int64_t walks, steps, seed, threads;
    double step_size;
};

struct run {
    struct sae sae;
    struct safetensors *file;
    struct latents in;
    float *start; /* [walks,D] */
    double size;  /* root mean square norm of the starting rows */
    struct walk walk;
    float *path; /* [steps+1,2] */
    struct pca pca;
    char *record;
};

/* Rows drawn from the seed, with replacement; rows of zeros, which have no direction, are drawn again. */
static int choose(const struct settings *s, struct run *r, struct err *e) {
    const size_t D = r->in.D, W = (size_t)s->walks;
    double sum = 0;
    r->start = mem_array(W, D * sizeof *r->start, PROG ": starts", e);
    if (!r->start) return ERR_MEMORY;
    for (size_t w = 0, tries = 0; w < W; tries++) {
        size_t row = (size_t)(rng_uniform((uint64_t)s->seed, STREAM_ROWS, tries) * (double)r->in.N);
        double norm2 = 0;
        int rc = latents_load(&r->in, row, 1, e);
        if (rc) return rc;
        for (size_t d = 0; d < D; d++) norm2 += (double)r->in.x[d] * (double)r->in.x[d];
        if (tries > 100 * W)
            return err_set(e, ERR_NUMERIC, "%s: %s: nearly all rows are zero: no walk can start", s->data, s->site);
        if (!(norm2 > 0)) continue;
        memcpy(r->start + w++ * D, r->in.x, D * sizeof *r->start);
        sum += norm2;
    }
    r->size = sqrt(sum / (double)W);
    return 0;
}

static int run_walks(const struct settings *s, struct run *r, struct err *e) {
    const struct walk_options o = {(size_t)s->walks, (size_t)s->steps, s->step_size * r->size,
                                   !strcmp(s->directions, "features"), (uint64_t)s->seed};
    return random_walk_run(&r->in.encoder, r->start, &o, &r->walk, e);
}

static int rising(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* {"low":[…],"median":[…],"high":[…],"example":[…]}: 5, 50 and 95 % of the walks at each step (nearest rank), and walk
 * 0. */
static json_t *band(const struct walk *w, const double *value, double unit, struct err *e) {
    static const struct {
        const char *key;
        double share;
    } rank[] = {{"low", 0.05}, {"median", 0.5}, {"high", 0.95}};
    double *sorted = mem_array(w->walks, sizeof *sorted, PROG ": bands", e);
    if (!sorted) return NULL;
    json_t *o = json_object(), *list[4] = {json_array(), json_array(), json_array(), json_array()};
    for (size_t t = 0; t <= w->steps; t++) {
        memcpy(sorted, value + t * w->walks, w->walks * sizeof *sorted);
        qsort(sorted, w->walks, sizeof *sorted, rising);
        for (int k = 0; k < 3; k++) {
            size_t at = (size_t)ceil(rank[k].share * (double)w->walks);
            list[k] = jsonfile_with(list[k], "%.9g", sorted[at ? at - 1 : 0] / unit);
        }
        list[3] = jsonfile_with(list[3], "%.9g", value[t * w->walks] / unit);
    }
    free(sorted);
    for (int k = 0; k < 3; k++) o = jsonfile_with(o, "%s=%p", rank[k].key, list[k]);
    return jsonfile_with(o, "example=%p", list[3]);
}

static double at(const json_t *of, const char *key, size_t t) {
    return json_number_value(json_array_get(json_object_get(of, key), t));
}

static void set(json_t **o, const char *measure, const char *what, double x) {
    char key[64];
    snprintf(key, sizeof key, "%s_%s", measure, what);
    *o = jsonfile_with(*o, "%s=%.9g", key, x);
}

/* What becomes of a measure in n steps, from the bands as they are written: where the median ends, in what share of the steps it
 * rises, and the width of the band at the end in units of the median. */
static void add_measure(json_t **o, const char *measure, const json_t *band, size_t n) {
    const double end = at(band, "median", n);
    size_t rises = 0;
    for (size_t t = 1; t <= n; t++) rises += at(band, "median", t) > at(band, "median", t - 1);
    set(o, measure, "final", end);
    set(o, measure, "rises_share", (double)rises / (double)n);
    set(o, measure, "band_final", (at(band, "high", n) - at(band, "low", n)) / fabs(end));
}

/* By what claims about walks are judged; distance_off_expected: how far the median distance is off sqrt(steps) times the step size
 * at most, as a share of it. */
static json_t *summary(const json_t *all, size_t n) {
    static const char *const measure[] = {"loss", "cosine", "distance"};
    const json_t *loss = json_object_get(all, "loss"), *far = json_object_get(all, "distance");
    json_t *o = json_object();
    double off = 0;
    for (int k = 0; k < 3; k++) {
        add_measure(&o, measure[k], json_object_get(all, measure[k]), n);
        if (!k) set(&o, "loss", "final_over_first", at(loss, "median", n) / at(loss, "median", 0));
    }
    for (size_t t = 1; t <= n; t++) off = fmax(off, fabs(at(far, "median", t) / at(all, "expected_distance", t) - 1));
    set(&o, "distance", "off_expected", off);
    return o;
}

static int write_walks(const struct settings *s, const struct run *r, struct err *e) {
    const struct walk *w = &r->walk;
    json_t *x = json_array(), *y = json_array(), *expected = json_array();
    json_t *loss = band(w, w->loss, r->size * r->size, e), *cosine = band(w, w->cosine, 1, e),
           *far = band(w, w->distance, r->size, e);
    for (size_t t = 0; t <= w->steps; t++) {
        x = jsonfile_with(x, "%.9g", (double)r->path[2 * t] / r->size);
        y = jsonfile_with(y, "%.9g", (double)r->path[2 * t + 1] / r->size);
        expected = jsonfile_with(expected, "%.9g", s->step_size * sqrt((double)t));
    }
    json_t *o =
        jsonfile_object("walks=%zu steps=%zu directions=%s site=%s step_size=%.17g unit=%.17g path=%p", w->walks,
                        w->steps, s->directions, s->site, s->step_size, r->size, jsonfile_object("x=%p y=%p", x, y));
    o = jsonfile_with(o, "path_variance_share=%.9g expected_distance=%p loss=%p cosine=%p distance=%p",
                      (r->pca.variance[0] + r->pca.variance[1]) / r->pca.total, expected, loss, cosine, far);
    o = jsonfile_with(o, "summary=%p", o ? summary(o, w->steps) : NULL);
    o = jsonfile_with(o, "record=%p", json_loads(r->record, 0, NULL));
    return jsonfile_write_new(s->out, o, e);
}

static void run_free(struct run *r) {
    latents_close(&r->in);
    sae_free(&r->sae);
    safetensors_close(r->file);
    random_walk_free(&r->walk);
    free(r->start), free(r->path), free(r->record);
}

int main(int argc, char **argv) {
    struct settings s = {0};
    struct run r = {0};
    struct err e = {0};
    const struct opt table[] = {
        {"sae", OPT_INPUT, &s.sae, NULL, 0, 0, NULL, NULL, "folder of an SAE, from train or SAELens", false},
        {"data", OPT_INPUT, &s.data, NULL, 0, 0, NULL, NULL, "activations to start from, from collect", false},
        {"site", OPT_TEXT, &s.site, NULL, 0, 0, NULL, NULL, "tensor to take: mlp_post", false},
        {"walks", OPT_INT, &s.walks, NULL, 1, LATENTS_BATCH, NULL, "walks", "each from a row of its own", false},
        {"walk-steps", OPT_INT, &s.steps, NULL, 1, 100000, NULL, "steps", "length of a walk", false},
        {"step-size", OPT_REAL, &s.step_size, NULL, 1e-9, 1e9, NULL, "size of the rows",
         "length of a step, in root mean square norms", false},
        {"directions", OPT_TEXT, &s.directions, NULL, 0, 0, "isotropic|features", NULL, "any, or a random feature's",
         false},
        {"seed", OPT_INT, &s.seed, "0", 0, 9e15, NULL, "1", "of starts and steps", false},
        STAGE_BACKEND(&s.backend),
        STAGE_THREADS(&s.threads),
        STAGE_OUT(&s.out, "JSON file to write"),
    };
    const struct stage me = {PROG, "random walks from real activations", OPT_TABLE(table)};
    int rc = stage_start(&me, argc, argv, &e);

    if (!rc) rc = saefile_read(&r.sae, s.sae, &e);
    if (!rc) rc = safetensors_open(&r.file, s.data, &e);
    if (!rc) rc = latents_open(&r.in, &r.sae, r.file, s.data, s.site, s.backend, &e);
    if (!rc) rc = stage_record(&me, &r.record, &e);

    if (!rc) rc = choose(&s, &r, &e);

    double start_s = clock_s();
    if (!rc) rc = run_walks(&s, &r, &e);
    double spent_s = clock_s() - start_s;

    if (!rc) r.path = mem_array((size_t)s.steps + 1, 2 * sizeof *r.path, PROG ": path", &e);
    if (!rc && !r.path) rc = e.code;
    if (!rc) rc = pca_scores(r.walk.path, (size_t)s.steps + 1, r.in.D, 2, 0, r.path, &r.pca, &e);
    if (!rc && !(r.pca.variance[0] > 0)) {
        rc = err_set(&e, ERR_NUMERIC, PROG ": the walk does not leave its start: its path has no plane");
        err_hint(&e, "a larger --step-size");
    }

    if (!rc) rc = write_walks(&s, &r, &e);

    if (!rc)
        stage_done(PROG, "%s: %lld walks of %lld steps in %.2f s; distance at the end %.3f, expected %.3f", s.out,
                   (long long)s.walks, (long long)s.steps, spent_s,
                   r.walk.distance[(size_t)s.steps * (size_t)s.walks] / r.size, s.step_size * sqrt((double)s.steps));
    run_free(&r);
    return stage_end(&me, rc, &e);
}
