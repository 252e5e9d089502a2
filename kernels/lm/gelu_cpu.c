/* gelu_cpu.c - see gelu.h.
 *
 * With a = |x|, Phi(-a) = e^(-a^2/2) R(a) and x Phi(x) = max(x, 0) - a Phi(-a): no branch, and no cancellation, since
 * a Phi(-a) is at most half of x where x > 0. R(a) = erfcx(a / sqrt 2) / 2 is smooth: w q(w) with w = 1 / (1 + 0.3 a)
 * and q the polynomial of degree 9 that has the least largest relative error for a in [0, 14.6] (2^-28, by Lawson's
 * reweighted least squares); beyond, e^(-a^2/2) is 0
 * (a is cut at 16, so that a^2 stays finite; by its bits, as in simd_exp). a^2 is kept in two floats, since e^s turns
 * an absolute error of s into a relative one. */
#include "kernels/lm/gelu.h"

#include "kernels/base/simd.h"

ISA_INLINE float normal_tail(float a) {
    int32_t bits, far_bits = 0x41800000 /* 16 */;
    memcpy(&bits, &a, sizeof bits);
    bits = bits < far_bits ? bits : far_bits;
    memcpy(&a, &bits, sizeof a);
    float w = 1.0f / __builtin_fmaf(0.3f, a, 1.0f), s = a * a, low = __builtin_fmaf(a, a, -s), q;
    q = __builtin_fmaf(-0.02062496542930603f, w, 0.11244400590658188f);
    q = __builtin_fmaf(q, w, -0.22823402285575867f);
    q = __builtin_fmaf(q, w, 0.19181281328201294f);
    q = __builtin_fmaf(q, w, -0.07944797724485397f);
    q = __builtin_fmaf(q, w, 0.09617054462432861f);
    q = __builtin_fmaf(q, w, 0.07838468998670578f);
    q = __builtin_fmaf(q, w, 0.11023654043674469f);
    q = __builtin_fmaf(q, w, 0.11957167088985443f);
    q = __builtin_fmaf(q, w, 0.11968670040369034f);
    return simd_exp(-0.5f * s) * __builtin_fmaf(-0.5f, low, 1.0f) * (w * q);
}

ISA_INLINE void gelu_cpu_body(size_t n, float *x) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        float a = __builtin_fabsf(x[i]);
        x[i] = 0.5f * x[i] + 0.5f * a - a * normal_tail(a);
    }
}

ISA_FUNCTION(, void, gelu_cpu, (size_t n, float *x), (n, x))
