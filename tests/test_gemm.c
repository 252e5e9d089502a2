/* test_gemm.c - gemm_cpu and gemm_tile against gemm_ref. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/gemm.h"
#include "lib/base/rng.h"

typedef void gemm_fn(bool, bool, size_t, size_t, size_t, float, const float *, size_t, const float *, size_t, float,
                     float *, size_t);

static const size_t sizes[] = {1, 31, 32, 33, 1000};
enum { SIZES = sizeof sizes / sizeof *sizes, GUARD = 32 };
static const float guard = -77.5f;

static float *numbers(size_t n, uint64_t stream) {
    float *p = malloc((n + 1) * sizeof *p);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++) p[i] = (float)rng_normal(5, stream, i);
    return p;
}

/* Whatever the order of K products and sums, the error is at most (K+1) u of the sum of their sizes (Higham,
 * lemma 3.1); alpha, beta, the last sum and the reference's rounding add 4 u. The sums of sizes are products of |A| and
 * |B|. */
static void compare(gemm_fn *f, bool ta, bool tb, size_t M, size_t N, size_t K, float alpha, float beta) {
    size_t lda = (ta ? M : K) + 2, ldb = (tb ? K : N) + 1, ldc = N + 3, nC = M * ldc;
    float *A = numbers((ta ? K : M) * lda, 1), *B = numbers((tb ? N : K) * ldb, 2), *C = numbers(nC + GUARD, 3), *want;
    float *Aabs = malloc((ta ? K : M) * lda * sizeof *A), *Babs = malloc((tb ? N : K) * ldb * sizeof *B),
          *size = malloc((nC + GUARD) * sizeof *size);
    for (size_t i = 0; i < M; i++)
        for (size_t j = N; j < ldc; j++) C[i * ldc + j] = guard;
    for (size_t i = 0; i < GUARD; i++) C[nC + i] = guard;
    want = malloc((nC + GUARD) * sizeof *want);
    memcpy(want, C, (nC + GUARD) * sizeof *want);
    for (size_t i = 0; i < nC; i++) size[i] = fabsf(C[i]);
    for (size_t i = 0; i < (ta ? K : M) * lda; i++) Aabs[i] = fabsf(A[i]);
    for (size_t i = 0; i < (tb ? N : K) * ldb; i++) Babs[i] = fabsf(B[i]);
    gemm_ref(ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, want, ldc);
    gemm_ref(ta, tb, M, N, K, fabsf(alpha), Aabs, lda, Babs, ldb, fabsf(beta), size, ldc);
    f(ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++) {
            size_t k = i * ldc + j;
            assert_true(fabs((double)C[k] - (double)want[k]) <= (double)(K + 5) * FLT_EPSILON / 2 * (double)size[k]);
        }
    for (size_t k = 0; k < nC + GUARD; k++)
        if (k >= nC || k % ldc >= N) assert_true(C[k] == guard);
    free(A), free(B), free(C), free(want), free(Aabs), free(Babs), free(size);
}

static void test_sizes(void **s) {
    (void)s;
    gemm_fn *fs[] = {gemm_cpu, gemm_tile};
    for (int f = 0; f < 2; f++)
        for (size_t i = 0; i < SIZES; i++)
            for (size_t j = 0; j < SIZES; j++)
                for (size_t k = 0; k < SIZES; k++) {
                    unsigned t = (unsigned)(i + 2 * j + 3 * k);
                    if ((i == 4) + (j == 4) + (k == 4) > 1) continue;
                    compare(fs[f], t & 1, t >> 1 & 1, sizes[i], sizes[j], sizes[k], t % 3 ? 1.0f : -0.5f,
                            t % 5 ? 0.0f : 2.0f);
                }
}

/* All four ways of storing, over several tiles of both kinds. */
static void test_transposes(void **s) {
    (void)s;
    for (int t = 0; t < 4; t++) {
        compare(gemm_cpu, t & 1, t >> 1, 300, 1100, 33, 1, 0);
        compare(gemm_cpu, t & 1, t >> 1, 257, 31, 64, 2, 1);
        compare(gemm_tile, t & 1, t >> 1, 33, 70, 65, 1, 0.5f);
    }
}

/* beta 0 overwrites, NaN included; with other betas NaN stays. K = 0 scales C. Empty products touch nothing. */
static void test_beta(void **s) {
    (void)s;
    gemm_fn *fs[] = {gemm_ref, gemm_cpu, gemm_tile};
    float A[12], B[12], C[16];
    for (int i = 0; i < 12; i++) A[i] = 1, B[i] = 2;
    for (int f = 0; f < 3; f++) {
        for (int i = 0; i < 16; i++) C[i] = NAN;
        fs[f](false, false, 4, 4, 3, 1, A, 3, B, 4, 0, C, 4);
        for (int i = 0; i < 16; i++) assert_true(C[i] == 6);
        fs[f](false, false, 4, 4, 0, 1, A, 3, B, 4, 0.5f, C, 4);
        for (int i = 0; i < 16; i++) assert_true(C[i] == 3);
        fs[f](false, false, 0, 4, 3, 1, A, 3, B, 4, 0, C, 4);
        fs[f](false, false, 4, 0, 3, 1, A, 3, B, 4, 0, C, 4);
        for (int i = 0; i < 16; i++) assert_true(C[i] == 3);
        C[5] = NAN;
        fs[f](false, false, 4, 4, 3, 1, A, 3, B, 4, 1, C, 4);
        assert_true(isnan(C[5]) && C[4] == 9);
    }
}

static void test_threads(void **s) {
    (void)s;
    const size_t M = 700, N = 2100, K = 65;
    float *A = numbers(M * K, 6), *B = numbers(K * N, 7), *one = malloc(M * N * sizeof *one),
          *more = malloc(M * N * sizeof *more);
    int before = omp_get_max_threads();
    omp_set_num_threads(1);
    gemm_cpu(false, false, M, N, K, 1, A, K, B, N, 0, one, N);
    for (int n = 2; n <= 5; n++) {
        omp_set_num_threads(n);
        gemm_cpu(false, false, M, N, K, 1, A, K, B, N, 0, more, N);
        assert_memory_equal(one, more, M * N * sizeof *one);
    }
    omp_set_num_threads(before);
    free(A), free(B), free(one), free(more);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_transposes),
        cmocka_unit_test(test_beta),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
