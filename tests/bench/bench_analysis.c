/* bench_analysis.c - the analysis stages at the papers' size, F = 16384, on seeded synthetic data: seconds beside the targets.
 * Data: unit directions in families (48 clusters, a few near copies each), chunks with 7.5 % of the features firing at rates that fall
 * off as a power law. KL values are those of this data only. The peers on like shapes: tests/bench/analysis_sklearn.py. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/analysis/firing.h"
#include "lib/analysis/spectral.h"
#include "lib/analysis/trust.h"
#include "lib/analysis/tsne.h"
#include "lib/base/clock.h"
#include "lib/base/rng.h"

enum { F = 16384, CHUNKS = 2000 };

static void stop(const struct err *e) {
    fprintf(stderr, "bench_analysis: %s\n", e->text);
    exit(1);
}

static void row(const char *op, const char *size, double s, double target_s, const char *note) {
    printf("%-34s %-22s %8.3f", op, size, s);
    if (target_s > 0) printf(" %9.2f", target_s);
    else printf(" %9s", "");
    printf("  %s\n", note);
    fflush(stdout);
}

/* Feature f belongs to language f % 2 and fires in its chunks at a rate of its own. */
static void make_firing(struct firing *m, size_t chunks) {
    struct err e;
    if (firing_init(m, F, chunks, 2, &e)) stop(&e);
    for (size_t c = 0; c < chunks; c++) m->group[c] = (int32_t)(c % 2);
    for (size_t f = 0; f < F; f++) {
        double rate = 0.9 * pow(rng_uniform(1, 2, f), 5.0);
        for (size_t c = 0; c < chunks; c++)
            if (rng_uniform(1, 3 + f, c) < rate * (c % 2 == f % 2 ? 1.0 : 0.15)) firing_set(m, f, c);
    }
    firing_count(m);
}

static void counts_and_affinities(void) {
    const size_t chunks[] = {80, 2000, 20000};
    const double target[] = {0.6, 0.8, 3.5};
    uint32_t *n11 = malloc((size_t)F * F * sizeof *n11);
    struct firing m;
    char size[64];
    if (!n11) exit(1);
    memset(n11, 1, (size_t)F * F * sizeof *n11); /* first touch is the allocator's cost, not ours */
    for (int i = 0; i < 3; i++) {
        make_firing(&m, chunks[i]);
        double t = clock_s();
        firing_cofire(&m, n11);
        snprintf(size, sizeof size, "F %d, %zu chunks", F, chunks[i]);
        row("co-firing counts", size, clock_s() - t, target[i], "");
        if (i < 2) firing_free(&m);
    }
    for (int k = 0; k < AFFINITIES; k++) {
        double t = clock_s(); /* from the counts of the last one, a row block at a time, into a block: nothing F x F is added */
#pragma omp parallel
        {
            float *out = malloc((size_t)64 * F * sizeof *out);
#pragma omp for schedule(static)
            for (size_t i = 0; i < F; i += 64)
                affinity_tile((enum affinity)k, 64, F, n11 + i * F, F, m.count + i, m.count, m.chunks, out, F);
            free(out);
        }
        char op[40];
        snprintf(op, sizeof op, "affinity %s", affinity_name((enum affinity)k));
        snprintf(size, sizeof size, "F %d", F);
        row(op, size, clock_s() - t, 0.3, "");
    }
    firing_free(&m);
    free(n11);
}

static void spectral(enum affinity kind, bool formed, size_t k, double target) {
    struct firing all, m;
    struct graph g;
    struct spectral s;
    struct err e;
    char op[64], size[64], note[96];
    make_firing(&all, CHUNKS);
    uint32_t *keep = malloc(F * sizeof *keep);
    size_t n = 0;
    for (size_t f = 0; f < F; f++)
        if (all.count[f] >= 10 && all.count[f] <= CHUNKS - 10) keep[n++] = (uint32_t)f;
    if (firing_select(&m, &all, keep, n, &e)) stop(&e);
    double t = clock_s();
    if (graph_from_firing(&g, &m, kind, formed, &e) || spectral_cluster(&g, k, 10, 42, 1e-4, &s, &e)) stop(&e);
    double spent = clock_s() - t;
    snprintf(op, sizeof op, "spectral %s, k %zu", affinity_name(kind), k);
    snprintf(size, sizeof size, "n %zu, %d chunks", n, CHUNKS);
    snprintf(note, sizeof note, "residual %.0e of lambda_k, %zu products, largest cluster %zu", s.worst, s.products, s.size[0]);
    row(op, size, spent, target, note);
    spectral_free(&s), graph_free(&g), firing_free(&m), firing_free(&all), free(keep);
}

static float *directions(size_t n, size_t D) {
    float *x = malloc(n * D * sizeof *x);
    if (!x) exit(1);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        uint64_t family = rng_below(5, 1, i, n / 12), cluster = rng_below(5, 2, family, 48);
        double norm2 = 0;
        for (size_t d = 0; d < D; d++) {
            double v = 0.5 * rng_normal(5, 1000 + cluster, d) + 0.7 * rng_normal(5, 100000 + family, d) +
                       1.2 * rng_normal(5, 10000000 + i, d);
            x[i * D + d] = (float)v, norm2 += v * v;
        }
        for (size_t d = 0; d < D; d++) x[i * D + d] = (float)((double)x[i * D + d] / sqrt(norm2));
    }
    return x;
}

static void neighbours(size_t n, size_t D, double target) {
    struct knn g;
    struct err e;
    char size[64];
    float *x = directions(n, D);
    double t = clock_s();
    if (knn_exact(x, n, D, 90, &g, &e)) stop(&e);
    snprintf(size, sizeof size, "n %zu, D %zu", n, D);
    row("exact neighbours, k 90", size, clock_s() - t, target, "recall 1");
    knn_free(&g), free(x);
}

static void map(size_t n, size_t D, double target) {
    struct knn g;
    struct edges P;
    struct trust trust;
    struct err e;
    const struct tsne_options o = {.iterations = 1000, .exaggeration = 12, .repulsion = TSNE_AUTO};
    char size[64], note[96];
    double kl = 0;
    float *x = directions(n, D), *xy = malloc(2 * n * sizeof *xy);
    double t = clock_s();
    if (knn_exact(x, n, D, 90, &g, &e) || perplexity_edges(&g, 30, &P, NULL, &e) || tsne_start(x, n, D, 0, false, xy, &e) ||
        tsne_descend(&P, &o, xy, &e))
        stop(&e);
    double spent = clock_s() - t;
    if (tsne_divergence(&P, xy, &kl, &e) || trust_measure(x, n, D, xy, &g, 10, &trust, &e)) stop(&e);
    snprintf(size, sizeof size, "n %zu, D %zu", n, D);
    snprintf(note, sizeof note, "exact KL %.3f, trustworthiness %.3f", kl, trust.trustworthiness);
    row("t-SNE, 1000 steps, all in", size, spent, target, note);
    edges_free(&P), knn_free(&g), free(x), free(xy);
}

int main(void) {
    printf("%-34s %-22s %8s %9s\n", "operation", "size", "s", "target s");
    counts_and_affinities();
    spectral(AFFINITY_PHI, false, 8, 0.4);
    spectral(AFFINITY_PHI, false, 64, 0);
    spectral(AFFINITY_JACCARD, true, 8, 2);
    spectral(AFFINITY_JACCARD, true, 64, 8);
    neighbours(16384, 256, 0);
    neighbours(16384, 3584, 8.5);
    map(4096, 256, 2.5);
    map(16384, 256, 8);
    return 0;
}
