/* gemm.h - dense products in float32.
 *
 *   C[M,N] := alpha * op(A)[M,K] op(B)[K,N] + beta * C        row-major; op(X) = X or its transpose
 *
 * gemm_ref is the definition (double accumulators); gemm_cpu cuts C into fixed tiles, each one single-threaded cblas_sgemm, and
 * gives the tiles to OpenMP threads, so the bytes do not depend on the number of threads. Call it from serial code; inside a parallel
 * region use gemm_tile. Tests: tests/test_gemm.c */
#ifndef SAEMILL_GEMM_H
#define SAEMILL_GEMM_H

#include <stdbool.h>
#include <stddef.h>

/*   ta, tb   true: A is stored [K,M] (B is stored [N,K]) and used transposed
 *   M,N,K    sizes of the product; each at most 2^31-1; any may be 0 (K = 0 scales C by beta)
 *   lda      stride between stored rows of A, in elements; ldb, ldc likewise
 *   beta     0 means C is overwritten, whatever it held (NaN included) */
void gemm_ref(bool ta, bool tb, size_t M, size_t N, size_t K, float alpha, const float *A, size_t lda, const float *B,
              size_t ldb, float beta, float *C, size_t ldc);
void gemm_cpu(bool ta, bool tb, size_t M, size_t N, size_t K, float alpha, const float *A, size_t lda, const float *B,
              size_t ldb, float beta, float *C, size_t ldc);

/* One single-threaded product, same arguments: for use inside a parallel region. */
void gemm_tile(bool ta, bool tb, size_t M, size_t N, size_t K, float alpha, const float *A, size_t lda, const float *B,
               size_t ldb, float beta, float *C, size_t ldc);

#endif
