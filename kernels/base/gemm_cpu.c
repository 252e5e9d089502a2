/* gemm_cpu.c - see gemm.h. OpenBLAS does the tiles, one thread each; we do the threads. */
#include "kernels/base/gemm.h"

#ifndef SAEMILL_NO_BLAS
#include <cblas.h>
#endif
#include <pthread.h>

/* Tiles are large enough that packing costs little, and small enough that two to sixteen cores are kept busy. */
enum { TILE_M = 256, TILE_N = 1024 };

#ifdef SAEMILL_NO_BLAS /* only for the GPU's receipt in a container that has no OpenBLAS */
void gemm_tile(bool ta, bool tb, size_t M, size_t N, size_t K, float alpha, const float *A, size_t lda, const float *B,
               size_t ldb, float beta, float *C, size_t ldc) {
    gemm_ref(ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void one_blas_thread(void) {}
#else
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void one_blas_thread(void) { openblas_set_num_threads(1); }

void gemm_tile(bool ta, bool tb, size_t M, size_t N, size_t K, float alpha, const float *A, size_t lda, const float *B,
               size_t ldb, float beta, float *C, size_t ldc) {
    pthread_once(&once, one_blas_thread);
    if (!M || !N) return;
    cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (blasint)M, (blasint)N,
                (blasint)K, alpha, A, (blasint)lda, B, (blasint)ldb, beta, C, (blasint)ldc);
}
#endif

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

void gemm_cpu(bool ta, bool tb, size_t M, size_t N, size_t K, float alpha, const float *A, size_t lda, const float *B,
              size_t ldb, float beta, float *C, size_t ldc) {
    size_t tiles_m = (M + TILE_M - 1) / TILE_M, tiles_n = (N + TILE_N - 1) / TILE_N;
    pthread_once(&once, one_blas_thread);
#pragma omp parallel for schedule(dynamic)
    for (size_t t = 0; t < tiles_m * tiles_n; t++) {
        size_t i = t / tiles_n * TILE_M, j = t % tiles_n * TILE_N;
        gemm_tile(ta, tb, smaller(TILE_M, M - i), smaller(TILE_N, N - j), K, alpha, ta ? A + i : A + i * lda, lda,
                  tb ? B + j * ldb : B + j, ldb, beta, C + i * ldc + j, ldc);
    }
}
