/* test_lm_kernels.c - the language model's kernels: cpu against ref at odd sizes, at every instruction set this
 * processor has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/lm/attention.h"
#include "kernels/lm/gelu.h"
#include "kernels/lm/layernorm.h"
#include "kernels/lm/linear.h"
#include "kernels/lm/lm_kernels.h"
#include "kernels/lm/lse.h"
#include "kernels/lm/rmsnorm.h"
#include "kernels/lm/rope.h"
#include "kernels/base/simd.h"
#include "kernels/lm/swiglu.h"
#include "lib/base/rng.h"
#include "tests/kernel_cases.h"

static const double U = FLT_EPSILON / 2; /* unit roundoff */
static const size_t sizes[] = {1, 31, 32, 33, 1000};
enum { SIZES = sizeof sizes / sizeof *sizes, GUARD = 64 };
static const float guard = 1234.5f;

/* n numbers with guard words on both sides. */
static float *guarded(size_t n) {
    float *p = malloc((n + 2 * GUARD) * sizeof *p);
    assert_non_null(p);
    for (size_t i = 0; i < n + 2 * GUARD; i++) p[i] = guard;
    return p + GUARD;
}
static void release(float *p, size_t n) {
    for (size_t i = 0; i < GUARD; i++) {
        assert_true(p[-1 - (long)i] == guard);
        assert_true(p[n + i] == guard);
    }
    free(p - GUARD);
}
static float *normals(size_t n, uint64_t stream) {
    float *p = guarded(n);
    for (size_t i = 0; i < n; i++) p[i] = (float)rng_normal(1, stream, i);
    return p;
}
static float *packed_of(bool t, size_t N, size_t K, const float *W, size_t ldw) {
    float *p = guarded(linear_padded(N) * K);
    linear_pack(t, N, K, W, ldw, p);
    return p;
}

static void each_level(void (*f)(void)) { EACH_ISA(level) f(); }

/* Higham, "Accuracy and Stability", lemma 3.1: a chain of K products and sums errs by at most (K+1) u sum |x w|, to
 * first order; the reference's final rounding and the bias add 2. */
static void linear_case(size_t M, size_t N, size_t K, bool transposed) {
    size_t ldx = K + 3, ldy = N + 5;
    float *x = normals(M * ldx, 1), *W = normals(N * K, 2), *bias = normals(N, 3), *y = guarded(M * ldy),
          *want = guarded(M * ldy);
    float *w = packed_of(transposed, N, K, W, transposed ? N : K);
    linear_ref(M, N, K, x, ldx, w, LINEAR_PANEL * K, bias, want, ldy);
    linear_cpu(M, N, K, x, ldx, w, LINEAR_PANEL * K, bias, y, ldy);
    for (size_t m = 0; m < M; m++)
        for (size_t n = 0; n < ldy; n++) {
            if (n >= N) { /* between the rows nothing is touched */
                assert_true(y[m * ldy + n] == guard);
                continue;
            }
            double sum = fabs((double)bias[n]), exact = (double)bias[n];
            for (size_t k = 0; k < K; k++) {
                double p = (double)x[m * ldx + k] * (double)(transposed ? W[k * N + n] : W[n * K + k]);
                sum += fabs(p), exact += p;
            }
            assert_true(fabs((double)y[m * ldy + n] - exact) <= (double)(K + 3) * U * sum);
            assert_true(fabs((double)want[m * ldy + n] - exact) <= 2 * U * fabs(exact) + DBL_EPSILON * (double)K * sum);
        }
    for (size_t i = 0; i < M * ldy; i++) want[i] = i % ldy < N ? bias[i % ldy] : guard;
    linear_add_cpu(M, N, K, x, ldx, w, LINEAR_PANEL * K, want, ldy); /* the bias as the start: the same chains */
    for (size_t m = 0; m < M && M * ldy > 0; m++) assert_memory_equal(want + m * ldy, y + m * ldy, ldy * sizeof *y);
    release(x, M * ldx), release(W, N * K), release(bias, N), release(y, M * ldy), release(want, M * ldy);
    release(w, linear_padded(N) * K);
}

