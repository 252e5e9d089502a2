/* test_knn.c - all pairs once; the scans against their definitions; exact neighbours against brute force in double. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/analysis/pairscan.h"
#include "lib/analysis/knn.h"
#include "lib/analysis/pairs.h"
#include "lib/base/arena.h"
#include "lib/base/rng.h"
#include "tests/kernel_cases.h"

static float *normals(size_t n, uint64_t seed) {
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (float)rng_normal(seed, 0, i);
    return x;
}

/* Whole numbers 0..top: many equal distances, all exact. */
static float *digits(size_t n, uint64_t seed, uint64_t top) {
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (float)rng_below(seed, 0, i, top + 1);
    return x;
}

static void scans_equal_their_definitions(void **state) {
    (void)state;
    enum { N = 600 };
    float *g = normals(N, 1), *low = normals(N, 2), *cut = normals(N, 3);
    uint32_t want[N + 1], got[N + 1];
    g[5] = NAN;
    cut[40] = INFINITY;
    const size_t size[] = {0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 512, 600};
    for (size_t s = 0; s < sizeof size / sizeof *size; s++) EACH_ISA(isa) {
            size_t m = size[s];
            got[m] = 0xabcdef; /* guard */
            size_t a = pairscan_near_ref(m, g, low, cut, -1.5f, -2.0f, want);
            size_t b = pairscan_near_cpu(m, g, low, cut, -1.5f, -2.0f, got);
            assert_int_equal(a, b);
            assert_memory_equal(want, got, a * sizeof *want);
            assert_int_equal(got[m], 0xabcdef);
            uint32_t p[4] = {1, 2, 3, 4}, q[4] = {1, 2, 3, 4};
            pairscan_below_ref(m, g, low, 3, cut, p);
            pairscan_below_cpu(m, g, low, 3, cut, q);
            assert_memory_equal(p, q, sizeof p);
            double d = pairscan_distance_ref(m, low, cut), f = pairscan_distance_cpu(m, low, cut);
            assert_memory_equal(&d, &f, sizeof d);
            assert_true(pairscan_distance_cpu(m, low, low) == 0);
        }
    assert_true(pairscan_near_ref(N, g, low, cut, -1.5f, -2.0f, want) > 10);
    free(g);
    free(low);
    free(cut);
}

struct met {
    size_t n;
    unsigned char *times; /* [n,n] */
    const float *x;
    int wrong;
};

static void meet(void *ctx, const struct pairs_tile *t) {
    struct met *m = ctx;
    for (size_t a = 0; a < t->ni; a++)
        for (size_t b = 0; b < t->nj; b++) {
            size_t i = t->i0 + a, j = t->j0 + b;
            m->times[i * m->n + j]++;
            if (t->i0 != t->j0) m->times[j * m->n + i]++;
            if (t->g[a * PAIRS_BLOCK + b] != m->x[i] * m->x[j]) m->wrong = 1; /* D = 1: one exact product */
        }
}

static void every_pair_is_met_once(void **state) {
    (void)state;
    const size_t size[] = {1, 2, 511, 512, 513, 1024, 1537, 2561};
    for (size_t s = 0; s < sizeof size / sizeof *size; s++) {
        size_t n = size[s];
        float *x = digits(n, 4, 50);
        struct met m = {.n = n, .times = calloc(n, n), .x = x};
        assert_int_equal(pairs_each(x, n, 1, meet, &m, NULL), 0);
        assert_false(m.wrong);
        for (size_t p = 0; p < n * n; p++) assert_int_equal(m.times[p], 1);
        free(m.times);
        free(x);
    }
}

struct near {
    double d2;
    int32_t j;
};

static int nearer(const void *a, const void *b) {
    const struct near *p = a, *q = b;
    if (p->d2 != q->d2) return p->d2 < q->d2 ? -1 : 1;
    return (p->j > q->j) - (p->j < q->j);
}

/* Every row of knn_exact against sorting all distances. Frees x. */
static void check(float *x, size_t n, size_t D, size_t k) {
    struct knn g;
    struct err e = {0};
    if (knn_exact(x, n, D, k, &g, &e)) fail_msg("%s", e.text);
    struct near *all = malloc(n * sizeof *all);
    for (size_t i = 0; i < n; i++) {
        size_t m = 0;
        for (size_t j = 0; j < n; j++)
            if (j != i) all[m++] = (struct near){pairscan_distance_ref(D, x + i * D, x + j * D), (int32_t)j};
        qsort(all, m, sizeof *all, nearer);
        for (size_t q = 0; q < k; q++) {
            assert_int_equal(g.index[i * k + q], all[q].j);
            assert_true(g.d2[i * k + q] == (float)all[q].d2);
        }
    }
    free(all);
    free(x);
    knn_free(&g);
}

