/* test_umap.c - UMAP: graph and curve against umap-learn, a step against finite differences, trustworthiness, threads,
 * degenerate points. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/analysis/trust.h"
#include "lib/analysis/umap_fit.h"
#include "lib/base/arena.h"
#include "lib/base/rng.h"
#include "lib/file/safetensors.h"

#define FIXTURE "tests/fixtures/umap/umap.safetensors"

static float *normals(size_t n, uint64_t seed) {
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (float)rng_normal(seed, 0, i);
    return x;
}

static struct safetensors *fixture(const float **x, size_t *n, size_t *D) {
    struct safetensors *s;
    struct err e;
    if (safetensors_open(&s, FIXTURE, &e)) fail_msg("%s", e.text);
    const struct safetensors_tensor *t = safetensors_find(s, "x");
    *n = (size_t)t->shape[0], *D = (size_t)t->shape[1], *x = t->data;
    return s;
}

static struct edges graph(const float *x, size_t n, size_t D, size_t neighbours, struct knn *near) {
    struct edges w;
    struct err e = {0};
    size_t k;
    if (umap_fit_neighbours(neighbours, n, &k, &e) || knn_exact(x, n, D, k, near, &e) || umap_fit_graph(near, &w, &e))
        fail_msg("%s", e.text);
    return w;
}

static double weight(const struct edges *w, size_t i, int32_t j) {
    for (size_t q = w->row[i]; q < w->row[i + 1]; q++)
        if (w->col[q] == j && w->p[q] > 0) return (double)w->p[q];
    return 0;
}

static void graph_equals_umap_learns(void **state) {
    (void)state;
    const float *x;
    size_t n, D, k, ours = 0;
    struct safetensors *s = fixture(&x, &n, &D);
    const struct safetensors_tensor *row = safetensors_find(s, "graph_row");
    const int32_t *i = row->data, *j = safetensors_find(s, "graph_col")->data;
    const float *want = safetensors_find(s, "graph_w")->data;
    struct knn near;
    struct edges w = graph(x, n, D, 15, &near);
    /* Both stop the search for sigma at 1e-5 of a sum near 4, theirs in float32; a weight follows with a factor of at
     * most some tens where one neighbour carries the sum. */
    for (k = 0; k < row->n_elems; k++) assert_true(fabs(weight(&w, (size_t)i[k], j[k]) - (double)want[k]) <= 2e-4);
    for (k = 0; k < w.row[n]; k++) ours += w.p[k] > 0;
    assert_int_equal(ours, row->n_elems);
    for (size_t a = 0; a < n; a++)
        for (size_t q = w.row[a]; q < w.row[a + 1]; q++) /* symmetric */
            assert_true(w.p[q] == 0 || weight(&w, (size_t)w.col[q], (int32_t)a) == (double)w.p[q]);
    edges_free(&w);
    knn_free(&near);
    safetensors_close(s);
}

static void curve_equals_umap_learns(void **state) {
    (void)state;
    const float *x;
    size_t n, D;
    struct safetensors *s = fixture(&x, &n, &D);
    const struct safetensors_tensor *t = safetensors_find(s, "curve");
    const double *c = t->data;
    for (int64_t i = 0; i < t->shape[0]; i++, c += 4) {
        double a, b;
        assert_int_equal(umap_fit_curve(c[0], c[1], &a, &b, NULL), 0);
        assert_true(fabs(a / c[2] - 1) <= 1e-5 &&
                    fabs(b / c[3] - 1) <= 1e-5); /* scipy's curve_fit stops at 1e-8 of the square */
    }
    safetensors_close(s);
    struct err e;
    double a, b;
    assert_int_equal(umap_fit_curve(2, 1, &a, &b, &e), ERR_RANGE);
    assert_int_equal(umap_fit_curve(0.1, NAN, &a, &b, &e), ERR_RANGE);
    assert_int_equal(umap_fit_curve(-1, 1, &a, &b, &e), ERR_RANGE);
}

/* ---- a step ---- */