static void linear_sizes(void) {
    for (size_t i = 0; i < SIZES; i++)
        for (size_t j = 0; j < SIZES; j++)
            for (size_t k = 0; k < SIZES; k++)
                if ((i == 4) + (j == 4) + (k == 4) < 2) linear_case(sizes[i], sizes[j], sizes[k], (i + j + k) % 2);
    linear_case(13, 40, 2500, false); /* three blocks of K */
    linear_case(400, 33, 70, true);   /* three blocks of rows */
    linear_case(5, 7, 0, false);      /* the bias alone */
}
static void test_linear(void **s) { (void)s, each_level(linear_sizes); }

/* A row's bytes depend on the row alone: in any place, among any number of rows. */
static void linear_rows(void) {
    const size_t M = 300, N = 70, K = 1100;
    float *x = normals(M * K, 4), *W = normals(N * K, 5), *all = guarded(M * N), *one = guarded(M * N),
          *w = packed_of(false, N, K, W, K);
    linear_cpu(M, N, K, x, K, w, LINEAR_PANEL * K, NULL, all, N);
    for (size_t m = 0, n = 1; m < M; m += n, n = n % 23 + 1) {
        if (n > M - m) n = M - m;
        linear_cpu(n, N, K, x + m * K, K, w, LINEAR_PANEL * K, NULL, one, N);
        assert_memory_equal(one, all + m * N, n * N * sizeof *one);
    }
    release(x, M * K), release(W, N * K), release(all, M * N), release(one, M * N), release(w, linear_padded(N) * K);
}
static void test_linear_rows(void **s) { (void)s, each_level(linear_rows); }

/* Over the range, each 997th float: 1.01 ulp. FLT_TRUE_MIN is the ulp below FLT_MIN. */
static void test_exp(void **s) {
    (void)s;
    for (uint32_t i = 0; i < UINT32_MAX - 997; i += 997) {
        float x, y;
        memcpy(&x, &i, sizeof x);
        y = simd_exp(x);
        double want = exp((double)x);
        if (isnan(x))
            assert_true(isnan(y));
        else if ((float)want > FLT_MAX)
            assert_true(y == (float)want);
        else
            assert_true(fabs((double)y - want) <= 1.01 * (want < FLT_MIN ? 0x1p-149 : ldexp(1, ilogb(want) - 23)));
    }
    assert_true(simd_exp(-INFINITY) == 0.0f && simd_exp(INFINITY) > FLT_MAX && simd_exp(0) == 1.0f &&
                simd_exp(-104.1f) == 0.0f);
}

/* The sum of D squares errs by (D+1) u relative (all terms positive), the root halves it; 4 more roundings. */
static void rmsnorm_sizes(void) {
    for (size_t i = 0; i < SIZES; i++)
        for (size_t j = 0; j < SIZES - (i == 4); j++) {
            size_t M = sizes[i], D = sizes[j];
            float *x = normals(M * D, 6), *w = normals(D, 7), *y = guarded(M * D), *want = guarded(M * D);
            rmsnorm_ref(M, D, x, w, 1e-5f, want);
            rmsnorm_cpu(M, D, x, w, 1e-5f, y);
            for (size_t k = 0; k < M * D; k++)
                assert_true(fabs((double)y[k] - (double)want[k]) <=
                            ((double)(D + 1) / 2 + 5) * U * fabs((double)want[k]));
            rmsnorm_cpu(M, D, x, w, 1e-5f, x); /* in place */
            assert_memory_equal(x, y, M * D * sizeof *x);
            release(x, M * D), release(w, D), release(y, M * D), release(want, M * D);
        }
}
static void test_rmsnorm(void **s) { (void)s, each_level(rmsnorm_sizes); }

/* exp 1.01 ulp (2.02 u), then 1 + e, the quotient, the product, the reference's rounding: below 7 u; subnormals by
 * absolute size. */
static void swiglu_sizes(void) {
    for (size_t i = 0; i < SIZES; i++) {
        size_t n = sizes[i];
        float *g = normals(n, 8), *u = normals(n, 9), *want = guarded(n);
        for (size_t k = 0; k < n; k++) want[k] = g[k] = g[k] * (k % 3 ? 2.0f : 60.0f);
        swiglu_ref(n, want, u);
        swiglu_cpu(n, g, u);
        for (size_t k = 0; k < n; k++)
            assert_true(fabs((double)g[k] - (double)want[k]) <=
                        7 * U * fabs((double)want[k]) + 1e-36 * fabs((double)u[k]));
        release(g, n), release(u, n), release(want, n);
    }
    float g[4] = {-1e30f, 1e30f, NAN, 0}, u[4] = {1, 1, 1, 1};
    swiglu_cpu(4, g, u);
    assert_true(g[0] <= 0 && g[0] > -1e-30f && g[1] == 1e30f && isnan(g[2]) && g[3] == 0);
}
static void test_swiglu(void **s) { (void)s, each_level(swiglu_sizes); }

