/* linear_cuda.cu - products with a model's weights, by cuBLAS; see linear.h. The packed form is plain rows: W [N,K]. */
#include "kernels/base/cuda.h"

#include "lib/base/bf16.h"

__global__ static void spread_bias(size_t M, size_t N, const float *bias, void *y, size_t ldy, int half) {
    EACH(i, M * N) cuda_store(y, i / N * ldy + i % N, bias[i % N], half);
}

/* On the host: managed memory is its memory too. */
void linear_pack_cuda(size_t first, size_t n, size_t K, const float *W, float *packed) {
    if (cuda_precision() != PRECISION_BF16) {
        for (size_t i = 0; i < n * K; i++) packed[first * K + i] = W[i];
        return;
    }
    uint16_t *to = (uint16_t *)packed + first * K;
    for (size_t i = 0; i < n * K; i++) to[i] = bf16_of(W[i]);
}

static void product(size_t M, size_t N, size_t K, const float *x, size_t ldx, const float *packed, size_t panel,
                    const float *bias, float *y, size_t ldy, bool wide) {
    if (bias)
        LAUNCH(spread_bias, cuda_blocks(M * N, 4 * CUDA_THREADS), CUDA_THREADS, 0, M, N, bias, (void *)y, ldy,
               !wide && cuda_precision() == PRECISION_BF16);
    gemm_cuda_held(false, true, M, N, K, x, ldx, packed, panel / LINEAR_PANEL, bias ? 1.0f : 0.0f, y, ldy, wide);
}

void linear_cuda(size_t M, size_t N, size_t K, const float *x, size_t ldx, const float *packed, size_t panel,
                 const float *bias, float *y, size_t ldy) {
    product(M, N, K, x, ldx, packed, panel, bias, y, ldy, false);
}

void linear_wide_cuda(size_t M, size_t N, size_t K, const float *x, size_t ldx, const float *packed, size_t panel,
                      const float *bias, float *y, size_t ldy) {
    product(M, N, K, x, ldx, packed, panel, bias, y, ldy, true);
}
