/* layernorm_cpu.c - see layernorm.h. Two passes, so that a mean far from zero costs the variance no digits. */
#include "kernels/lm/layernorm.h"

#include <math.h>

#include "kernels/base/isa.h"

ISA_INLINE void layernorm_cpu_body(size_t M, size_t D, const float *x, const float *w, const float *b, float eps,
                                   float *y) {
    for (size_t m = 0; m < M; m++, x += D, y += D) {
        float sum = 0, var = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t d = 0; d < D; d++) sum += x[d];
        float mean = sum / (float)D;
#pragma omp simd reduction(+ : var)
        for (size_t d = 0; d < D; d++) var += (x[d] - mean) * (x[d] - mean);
        float r = 1.0f / sqrtf(var / (float)D + eps);
#pragma omp simd
        for (size_t d = 0; d < D; d++) y[d] = (x[d] - mean) * r;
        if (w) {
#pragma omp simd
            for (size_t d = 0; d < D; d++) y[d] *= w[d];
        }
        if (b) {
#pragma omp simd
            for (size_t d = 0; d < D; d++) y[d] += b[d];
        }
    }
}

ISA_FUNCTION(, void, layernorm_cpu,
             (size_t M, size_t D, const float *x, const float *w, const float *b, float eps, float *y),
             (M, D, x, w, b, eps, y))
