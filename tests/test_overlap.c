/* test_overlap.c - agreement of neighbour graphs against sets compared one by one, its chance value against enumeration
 * and random graphs; neighbours by cosine against brute force in double; projections of rows with known axes. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/analysis/knn.h"
#include "lib/analysis/overlap.h"
#include "lib/analysis/pca.h"
#include "lib/base/rng.h"

/* A graph of k different random neighbours each, none of them the row itself. */
static struct knn random_graph(size_t n, size_t k, uint64_t seed) {
    struct knn g = {.n = n, .k = k, .index = malloc(n * k * sizeof *g.index)};
    uint32_t *order = malloc(n * sizeof *order);
    for (size_t i = 0; i < n; i++) {
        rng_shuffle(seed, i, order, n);
        for (size_t q = 0, at = 0; q < k; at++)
            if (order[at] != i) g.index[i * k + q++] = (int32_t)order[at];
    }
    free(order);
    return g;
}

static void shares_equal_sets_compared_one_by_one(void **state) {
    (void)state;
    enum { N = 60, K = 7 };
    struct knn a = random_graph(N, K, 1), b = random_graph(N, K, 2);
    for (size_t i = 0; i < N / 2; i++) memcpy(b.index + i * K, a.index + i * K, 3 * sizeof *b.index);
    for (size_t i = 0; i < N / 2; i++) /* keep the entries of a row different */
        for (size_t q = 3; q < K; q++)
            for (int again = 1; again;) {
                again = 0;
                for (size_t p = 0; p < q; p++) again |= b.index[i * K + p] == b.index[i * K + q];
                again |= b.index[i * K + q] == (int32_t)i;
                if (again) b.index[i * K + q] = (b.index[i * K + q] + 1) % N;
            }
    double share[K], jaccard = 0;
    uint64_t common[K + 1], want_common[K + 1] = {0};
    struct overlap o;
    overlap_measure(&a, &b, share, common, &o);
    for (size_t k = 1; k <= K; k++) {
        size_t sum = 0;
        for (size_t i = 0; i < N; i++) {
            char in_a[N] = {0}, in_b[N] = {0};
            size_t both = 0, any = 0;
            for (size_t q = 0; q < k; q++) in_a[a.index[i * K + q]] = 1, in_b[b.index[i * K + q]] = 1;
            for (size_t j = 0; j < N; j++) both += in_a[j] && in_b[j], any += in_a[j] || in_b[j];
            sum += both;
            if (k < K) continue;
            want_common[both]++;
            jaccard += (double)both / (double)any;
            assert_int_equal(overlap_common(a.index + i * K, b.index + i * K, K), both);
        }
        assert_true(share[k - 1] == (double)sum / (double)(N * k)); /* both are one division of whole numbers */
    }
    assert_memory_equal(common, want_common, sizeof common);
    assert_true(fabs(o.jaccard - jaccard / N) <= 1e-14);
    assert_true(share[2] > 0.4 && share[2] < 0.9);
    free(a.index);
    free(b.index);
}

static void chance_equals_enumeration_and_random_graphs(void **state) {
    (void)state;
    double share[40];
    struct overlap o;
    struct knn small = random_graph(5, 2, 3); /* two of four: |A n B| is 0, 1, 2 with 1/6, 4/6, 1/6 */
    overlap_measure(&small, &small, share, NULL, &o);
    assert_true(share[0] == 1 && share[1] == 1 && o.jaccard == 1);
    assert_true(fabs(o.jaccard_chance - (4.0 / 6 / 3 + 1.0 / 6)) <= 1e-13);
    assert_true(fabs(o.share_sd - sqrt((1.0 / 6 + 4.0 / 6 / 4) - 0.25)) <= 1e-13);
    free(small.index);
    struct knn three = random_graph(5, 3, 3); /* three of four: 2 or 3 in common, with 3/4 and 1/4 */
    overlap_measure(&three, &three, share, NULL, &o);
    assert_true(fabs(o.jaccard_chance - (0.75 * 2 / 4 + 0.25)) <= 1e-13);
    free(three.index);
    enum { N = 2000, K = 40 };
    struct knn a = random_graph(N, K, 4), b = random_graph(N, K, 5);
    overlap_measure(&a, &b, share, NULL, &o);
    double sd = o.share_sd / sqrt(N);
    assert_true(fabs(share[K - 1] - (double)K / (N - 1)) <= 5 * sd && sd < 1e-3);
    assert_true(fabs(o.jaccard - o.jaccard_chance) <= 5 * sd); /* the Jaccard index varies less than the share */
    free(a.index);
    free(b.index);
}