static double logv(double d, const struct umap_options *o, int push) {
    double v = 1 / (1 + o->a * pow(d, 2 * o->b));
    return push ? log(1 - v) : log(v);
}

/* Where a point at distance d on the axis goes by one pull and `pushes` pushes from the origin, by central differences.
 */
static double moved(double d, const struct umap_options *o, int pushes) {
    for (int k = 0; k <= pushes; k++) {
        double h = 1e-6, g = (logv(d + h, o, k > 0) - logv(d - h, o, k > 0)) / (2 * h);
        d += fmax(-4, fmin(4, g));
        if (d <= 0) return NAN;
    }
    return d;
}

/* Two points and the edge between them: the first goes along the gradient of log v, then along that of log(1 - v) as
 * many times as the dice named the other point. */
static void a_step_follows_the_gradient(void **state) {
    (void)state;
    const double distance[] = {0.9, 2, 3.5, 7};
    const double ab[][2] = {{1.577, 0.895}, {0.26, 1.06}, {1, 1}};
    size_t row[3] = {0, 1, 1};
    int32_t col[1] = {1};
    float p[1] = {0.5f};
    struct edges w = {.n = 2, .row = row, .col = col, .p = p};
    int seen[6] = {0};
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < 4; i++)
            for (uint64_t seed = 0; seed < 20; seed++) {
                struct umap_options o = {.a = ab[c][0], .b = ab[c][1], .epochs = 1, .seed = seed};
                float xy[4] = {(float)distance[i], 0, 0, 0};
                assert_int_equal(umap_fit_descend(&w, &o, xy, NULL), 0);
                double got = (double)xy[0] - (double)xy[2], best = INFINITY;
                int which = -1;
                assert_true(xy[1] == 0 && xy[3] == 0);
                for (int n = 0; n <= 5; n++) {
                    double off = fabs(moved(distance[i], &o, n) - got);
                    if (off < best) best = off, which = n;
                }
                if (moved(distance[i], &o, 0) < 0.5 || isnan(moved(distance[i], &o, 0)))
                    continue; /* there the 0.001 is felt */
                if (best > 4e-3)
                    fail_msg("a %g d %g: %g, off by %g", o.a, distance[i], got, best); /* 0.001 / d^2 of a push */
                seen[which]++;
            }
    assert_true(seen[1] && seen[2] && seen[3] && seen[4]);
}

/* ---- the whole ---- */

static void embed(const float *x, size_t n, size_t D, size_t neighbours, enum umap_fit_start how, float *xy,
                  struct trust *t) {
    struct umap_options o = {.seed = 3};
    struct knn near;
    struct edges w = graph(x, n, D, neighbours, &near);
    enum umap_fit_start used;
    struct err e;
    if (umap_fit_curve(0.1, 1, &o.a, &o.b, &e) || umap_fit_start(&w, x, n, D, how, 3, xy, &used, &e) ||
        umap_fit_descend(&w, &o, xy, &e) || (t && trust_measure(x, n, D, xy, &near, trust_neighbours(n), t, &e)))
        fail_msg("%s", e.text);
    for (size_t i = 0; i < 2 * n; i++) assert_true(isfinite(xy[i]));
    edges_free(&w);
    knn_free(&near);
}

static void trustworthy_as_umap_learn(void **state) {
    (void)state;
    const float *x;
    size_t n, D;
    struct safetensors *s = fixture(&x, &n, &D);
    float *xy = malloc(2 * n * sizeof *xy);
    for (int how = UMAP_SPECTRAL; how <= UMAP_RANDOM; how++) {
        struct trust t;
        embed(x, n, D, 15, (enum umap_fit_start)how, xy, &t);
        double want = strtod(safetensors_meta(s, "trust10"), NULL);
        if (t.trustworthiness < want - 0.005)
            fail_msg("start %d: %g, want %g", how, t.trustworthiness, want); /* seeds differ by 0.002 */
    }
    free(xy);
    safetensors_close(s);
}

