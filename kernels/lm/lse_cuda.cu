/* lse_cuda.cu - see lse.h and kl.h; a block a row, exponentials in float32, sums in double in a fixed order. */
#include "kernels/lm/lm_cuda.h"

/* The largest of a block's values, with every thread; NaN is passed over. Ends with a barrier. */
__device__ static float block_max(float v, float *room) {
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = (blockDim.x + 31) / 32;
    for (unsigned d = 16; d > 0; d /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, d));
    if (lane == 0) room[warp] = v;
    __syncthreads();
    for (unsigned w = 0; w < warps; w++) v = fmaxf(v, room[w]);
    __syncthreads();
    return v;
}

__global__ static void lse(size_t N, const float *x, size_t ldx, float *top, double *sum) {
    __shared__ double room[32];
    __shared__ float maxima[32];
    const float *row = x + blockIdx.x * ldx, before = top[blockIdx.x];
    float most = before;
    double s = 0;
    for (size_t n = threadIdx.x; n < N; n += blockDim.x) most = fmaxf(most, row[n]);
    most = block_max(most, maxima);
    for (size_t n = threadIdx.x; n < N; n += blockDim.x) s += (double)expf(row[n] - most);
    s = cuda_block_sum(s, room);
    if (threadIdx.x) return;
    const double old = sum[blockIdx.x];
    sum[blockIdx.x] = (old > 0 ? old * exp((double)before - (double)most) : old) + s;
    top[blockIdx.x] = most;
}

__global__ static void kl(size_t N, const float *x, const float *y, size_t ldx, struct kl_row *out) {
    __shared__ double room[32];
    __shared__ float maxima[32];
    const float *a = x + blockIdx.x * ldx, *b = y + blockIdx.x * ldx;
    struct kl_row r = out[blockIdx.x];
    float top = (float)r.top, other = (float)r.top_other;
    double sum = 0, cross = 0, sum_other = 0;
    for (size_t n = threadIdx.x; n < N; n += blockDim.x) top = fmaxf(top, a[n]), other = fmaxf(other, b[n]);
    top = block_max(top, maxima), other = block_max(other, maxima);
    for (size_t n = threadIdx.x; n < N; n += blockDim.x) {
        const double p = (double)expf(a[n] - top);
        sum += p, cross += p * ((double)a[n] - (double)b[n]), sum_other += (double)expf(b[n] - other);
    }
    sum = cuda_block_sum(sum, room), cross = cuda_block_sum(cross, room), sum_other = cuda_block_sum(sum_other, room);
    if (threadIdx.x) return;
    const double keep = r.sum > 0 ? exp(r.top - (double)top) : 1,
                 keep_other = r.sum_other > 0 ? exp(r.top_other - (double)other) : 1;
    r.top = (double)top, r.sum = r.sum * keep + sum, r.cross = r.cross * keep + cross;
    r.top_other = (double)other, r.sum_other = r.sum_other * keep_other + sum_other;
    out[blockIdx.x] = r;
}

void lse_cuda(size_t M, size_t N, const float *x, size_t ldx, float *top, double *sum) {
    LAUNCH(lse, M, CUDA_THREADS, 0, N, x, ldx, top, sum);
}

void kl_cuda(size_t M, size_t N, const float *x, const float *y, size_t ldx, struct kl_row *row) {
    LAUNCH(kl, M, CUDA_THREADS, 0, N, x, y, ldx, row);
}
