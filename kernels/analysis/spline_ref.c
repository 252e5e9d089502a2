/* spline_ref.c - see spline.h. The definitions. */
#include "kernels/analysis/spline.h"

#include <math.h>

/* The cardinal B-spline of order k (support 0..k) at u, by its recursion. */
static double bspline(int k, double u) {
    if (k == 1) return u >= 0 && u < 1;
    return (u * bspline(k - 1, u) + (k - u) * bspline(k - 1, u - 1)) / (k - 1);
}

static int32_t axis(double u, float *w, float *d) {
    int32_t first = (int32_t)floor(u) - SPLINE_ORDER + 1;
    for (int s = 0; s < SPLINE_WIDTH; s++) {
        double at = u - (first + s);
        w[s] = (float)(s < SPLINE_ORDER ? bspline(SPLINE_ORDER, at) : 0);
        d[s] = (float)(s < SPLINE_ORDER ? bspline(SPLINE_ORDER - 1, at) - bspline(SPLINE_ORDER - 1, at - 1) : 0);
    }
    return first;
}

void spline_weights_ref(size_t m, const float *x, const float *y, float x0, float y0, float inv_h, int32_t *cell,
                        float *record) {
    for (size_t p = 0; p < m; p++) {
        float *r = record + p * SPLINE_RECORD, u = (x[p] - x0) * inv_h + SPLINE_ORDER,
              v = (y[p] - y0) * inv_h + SPLINE_ORDER;
        cell[2 * p] = axis((double)u, r, r + SPLINE_WIDTH);
        cell[2 * p + 1] = axis((double)v, r + 2 * SPLINE_WIDTH, r + 3 * SPLINE_WIDTH);
    }
}

void spline_spread_ref(size_t m, const uint32_t *who, const int32_t *cell, const float *record, float *grid,
                       size_t stride) {
    for (size_t k = 0; k < m; k++) {
        size_t p = who[k];
        const float *wx = record + p * SPLINE_RECORD, *wy = wx + 2 * SPLINE_WIDTH;
        for (size_t r = 0; r < SPLINE_ORDER; r++)
            for (size_t s = 0; s < SPLINE_ORDER; s++)
                grid[((size_t)cell[2 * p] + r) * stride + (size_t)cell[2 * p + 1] + s] += wx[r] * wy[s];
    }
}

void spline_gather_ref(size_t m, const uint32_t *who, const int32_t *cell, const float *record, const float *grid,
                       size_t stride, float *value, float *gx, float *gy) {
    for (size_t k = 0; k < m; k++) {
        size_t p = who[k];
        const float *wx = record + p * SPLINE_RECORD, *dx = wx + SPLINE_WIDTH, *wy = dx + SPLINE_WIDTH,
                    *dy = wy + SPLINE_WIDTH;
        double f = 0, fx = 0, fy = 0;
        for (size_t r = 0; r < SPLINE_ORDER; r++)
            for (size_t s = 0; s < SPLINE_ORDER; s++) {
                double g = grid[((size_t)cell[2 * p] + r) * stride + (size_t)cell[2 * p + 1] + s];
                f += g * wx[r] * wy[s];
                fx += g * dx[r] * wy[s];
                fy += g * wx[r] * dy[s];
            }
        value[p] = (float)f;
        gx[p] = (float)fx;
        gy[p] = (float)fy;
    }
}
