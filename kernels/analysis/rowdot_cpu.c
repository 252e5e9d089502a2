/* rowdot_cpu.c - see rowdot.h. */
#include "kernels/analysis/rowdot.h"

#include "kernels/base/isa.h"

ISA_INLINE double rowdot_cpu_body(size_t D, const float *x, const double *w) {
    double s[ROWDOT_LANES] = {0};
    size_t d = 0;
    for (; d + ROWDOT_LANES <= D; d += ROWDOT_LANES)
#pragma GCC unroll 32
        for (size_t l = 0; l < ROWDOT_LANES; l++) s[l] += (double)x[d + l] * w[d + l];
    for (size_t l = 0; d + l < D; l++) s[l] += (double)x[d + l] * w[d + l];
    for (size_t half = ROWDOT_LANES / 2; half; half /= 2)
        for (size_t l = 0; l < half; l++) s[l] += s[half + l];
    return s[0];
}
ISA_FUNCTION(, double, rowdot_cpu, (size_t D, const float *x, const double *w), (D, x, w))

ISA_INLINE void rowdot_add_cpu_body(size_t D, double a, const float *x, double *restrict g) {
    for (size_t d = 0; d < D; d++) g[d] += a * (double)x[d];
}
ISA_FUNCTION(, void, rowdot_add_cpu, (size_t D, double a, const float *x, double *restrict g), (D, a, x, g))
