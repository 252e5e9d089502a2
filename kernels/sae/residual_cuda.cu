/* residual_cuda.cu - reconstruction, residual, losses and the gradient at every entry; see residual.h.
 *
 * A block a row. First each thread owns columns, four neighbours at a time, and adds the decoder rows of the active entries, in the order of the entries,
 * for one view after the other; then each warp owns entries and takes the dot product of the residuals (in shared memory) with a decoder
 * row. W_dec is gathered twice, the second time mostly from the second-level cache; in PRECISION_BF16 from a bf16 copy, which halves the bytes. */
#include "kernels/sae/sae_cuda.h"

/* W [F,D]: W_dec, or its bf16 copy. */
struct residual_args {
    struct residual r;
    const void *W;
};

/* z of the block's entries; their number and penalty, with every thread. */
__device__ static inline void activate_row(const struct residual *r, size_t i0, size_t i1, double *room, double *l0,
                                           double *penalty) {
    double n = 0, sum = 0;
    for (size_t i = i0 + threadIdx.x; i < i1; i += blockDim.x) {
        const float v = activation_value(r->a.pre[i], r->theta[r->a.feat[i]]);
        r->z[i] = v;
        n += v != 0;
        sum += activation_penalty(&r->act, v);
    }
    *l0 = cuda_block_sum(n, room);
    *penalty = cuda_block_sum(sum, room);
}

/* The block's columns of x^ - x for a view, into rest and G; returns its share of the row's loss. */
__device__ static inline double decode_row(const struct residual_args *a, size_t view, size_t i0, size_t i1,
                                           float *rest, double *room, const int half) {
    const struct residual *r = &a->r;
    const size_t b = blockIdx.x, D = r->D;
    const float scale = view_scale(&r->views.at[view], r->B);
    double loss = 0;
    for (size_t d = 4 * threadIdx.x; d < D; d += 4 * blockDim.x) {
        float v[4], w[4][4];
        cuda_load4(v, r->b_dec, d, D - d, 0);
        cuda_load4(w[0], r->x, b * D + d, D - d, 0);
        for (int j = 0; j < 4; j++) v[j] -= w[0][j];
        size_t i = i0;
        for (; i + 4 <= i1; i += 4) { /* four loads under way at once; added in order */
            for (int e = 0; e < 4; e++) cuda_load4(w[e], a->W, (size_t)r->a.feat[i + e] * D + d, D - d, half);
            for (int e = 0; e < 4; e++)
                for (int j = 0; j < 4; j++) v[j] += r->z[i + e] * w[e][j];
        }
        for (; i < i1; i++) {
            cuda_load4(w[0], a->W, (size_t)r->a.feat[i] * D + d, D - d, half);
            for (int j = 0; j < 4; j++) v[j] += r->z[i] * w[0][j];
        }
        for (int j = 0; j < 4; j++) {
            loss += (double)v[j] * (double)v[j]; /* what is beyond D is 0 */
            v[j] *= scale;
        }
        cuda_store4(rest, d, D - d, v, 0);
        cuda_store4(r->G, (view * r->B + b) * D + d, D - d, v, 0);
    }
    return (double)r->views.at[view].weight *
           cuda_block_sum(loss, room); /* whose barrier also ends the writing of rest */
}

/* rest [V, padded D] is shared */
__device__ static inline void residual_row(const struct residual_args *a, float *rest, double *room, const int half) {
    const struct residual *r = &a->r;
    const size_t b = blockIdx.x, D = r->D, i0 = r->a.row[b], i1 = r->a.row[b + 1];
    const unsigned lane = threadIdx.x % 32, warps = blockDim.x / 32;
    double l0, penalty, loss = 0;
    activate_row(r, i0, i1, room, &l0, &penalty);
    for (size_t v = 0; v < r->views.n; v++) {
        const size_t end = view_end(&r->views.at[v], r->F, r->a.feat, i0, i1);
        loss += decode_row(a, v, i0, end, rest + v * cuda_padded(D), room, half);
    }
    for (size_t i = i0 + threadIdx.x / 32; i < i1; i += warps) {
        const uint32_t f = r->a.feat[i];
        float g = 0;
        for (size_t v = 0; v < r->views.n; v++) {
            if (v && f >= r->views.at[v].features) continue;
            for (size_t d = 4 * lane; d < D; d += 128) {
                float u[4], w[4];
                cuda_load4(u, rest + v * cuda_padded(D), d, D - d, 0);
                cuda_load4(w, a->W, (size_t)f * D + d, D - d, half);
                for (int j = 0; j < 4; j++) g += u[j] * w[j];
            }
        }
        g = cuda_warp_sum(g);
        if (lane == 0) activation_gradient(&r->act, r->a.pre[i], r->theta[f], g, &r->dpre[i], &r->dtheta[i]);
    }
    if (threadIdx.x == 0) {
        r->sums[b].loss = loss;
        r->sums[b].penalty = penalty;
        r->sums[b].l0 = (uint32_t)l0;
    }
}

__global__ static void residual_f32(const struct residual_args a) {
    __shared__ double room[32];
    SHARED_DYNAMIC(float, rest);
    residual_row(&a, rest, room, 0);
}

__global__ static void residual_bf16(const struct residual_args a) {
    __shared__ double room[32];
    SHARED_DYNAMIC(float, rest);
    residual_row(&a, rest, room, 1);
}

void residual_cuda(const struct residual *r) {
    const size_t shared = r->views.n * cuda_padded(r->D) * sizeof(float);
    struct residual_args a = {*r, r->W_dec};
    if (cuda_precision() != PRECISION_BF16) {
        LAUNCH(residual_f32, r->B, CUDA_THREADS, shared, a);
        return;
    }
    a.W = cuda_half(CUDA_W_DEC, r->W_dec, r->F * r->D);
    if (!a.W) return;
    LAUNCH(residual_bf16, r->B, CUDA_THREADS, shared, a);
}
