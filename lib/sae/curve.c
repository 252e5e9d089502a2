/* curve.c - see curve.h. */
#include "lib/sae/curve.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/file/jsonfile.h"

enum { MEANS = CURVE_L0 + 1 };         /* series with a running mean: those that jump from step to step */
static const double mean_share = 0.01; /* of the steps: its window */

static const char *const keys[CURVE_SERIES] = {"loss_reconstruction", "loss_sparsity", "l0", "lr", "lambda", "dead"};

const char *curve_key(enum curve_series s) { return keys[s]; }

int curve_init(struct curve *c, size_t steps, struct err *e) {
    *c = (struct curve){.steps = steps};
    int rc = arena_init(&c->memory, CURVE_SERIES * arena_need(steps, sizeof(float)), "training curve", e);
    for (int s = 0; !rc && s < CURVE_SERIES; s++) c->value[s] = arena_take(&c->memory, steps, sizeof(float));
    return rc;
}

void curve_free(struct curve *c) {
    arena_free(&c->memory);
    *c = (struct curve){0};
}

double curve_mean(const struct curve *c, enum curve_series s, size_t from, size_t to) {
    double sum = 0;
    for (size_t t = from; t < to; t++) sum += (double)c->value[s][t];
    return to > from ? sum / (double)(to - from) : 0;
}

/* Mean loss over steps [from, to), each step's penalty at the last lambda. */
static double loss(const struct curve *c, size_t from, size_t to) {
    const float *lambda = c->value[CURVE_LAMBDA], last = lambda[c->steps - 1];
    double sum = 0;
    for (size_t t = from; t < to; t++) {
        double up = lambda[t] > 0 ? (double)last / (double)lambda[t] : 0;
        sum += (double)c->value[CURVE_RECONSTRUCTION][t] + up * (double)c->value[CURVE_SPARSITY][t];
    }
    return sum / (double)(to - from);
}

double curve_fall(const struct curve *c) {
    const size_t n = c->steps, tenth = n / 10;
    if (tenth < 2) return NAN;
    double end = loss(c, n - tenth, n), before = loss(c, n - 2 * tenth, n - tenth);
    return before / end - 1;
}

/* ---- running means ---- */

static size_t half_window(const struct curve *c) { return (size_t)(mean_share * (double)c->steps / 2); }

/* Mean over `half` entries to both sides, cut at the ends and at NaN. */
static void running_mean(const double *v, size_t n, size_t half, double *out) {
    double sum = 0;
    size_t count = 0, lo = 0, hi = 0; /* window [lo, hi) */
    for (size_t i = 0; i < n; i++) {
        size_t want_lo = i > half ? i - half : 0, want_hi = n - i > half + 1 ? i + half + 1 : n;
        for (; hi < want_hi; hi++)
            if (isfinite(v[hi])) sum += v[hi], count++;
        for (; lo < want_lo; lo++)
            if (isfinite(v[lo])) sum -= v[lo], count--;
        out[i] = count && isfinite(v[i]) ? sum / (double)count : NAN;
    }
}

/* A series with the nine digits that the file has, so that what is told of it can be told from the file; and behind it its running
 * mean: [2,steps], the caller free()s. NULL without memory. */
static double *with_mean(const struct curve *c, enum curve_series s) {
    double *v = malloc((2 * c->steps + 1) * sizeof *v);
    for (size_t t = 0; v && t < c->steps; t++) {
        char text[32];
        snprintf(text, sizeof text, "%.9g", (double)c->value[s][t]);
        v[t] = isfinite(c->value[s][t]) ? strtod(text, NULL) : (double)NAN;
    }
    if (v) running_mean(v, c->steps, half_window(c), v + c->steps);
    return v;
}

/* ---- files ---- */

static json_t *means(const struct curve *c) {
    json_t *o = jsonfile_object("window=%zu", 2 * half_window(c) + 1);
    for (int s = 0; s < MEANS; s++) {
        double *v = with_mean(c, (enum curve_series)s);
        json_t *list = v ? json_array() : NULL;
        for (size_t t = 0; v && t < c->steps; t++) list = jsonfile_with(list, "%.9g", v[c->steps + t]);
        o = jsonfile_with(o, "%s=%p", keys[s], list);
        free(v);
    }
    return o;
}

