/* test_metrics.c - the metrics against their definitions written out, cases with known answers, cancellation, and
 * threads. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/arena.h"
#include "lib/base/rng.h"
#include "lib/sae/metrics.h"

enum { G = 3 };

struct set { /* a made-up data set with reconstructions and active entries */
    size_t N, D, F;
    float *x, *y;
    int32_t *group;
    struct active a;
};

static void set_make(struct set *s, size_t N, size_t D, size_t F, double offset) {
    struct err e;
    *s = (struct set){.N = N, .D = D, .F = F};
    s->x = calloc(N * D, sizeof *s->x), s->y = calloc(N * D, sizeof *s->y), s->group = calloc(N, sizeof *s->group);
    assert_int_equal(active_init(&s->a, N, N * F, &e), 0);
    for (size_t n = 0; n < N; n++) {
        s->group[n] = (int32_t)rng_below(1, 1, n, G);
        size_t at = s->a.row[n];
        for (size_t f = 0; f < F; f++) /* feature f fires with probability f / (2F): 0 never does */
            if (rng_uniform(1, 2, n * F + f) * 2 * (double)F < (double)f)
                s->a.feat[at] = (uint32_t)f, s->a.pre[at++] = (float)(0.1 + rng_uniform(1, 3, n * F + f));
        s->a.row[n + 1] = at;
        for (size_t d = 0; d < D; d++) {
            double v = rng_normal(1, 4, n * D + d) + 0.5 * s->group[n] * (double)(d % 3);
            s->x[n * D + d] = (float)(offset + v);
            s->y[n * D + d] = (float)(offset + 0.8 * v + 0.1 * rng_normal(1, 5, n * D + d) + 0.05);
        }
    }
}

static void set_free(struct set *s) {
    free(s->x), free(s->y), free(s->group);
    active_free(&s->a);
}

/* Feed s in calls of `rows` rows. */
static void run(const struct set *s, size_t rows, struct metrics_result *r, struct metrics_group *g, uint64_t *count) {
    struct err e;
    struct metrics *m;
    struct measure_row *row = calloc(rows, sizeof *row);
    double *e_mean = calloc(s->D, sizeof *e_mean);
    assert_true(row && e_mean);
    assert_int_equal(metrics_init(&m, s->D, s->F, G, &e), 0);
    for (size_t b = 0; b < s->N; b += rows)
        assert_int_equal(metrics_means(m, s->N - b < rows ? s->N - b : rows, s->x + b * s->D, s->group + b), 0);
    metrics_means_end(m);
    for (size_t b = 0; b < s->N; b += rows) {
        struct active part = s->a;
        part.row += b;
        size_t B = s->N - b < rows ? s->N - b : rows;
        measure_rows(B, s->D, s->x + b * s->D, s->y + b * s->D, metrics_mean(m), metrics_group_mean(m), s->group + b,
                     e_mean, row);
        assert_int_equal(metrics_add(m, B, row, e_mean, &part, s->group + b), 0);
    }
    free(row), free(e_mean);
    metrics_end(m, r, g);
    if (count) memcpy(count, metrics_counts(m), s->F * sizeof *count);
    metrics_free(m);
}

static void near(const char *what, double got, double want, double tol) {
    if (!(fabs(got - want) <= tol * fmax(1, fabs(want)))) fail_msg("%s: want %.17g, got %.17g", what, want, got);
}

/* The definitions of metrics.h, one at a time, in long double. `only` >= 0 takes the rows of one group. */
struct truth {
    long double e2, e2c, x2, dev2, y2, xy, ratio, cosine, l2, l0, l1, n;
};

