/* test_tsne.c - t-SNE: forces against their definitions and finite differences, perplexity, components, divergence and
 * trustworthiness against scikit-learn, threads, degenerate points. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/analysis/attract.h"
#include "kernels/analysis/spline.h"
#include "lib/analysis/pca.h"
#include "lib/analysis/trust.h"
#include "lib/analysis/tsne_fit.h"
#include "lib/base/arena.h"
#include "lib/base/rng.h"
#include "lib/file/safetensors.h"
#include "tests/kernel_cases.h"

#define FIXTURE  "tests/fixtures/tsne/tsne.safetensors"
#define COUNT(a) (sizeof(a) / sizeof *(a))

static float *normals(size_t n, uint64_t seed, double sd) {
    float *x = malloc((n + 1) * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (float)(sd * rng_normal(seed, 0, i));
    return x;
}

/* |a - b| over |b|, as vectors. */
static double far(size_t n, const float *a, const double *b) {
    double d = 0, m = 0;
    for (size_t i = 0; i < n; i++) d += (a[i] - b[i]) * (a[i] - b[i]), m += b[i] * b[i];
    return sqrt(d / (m > 0 ? m : 1));
}

static struct edges graph(const float *x, size_t n, size_t D, double perplexity) {
    struct knn g;
    struct edges P;
    struct err e = {0};
    size_t k;
    if (perplexity_neighbours(perplexity, n, &k, &e) || knn_exact(x, n, D, k, &g, &e) ||
        perplexity_edges(&g, perplexity, &P, NULL, &e))
        fail_msg("%s", e.text);
    knn_free(&g);
    return P;
}

/* ---- forces ---- */

static void repulsion_equals_its_definition(void **state) {
    (void)state;
    const size_t size[] = {1, 2, 15, 16, 17, 31, 33, 255, 256, 257, 300, 1000};
    for (size_t s = 0; s < COUNT(size); s++) {
        size_t n = size[s];
        float *x = normals(n, 1, 20), *y = normals(n, 2, 20), *f = malloc(4 * (n + 1) * sizeof *f);
        double *dx = malloc(2 * n * sizeof *dx), *dy = dx + n;
        if (n > 20) x[3] = x[17], y[3] = y[17], x[20] = 1e6f; /* two points in one place, one far away */
        double want = repulse_ref(n, x, y, dx, dy), z[ISA_LEVELS], exact;
        EACH_ISA(isa) {
            struct repulse r;
            float *fx = isa ? f + 2 * (n + 1) : f, *fy = fx + n + 1;
            assert_int_equal(repulse_init(&r, n, NULL), 0);
            fx[n] = fy[n] = 77; /* guards */
            z[isa] = repulse_cpu(&r, x, y, fx, fy);
            assert_true(fx[n] == 77 && fy[n] == 77);
            /* Z sums at most 256 numbers in float32 before double takes over: 16 lanes, 16 additions each, and 5
             * roundings in a term: 25 eps. Forces: their terms cancel, by a factor of up to 10 here. */
            assert_true(fabs(z[isa] - want) <= 25 * 6e-8 * (want + 1));
            assert_true(far(n, fx, dx) <= 10 * 25 * 6e-8 && far(n, fy, dy) <= 10 * 25 * 6e-8);
            if (isa) assert_memory_equal(f, fx, n * sizeof *f); /* every instruction set, the same bytes */
            if (isa) assert_memory_equal(f + n + 1, fy, n * sizeof *f);
            if (isa) assert_true(z[isa] == z[0]);
            assert_int_equal(repulse_z_cpu(n, x, y, &exact, NULL), 0);
            assert_true(fabs(exact - repulse_z_ref(n, x, y)) <= 1e-12 * (want + 1));
            repulse_free(&r);
        }
        free(x);
        free(y);
        free(f);
        free(dx);
    }
}

