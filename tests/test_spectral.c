/* test_spectral.c - products through bits and tiles, eigenvectors, k-means, spectral clustering against scikit-learn. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/analysis/bitmul.h"
#include "kernels/analysis/symmul.h"
#include "lib/analysis/eigen.h"
#include "lib/analysis/kmeans.h"
#include "lib/analysis/spectral.h"
#include "lib/analysis/stats.h"
#include "lib/base/arena.h"
#include "lib/base/rng.h"
#include "lib/file/jsonfile.h"
#include "tests/kernel_cases.h"

#define PLANTED "tests/fixtures/analysis/planted"

/* CMocka compares as float; this one does not. NaN fails. */
#define assert_near(got, want, tol) assert_true(fabs((double)(got) - (double)(want)) <= (double)(tol))

static const double EPS32 = 0x1p-23;

static float *normals32(size_t n, uint64_t stream) {
    float *x = aligned_alloc(64, (n * 4 + 63) / 64 * 64);
    for (size_t i = 0; i < n; i++) x[i] = (float)rng_normal(5, stream, i);
    return x;
}

/* Every back end gives the same bytes, and the reference's numbers: gather adds at most 4096/16 numbers in a lane, scatter 256 in a
 * run, in float32: 256 eps32 sum|terms|; terms are of size 1, at most `n` of them. */
static void bitmul_backends(void **state) {
    const size_t sizes[][2] = {{1, 1}, {31, 2}, {33, 8}, {255, 3}, {257, 16}, {600, 70}}; /* features, words */
    (void)state;
    for (size_t s = 0; s < 6; s++) {
        size_t F = sizes[s][0], W = sizes[s][1], ld = W + 1, C = 64 * W;
        uint64_t *bits = malloc(F * ld * 8);
        float *u = normals32(4 * C, 1), *v = normals32(4 * F, 2);
        const int levels = (int)isa_best() + 1;
        double *y[1 + ISA_LEVELS], *z[1 + ISA_LEVELS];
        for (size_t i = 0; i < F * ld; i++) {
            uint32_t b[4];
            rng_block(5, 3, i, b);
            bits[i] = (uint64_t)b[0] << 32 | b[1];
        }
        for (int k = 0; k <= levels; k++) {
            y[k] = malloc((4 * F + 1) * 8), z[k] = malloc(4 * C * 8), y[k][4 * F] = 77;
            for (size_t i = 0; i < 4 * C; i++) z[k][i] = 0.5; /* scatter adds */
        }
        bitmul_gather_ref(F, W, bits, ld, u, C, y[0]);
        bitmul_scatter_ref(F, W, bits, ld, v, z[0], C);
        EACH_ISA(isa) {
            bitmul_gather_cpu(F, W, bits, ld, u, C, y[1 + isa]);
            bitmul_scatter_cpu(F, W, bits, ld, v, z[1 + isa], C);
        }
        for (size_t i = 0; i < 4 * F; i++) assert_true(fabs(y[1][i] - y[0][i]) <= 256 * EPS32 * (double)C);
        for (size_t i = 0; i < 4 * C; i++) assert_true(fabs(z[1][i] - z[0][i]) <= 256 * EPS32 * (double)F);
        for (int k = 2; k <= levels; k++) {
            assert_memory_equal(y[k], y[1], 4 * F * 8);
            assert_memory_equal(z[k], z[1], 4 * C * 8);
        }
        for (int k = 0; k <= levels; k++) assert_true(y[k][4 * F] == 77), free(y[k]), free(z[k]);
        free(bits), free(u), free(v);
    }
}

