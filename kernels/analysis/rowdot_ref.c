/* rowdot_ref.c - see rowdot.h. */
#include "kernels/analysis/rowdot.h"

double rowdot_ref(size_t D, const float *x, const double *w) {
    double s[ROWDOT_LANES] = {0};
    for (size_t d = 0; d < D; d++) s[d % ROWDOT_LANES] += (double)x[d] * w[d];
    for (size_t half = ROWDOT_LANES / 2; half; half /= 2)
        for (size_t l = 0; l < half; l++) s[l] += s[half + l];
    return s[0];
}

void rowdot_add_ref(size_t D, double a, const float *x, double *restrict g) {
    for (size_t d = 0; d < D; d++) g[d] += a * (double)x[d];
}