static void attraction_equals_its_definition(void **state) {
    (void)state;
    enum { N = 211 };
    float *x = normals(N * 5, 3, 1), *xy = normals(2 * N, 4, 8), a[ISA_LEVELS][2 * N];
    double want[2 * N];
    struct edges P = graph(x, N, 5, 13);
    attract_ref(N, P.row, P.col, P.p, xy, want, want + N);
    EACH_ISA(isa) {
        attract_cpu(N, P.row, P.col, P.p, xy, a[isa], a[isa] + N);
        assert_true(far(2 * N, a[isa], want) <= 1e-6); /* some 60 terms in 16 lanes: 4 + 4 + 5 roundings */
        assert_memory_equal(a[isa], a[0], sizeof a[0]);
    }
    edges_free(&P);
    free(x);
    free(xy);
}

static void splines_equal_their_definition(void **state) {
    (void)state;
    enum { N = 53, SIDE = 64 };
    float *x = normals(N, 5, 3), *y = normals(N, 6, 3), *want = calloc(N * SPLINE_RECORD, 4),
          *got = calloc(N * SPLINE_RECORD, 4);
    float *grid[ISA_LEVELS], value[ISA_LEVELS][3][N];
    int32_t a[2 * N], b[2 * N];
    uint32_t who[N];
    for (uint32_t p = 0; p < N; p++) who[p] = N - 1 - p, x[p] = fabsf(x[p]), y[p] = fabsf(y[p]);
    x[0] = 0, x[1] = 0.5f, x[2] = 1; /* on nodes and at the origin */
    spline_weights_ref(N, x, y, 0, 0, 2, a, want);
    EACH_ISA(isa) {
        spline_weights_cpu(N, x, y, 0, 0, 2, b, got);
        assert_memory_equal(a, b, sizeof a);
        for (size_t p = 0; p < N; p++) {
            const float *w = got + p * SPLINE_RECORD;
            double one = 0, none = 0, place = 0;
            for (size_t s = 0; s < SPLINE_RECORD; s++) assert_true(fabs(w[s] - want[p * SPLINE_RECORD + s]) <= 1e-6);
            for (int s = 0; s < SPLINE_ORDER; s++) {
                one += w[s], none += w[SPLINE_WIDTH + s], place += (double)w[s] * (a[2 * p] + s + SPLINE_ORDER / 2);
            }
            assert_true(fabs(one - 1) <= 1e-6 && fabs(none) <= 1e-6);     /* partition of unity */
            assert_true(fabs(place - (x[p] * 2 + SPLINE_ORDER)) <= 1e-5); /* a straight line stays straight */
        }
        grid[isa] = calloc(SIDE * SIDE, sizeof(float));
        spline_spread_cpu(N, who, b, got, grid[isa], SIDE);
        spline_gather_cpu(N, who, b, got, grid[isa], SIDE, value[isa][0], value[isa][1], value[isa][2]);
        assert_memory_equal(grid[isa], grid[0], SIDE * SIDE * sizeof(float));
        assert_memory_equal(value[isa], value[0], sizeof value[0]);
    }
    float *definition = calloc(SIDE * SIDE, sizeof(float)), v[3][N];
    spline_spread_ref(N, who, a, want, definition, SIDE);
    spline_gather_ref(N, who, a, want, definition, SIDE, v[0], v[1], v[2]);
    for (size_t c = 0; c < SIDE * SIDE; c++) assert_true(fabsf(definition[c] - grid[0][c]) <= 1e-5f);
    for (int k = 0; k < 3; k++)
        for (size_t p = 0; p < N; p++) assert_true(fabsf(v[k][p] - value[0][k][p]) <= 1e-5f);
    EACH_ISA(isa) free(grid[isa]);
    free(definition);
    free(x);
    free(y);
    free(want);
    free(got);
}