static void symmul_tiles(void **state) {
    enum { T = SYMMUL_T };
    float *a = normals32(T * T, 4), *xr = normals32(4 * T, 5), *xc = normals32(4 * T, 6);
    static float r1[4 * T], c1[4 * T], r2[4 * T], c2[4 * T];
    (void)state;
    symmul_tile_ref(a, xr, xc, r1, c1);
    symmul_tile_cpu(a, xr, xc, r2, c2);
    for (size_t i = 0; i < 4 * T; i++) { /* 64 eps32 sum|a x|, E|a x| = 2/pi */
        assert_true(fabs((double)r1[i] - (double)r2[i]) <= 64 * EPS32 * T);
        assert_true(fabs((double)c1[i] - (double)c2[i]) <= 64 * EPS32 * T);
    }
    free(a), free(xr), free(xc);
}

static void random_firing(struct firing *m, size_t F, size_t T, uint64_t seed) {
    struct err e;
    assert_int_equal(firing_init(m, F, T, 2, &e), 0);
    for (size_t f = 0; f < F; f++)
        for (size_t c = 0; c < T; c++)
            if (rng_uniform(seed, f, c) < 0.02 + 0.9 * rng_uniform(seed, 1u << 30, f)) firing_set(m, f, c);
    firing_count(m);
}

/* W by definition, in double. */
static double *dense(const struct firing *m, enum affinity kind) {
    size_t n = m->F;
    uint32_t *n11 = malloc(n * n * 4);
    float *a = malloc(n * n * 4);
    double *w = malloc(n * n * 8);
    firing_cofire(m, n11);
    affinity_tile(kind, n, n, n11, n, m->count, m->count, m->chunks, a, n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) w[i * n + j] = i == j ? 0 : (double)a[i * n + j] + (kind == AFFINITY_PHI);
    free(n11), free(a);
    return w;
}

static void check_product(struct graph *g, const double *w) {
    size_t n = g->n;
    double *x = malloc(4 * n * 8), *y = malloc(4 * n * 8), *d = calloc(n, 8);
    for (size_t i = 0; i < 4 * n; i++) x[i] = rng_normal(9, 1, i);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) d[i] += w[i * n + j];
    graph_apply(g, x, y);
    for (size_t i = 0; i < n; i++) { /* degrees: n float32 roundings of numbers up to 2 */
        assert_true(fabs(g->degree[i] - d[i]) <= (double)n * 2 * EPS32);
        for (size_t b = 0; b < 4; b++) {
            double want = 0, size = 0;
            for (size_t j = 0; j < n; j++) {
                double t = d[i] > 1e-6 && d[j] > 1e-6 ? w[i * n + j] / sqrt(d[i] * d[j]) * x[b * n + j] : 0;
                want += t, size += fabs(t);
            }
            assert_true(fabs(y[b * n + i] - want) <= 64 * EPS32 * (size + 1)); /* runs of 256 terms in lanes */
        }
    }
    free(x), free(y), free(d);
}

/* Formed and factored graphs against the definition; features that never and always fire included. */
static void products(void **state) {
    const size_t sizes[][2] = {{2, 7}, {31, 64}, {300, 90}, {513, 600}};
    struct err e = {0};
    (void)state;
    for (size_t s = 0; s < 4; s++) {
        struct firing m;
        struct graph g;
        random_firing(&m, sizes[s][0], sizes[s][1], s);
        for (size_t c = 0; s > 1 && c < m.chunks; c++) firing_set(&m, 3, c), m.bits[5 * m.words + c / 64] = 0;
        firing_count(&m);
        for (int k = 0; k < AFFINITIES; k++) {
            double *w = dense(&m, (enum affinity)k);
            assert_int_equal(graph_from_firing(&g, &m, (enum affinity)k, true, &e), 0);
            check_product(&g, w);
            graph_free(&g);
            int rc = graph_from_firing(&g, &m, (enum affinity)k, false, &e);
            assert_int_equal(rc, k == AFFINITY_PHI || k == AFFINITY_SMC ? 0 : ERR_UNSUPPORTED);
            if (!rc) check_product(&g, w);
            graph_free(&g);
            free(w);
        }
        firing_free(&m);
    }
}

