/* swiglu_cuda.cu - see swiglu.h. */
#include "kernels/lm/lm_cuda.h"

__global__ static void swiglu(size_t n, void *g, const void *u, int half) {
    EACH4(i, n) {
        float a[4], b[4];
        cuda_load4(a, g, i, n - i, half);
        cuda_load4(b, u, i, n - i, half);
        for (int j = 0; j < 4; j++) a[j] = a[j] / (1.0f + expf(-a[j])) * b[j];
        cuda_store4(g, i, n - i, a, half);
    }
}

void swiglu_cuda(size_t n, float *g, const float *u) {
    LAUNCH(swiglu, cuda_blocks(n, 4 * CUDA_THREADS), CUDA_THREADS, 0, n, (void *)g, (const void *)u,
           cuda_precision() == PRECISION_BF16);
}
