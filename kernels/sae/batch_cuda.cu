/* batch_cuda.cu - the small operations of a step; see batch.h. */
#include "kernels/sae/sae_cuda.h"

enum { SLICES = 64 };

__global__ static void centre(size_t n, size_t D, const float *x, const float *b_dec, float *xc) {
    EACH(i, n) xc[i] = x[i] - b_dec[i % D];
}

__global__ static void bounds(size_t F, const float *theta, const struct activation act, float *low) {
    EACH(f, F) low[f] = activation_bound(&act, theta[f]);
}

__global__ static void spread(size_t n, size_t F, const float *row, float *out) { EACH(i, n * F) out[i] = row[i % F]; }

/* partial[s*D + d] = sum of G[b,d] over the rows of slice s; G: any rows */
__global__ static void column_slices(size_t B, size_t D, size_t per, const float *G, double *partial) {
    const size_t tiles = (D + blockDim.x - 1) / blockDim.x, d = blockIdx.x % tiles * blockDim.x + threadIdx.x,
                 s = blockIdx.x / tiles;
    const size_t b1 = (s + 1) * per < B ? (s + 1) * per : B;
    if (d >= D) return;
    double sum = 0;
    for (size_t b = s * per; b < b1; b++) sum += (double)G[b * D + d];
    partial[s * D + d] = sum;
}

__global__ static void update_b_dec(size_t slices, const double *partial, const struct adam_state a) {
    EACH(d, a.D) {
        double sum = a.gb_dec[d];
        for (size_t s = 0; s < slices; s++) sum += partial[s * a.D + d];
        a.gb_dec[d] = sum;
        adam_scalar(&a.o, a.o.beta2, (float)sum, a.p.b_dec + d, a.m.b_dec ? a.m.b_dec + d : NULL, a.v.b_dec + d);
    }
}

__global__ static void join_mean(size_t B, size_t D, size_t slices, const double *partial, float *mean) {
    EACH(d, D) {
        double sum = 0;
        for (size_t s = 0; s < slices; s++) sum += partial[s * D + d];
        mean[d] = (float)(sum / (double)B);
    }
}

__global__ static void total(size_t B, const struct sae_row_sums *sums, double *out) {
    __shared__ double room[32];
    double loss = 0, penalty = 0, l0 = 0;
    for (size_t b = threadIdx.x; b < B; b += blockDim.x)
        loss += sums[b].loss, penalty += sums[b].penalty, l0 += sums[b].l0;
    loss = cuda_block_sum(loss, room), penalty = cuda_block_sum(penalty, room), l0 = cuda_block_sum(l0, room);
    if (threadIdx.x) return;
    out[0] = loss, out[1] = penalty, out[2] = l0;
}

/* Counts are below 2^53: their sum in double is exact. */
__global__ static void count(size_t n, const uint32_t *counts, uint32_t at_least, int each_is_one, double *out) {
    __shared__ double room[32];
    double sum = 0;
    for (size_t i = threadIdx.x; i < n; i += blockDim.x) sum += each_is_one ? counts[i] >= at_least : counts[i];
    sum = cuda_block_sum(sum, room);
    if (threadIdx.x == 0) *out = sum;
}

void batch_centre_cuda(size_t B, size_t D, const float *x, const float *b_dec, float *xc) {
    LAUNCH(centre, cuda_blocks(B * D, 4 * CUDA_THREADS), CUDA_THREADS, 0, B * D, D, x, b_dec, xc);
}

void batch_bounds_cuda(size_t F, const float *theta, const struct activation *act, float *low) {
    LAUNCH(bounds, cuda_blocks(F, CUDA_THREADS), CUDA_THREADS, 0, F, theta, *act, low);
}

void batch_spread_cuda(size_t n, size_t F, const float *row, float *out) {
    LAUNCH(spread, cuda_blocks(n * F, 4 * CUDA_THREADS), CUDA_THREADS, 0, n, F, row, out);
}

/* The sums of a matrix's columns, one for each of *slices slices; NULL: no memory. */
static const double *columns(size_t B, size_t D, const float *rows, size_t *slices) {
    *slices = B < SLICES ? B : SLICES;
    double *partial = (double *)cuda_scratch(CUDA_SCRATCH_SUMS, *slices * D * sizeof(double));
    if (partial)
        LAUNCH(column_slices, *slices * cuda_blocks(D, CUDA_THREADS), CUDA_THREADS, 0, B, D, cuda_blocks(B, *slices),
               rows, partial);
    return partial;
}

void batch_mean_cuda(size_t B, size_t D, const float *xc, float *mean) {
    size_t slices;
    const double *partial = columns(B, D, xc, &slices);
    if (partial) LAUNCH(join_mean, cuda_blocks(D, CUDA_THREADS), CUDA_THREADS, 0, B, D, slices, partial, mean);
}

void batch_b_dec_cuda(size_t rows, const float *G, const struct adam_state *s) {
    size_t slices;
    const double *partial = columns(rows, s->D, G, &slices);
    if (partial) LAUNCH(update_b_dec, cuda_blocks(s->D, CUDA_THREADS), CUDA_THREADS, 0, slices, partial, *s);
}

void batch_total_cuda(size_t B, const struct sae_row_sums *sums, struct batch_totals *t) {
    double *out = (double *)cuda_scratch(CUDA_SCRATCH_SUMS, 3 * sizeof(double)), host[3] = {0, 0, 0};
    if (out) LAUNCH(total, 1, CUDA_THREADS, 0, B, sums, out);
    if (out) cuda_read(host, out, sizeof host);
    t->loss = host[0], t->penalty = host[1], t->l0 = host[2];
}

static size_t count_of(size_t n, const uint32_t *counts, uint32_t at_least, int each_is_one) {
    double *out = (double *)cuda_scratch(CUDA_SCRATCH_SUMS, sizeof(double)), host = 0;
    if (out) LAUNCH(count, 1, CUDA_THREADS, 0, n, counts, at_least, each_is_one, out);
    if (out) cuda_read(&host, out, sizeof host);
    return (size_t)host;
}

size_t batch_count_cuda(size_t n, const uint32_t *counts) { return count_of(n, counts, 0, 0); }
size_t batch_idle_cuda(size_t F, const uint32_t *steps_idle, uint32_t window) {
    return count_of(F, steps_idle, window, 1);
}
