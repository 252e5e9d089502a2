/* byfeature_cuda.cu - the counting sort to feature order; see byfeature.h.
 *
 * The batch is cut in SLICES runs of rows, a block each. A block goes through its rows one by one; within a row all features differ,
 * so its threads count (and later place) without meeting. Rows ascend within a feature, as in the reference. */
#include "kernels/sae/sae_cuda.h"

#include "kernels/base/scan_cuda.h"

enum { SLICES = 128 };

__global__ static void count_slice(size_t B, size_t F, size_t per, const size_t *row, const uint32_t *feat,
                                   uint32_t *place) {
    uint32_t *count = place + blockIdx.x * F;
    for (size_t f = threadIdx.x; f < F; f += blockDim.x) count[f] = 0;
    __syncthreads();
    size_t b0 = blockIdx.x * per, b1 = b0 + per < B ? b0 + per : B;
    for (size_t b = b0; b < b1; b++) {
        for (size_t i = row[b] + threadIdx.x; i < row[b + 1]; i += blockDim.x) count[feat[i]]++;
        __syncthreads();
    }
}

__global__ static void total_of_slices(size_t F, size_t slices, const uint32_t *place, uint32_t *total) {
    EACH(f, F) {
        uint32_t n = 0;
        for (size_t s = 0; s < slices; s++) n += place[s * F + f];
        total[f] = n;
    }
}

__global__ static void start_of_slices(size_t F, size_t slices, const size_t *first, uint32_t *place) {
    EACH(f, F) {
        uint32_t at = (uint32_t)first[f];
        for (size_t s = 0; s < slices; s++) {
            uint32_t n = place[s * F + f];
            place[s * F + f] = at;
            at += n;
        }
    }
}

__global__ static void place_slice(size_t B, size_t F, size_t per, const size_t *row, const uint32_t *feat,
                                   uint32_t *place, uint32_t *row_of, uint32_t *entry) {
    uint32_t *next = place + blockIdx.x * F;
    size_t b0 = blockIdx.x * per, b1 = b0 + per < B ? b0 + per : B;
    for (size_t b = b0; b < b1; b++) {
        for (size_t i = row[b] + threadIdx.x; i < row[b + 1]; i += blockDim.x) {
            uint32_t to = next[feat[i]]++;
            row_of[to] = (uint32_t)b;
            entry[to] = (uint32_t)i;
        }
        __syncthreads();
    }
}

void byfeature_sort_cuda(struct byfeature *s, const struct active *a) {
    size_t B = a->B, F = s->F, per = cuda_blocks(B, SLICES), slices = per ? cuda_blocks(B, per) : 0;
    uint32_t *place = (uint32_t *)cuda_scratch(CUDA_SCRATCH_SLICES, SLICES * F * sizeof(uint32_t));
    uint32_t *total = (uint32_t *)cuda_scratch(CUDA_SCRATCH_FEATURE, 3 * F * sizeof(uint32_t));
    if (!place || !total) return;
    LAUNCH(count_slice, slices, CUDA_THREADS, 0, B, F, per, a->row, a->feat, place);
    LAUNCH(total_of_slices, cuda_blocks(F, CUDA_THREADS), CUDA_THREADS, 0, F, slices, place, total);
    scan_cuda(F, total, s->first);
    LAUNCH(start_of_slices, cuda_blocks(F, CUDA_THREADS), CUDA_THREADS, 0, F, slices, s->first, place);
    LAUNCH(place_slice, slices, CUDA_THREADS, 0, B, F, per, a->row, a->feat, place, s->row, s->entry);
}
