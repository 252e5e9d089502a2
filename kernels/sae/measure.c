/* measure.c - see measure.h: on the host. */
#include "kernels/sae/measure.h"

#include <string.h>

enum { SLICE = 32 }; /* columns summed by one thread */

/* Columns go to threads, rows of a column are added in order. */
static void error_mean(size_t B, size_t D, const float *x, const float *y, double *e_mean) {
    size_t slices = (D + SLICE - 1) / SLICE;
#pragma omp parallel for schedule(static)
    for (size_t s = 0; s < slices; s++) {
        size_t d0 = s * SLICE, d1 = d0 + SLICE < D ? d0 + SLICE : D;
        for (size_t d = d0; d < d1; d++) e_mean[d] = 0;
        for (size_t b = 0; b < B; b++)
            for (size_t d = d0; d < d1; d++) e_mean[d] += (double)x[b * D + d] - (double)y[b * D + d];
        for (size_t d = d0; d < d1; d++) e_mean[d] /= (double)B;
    }
}

void measure_rows(size_t B, size_t D, const float *x, const float *y, const double *mean, const double *group_mean,
                  const int32_t *group, double *e_mean, struct measure_row *row) {
    error_mean(B, D, x, y, e_mean);
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < B; b++) {
        struct measure_row r = {0};
        const double *own_mean = group_mean + (size_t)group[b] * D;
        for (size_t d = 0; d < D; d++) {
            double xd = x[b * D + d], yd = y[b * D + d], e = xd - yd, ec = e - e_mean[d], dev = xd - mean[d];
            double own = xd - own_mean[d];
            r.e2 += e * e, r.e2_centred += ec * ec, r.x2 += xd * xd, r.dev2 += dev * dev, r.group_dev2 += own * own;
            r.y2 += yd * yd, r.xy += xd * yd;
        }
        row[b] = r;
    }
}

void measure(size_t B, size_t D, const float *x, const struct active *a, const float *W_dec, const float *b_dec,
             const double *mean, const double *group_mean, const int32_t *group, float *y, double *e_mean,
             struct measure_row *row) {
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < B; b++) {
        float *out = y + b * D;
        memcpy(out, b_dec, D * sizeof *out);
        for (size_t i = a->row[b]; i < a->row[b + 1]; i++) {
            const float *w = W_dec + (size_t)a->feat[i] * D, z = a->pre[i];
#pragma omp simd
            for (size_t d = 0; d < D; d++) out[d] += z * w[d];
        }
    }
    measure_rows(B, D, x, y, mean, group_mean, group, e_mean, row);
}