static struct truth truth_of(const struct set *s, int only) {
    struct truth t = {0};
    long double *mean = calloc(2 * s->D, sizeof *mean), *e_mean = mean + s->D;
    for (size_t n = 0; n < s->N; n++) t.n += only < 0 || s->group[n] == only;
    for (size_t n = 0; n < s->N; n++)
        for (size_t d = 0; d < s->D; d++)
            if (only < 0 || s->group[n] == only) {
                mean[d] += s->x[n * s->D + d] / t.n;
                e_mean[d] += ((long double)s->x[n * s->D + d] - s->y[n * s->D + d]) / t.n;
            }
    for (size_t n = 0; n < s->N; n++) {
        if (only >= 0 && s->group[n] != only) continue;
        long double e2 = 0, dev2 = 0, x2 = 0, y2 = 0, xy = 0;
        for (size_t d = 0; d < s->D; d++) {
            long double x = s->x[n * s->D + d], y = s->y[n * s->D + d], e = x - y, dev = x - mean[d];
            e2 += e * e, dev2 += dev * dev, x2 += x * x, y2 += y * y, xy += x * y;
            t.e2c += (e - e_mean[d]) * (e - e_mean[d]);
        }
        t.e2 += e2, t.dev2 += dev2, t.x2 += x2, t.y2 += y2, t.xy += xy;
        t.ratio += 1 - e2 / dev2, t.cosine += xy / sqrtl(x2 * y2), t.l2 += sqrtl(y2 / x2);
        t.l0 += (long double)(s->a.row[n + 1] - s->a.row[n]);
        for (size_t i = s->a.row[n]; i < s->a.row[n + 1]; i++) t.l1 += s->a.pre[i];
    }
    free(mean);
    return t;
}

/* Sums of N D terms in double on each side of a ratio, none cancelling: 4 N D 2^-53. */
static void definitions(void **state) {
    (void)state;
    const size_t size[][3] = {{40, 1, 1}, {64, 31, 5}, {65, 32, 8}, {1000, 33, 40}, {2100, 70, 12}};
    for (size_t k = 0; k < 5; k++) {
        struct set s;
        struct metrics_result r;
        struct metrics_group g[G];
        set_make(&s, size[k][0], size[k][1], size[k][2], 0.7);
        struct truth t = truth_of(&s, -1);
        double tol = 4 * (double)(s.N * s.D) * 0x1p-53;
        run(&s, 700, &r, g, NULL);
        assert_int_equal(r.n, s.N), assert_int_equal(r.rows_at_mean, 0), assert_int_equal(r.rows_zero, 0);
        near("uncentred", r.ev_uncentred, (double)(1 - t.e2 / t.x2), tol);
        near("centred", r.ev_centred, (double)(1 - t.e2 / t.dev2), tol);
        near("residual_centred", r.ev_residual_centred, (double)(1 - t.e2c / t.dev2), tol);
        near("mean_of_row_ratios", r.ev_row_ratios, (double)(t.ratio / t.n),
             tol * (s.D == 1 ? 1e4 : 1)); /* D 1: |x-mu| may be tiny */
        near("fvu", r.fvu, (double)(t.e2 / t.dev2), tol);
        near("mse", r.mse, (double)(t.e2 / t.n / (long double)s.D), tol);
        near("l0", r.l0, (double)(t.l0 / t.n), tol), near("l1", r.l1, (double)(t.l1 / t.n), tol);
        near("cosine", r.cosine, (double)(t.cosine / t.n), tol),
            near("l2_ratio", r.l2_ratio, (double)(t.l2 / t.n), tol);
        near("bias", r.bias, (double)(t.y2 / t.xy), tol);
        for (int i = 0; i < G; i++) {
            struct truth u = truth_of(&s, i);
            assert_int_equal(g[i].n, (uint64_t)u.n);
            near("group uncentred", g[i].ev_uncentred, (double)(1 - u.e2 / u.x2), tol);
            near("group centred", g[i].ev_centred, (double)(1 - u.e2 / u.dev2), tol);
            near("group l0", g[i].l0, (double)(u.l0 / u.n), tol);
        }
        set_free(&s);
    }
}

/* The four definitions must differ from one another on data with a mean and a biased reconstruction, in the known
 * order. */
