/* adam_cuda.cu - gradients of a feature's weights, fused with Adam, projection and renormalisation; see adam.h.
 *
 * A block a feature: each thread owns columns and adds the feature's entries in order; the gradients stay in shared memory until the
 * weights and moments have been read and written once. Rows of xc and G are gathered, in PRECISION_BF16 from bf16 copies that fit the
 * second-level cache. */
#include "kernels/sae/sae_cuda.h"

struct adam_args {
    size_t D, F;
    const void *xc, *G; /* [B,D] bf16 or f32; or NULL: gradients are in g */
    const size_t *first;
    const uint32_t *row, *entry;
    const float *z, *dpre;
    const float *g_b, *g_theta; /* [F] */
    const uint32_t *fired;      /* [F] */
    struct sae_arrays g, p, v, m;
    struct adam o;
    uint32_t *steps_idle;
    void *half_enc, *half_dec; /* [F,D] bf16 copies, whose rows follow those of the weights, or NULL */
};

/* Sums over a feature's entries, a warp a feature. */
__global__ static void entry_sums(size_t F, const size_t *first, const uint32_t *entry, const float *z,
                                  const float *dpre, const float *dtheta, float *g_b, float *g_theta, uint32_t *fired) {
    const size_t f = (blockIdx.x * (size_t)blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (f >= F) return; /* a whole warp */
    float b = 0, t = 0, n = 0;
    for (size_t i = first[f] + lane; i < first[f + 1]; i += 32) {
        const size_t at = entry[i];
        b += dpre[at], t += dtheta[at], n += z[at] != 0;
    }
    b = cuda_warp_sum(b), t = cuda_warp_sum(t), n = cuda_warp_sum(n);
    if (lane) return;
    g_b[f] = b, g_theta[f] = t, fired[f] = (uint32_t)n;
}

/* partial[s*D + d] = - sum of g_b[f] W_enc[f,d] over the features of slice s */
__global__ static void bias_slices(size_t D, size_t F, size_t per, const float *g_b, const float *W_enc,
                                   double *partial) {
    const size_t d = blockIdx.x % ((D + blockDim.x - 1) / blockDim.x) * blockDim.x + threadIdx.x;
    const size_t s = blockIdx.x / ((D + blockDim.x - 1) / blockDim.x), f1 = (s + 1) * per < F ? (s + 1) * per : F;
    if (d >= D) return;
    double sum = 0;
    for (size_t f = s * per; f < f1; f++) sum -= (double)g_b[f] * (double)W_enc[f * D + d];
    partial[s * D + d] = sum;
}

__global__ static void bias_join(size_t D, size_t slices, const double *partial, double *gb_dec) {
    EACH(d, D) {
        double sum = 0;
        for (size_t s = 0; s < slices; s++) sum += partial[s * D + d];
        gb_dec[d] = sum;
    }
}

/* Where the second of two arrays of so many numbers begins, for loads of four: at a multiple of four. */
#define padded(D) (((D) + 3) / 4 * 4)

__device__ static inline void gather(const struct adam_args *a, float *enc, float *dec, const int half) {
    const size_t f = blockIdx.x, D = a->D, i0 = a->first[f], i1 = a->first[f + 1];
    for (size_t d = 4 * threadIdx.x; d < D; d += 4 * blockDim.x) {
        float e[4] = {0, 0, 0, 0}, c[4] = {0, 0, 0, 0}, x[4], g[4];
        for (size_t i = i0; i < i1; i++) {
            const size_t at = a->entry[i], from = (size_t)a->row[i] * D + d;
            cuda_load4(x, a->xc, from, D - d, half);
            cuda_load4(g, a->G, from, D - d, half);
            for (int j = 0; j < 4; j++) {
                e[j] += a->dpre[at] * x[j];
                c[j] += a->z[at] * g[j];
            }
        }
        cuda_store4(enc, d, D - d, e, 0);
        cuda_store4(dec, d, D - d, c, 0);
    }
    __syncthreads(); /* columns are others' from here on */
}

/* The penalty's part of the gradients of b_enc and theta; launched only where there is one. */
__global__ static void penalise(size_t F, const struct adam o, const uint32_t *fired, const uint32_t *steps_idle,
                                float *g_b, float *g_theta) {
    EACH(f, F) {
        if (!adam_turn(&o, false, fired[f], steps_idle[f]).dead) continue;
        g_b[f] -= o.pre_act, g_theta[f] += o.pre_theta;
    }
}

/* W_enc's row, and of W_dec's nothing: that of a dead feature. */
__device__ static inline void update_dead(const struct adam_args *a, const struct adam_turn *turn) {
    const size_t f = blockIdx.x, D = a->D;
    const float beta2 = adam_beta2(&a->o, turn->idle_enc);
    for (size_t d = threadIdx.x; d < D; d += blockDim.x) {
        const size_t i = f * D + d;
        adam_scalar(&a->o, beta2, -a->o.pre_act * a->o.mean[d], a->p.W_enc + i, a->m.W_enc ? a->m.W_enc + i : NULL,
                    a->v.W_enc + i);
        if (a->half_enc) cuda_store(a->half_enc, i, a->p.W_enc[i], 1);
    }
}

/* enc, dec [D] hold the gradients; each thread reads and writes its own columns only. */
__device__ static inline void update(const struct adam_args *a, const struct adam_turn *turn, const float *enc,
                                     float *dec, double *room) {
    const size_t f = blockIdx.x, D = a->D;
    float *we = a->p.W_enc + f * D, *wd = a->p.W_dec + f * D, *ve = a->v.W_enc + f * D, *vd = a->v.W_dec + f * D;
    float *me = a->m.W_enc ? a->m.W_enc + f * D : NULL, *md = a->m.W_dec ? a->m.W_dec + f * D : NULL;
    const float beta2 = adam_beta2(&a->o, turn->idle_dec),
                beta2_enc = turn->idle_enc == turn->idle_dec ? beta2 : adam_beta2(&a->o, turn->idle_enc);
    double along = 0, norm2 = 0;
    for (size_t d = threadIdx.x; d < D; d += blockDim.x) along += (double)dec[d] * (double)wd[d];
    along = cuda_block_sum(along, room);
    for (size_t d = threadIdx.x; d < D; d += blockDim.x) {
        float w = wd[d], first = me ? me[d] : 0, second = ve[d], e = we[d];
        const float g = turn->dead ? enc[d] - a->o.pre_act * a->o.mean[d] : enc[d];
        adam_scalar(&a->o, beta2_enc, g, &e, me ? &first : NULL, &second);
        we[d] = e, ve[d] = second;
        if (a->half_enc) cuda_store(a->half_enc, f * D + d, e, 1);
        if (me) me[d] = first;
        first = md ? md[d] : 0, second = vd[d];
        adam_scalar(&a->o, beta2, dec[d] - (float)along * w, &w, md ? &first : NULL, &second);
        vd[d] = second, dec[d] = w;
        if (md) md[d] = first;
        norm2 += (double)w * (double)w;
    }
    norm2 = cuda_block_sum(norm2, room);
    const float scale = (float)(1 / sqrt(norm2));
    for (size_t d = threadIdx.x; d < D; d += blockDim.x) {
        wd[d] = dec[d] * scale;
        if (a->half_dec) cuda_store(a->half_dec, f * D + d, dec[d] * scale, 1);
    }
}

__device__ static inline struct adam_turn turn_of(const struct adam_args *a) {
    return adam_turn(&a->o, a->m.W_enc, a->fired[blockIdx.x], a->steps_idle[blockIdx.x]);
}

__device__ static inline void update_scalars(const struct adam_args *a, const struct adam_turn *turn) {
    const size_t f = blockIdx.x;
    if (a->o.pre_act > 0) __syncthreads(); /* steps_idle has been read: then it decides which way a block goes */
    if (threadIdx.x) return;
    if (!a->o.lazy || turn->enc)
        adam_scalar(&a->o, a->o.beta2, a->g_b[f], a->p.b_enc + f, a->m.b_enc ? a->m.b_enc + f : NULL, a->v.b_enc + f);
    if (!a->o.lazy || a->g_theta[f] != 0)
        adam_scalar(&a->o, a->o.beta2, a->g_theta[f], a->p.theta + f, a->m.theta ? a->m.theta + f : NULL,
                    a->v.theta + f);
    a->steps_idle[f] = a->fired[f] ? 0 : a->steps_idle[f] + 1;
}

__global__ static void update_f32(const struct adam_args a) {
    __shared__ double room[32];
    SHARED_DYNAMIC(float, enc);
    const struct adam_turn turn = turn_of(&a);
    if (turn.dec) {
        gather(&a, enc, enc + padded(a.D), 0);
        update(&a, &turn, enc, enc + padded(a.D), room);
    } else if (turn.enc)
        update_dead(&a, &turn);
    update_scalars(&a, &turn);
}

__global__ static void update_bf16(const struct adam_args a) {
    __shared__ double room[32];
    SHARED_DYNAMIC(float, enc);
    const struct adam_turn turn = turn_of(&a);
    if (turn.dec) {
        gather(&a, enc, enc + padded(a.D), 1);
        update(&a, &turn, enc, enc + padded(a.D), room);
    } else if (turn.enc)
        update_dead(&a, &turn);
    update_scalars(&a, &turn);
}

__global__ static void update_dense(const struct adam_args a) {
    __shared__ double room[32];
    SHARED_DYNAMIC(float, enc);
    const struct adam_turn turn = turn_of(&a);
    float *dec = enc + padded(a.D);
    for (size_t d = threadIdx.x; d < a.D && turn.dec; d += blockDim.x) {
        enc[d] = a.g.W_enc[blockIdx.x * a.D + d];
        dec[d] = a.g.W_dec[blockIdx.x * a.D + d];
    }
    if (turn.dec)
        update(&a, &turn, enc, dec, room);
    else if (turn.enc)
        update_dead(&a, &turn);
    update_scalars(&a, &turn);
}

/* The penalty; gb_dec := - sum_f g_b[f] W_enc[f], before W_enc changes. */
static void bias(size_t D, size_t F, const struct adam *o, const uint32_t *fired, const uint32_t *steps_idle,
                 float *g_b, float *g_theta, const float *W_enc, double *gb_dec) {
    const size_t slices = F < 64 ? F : 64, per = cuda_blocks(F, slices), tiles = cuda_blocks(D, CUDA_THREADS);
    double *partial = (double *)cuda_scratch(CUDA_SCRATCH_SUMS, slices * D * sizeof(double));
    if (!partial) return;
    if (o->pre_act > 0)
        LAUNCH(penalise, cuda_blocks(F, CUDA_THREADS), CUDA_THREADS, 0, F, *o, fired, steps_idle, g_b, g_theta);
    LAUNCH(bias_slices, slices * tiles, CUDA_THREADS, 0, D, F, per, g_b, W_enc, partial);
    LAUNCH(bias_join, tiles, CUDA_THREADS, 0, D, slices, partial, gb_dec);
}

void adam_sparse_cuda(size_t D, size_t F, size_t B, const float *xc, const float *G, const struct byfeature *by,
                      const float *z, const float *dpre, const float *dtheta, const struct adam *o,
                      struct sae_arrays *p, struct sae_arrays *v, struct sae_arrays *m, double *gb_dec,
                      uint32_t *steps_idle) {
    float *sums = (float *)cuda_scratch(CUDA_SCRATCH_FEATURE, 3 * F * sizeof(float));
    if (!sums) return;
    struct adam_args a = {
        D,  F,  xc, G,  by->first, by->row,    by->entry, z,   dpre, sums, sums + F, (uint32_t *)(sums + 2 * F),
        *p, *p, *v, *m, *o,        steps_idle, NULL,      NULL};
    LAUNCH(entry_sums, cuda_blocks(F, CUDA_THREADS / 32), CUDA_THREADS, 0, F, by->first, by->entry, z, dpre, dtheta,
           sums, sums + F, (uint32_t *)(sums + 2 * F));
    bias(D, F, o, a.fired, steps_idle, sums, sums + F, p->W_enc, gb_dec);
    if (cuda_precision() != PRECISION_BF16) {
        LAUNCH(update_f32, F, CUDA_THREADS, 2 * padded(D) * sizeof(float), a);
        return;
    }
    char *half = (char *)cuda_scratch(CUDA_SCRATCH_X, 2 * padded(B * D) * 2), *second = half + padded(B * D) * 2;
    if (!half) return;
    cuda_to_bf16(xc, half, B * D);
    cuda_to_bf16(G, second, B * D);
    a.xc = half, a.G = second;
    a.half_enc = (void *)cuda_half(CUDA_W_ENC, p->W_enc, F * D);
    a.half_dec = (void *)cuda_half(CUDA_W_DEC, p->W_dec, F * D);
    LAUNCH(update_bf16, F, CUDA_THREADS, 2 * padded(D) * sizeof(float), a);
}

void adam_dense_cuda(size_t D, size_t F, struct sae_arrays *g, const uint32_t *fired, const struct adam *o,
                     struct sae_arrays *p, struct sae_arrays *v, struct sae_arrays *m, double *gb_dec,
                     uint32_t *steps_idle) {
    struct adam_args a = {D,        F,     NULL, NULL, NULL, NULL, NULL, NULL,       NULL, g->b_enc,
                          g->theta, fired, *g,   *p,   *v,   *m,   *o,   steps_idle, NULL, NULL};
    bias(D, F, o, fired, steps_idle, g->b_enc, g->theta, p->W_enc, gb_dec);
    if (cuda_precision() == PRECISION_BF16)
        a.half_enc = (void *)cuda_half(CUDA_W_ENC, p->W_enc, F * D),
        a.half_dec = (void *)cuda_half(CUDA_W_DEC, p->W_dec, F * D);
    LAUNCH(update_dense, F, CUDA_THREADS, 2 * padded(D) * sizeof(float), a);
}
