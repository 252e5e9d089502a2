/* test_encode.c - encoder and selection: cpu against the definition, odd sizes, ties, too little room, threads. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/sae/encode.h"
#include "kernels/sae/select.h"
#include "lib/base/rng.h"

static float *normals(uint64_t stream, size_t n) {
    float *x = malloc((n + 1) * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (float)rng_normal(21, stream, i);
    return x;
}

/* Entries agree; a difference is allowed only where pre lies within rounding of the bound. tol: D products of size about 1, each
 * rounded, and the sum: 2 D eps. */
static void compare(size_t B, size_t D, size_t F, const float *low, const struct active *a, const struct active *r) {
    double tol = 2 * (double)D * 6e-8 * 4;
    for (size_t b = 0; b < B; b++) {
        size_t i = a->row[b], j = r->row[b];
        while (i < a->row[b + 1] || j < r->row[b + 1]) {
            uint32_t fa = i < a->row[b + 1] ? a->feat[i] : (uint32_t)F,
                     fr = j < r->row[b + 1] ? r->feat[j] : (uint32_t)F;
            if (fa == fr) {
                if (!(fabs((double)a->pre[i] - (double)r->pre[j]) <= tol)) fail_msg("row %zu feature %u", b, fa);
                i++, j++;
            } else {
                uint32_t f = fa < fr ? fa : fr;
                double pre = (double)(fa < fr ? a->pre[i++] : r->pre[j++]);
                if (!(fabs(pre - (double)low[f]) <= tol)) fail_msg("row %zu feature %u is in one list only", b, f);
            }
        }
    }
}

static void against_ref(void **state) {
    (void)state;
    const size_t sizes[][3] = {{1, 1, 1},       {31, 7, 33},     {32, 16, 32},  {33, 33, 31},
                               {129, 40, 1000}, {300, 24, 2100}, {1100, 5, 200}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        size_t B = sizes[k][0], D = sizes[k][1], F = sizes[k][2];
        float *x = normals(1, B * D), *W = normals(2, F * D), *b = normals(3, F), *low = normals(4, F);
        struct active a, r, one;
        if (active_init(&a, B, B * F, NULL) || active_init(&r, B, B * F, NULL) || active_init(&one, B, B * F, NULL))
            fail();
        omp_set_num_threads(3);
        assert_int_equal(encode_cpu(B, D, F, x, W, b, low, &a), 0);
        assert_int_equal(encode_ref(B, D, F, x, W, b, low, &r), 0);
        compare(B, D, F, low, &a, &r);
        omp_set_num_threads(1);
        assert_int_equal(encode_cpu(B, D, F, x, W, b, low, &one), 0);
        assert_memory_equal(a.row, one.row, (B + 1) * sizeof *a.row);
        assert_memory_equal(a.feat, one.feat, a.row[B] * sizeof *a.feat);
        assert_memory_equal(a.pre, one.pre, a.row[B] * sizeof *a.pre);
        active_free(&a), active_free(&r), active_free(&one);
        free(x), free(W), free(b), free(low);
    }
}

static void too_little_room(void **state) {
    (void)state;
    float x[4] = {1, 2, 3, 4}, W[3] = {1, 1, 1}, b[3] = {0, 0, 0}, low[3] = {0, 0, 0};
    struct active a;
    assert_int_equal(active_init(&a, 4, 11, NULL), 0);
    assert_int_equal(encode_cpu(4, 1, 3, x, W, b, low, &a), ERR_RANGE);
    assert_int_equal(a.row[4], 12); /* how much is needed */
    assert_int_equal(encode_ref(4, 1, 3, x, W, b, low, &a), ERR_RANGE);
    assert_int_equal(a.row[4], 12);
    active_free(&a);
}

static void ties_and_nan(void **state) {
    (void)state;
    float v[35], pre[35];
    uint32_t feat[35];
    for (int i = 0; i < 35; i++) v[i] = (float)(i % 3);
    v[2] = NAN, v[33] = INFINITY;
    size_t n = select_above(35, v, 1, 100, feat, pre), want = 0;
    for (int i = 0; i < 35; i++) {
        if (i != 33 && (i % 3 != 2 || i == 2)) continue; /* 1 > 1 is false: strict */
        assert_int_equal(feat[want], 100 + i);
        assert_true(pre[want] == v[i]);
        want++;
    }
    assert_int_equal(n, want);
    assert_int_equal(select_above(35, v, NAN, 0, feat, pre), 0);
    for (size_t k = 0; k <= 35; k++) { /* all are above: the room is used to its end, and not beyond */
        float *value = malloc((k + 1) * sizeof *value);
        uint32_t *index = malloc((k + 1) * sizeof *index);
        value[k] = 7, index[k] = 7;
        assert_int_equal(select_above(k, v, -1, 0, index, value), k - (k > 2));
        assert_true(value[k] == 7 && index[k] == 7);
        free(value), free(index);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_ref), cmocka_unit_test(too_little_room),
                                       cmocka_unit_test(ties_and_nan)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
