/* repulse_ref.c - see repulse.h. The definition. */
#include "kernels/analysis/repulse.h"

double repulse_ref(size_t n, const float *x, const float *y, double *fx, double *fy) {
    double Z = 0;
    for (size_t i = 0; i < n; i++) {
        fx[i] = fy[i] = 0;
        for (size_t j = 0; j < n; j++) {
            if (j == i) continue;
            double dx = (double)x[i] - x[j], dy = (double)y[i] - y[j], q = 1 / (1 + dx * dx + dy * dy);
            Z += q;
            fx[i] += q * q * dx;
            fy[i] += q * q * dy;
        }
    }
    return Z;
}

double repulse_z_ref(size_t n, const float *x, const float *y) {
    double Z = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) {
            double dx = (double)x[i] - x[j], dy = (double)y[i] - y[j];
            Z += 2 / (1 + dx * dx + dy * dy);
        }
    return Z;
}