static void definitions_differ(void **state) {
    (void)state;
    struct set s;
    struct metrics_result r;
    set_make(&s, 500, 16, 4, 2.0);
    run(&s, 512, &r, NULL, NULL);
    assert_true(r.ev_uncentred > r.ev_residual_centred + 0.01);
    assert_true(r.ev_residual_centred > r.ev_centred + 1e-4);
    assert_true(fabs(r.ev_row_ratios - r.ev_centred) > 1e-4);
    set_free(&s);
}

static void known_answers(void **state) {
    (void)state;
    struct set s;
    struct metrics_result r;
    set_make(&s, 300, 8, 6, 1.0);
    memcpy(s.y, s.x, s.N * s.D * sizeof *s.y); /* a perfect reconstruction */
    run(&s, 128, &r, NULL, NULL);
    assert_true(r.ev_uncentred == 1 && r.ev_centred == 1 && r.ev_residual_centred == 1 && r.ev_row_ratios == 1 &&
                r.fvu == 0);
    near("cosine", r.cosine, 1, 1e-15), near("l2", r.l2_ratio, 1, 1e-15), near("bias", r.bias, 1, 1e-15);
    for (size_t i = 0; i < s.N * s.D; i++)
        s.y[i] = s.x[i] - 0.5f; /* off by a constant: definition (c) does not see it */
    run(&s, 128, &r, NULL, NULL);
    near("residual_centred", r.ev_residual_centred, 1, 1e-12);
    near("mse", r.mse, 0.25, 1e-6);                    /* x - 0.5 is rounded to float32 */
    for (size_t i = 0; i < s.N * s.D; i++) s.y[i] = 0; /* nothing reconstructed */
    run(&s, 128, &r, NULL, NULL);
    assert_true(r.ev_uncentred == 0 && r.l2_ratio == 0 && r.cosine == 0 && isnan(r.bias));
    assert_int_equal(r.rows_zero, 300);
    for (size_t i = 0; i < s.N * s.D; i++) s.x[i] = 3; /* constant rows: nothing to explain */
    run(&s, 128, &r, NULL, NULL);
    assert_true(isnan(r.ev_centred) && isnan(r.ev_residual_centred) && isnan(r.ev_row_ratios) && r.ev_uncentred == 0);
    assert_int_equal(r.rows_at_mean, 300);
    set_free(&s);
}

/* A mean 10^4 times the deviation: sum x^2 - n mean^2 in double would still lose 8 digits, and residuals about their
 * mean as many. x itself holds the deviation to 2^-24 10^4; the truth is taken from the same float32 values, so only
 * our sums are at stake. */
static void far_from_zero(void **state) {
    (void)state;
    struct set s;
    struct metrics_result r;
    set_make(&s, 3000, 8, 4, 1e4);
    struct truth t = truth_of(&s, -1);
    run(&s, 512, &r, NULL, NULL);
    near("centred", r.ev_centred, (double)(1 - t.e2 / t.dev2), 1e-11);
    for (size_t i = 0; i < s.N * s.D; i++)
        s.y[i] = s.x[i] - 4096; /* residual far from zero, deviation of x's rounding */
    for (size_t i = 0; i < s.N; i++) s.y[i * s.D] += (float)i * 0.0078125f;
    t = truth_of(&s, -1);
    run(&s, 512, &r, NULL, NULL);
    near("residual_centred", r.ev_residual_centred, (double)(1 - t.e2c / t.dev2), 1e-11);
    set_free(&s);
}

static int by_value(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return x < y ? -1 : x > y;
}

static void sparsity(void **state) {
    (void)state;
    struct set s;
    struct metrics_result r;
    uint64_t count[30], want[30] = {0}, dead = 0, one = 0, ten = 0;
    set_make(&s, 1000, 3, 30, 0);
    run(&s, 300, &r, NULL, count);
    for (size_t i = 0; i < s.a.row[s.N]; i++) want[s.a.feat[i]]++;
    assert_memory_equal(count, want, sizeof want);
    for (size_t f = 0; f < 30; f++) dead += !want[f], one += want[f] > 10, ten += want[f] > 100;
    assert_true(dead > 0 && ten < one && one < 30);
    assert_int_equal(r.dead, dead), assert_int_equal(r.above_1_percent, one), assert_int_equal(r.above_10_percent, ten);
    size_t l0[1000];
    for (size_t n = 0; n < s.N; n++) l0[n] = s.a.row[n + 1] - s.a.row[n];
    qsort(l0, s.N, sizeof *l0, by_value);
    assert_int_equal(r.l0_max, l0[999]);
    for (int q = 0; q < METRICS_QUANTILES; q++) assert_int_equal(r.l0_quantile[q], l0[metrics_percent[q] * 10 - 1]);
    set_free(&s);
}

