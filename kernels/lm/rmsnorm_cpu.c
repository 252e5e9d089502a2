/* rmsnorm_cpu.c - see rmsnorm.h. */
#include "kernels/lm/rmsnorm.h"

#include <math.h>

#include "kernels/base/isa.h"

ISA_INLINE void rmsnorm_cpu_body(size_t M, size_t D, const float *x, const float *restrict w, float eps, float *y) {
    for (size_t m = 0; m < M; m++, x += D, y += D) {
        float s = 0;
#pragma omp simd reduction(+ : s)
        for (size_t d = 0; d < D; d++) s += x[d] * x[d];
        float r = 1.0f / sqrtf(s / (float)D + eps);
#pragma omp simd
        for (size_t d = 0; d < D; d++) y[d] = x[d] * r * w[d];
    }
}

ISA_FUNCTION(, void, rmsnorm_cpu, (size_t M, size_t D, const float *x, const float *w, float eps, float *y),
             (M, D, x, w, eps, y))