static void mesh_forces_are_near_the_exact_ones(void **state) {
    (void)state;
    enum { N = 1500 };
    const double spread[] = {1e-4, 0.5, 5, 40, 8}; /* the first step's size … and back: the mesh grows and shrinks */
    struct tsne_mesh *m;
    assert_int_equal(tsne_mesh_new(&m, N, TSNE_SPACING, NULL), 0);
    for (size_t s = 0; s < COUNT(spread); s++) {
        float *x = normals(N, 7, spread[s]), *y = normals(N, 8, spread[s] / 2), *fx = malloc(N * 4),
              *fy = malloc(N * 4);
        double *dx = malloc(N * 8), *dy = malloc(N * 8), Z, want = repulse_ref(N, x, y, dx, dy), tol = s ? 5e-3 : 0.15;
        assert_int_equal(tsne_mesh_repulse(m, x, y, fx, fy, &Z, NULL), 0);
        /* The kernel's band limit exp(-pi/h) is 3e-5 at h = 0.3; derivatives and the sum's cancellation bring it to
         * 2e-3. A span of 1e-4: forces of 1e-4 n out of potentials of n with some 10 eps of FFT noise over h = 0.3:
         * 1e-6 / 0.3 / 1e-4 = 3 %, measured 8. */
        assert_true(fabs(Z / want - 1) <= 1e-3);
        assert_true(far(N, fx, dx) <= tol && far(N, fy, dy) <= tol);
        free(x);
        free(y);
        free(fx);
        free(fy);
        free(dx);
        free(dy);
    }
    struct err e;
    float x[N] = {0}, y[N] = {0}, fx[N], fy[N];
    double Z;
    y[3] = 1e6f;
    assert_int_equal(tsne_mesh_repulse(m, x, y, fx, fy, &Z, &e), ERR_NUMERIC);
    y[3] = NAN;
    assert_int_equal(tsne_mesh_repulse(m, x, y, fx, fy, &Z, &e), ERR_NUMERIC);
    tsne_mesh_free(m);
}

/* KL in double, straight from its formula, at double coordinates. */
static double divergence(const struct edges *P, const double *xy, double exaggeration) {
    double Z = 0, kl = 0;
    for (size_t i = 0; i < P->n; i++)
        for (size_t j = 0; j < P->n; j++)
            if (i != j) Z += 1 / (1 + pow(xy[2 * i] - xy[2 * j], 2) + pow(xy[2 * i + 1] - xy[2 * j + 1], 2));
    for (size_t i = 0; i < P->n; i++)
        for (size_t k = P->row[i]; k < P->row[i + 1]; k++) {
            size_t j = (size_t)P->col[k];
            double q = 1 / (1 + pow(xy[2 * i] - xy[2 * j], 2) + pow(xy[2 * i + 1] - xy[2 * j + 1], 2)) / Z;
            if (P->p[k] > 0) kl += P->p[k] * (exaggeration * (log(P->p[k]) - log(q * Z)) + log(Z));
        }
    return kl;
}

static void gradient_equals_finite_differences(void **state) {
    (void)state;
    enum { N = 60 };
    float *x = normals(N * 4, 9, 1), *xy = normals(2 * N, 10, 3), g[2 * N];
    struct edges P = graph(x, N, 4, 8);
    for (int late = 0; late < 2; late++) {
        double at[2 * N], want[2 * N], exaggeration = late ? 1 : 12, kl;
        for (size_t t = 0; t < 2 * N; t++) at[t] = xy[t];
        for (size_t t = 0; t < 2 * N; t++) { /* central: error h^2 KL''' / 6, about 1e-10 */
            double h = 1e-5, keep = at[t], up, down;
            at[t] = keep + h, up = divergence(&P, at, exaggeration);
            at[t] = keep - h, down = divergence(&P, at, exaggeration);
            at[t] = keep;
            want[t] = (up - down) / (2 * h);
        }
        for (int mesh = 0; mesh < 2; mesh++) {
            struct tsne_force f;
            assert_int_equal(tsne_fit_force_init(&f, N, mesh ? TSNE_MESH : TSNE_EXACT, NULL), 0);
            assert_int_equal(tsne_fit_gradient(&f, &P, xy, exaggeration, g, NULL), 0);
            assert_true(far(2 * N, g, want) <= (mesh ? 5e-3 : 3e-6)); /* float32 sums of 60 terms that cancel tenfold */
            tsne_fit_force_free(&f);
        }
        assert_int_equal(tsne_fit_divergence(&P, xy, &kl, NULL), 0);
        assert_true(fabs(kl - divergence(&P, at, 1)) <= 1e-12);
    }
    edges_free(&P);
    free(x);
    free(xy);
}