static void angles(void **state) {
    enum { N = 270, D = 20 };
    float *x = normals32(N * D, 8);
    double *w = calloc(N * N, 8);
    struct graph g;
    struct err e = {0};
    (void)state;
    memcpy(x + 5 * D, x + 4 * D, D * sizeof *x); /* equal rows: angle 0 */
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            double a = 0, b = 0, c = 0;
            for (size_t d = 0; d < D; d++) {
                double p = (double)x[i * D + d], q = (double)x[j * D + d];
                a += p * p, b += q * q, c += p * q;
            }
            c /= sqrt(a * b);
            if (i != j) w[i * N + j] = 1 - acos(c > 1 ? 1 : c) / acos(-1);
        }
    assert_int_equal(graph_from_rows(&g, x, N, D, &e), 0);
    /* arccos near 1 turns an error of eps into sqrt(2 eps) = 5e-4: only the equal pair, 1e-3 of a degree of 135 */
    for (size_t i = 0; i < N; i++) {
        double d = 0;
        for (size_t j = 0; j < N; j++) d += w[i * N + j];
        assert_true(fabs(g.degree[i] - d) <= N * 4 * EPS32 + 1e-3 * (i == 4 || i == 5));
    }
    graph_free(&g);
    x[7 * D] = NAN;
    assert_int_equal(graph_from_rows(&g, x, N, D, &e), ERR_NUMERIC);
    assert_non_null(strstr(e.text, "row 7"));
    memset(x + 7 * D, 0, D * sizeof *x);
    assert_int_equal(graph_from_rows(&g, x, N, D, &e), ERR_NUMERIC);
    free(x), free(w);
}

/* What scikit-learn does on the planted fixture: eigenvalues (LAPACK, float64) and labels, all five affinities, both forms. */
static void sklearn_fixture(void **state) {
    struct firing all, m;
    struct err e = {0};
    json_t *o;
    uint32_t keep[420];
    int32_t want[420];
    size_t n = 0;
    (void)state;
    assert_int_equal(firing_read(&all, PLANTED ".safetensors", NULL, &e), 0);
    assert_int_equal(jsonfile_read(PLANTED ".json", &o, &e), 0);
    for (size_t f = 0; f < all.F; f++)
        if (all.count[f] && all.count[f] < all.chunks) keep[n++] = (uint32_t)f;
    assert_int_equal(n, 413);
    assert_int_equal(firing_select(&m, &all, keep, n, &e), 0);
    for (int k = 0; k < AFFINITIES; k++)
        for (int formed = 0; formed < 2; formed++) {
            json_t *a = json_object_get(json_object_get(o, "affinity"), affinity_name((enum affinity)k));
            json_t *values = json_object_get(a, "eigenvalues"), *label = json_object_get(a, "label");
            struct graph g;
            struct spectral s;
            double ari;
            if (graph_from_firing(&g, &m, (enum affinity)k, formed, &e)) continue;
            assert_int_equal(spectral_cluster(&g, 3, 10, 42, 1e-4, &s, &e), 0);
            assert_int_equal(s.n_values, 16);
            for (size_t i = 0; i < 16;
                 i++) { /* tight to the operator's 1e-6; the rest to the square of a residual of 1 % */
                double v = json_number_value(json_array_get(values, i)),
                       third = json_number_value(json_array_get(values, 2));
                assert_true(fabs(s.value[i] - v) <= (i < 3 ? 2e-6 : 1e-3 * third));
            }
            for (size_t i = 0; i < n; i++) want[i] = (int32_t)json_integer_value(json_array_get(label, i));
            assert_int_equal(stats_ari(want, 3, s.label, 3, n, &ari, &e), 0);
            assert_true(ari >= 0.98); /* other seeds of scikit-learn's own agree with each other to 0.98 */
            spectral_free(&s);
            graph_free(&g);
        }
    json_decref(o);
    firing_free(&m);
    firing_free(&all);
}

