/* pairscan_cpu.c - see pairscan.h. After the first tiles nearly no pair is near, so 16 are refused at once. */
#include "kernels/analysis/pairscan.h"

#include "kernels/base/isa.h"

#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#pragma GCC diagnostic ignored "-Wpsabi"

typedef double wide __attribute__((vector_size(64)));
typedef float half __attribute__((vector_size(32)));

#ifdef __x86_64__
ISA_AVX512_CODE static size_t near_avx512(size_t m, const float *g, const float *low_j, const float *cut_j, float low_i,
                                          float cut_i, uint32_t *hit) {
    size_t n = 0;
    __m512 two = _mm512_set1_ps(-2), li = _mm512_set1_ps(low_i), ci = _mm512_set1_ps(cut_i);
    __m512i at = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    for (size_t j = 0; j < m; j += 16) {
        __mmask16 in = (__mmask16)(m - j < 16 ? (1u << (m - j)) - 1 : 0xffff);
        __m512 v = _mm512_mul_ps(two, _mm512_maskz_loadu_ps(in, g + j));
        __mmask16 a = _mm512_cmp_ps_mask(_mm512_add_ps(v, _mm512_maskz_loadu_ps(in, low_j + j)), ci, _CMP_LE_OQ);
        __mmask16 b = _mm512_cmp_ps_mask(_mm512_add_ps(v, li), _mm512_maskz_loadu_ps(in, cut_j + j), _CMP_LE_OQ);
        __mmask16 k = (__mmask16)((a | b) & in);
        if (!k) continue;
        _mm512_mask_compressstoreu_epi32(hit + n, k, _mm512_add_epi32(at, _mm512_set1_epi32((int)j)));
        n += (size_t)__builtin_popcount(k);
    }
    return n;
}

ISA_AVX2_CODE static size_t near_avx2(size_t m, const float *g, const float *low_j, const float *cut_j, float low_i,
                                      float cut_i, uint32_t *hit) {
    size_t n = 0, j = 0;
    __m256 two = _mm256_set1_ps(-2), li = _mm256_set1_ps(low_i), ci = _mm256_set1_ps(cut_i);
    for (; j + 8 <= m; j += 8) {
        __m256 v = _mm256_mul_ps(two, _mm256_loadu_ps(g + j));
        __m256 a = _mm256_cmp_ps(_mm256_add_ps(v, _mm256_loadu_ps(low_j + j)), ci, _CMP_LE_OQ);
        __m256 b = _mm256_cmp_ps(_mm256_add_ps(v, li), _mm256_loadu_ps(cut_j + j), _CMP_LE_OQ);
        for (unsigned k = (unsigned)_mm256_movemask_ps(_mm256_or_ps(a, b)); k; k &= k - 1)
            hit[n++] = (uint32_t)j + (uint32_t)__builtin_ctz(k);
    }
    size_t rest = pairscan_near_ref(m - j, g + j, low_j + j, cut_j + j, low_i, cut_i, hit + n);
    for (size_t k = 0; k < rest; k++) hit[n + k] += (uint32_t)j;
    return n + rest;
}
#endif

#define near_plain pairscan_near_ref
size_t pairscan_near_cpu(size_t m, const float *g, const float *low_j, const float *cut_j, float low_i, float cut_i,
                         uint32_t *hit) {
    return ISA_PICK(near)(m, g, low_j, cut_j, low_i, cut_i, hit);
}

ISA_INLINE void pairscan_below_cpu_body(size_t m, const float *g, const float *s, size_t n_cut, const float *cut,
                                        uint32_t *count) {
    for (size_t c = 0; c < n_cut; c++) {
        uint32_t k = 0;
        float t = cut[c];
#pragma omp simd reduction(+ : k)
        for (size_t j = 0; j < m; j++) k += s[j] - 2 * g[j] < t;
        count[c] += k;
    }
}
ISA_FUNCTION(, void, pairscan_below_cpu,
             (size_t m, const float *g, const float *s, size_t n_cut, const float *cut, uint32_t *count),
             (m, g, s, n_cut, cut, count))

ISA_INLINE double pairscan_distance_cpu_body(size_t D, const float *a, const float *b) {
    wide s = {0};
    size_t d = 0;
    for (; d + 8 <= D; d += 8) {
        half u, v;
        memcpy(&u, a + d, sizeof u);
        memcpy(&v, b + d, sizeof v);
        wide t = __builtin_convertvector(u, wide) - __builtin_convertvector(v, wide);
        s += t * t;
    }
    for (size_t l = 0; d + l < D; l++) {
        double t = (double)a[d + l] - (double)b[d + l];
        s[l] += t * t;
    }
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}
ISA_FUNCTION(, double, pairscan_distance_cpu, (size_t D, const float *a, const float *b), (D, a, b))
