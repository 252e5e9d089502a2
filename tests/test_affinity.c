/* test_affinity.c - counting bits, and the five affinities with every edge case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "kernels/analysis/popcount.h"
#include "lib/analysis/affinity.h"
#include "lib/analysis/firing.h"
#include "lib/base/rng.h"
#include "lib/file/jsonfile.h"
#include "tests/kernel_cases.h"

/* CMocka compares as float; this one does not. NaN fails. */
#define assert_near(got, want, tol) assert_true(fabs((double)(got) - (double)(want)) <= (double)(tol))

static uint64_t word(uint64_t i) {
    uint32_t b[4];
    rng_block(7, 1, i, b);
    return (uint64_t)b[0] << 32 | b[1];
}

/* Every back end that this processor has gives the reference's integers, at sizes round every register and word, and writes
 * nothing beside its output. */
static void popcount_backends(void **state) {
    const size_t bits[] = {1, 31, 32, 33, 64, 511, 513, 1000}, rows[] = {1, 3, 4, 5, 33};
    (void)state;
    for (size_t s = 0; s < sizeof bits / sizeof *bits; s++)
        for (size_t r = 0; r < 25; r++) {
            size_t M = rows[r / 5], N = rows[r % 5], W = (bits[s] + 63) / 64, lda = W + s % 3, ldo = N + 2;
            uint64_t *a = malloc(M * lda * 8), *b = malloc(N * lda * 8);
            uint32_t *want = malloc(M * ldo * 4), *got = malloc(M * ldo * 4);
            for (size_t i = 0; i < M * lda; i++)
                a[i] = word(i) & (i % lda == W - 1 && bits[s] % 64 ? (1ull << bits[s] % 64) - 1 : ~0ull);
            for (size_t i = 0; i < N * lda; i++) b[i] = word(i + 100000);
            memset(want, 0xa5, M * ldo * 4);
            popcount_and_ref(M, N, W, a, lda, b, lda, want, ldo);
            EACH_ISA(isa) {
                memset(got, 0xa5, M * ldo * 4);
                popcount_and_cpu(M, N, W, a, lda, b, lda, got, ldo);
                assert_memory_equal(got, want, M * ldo * 4);
            }
            uint32_t self;
            popcount_and_ref(1, 1, W, a, lda, a, lda, &self, 1);
            assert_int_equal(popcount_row(W, a), self);
            free(a), free(b), free(want), free(got);
        }
}

static long double exact(enum affinity kind, long double T, long double a, long double b, long double n) {
    long double v;
    switch (kind) {
    case AFFINITY_PHI:
        v = a * (T - a) * b * (T - b); /* 64-bit mantissa: exact to 2^-64, counts to 1e9 give 1e36 */
        return v > 0 ? (T * n - a * b) / sqrtl(v) : 0;
    case AFFINITY_SMC:
        return (T - a - b + 2 * n) / T;
    case AFFINITY_JACCARD:
        return a + b > 0 ? n / (a + b - n) : 0;
    case AFFINITY_DICE:
        return a + b > 0 ? 2 * n / (a + b) : 0;
    default:
        v = a < b ? a : b;
        return v > 0 ? n / v : 0;
    }
}

static float one(enum affinity kind, size_t T, uint32_t a, uint32_t b, uint32_t n) {
    float out = -9;
    assert_int_equal(affinity_tile(kind, 1, 1, &n, 1, &a, &b, T, &out, 1), 0);
    return out;
}

/* One rounding to float32 (2^-24 relative to values up to 1) and, for phi, T 2^-53 of cancellation in T n_ij - n_i n_j. */
static double bound(size_t T) { return 0x1p-24 + 4 * (double)T * 0x1p-53; }

