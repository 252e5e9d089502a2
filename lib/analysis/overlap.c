/* overlap.c - see overlap.h. */
#include "lib/analysis/overlap.h"

#include <math.h>
#include <string.h>

size_t overlap_common(const int32_t *a, const int32_t *b, size_t k) {
    size_t n = 0;
    for (size_t p = 0; p < k; p++)
        for (size_t q = 0; q < k; q++) n += a[p] == b[q];
    return n;
}

static double log_choose(double n, double k) { return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1); }

/* sum_m P(m) m / (2k - m) for k of N drawn twice. */
static double jaccard_chance(size_t N, size_t k) {
    double sum = 0, all = log_choose((double)N, (double)k);
    for (size_t m = 1; m <= k; m++) {
        if (2 * k - m > N) continue; /* the two sets would not fit beside each other */
        double p = exp(log_choose((double)k, (double)m) + log_choose((double)(N - k), (double)(k - m)) - all);
        sum += p * (double)m / (double)(2 * k - m);
    }
    return sum;
}

/* Common entries of the first q+1 of each list, for q = 0 .. k-1, from those of the first q: what the two new entries
 * add. */
static void add_prefixes(const int32_t *a, const int32_t *b, size_t k, double *sum, uint64_t *last) {
    uint64_t n = 0;
    for (size_t q = 0; q < k; q++) {
        n += a[q] == b[q];
        for (size_t p = 0; p < q; p++) n += (uint64_t)(a[p] == b[q]) + (uint64_t)(a[q] == b[p]);
        sum[q] += (double)n; /* a whole number below 2^53: exact */
    }
    *last = n;
}

void overlap_measure(const struct knn *a, const struct knn *b, double *share, uint64_t *common, struct overlap *out) {
    CHECK(a->n == b->n && a->k == b->k && a->k < a->n);
    size_t n = a->n, k = a->k;
    double jaccard = 0;
    memset(share, 0, k * sizeof *share);
    if (common) memset(common, 0, (k + 1) * sizeof *common);
    for (size_t i = 0; i < n; i++) {
        uint64_t m;
        add_prefixes(a->index + i * k, b->index + i * k, k, share, &m);
        jaccard += (double)m / (double)(2 * k - m);
        if (common) common[m]++;
    }
    for (size_t q = 0; q < k; q++) share[q] /= (double)n * (double)(q + 1);
    double N = (double)(n - 1), p = (double)k / N;
    out->jaccard = jaccard / (double)n;
    out->jaccard_chance = jaccard_chance(n - 1, k);
    out->share_sd = n > 2 ? sqrt(p * (1 - p) * (N - (double)k) / ((N - 1) * (double)k)) : 0;
}

static float distance(const float *a, const float *b, size_t dims) {
    float s = 0;
    for (size_t d = 0; d < dims; d++) s += (a[d] - b[d]) * (a[d] - b[d]);
    return s;
}

double overlap_between(const float *score, size_t stride, size_t dims, const struct knn *g) {
    size_t n = g->n, k = g->k;
    uint64_t twice = 0; /* 2 for a nearer row, 1 for one at equal distance */
    CHECK(dims >= 1 && dims <= stride && n > 2);
#pragma omp parallel for schedule(static) reduction(+ : twice)
    for (size_t i = 0; i < n; i++)
        for (size_t q = 0; q < k; q++) {
            const float *at = score + i * stride;
            float reach = distance(at, score + (size_t)g->index[i * k + q] * stride, dims);
            uint32_t below = 0, equal = 0;
            for (size_t l = 0; l < n; l++) {
                float d = distance(at, score + l * stride, dims);
                below += d < reach, equal += d == reach;
            }
            below -= reach > 0, equal -= reach > 0 ? 1 : 2; /* i itself and the neighbour are not among the others */
            twice += 2 * (uint64_t)below + equal;
        }
    return (double)twice / (2 * (double)(n - 2) * (double)n * (double)k);
}
