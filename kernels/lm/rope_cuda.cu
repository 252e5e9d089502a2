/* rope_cuda.cu - see rope.h; a thread a pair. */
#include "kernels/lm/lm_cuda.h"

__global__ static void rope(size_t rows, size_t H, size_t Dh, void *x, size_t ldx, const int32_t *position,
                            const float *table, int half) {
    const size_t h = Dh / 2;
    EACH(i, rows * H * h) {
        const size_t r = i / (H * h), head = i / h % H, k = i % h, at = r * ldx + head * Dh + k;
        const float c = table[(size_t)position[r] * Dh + k], s = table[(size_t)position[r] * Dh + h + k];
        const float u = cuda_load(x, at, half), v = cuda_load(x, at + h, half);
        cuda_store(x, at, u * c - v * s, half);
        cuda_store(x, at + h, v * c + u * s, half);
    }
}

void rope_cuda(const struct pass_place *p, size_t H, size_t Dh, float *x, size_t ldx, const float *table) {
    LAUNCH(rope, cuda_blocks(p->rows * H * Dh / 2, 2 * CUDA_THREADS), CUDA_THREADS, 0, p->rows, H, Dh, (void *)x, ldx,
           p->position, table, cuda_precision() == PRECISION_BF16);
}
