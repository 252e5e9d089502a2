/* encode_cuda.cu - the encoder and the entries above their bounds, in order; see encode.h.
 *
 * The product goes to memory whole [B,F]; then every warp owns a span of one row's features: it counts, the counts are scanned, and it
 * writes its entries where the scan says. So the order is that of the reference, whatever the card does. */
#include "kernels/cuda.h"

#include "kernels/scan_cuda.h"

enum { WARPS = CUDA_THREADS / 32 }; /* spans of a row */

__device__ static size_t span_of(size_t F) { return (F + WARPS * 32 - 1) / (WARPS * 32) * 32; }

/* One block a row: counts[b*WARPS + w]. */
__global__ static void count_above(size_t F, const float *pre, const float *b_enc, const float *low, uint32_t *counts) {
    size_t b = blockIdx.x, warp = threadIdx.x / 32, lane = threadIdx.x % 32, span = span_of(F);
    uint32_t n = 0;
    for (size_t f = warp * span + lane; f < (warp + 1) * span; f += 32) {
        int keep = f < F && pre[b * F + f] + b_enc[f] > low[f];
        n += (uint32_t)__popc(__ballot_sync(0xffffffffu, keep));
    }
    if (lane == 0) counts[b * WARPS + warp] = n;
}

__global__ static void write_above(size_t F, const float *pre, const float *b_enc, const float *low, const size_t *at, uint32_t *feat,
                                   float *kept) {
    size_t b = blockIdx.x, warp = threadIdx.x / 32, lane = threadIdx.x % 32, span = span_of(F), to = at[b * WARPS + warp];
    for (size_t f = warp * span + lane; f < (warp + 1) * span; f += 32) {
        float v = f < F ? pre[b * F + f] + b_enc[f] : 0;
        int keep = f < F && v > low[f];
        unsigned all = __ballot_sync(0xffffffffu, keep);
        size_t mine = to + (size_t)__popc(all & ((1u << lane) - 1));
        if (keep) feat[mine] = (uint32_t)f, kept[mine] = v;
        to += (size_t)__popc(all);
    }
}

__global__ static void row_starts(size_t B, const size_t *at, size_t *row) {
    EACH(b, B + 1) row[b] = at[b * WARPS];
}

int encode_cuda(size_t B, size_t D, size_t F, const float *x, const float *W_enc, const float *b_enc, const float *low,
                struct active *a) {
    float *pre = (float *)cuda_scratch(CUDA_SCRATCH_PRE, B * F * sizeof(float));
    uint32_t *counts = (uint32_t *)cuda_scratch(CUDA_SCRATCH_COUNTS, B * WARPS * sizeof(uint32_t));
    size_t *at = (size_t *)cuda_scratch(CUDA_SCRATCH_SUMS, (B * WARPS + 1) * sizeof(size_t));
    if (!pre || !counts || !at) return ERR_MEMORY;
    gemm_cuda(false, true, B, F, D, 1, x, D, W_enc, D, 0, pre, F);
    LAUNCH(count_above, B, WARPS * 32, 0, F, pre, b_enc, low, counts);
    scan_cuda(B * WARPS, counts, at);
    LAUNCH(row_starts, cuda_blocks(B + 1, CUDA_THREADS), CUDA_THREADS, 0, B, at, a->row);
    cuda_read(&a->n, at + B * WARPS, sizeof a->n);
    if (a->n > a->cap) return ERR_RANGE;
    LAUNCH(write_above, B, WARPS * 32, 0, F, pre, b_enc, low, at, a->feat, a->pre);
    return 0;
}
