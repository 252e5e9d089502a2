/* curve.c - see curve.h. */
#include "lib/sae/curve.h"

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

int curve_write(const struct curve *c, const char *path, struct err *e) {
    json_t *o = json_object(), *step = json_array();
    for (size_t t = 0; t < c->steps; t++) json_array_append_new(step, json_integer((json_int_t)t));
    json_object_set_new(o, "step", step);
    for (int s = 0; s < CURVE_SERIES; s++) json_object_set_new(o, keys[s], jsonfile_f32s(c->value[s], c->steps));
    int rc = jsonfile_write(path, o, e);
    json_decref(o);
    return rc;
}
