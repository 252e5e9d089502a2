/* simd.h - functions that inline into loops which isa.h compiles: the exponential. Tests: tests/test_lm_kernels.c */
#ifndef SAEMILL_SIMD_H
#define SAEMILL_SIMD_H

#include <stdint.h>
#include <string.h>

#include "kernels/base/isa.h"

/* e^x within 1.01 ulp of the true value (2^-149 where the result is subnormal): largest error over all 2^32 floats.
 * x = n ln 2 + r, |r| <= ln 2 / 2, n by rounding; e^r by the degree-7 polynomial of Cephes' expf (S. Moshier); 2^n in
 * two factors, so that results down to the smallest subnormal and up to FLT_MAX come out. Below -104: 0; above 88.73:
 * +Inf; NaN stays NaN. The range is cut by integer minimum on the bits of |x|: comparisons of floats would become
 * branches, and `omp simd` loops that inline this must have none. */
ISA_INLINE float simd_exp(float x) {
    const float shift = 0x1.8p23f; /* adding it rounds to an integer, kept in the low bits */
    const int32_t shift_bits = 0x4b400000, inf_bits = 0x7f800000, far_bits = 0x42d00000 /* 104 */;
    float t, r, p, lo, hi, y;
    int32_t n, half, bits, size, nan;
    memcpy(&bits, &x, sizeof bits);
    size = bits & INT32_MAX;
    nan = (inf_bits - (size > inf_bits ? size : inf_bits)) >> 31; /* all ones for NaN, else 0 */
    bits = (bits & INT32_MIN) | (size < far_bits ? size : far_bits);
    memcpy(&x, &bits, sizeof x);
    t = x * 1.44269504088896341f + shift;
    memcpy(&n, &t, sizeof n);
    n -= shift_bits;
    t -= shift;
    r = __builtin_fmaf(t, -0.693359375f, x);
    r = __builtin_fmaf(t, 2.12194440e-4f, r);
    p = __builtin_fmaf(1.9875691500e-4f, r, 1.3981999507e-3f);
    p = __builtin_fmaf(p, r, 8.3334519073e-3f);
    p = __builtin_fmaf(p, r, 4.1665795894e-2f);
    p = __builtin_fmaf(p, r, 1.6666665459e-1f);
    p = __builtin_fmaf(p, r, 5.0000001201e-1f);
    p = __builtin_fmaf(p, r * r, r) + 1.0f;
    half = n >> 1;
    bits = (int32_t)((uint32_t)(half + 127) << 23);
    memcpy(&lo, &bits, sizeof lo);
    bits = (int32_t)((uint32_t)(n - half + 127) << 23);
    memcpy(&hi, &bits, sizeof hi);
    y = p * lo * hi;
    memcpy(&bits, &y, sizeof bits);
    bits |= nan & 0x7fc00000;
    memcpy(&y, &bits, sizeof y);
    return y;
}

#endif