static void rows_of_length_one_give_neighbours_by_cosine(void **state) {
    (void)state;
    enum { N = 300, D = 40, K = 12 };
    float *x = malloc(N * D * sizeof *x), *unit = malloc(N * D * sizeof *unit);
    double *length = malloc(N * sizeof *length);
    for (size_t i = 0; i < N; i++) {
        double scale = exp(rng_normal(7, 1, i)), s = 0; /* lengths differ, so Euclidean order is another */
        for (size_t d = 0; d < D; d++) x[i * D + d] = (float)(scale * rng_normal(7, 0, i * D + d));
        for (size_t d = 0; d < D; d++) s += (double)x[i * D + d] * (double)x[i * D + d];
        length[i] = sqrt(s);
        for (size_t d = 0; d < D; d++) unit[i * D + d] = (float)((double)x[i * D + d] / length[i]);
    }
    struct knn g;
    struct err e = {0};
    if (knn_exact(unit, N, D, K, &g, &e)) fail_msg("%s", e.text);
    size_t differ = 0;
    for (size_t i = 0; i < N; i++) {
        double c[N], kept[K];
        for (size_t j = 0; j < N; j++) {
            c[j] = 0;
            for (size_t d = 0; d < D; d++) c[j] += (double)x[i * D + d] * (double)x[j * D + d];
            c[j] /= length[i] * length[j];
        }
        for (size_t q = 0; q < K; q++) {
            int32_t best = i ? 0 : 1;
            kept[q] = c[g.index[i * K + q]];
            for (int32_t j = 0; j < N; j++)
                if (j != (int32_t)i && c[j] > c[best]) best = j;
            /* Rounding of unit rows to float32 moves a cosine by at most 2 eps: nearer ones may change places. */
            assert_true(kept[q] >= c[best] - 4 * 6e-8);
            differ += best != g.index[i * K + q];
            c[best] = -2;
        }
    }
    assert_int_equal(differ, 0); /* no two cosines here are that close */
    knn_free(&g);
    free(x);
    free(unit);
    free(length);
}

static void rows_between_are_counted(void **state) {
    (void)state;
    /* on a line at 0 1 2 4: of the other two rows, none is nearer to 0 than 1 is; both are nearer to 0 than 4 is */
    const float line[4] = {0, 1, 2, 4};
    int32_t near[4] = {1, 0, 1, 2}, far[4] = {3, 3, 0, 0};
    struct knn g = {.n = 4, .k = 1, .index = near};
    assert_true(overlap_between(line, 1, 1, &g) == 0.5 * 1 / (2 * 4)); /* 1 is as far from 0 as from 2: half a row */
    g.index = far; /* 3 from 0: 2 rows; 3 from 1: 2; 0 from 2: 1 nearer and 3 as far; 0 from 3: 2 */
    assert_true(overlap_between(line, 1, 1, &g) == (2 + 2 + 1.5 + 2) / (2 * 4));
    enum { N = 500, K = 9 };
    float *p = malloc(N * 3 * sizeof *p);
    for (size_t t = 0; t < N * 3; t++) p[t] = (float)rng_normal(9, 0, t);
    struct knn r = random_graph(N, K, 6), own;
    double at_chance = overlap_between(p, 3, 2, &r);
    assert_true(fabs(at_chance - 0.5) <= 0.03); /* sd of one 0.29, of the mean of 4500 0.0043 and more as rows share */
    omp_set_num_threads(1);
    assert_true(overlap_between(p, 3, 2, &r) == at_chance);
    omp_set_num_threads(3);
    assert_true(overlap_between(p, 3, 2, &r) == at_chance);
    assert_int_equal(knn_exact(p, N, 3, K, &own, NULL), 0);
    assert_true(fabs(overlap_between(p, 3, 3, &own) - (K - 1) / 2.0 / (N - 2)) <= 1e-9); /* 0, 1, … K-1 rows nearer */
    knn_free(&own);
    free(r.index);
    free(p);
}

/* Eight rows whose columns 2, 5, 11 are orthogonal and of variance 9, 4, 1 about a common offset. */
static void three_components_are_the_known_axes(void **state) {
    (void)state;
    enum { N = 8, D = 20 };
    static const size_t column[3] = {2, 5, 11};
    float x[N * D], score[N * 3], two[N * 2];
    struct pca p, q;
    for (size_t i = 0; i < N; i++)
        for (size_t d = 0; d < D; d++) {
            x[i * D + d] = 5;
            for (size_t c = 0; c < 3; c++)
                if (d == column[c]) x[i * D + d] += (float)(3 - c) * (i >> c & 1 ? 1.f : -1.f);
        }
    assert_int_equal(pca_scores(x, N, D, 3, 0, score, &p, NULL), 0);
    assert_int_equal(pca_scores(x, N, D, 2, 0, two, &q, NULL), 0);
    /* float32 products of numbers up to 8, 20 terms: eps * 20 * 64 = 8e-5 at the very most */
    for (size_t c = 0; c < 3; c++) {
        double want = (double)((3 - c) * (3 - c));
        assert_true(fabs(p.variance[c] - want) <= 1e-4);
        for (size_t i = 0; i < N; i++) {
            assert_true(fabs(fabs((double)score[3 * i + c]) - (double)(3 - c)) <= 1e-4);
            if (c < 2) assert_true(fabs((double)(score[3 * i + c] - two[2 * i + c])) <= 1e-4);
        }
    }
    assert_true(fabs(p.total - 14) <= 1e-6 && p.total == q.total);
    for (size_t i = 0; i < N; i++) x[i * D + 11] = 5; /* a plane: the third component has nothing */
    assert_int_equal(pca_scores(x, N, D, 3, 0, score, &p, NULL), 0);
    assert_true(p.variance[2] <= 1e-6 * p.total && fabs(p.total - 13) <= 1e-6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_equal_sets_compared_one_by_one),
        cmocka_unit_test(chance_equals_enumeration_and_random_graphs),
        cmocka_unit_test(rows_of_length_one_give_neighbours_by_cosine),
        cmocka_unit_test(rows_between_are_counted),
        cmocka_unit_test(three_components_are_the_known_axes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