/* ---- weights ---- */

static double entropy(size_t k, const double *p) {
    double h = 0, s = 0;
    for (size_t j = 0; j < k; j++) s += p[j], h -= p[j] > 0 ? p[j] * log(p[j]) : 0;
    assert_true(fabs(s - 1) <= 1e-12);
    return h;
}

static int ascending(const void *a, const void *b) {
    const float *p = a, *q = b;
    return (*p > *q) - (*p < *q);
}

static void entropy_is_log_perplexity(void **state) {
    (void)state;
    enum { K = 90 };
    double p[K], q[K];
    const double scale[] = {1e-12, 1e-3, 1, 1e6}, perplexity[] = {1.5, 5, 30, 89};
    for (size_t s = 0; s < COUNT(scale); s++)
        for (size_t t = 0; t < COUNT(perplexity); t++) {
            float *d2 = normals(K, 11 + s, 1);
            for (size_t j = 0; j < K; j++) d2[j] = (float)scale[s] * d2[j] * d2[j];
            qsort(d2, K, sizeof *d2, ascending);
            assert_true(perplexity_row(K, d2, perplexity[t], p));
            assert_true(fabs(entropy(K, p) - log(perplexity[t])) <= 1e-9);
            for (size_t j = 1; j < K; j++) assert_true(p[j] <= p[j - 1]);
            for (size_t j = 0; j < K; j++) d2[j] *= 4; /* exact, so beta is a quarter and p the same */
            perplexity_row(K, d2, perplexity[t], q);
            for (size_t j = 0; j < K; j++) assert_true(fabs(p[j] - q[j]) <= 1e-8);
            free(d2);
        }
    float ties[K] = {0};
    for (size_t j = 40; j < K; j++) ties[j] = 1;
    assert_false(perplexity_row(K, ties, 30, p)); /* 40 equally near, 30 wanted */
    assert_true(fabs(p[0] - 1. / 40) <= 1e-15 && p[39] == p[0] && p[40] == 0);
    assert_true(perplexity_row(K, ties, 41, p));
    assert_true(fabs(entropy(K, p) - log(41)) <= 1e-9);
}

static double weight(const struct edges *P, size_t i, int32_t j) {
    for (size_t k = P->row[i]; k < P->row[i + 1]; k++)
        if (P->col[k] == j && (size_t)j != i) return P->p[k];
    return 0;
}

static void weights_are_symmetric_and_sum_to_one(void **state) {
    (void)state;
    enum { N = 400 };
    float *x = normals(N * 6, 20, 1);
    struct edges P = graph(x, N, 6, 12.5);
    double sum = 0;
    for (size_t i = 0; i < N; i++) {
        double row = 0;
        for (size_t k = P.row[i]; k < P.row[i + 1]; k++) {
            row += P.p[k];
            if (P.p[k] > 0)
                assert_true(weight(&P, (size_t)P.col[k], (int32_t)i) == (double)P.p[k]);
            else
                assert_int_equal(P.col[k], i);
        }
        assert_true(row >= 0.5 / N - 1e-8); /* half of it is its own conditional row */
        sum += row;
    }
    assert_true(fabs(sum - 1) <= 1e-7); /* floats of 1/(2n) size, rounded one by one */
    edges_free(&P);
    free(x);
}