/* Theorems: A v = lambda v for all reported pairs, orthonormal vectors, embedding = vector / sqrt(degree), leading pair 1 and
 * sqrt(d); and the same bytes with one thread and two. */
static void residual_and_orthogonality(void **state) {
    struct firing m;
    struct err e = {0};
    (void)state;
    random_firing(&m, 700, 260, 11);
    for (int kind = 0; kind < AFFINITIES; kind++) {
        struct graph g;
        struct spectral s[2];
        int formed = kind != AFFINITY_PHI && kind != AFFINITY_SMC;
        for (int t = 0; t < 2; t++) {
            omp_set_num_threads(t + 1);
            assert_int_equal(graph_from_firing(&g, &m, (enum affinity)kind, formed, &e), 0);
            assert_int_equal(spectral_cluster(&g, 5, 4, 1, 1e-4, &s[t], &e), 0);
            if (!t) graph_free(&g);
        }
        size_t n = s[0].n, nv = s[0].n_values;
        double *x = calloc(4 * n, 8), *y = malloc(4 * n * 8);
        for (size_t i = 0; i < nv; i++) {
            double r = 0;
            memcpy(x, s[0].vector + i * n, n * 8);
            graph_apply(&g, x, y);
            for (size_t j = 0; j < n; j++) r += pow(y[j] - s[0].value[i] * x[j], 2);
            /* 1e-4 of the last wanted value, or 1 % of itself, and the operator's own noise */
            assert_true(sqrt(r) <=
                        (i < 5 ? 1e-4 * s[0].value[4] : 1e-2 * fmax(fabs(s[0].value[i]), s[0].value[4] * 1e-2)) + 1e-6);
            assert_true(i == 0 || s[0].value[i] <= s[0].value[i - 1]);
            for (size_t k = 0; k <= i; k++) {
                double dot = 0;
                for (size_t j = 0; j < n; j++) dot += s[0].vector[i * n + j] * s[0].vector[k * n + j];
                assert_true(fabs(dot - (i == k)) <= 1e-12);
            }
        }
        assert_true(s[0].value[0] == 1);
        for (size_t j = 0; j < n; j++)
            for (size_t k = 0; k < 5; k++)
                assert_true(fabs(s[0].embed[j * 5 + k] * sqrt(g.degree[j]) - s[0].vector[k * n + j]) <= 1e-12);
        assert_memory_equal(s[0].value, s[1].value, nv * 8);
        assert_memory_equal(s[0].vector, s[1].vector, nv * n * 8);
        assert_memory_equal(s[0].label, s[1].label, n * 4);
        assert_true(s[0].inertia == s[1].inertia);
        free(x), free(y);
        spectral_free(&s[0]), spectral_free(&s[1]);
        graph_free(&g);
    }
    omp_set_num_threads(omp_get_num_procs());
    firing_free(&m);
}

/* Eight chunks: phi has seven eigenvalues apart from those that are equal, and what is left of a product after them is rounding of the
 * affinities. The solver then brought the locked vector back, thirty times more of it with every block. */
static void few_chunks(void **state) {
    enum { N = 1200 };
    struct firing all, m;
    struct graph g;
    struct err e = {0};
    uint32_t keep[N];
    size_t n = 0;
    (void)state;
    random_firing(&all, N, 8, 5);
    for (size_t f = 0; f < N; f++)
        if (all.count[f] && all.count[f] < all.chunks) keep[n++] = (uint32_t)f;
    assert_int_equal(firing_select(&m, &all, keep, n, &e), 0);
    for (size_t k = 2; k <= 12; k += 5) {
        struct spectral s;
        assert_int_equal(graph_from_firing(&g, &m, AFFINITY_PHI, 0, &e), 0);
        if (spectral_cluster(&g, k, 4, 1, 1e-4, &s, &e)) fail_msg("%s", e.text);
        for (size_t i = 1; i < s.n_values; i++) {
            double dot = 0;
            for (size_t j = 0; j < n; j++) dot += s.vector[j] * s.vector[i * n + j];
            assert_true(fabs(dot) <= 1e-9 && s.value[i] < 0.99);
        }
        spectral_free(&s);
        graph_free(&g);
    }
    firing_free(&m), firing_free(&all);
}

