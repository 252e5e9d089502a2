/* attention_cuda.cu - see attention.h.
 *
 * In bf16, with heads of 64 or 128: a block takes PASS_TILE queries of a head, 16 a warp, and walks over the keys in tiles as Dao 2023,
 * "FlashAttention-2", does: scores on the matrix units, running maximum and sum, values on the matrix units with the scores still in
 * registers; nothing of size T x T is written. Otherwise a block takes one query of a head, in float32: the slow definition. */
#include "kernels/lm/lm_cuda.h"

#include <math.h>

#include "kernels/lm/mma_cuda.h"

enum {
    WARPS = 4,
    TILE_THREADS = 32 * WARPS,
    KEYS = 64,
    PAD = 8
}; /* PAD: rows of shared memory that start in other banks */

struct attention_args {
    size_t H, G, Dh, ld, ldo;
    const void *q, *k, *v;
    void *out;
    float scale;
    const struct pass_tile *tile;
};

/* Rows first .. first+KEYS-1 of [T, Dh], ld apart, into shared memory, ld_shared apart; zeros from T on. */
__device__ static inline void load_tile(const __nv_bfloat16 *from, size_t ld, size_t first, size_t T, int Dh,
                                        __nv_bfloat16 *to) {
    const int pieces = Dh / 8, ld_shared = Dh + PAD;
    for (int i = (int)threadIdx.x; i < KEYS * pieces; i += TILE_THREADS) {
        const int r = i / pieces, c = i % pieces * 8;
        uint4 u;
        u.x = u.y = u.z = u.w = 0;
        if (first + (size_t)r < T) u = *(const uint4 *)(from + (first + (size_t)r) * ld + c);
        *(uint4 *)(to + r * ld_shared + c) = u;
    }
}

/* A thread has two rows of the tile, l/4 and l/4+8 of its warp's: index 0 and 1 below. steps = Dh/16, a constant where it is called. */
__device__ static inline void attend_tile(const struct attention_args *a, __nv_bfloat16 *shared, const int steps) {
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32, Dh = 16 * steps, ld_shared = Dh + PAD;
    const struct pass_tile tile = a->tile[(gridDim.x - 1 - blockIdx.x) / a->H]; /* the longest walks first */
    const size_t head = blockIdx.x % a->H, group = head / (a->H / a->G), start = (size_t)tile.first * a->ld, T = tile.T;
    const __nv_bfloat16 *k = (const __nv_bfloat16 *)a->k + start + group * (size_t)Dh;
    const __nv_bfloat16 *v = (const __nv_bfloat16 *)a->v + start + group * (size_t)Dh;
    __nv_bfloat16 *keys = shared, *values = shared + KEYS * ld_shared;
    uint32_t q[8][4];
    float out[16][4], top[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};

    load_tile((const __nv_bfloat16 *)a->q + start + head * (size_t)Dh, a->ld, tile.row, T, Dh, keys);
    __syncthreads();
#pragma unroll
    for (int s = 0; s < steps; s++) mma_load(q[s], keys + (warp * 16 + lane % 16) * ld_shared + s * 16 + lane / 16 * 8);
#pragma unroll
    for (int n = 0; n < 2 * steps; n++)
        for (int j = 0; j < 4; j++) out[n][j] = 0;

    for (size_t first = 0; first <= tile.row; first += KEYS) {
        float score[KEYS / 8][4];
        __syncthreads();
        load_tile(k, a->ld, first, T, Dh, keys);
        load_tile(v, a->ld, first, T, Dh, values);
        __syncthreads();
#pragma unroll
        for (int n = 0; n < KEYS / 8; n += 2) {
#pragma unroll
            for (int j = 0; j < 4; j++) score[n][j] = score[n + 1][j] = 0;
#pragma unroll
            for (int s = 0; s < steps; s++) {
                uint32_t b[4];
                mma_load(b, keys + (n * 8 + lane / 16 * 8 + lane % 8) * ld_shared + s * 16 + lane / 8 % 2 * 8);
                mma_add(score[n], q[s], b);
                mma_add(score[n + 1], q[s], b + 2);
            }
        }
        float most[2] = {top[0], top[1]}, fall[2];
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const size_t row = tile.row + (size_t)(warp * 16 + lane / 4 + j / 2 * 8),
                             key = first + (size_t)(n * 8 + lane % 4 * 2 + j % 2);
                score[n][j] = key <= row ? score[n][j] * a->scale : -INFINITY;
                most[j / 2] = fmaxf(most[j / 2], score[n][j]);
            }
#pragma unroll
        for (int r = 0; r < 2; r++) { /* a row's columns lie with four neighbouring lanes */
            most[r] = fmaxf(most[r], __shfl_xor_sync(0xffffffffu, most[r], 1));
            most[r] = fmaxf(most[r], __shfl_xor_sync(0xffffffffu, most[r], 2));
            fall[r] = expf(top[r] - most[r]); /* key 0 is never masked: most is finite */
            sum[r] *= fall[r], top[r] = most[r];
        }
#pragma unroll
        for (int n = 0; n < 2 * steps; n++)
#pragma unroll
            for (int j = 0; j < 4; j++) out[n][j] *= fall[j / 2];
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
            for (int j = 0; j < 4; j++) {
                score[n][j] = expf(score[n][j] - top[j / 2]);
                sum[j / 2] += score[n][j];
            }
#pragma unroll
        for (int s = 0; s < KEYS / 16; s++) { /* 16 keys: two tiles of scores are the left operand as they lie */
            uint32_t p[4];
            p[0] = cuda_pair(score[2 * s][0], score[2 * s][1]), p[1] = cuda_pair(score[2 * s][2], score[2 * s][3]);
            p[2] = cuda_pair(score[2 * s + 1][0], score[2 * s + 1][1]),
            p[3] = cuda_pair(score[2 * s + 1][2], score[2 * s + 1][3]);
#pragma unroll
            for (int n = 0; n < 2 * steps; n += 2) {
                uint32_t b[4];
                mma_load_columns(b,
                                 values + (s * 16 + lane / 8 % 2 * 8 + lane % 8) * ld_shared + n * 8 + lane / 16 * 8);
                mma_add(out[n], p, b);
                mma_add(out[n + 1], p, b + 2);
            }
        }
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const size_t row = tile.row + (size_t)(warp * 16 + lane / 4 + r * 8);
        sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 1);
        sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 2);
        __nv_bfloat16 *to =
            (__nv_bfloat16 *)a->out + (tile.first + row) * a->ldo + head * (size_t)Dh + (size_t)(lane % 4 * 2);
