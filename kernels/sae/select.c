/* select.c - see select.h. */
#include "kernels/sae/select.h"

#include "kernels/base/isa.h"

#ifdef __x86_64__
#include <immintrin.h>

/* Compressed in registers and stored whole, since the masked store is slow on some processors, and without a branch, since which
 * sixteen numbers hold one above the bound cannot be foreseen. What is stored too much is overwritten next, and stays within n: at
 * most j were appended before. */
ISA_AVX512_CODE static size_t select_avx512(size_t n, const float *v, float low, uint32_t base, uint32_t *index,
                                            float *value) {
    size_t got = 0, j = 0;
    __m512 bound = _mm512_set1_ps(low);
    __m512i at = _mm512_add_epi32(_mm512_set1_epi32((int)base),
                                  _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    for (; j + 16 <= n; j += 16) {
        __m512 x = _mm512_loadu_ps(v + j);
        __mmask16 m = _mm512_cmp_ps_mask(x, bound, _CMP_GT_OQ);
        _mm512_storeu_si512(index + got, _mm512_maskz_compress_epi32(m, at));
        _mm512_storeu_ps(value + got, _mm512_maskz_compress_ps(m, x));
        got += (unsigned)__builtin_popcount(m);
        at = _mm512_add_epi32(at, _mm512_set1_epi32(16));
    }
    for (; j < n; j++)
        if (v[j] > low) index[got] = base + (uint32_t)j, value[got++] = v[j];
    return got;
}
#endif

size_t select_above(size_t n, const float *v, float low, uint32_t base, uint32_t *index, float *value) {
#ifdef __x86_64__
    if (isa_level >= ISA_AVX512) return select_avx512(n, v, low, base, index, value);
#endif
    size_t got = 0;
    for (size_t j = 0; j < n; j++) {
        index[got] = base + (uint32_t)j, value[got] = v[j];
        got += v[j] > low;
    }
    return got;
}