/* A diagonal operator with chosen eigenvalues. */
struct diagonal {
    size_t n;
    const double *d;
};
static void diagonal_apply(void *ctx, const double *x, double *y) {
    const struct diagonal *o = ctx;
    for (size_t i = 0; i < EIGEN_B * o->n; i++) y[i] = o->d[i % o->n] * x[i];
}

/* The same, off by what is neither symmetric nor more than rounding. */
static void rounding_apply(void *ctx, const double *x, double *y) {
    const struct diagonal *o = ctx;
    diagonal_apply(ctx, x, y);
    for (size_t i = 0; i < EIGEN_B * o->n; i++) y[i] += 1e-9 * x[i / o->n * o->n + i * 7 % o->n];
}

/* More copies of one eigenvalue than a block holds; a spectrum of rank 3; all zero; NaN; the trace through LAPACK's path. */
static void hard_spectra(void **state) {
    enum { N = 1000, ALL = 20 };
    static double d[N], value[N], residual[N];
    double *vector = malloc(N * N * sizeof *vector), trace = 0;
    struct diagonal ctx = {N, d};
    struct eigen_op op = {N, diagonal_apply, &ctx};
    struct eigen_want want = {ALL, 12, 1e-6, 3, NULL, 0, 0};
    struct eigen_report report;
    struct err e = {0};
    (void)state;
    for (size_t i = 0; i < N; i++) d[i] = i % 90 == 7 ? 0.9 : 0.5 * rng_uniform(4, 4, i); /* 12 times 0.9 */
    assert_int_equal(eigen_leading(&op, &want, value, vector, residual, &report, &e), 0);
    for (size_t i = 0; i < 12; i++) assert_near(value[i], 0.9, 1e-9);
    assert_true(value[12] <= 0.5);
    for (size_t i = 0; i < N; i++) d[i] = i < 3 ? 1e-3 * (double)(3 - i) : 0;
    assert_int_equal(eigen_leading(&op, &want, value, vector, residual, &report, &e), 0);
    for (size_t i = 0; i < ALL; i++) assert_near(value[i], i < 3 ? d[i] : 0, 1e-9);
    /* a block of four sees four of the copies and then the easy 0.5: only starting anew brings up the fifth */
    for (size_t i = 0; i < N; i++) d[i] = i % 90 == 7 ? 0.9 : i == 50 ? 0.5 : 0.1 * rng_uniform(4, 4, i);
    want.n_all = want.n_tight = 5;
    assert_int_equal(eigen_leading(&op, &want, value, vector, residual, &report, &e), 0);
    assert_near(value[4], 0.9, 1e-9);
    memset(d, 0, sizeof d);
    assert_int_equal(eigen_leading(&op, &want, value, vector, residual, &report, &e), 0);
    assert_near(value[0], 0, 0);
    d[17] = NAN;
    assert_int_equal(eigen_leading(&op, &want, value, vector, residual, &report, &e), ERR_NUMERIC);
    double *known = calloc(N, sizeof *known); /* a pair of 1, and nothing else but rounding: zero, measured by |A| */
    for (size_t i = 0; i < N; i++) d[i] = i == 4;
    known[4] = 1;
    op.apply = rounding_apply;
    want = (struct eigen_want){ALL, 12, 1e-2, 3, known, 1, 1};
    assert_int_equal(eigen_leading(&op, &want, value, vector, residual, &report, &e), 0);
    assert_near(value[0], 0, 1e-8);
    op.apply = diagonal_apply;
    free(known);
    op.n = ctx.n = 50; /* directly, all pairs, one of them locked */
    double *lock = calloc(50, sizeof *lock);
    lock[9] = 1;
    for (size_t i = 0; i < 50; i++) d[i] = cos((double)i), trace += i == 9 ? 0 : d[i];
    want = (struct eigen_want){49, 3, 1e-9, 3, lock, 1, 0};
    assert_int_equal(eigen_leading(&op, &want, value, vector, residual, &report, &e), 0);
    for (size_t i = 0; i < 49; i++) trace -= value[i], assert_true(fabs(vector[i * 50 + 9]) <= 1e-12);
    assert_near(trace, 0, 1e-10);
    free(vector), free(lock);
}

