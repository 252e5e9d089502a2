/* measure_cuda.cu - reconstructions and the sums of their rows, in double; see measure.h. W_dec is read as float32 with
 * every precision: what is measured is the SAE, not the rounding. */
#include "kernels/sae/sae_cuda.h"

enum { SLICES = 64 };

/* A block a row; four columns a thread. */
__global__ static void reconstruct(size_t D, const size_t *row, const uint32_t *feat, const float *pre, const float *W,
                                   const float *b_dec, float *y) {
    const size_t b = blockIdx.x, i0 = row[b], i1 = row[b + 1];
    for (size_t d = 4 * threadIdx.x; d < D; d += 4 * blockDim.x) {
        float v[4], w[4];
        cuda_load4(v, b_dec, d, D - d, 0);
        for (size_t i = i0; i < i1; i++) {
            cuda_load4(w, W, (size_t)feat[i] * D + d, D - d, 0);
            for (int j = 0; j < 4; j++) v[j] += pre[i] * w[j];
        }
        cuda_store4(y, b * D + d, D - d, v, 0);
    }
}

/* partial[s*D + d] = sum of e[b,d] over the rows of slice s */
__global__ static void error_slices(size_t B, size_t D, size_t per, const float *x, const float *y, double *partial) {
    const size_t tiles = (D + blockDim.x - 1) / blockDim.x, d = blockIdx.x % tiles * blockDim.x + threadIdx.x;
    const size_t s = blockIdx.x / tiles, b1 = (s + 1) * per < B ? (s + 1) * per : B;
    if (d >= D) return;
    double sum = 0;
    for (size_t b = s * per; b < b1; b++) sum += (double)x[b * D + d] - (double)y[b * D + d];
    partial[s * D + d] = sum;
}

__global__ static void error_join(size_t B, size_t D, size_t slices, const double *partial, double *e_mean) {
    EACH(d, D) {
        double sum = 0;
        for (size_t s = 0; s < slices; s++) sum += partial[s * D + d];
        e_mean[d] = sum / (double)B;
    }
}

__global__ static void row_sums(size_t D, const float *x, const float *y, const double *mean, const double *group_mean,
                                const int32_t *group, const double *e_mean, struct measure_row *out) {
    __shared__ double room[32];
    const size_t b = blockIdx.x, own = (size_t)group[b] * D;
    double e2 = 0, e2_centred = 0, x2 = 0, y2 = 0, xy = 0, dev2 = 0, group_dev2 = 0;
    for (size_t d = threadIdx.x; d < D; d += blockDim.x) {
        const double xd = (double)x[b * D + d], yd = (double)y[b * D + d], e = xd - yd, ec = e - e_mean[d];
        const double dev = xd - mean[d], group_dev = xd - group_mean[own + d];
        e2 += e * e, e2_centred += ec * ec, x2 += xd * xd, y2 += yd * yd, xy += xd * yd;
        dev2 += dev * dev, group_dev2 += group_dev * group_dev;
    }
    e2 = cuda_block_sum(e2, room), e2_centred = cuda_block_sum(e2_centred, room), x2 = cuda_block_sum(x2, room);
    y2 = cuda_block_sum(y2, room), xy = cuda_block_sum(xy, room), dev2 = cuda_block_sum(dev2, room);
    group_dev2 = cuda_block_sum(group_dev2, room);
    if (threadIdx.x) return;
    out[b].e2 = e2, out[b].e2_centred = e2_centred, out[b].x2 = x2, out[b].y2 = y2, out[b].xy = xy;
    out[b].dev2 = dev2, out[b].group_dev2 = group_dev2;
}

void measure_cuda(size_t B, size_t D, const float *x, const struct active *a, const float *W_dec, const float *b_dec,
                  const double *mean, const double *group_mean, const int32_t *group, float *y, double *e_mean,
                  struct measure_row *row) {
    const size_t slices = B < SLICES ? B : SLICES, per = cuda_blocks(B, slices), tiles = cuda_blocks(D, CUDA_THREADS);
    double *partial = (double *)cuda_scratch(CUDA_SCRATCH_SUMS, slices * D * sizeof(double));
    if (!partial) return;
    LAUNCH(reconstruct, B, CUDA_THREADS, 0, D, a->row, a->feat, a->pre, W_dec, b_dec, y);
    LAUNCH(error_slices, slices * tiles, CUDA_THREADS, 0, B, D, per, x, y, partial);
    LAUNCH(error_join, tiles, CUDA_THREADS, 0, B, D, slices, partial, e_mean);
    LAUNCH(row_sums, B, CUDA_THREADS, 0, D, x, y, mean, group_mean, group, e_mean, row);
}