static void perplexity_beyond_n_is_refused(void **state) {
    (void)state;
    struct err e;
    size_t k;
    assert_int_equal(perplexity_neighbours(30, 91, &k, &e), 0);
    assert_int_equal(k, 90);
    assert_int_equal(perplexity_neighbours(30, 90, &k, &e), ERR_RANGE);
    assert_non_null(strstr(e.text, "1 to 29.6667 for 90 points, got 30"));
    assert_non_null(strstr(e.hint, "--perplexity 29.6"));
    assert_int_equal(perplexity_neighbours(2, 1, &k, &e), ERR_RANGE);
    assert_int_equal(perplexity_neighbours(2, 0, &k, &e), ERR_RANGE);
    assert_int_equal(perplexity_neighbours(NAN, 100, &k, &e), ERR_RANGE);
    assert_int_equal(perplexity_neighbours(1, 4, &k, &e), 0);
}

/* ---- the whole, against scikit-learn ---- */

struct fixture {
    struct safetensors *s;
    size_t n, D;
    const float *x, *picture;
    const double *scores, *variance;
};

static struct fixture fixture(void) {
    struct fixture f = {0};
    struct err e;
    if (safetensors_open(&f.s, FIXTURE, &e)) fail_msg("%s", e.text);
    const struct safetensors_tensor *x = safetensors_find(f.s, "x");
    f.n = (size_t)x->shape[0], f.D = (size_t)x->shape[1], f.x = x->data;
    f.picture = safetensors_find(f.s, "picture")->data;
    f.scores = safetensors_find(f.s, "scores")->data, f.variance = safetensors_find(f.s, "variance")->data;
    return f;
}

static double meta(const struct fixture *f, const char *key) { return strtod(safetensors_meta(f->s, key), NULL); }

static void components_equal_numpys(void **state) {
    (void)state;
    struct fixture f = fixture();
    float *got = malloc(2 * f.n * sizeof *got);
    struct pca p;
    assert_int_equal(pca_scores(f.x, f.n, f.D, 2, 1, got, &p, NULL), 0);
    assert_true(far(2 * f.n, got, f.scores) <= 1e-4); /* residual 1e-5 over a relative gap of some tenths */
    for (int c = 0; c < 2; c++) {
        assert_true(fabs(p.variance[c] / f.variance[c] - 1) <=
                    1e-5); /* quadratic in the vector's error; float32 products */
        assert_true(p.residual[c] <= 1e-5 * p.variance[0]);
    }
    float flat[5] = {2, 2, 2, 2, 2}, line[5] = {1, 2, 3, 4, 10};
    assert_int_equal(pca_scores(flat, 5, 1, 2, 1, got, &p, NULL), 0);
    for (int i = 0; i < 10; i++) assert_true(got[i] == 0);
    assert_int_equal(pca_scores(line, 5, 1, 2, 1, got, &p, NULL), 0);
    for (int i = 0; i < 5; i++) assert_true(fabsf(got[2 * i] - (line[i] - 4)) <= 1e-5f && got[2 * i + 1] == 0);
    float *wide = normals(40 * 700, 21, 1); /* fewer rows than columns, and a large common part */
    for (size_t t = 0; t < 40 * 700; t++) wide[t] += 10;
    assert_int_equal(pca_scores(wide, 40, 700, 2, 1, got, &p, NULL), 0);
    assert_true(p.variance[0] > p.variance[1] && p.variance[0] < 100 && p.residual[1] <= 1e-4 * p.variance[0]);
    free(wide);
    free(got);
    safetensors_close(f.s);
}

