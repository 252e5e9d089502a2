/* bitmul_ref.c - see bitmul.h. */
#include "kernels/analysis/bitmul.h"

static double bit(const uint64_t *row, size_t c) { return (double)(row[c / 64] >> (c % 64) & 1); }

void bitmul_gather_ref(size_t F, size_t W, const uint64_t *bits, size_t ld, const float *u, size_t ldu,
                       double *restrict y) {
    for (size_t f = 0; f < F; f++)
        for (size_t b = 0; b < BITMUL_B; b++) {
            double s = 0;
            for (size_t c = 0; c < 64 * W; c++) s += bit(bits + f * ld, c) * (double)u[b * ldu + c];
            y[f * BITMUL_B + b] = s;
        }
}

void bitmul_scatter_ref(size_t F, size_t W, const uint64_t *bits, size_t ld, const float *v, double *restrict u,
                        size_t ldu) {
    for (size_t b = 0; b < BITMUL_B; b++)
        for (size_t c = 0; c < 64 * W; c++) {
            double s = 0;
            for (size_t f = 0; f < F; f++) s += bit(bits + f * ld, c) * (double)v[f * BITMUL_B + b];
            u[b * ldu + c] += s;
        }
}
