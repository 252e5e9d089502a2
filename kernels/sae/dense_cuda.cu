/* dense_cuda.cu - the elementwise parts of the dense path; see dense.h. */
#include "kernels/sae/sae_cuda.h"

__global__ static void activate(const struct dense a) {
    __shared__ double room[32];
    const size_t b = blockIdx.x;
    double l0 = 0, penalty = 0, kept = 0;
    for (size_t f = threadIdx.x; f < a.F; f += blockDim.x) {
        const float v = a.pre[b * a.F + f], z = activation_value(v, a.theta[f]);
        a.z[b * a.F + f] = z;
        l0 += z != 0;
        penalty += activation_penalty(&a.act, z);
        kept += v > activation_bound(&a.act, a.theta[f]);
    }
    l0 = cuda_block_sum(l0, room), penalty = cuda_block_sum(penalty, room), kept = cuda_block_sum(kept, room);
    if (threadIdx.x) return;
    a.sums[b].loss = 0, a.sums[b].penalty = penalty;
    a.sums[b].l0 = (uint32_t)l0;
    a.kept[b] = (uint32_t)kept;
}

/* A thread a feature, rows in order. */
__global__ static void gradient(const struct dense a) {
    EACH(f, a.F) {
        const float t = a.theta[f];
        float b_sum = a.g_b[f], t_sum = a.g_theta[f];
        uint32_t on = a.fired[f];
        for (size_t b = 0; b < a.n; b++) {
            const size_t i = b * a.F + f;
            float dpre, dtheta;
            activation_gradient(&a.act, a.pre[i], t, a.g[i], &dpre, &dtheta);
            a.g[i] = dpre;
            b_sum += dpre, t_sum += dtheta, on += a.pre[i] > t;
        }
        a.g_b[f] = b_sum, a.g_theta[f] = t_sum, a.fired[f] = on;
    }
}

__global__ static void residual(size_t D, float scale, double weight, const float *x, const float *b_dec, float *r,
                                struct sae_row_sums *sums) {
    __shared__ double room[32];
    const size_t b = blockIdx.x;
    double loss = 0;
    for (size_t d = threadIdx.x; d < D; d += blockDim.x) {
        const float v = r[b * D + d] + b_dec[d] - x[b * D + d];
        loss += (double)v * (double)v;
        r[b * D + d] = scale * v;
    }
    loss = cuda_block_sum(loss, room);
    if (threadIdx.x == 0) sums[b].loss += weight * loss;
}

void dense_activate_cuda(const struct dense *d) { LAUNCH(activate, d->n, CUDA_THREADS, 0, *d); }

void dense_gradient_cuda(const struct dense *d) {
    LAUNCH(gradient, cuda_blocks(d->F, CUDA_THREADS), CUDA_THREADS, 0, *d);
}

void dense_residual_cuda(const struct dense *d, size_t B, size_t D, const struct sae_view *v, const float *x,
                         const float *b_dec, float *r) {
    LAUNCH(residual, d->n, CUDA_THREADS, 0, D, view_scale(v, B), (double)v->weight, x, b_dec, r, d->sums);
}
