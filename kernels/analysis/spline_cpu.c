/* spline_cpu.c - see spline.h. Weights for 16 points at once; a mesh row of 6 nodes as one vector of 8. */
#include "kernels/analysis/spline.h"

#include "kernels/base/isa.h"

#include <string.h>

enum { ORDER = SPLINE_ORDER, WIDTH = SPLINE_WIDTH, LANES = 16 };

#pragma GCC diagnostic ignored "-Wpsabi"

typedef float lanes __attribute__((vector_size(64)));
typedef int32_t lane_index __attribute__((vector_size(64)));
typedef float row8 __attribute__((vector_size(32)));

/* m[j] = M_q(t + j) grows from order 2 to 6; on the way, the derivative from order 5. */
ISA_INLINE void axis(const lanes *u, lane_index *first, lanes w[ORDER], lanes d[ORDER]) {
    lane_index a = __builtin_convertvector(*u, lane_index); /* u > 0: truncation is floor */
    lanes t = *u - __builtin_convertvector(a, lanes), m[ORDER] = {t, 1.0f - t};
#pragma GCC unroll 8
    for (int q = 3; q <= ORDER; q++) {
        if (q == ORDER)
#pragma GCC unroll 8
            for (int j = 0; j < ORDER; j++) d[ORDER - 1 - j] = j ? m[j] - m[j - 1] : m[j];
        const float inverse = 1.0f / (float)(q - 1);
#pragma GCC unroll 8
        for (int j = q - 1; j >= 0; j--) {
            lanes s = (t + (float)j) * m[j];
            if (j) s += ((float)(q - j) - t) * m[j - 1];
            m[j] = s * inverse;
        }
    }
#pragma GCC unroll 8
    for (int j = 0; j < ORDER; j++) w[ORDER - 1 - j] = m[j];
    *first = a - (ORDER - 1);
}

ISA_INLINE void spline_weights_cpu_body(size_t m, const float *x, const float *y, float x0, float y0, float inv_h,
                                        int32_t *cell, float *record) {
    for (size_t p = 0; p < m; p += LANES) {
        size_t some = m - p < LANES ? m - p : LANES;
        lanes u, w[4][ORDER];
        lane_index first[2];
        float at[LANES] = {0}, value[LANES];
        memset(record + p * SPLINE_RECORD, 0, some * SPLINE_RECORD * sizeof *record);
        for (int k = 0; k < 2; k++) {
            for (size_t l = 0; l < LANES; l++) at[l] = l < some ? (k ? y[p + l] : x[p + l]) : 0;
            memcpy(&u, at, sizeof u);
            u = (u - (k ? y0 : x0)) * inv_h + (float)ORDER;
            axis(&u, &first[k], w[2 * k], w[2 * k + 1]);
        }
        for (size_t k = 0; k < 4; k++)
            for (size_t s = 0; s < ORDER; s++) {
                memcpy(value, &w[k][s], sizeof value);
                for (size_t l = 0; l < some; l++) record[(p + l) * SPLINE_RECORD + k * WIDTH + s] = value[l];
            }
        for (size_t l = 0; l < some; l++) cell[2 * (p + l)] = first[0][l], cell[2 * (p + l) + 1] = first[1][l];
    }
}
ISA_FUNCTION(, void, spline_weights_cpu,
             (size_t m, const float *x, const float *y, float x0, float y0, float inv_h, int32_t *cell, float *record),
             (m, x, y, x0, y0, inv_h, cell, record))

ISA_INLINE void spline_spread_cpu_body(size_t m, const uint32_t *who, const int32_t *cell, const float *record,
                                       float *grid, size_t stride) {
    for (size_t k = 0; k < m; k++) {
        size_t p = who[k];
        const float *wx = record + p * SPLINE_RECORD;
        float *g = grid + (size_t)cell[2 * p] * stride + (size_t)cell[2 * p + 1];
        row8 wy, v;
        memcpy(&wy, wx + 2 * WIDTH, sizeof wy);
        for (int r = 0; r < ORDER; r++, g += stride) {
            memcpy(&v, g, sizeof v);
            v += wx[r] * wy;
            memcpy(g, &v, sizeof v);
        }
    }
}
ISA_FUNCTION(, void, spline_spread_cpu,
             (size_t m, const uint32_t *who, const int32_t *cell, const float *record, float *grid, size_t stride),
             (m, who, cell, record, grid, stride))

ISA_INLINE float sum8(const row8 *v) {
    return (((*v)[0] + (*v)[4]) + ((*v)[2] + (*v)[6])) + (((*v)[1] + (*v)[5]) + ((*v)[3] + (*v)[7]));
}

ISA_INLINE void spline_gather_cpu_body(size_t m, const uint32_t *who, const int32_t *cell, const float *record,
                                       const float *grid, size_t stride, float *value, float *gx, float *gy) {
    for (size_t k = 0; k < m; k++) {
        size_t p = who[k];
        const float *wx = record + p * SPLINE_RECORD, *dx = wx + WIDTH;
        const float *g = grid + (size_t)cell[2 * p] * stride + (size_t)cell[2 * p + 1];
        row8 wy, dy, v, f = {0}, fx = {0};
        memcpy(&wy, wx + 2 * WIDTH, sizeof wy);
        memcpy(&dy, wx + 3 * WIDTH, sizeof dy);
        for (int r = 0; r < ORDER; r++, g += stride) {
            memcpy(&v, g, sizeof v);
            f += wx[r] * v;
            fx += dx[r] * v;
        }
        row8 fy = f * dy;
        f *= wy;
        fx *= wy;
        value[p] = sum8(&f);
        gx[p] = sum8(&fx);
        gy[p] = sum8(&fy);
    }
}
ISA_FUNCTION(, void, spline_gather_cpu,
             (size_t m, const uint32_t *who, const int32_t *cell, const float *record, const float *grid, size_t stride,
              float *value, float *gx, float *gy),
             (m, who, cell, record, grid, stride, value, gx, gy))