/* Random counts from one chunk to a thousand million, all five, against long double; n_ij anywhere in its possible range. */
static void against_exact(void **state) {
    const size_t sizes[] = {1, 2, 3, 80, 1000, 110218, 150000, 100000000, 1000000000, 4294967295u};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (uint64_t i = 0; i < 3000; i++) {
            size_t T = sizes[s];
            uint64_t spread = i % 3 == 0 ? 3 : T; /* a third of them close to 0 or to T */
            uint64_t a = rng_below(1, s, 4 * i, spread + 1 < T + 1 ? spread + 1 : T + 1);
            uint64_t b = rng_below(1, s, 4 * i + 1, spread + 1 < T + 1 ? spread + 1 : T + 1);
            if (i % 6 == 0) a = T - a;
            if (i % 9 == 0) b = T - b;
            uint64_t lo = a + b > T ? a + b - T : 0, hi = a < b ? a : b,
                     n = lo + rng_below(1, s, 4 * i + 2, hi - lo + 1);
            if (i % 5 == 0) n = hi;
            if (i % 7 == 0) n = lo;
            for (int k = 0; k < AFFINITIES; k++) {
                double want = (double)exact((enum affinity)k, T, a, b, n);
                float got = one((enum affinity)k, T, (uint32_t)a, (uint32_t)b, (uint32_t)n);
                if (!(fabs((double)got - want) <= bound(T)))
                    fail_msg("%s T=%zu a=%llu b=%llu n=%llu: want %.9g, got %.9g", affinity_name((enum affinity)k), T,
                             (unsigned long long)a, (unsigned long long)b, (unsigned long long)n, want, (double)got);
                assert_true(got <= 1 && got >= (k == AFFINITY_PHI ? -1 : 0));
            }
        }
}

/* The table of edge cases: never (0) and always (T) firing features against each other and against a live one. */
static void degenerate(void **state) {
    const uint32_t T = 50, live = 20;
    const struct {
        uint32_t a, b, n;
        double phi, smc, jaccard, dice, overlap;
    } t[] = {
        {0, 0, 0, 0, 1, 0, 0, 0},      {0, live, 0, 0, 0.6, 0, 0, 0},
        {0, T, 0, 0, 0, 0, 0, 0},      {T, live, live, 0, 0.4, 0.4, 40.0 / 70, 1},
        {T, T, T, 0, 1, 1, 1, 1},      {live, live, live, 1, 1, 1, 1, 1},
        {live, 30, 0, -1, 0, 0, 0, 0}, /* complements */
    };
    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        for (int swap = 0; swap < 2; swap++) {
            uint32_t a = swap ? t[i].b : t[i].a, b = swap ? t[i].a : t[i].b;
            const double want[AFFINITIES] = {t[i].phi, t[i].smc, t[i].jaccard, t[i].dice, t[i].overlap};
            for (int k = 0; k < AFFINITIES; k++)
                assert_near((double)one((enum affinity)k, T, a, b, t[i].n), want[k], 1e-7);
        }
    uint32_t x = 0;
    float out;
    assert_int_equal(affinity_tile(AFFINITY_PHI, 1, 1, &x, 1, &x, &x, 0, &out, 1), ERR_RANGE);
    assert_int_equal(affinity_tile(AFFINITIES, 1, 1, &x, 1, &x, &x, 5, &out, 1), ERR_RANGE);
    assert_int_equal(affinity_parse("phi2"), ERR_RANGE);
    for (int k = 0; k < AFFINITIES; k++) assert_int_equal(affinity_parse(affinity_name((enum affinity)k)), k);
}

/* Li et al.'s formula multiplies four margins in int64 and overflows past 110 217 chunks; half-firing features must correlate here. */
static void no_overflow(void **state) {
    (void)state;
    assert_near((double)one(AFFINITY_PHI, 150000, 75000, 75000, 75000), 1, 1e-7);
    assert_near((double)one(AFFINITY_PHI, 1000000000, 500000000, 500000000, 375000000), 0.5, 1e-7);
    assert_near((double)one(AFFINITY_DICE, 4294967295u, 4294967295u, 4294967295u, 4294967295u), 1, 1e-7);
    assert_near((double)one(AFFINITY_JACCARD, 4000000000u, 4000000000u, 4000000000u, 4000000000u), 1, 1e-7);
}

static void make(struct firing *m, size_t F, size_t T) {
    struct err e;
    assert_int_equal(firing_init(m, F, T, 1, &e), 0);
    for (size_t f = 0; f < F; f++)
        for (size_t c = 0; c < T; c++)
            if (rng_uniform(3, f, c) < (double)f / (double)(F - 1))
                firing_set(m, f, c); /* row 0 never, the last always */
    firing_count(m);
}

