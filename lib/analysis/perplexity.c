/* perplexity.c - see perplexity.h. */
#include "lib/analysis/perplexity.h"

#include <math.h>
#include <stdlib.h>

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

/* The conditional weights; returns how many rows had no solution. */
static size_t conditional(const struct knn *g, double perplexity, float *w, bool *memory) {
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
            unreached += !perplexity_row(g->k, g->d2 + i * g->k, perplexity, p);
            for (size_t q = 0; q < g->k; q++) w[i * g->k + q] = (float)p[q];
        }
        free(p);
    }
    return unreached;
}

static double mean(double a, double b, double n) { return 1 / (2 * n) * (a + b); }

int perplexity_edges(const struct knn *g, double perplexity, struct edges *out, size_t *unreached, struct err *e) {
    bool memory;
    *out = (struct edges){0};
    float *w = mem_array(g->n, g->k * sizeof *w, "t-SNE: weights", e);
    if (!w) return ERR_MEMORY;
    size_t no_solution = conditional(g, perplexity, w, &memory);
    int rc = memory ? 0 : err_set(e, ERR_MEMORY, "t-SNE: cannot have scratch memory for a thread");
    if (!rc) rc = edges_symmetric(g, w, mean, (double)g->n, out, e);
    free(w);
    if (unreached) *unreached = no_solution;
    return rc;
}
