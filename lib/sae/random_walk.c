/* random_walk.c - see random_walk.h. */
#include "lib/sae/random_walk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/rng.h"

enum { STREAM_STEP = 0x77000000, STREAM_FEATURE = 0x77616c6b };

/* u of walk w at step t, times s, added to x. */
static void go(const struct sae *a, const struct walk_options *o, size_t t, size_t w, float *x) {
    const size_t D = a->D;
    const float *along = NULL;
    double norm2 = 0, sign = 1;
    if (o->features) {
        double u = rng_uniform(o->seed, STREAM_FEATURE, 2 * (t * o->walks + w));
        along = a->W_dec + (size_t)(u * (double)a->F) * D;
        sign = rng_uniform(o->seed, STREAM_FEATURE, 2 * (t * o->walks + w) + 1) < 0.5 ? -1 : 1;
    }
    for (size_t d = 0; d < D; d++) {
        double v = along ? (double)along[d] : rng_normal(o->seed, STREAM_STEP + t, w * D + d);
        norm2 += v * v;
    }
    double scale = norm2 > 0 ? sign * o->step / sqrt(norm2) : 0;
    for (size_t d = 0; d < D; d++) {
        double v = along ? (double)along[d] : rng_normal(o->seed, STREAM_STEP + t, w * D + d);
        x[d] = (float)((double)x[d] + scale * v);
    }
}

static void look(const struct encoder *n, const float *start, size_t t, size_t w, float *y, struct walk *out) {
    const size_t D = out->D, at = t * out->walks + w;
    const float *x = n->x + w * D, *x0 = start + w * D;
    const struct active *a = &n->active;
    double loss = 0, xx = 0, x0x0 = 0, xx0 = 0, far = 0;
    sae_decode_row(&n->sae, a->row[w + 1] - a->row[w], a->feat + a->row[w], a->pre + a->row[w], y);
    for (size_t d = 0; d < D; d++) {
        double v = x[d], v0 = x0[d], e = v - (double)y[d];
        loss += e * e, xx += v * v, x0x0 += v0 * v0, xx0 += v * v0, far += (v - v0) * (v - v0);
    }
    out->loss[at] = loss;
    out->cosine[at] = xx0 / (sqrt(xx) * sqrt(x0x0));
    out->distance[at] = sqrt(far);
}

static int room(struct walk *w, struct err *e) {
    const size_t n = w->steps + 1;
    w->loss = mem_array(n, w->walks * sizeof *w->loss, "walk", e);
    w->cosine = w->loss ? mem_array(n, w->walks * sizeof *w->cosine, "walk", e) : NULL;
    w->distance = w->cosine ? mem_array(n, w->walks * sizeof *w->distance, "walk", e) : NULL;
    w->path = w->distance ? mem_array(n, w->D * sizeof *w->path, "walk", e) : NULL;
    return w->path ? 0 : ERR_MEMORY;
}

int random_walk_run(struct encoder *n, const float *start, const struct walk_options *o, struct walk *out,
                    struct err *e) {
    const size_t D = n->sae.D, W = o->walks;
    *out = (struct walk){.walks = W, .steps = o->steps, .D = D};
    if (!(o->step > 0 && isfinite(o->step))) {
        err_set(e, ERR_RANGE, "step size: want a positive number, got %g", o->step);
        return err_hint(e, "a tenth of the rows' size is a start");
    }
    CHECK(W >= 1 && W <= n->batch);
    int rc = room(out, e);
    float *y = rc ? NULL : mem_array(W, D * sizeof *y, "walk: reconstructions", e);
    if (!rc && !y) rc = ERR_MEMORY;
    if (!rc) memcpy(n->x, start, W * D * sizeof *start);
    for (size_t t = 0; !rc && t <= o->steps; t++) {
#pragma omp parallel for schedule(static)
        for (size_t w = 0; w < (t ? W : 0); w++) go(&n->sae, o, t, w, n->x + w * D);
        memcpy(out->path + t * D, n->x, D * sizeof *n->x);
        rc = encoder_run(n, W, e);
        if (rc) break;
#pragma omp parallel for schedule(static)
        for (size_t w = 0; w < W; w++) look(n, start, t, w, y + w * D, out);
    }
    free(y);
    return rc;
}

void random_walk_free(struct walk *w) {
    free(w->loss), free(w->cosine), free(w->distance), free(w->path);
    *w = (struct walk){0};
}
