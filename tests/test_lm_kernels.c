/* test_lm_kernels.c - the language model's kernels: the cases of lm_kernel_cases.h for ref, for cpu at every level of instructions and for
 * the emulated GPU, and what only the host's have. */
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
#include "kernels/base/linear.h"
#include "kernels/lm/lm_kernels.h"
#include "kernels/lm/lse.h"
#include "kernels/lm/rmsnorm.h"
#include "kernels/lm/rope.h"
#include "kernels/base/simd.h"
#include "kernels/lm/swiglu.h"
#include "lib/base/rng.h"
#include "tests/lm_cases.h"
#include "tests/lm_kernel_cases.h"

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

void checked(const char *name, const char *size, double value, double limit) {
    if (!(value <= limit)) fail_msg("%s, %s: %.3g of what it may be off by", name, size, value);
}

static void test_ref(void **s) {
    (void)s;
    lm_kernel_cases(lm_table("ref"), false);
}
static void test_cpu(void **s) {
    (void)s;
    EACH_ISA(level) lm_kernel_cases(lm_table("cpu"), false);
}
static void on_gpu(const char *backend) {
    case_need(backend);
    lm_kernel_cases(lm_table(backend), false);
}
static void test_cuda_f32(void **s) { (void)s, on_gpu("cuda-f32"); }
static void test_cuda_tf32(void **s) { (void)s, on_gpu("cuda-tf32"); }
static void test_cuda_bf16(void **s) { (void)s, on_gpu("cuda"); }

/* A matrix stored transposed packs to the same; with the bias as the start, the chains are the same. */
static void linear_twice(void) {
    const size_t M = 33, N = 45, K = 70, ldy = N + 5;
    float *x = normals(M * K, 1), *W = normals(N * K, 2), *Wt = guarded(N * K), *bias = normals(N, 3),
          *y = guarded(M * ldy), *again = guarded(M * ldy);
    for (size_t n = 0; n < N; n++)
        for (size_t k = 0; k < K; k++) Wt[k * N + n] = W[n * K + k];
    float *w = packed_of(false, N, K, W, K), *wt = packed_of(true, N, K, Wt, N);
    assert_memory_equal(w, wt, linear_padded(N) * K * sizeof *w);
    linear_cpu(M, N, K, x, K, w, LINEAR_PANEL * K, bias, y, ldy);
    for (size_t i = 0; i < M * ldy; i++) again[i] = i % ldy < N ? bias[i % ldy] : guard;
    linear_add_cpu(M, N, K, x, K, w, LINEAR_PANEL * K, again, ldy);
    assert_memory_equal(again, y, M * ldy * sizeof *y);
    release(x, M * K), release(W, N * K), release(Wt, N * K), release(bias, N), release(y, M * ldy);
    release(again, M * ldy), release(w, linear_padded(N) * K), release(wt, linear_padded(N) * K);
}
static void test_linear_twice(void **s) { (void)s, each_level(linear_twice); }

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

static void swiglu_edges(void) {
    float g[4] = {-1e30f, 1e30f, NAN, 0}, u[4] = {1, 1, 1, 1};
    swiglu_cpu(4, g, u);
    assert_true(g[0] <= 0 && g[0] > -1e-30f && g[1] == 1e30f && isnan(g[2]) && g[3] == 0);
}
static void test_swiglu_edges(void **s) { (void)s, each_level(swiglu_edges); }

/* The tail: w 1.5 u, which q w answers less than doubled, q 2 u, e^s 2.02 u, three products; 0.5 x + 0.5 a is exact and
 * the difference, as the reference's value, is rounded once: below 10 u of the result, which on the positive side is at
 * least as large as the tail. Smaller than FLT_MIN by absolute size. */
static void gelu_range(void) {
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
static void test_gelu_range(void **s) { (void)s, each_level(gelu_range); }

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

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ref),
        cmocka_unit_test(test_cpu),
        cmocka_unit_test(test_cuda_f32),
        cmocka_unit_test(test_cuda_tf32),
        cmocka_unit_test(test_cuda_bf16),
        cmocka_unit_test(test_linear_twice),
        cmocka_unit_test(test_linear_rows),
        cmocka_unit_test(test_exp),
        cmocka_unit_test(test_swiglu_edges),
        cmocka_unit_test(test_gelu_range),
        cmocka_unit_test(test_attention_prefix),
        cmocka_unit_test(test_work_bytes),
    };
    case_emulated(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
