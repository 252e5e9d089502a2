/* adam_cuda.cu - gradients of a feature's weights, fused with Adam, projection and renormalisation; see adam.h.
 *
 * A block a feature: each thread owns columns and adds the feature's entries in order; the gradients stay in shared memory until the
 * weights and moments have been read and written once. Rows of xc and G are gathered, in PRECISION_BF16 from bf16 copies that fit the
 * second-level cache. */
#include "kernels/sae/sae_cuda.h"

struct adam_args {
    struct adam_state s;
    struct adam_entries e;      /* or gradients are in g */
    const void *xc, *G;         /* e's, or their bf16 copies */
    const float *g_b, *g_theta; /* [F] */
    const uint32_t *fired;      /* [F] */
    struct sae_arrays g;
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

__device__ static inline void gather(const struct adam_args *a, float *enc, float *dec, const int half) {
    const struct adam_entries *from = &a->e;
    const size_t f = blockIdx.x, D = a->s.D, i0 = from->by.first[f], i1 = from->by.first[f + 1];
    for (size_t d = 4 * threadIdx.x; d < D; d += 4 * blockDim.x) {
        float e[4] = {0, 0, 0, 0}, c[4] = {0, 0, 0, 0}, x[4], g[4];
        for (size_t i = i0; i < i1; i++) {
            const size_t n = from->by.entry[i], at = (size_t)from->by.row[i] * D + d;
            cuda_load4(x, a->xc, at, D - d, half);
            cuda_load4(g, a->G, at, D - d, half);
            for (int j = 0; j < 4; j++) {
                e[j] += from->dpre[n] * x[j];
                c[j] += from->z[n] * g[j];
            }
        }
        for (size_t v = 1; v < from->views.n; v++)
            for (size_t i = i0; i < i1 && f < from->views.at[v].features; i++) {
                cuda_load4(g, a->G, (v * from->B + from->by.row[i]) * D + d, D - d, half);
                for (int j = 0; j < 4; j++) c[j] += from->z[from->by.entry[i]] * g[j];
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
    const struct adam_state *s = &a->s;
    const size_t f = blockIdx.x, D = s->D;
    const float beta2 = adam_beta2(&s->o, turn->idle_enc);
    for (size_t d = threadIdx.x; d < D; d += blockDim.x) {
        const size_t i = f * D + d;
        adam_scalar(&s->o, beta2, -s->o.pre_act * s->o.mean[d], s->p.W_enc + i, s->m.W_enc ? s->m.W_enc + i : NULL,
                    s->v.W_enc + i);
        if (a->half_enc) cuda_store(a->half_enc, i, s->p.W_enc[i], 1);
    }
}

/* enc, dec [D] hold the gradients; each thread reads and writes its own columns only. */
__device__ static inline void update(const struct adam_args *a, const struct adam_turn *turn, const float *enc,
                                     float *dec, double *room) {
    const struct adam_state *s = &a->s;
    const size_t f = blockIdx.x, D = s->D;
    float *we = s->p.W_enc + f * D, *wd = s->p.W_dec + f * D, *ve = s->v.W_enc + f * D, *vd = s->v.W_dec + f * D;
    float *me = s->m.W_enc ? s->m.W_enc + f * D : NULL, *md = s->m.W_dec ? s->m.W_dec + f * D : NULL;
    const float beta2 = adam_beta2(&s->o, turn->idle_dec),
                beta2_enc = turn->idle_enc == turn->idle_dec ? beta2 : adam_beta2(&s->o, turn->idle_enc);
    double along = 0, norm2 = 0;
    for (size_t d = threadIdx.x; d < D; d += blockDim.x) along += (double)dec[d] * (double)wd[d];
    along = cuda_block_sum(along, room);
    for (size_t d = threadIdx.x; d < D; d += blockDim.x) {
        float w = wd[d], first = me ? me[d] : 0, second = ve[d], e = we[d];
        const float g = turn->dead ? enc[d] - s->o.pre_act * s->o.mean[d] : enc[d];
        adam_scalar(&s->o, beta2_enc, g, &e, me ? &first : NULL, &second);
        we[d] = e, ve[d] = second;
        if (a->half_enc) cuda_store(a->half_enc, f * D + d, e, 1);
        if (me) me[d] = first;
        first = md ? md[d] : 0, second = vd[d];
        adam_scalar(&s->o, beta2, dec[d] - (float)along * w, &w, md ? &first : NULL, &second);
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
    return adam_turn(&a->s.o, a->s.m.W_enc, a->fired[blockIdx.x], a->s.steps_idle[blockIdx.x]);
}

__device__ static inline void update_scalars(const struct adam_args *a, const struct adam_turn *turn) {
    const struct adam_state *s = &a->s;
    const size_t f = blockIdx.x;
    if (s->o.pre_act > 0) __syncthreads(); /* steps_idle has been read: then it decides which way a block goes */
    if (threadIdx.x) return;
    if (!s->o.lazy || turn->enc)
        adam_scalar(&s->o, s->o.beta2, a->g_b[f], s->p.b_enc + f, s->m.b_enc ? s->m.b_enc + f : NULL, s->v.b_enc + f);
    if (!s->o.lazy || a->g_theta[f] != 0)
        adam_scalar(&s->o, s->o.beta2, a->g_theta[f], s->p.theta + f, s->m.theta ? s->m.theta + f : NULL,
                    s->v.theta + f);
    s->steps_idle[f] = a->fired[f] ? 0 : s->steps_idle[f] + 1;
}

__global__ static void update_f32(const struct adam_args a) {
    __shared__ double room[32];
    SHARED_DYNAMIC(float, enc);
    const struct adam_turn turn = turn_of(&a);
    if (turn.dec) {
        gather(&a, enc, enc + cuda_padded(a.s.D), 0);
        update(&a, &turn, enc, enc + cuda_padded(a.s.D), room);
    } else if (turn.enc)
        update_dead(&a, &turn);
    update_scalars(&a, &turn);
}

__global__ static void update_bf16(const struct adam_args a) {
    __shared__ double room[32];
    SHARED_DYNAMIC(float, enc);
    const struct adam_turn turn = turn_of(&a);
    if (turn.dec) {
        gather(&a, enc, enc + cuda_padded(a.s.D), 1);
        update(&a, &turn, enc, enc + cuda_padded(a.s.D), room);
    } else if (turn.enc)
        update_dead(&a, &turn);
    update_scalars(&a, &turn);
}

__global__ static void update_dense(const struct adam_args a) {
    __shared__ double room[32];
    SHARED_DYNAMIC(float, enc);
    const struct adam_turn turn = turn_of(&a);
    float *dec = enc + cuda_padded(a.s.D);
    for (size_t d = threadIdx.x; d < a.s.D && turn.dec; d += blockDim.x) {
        enc[d] = a.g.W_enc[blockIdx.x * a.s.D + d];
        dec[d] = a.g.W_dec[blockIdx.x * a.s.D + d];
    }
    if (turn.dec)
        update(&a, &turn, enc, dec, room);
    else if (turn.enc)
        update_dead(&a, &turn);
    update_scalars(&a, &turn);
}

/* The penalty; gb_dec := - sum_f g_b[f] W_enc[f], before W_enc changes. */
static void bias(const struct adam_state *s, const uint32_t *fired, float *g_b, float *g_theta) {
    const size_t D = s->D, F = s->F, slices = F < 64 ? F : 64, per = cuda_blocks(F, slices),
                 tiles = cuda_blocks(D, CUDA_THREADS);
    double *partial = (double *)cuda_scratch(CUDA_SCRATCH_SUMS, slices * D * sizeof(double));
    if (!partial) return;
    if (s->o.pre_act > 0)
        LAUNCH(penalise, cuda_blocks(F, CUDA_THREADS), CUDA_THREADS, 0, F, s->o, fired, s->steps_idle, g_b, g_theta);
    LAUNCH(bias_slices, slices * tiles, CUDA_THREADS, 0, D, F, per, g_b, s->p.W_enc, partial);
    LAUNCH(bias_join, tiles, CUDA_THREADS, 0, D, slices, partial, s->gb_dec);
}

/* The copies of the weights, where the products are in bf16: the update changes them too. */
static void halves(struct adam_args *a) {
    const struct adam_state *s = &a->s;
    if (cuda_precision() != PRECISION_BF16) return;
    a->half_enc = (void *)cuda_half(CUDA_W_ENC, s->p.W_enc, s->F * s->D);
    a->half_dec = (void *)cuda_half(CUDA_W_DEC, s->p.W_dec, s->F * s->D);
}

void adam_sparse_cuda(const struct adam_state *s, const struct adam_entries *e) {
    const size_t D = s->D, F = s->F, xs = e->B * D, Gs = e->views.n * xs, shared = 2 * cuda_padded(D) * sizeof(float);
    float *sums = (float *)cuda_scratch(CUDA_SCRATCH_FEATURE, 3 * F * sizeof(float));
    uint32_t *fired = (uint32_t *)(sums + 2 * F);
    if (!sums) return;
    struct adam_args a = {*s, *e, e->xc, e->G, sums, sums + F, fired, s->p, NULL, NULL};
    LAUNCH(entry_sums, cuda_blocks(F, CUDA_THREADS / 32), CUDA_THREADS, 0, F, e->by.first, e->by.entry, e->z, e->dpre,
           e->dtheta, sums, sums + F, fired);
    bias(s, fired, sums, sums + F);
    halves(&a);
    if (cuda_precision() != PRECISION_BF16) {
        LAUNCH(update_f32, F, CUDA_THREADS, shared, a);
        return;
    }
    char *half = (char *)cuda_scratch(CUDA_SCRATCH_X, 2 * (cuda_padded(xs) + cuda_padded(Gs)));
    if (!half) return;
    a.xc = half, a.G = half + 2 * cuda_padded(xs);
    cuda_to_bf16(e->xc, half, xs);
    cuda_to_bf16(e->G, half + 2 * cuda_padded(xs), Gs);
    LAUNCH(update_bf16, F, CUDA_THREADS, shared, a);
}

void adam_dense_cuda(const struct adam_state *s, const struct sae_arrays *g, const uint32_t *fired) {
    struct adam_args a = {*s, {0}, NULL, NULL, g->b_enc, g->theta, fired, *g, NULL, NULL};
    bias(s, fired, g->b_enc, g->theta);
    halves(&a);
    LAUNCH(update_dense, s->F, CUDA_THREADS, 2 * cuda_padded(s->D) * sizeof(float), a);
}
