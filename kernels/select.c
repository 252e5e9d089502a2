/* select.c - see select.h. */
#include "kernels/select.h"

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx512f"))) static size_t select_avx512(size_t n, const float *v, const float *low,
                                                               uint32_t base, uint32_t *feat, float *pre) {
    size_t got = 0;
    __m512i index = _mm512_add_epi32(_mm512_set1_epi32((int)base),
                                     _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    for (size_t j = 0; j < n; j += 16) {
        __mmask16 in = n - j < 16 ? (__mmask16)((1u << (n - j)) - 1) : (__mmask16)0xffff;
        __m512 x = _mm512_maskz_loadu_ps(in, v + j), b = _mm512_maskz_loadu_ps(in, low + j);
        __mmask16 m = _mm512_mask_cmp_ps_mask(in, x, b, _CMP_GT_OQ);
        if (m) { /* compress in registers: the masked store to memory is slow on some processors */
            unsigned k = (unsigned)__builtin_popcount(m);
            __mmask16 out = (__mmask16)((1u << k) - 1);
            _mm512_mask_storeu_epi32(feat + got, out, _mm512_maskz_compress_epi32(m, index));
            _mm512_mask_storeu_ps(pre + got, out, _mm512_maskz_compress_ps(m, x));
            got += k;
        }
        index = _mm512_add_epi32(index, _mm512_set1_epi32(16));
    }
    return got;
}
#endif

size_t select_above(size_t n, const float *v, const float *low, uint32_t base, uint32_t *feat, float *pre) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return select_avx512(n, v, low, base, feat, pre);
#endif
    size_t got = 0;
    for (size_t j = 0; j < n; j++) {
        feat[got] = base + (uint32_t)j, pre[got] = v[j];
        got += v[j] > low[j];
    }
    return got;
}