/* Theorems on a whole matrix, in tiles that do not divide it: symmetric, in range, live diagonal 1, phi equal to the correlation
 * of the columns; in place gives the same bytes. */
static void whole_matrix(void **state) {
    enum { F = 33, T = 1000 };
    struct firing m;
    static uint32_t n11[F * F], copy[F * F];
    static float a[F * F];
    (void)state;
    make(&m, F, T);
    firing_cofire(&m, n11);
    for (size_t i = 0; i < F; i++)
        for (size_t j = 0; j < F; j++) {
            uint32_t n = 0;
            for (size_t c = 0; c < T; c++) n += firing_get(&m, i, c) && firing_get(&m, j, c);
            assert_int_equal(n11[i * F + j], n);
        }
    for (int k = 0; k < AFFINITIES; k++) {
        for (size_t i = 0; i < F; i += 7)
            for (size_t j = 0; j < F; j += 10)
                affinity_tile((enum affinity)k, F - i < 7 ? F - i : 7, F - j < 10 ? F - j : 10, n11 + i * F + j, F,
                              m.count + i, m.count + j, T, a + i * F + j, F);
        memcpy(copy, n11, sizeof copy);
        affinity_tile((enum affinity)k, F, F, copy, F, m.count, m.count, T, (float *)(void *)copy, F);
        assert_memory_equal(copy, a, sizeof a);
        for (size_t i = 0; i < F; i++) {
            int live = m.count[i] > 0 && m.count[i] < T;
            for (size_t j = 0; j < F; j++) {
                double p = (double)m.count[i] / T, q = (double)m.count[j] / T, cov = 0;
                assert_near((double)a[i * F + j], (double)a[j * F + i], 0);
                assert_true(a[i * F + j] <= 1 && a[i * F + j] >= -1);
                if (k != AFFINITY_PHI) continue;
                for (size_t c = 0; c < T; c++) cov += (firing_get(&m, i, c) - p) * (firing_get(&m, j, c) - q) / T;
                double want = p > 0 && p < 1 && q > 0 && q < 1 ? cov / sqrt(p * (1 - p) * q * (1 - q)) : 0;
                assert_near((double)a[i * F + j], want, 1e-7);
            }
            if (live) assert_near((double)a[i * F + i], 1, 0);
        }
    }
    firing_free(&m);
}

/* Pairs of the planted fixture, as NumPy computes them in float64. */
static void fixture(void **state) {
    const char *path = "tests/fixtures/analysis/planted.json";
    struct firing m, sub;
    struct err e = {0};
    json_t *o, *list;
    uint32_t keep[8], n11[64];
    float out[64];
    (void)state;
    assert_int_equal(firing_read(&m, "tests/fixtures/analysis/planted.safetensors", NULL, &e), 0);
    assert_int_equal(jsonfile_read(path, &o, &e), 0);
    assert_int_equal(jsonfile_array(o, path, "sample", &list, &e), 0);
    for (size_t i = 0; i < 8; i++) keep[i] = (uint32_t)json_integer_value(json_array_get(list, i));
    assert_int_equal(firing_select(&sub, &m, keep, 8, &e), 0);
    firing_cofire(&sub, n11);
    for (int k = 0; k < AFFINITIES; k++) {
        json_t *a = json_object_get(json_object_get(o, "affinity"), affinity_name((enum affinity)k));
        affinity_tile((enum affinity)k, 8, 8, n11, 8, sub.count, sub.count, sub.chunks, out, 8);
        for (size_t i = 0; i < 64; i++)
            assert_near((double)out[i], json_number_value(json_array_get(json_object_get(a, "sample"), i)), 1e-7);
    }
    json_decref(o);
    firing_free(&sub);
    firing_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(popcount_backends), cmocka_unit_test(against_exact), cmocka_unit_test(degenerate),
        cmocka_unit_test(no_overflow),       cmocka_unit_test(whole_matrix),  cmocka_unit_test(fixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