#pragma unroll
        for (int n = 0; n < 2 * steps; n++)
            if (row < T) *(uint32_t *)(to + n * 8) = cuda_pair(out[n][2 * r] / sum[r], out[n][2 * r + 1] / sum[r]);
    }
}

__global__ static void attention_64(const struct attention_args a) {
    SHARED_DYNAMIC(__nv_bfloat16, shared);
    attend_tile(&a, shared, 4);
}

__global__ static void attention_128(const struct attention_args a) {
    SHARED_DYNAMIC(__nv_bfloat16, shared);
    attend_tile(&a, shared, 8);
}

/* The tile's queries of a head, one after the other: p [T] in shared memory holds scores, then unnormalised probabilities. */
__global__ static void attention_rows(const struct attention_args a, int half) {
    __shared__ double room[32];
    SHARED_DYNAMIC(float, p);
    const struct pass_tile tile = a.tile[blockIdx.x / a.H];
    const size_t head = blockIdx.x % a.H, group = head / (a.H / a.G), start = (size_t)tile.first * a.ld,
                 kv = start + group * a.Dh;
    const size_t end = tile.row + PASS_TILE < tile.T ? tile.row + PASS_TILE : tile.T;
    for (size_t i = tile.row; i < end; i++) {
        const size_t q = start + i * a.ld + head * a.Dh;
        double sum = 0;
        float top = -INFINITY;
        for (size_t j = threadIdx.x; j <= i; j += blockDim.x) {
            float s = 0;
            for (size_t d = 0; d < a.Dh; d++)
                s += cuda_load(a.q, q + d, half) * cuda_load(a.k, kv + j * a.ld + d, half);
            p[j] = s * a.scale;
        }
        __syncthreads();
        for (size_t j = 0; j <= i; j++) top = fmaxf(top, p[j]);
        __syncthreads();
        for (size_t j = threadIdx.x; j <= i; j += blockDim.x) {
            p[j] = expf(p[j] - top);
            sum += (double)p[j];
        }
        sum = cuda_block_sum(sum, room);
        for (size_t d = threadIdx.x; d < a.Dh; d += blockDim.x) {
            float s = 0;
            for (size_t j = 0; j <= i; j++) s += p[j] * cuda_load(a.v, kv + j * a.ld + d, half);
            cuda_store(a.out, (tile.first + i) * a.ldo + head * a.Dh + d, (float)((double)s / sum), half);
        }
        __syncthreads();
    }
}

void attention_cuda(const struct pass_place *p, const struct attention *in, float *out, size_t ldo, void *work) {
    const struct attention_args a = {in->H, in->G, in->Dh, in->ld, ldo, in->q, in->k, in->v, out, in->scale, p->tile};
    const int half = cuda_precision() == PRECISION_BF16;
    size_t T = 0;
    (void)work;
    for (size_t i = 0; i < p->n; i++)
        if (p->start[i + 1] - p->start[i] > T) T = p->start[i + 1] - p->start[i];
    if (half && in->Dh == 64)
        LAUNCH(attention_64, p->n_tiles * in->H, TILE_THREADS, 2 * KEYS * (64 + PAD) * 2, a);
    else if (half && in->Dh == 128)
        LAUNCH(attention_128, p->n_tiles * in->H, TILE_THREADS, 2 * KEYS * (128 + PAD) * 2, a);
    else
        LAUNCH(attention_rows, p->n_tiles * in->H, CUDA_THREADS, T * sizeof(float), a, half);
}
