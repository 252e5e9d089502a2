/* rmsnorm_ref.c - see rmsnorm.h. */
#include "kernels/lm/rmsnorm.h"

#include <math.h>

void rmsnorm_ref(size_t M, size_t D, const float *x, const float *w, float eps, float *y) {
    for (size_t m = 0; m < M; m++, x += D, y += D) {
        double s = 0;
        for (size_t d = 0; d < D; d++) s += (double)x[d] * (double)x[d];
        double r = 1 / sqrt(s / (double)D + (double)eps);
        for (size_t d = 0; d < D; d++) y[d] = (float)((double)x[d] * r * (double)w[d]);
    }
}
