/* test_ranks.c - rank correlation against scipy, overlap of tops against brute force, ties. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/analysis/ranks.h"
#include "lib/base/rng.h"

/* scipy 1.17: spearmanr([1,2,3,4,5,6,7],[2,1,4,3,7,5,6]) and, with ties, spearmanr([1,1,2,2,3,9],[5,6,6,1,8,8]) */
static void spearman_equals_scipys(void **state) {
    (void)state;
    const double a[] = {1, 2, 3, 4, 5, 6, 7}, b[] = {2, 1, 4, 3, 7, 5, 6}, c[] = {1, 1, 2, 2, 3, 9},
                 d[] = {5, 6, 6, 1, 8, 8};
    const double same[] = {4, 4, 4};
    double rho;
    assert_int_equal(ranks_spearman(7, a, b, &rho, NULL), 0);
    assert_true(fabs(rho - 0.8214285714285715) <= 1e-12);
    assert_int_equal(ranks_spearman(6, c, d, &rho, NULL), 0);
    assert_true(fabs(rho - 0.6666666666666665) <= 1e-12);
    assert_int_equal(ranks_spearman(7, a, a, &rho, NULL), 0);
    assert_true(fabs(rho - 1) <= 1e-12);
    assert_int_equal(ranks_spearman(3, same, a, &rho, NULL), 0);
    assert_true(isnan(rho));
    assert_int_equal(ranks_spearman(0, a, b, &rho, NULL), 0);
    assert_true(isnan(rho));
}

/* i is among the k largest when fewer than k come before it: larger ones, and equal ones that are earlier. */
static int in_top(size_t n, const double *v, size_t k, size_t i) {
    size_t before = 0;
    for (size_t j = 0; j < n; j++) before += v[j] > v[i] || (v[j] == v[i] && j < i);
    return before < k;
}

static void overlap_equals_brute_force(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        double a[40], b[40];
        size_t n = 1 + (size_t)(rng_uniform(seed, 0, 0) * 39),
               k = 1 + (size_t)(rng_uniform(seed, 0, 1) * (double)(n - 1)), want = 0;
        for (size_t i = 0; i < n; i++)
            a[i] = floor(8 * rng_uniform(seed, 1, i)), b[i] = floor(8 * rng_uniform(seed, 2, i));
        for (size_t i = 0; i < n; i++) want += in_top(n, a, k, i) && in_top(n, b, k, i);
        assert_int_equal(ranks_top_overlap(n, a, b, k), want);
    }
}

static void sorted_with_ties(void **state) {
    (void)state;
    struct ranks_item r[] = {{1, 4}, {3, 9}, {1, 2}, {-2, 0}, {3, 1}, {INFINITY, 7}};
    const uint32_t want[] = {7, 1, 9, 2, 4, 0};
    ranks_sort(6, r);
    for (int i = 0; i < 6; i++) assert_int_equal(r[i].index, want[i]);
    ranks_sort(0, r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(spearman_equals_scipys),
                                       cmocka_unit_test(overlap_equals_brute_force),
                                       cmocka_unit_test(sorted_with_ties)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
