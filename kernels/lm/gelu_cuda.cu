/* gelu_cuda.cu - see gelu.h. erfc keeps the negative side, where 1 + erf cancels. */
#include "kernels/lm/lm_cuda.h"

__global__ static void gelu(size_t n, void *x, int half) {
    EACH4(i, n) {
        float a[4];
        cuda_load4(a, x, i, n - i, half);
        for (int j = 0; j < 4; j++) a[j] = 0.5f * a[j] * erfcf(-0.70710678118654752f * a[j]);
        cuda_store4(x, i, n - i, a, half);
    }
}

void gelu_cuda(size_t n, float *x) {
    LAUNCH(gelu, cuda_blocks(n, 4 * CUDA_THREADS), CUDA_THREADS, 0, n, (void *)x, cuda_precision() == PRECISION_BF16);
}