static void measures_equal_scikit_learns(void **state) {
    (void)state;
    struct fixture f = fixture();
    struct edges P = graph(f.x, f.n, f.D, 20);
    double kl;
    assert_int_equal(tsne_fit_divergence(&P, f.picture, &kl, NULL), 0);
    assert_true(fabs(kl - meta(&f, "kl_picture")) <= 1e-6); /* P in float32: 1e-7 of each term */
    for (int k = 5; k <= 10; k += 5)
        for (size_t known = 4; known < f.n; known += 295) { /* with few listed neighbours, and with all */
            struct knn g;
            struct trust t;
            assert_int_equal(knn_exact(f.x, f.n, f.D, known, &g, NULL), 0);
            assert_int_equal(trust_measure(f.x, f.n, f.D, f.picture, &g, (size_t)k, &t, NULL), 0);
            /* One rank off by one changes the value by 2/(n k (2n-3k-1)) = 2.5e-6; no pair here is that close. */
            assert_true(fabs(t.trustworthiness - meta(&f, k == 5 ? "trust5" : "trust10")) <= 1e-9);
            knn_free(&g);
        }
    edges_free(&P);
    safetensors_close(f.s);
}

static void large_sets_are_measured_as_small_ones(void **state) {
    (void)state;
    enum { N = 1300, D = 9, K = 10 }; /* three blocks of all pairs */
    float *x = normals(N * D, 22, 1), *xy = normals(2 * N, 23, 1);
    struct knn few, all, seen;
    struct trust a, b;
    assert_int_equal(knn_exact(x, N, D, K, &few, NULL) || knn_exact(x, N, D, N - 1, &all, NULL), 0);
    assert_int_equal(trust_measure(x, N, D, xy, &few, K, &a, NULL) || trust_measure(x, N, D, xy, &all, K, &b, NULL), 0);
    assert_true(fabs(a.trustworthiness - b.trustworthiness) <=
                20 * 2. / (N * K * (2. * N - 3 * K - 1))); /* 20 ranks off by one */
    assert_true(a.preservation == b.preservation);
    assert_int_equal(knn_exact(xy, N, 2, K, &seen, NULL), 0);
    assert_int_equal(trust_measure(xy, N, 2, xy, &seen, K, &b, NULL), 0);
    assert_true(b.trustworthiness == 1 && b.preservation == 1); /* a picture of itself */
    knn_free(&few);
    knn_free(&all);
    knn_free(&seen);
    free(x);
    free(xy);
}

static void embed(const float *x, size_t n, size_t D, double perplexity, size_t steps, enum tsne_repulsion how,
                  float *xy) {
    struct edges P = graph(x, n, D, perplexity);
    struct tsne_options o = {.iterations = steps, .exaggeration = 12, .repulsion = how};
    struct err e = {0};
    if (tsne_fit_start(x, n, D, 1, false, xy, &e) || tsne_fit_descend(&P, &o, xy, &e)) fail_msg("%s", e.text);
    edges_free(&P);
}

static void result_is_as_good_as_scikit_learns(void **state) {
    (void)state;
    struct fixture f = fixture();
    struct edges P = graph(f.x, f.n, f.D, 20);
    float *xy = malloc(2 * f.n * sizeof *xy);
    for (int how = TSNE_EXACT; how <= TSNE_MESH; how++) {
        struct knn g;
        struct trust t;
        double kl, mean[2] = {0};
        embed(f.x, f.n, f.D, 20, 1000, (enum tsne_repulsion)how, xy);
        assert_int_equal(tsne_fit_divergence(&P, xy, &kl, NULL), 0);
        assert_int_equal(knn_exact(f.x, f.n, f.D, 60, &g, NULL), 0);
        assert_int_equal(trust_measure(f.x, f.n, f.D, xy, &g, 10, &t, NULL), 0);
        /* Another local minimum may be a few per cent away; a wrong gradient, learning rate or switch costs ten and
         * more. */
        if (!(kl <= 1.05 * meta(&f, "kl_ours_P"))) fail_msg("KL %g, scikit-learn's %g", kl, meta(&f, "kl_ours_P"));
        if (!(t.trustworthiness >= meta(&f, "trust") - 0.005)) fail_msg("trustworthiness %g", t.trustworthiness);
        for (size_t i = 0; i < 2 * f.n; i++) mean[i % 2] += xy[i];
        assert_true(fabs(mean[0]) <= 1e-5 * (double)f.n * 20 && fabs(mean[1]) <= 1e-5 * (double)f.n * 20);
        knn_free(&g);
    }
    edges_free(&P);
    free(xy);
    safetensors_close(f.s);
}

