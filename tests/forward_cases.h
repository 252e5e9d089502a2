/* forward_cases.h - for the tests of forward.h: a model opened for sites, what its hook sees, and how far that may be
 * from a reference. */
#ifndef SAEMILL_FORWARD_CASES_H
#define SAEMILL_FORWARD_CASES_H

#include <float.h>
#include <math.h>

#include "lib/lm/forward.h"
#include "tests/lm_cases.h"

struct setup {
    struct lm_model m;
    struct lm_kernels k;
    struct lm_site *sites;
    size_t n;
};

/* What a hook sees, put together over batches. */
struct seen {
    const struct setup *u;
    float *rows[32]; /* by site; [M, width] */
    size_t M, calls, stop_at;
};
static inline int record(void *ctx, size_t site, const float *rows, size_t M, struct err *e) {
    struct seen *s = ctx;
    size_t width = lm_site_width(&s->u->m.c, &s->u->sites[site]);
    if (++s->calls == s->stop_at) return err_set(e, ERR_RANGE, "stopped");
    s->rows[site] = realloc(s->rows[site], (s->M + M) * width * sizeof(float));
    s->u->k.fetch(M * width, rows, s->u->sites[site].kind == LM_SITE_R, false, s->rows[site] + s->M * width);
    s->u->k.sent(0);
    return s->u->k.await(0, e);
}
static inline void seen_free(struct seen *s) {
    for (int i = 0; i < 32; i++) free(s->rows[i]);
}

/* Loaded for T positions. */
static inline void open_for(struct setup *u, const char *dir, const char *backend, const char *sites, size_t T) {
    struct err e;
    assert_int_equal(lm_open(&u->m, dir, &e), 0);
    assert_int_equal(lm_kernels_get(backend, &u->k, &e), 0);
    assert_int_equal(lm_sites_parse(sites, u->m.c.L, &u->sites, &u->n, &e), 0);
    assert_int_equal(lm_load(&u->m, &u->k, lm_sites_depth(u->sites, u->n), T, &e), 0);
}
static inline void close_all(struct setup *u) {
    free(u->sites);
    lm_close(&u->m);
}

/* Run n sequences in one batch and append what the sites give. */
static inline int run(const struct setup *u, size_t n, const size_t *start, const int32_t *ids, struct seen *seen,
                      struct err *e) {
    struct lm_scratch s;
    struct lm_batch b = {n, start, ids};
    struct lm_hook hook = {seen, record};
    size_t T = 0;
    for (size_t i = 0; i < n; i++)
        if (start[i + 1] - start[i] > T) T = start[i + 1] - start[i];
    seen->u = u;
    assert_int_equal(lm_scratch_init(&s, &u->k, &u->m.c, u->sites, u->n, start[n], T, e), 0);
    int rc = lm_forward(&u->m, &u->k, &b, u->sites, u->n, &s, &hook, e);
    seen->M += start[n];
    lm_scratch_free(&s);
    return rc;
}

/* Rounding errors of a sum of K terms behave as a random walk, eps sqrt(K) of the row's size for K = the widest
 * product; those of the 2 (l+1) blocks below a site add the same way, each through a few such products (norm,
 * projections, softmax, gate): with 2 for these, a row may be off by 2 eps sqrt(K) sqrt(2 (l+1)) of its own length. A
 * bf16 rounding anywhere would be 2^-9 = 2e-3. */
static inline double tolerance(const struct lm_config *c, size_t layer) {
    return 2 * FLT_EPSILON * sqrt((double)c->mlp) * sqrt(2.0 * (double)(layer + 1));
}

/* With weights and intermediates in bf16: what transformers' own bf16 is off by on the same fixtures, where rows of 32
 * numbers average little: up to 0.044 of a row's length in layer 0 and 0.064 in layer 1. A wrong index would be off by
 * the whole length. */
static inline double tolerance_bf16(size_t layer) { return 16 * 0x1p-9 * sqrt(2.0 * (double)(layer + 1)); }

static inline void compare(const struct setup *u, size_t site, const float *got, const float *want, size_t T,
                           double *worst) {
    size_t layer = u->sites[site].layer;
    double tol = u->k.elem_bytes == 2 ? tolerance_bf16(layer) : tolerance(&u->m.c, layer);
    size_t D = lm_site_width(&u->m.c, &u->sites[site]);
    for (size_t t = 0; t < T; t++) {
        double d = 0, w = 0;
        for (size_t i = 0; i < D; i++) {
            double x = (double)got[t * D + i] - (double)want[t * D + i];
            d += x * x, w += (double)want[t * D + i] * (double)want[t * D + i];
        }
        double off = sqrt(d / w);
        if (!(off <= tol)) fail_msg("%s row %zu: off by %.2e, may be %.2e", u->sites[site].name, t, off, tol);
        if (off / tol > *worst) *worst = off / tol;
    }
}

#endif
