/* curve.c - see curve.h. */
#include "lib/sae/curve.h"

#include <math.h>
#include <stdlib.h>

#include "lib/file/jsonfile.h"

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

int curve_write(const struct curve *c, const char *path, struct err *e) {
    json_t *o = json_object(), *step = json_array();
    for (size_t t = 0; t < c->steps; t++) json_array_append_new(step, json_integer((json_int_t)t));
    json_object_set_new(o, "step", step);
    for (int s = 0; s < CURVE_SERIES; s++) json_object_set_new(o, keys[s], jsonfile_f32s(c->value[s], c->steps));
    int rc = jsonfile_write(path, o, e);
    json_decref(o);
    return rc;
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

void curve_summary(const struct curve *c, json_t *into) {
    const size_t n = c->steps, from = n - (n + 9) / 10;
    json_t *last = json_object();
    for (int s = 0; s < CURVE_SERIES; s++)
        json_object_set_new(last, keys[s], jsonfile_number(curve_mean(c, (enum curve_series)s, from, n), 9));
    json_object_set_new(into, "last_tenth", last);
    json_object_set_new(into, "loss_fall", jsonfile_number(curve_fall(c), 9));
}
