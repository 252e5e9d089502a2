/* attract_ref.c - see attract.h. The definition. */
#include "kernels/analysis/attract.h"

void attract_ref(size_t n, const size_t *row, const int32_t *col, const float *p, const float *xy, double *ax,
                 double *ay) {
    for (size_t i = 0; i < n; i++) {
        ax[i] = ay[i] = 0;
        for (size_t k = row[i]; k < row[i + 1]; k++) {
            size_t j = (size_t)col[k];
            double dx = (double)xy[2 * i] - xy[2 * j], dy = (double)xy[2 * i + 1] - xy[2 * j + 1];
            double w = p[k] / (1 + dx * dx + dy * dy);
            ax[i] += w * dx;
            ay[i] += w * dy;
        }
    }
}
