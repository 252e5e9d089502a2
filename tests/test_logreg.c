/* test_logreg.c - logistic regression against scikit-learn, finite differences and its own optimality. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/analysis/rowdot.h"
#include "lib/analysis/logreg.h"
#include "lib/base/rng.h"
#include "lib/file/jsonfile.h"

#define FIXTURE "tests/fixtures/analysis/logreg.json"

enum { MOST = 2048 };
static float x[MOST];
static int32_t y[MOST];

static double number(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

static size_t load(const json_t *c) {
    const json_t *list = json_object_get(c, "x"), *labels = json_object_get(c, "y");
    assert_true(json_array_size(list) <= MOST);
    for (size_t i = 0; i < json_array_size(list); i++) x[i] = (float)json_number_value(json_array_get(list, i));
    for (size_t i = 0; i < json_array_size(labels); i++) y[i] = (int32_t)json_integer_value(json_array_get(labels, i));
    return json_array_size(labels);
}

/* Both solvers stop within 1e-10 of a zero derivative; the curvature is 1 or more (the penalty), but only about 1e-3 along the intercept
 * of the separable case: weights within 1e-7. Intercepts of three and more classes are compared up to their mean. */
static void equals_scikit_learn(void **state) {
    json_t *o;
    struct err e = {0};
    (void)state;
    assert_int_equal(jsonfile_read(FIXTURE, &o, &e), 0);
    const json_t *cases = json_object_get(o, "cases");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i), *w = json_object_get(c, "w"),
                     *classes = json_object_get(c, "classes");
        size_t n = load(c), D = (size_t)number(c, "D"), cut = 8 * n / 10, k = json_array_size(classes);
        struct logreg m;
        double shift = 0, mean = 0, balanced;
        assert_int_equal(logreg_fit(x, y, cut, D, k, number(c, "C"), 1e-12, &m, &e), 0);
        assert_int_equal(m.planes, json_array_size(w));
        for (size_t p = 0; p < m.planes && m.planes > 1; p++) {
            mean += json_number_value(json_array_get(json_array_get(w, p), D)) / (double)m.planes;
            shift += m.w[p * (D + 1) + D] / (double)m.planes;
        }
        for (size_t p = 0; p < m.planes; p++)
            for (size_t d = 0; d <= D; d++) {
                double want = json_number_value(json_array_get(json_array_get(w, p), d)) - (d == D ? mean : 0);
                assert_true(fabs(m.w[p * (D + 1) + d] - (d == D ? shift : 0) - want) <= 1e-7);
            }
        assert_true(m.gradient <= 1e-9);
        size_t all = (size_t)number(c, "k"); /* "unseen": the test part has a class more than the training part */
        m.k = all > m.k ? all : m.k;
        assert_int_equal(logreg_balanced(&m, x + cut * D, y + cut, n - cut, &balanced, &e), 0);
        assert_true(fabs(balanced - number(c, "balanced")) <= 1e-12);
        logreg_free(&m);
    }
    json_decref(o);
}

/* Central differences with step h: error h^2 f''' / 6 + eps f / h, below 1e-6 of the terms here. */
static void gradient_equals_finite_differences(void **state) {
    enum { N = 40, D = 5, K = 3, ALL = K * (D + 1) };
    struct err e = {0};
    double w[ALL], g[ALL], scratch[ALL], up, down, loss;
    (void)state;
    for (size_t i = 0; i < (size_t)N * D; i++) x[i] = (float)rng_normal(1, 0, i);
    for (size_t i = 0; i < ALL; i++) w[i] = rng_normal(1, 1, i);
    for (size_t k = 2; k <= K; k++) {
        size_t all = (k == 2 ? 1 : k) * (D + 1);
        for (size_t i = 0; i < N; i++) y[i] = (int32_t)rng_below(1, 2, i, k);
        assert_int_equal(logreg_objective(x, y, N, D, k, 0.7, w, &loss, g, &e), 0);
        for (size_t i = 0; i < all; i++) {
            double keep = w[i], h = 1e-5;
            w[i] = keep + h;
            logreg_objective(x, y, N, D, k, 0.7, w, &up, scratch, &e);
            w[i] = keep - h;
            logreg_objective(x, y, N, D, k, 0.7, w, &down, scratch, &e);
            w[i] = keep;
            assert_true(fabs((up - down) / (2 * h) - g[i]) <= 1e-6 * (1 + fabs(g[i])));
        }
    }
}

static void rows_equal_their_definition(void **state) {
    double w[100], g1[100], g2[100];
    (void)state;
    for (size_t i = 0; i < 100; i++)
        x[i] = (float)rng_normal(3, 0, i), w[i] = rng_normal(3, 1, i), g1[i] = g2[i] = w[i];
    for (size_t D = 0; D < 100; D++) {
        double a = rowdot_ref(D, x, w), b = rowdot_cpu(D, x, w);
        assert_memory_equal(&a, &b, sizeof a);
        rowdot_add_ref(D, 0.3, x, g1);
        rowdot_add_cpu(D, 0.3, x, g2);
        assert_memory_equal(g1, g2, sizeof g1);
    }
}

static void threads_change_nothing(void **state) {
    enum { N = 200, D = 10 };
    struct logreg a, b;
    struct err e = {0};
    (void)state;
    for (size_t i = 0; i < (size_t)N * D; i++) x[i] = (float)rng_normal(4, 0, i);
    for (size_t i = 0; i < N; i++) y[i] = (int32_t)(i % 3);
    omp_set_num_threads(1);
    assert_int_equal(logreg_fit(x, y, N, D, 3, 1, 1e-8, &a, &e), 0);
    for (int t = 2; t < 4; t++) {
        omp_set_num_threads(t);
        assert_int_equal(logreg_fit(x, y, N, D, 3, 1, 1e-8, &b, &e), 0);
        assert_memory_equal(a.w, b.w, a.planes * (D + 1) * sizeof *a.w);
        logreg_free(&b);
    }
    omp_set_num_threads(omp_get_num_procs());
    logreg_free(&a);
}

static void bad_input(void **state) {
    struct logreg m;
    struct err e = {0};
    (void)state;
    for (size_t i = 0; i < 20; i++) x[i] = (float)i, y[i] = 0;
    assert_int_equal(logreg_fit(x, y, 10, 2, 2, 1, 1e-6, &m, &e), ERR_RANGE);
    assert_non_null(strstr(e.text, "two classes"));
    y[3] = 2;
    assert_int_equal(logreg_fit(x, y, 10, 2, 2, 1, 1e-6, &m, &e), ERR_RANGE);
    assert_non_null(strstr(e.text, "row 3"));
    y[3] = 1, x[5] = NAN;
    assert_int_equal(logreg_fit(x, y, 10, 2, 2, 1, 1e-6, &m, &e), ERR_NUMERIC);
    for (size_t i = 0; i < 20; i++)
        x[i] = 1; /* nothing to tell classes by: only the intercept moves, to the log odds */
    assert_int_equal(logreg_fit(x, y, 10, 2, 2, 1, 1e-10, &m, &e), 0);
    assert_int_equal(logreg_predict(&m, x), 0);
    assert_true(fabs(m.w[0]) < 1e-6 && fabs(m.w[2] - log(1.0 / 9)) < 1e-6);
    logreg_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_scikit_learn),
                                       cmocka_unit_test(gradient_equals_finite_differences),
                                       cmocka_unit_test(rows_equal_their_definition),
                                       cmocka_unit_test(threads_change_nothing), cmocka_unit_test(bad_input)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