static void neighbours_equal_brute_force(void **state) {
    (void)state;
    check(normals(1100 * 19, 5), 1100, 19, 30);
    check(normals(530 * 3, 6), 530, 3, 90);
    check(normals(40 * 7, 7), 40, 7, 39); /* k = n-1 */
    check(normals(2 * 7, 8), 2, 7, 1);
    check(normals(600 * 300, 9), 600, 300, 1);
}

static void ties_go_to_the_lower_index(void **state) {
    (void)state;
    check(digits(700 * 3, 10, 2), 700, 3, 20); /* 27 places for 700 rows: nearly all distances tie */
    check(digits(1300 * 2, 11, 9), 1300, 2, 40);
    check(calloc(700 * 5, sizeof(float)), 700, 5, 25); /* all rows equal */
    float *x = normals(800 * 6, 12);
    for (size_t i = 400; i < 800; i++) memcpy(x + i * 6, x + (i - 400) * 6, 6 * sizeof *x); /* every row twice */
    check(x, 800, 6, 15);
}

static void sizes_and_offsets_of_rows_do_not_lose_neighbours(void **state) {
    (void)state;
    float *x = normals(900 * 16, 13);
    for (size_t i = 0; i < 900; i++) /* norms from 1e-3 to 1e3 */
        for (size_t d = 0; d < 16; d++) x[i * 16 + d] *= powf(10, (float)(i % 7) - 3);
    check(x, 900, 16, 20);
    x = normals(900 * 16, 14);
    for (size_t t = 0; t < 900 * 16; t++) x[t] = 300 + 0.01f * x[t]; /* products cancel to 7 digits: all is shortlist */
    check(x, 900, 16, 20);
}

static void threads_change_nothing(void **state) {
    (void)state;
    enum { N = 1600, D = 24, K = 31 };
    float *x = normals(N * D, 15);
    struct knn g[3];
    int cores = omp_get_max_threads();
    for (int t = 0; t < 3; t++) {
        omp_set_num_threads(t + 1);
        assert_int_equal(knn_exact(x, N, D, K, &g[t], NULL), 0);
    }
    omp_set_num_threads(cores);
    for (int t = 1; t < 3; t++) {
        assert_memory_equal(g[0].index, g[t].index, N * K * sizeof *g[0].index);
        assert_memory_equal(g[0].d2, g[t].d2, N * K * sizeof *g[0].d2);
        knn_free(&g[t]);
    }
    knn_free(&g[0]);
    free(x);
}

static void bad_input_is_refused(void **state) {
    (void)state;
    struct knn g;
    struct err e;
    float *x = normals(50 * 4, 16);
    assert_int_equal(knn_exact(x, 50, 4, 0, &g, &e), ERR_RANGE);
    assert_int_equal(knn_exact(x, 50, 4, 50, &g, &e), ERR_RANGE);
    assert_non_null(strstr(e.text, "k = 50, n = 50"));
    assert_int_equal(knn_exact(x, 1, 4, 1, &g, &e), ERR_RANGE);
    x[17 * 4 + 2] = NAN;
    assert_int_equal(knn_exact(x, 50, 4, 3, &g, &e), ERR_NUMERIC);
    assert_non_null(strstr(e.text, "row 17"));
    x[17 * 4 + 2] = 1e30f;
    assert_int_equal(knn_exact(x, 50, 4, 3, &g, &e), ERR_NUMERIC);
    x[17 * 4 + 2] = 0;
    int rc = ERR_MEMORY;
    for (long k = 0; rc == ERR_MEMORY && k < 100; k++) { /* every allocation fails once */
        mem_fail_after(k);
        rc = knn_exact(x, 50, 4, 3, &g, &e);
        mem_fail_after(-1);
        assert_true(rc == 0 || (rc == ERR_MEMORY && !g.index && k < 99));
    }
    knn_free(&g);
    free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans_equal_their_definitions),
        cmocka_unit_test(every_pair_is_met_once),
        cmocka_unit_test(neighbours_equal_brute_force),
        cmocka_unit_test(ties_go_to_the_lower_index),
        cmocka_unit_test(sizes_and_offsets_of_rows_do_not_lose_neighbours),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(bad_input_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
