/* layernorm_cuda.cu - see layernorm.h; a block a row, mean before variance. */
#include "kernels/lm/lm_cuda.h"

__global__ static void layernorm(size_t D, const float *x, const float *w, const float *b, float eps, void *y,
                                 int half) {
    __shared__ double room[32];
    const size_t row = (size_t)blockIdx.x * D;
    double sum = 0, var = 0;
    for (size_t d = threadIdx.x; d < D; d += blockDim.x) sum += (double)x[row + d];
    const double mean = cuda_block_sum(sum, room) / (double)D;
    for (size_t d = threadIdx.x; d < D; d += blockDim.x)
        var += ((double)x[row + d] - mean) * ((double)x[row + d] - mean);
    const double r = 1 / sqrt(cuda_block_sum(var, room) / (double)D + (double)eps);
    for (size_t d = threadIdx.x; d < D; d += blockDim.x) {
        const double v = ((double)x[row + d] - mean) * r;
        cuda_store(y, row + d, (float)(v * (double)(w ? w[d] : 1.0f) + (double)(b ? b[d] : 0.0f)), half);
    }
}

void layernorm_cuda(size_t M, size_t D, const float *x, const float *w, const float *b, float eps, float *y) {
    LAUNCH(layernorm, M, CUDA_THREADS, 0, D, x, w, b, eps, (void *)y, cuda_precision() == PRECISION_BF16);
}
