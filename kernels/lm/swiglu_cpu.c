/* swiglu_cpu.c - see swiglu.h. */
#include "kernels/lm/swiglu.h"

#include "kernels/base/simd.h"

ISA_INLINE void swiglu_cpu_body(size_t n, float *restrict g, const float *restrict u) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) g[i] = g[i] / (1.0f + simd_exp(-g[i])) * u[i];
}

ISA_FUNCTION(, void, swiglu_cpu, (size_t n, float *g, const float *u), (n, g, u))
