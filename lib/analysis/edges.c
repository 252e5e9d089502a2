/* edges.c - see edges.h. */
#include "lib/analysis/edges.h"

#include <stdbool.h>
#include <stdlib.h>

#include "kernels/analysis/attract.h"
#include "lib/base/arena.h"

struct edge {
    int32_t j;
    float p;
};

static int by_index(const void *a, const void *b) {
    const struct edge *p = a, *q = b;
    return (p->j > q->j) - (p->j < q->j);
}

/* Rows of the graph, each sorted by column. */
static void sorted_rows(const struct knn *g, const float *w, struct edge *c) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < g->n; i++) {
        struct edge *row = c + i * g->k;
        for (size_t q = 0; q < g->k; q++) row[q] = (struct edge){g->index[i * g->k + q], w[i * g->k + q]};
        qsort(row, g->k, sizeof *row, by_index);
    }
}

/* t := the transpose of c, with its row starts; rows come out sorted because i ascends. */
static void transpose(const struct knn *g, const struct edge *c, size_t *start, struct edge *t) {
    for (size_t q = 0; q < g->n * g->k; q++) start[c[q].j + 1]++;
    for (size_t i = 0; i < g->n; i++) start[i + 1] += start[i];
    for (size_t i = 0; i < g->n; i++)
        for (size_t q = 0; q < g->k; q++) {
            const struct edge *x = c + i * g->k + q;
            t[start[x->j]++] = (struct edge){(int32_t)i, x->p};
        }
    for (size_t i = g->n; i > 0; i--) start[i] = start[i - 1];
    start[0] = 0;
}

struct mixing {
    double (*mix)(double a, double b, double ctx);
    double ctx;
};

/* Merge two sorted rows, mixing where both have a column, or with 0; returns the length. With col NULL only counts. */
static size_t merge(const struct edge *a, size_t na, const struct edge *b, size_t nb, const struct mixing *how,
                    int32_t *col, float *p) {
    size_t n = 0, i = 0, j = 0;
    while (i < na || j < nb) {
        bool left = j == nb || (i < na && a[i].j <= b[j].j), right = i == na || (j < nb && b[j].j <= a[i].j);
        if (col) {
            col[n] = left ? a[i].j : b[j].j;
            p[n] = (float)how->mix(left ? (double)a[i].p : 0, right ? (double)b[j].p : 0, how->ctx);
        }
        i += left;
        j += right;
        n++;
    }
    return n;
}

static int fill(const struct knn *g, const struct edge *c, const size_t *start, const struct edge *t,
                const struct mixing *how, struct edges *out, struct err *e) {
    size_t n = g->n, k = g->k;
    for (size_t i = 0; i < n; i++) {
        size_t m = merge(c + i * k, k, t + start[i], start[i + 1] - start[i], how, NULL, NULL);
        out->row[i + 1] = out->row[i] + (m + ATTRACT_LANES - 1) / ATTRACT_LANES * ATTRACT_LANES;
    }
    out->col = mem_array(out->row[n], sizeof *out->col, "edges", e);
    out->p = mem_array(out->row[n], sizeof *out->p, "edges", e);
    if (!out->col || !out->p) return ERR_MEMORY;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        size_t at = out->row[i];
        at += merge(c + i * k, k, t + start[i], start[i + 1] - start[i], how, out->col + at, out->p + at);
        for (; at < out->row[i + 1]; at++) out->col[at] = (int32_t)i;
    }
    return 0;
}

int edges_symmetric(const struct knn *g, const float *w, double (*mix)(double a, double b, double ctx), double ctx,
                    struct edges *out, struct err *e) {
    *out = (struct edges){.n = g->n};
    struct edge *c = mem_array(g->n, 2 * g->k * sizeof *c, "edges", e), *t = c + g->n * g->k;
    size_t *start = c ? mem_array(g->n + 1, sizeof *start, "edges", e) : NULL;
    out->row = start ? mem_array(g->n + 1, sizeof *out->row, "edges", e) : NULL;
    int rc = out->row ? 0 : ERR_MEMORY;
    if (!rc) {
        sorted_rows(g, w, c);
        transpose(g, c, start, t);
        rc = fill(g, c, start, t, &(struct mixing){mix, ctx}, out, e);
    }
    free(c);
    free(start);
    if (rc) edges_free(out);
    return rc;
}

void edges_free(struct edges *s) {
    free(s->row);
    free(s->col);
    free(s->p);
    *s = (struct edges){0};
}