/* Nine groups of features that never fire together: nine eigenvalues 1, and the clusters are the groups. Both solvers. */
static void disconnected(void **state) {
    (void)state;
    for (size_t each = 20; each <= 50; each += 30) {
        enum { PARTS = 9, PER = 30 };
        struct firing m;
        struct graph g;
        struct spectral s;
        struct err e = {0};
        size_t F = PARTS * each + 1; /* and one feature that fires alone: isolated for jaccard */
        assert_int_equal(firing_init(&m, F, PARTS * PER + 1, 1, &e), 0);
        for (size_t f = 0; f + 1 < F; f++)
            for (size_t c = 0; c < PER; c++)
                if (c == f % PER || rng_uniform(2, f, c) < 0.6) firing_set(&m, f, f % PARTS * PER + c);
        firing_set(&m, F - 1, PARTS * PER);
        firing_count(&m);
        assert_int_equal(graph_from_firing(&g, &m, AFFINITY_JACCARD, true, &e), 0);
        assert_int_equal(g.isolated, 1);
        assert_int_equal(spectral_cluster(&g, PARTS, 10, 1, 1e-4, &s, &e), 0);
        for (size_t i = 0; i < PARTS; i++) assert_near(s.value[i], 1, 1e-6);
        assert_true(s.value[PARTS] < 0.9);
        for (size_t f = 0; f + 1 < F; f++) assert_int_equal(s.label[f], s.label[f % PARTS]);
        for (size_t j = 0; j < PARTS; j++) assert_in_range(s.size[j], each, each + 1);
        for (size_t k = 0; k < PARTS; k++)
            assert_true(s.embed[(F - 1) * PARTS + k] == 0); /* at the origin, as in scikit-learn */
        assert_int_equal(spectral_eigengap(s.value, s.n_values), PARTS);
        spectral_free(&s);
        graph_free(&g);
        firing_free(&m);
    }
}

/* Equal features everywhere; k out of range; no weight at all; two features. */
static void bad_graphs(void **state) {
    struct firing m;
    struct graph g;
    struct spectral s;
    struct err e = {0};
    (void)state;
    for (size_t F = 40; F <= 400;
         F += 360) { /* all rows equal: every weight 2, second eigenvalue -1/(n-1), n-1 times */
        assert_int_equal(firing_init(&m, F, 10, 1, &e), 0);
        for (size_t f = 0; f < F; f++) firing_set(&m, f, 3), firing_set(&m, f, 8);
        firing_count(&m);
        assert_int_equal(graph_from_firing(&g, &m, AFFINITY_PHI, false, &e), 0);
        assert_int_equal(spectral_cluster(&g, 3, 2, 1, 1e-4, &s, &e), 0);
        assert_near(s.value[1], -1 / ((double)F - 1), 1e-7);
        for (size_t f = 0; f < F; f++) assert_in_range(s.label[f], 0, 2);
        spectral_free(&s);
        assert_int_equal(spectral_cluster(&g, F + 1, 2, 1, 1e-4, &s, &e), ERR_RANGE);
        assert_non_null(strstr(e.text, "want 2 to"));
        assert_int_equal(spectral_cluster(&g, 1, 2, 1, 1e-4, &s, &e), ERR_RANGE);
        graph_free(&g);
        firing_free(&m);
    }
    assert_int_equal(firing_init(&m, 3, 10, 1, &e), 0); /* each alone in its chunk */
    for (size_t f = 0; f < 3; f++) firing_set(&m, f, f);
    firing_count(&m);
    assert_int_equal(graph_from_firing(&g, &m, AFFINITY_DICE, true, &e), 0);
    assert_int_equal(spectral_cluster(&g, 2, 2, 1, 1e-4, &s, &e), ERR_NUMERIC);
    assert_non_null(strstr(e.text, "share any affinity"));
    graph_free(&g);
    assert_int_equal(graph_from_firing(&g, &m, AFFINITY_PHI, false, &e), 0);
    assert_int_equal(spectral_cluster(&g, 3, 2, 1, 1e-4, &s, &e), 0); /* k = n: each its own */
    for (size_t j = 0; j < 3; j++) assert_int_equal(s.size[j], 1);
    spectral_free(&s);
    graph_free(&g);
    firing_free(&m);
    assert_int_equal(firing_init(&m, 1, 10, 1, &e), 0);
    assert_int_equal(graph_from_firing(&g, &m, AFFINITY_PHI, false, &e), ERR_RANGE);
    firing_free(&m);
}