/* With x' = x - mean: the mean errs by (D+1) u mean|x|, which moves every x' and, through the variance, the factor; the
 * sum of D squares errs by (D+1) u relative, the root halves it; 6 more roundings, and the bias as one of its own size.
 * The row is moved away from zero, so that a one-pass variance would fail. */
static void layernorm_case(size_t M, size_t D, bool weights) {
    float *x = normals(M * D, 13), *w = normals(D, 14), *b = normals(D, 15), *y = guarded(M * D),
          *want = guarded(M * D);
    const float *wp = weights ? w : NULL, *bp = weights ? b : NULL;
    for (size_t k = 0; k < M * D; k++) x[k] += 10;
    layernorm_ref(M, D, x, wp, bp, 1e-5f, want);
    layernorm_cpu(M, D, x, wp, bp, 1e-5f, y);
    for (size_t m = 0; m < M; m++) {
        double var = 0, mean = 0, most = 0, sum = 0, squares = 0;
        for (size_t d = 0; d < D; d++) mean += (double)x[m * D + d] / (double)D;
        for (size_t d = 0; d < D; d++) {
            double c = (double)x[m * D + d] - mean;
            var += c * c / (double)D, most = fmax(most, fabs(c));
        }
        double r = 1 / sqrt(var + 1e-5), shift = (double)(D + 2) * U * fabs(mean) * r,
               off = ((double)(D + 1) / 2 + 6) * U * most * r + shift + shift * most * r;
        for (size_t d = 0; d < D; d++) {
            double g = weights ? fabs((double)w[d]) : 1, c = weights ? fabs((double)b[d]) : 0,
                   v = (double)want[m * D + d], z = weights ? (v - (double)b[d]) / (double)w[d] : v;
            assert_true(fabs((double)y[m * D + d] - v) <= off * g + 2 * U * (fabs(v) + c));
            sum += z, squares += z * z;
        }
        /* the definition: what is left without weights has mean 0 and square v / (v + eps) */
        if (!weights) {
            assert_true(fabs(sum) <= (double)D * 16 * U);
            assert_true(fabs(squares / (double)D - var / (var + 1e-5)) <= 16 * U);
        }
    }
    layernorm_cpu(M, D, x, wp, bp, 1e-5f, x); /* in place */
    assert_memory_equal(x, y, M * D * sizeof *x);
    release(x, M * D), release(w, D), release(b, D), release(y, M * D), release(want, M * D);
}
static void layernorm_sizes(void) {
    for (size_t i = 0; i < SIZES; i++)
        for (size_t j = 0; j < SIZES - (i == 4); j++) layernorm_case(sizes[i], sizes[j], (i + j) % 2);
}
static void test_layernorm(void **s) { (void)s, each_level(layernorm_sizes); }

/* The tail: w 1.5 u, which q w answers less than doubled, q 2 u, e^s 2.02 u, three products; 0.5 x + 0.5 a is exact and
 * the difference, as the reference's value, is rounded once: below 10 u of the result, which on the positive side is at
 * least as large as the tail. Smaller than FLT_MIN by absolute size. */
