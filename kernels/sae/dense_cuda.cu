/* dense_cuda.cu - the elementwise parts of the dense path; see dense.h. */
#include "kernels/sae/sae_cuda.h"

__global__ static void activate(size_t F, const float *pre, const float *theta, const struct activation act, float *z,
                                struct sae_row_sums *sums, uint32_t *near) {
    __shared__ double room[32];
    const size_t b = blockIdx.x;
    double n = 0, sum = 0, close = 0;
    for (size_t f = threadIdx.x; f < F; f += blockDim.x) {
        const float v = pre[b * F + f], on = activation_value(v, theta[f]);
        z[b * F + f] = on;
        n += on != 0;
        sum += activation_penalty(&act, on);
        close += v > activation_bound(&act, theta[f]);
    }
    n = cuda_block_sum(n, room), sum = cuda_block_sum(sum, room), close = cuda_block_sum(close, room);
    if (threadIdx.x) return;
    sums[b].l0 = (uint32_t)n;
    sums[b].penalty = sum;
    near[b] = (uint32_t)close;
}

/* A thread a feature, rows in order. */
__global__ static void gradient(size_t n, size_t F, const float *pre, const float *theta, const struct activation act,
                                float *g, float *g_b, float *g_theta, uint32_t *fired) {
    EACH(f, F) {
        const float t = theta[f];
        float b_sum = g_b[f], t_sum = g_theta[f];
        uint32_t on = fired[f];
        for (size_t b = 0; b < n; b++) {
            float dpre, dtheta;
            activation_gradient(&act, pre[b * F + f], t, g[b * F + f], &dpre, &dtheta);
            g[b * F + f] = dpre;
            b_sum += dpre, t_sum += dtheta, on += pre[b * F + f] > t;
        }
        g_b[f] = b_sum, g_theta[f] = t_sum, fired[f] = on;
    }
}

__global__ static void residual(size_t B, size_t D, const float *x, const float *b_dec, float *r,
                                struct sae_row_sums *sums) {
    __shared__ double room[32];
    const size_t b = blockIdx.x;
    double loss = 0;
    for (size_t d = threadIdx.x; d < D; d += blockDim.x) {
        const float v = r[b * D + d] + b_dec[d] - x[b * D + d];
        loss += (double)v * (double)v;
        r[b * D + d] = 2.0f / (float)B * v;
    }
    loss = cuda_block_sum(loss, room);
    if (threadIdx.x == 0) sums[b].loss = loss;
}

void dense_activate_cuda(size_t n, size_t F, const float *pre, const float *theta, const struct activation *act,
                         float *z, struct sae_row_sums *sums, uint32_t *near) {
    LAUNCH(activate, n, CUDA_THREADS, 0, F, pre, theta, *act, z, sums, near);
}

void dense_gradient_cuda(size_t n, size_t F, const float *pre, const float *theta, const struct activation *act,
                         float *g, float *g_b, float *g_theta, uint32_t *fired) {
    LAUNCH(gradient, cuda_blocks(F, CUDA_THREADS), CUDA_THREADS, 0, n, F, pre, theta, *act, g, g_b, g_theta, fired);
}

void dense_residual_cuda(size_t n, size_t B, size_t D, const float *x, const float *b_dec, float *r,
                         struct sae_row_sums *sums) {
    LAUNCH(residual, n, CUDA_THREADS, 0, B, D, x, b_dec, r, sums);
}