/* Directions of a wide space are all about equally far apart: exaggeration shrinks their map to nothing (rms 1e-20 after 1000
 * steps), from which it must come back. */
static void far_and_equal_points_do_not_collapse(void **state) {
    (void)state;
    enum { N = 1200, D = 256 };
    float *x = normals(N * D, 77, 1), xy[2 * N];
    double sum = 0;
    for (size_t i = 0; i < N; i++) {
        double norm2 = 0;
        for (size_t d = 0; d < D; d++) norm2 += (double)x[i * D + d] * (double)x[i * D + d];
        for (size_t d = 0; d < D; d++) x[i * D + d] = (float)((double)x[i * D + d] / sqrt(norm2));
    }
    embed(x, N, D, 30, 500, TSNE_EXACT, xy);
    for (size_t i = 0; i < 2 * N; i++) sum += (double)xy[i] * (double)xy[i];
    if (!(sqrt(sum / (2 * N)) > 1)) fail_msg("rms %g", sqrt(sum / (2 * N)));
    free(x);
}

static void threads_change_nothing(void **state) {
    (void)state;
    enum { N = 1300, D = 8 }; /* beyond what one thread does alone */
    float *x = normals(N * D, 24, 1), *one = malloc(2 * N * 4), *two = malloc(2 * N * 4);
    int cores = omp_get_max_threads();
    for (int how = TSNE_EXACT; how <= TSNE_MESH; how++)
        for (int t = 2; t <= 3; t++) {
            struct knn g;
            struct trust a, b;
            omp_set_num_threads(1);
            embed(x, N, D, 20, 60, (enum tsne_repulsion)how, one);
            knn_exact(x, N, D, 60, &g, NULL);
            trust_measure(x, N, D, one, &g, 10, &a, NULL);
            omp_set_num_threads(t);
            embed(x, N, D, 20, 60, (enum tsne_repulsion)how, two);
            trust_measure(x, N, D, two, &g, 10, &b, NULL);
            assert_memory_equal(one, two, 2 * N * sizeof *one);
            assert_memory_equal(&a, &b, sizeof a);
            double mean[2] = {0};
            for (size_t i = 0; i < 2 * N; i++) mean[i % 2] += two[i] / N;
            assert_true(fabs(mean[0]) <= 1e-6 && fabs(mean[1]) <= 1e-6); /* 60 steps in: coordinates of order 1 */
            knn_free(&g);
        }
    omp_set_num_threads(cores);
    free(x);
    free(one);
    free(two);
}

/* ---- degenerate points ---- */

static void finite(size_t n, const float *xy) {
    for (size_t i = 0; i < 2 * n; i++) assert_true(isfinite(xy[i]));
}

