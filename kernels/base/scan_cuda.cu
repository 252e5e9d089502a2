/* scan_cuda.cu - see scan_cuda.h. A thread sums a run of numbers, the block scans the threads' sums, a thread writes its run. */
#include "kernels/base/cuda.h"

#include "kernels/base/scan_cuda.h"

__global__ static void scan(size_t n, const uint32_t *in, size_t *out) {
    __shared__ size_t sum[2][CUDA_SCAN_THREADS];
    size_t t = threadIdx.x, run = (n + blockDim.x - 1) / blockDim.x, from = t * run,
           to = from + run < n ? from + run : n, mine = 0;
    int now = 0;
    for (size_t i = from; i < to; i++) mine += in[i];
    sum[0][t] = mine;
    __syncthreads();
    for (size_t d = 1; d < blockDim.x; d *= 2) { /* Hillis and Steele 1986 */
        sum[!now][t] = sum[now][t] + (t >= d ? sum[now][t - d] : 0);
        now = !now;
        __syncthreads();
    }
    size_t at = sum[now][t] - mine;
    for (size_t i = from; i < to; i++) {
        out[i] = at;
        at += in[i];
    }
    if (t == blockDim.x - 1) out[n] = sum[now][t];
}

void scan_cuda(size_t n, const uint32_t *in, size_t *out) { LAUNCH(scan, 1, CUDA_SCAN_THREADS, 0, n, in, out); }
