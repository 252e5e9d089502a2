/* perplexity.c - see perplexity.h. */
#include "lib/analysis/perplexity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/attract.h"
#include "lib/base/arena.h"

int perplexity_neighbours(double perplexity, size_t n, size_t *k, struct err *e) {
    double most = n > 1 ? (double)(n - 1) / 3 : 0;
    *k = 0;
    if (perplexity >= 1 && perplexity <= most) {
        *k = (size_t)(3 * perplexity);
        return 0;
    }
    err_set(e, ERR_RANGE, "perplexity: want 1 to %.6g for %zu points, got %g", most, n, perplexity);
    if (n < 4) return err_hint(e, "t-SNE needs at least 4 points; with --features live only features that fire count");
    return err_hint(e,
                    "t-SNE looks at 3 x perplexity neighbours, and each point has %zu: use --perplexity %.6g or less",
                    n - 1, floor(most * 10) / 10);
}

/* Entropy of the weights for beta, and its derivative in beta: H = log s + beta <d>, dH/dbeta = -beta var(d). */
static double entropy(size_t k, const float *d2, double beta, double *p, double *slope) {
    double s = 0, sd = 0, sdd = 0;
    for (size_t j = 0; j < k; j++) {
        double d = (double)d2[j] - (double)d2[0], w = p[j] = exp(-beta * d);
        s += w;
        sd += w * d;
        sdd += w * d * d;
    }
    for (size_t j = 0; j < k; j++) p[j] /= s;
    sd /= s;
    *slope = -beta * (sdd / s - sd * sd);
    return log(s) + beta * sd;
}

bool perplexity_row(size_t k, const float *d2, double perplexity, double *p) {
    double want = log(perplexity), lo = 0, hi = INFINITY, mean = 0;
    size_t ties = 0;
    for (size_t j = 0; j < k; j++) {
        mean += ((double)d2[j] - (double)d2[0]) / (double)k;
        ties += d2[j] <= d2[0];
    }
    if ((double)ties >= perplexity) {
        for (size_t j = 0; j < k; j++) p[j] = j < ties ? 1 / (double)ties : 0;
        return (double)ties <= perplexity;
    }
    double beta = 1 / mean;
    for (int step = 0; step < 200; step++) {
        double slope, gap = entropy(k, d2, beta, p, &slope) - want;
        if (fabs(gap) <= 1e-10) break;
        if (gap > 0)
            lo = beta;
        else
            hi = beta;
        double next = beta - gap / slope; /* Newton, unless it leaves the bracket */
        if (!(next > lo && next < hi)) next = hi < INFINITY ? (lo + hi) / 2 : 2 * beta;
        if (next > 8 * beta) next = 8 * beta;
        beta = next;
    }
    return true;
}

struct edge {
    int32_t j;
    float p;
};

static int by_index(const void *a, const void *b) {
    const struct edge *p = a, *q = b;
    return (p->j > q->j) - (p->j < q->j);
}

/* The conditional weights, each row sorted by column. */
static size_t conditional_rows(const struct knn *g, double perplexity, struct edge *c, bool *memory) {
    size_t unreached = 0;
    *memory = true;
#pragma omp parallel reduction(+ : unreached)
    {
        double *p = malloc(g->k * sizeof *p);
        if (!p) {
#pragma omp atomic write
            *memory = false;
        }
#pragma omp for schedule(static)
        for (size_t i = 0; i < g->n; i++) {
            if (!p) continue;
            struct edge *row = c + i * g->k;
            unreached += !perplexity_row(g->k, g->d2 + i * g->k, perplexity, p);
            for (size_t q = 0; q < g->k; q++) row[q] = (struct edge){g->index[i * g->k + q], (float)p[q]};
            qsort(row, g->k, sizeof *row, by_index);
        }
        free(p);
    }
    return unreached;
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

/* Merge two sorted rows, adding where both have a column; returns the length. With col NULL only counts. */
static size_t merge(const struct edge *a, size_t na, const struct edge *b, size_t nb, double scale, int32_t *col,
                    float *p) {
    size_t n = 0, i = 0, j = 0;
    while (i < na || j < nb) {
        bool left = j == nb || (i < na && a[i].j <= b[j].j), right = i == na || (j < nb && b[j].j <= a[i].j);
        if (col) {
            col[n] = left ? a[i].j : b[j].j;
            p[n] = (float)(scale * ((left ? (double)a[i].p : 0) + (right ? (double)b[j].p : 0)));
        }
        i += left;
        j += right;
        n++;
    }
    return n;
}

static int fill(const struct knn *g, const struct edge *c, const size_t *start, const struct edge *t, struct edges *out,
                struct err *e) {
    size_t n = g->n, k = g->k;
    for (size_t i = 0; i < n; i++) {
        size_t m = merge(c + i * k, k, t + start[i], start[i + 1] - start[i], 0, NULL, NULL);
        out->row[i + 1] = out->row[i] + (m + ATTRACT_LANES - 1) / ATTRACT_LANES * ATTRACT_LANES;
    }
    out->col = mem_array(out->row[n], sizeof *out->col, "t-SNE: edges", e);
    out->p = mem_array(out->row[n], sizeof *out->p, "t-SNE: edges", e);
    if (!out->col || !out->p) return ERR_MEMORY;
    double scale = 1 / (2 * (double)n);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        size_t at = out->row[i];
        at += merge(c + i * k, k, t + start[i], start[i + 1] - start[i], scale, out->col + at, out->p + at);
        for (; at < out->row[i + 1]; at++) out->col[at] = (int32_t)i;
    }
    return 0;
}

int perplexity_edges(const struct knn *g, double perplexity, struct edges *out, size_t *unreached, struct err *e) {
    *out = (struct edges){.n = g->n};
    struct edge *c = mem_array(g->n, g->k * sizeof *c, "t-SNE: weights", e);
    struct edge *t = mem_array(g->n, g->k * sizeof *t, "t-SNE: weights", e);
    size_t *start = mem_array(g->n + 1, sizeof *start, "t-SNE: weights", e), no_solution = 0;
    out->row = mem_array(g->n + 1, sizeof *out->row, "t-SNE: edges", e);
    int rc = c && t && start && out->row ? 0 : ERR_MEMORY;
    if (!rc) {
        bool memory;
        no_solution = conditional_rows(g, perplexity, c, &memory);
        if (!memory) rc = err_set(e, ERR_MEMORY, "t-SNE: cannot have scratch memory for a thread");
    }
    if (!rc) {
        transpose(g, c, start, t);
        rc = fill(g, c, start, t, out, e);
    }
    free(c);
    free(t);
    free(start);
    if (unreached) *unreached = no_solution;
    if (rc) edges_free(out);
    return rc;
}

void edges_free(struct edges *s) {
    free(s->row);
    free(s->col);
    free(s->p);
    *s = (struct edges){0};
}
