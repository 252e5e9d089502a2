/* kl_cpu.c - see kl.h. */
#include "kernels/lm/kl.h"

#include "kernels/base/simd.h"

ISA_INLINE void kl_cpu_body(size_t M, size_t N, const float *x, const float *y, size_t ldx, struct kl_row *row) {
    for (size_t m = 0; m < M; m++, x += ldx, y += ldx) {
        struct kl_row *r = &row[m];
        float top = (float)r->top, top_other = (float)r->top_other;
        double sum = 0, cross = 0, sum_other = 0;
#pragma omp simd reduction(max : top, top_other)
        for (size_t n = 0; n < N; n++) {
            top = x[n] > top ? x[n] : top;
            top_other = y[n] > top_other ? y[n] : top_other;
        }
#pragma omp simd reduction(+ : sum, cross, sum_other)
        for (size_t n = 0; n < N; n++) {
            double p = (double)simd_exp(x[n] - top);
            sum += p, cross += p * ((double)x[n] - (double)y[n]), sum_other += (double)simd_exp(y[n] - top_other);
        }
        double keep = r->sum > 0 ? exp(r->top - (double)top) : 1,
               keep_other = r->sum_other > 0 ? exp(r->top_other - (double)top_other) : 1;
        *r = (struct kl_row){(double)top, r->sum * keep + sum, r->cross * keep + cross, (double)top_other,
                             r->sum_other * keep_other + sum_other};
    }
}

ISA_FUNCTION(, void, kl_cpu, (size_t M, size_t N, const float *x, const float *y, size_t ldx, struct kl_row *row),
             (M, N, x, y, ldx, row))
