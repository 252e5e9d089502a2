/* lse_cpu.c - see lse.h. A piece's exponentials are summed in float32 by vectors, pieces in double. */
#include "kernels/lm/lse.h"

#include <math.h>

#include "kernels/base/simd.h"

ISA_INLINE void lse_cpu_body(size_t M, size_t N, const float *x, size_t ldx, float *top, double *sum) {
    for (size_t m = 0; m < M; m++, x += ldx) {
        float before = top[m], most = before, s = 0;
#pragma omp simd reduction(max : most)
        for (size_t n = 0; n < N; n++) most = x[n] > most ? x[n] : most;
#pragma omp simd reduction(+ : s)
        for (size_t n = 0; n < N; n++) s += simd_exp(x[n] - most);
        sum[m] = (sum[m] > 0 ? sum[m] * exp((double)before - (double)most) : sum[m]) + (double)s;
        top[m] = most;
    }
}

ISA_FUNCTION(, void, lse_cpu, (size_t M, size_t N, const float *x, size_t ldx, float *top, double *sum),
             (M, N, x, ldx, top, sum))
