/* spectral.c - see spectral.h. */
#include "lib/analysis/spectral.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/analysis/eigen.h"
#include "lib/analysis/kmeans.h"
#include "lib/base/arena.h"

_Static_assert((int)EIGEN_B == (int)GRAPH_B, "the solver's block is the graph's");

void spectral_free(struct spectral *s) {
    free(s->value), free(s->residual), free(s->vector), free(s->embed), free(s->label), free(s->size);
    *s = (struct spectral){0};
}

static int init(struct spectral *s, size_t n, size_t k, struct err *e) {
    size_t m = k + SPECTRAL_MORE > SPECTRAL_LEAST ? k + SPECTRAL_MORE : SPECTRAL_LEAST;
    *s = (struct spectral){.n = n, .k = k, .n_values = m < n ? m : n};
    size_t nv = s->n_values, elems;
    if (!size_product(n, nv, 1, &elems)) elems = SIZE_MAX;
    s->value = mem_array(nv, sizeof *s->value, "spectral clustering", e);
    s->residual = s->value ? mem_array(nv, sizeof *s->residual, "spectral clustering", e) : NULL;
    s->vector = s->residual ? mem_array(elems, sizeof *s->vector, "spectral clustering", e) : NULL;
    s->embed = s->vector ? mem_array(n * k, sizeof *s->embed, "spectral clustering", e) : NULL;
    s->label = s->embed ? mem_array(n, sizeof *s->label, "spectral clustering", e) : NULL;
    s->size = s->label ? mem_array(k, sizeof *s->size, "spectral clustering", e) : NULL;
    return s->size ? 0 : ERR_MEMORY;
}

/* The pair known beforehand: 1 and sqrt(d)/|sqrt(d)|; its residual shows how well the operator keeps it. */
static int trivial_pair(struct graph *g, struct spectral *s, struct err *e) {
    double sum = 0, r = 0;
    size_t n = g->n;
    double *x = mem_array(2 * GRAPH_B * n, sizeof *x, "spectral clustering", e), *y = x ? x + GRAPH_B * n : NULL;
    if (!x) return ERR_MEMORY;
    for (size_t i = 0; i < n; i++) sum += g->degree[i];
    for (size_t i = 0; i < n; i++) s->vector[i] = x[i] = sqrt(g->degree[i] / sum);
    graph_apply(g, x, y);
    for (size_t i = 0; i < n; i++) r += (y[i] - x[i]) * (y[i] - x[i]);
    s->value[0] = 1;
    s->residual[0] = sqrt(r);
    free(x);
    return 0;
}

static int embed(struct graph *g, struct spectral *s, uint64_t seed, double tol, struct err *e) {
    size_t n = g->n, nv = s->n_values;
    struct eigen_report report = {0};
    int rc = trivial_pair(g, s, e);
    if (!rc && nv > 1) {
        const struct eigen_op op = {n, graph_apply, g};
        const struct eigen_want want = {nv - 1, s->k - 1, tol, seed, s->vector, 1, 1};
        rc = eigen_leading(&op, &want, s->value + 1, s->vector + n, s->residual + 1, &report, e);
    }
    for (size_t i = 0; !rc && i < n; i++)
        for (size_t j = 0; j < s->k; j++) s->embed[i * s->k + j] = s->vector[j * n + i] * g->inv_root[i];
    s->products = report.products + GRAPH_B;
    s->worst = report.residual;
    return rc;
}

int spectral_cluster(struct graph *g, size_t k, size_t restarts, uint64_t seed, double tol, struct spectral *out,
                     struct err *e) {
    struct kmeans_report km = {0};
    *out = (struct spectral){0};
    if (k < 2 || k > g->n) {
        err_set(e, ERR_RANGE, "spectral clustering: %zu clusters of %zu features: want 2 to %zu", k, g->n, g->n);
        return err_hint(e, "ask for fewer clusters, or let more features in");
    }
    if (g->isolated == g->n)
        return err_set(e, ERR_NUMERIC, "spectral clustering: no two of the %zu features share any affinity", g->n);
    int rc = init(out, g->n, k, e);
    if (!rc) rc = embed(g, out, seed, tol, e);
    int32_t *given = rc ? NULL : mem_array(g->n, sizeof *given, "spectral clustering", e);
    if (!rc && !given) rc = ERR_MEMORY;
    if (!rc) rc = kmeans_cluster_qr(out->embed, g->n, k, given, e);
    if (!rc) rc = kmeans_run(out->embed, g->n, k, k, restarts, seed, given, out->label, &km, e);
    if (!rc) rc = kmeans_by_size(out->label, g->n, k, out->size, e);
    out->start = km.start;
    out->inertia = km.inertia;
    free(given);
    if (rc) spectral_free(out);
    return rc;
}

size_t spectral_eigengap(const double *value, size_t n_values) {
    size_t best = 0;
    double most = 0;
    for (size_t i = 2; i < n_values; i++)
        if (value[i - 1] - value[i] > most) most = value[i - 1] - value[i], best = i;
    return best;
}
