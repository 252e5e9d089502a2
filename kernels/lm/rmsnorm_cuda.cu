/* rmsnorm_cuda.cu - see rmsnorm.h; a block a row. */
#include "kernels/lm/lm_cuda.h"

__device__ static inline void rmsnorm_row(size_t D, const float *x, const float *w, float eps, void *y, double *room,
                                          int half) {
    const size_t row = (size_t)blockIdx.x * D;
    float sum = 0, v[4], g[4];
    for (size_t d = 4 * threadIdx.x; d < D; d += 4 * blockDim.x) {
        cuda_load4(v, x, row + d, D - d, 0);
        for (int j = 0; j < 4; j++) sum += v[j] * v[j];
    }
    const float r = (float)(1 / sqrt(cuda_block_sum((double)sum, room) / (double)D + (double)eps));
    for (size_t d = 4 * threadIdx.x; d < D; d += 4 * blockDim.x) {
        cuda_load4(v, x, row + d, D - d, 0);
        cuda_load4(g, w, d, D - d, 0);
        for (int j = 0; j < 4; j++) v[j] = v[j] * r * g[j];
        cuda_store4(y, row + d, D - d, v, half);
    }
}

__global__ static void rmsnorm_f32(size_t D, const float *x, const float *w, float eps, void *y) {
    __shared__ double room[32];
    rmsnorm_row(D, x, w, eps, y, room, 0);
}

__global__ static void rmsnorm_bf16(size_t D, const float *x, const float *w, float eps, void *y) {
    __shared__ double room[32];
    rmsnorm_row(D, x, w, eps, y, room, 1);
}

void rmsnorm_cuda(size_t M, size_t D, const float *x, const float *w, float eps, float *y) {
    if (cuda_precision() == PRECISION_BF16)
        LAUNCH(rmsnorm_bf16, M, CUDA_THREADS, 0, D, x, w, eps, (void *)y);
    else
        LAUNCH(rmsnorm_f32, M, CUDA_THREADS, 0, D, x, w, eps, (void *)y);
}
