/* swiglu_cpu.c - see swiglu.h. */
#include "kernels/lm/swiglu.h"

#include "kernels/base/simd.h"

SIMD_BODY void body(size_t n, float *restrict g, const float *restrict u) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) g[i] = g[i] / (1.0f + simd_exp(-g[i])) * u[i];
}

SIMD_AVX512 static void run_avx512(size_t n, float *g, const float *u) { body(n, g, u); }
SIMD_AVX2 static void run_avx2(size_t n, float *g, const float *u) { body(n, g, u); }
static void run_plain(size_t n, float *g, const float *u) { body(n, g, u); }

void swiglu_cpu(size_t n, float *g, const float *u) { SIMD_CALL(run, n, g, u); }