static void gelu_sizes(void) {
    for (size_t i = 0; i < SIZES; i++) {
        size_t n = sizes[i];
        float *x = normals(n, 16), *want = guarded(n);
        for (size_t k = 0; k < n; k++) want[k] = x[k] = x[k] * (k % 3 ? 2.0f : 6.0f);
        gelu_ref(n, want);
        gelu_cpu(n, x);
        for (size_t k = 0; k < n; k++)
            assert_true(fabs((double)x[k] - (double)want[k]) <= 10 * U * fabs((double)want[k]) + 1e-37);
        release(x, n), release(want, n);
    }
    double worst = 0;
    enum { STEPS = 40000 };
    float *x = guarded(STEPS), *want = guarded(STEPS);
    for (size_t k = 0; k < STEPS; k++) x[k] = want[k] = (float)k / 1000 - 20.0005f;
    gelu_ref(STEPS, want);
    gelu_cpu(STEPS, x);
    for (size_t k = 0; k < STEPS; k++) {
        double d = fabs((double)x[k] - (double)want[k]);
        assert_true(d <= 10 * U * fabs((double)want[k]) + 1e-37);
        if (fabs((double)want[k]) > 1e-30) worst = fmax(worst, d / U / fabs((double)want[k]));
    }
    print_message("gelu, level %d: within %.2f units of roundoff\n", (int)isa_level, worst);
    release(x, STEPS), release(want, STEPS);
    float edge[8] = {0, -0.0f, -1e30f, 1e30f, NAN, 1, -1, INFINITY};
    gelu_cpu(8, edge);
    assert_true(edge[0] == 0 && edge[1] == 0 && edge[2] == 0 && edge[3] == 1e30f && isnan(edge[4]) &&
                !isfinite(edge[7]));
    assert_true(fabs((double)edge[5] - 0.841344746068542949) <= 10 * U); /* Phi(1); a tanh form is off by 1e-4 */
    assert_true(fabs((double)edge[6] + 0.158655253931457051) <= 10 * U);
}
static void test_gelu(void **s) { (void)s, each_level(gelu_sizes); }

/* Each exponential errs by 2.02 u and by the rounding of its argument, at most 24 u here; the float sum of a piece by N
 * u; pieces and their rescaling in double. */
static void lse_sizes(void) {
    for (size_t i = 0; i < SIZES; i++) {
        size_t N = sizes[i], M = 5, ld = N + 3;
        float *x = normals(M * ld, 17), top[2][5];
        double sum[2][5] = {{0}, {0}};
        for (size_t k = 0; k < M * ld; k++) x[k] = 3 * x[k] + (k / ld == 2 ? 1e4f : 0);
        for (size_t k = 0; k < 10; k++) top[k / 5][k % 5] = -INFINITY;
        lse_ref(M, N, x, ld, top[0], sum[0]);
        for (size_t n = 0; n < N; n += 40) lse_cpu(M, N - n < 40 ? N - n : 40, x + n, ld, top[1], sum[1]);
        for (size_t m = 0; m < M; m++) {
            assert_true(top[0][m] == top[1][m]);
            assert_true(fabs(sum[1][m] - sum[0][m]) <= (3 + 24 + 40) * U * sum[0][m] && sum[0][m] >= 1);
        }
        x[1 % N] = NAN, x[ld] = INFINITY;
        for (size_t k = 0; k < 10; k++) top[k / 5][k % 5] = -INFINITY, sum[k / 5][k % 5] = 0;
        lse_ref(M, N, x, ld, top[0], sum[0]);
        lse_cpu(M, N, x, ld, top[1], sum[1]);
        for (size_t m = 0; m < M; m++) assert_true(isnan(sum[0][m]) == (m < 2) && isnan(sum[1][m]) == (m < 2));
        release(x, M * ld);
    }
}
static void test_lse(void **s) { (void)s, each_level(lse_sizes); }

/* Two products and a sum: 3 u of |a| + |b|. And rotations keep lengths. */
static void rope_sizes(void) {
    const size_t widths[] = {2, 6, 32, 66};
    for (size_t i = 0; i < SIZES - 1; i++)
        for (size_t j = 0; j < 4; j++) {
            size_t T = sizes[i], Dh = widths[j], H = 3, ld = H * Dh + 7;
            double f[33];
            float *x = normals(T * ld, 10), *want = guarded(T * ld), *table = guarded(T * Dh);
            for (size_t k = 0; k < Dh / 2; k++) f[k] = pow(1000, -(double)k / 33);
            rope_table(T, Dh / 2, f, table);
            memcpy(want, x, T * ld * sizeof *x);
            rope_ref(T, H, Dh, want, ld, table);
            rope_cpu(T, H, Dh, x, ld, table);
            for (size_t t = 0; t < T; t++)
                for (size_t c = 0; c < ld; c++) {
                    double v = (double)x[t * ld + c], w = (double)want[t * ld + c], a = rng_normal(1, 10, t * ld + c),
                           b = 0;
                    if (c >= H * Dh)
                        assert_true(v == (double)(float)a); /* beyond the heads nothing moves */
                    else
                        b = rng_normal(1, 10, t * ld + (c % Dh < Dh / 2 ? c + Dh / 2 : c - Dh / 2));
                    assert_true(fabs(v - w) <= 3 * U * (fabs(a) + fabs(b)));
                    if (c < H * Dh && c % Dh < Dh / 2) {
                        double v2 = (double)x[t * ld + c + Dh / 2];
                        assert_true(fabs(v * v + v2 * v2 - a * a - b * b) <= 16 * U * (a * a + b * b));
                    }
                }
            release(x, T * ld), release(want, T * ld), release(table, T * Dh);
        }
}
static void test_rope(void **s) { (void)s, each_level(rope_sizes); }