/* No memory, at every allocation in turn: an error, never a crash. */
static void no_memory(void **state) {
    struct firing m;
    struct err e = {0};
    (void)state;
    random_firing(&m, 400, 100, 2);
    int done = 0;
    omp_set_num_threads(1); /* the switch is per thread */
    for (long fail = 0; !done && fail < 60; fail++) {
        struct graph g = {0};
        struct spectral s = {0};
        mem_fail_after(fail);
        int rc = graph_from_firing(&g, &m, AFFINITY_JACCARD, true, &e);
        if (!rc) rc = spectral_cluster(&g, 3, 2, 1, 1e-4, &s, &e);
        mem_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_MEMORY);
        done = !rc;
        spectral_free(&s);
        graph_free(&g);
    }
    assert_true(done);
    omp_set_num_threads(omp_get_num_procs());
    firing_free(&m);
}

static double brute_inertia(const double *x, size_t n, size_t k, const size_t *label) {
    double total = 0;
    for (size_t j = 0; j < k; j++) {
        double s = 0, q = 0, c = 0;
        for (size_t i = 0; i < n; i++)
            if (label[i] == j) s += x[i], q += x[i] * x[i], c++;
        if (c > 0) total += q - s * s / c;
    }
    return total;
}

/* The best of all 3^9 labellings on a line; every point its own; fewer distinct points than k; NaN; k out of range. */
static void kmeans_cases(void **state) {
    enum { N = 9, K = 3 };
    const double x[N] = {0, 0.1, 0.3, 2, 2.2, 2.1, 7, 7.5, 3.9};
    double best = INFINITY;
    int32_t label[N];
    struct kmeans_report r;
    struct err e = {0};
    (void)state;
    for (size_t code = 0; code < 19683; code++) {
        size_t l[N], c = code;
        for (size_t i = 0; i < N; i++, c /= 3) l[i] = c % 3;
        double v = brute_inertia(x, N, K, l);
        if (v < best) best = v;
    }
    assert_int_equal(kmeans_run(x, N, 1, K, 10, 1, NULL, label, &r, &e), 0);
    assert_near(r.inertia, best, 1e-12);
    assert_int_equal(kmeans_run(x, N, 1, N, 1, 1, NULL, label, &r, &e), 0);
    assert_near(r.inertia, 0, 0);
    const double twice[6] = {1, 1, 1, 5, 5, 5};
    size_t size[4];
    assert_int_equal(kmeans_run(twice, 6, 1, 4, 3, 1, NULL, label, &r, &e), 0);
    assert_int_equal(kmeans_by_size(label, 6, 4, size, &e), 0);
    assert_true(size[0] == 3 && size[1] == 3 && !size[2] && !size[3] && label[0] == 0 && label[3] == 1);
    const int32_t given[N] = {0, 0, 0, 0, 0, 0, 0, 0, 0}; /* two empty clusters: refilled */
    assert_int_equal(kmeans_run(x, N, 1, K, 0, 1, given, label, &r, &e), 0);
    assert_int_equal(kmeans_by_size(label, N, K, size, &e), 0);
    assert_true(size[2] > 0 && r.inertia >= best - 1e-12 && r.inertia < 68.9 / 2); /* 68.9 in one cluster */
    const double bad[2] = {1, NAN};
    assert_int_equal(kmeans_run(bad, 2, 1, 1, 1, 1, NULL, label, &r, &e), ERR_NUMERIC);
    assert_int_equal(kmeans_run(x, N, 1, N + 1, 1, 1, NULL, label, &r, &e), ERR_RANGE);
    assert_int_equal(kmeans_run(x, N, 1, 0, 1, 1, NULL, label, &r, &e), ERR_RANGE);
}

