/* halves_cuda.cu - bf16 copies of an SAE's weights that outlive a call; see cuda.h. */
#include "kernels/sae/sae_cuda.h"

static struct kept {
    const float *of;
    size_t n;
    void *half;
} kept[2];

void *cuda_half_to_write(int which, const float *W, size_t n) {
    struct kept *k = &kept[which == CUDA_W_DEC];
    if (k->of == W && k->n == n) return k->half;
    k->half = cuda_scratch(which == CUDA_W_DEC ? CUDA_SCRATCH_W_DEC : CUDA_SCRATCH_W_ENC, n * 2);
    k->of = k->half ? W : NULL, k->n = n;
    return k->half;
}

const void *cuda_half(int which, const float *W, size_t n) {
    const struct kept *k = &kept[which == CUDA_W_DEC];
    if (k->of == W && k->n == n) return k->half;
    void *half = cuda_half_to_write(which, W, n);
    if (half) cuda_to_bf16(W, half, n);
    return half;
}

void cuda_halves_forget(void) { kept[0].of = kept[1].of = NULL; }