static void threads_change_nothing(void **state) {
    (void)state;
    enum { N = 700, D = 8 };
    float *x = normals(N * D, 24), *one = malloc(2 * N * 4), *two = malloc(2 * N * 4);
    int cores = omp_get_max_threads();
    for (int t = 1; t <= 3; t++) {
        omp_set_num_threads(t);
        embed(x, N, D, 15, UMAP_SPECTRAL, t == 1 ? one : two, NULL);
        if (t > 1) assert_memory_equal(one, two, 2 * N * sizeof *one);
    }
    omp_set_num_threads(cores);
    free(x);
    free(one);
    free(two);
}

static void degenerate_points_stay_finite(void **state) {
    (void)state;
    enum { N = 60, D = 6 };
    float xy[2 * N], *x = calloc(N * D, sizeof *x), *twice = normals(N * D, 25), *parts = normals(N * D, 26);
    embed(x, N, D, 15, UMAP_SPECTRAL, xy, NULL); /* all rows equal */
    for (size_t i = N / 2; i < N; i++) memcpy(twice + i * D, twice + (i - N / 2) * D, D * sizeof *twice);
    embed(twice, N, D, 10, UMAP_SPECTRAL, xy, NULL);
    embed(twice, 2, D, 2, UMAP_SPECTRAL, xy, NULL);          /* the smallest set there is */
    for (size_t i = 0; i < N / 2; i++) parts[i * D] += 1e3f; /* a graph in two parts: the start of pca */
    embed(parts, N, D, 10, UMAP_SPECTRAL, xy, NULL);
    double left = INFINITY, right = -INFINITY; /* and the parts stay apart */
    double m[2] = {0};
    for (size_t i = 0; i < N; i++) m[i < N / 2] += (double)xy[2 * i];
    bool flip = m[0] > m[1];
    for (size_t i = 0; i < N; i++) {
        double v = flip ? -(double)xy[2 * i] : (double)xy[2 * i];
        if (i < N / 2)
            left = fmin(left, v);
        else
            right = fmax(right, v);
    }
    assert_true(right < left);
    free(x);
    free(twice);
    free(parts);
}

static void failures_are_reported(void **state) {
    (void)state;
    enum { N = 30, D = 4 };
    float *x = normals(N * D, 26), xy[2 * N];
    struct knn near;
    struct err e;
    size_t k;
    assert_int_equal(umap_fit_neighbours(31, N, &k, &e), ERR_RANGE);
    assert_non_null(strstr(e.text, "want 2 to 30 for 30 points, got 31"));
    assert_int_equal(umap_fit_neighbours(2, 1, &k, &e), ERR_RANGE);
    assert_int_equal(umap_fit_neighbours(1, N, &k, &e), ERR_RANGE);
    struct edges w = graph(x, N, D, 5, &near);
    struct umap_options o = {.a = 1, .b = 1, .epochs = 3};
    enum umap_fit_start used;
    for (int what = 0; what < 3; what++) {
        int rc = ERR_MEMORY;
        for (long n = 0; rc == ERR_MEMORY; n++) { /* every allocation fails once */
            struct edges again = {0};
            assert_true(n < 100);
            mem_fail_after(n);
            rc = what == 0   ? umap_fit_graph(&near, &again, &e)
                 : what == 1 ? umap_fit_start(&w, x, N, D, UMAP_SPECTRAL, 0, xy, &used, &e)
                             : umap_fit_descend(&w, &o, xy, &e);
            mem_fail_after(-1);
            edges_free(&again);
        }
        assert_int_equal(rc, 0);
    }
    xy[0] = NAN;
    assert_int_equal(umap_fit_descend(&w, &o, xy, &e), ERR_NUMERIC);
    edges_free(&w);
    knn_free(&near);
    free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graph_equals_umap_learns),    cmocka_unit_test(curve_equals_umap_learns),
        cmocka_unit_test(a_step_follows_the_gradient), cmocka_unit_test(trustworthy_as_umap_learn),
        cmocka_unit_test(threads_change_nothing),      cmocka_unit_test(degenerate_points_stay_finite),
        cmocka_unit_test(failures_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
