/* residual_cuda.cu - reconstruction, residual, losses and the gradient at every entry; see residual.h.
 *
 * A block a row. First each thread owns columns, four neighbours at a time, and adds the decoder rows of the active entries, in the order of the entries; then each
 * warp owns entries and takes the dot product of the residual (in shared memory) with a decoder row. W_dec is gathered twice, the
 * second time mostly from the second-level cache; in PRECISION_BF16 from a bf16 copy, which halves the bytes. */
#include "kernels/sae/sae_cuda.h"

struct residual_args {
    size_t B, D;
    const float *x, *b_dec, *theta;
    const void *W; /* [F,D] bf16 or f32 */
    struct activation act;
    const size_t *row;
    const uint32_t *feat;
    const float *pre;
    float *G, *z, *dpre, *dtheta;
    struct sae_row_sums *sums;
};

/* z of the block's entries; their number and penalty, with every thread. */
__device__ static inline void activate_row(const struct residual_args *a, size_t i0, size_t i1, double *room,
                                           double *l0, double *penalty) {
    double n = 0, sum = 0;
    for (size_t i = i0 + threadIdx.x; i < i1; i += blockDim.x) {
        const float v = activation_value(a->pre[i], a->theta[a->feat[i]]);
        a->z[i] = v;
        n += v != 0;
        sum += activation_penalty(&a->act, v);
    }
    *l0 = cuda_block_sum(n, room);
    *penalty = cuda_block_sum(sum, room);
}

/* The block's columns of x^ - x, into r and G; returns the row's loss. */
__device__ static inline double decode_row(const struct residual_args *a, size_t i0, size_t i1, float *r, double *room,
                                           const int half) {
    const size_t b = blockIdx.x, D = a->D;
    double loss = 0;
    for (size_t d = 4 * threadIdx.x; d < D; d += 4 * blockDim.x) {
        float v[4], w[4][4];
        cuda_load4(v, a->b_dec, d, D - d, 0);
        cuda_load4(w[0], a->x, b * D + d, D - d, 0);
        for (int j = 0; j < 4; j++) v[j] -= w[0][j];
        size_t i = i0;
        for (; i + 4 <= i1; i += 4) { /* four loads under way at once; added in order */
            for (int e = 0; e < 4; e++) cuda_load4(w[e], a->W, (size_t)a->feat[i + e] * D + d, D - d, half);
            for (int e = 0; e < 4; e++)
                for (int j = 0; j < 4; j++) v[j] += a->z[i + e] * w[e][j];
        }
        for (; i < i1; i++) {
            cuda_load4(w[0], a->W, (size_t)a->feat[i] * D + d, D - d, half);
            for (int j = 0; j < 4; j++) v[j] += a->z[i] * w[0][j];
        }
        for (int j = 0; j < 4; j++) {
            loss += (double)v[j] * (double)v[j]; /* what is beyond D is 0 */
            v[j] *= 2.0f / (float)a->B;
        }
        cuda_store4(r, d, D - d, v, 0);
        cuda_store4(a->G, b * D + d, D - d, v, 0);
    }
    return cuda_block_sum(loss, room); /* its barrier also ends the writing of r */
}

__device__ static inline void residual_row(const struct residual_args *a, float *r, double *room, const int half) {
    const size_t b = blockIdx.x, D = a->D, i0 = a->row[b], i1 = a->row[b + 1];
    const unsigned lane = threadIdx.x % 32, warps = blockDim.x / 32;
    double l0, penalty;
    activate_row(a, i0, i1, room, &l0, &penalty);
    double loss = decode_row(a, i0, i1, r, room, half);
    for (size_t i = i0 + threadIdx.x / 32; i < i1; i += warps) {
        float g = 0;
        for (size_t d = 4 * lane; d < D; d += 128) {
            float u[4], w[4];
            cuda_load4(u, r, d, D - d, 0);
            cuda_load4(w, a->W, (size_t)a->feat[i] * D + d, D - d, half);
            for (int j = 0; j < 4; j++) g += u[j] * w[j];
        }
        g = cuda_warp_sum(g);
        if (lane == 0) activation_gradient(&a->act, a->pre[i], a->theta[a->feat[i]], g, &a->dpre[i], &a->dtheta[i]);
    }
    if (threadIdx.x == 0) {
        a->sums[b].loss = loss;
        a->sums[b].penalty = penalty;
        a->sums[b].l0 = (uint32_t)l0;
    }
}

__global__ static void residual_f32(const struct residual_args a) {
    __shared__ double room[32];
    SHARED_DYNAMIC(float, r);
    residual_row(&a, r, room, 0);
}

__global__ static void residual_bf16(const struct residual_args a) {
    __shared__ double room[32];
    SHARED_DYNAMIC(float, r);
    residual_row(&a, r, room, 1);
}

void residual_cuda(size_t B, size_t D, size_t F, const float *x, const float *W_dec, const float *b_dec,
                   const float *theta, const struct activation *act, const struct active *a, float *G, float *z,
                   float *dpre, float *dtheta, struct sae_row_sums *sums) {
    struct residual_args args = {B, D, x, b_dec, theta, W_dec, *act, a->row, a->feat, a->pre, G, z, dpre, dtheta, sums};
    if (cuda_precision() != PRECISION_BF16) {
        LAUNCH(residual_f32, B, CUDA_THREADS, D * sizeof(float), args);
        return;
    }
    args.W = cuda_half(CUDA_W_DEC, W_dec, F * D);
    if (!args.W) return;
    LAUNCH(residual_bf16, B, CUDA_THREADS, D * sizeof(float), args);
}
