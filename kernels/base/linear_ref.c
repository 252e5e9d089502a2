/* linear_ref.c - see linear.h: the packing, and the product as defined. */
#include "kernels/base/linear.h"

void linear_pack(bool transposed, size_t N, size_t K, const float *W, size_t ldw, float *packed) {
    for (size_t n0 = 0; n0 < N; n0 += LINEAR_PANEL, packed += LINEAR_PANEL * K) {
        size_t n = N - n0 < LINEAR_PANEL ? N - n0 : LINEAR_PANEL;
        for (size_t k = 0; k < K; k++) {
            float *to = packed + k * LINEAR_PANEL;
            if (transposed)
                for (size_t j = 0; j < n; j++) to[j] = W[k * ldw + n0 + j];
            else
                for (size_t j = 0; j < n; j++) to[j] = W[(n0 + j) * ldw + k];
            for (size_t j = n; j < LINEAR_PANEL; j++) to[j] = 0;
        }
    }
}

void linear_pack_rows(size_t first, size_t n, size_t K, const float *W, float *packed) {
    for (size_t run; n > 0; first += run, n -= run, W += run * K) {
        size_t place = first % LINEAR_PANEL;
        run = LINEAR_PANEL - place < n ? LINEAR_PANEL - place : n;
        float *to = packed + (first - place) * K + place;
        for (size_t k = 0; k < K; k++, to += LINEAR_PANEL)
            for (size_t j = 0; j < run; j++) to[j] = W[j * K + k];
    }
}

void linear_ref(size_t M, size_t N, size_t K, const float *x, size_t ldx, const float *packed, size_t panel,
                const float *bias, float *y, size_t ldy) {
    for (size_t m = 0; m < M; m++)
        for (size_t n = 0; n < N; n++) {
            const float *w = packed + n / LINEAR_PANEL * panel + n % LINEAR_PANEL;
            double s = bias ? (double)bias[n] : 0.0;
            for (size_t k = 0; k < K; k++) s += (double)x[m * ldx + k] * (double)w[k * LINEAR_PANEL];
            y[m * ldy + n] = (float)s;
        }
}
