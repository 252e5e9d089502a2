/* layernorm_ref.c - see layernorm.h. */
#include "kernels/lm/layernorm.h"

#include <math.h>

void layernorm_ref(size_t M, size_t D, const float *x, const float *w, const float *b, float eps, float *y) {
    for (size_t m = 0; m < M; m++, x += D, y += D) {
        double mean = 0, var = 0;
        for (size_t d = 0; d < D; d++) mean += (double)x[d];
        mean /= (double)D;
        for (size_t d = 0; d < D; d++) var += ((double)x[d] - mean) * ((double)x[d] - mean);
        double r = 1 / sqrt(var / (double)D + (double)eps);
        for (size_t d = 0; d < D; d++)
            y[d] = (float)(((double)x[d] - mean) * r * (w ? (double)w[d] : 1) + (b ? (double)b[d] : 0));
    }
}