static void degenerate_points_stay_finite(void **state) {
    (void)state;
    enum { N = 130, D = 6 };
    float xy[2 * N], *x = calloc(N * D, sizeof *x), *twice = normals(N * D, 25, 1), *line = calloc(N * D, sizeof *line);
    for (int how = TSNE_EXACT; how <= TSNE_MESH; how++) {
        embed(x, N, D, 10, 260, (enum tsne_repulsion)how, xy); /* all rows equal: no components, a random start */
        finite(N, xy);
        assert_true(xy[0] != xy[2]);
        for (size_t i = N / 2; i < N; i++) memcpy(twice + i * D, twice + (i - N / 2) * D, D * sizeof *twice);
        embed(twice, N, D, 10, 260, (enum tsne_repulsion)how, xy); /* every row twice */
        finite(N, xy);
        for (size_t i = 0; i < N; i++) line[i * D] = (float)i;
        embed(line, N, D, 10, 260, (enum tsne_repulsion)how, xy); /* one component only */
        finite(N, xy);
    }
    struct edges P = graph(twice, 4, D, 1); /* the smallest set there is */
    struct tsne_options o = {.iterations = 20, .exaggeration = 12};
    assert_int_equal(tsne_fit_start(twice, 4, D, 1, true, xy, NULL), 0);
    assert_int_equal(tsne_fit_descend(&P, &o, xy, NULL), 0);
    finite(4, xy);
    edges_free(&P);
    size_t row[2] = {0, 0}; /* one point, no edges: nothing pushes it */
    P = (struct edges){.n = 1, .row = row};
    xy[0] = xy[1] = 0;
    for (int how = TSNE_EXACT; how <= TSNE_MESH; how++) {
        o.repulsion = (enum tsne_repulsion)how;
        assert_int_equal(tsne_fit_descend(&P, &o, xy, NULL), 0);
        assert_true(xy[0] == 0 && xy[1] == 0);
    }
    free(x);
    free(twice);
    free(line);
}

static void failures_are_reported(void **state) {
    (void)state;
    enum { N = 90, D = 4 };
    float *x = normals(N * D, 26, 1), xy[2 * N];
    struct edges P = graph(x, N, D, 9);
    struct knn g;
    struct trust t;
    struct err e;
    assert_int_equal(tsne_fit_start(x, N, D, 1, false, xy, NULL), 0);
    assert_int_equal(knn_exact(x, N, D, 9, &g, NULL), 0);
    assert_int_equal(trust_measure(x, N, D, xy, &g, 60, &t, &e), ERR_RANGE);
    for (int what = 0; what < 5; what++) {
        int rc = ERR_MEMORY;
        for (long k = 0; rc == ERR_MEMORY; k++) { /* every allocation fails once */
            struct tsne_options o = {.iterations = 2, .exaggeration = 12, .repulsion = what ? TSNE_MESH : TSNE_EXACT};
            struct edges Q = {0};
            double kl;
            assert_true(k < 100);
            mem_fail_after(k);
            rc = what < 2    ? tsne_fit_descend(&P, &o, xy, &e)
                 : what == 2 ? tsne_fit_divergence(&P, xy, &kl, &e)
                 : what == 3 ? trust_measure(x, N, D, xy, &g, 5, &t, &e)
                             : perplexity_edges(&g, 3, &Q, NULL, &e);
            mem_fail_after(-1);
            edges_free(&Q);
        }
        assert_int_equal(rc, 0);
    }
    struct tsne_options o = {.iterations = 5, .exaggeration = 12};
    xy[7] = NAN;
    assert_int_equal(tsne_fit_descend(&P, &o, xy, &e), ERR_NUMERIC);
    knn_free(&g);
    edges_free(&P);
    free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repulsion_equals_its_definition),
        cmocka_unit_test(attraction_equals_its_definition),
        cmocka_unit_test(splines_equal_their_definition),
        cmocka_unit_test(mesh_forces_are_near_the_exact_ones),
        cmocka_unit_test(gradient_equals_finite_differences),
        cmocka_unit_test(entropy_is_log_perplexity),
        cmocka_unit_test(weights_are_symmetric_and_sum_to_one),
        cmocka_unit_test(perplexity_beyond_n_is_refused),
        cmocka_unit_test(components_equal_numpys),
        cmocka_unit_test(measures_equal_scikit_learns),
        cmocka_unit_test(large_sets_are_measured_as_small_ones),
        cmocka_unit_test(result_is_as_good_as_scikit_learns),
        cmocka_unit_test(far_and_equal_points_do_not_collapse),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(degenerate_points_stay_finite),
        cmocka_unit_test(failures_are_reported),
    };
    omp_set_num_threads(1); /* small sets; threads_change_nothing sets its own */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