/* One attention of random inputs; rows of [q | k | v]. */
static float *attend(size_t T, size_t H, size_t G, size_t Dh, const float *rows, size_t ld, bool reference) {
    struct attention a = {T, H, G, Dh, rows, rows + H * Dh, rows + (H + G) * Dh, ld, (float)(1 / sqrt((double)Dh))};
    size_t bytes = attention_work_bytes(T, Dh), n = T * H * Dh;
    float *out = guarded(n);
    char *work = aligned_alloc(64, (bytes + 127) / 64 * 64);
    assert_non_null(work);
    memset(work, 0x7f, bytes + 1);
    (reference ? attention_ref : attention_cpu)(&a, out, H * Dh, work);
    assert_int_equal(work[bytes], 0x7f);
    free(work);
    return out;
}

/* A score errs by s = (Dh+2) u scale sum |q k|; inputs are normal, so with 6 sigma sum |q k| < Dh + 6 sqrt(Dh). A
 * probability then errs by 2 s (its own score and the sum's) and the roundings of the softmax and the product: (2 T +
 * 8) u; values are below 6. */
static void attention_sizes(void) {
    const size_t shapes[][3] = {{1, 1, 2}, {4, 2, 8}, {6, 2, 32}, {2, 1, 48}};
    for (size_t i = 0; i < SIZES; i++)
        for (size_t j = 0; j < 4; j++) {
            size_t T = sizes[i] > 400 ? 400 : sizes[i], H = shapes[j][0], G = shapes[j][1], Dh = shapes[j][2],
                   ld = (H + 2 * G) * Dh + 3;
            float *x = normals(T * ld, 11), *got = attend(T, H, G, Dh, x, ld, false),
                  *want = attend(T, H, G, Dh, x, ld, true);
            double d = (double)Dh, score = (d + 2) * U * (d + 6 * sqrt(d)) / sqrt(d),
                   tol = 6 * (2 * score + (2 * (double)T + 8) * U);
            for (size_t k = 0; k < T * H * Dh; k++) assert_true(fabs((double)got[k] - (double)want[k]) <= tol);
            for (size_t h = 0; h < H; h++) /* the first position sees itself alone */
                for (size_t c = 0; c < Dh; c++) assert_true(want[h * Dh + c] == x[(H + G + h / (H / G)) * Dh + c]);
            release(x, T * ld), release(got, T * H * Dh), release(want, T * H * Dh);
        }
}
static void test_attention(void **s) { (void)s, each_level(attention_sizes); }

/* Later positions change no byte of earlier rows, whether they are there or not. */
static void attention_prefix(void) {
    const size_t T = 200, H = 2, G = 1, Dh = 16, ld = (H + 2 * G) * Dh;
    float *x = normals(T * ld, 12), *all = attend(T, H, G, Dh, x, ld, false);
    for (size_t t = 1; t < T; t += 13) {
        float *part = attend(t, H, G, Dh, x, ld, false);
        assert_memory_equal(part, all, t * H * Dh * sizeof *all);
        release(part, t * H * Dh);
    }
    release(x, T * ld), release(all, T * H * Dh);
}
static void test_attention_prefix(void **s) { (void)s, each_level(attention_prefix); }

static void test_work_bytes(void **s) {
    (void)s;
    assert_true(attention_work_bytes(SIZE_MAX / 4, 64) == SIZE_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),     cmocka_unit_test(test_linear_rows),
        cmocka_unit_test(test_exp),        cmocka_unit_test(test_rmsnorm),
        cmocka_unit_test(test_swiglu),     cmocka_unit_test(test_rope),
        cmocka_unit_test(test_attention),  cmocka_unit_test(test_attention_prefix),
        cmocka_unit_test(test_work_bytes), cmocka_unit_test(test_layernorm),
        cmocka_unit_test(test_gelu),       cmocka_unit_test(test_lse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