/* Nearest rank at its edge: 20 rows with L0 = 0 … 19; 5 % of them keep to 0, 50 % to 9, 95 % to 18. */
static void quantile_edges(void **state) {
    (void)state;
    struct set s;
    struct metrics_result r;
    const uint64_t want[METRICS_QUANTILES] = {0, 4, 9, 14, 18};
    set_make(&s, 20, 2, 20, 0);
    for (size_t n = 0, at = 0; n < 20; n++) {
        for (size_t f = 0; f < n; f++) s.a.feat[at] = (uint32_t)f, s.a.pre[at++] = 1;
        s.a.row[n + 1] = at;
    }
    run(&s, 20, &r, NULL, NULL);
    assert_memory_equal(r.l0_quantile, want, sizeof want);
    set_free(&s);
}

static void threads(void **state) {
    (void)state;
    struct set s;
    struct metrics_result r[3], cut;
    struct metrics_group g[3][G];
    memset(r, 0, sizeof r), memset(g, 0, sizeof g);
    set_make(&s, 3001, 45, 20, 0.3);
    for (int k = 0; k < 3; k++) {
        omp_set_num_threads(k == 0 ? 1 : k == 1 ? 2 : 5);
        run(&s, 1024, &r[k], g[k], NULL);
    }
    assert_memory_equal(&r[0], &r[1], sizeof r[0]), assert_memory_equal(&r[0], &r[2], sizeof r[0]);
    assert_memory_equal(g[0], g[2], sizeof g[0]);
    run(&s, 97, &cut, NULL, NULL); /* cut elsewhere: the same but for rounding */
    near("centred", cut.ev_centred, r[0].ev_centred, 1e-13);
    near("residual_centred", cut.ev_residual_centred, r[0].ev_residual_centred, 1e-13);
    set_free(&s);
}

static void refused(void **state) {
    (void)state;
    struct err e;
    struct metrics *m;
    float x[4] = {0};
    const int32_t bad[] = {0, G}, low[] = {-1, 0};
    size_t row[3] = {0};
    struct active a = {.B = 2, .row = row};
    assert_int_equal(metrics_init(&m, 2, 5, G, &e), 0);
    assert_int_equal(metrics_means(m, 2, x, bad), ERR_RANGE), assert_int_equal(metrics_means(m, 2, x, low), ERR_RANGE);
    struct measure_row rows[2];
    memset(rows, 0, sizeof rows);
    const double e_mean[2] = {0};
    assert_int_equal(metrics_add(m, 2, rows, e_mean, &a, bad), ERR_RANGE);
    for (long n = 0; n < 2; n++) {
        mem_fail_after(n);
        int rc = metrics_add(m, 2, rows, e_mean, &a, NULL);
        mem_fail_after(-1);
        assert_int_equal(rc, ERR_MEMORY);
    }
    metrics_free(m);
    for (long n = 0; n < 8; n++) {
        mem_fail_after(n);
        int rc = metrics_init(&m, 2, 5, G, &e);
        mem_fail_after(-1);
        assert_int_equal(rc, ERR_MEMORY);
        assert_null(m);
    }
    metrics_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(definitions),   cmocka_unit_test(definitions_differ),
                                       cmocka_unit_test(known_answers), cmocka_unit_test(far_from_zero),
                                       cmocka_unit_test(sparsity),      cmocka_unit_test(quantile_edges),
                                       cmocka_unit_test(threads),       cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
