/* encode_cuda.cu - the encoder and the entries above their bounds, in order; see encode.h.
 *
 * The product goes to memory whole [B,F]; then every warp owns a span of one row's features: it marks and
 * counts, the counts are scanned, and it writes its entries where the scan says. So the order is that of the reference, whatever the card does. */
#include "kernels/sae/sae_cuda.h"

#include "kernels/base/scan_cuda.h"

enum { WARPS = CUDA_THREADS / 32 }; /* spans of a row */

static inline __host__ __device__ size_t span_of(size_t F) { return (F + WARPS * 32 - 1) / (WARPS * 32) * 32; }

/* One block a row: counts[b*WARPS + w], and a bit for every feature of the warp's span, so that pre is read once. */
__global__ static void mark_above(size_t F, const float *pre, const float *b_enc, const float *low, uint32_t *counts,
                                  uint32_t *marks) {
    const size_t b = blockIdx.x, warp = threadIdx.x / 32, lane = threadIdx.x % 32, span = span_of(F);
    uint32_t n = 0;
    for (size_t f = warp * span + lane; f < (warp + 1) * span; f += 32) {
        const int keep = f < F && pre[b * F + f] + b_enc[f] > low[f];
        const uint32_t all = __ballot_sync(0xffffffffu, keep);
        n += (uint32_t)__popc(all);
        if (lane == 0) marks[(b * WARPS * span + f) / 32] = all;
    }
    if (lane == 0) counts[b * WARPS + warp] = n;
}

/* A lane takes 32 features: where its entries go is the sum of the counts of the lanes before it. */
__global__ static void write_above(size_t F, const float *pre, const float *b_enc, const uint32_t *marks,
                                   const size_t *at, uint32_t *feat, float *kept) {
    const size_t b = blockIdx.x, warp = threadIdx.x / 32, lane = threadIdx.x % 32, span = span_of(F),
                 end = (warp + 1) * span;
    size_t to = at[b * WARPS + warp];
    for (size_t first = warp * span; first < end; first += 32 * 32) {
        size_t f = first + 32 * lane;
        uint32_t mine = f < end ? marks[(b * WARPS * span + f) / 32] : 0, upto = (uint32_t)__popc(mine);
        size_t i = to - upto;
        for (unsigned d = 1; d < 32; d *= 2) {
            const uint32_t before = __shfl_sync(0xffffffffu, upto, lane >= d ? lane - d : lane);
            if (lane >= d) upto += before;
        }
        for (i += upto; mine; mine &= mine - 1, i++) {
            const size_t at_f = f + (size_t)__ffs((int)mine) - 1;
            feat[i] = (uint32_t)at_f, kept[i] = pre[b * F + at_f] + b_enc[at_f];
        }
        to += __shfl_sync(0xffffffffu, upto, 31);
    }
}

__global__ static void row_starts(size_t B, const size_t *at, size_t *row) { EACH(b, B + 1) row[b] = at[b * WARPS]; }

int encode_cuda(size_t B, size_t D, size_t F, const float *x, const float *W_enc, const float *b_enc, const float *low,
                struct active *a) {
    float *pre = (float *)cuda_scratch(CUDA_SCRATCH_PRE, B * F * sizeof(float));
    uint32_t *counts =
        (uint32_t *)cuda_scratch(CUDA_SCRATCH_COUNTS, B * WARPS * (1 + span_of(F) / 32) * sizeof(uint32_t));
    uint32_t *marks = counts ? counts + B * WARPS : NULL;
    size_t *at = (size_t *)cuda_scratch(CUDA_SCRATCH_SUMS, (B * WARPS + 1) * sizeof(size_t));
    const void *rows = x, *W = W_enc;
    if (cuda_precision() == PRECISION_BF16) {
        void *half = cuda_scratch(CUDA_SCRATCH_A, B * D * 2);
        W = cuda_half(CUDA_W_ENC, W_enc, F * D);
        cuda_to_bf16(x, half, B * D);
        rows = half;
    }
    if (!pre || !counts || !at || !rows || !W) return ERR_MEMORY;
    gemm_cuda_held(false, true, B, F, D, rows, D, W, D, 0, pre, F, true);
    LAUNCH(mark_above, B, WARPS * 32, 0, F, pre, b_enc, low, counts, marks);
    scan_cuda(B * WARPS, counts, at);
    LAUNCH(row_starts, cuda_blocks(B + 1, CUDA_THREADS), CUDA_THREADS, 0, B, at, a->row);
    if (!cuda_read(&a->n, at + B * WARPS, sizeof a->n)) a->n = 0; /* finish says what went wrong */
    if (a->n > a->cap) return ERR_RANGE;
    LAUNCH(write_above, B, WARPS * 32, 0, F, pre, b_enc, marks, at, a->feat, a->pre);
    return 0;
}