int curve_write(const struct curve *c, const char *path, struct err *e) {
    json_t *step = json_array();
    for (size_t t = 0; t < c->steps; t++) step = jsonfile_with(step, "%zu", t);
    json_t *o = jsonfile_object("step=%p", step);
    for (int s = 0; s < CURVE_SERIES; s++) o = jsonfile_with(o, "%s=%p", keys[s], jsonfile_f32s(c->value[s], c->steps));
    if (half_window(c)) o = jsonfile_with(o, "mean=%p", means(c));
    return jsonfile_write_new(path, o, e);
}

static int read_series(struct curve *c, enum curve_series s, const json_t *o, const char *path, struct err *e) {
    double *v = NULL;
    size_t n;
    int rc = jsonfile_reals(o, path, keys[s], &v, &n, e);
    if (!rc && n < c->steps)
        rc = err_set(e, ERR_SHAPE, "%s: key '%s': want at least %zu numbers, got %zu", path, keys[s], c->steps, n);
    for (size_t t = 0; !rc && t < c->steps; t++) c->value[s][t] = (float)v[t];
    free(v);
    return rc;
}

int curve_read(struct curve *c, const char *path, size_t steps, struct err *e) {
    json_t *o = NULL;
    int rc = curve_init(c, steps, e);
    if (!rc) rc = jsonfile_read(path, &o, e);
    for (int s = 0; !rc && s < CURVE_SERIES; s++) rc = read_series(c, (enum curve_series)s, o, path, e);
    json_decref(o);
    if (rc) curve_free(c);
    return rc;
}

/* ---- what is told of it ---- */

static double least(const double *v, size_t n) {
    double m = INFINITY;
    for (size_t i = 0; i < n; i++) m = fmin(m, v[i]); /* fmin skips NaN */
    return m;
}

static double greatest(const double *v, size_t n) {
    double m = -INFINITY;
    for (size_t i = 0; i < n; i++) m = fmax(m, v[i]);
    return m;
}

static json_t *statistics(const struct curve *c, size_t d_in, double *const v[MEANS]) {
    const size_t n = c->steps, last = n - 1;
    const double *rec = v[CURVE_RECONSTRUCTION], *rec_mean = rec + n, *penalty_mean = v[CURVE_SPARSITY] + n;
    double early = least(rec_mean, n / 10 ? n / 10 : 1), top = greatest(penalty_mean, n),
           l0_top = greatest(v[CURVE_L0], n);
    json_t *o = jsonfile_object("steps=%zu reconstruction_first=%.9g reconstruction_early_min=%.9g "
                                "reconstruction_min=%.9g reconstruction_final=%.9g early_over_first=%.9g "
                                "final_over_early=%.9g",
                                last, rec[0], early, least(rec_mean, n), rec_mean[last], early / rec[0],
                                rec_mean[last] / early);
    return jsonfile_with(o,
                         "sparsity_max=%.9g sparsity_final=%.9g sparsity_final_over_max=%.9g l0_max=%.9g l0_final=%.9g "
                         "l0_max_over_d_in=%.9g lambda_final=%.9g dead_final=%.9g",
                         top, penalty_mean[last], penalty_mean[last] / top, l0_top, v[CURVE_L0][n + last],
                         l0_top / (double)d_in, (double)c->value[CURVE_LAMBDA][last],
                         (double)c->value[CURVE_DEAD][last]);
}

json_t *curve_summary(const struct curve *c, size_t d_in, json_t *into) {
    const size_t n = c->steps, from = n - (n + 9) / 10;
    json_t *last = json_object();
    double *v[MEANS];
    bool whole = true;
    for (int s = 0; s < CURVE_SERIES; s++)
        last = jsonfile_with(last, "%s=%.9g", keys[s], curve_mean(c, (enum curve_series)s, from, n));
    for (int s = 0; s < MEANS; s++) whole = (v[s] = with_mean(c, (enum curve_series)s)) && whole;
    into = jsonfile_with(into, "last_tenth=%p loss_fall=%.9g curve=%p", last, curve_fall(c),
                         whole ? statistics(c, d_in, v) : NULL);
    for (int s = 0; s < MEANS; s++) free(v[s]);
    return into;
}