/* Bounds must not change the answer: a fixed point of Lloyd's iteration, each point at its nearest centre, centres at means. */
static void kmeans_fixed_point(void **state) {
    enum { N = 900, D = 6, K = 11 };
    double *x = malloc(N * D * sizeof *x), centre[K][D] = {{0}}, count[K] = {0}, inertia = 0;
    int32_t label[N], qr[N];
    struct kmeans_report r;
    struct err e = {0};
    (void)state;
    for (size_t i = 0; i < N * D; i++) x[i] = rng_normal(8, 1, i) + 3 * rng_normal(8, 2, i / D % 7 * D + i % D);
    assert_int_equal(kmeans_run(x, N, D, K, 3, 1, NULL, label, &r, &e), 0);
    for (size_t i = 0; i < N; i++)
        for (size_t d = 0; d < D; d++) centre[label[i]][d] += x[i * D + d], count[label[i]] += d == 0;
    for (size_t i = 0; i < N; i++) {
        double own = 0, least = INFINITY;
        for (size_t j = 0; j < K; j++) {
            double s = 0;
            for (size_t d = 0; d < D; d++) s += pow(x[i * D + d] - centre[j][d] / count[j], 2);
            if (j == (size_t)label[i]) own = s;
            if (s < least) least = s;
        }
        inertia += own;
        assert_true(own <= least * (1 + 1e-9));
    }
    assert_near(r.inertia, inertia, 1e-9 * inertia);
    for (size_t j = 1; j < K; j++) assert_true(count[j] <= count[j - 1]); /* numbered by size */
    /* cluster_qr on indicator vectors finds the blocks whatever the rotation */
    for (size_t i = 0; i < N; i++) {
        x[3 * i] = i % 3 == 0 ? cos(1) : i % 3 == 1 ? -sin(1) : 0;
        x[3 * i + 1] = i % 3 == 0 ? sin(1) : i % 3 == 1 ? cos(1) : 0;
        x[3 * i + 2] = i % 3 == 2;
    }
    assert_int_equal(kmeans_cluster_qr(x, N, 3, qr, &e), 0);
    for (size_t i = 0; i < N; i++) assert_int_equal(qr[i], qr[i % 3]);
    assert_true(qr[0] != qr[1] && qr[1] != qr[2] && qr[0] != qr[2]);
    free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bitmul_backends), cmocka_unit_test(symmul_tiles),
        cmocka_unit_test(products),        cmocka_unit_test(angles),
        cmocka_unit_test(sklearn_fixture), cmocka_unit_test(residual_and_orthogonality),
        cmocka_unit_test(hard_spectra),    cmocka_unit_test(disconnected),
        cmocka_unit_test(bad_graphs),      cmocka_unit_test(no_memory),
        cmocka_unit_test(kmeans_cases),    cmocka_unit_test(kmeans_fixed_point),
        cmocka_unit_test(few_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
