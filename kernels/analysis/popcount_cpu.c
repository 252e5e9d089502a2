/* popcount_cpu.c - see popcount.h. A register tile of 4 x 4 rows (AVX-512) or 2 x 2 (AVX2), so that each load serves four or two
 * products; rows left over go through the same code one by one. */
#include "kernels/analysis/popcount.h"

#include "kernels/base/isa.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

static inline uint64_t popcount64(uint64_t x) {
    x -= (x >> 1) & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + ((x >> 2) & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (x * 0x0101010101010101u) >> 56;
}

uint64_t popcount_row(size_t W, const uint64_t *a) {
    uint64_t n = 0;
    for (size_t w = 0; w < W; w++) n += popcount64(a[w]);
    return n;
}

static void and_plain(size_t M, size_t N, size_t W, const uint64_t *a, size_t lda, const uint64_t *b, size_t ldb,
                      uint32_t *restrict out, size_t ldo) {
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++) {
            const uint64_t *p = a + i * lda, *q = b + j * ldb;
            uint64_t n = 0;
            for (size_t w = 0; w < W; w++) n += popcount64(p[w] & q[w]);
            out[i * ldo + j] = (uint32_t)n;
        }
}

#ifdef __x86_64__
/* Bits of each of the four 64-bit lanes: nibbles through a table of 16 (Mula, Kurz, Lemire 2018, "Faster population counts
 * using AVX2 instructions"). */
ISA_AVX2_CODE static inline __m256i count_avx2(__m256i x) {
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2,
                                           2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15);
    __m256i lo = _mm256_shuffle_epi8(table, _mm256_and_si256(x, low));
    __m256i hi = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(x, 4), low));
    return _mm256_sad_epu8(_mm256_add_epi8(lo, hi), _mm256_setzero_si256());
}

ISA_AVX2_CODE static inline uint32_t sum_avx2(__m256i x) {
    __m128i s = _mm_add_epi64(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    return (uint32_t)((uint64_t)_mm_cvtsi128_si64(s) + (uint64_t)_mm_extract_epi64(s, 1));
}

ISA_AVX2_CODE static void and_avx2_one(size_t W, const uint64_t *p, const uint64_t *q, uint32_t *out) {
    __m256i s = _mm256_setzero_si256();
    size_t w = 0;
    for (; w + 4 <= W; w += 4)
        s = _mm256_add_epi64(s, count_avx2(_mm256_and_si256(_mm256_loadu_si256((const __m256i *)(p + w)),
                                                            _mm256_loadu_si256((const __m256i *)(q + w)))));
    uint32_t n = sum_avx2(s);
    for (; w < W; w++) n += (uint32_t)popcount64(p[w] & q[w]);
    *out = n;
}

ISA_AVX2_CODE static void and_avx2(size_t M, size_t N, size_t W, const uint64_t *a, size_t lda, const uint64_t *b,
                                   size_t ldb, uint32_t *restrict out, size_t ldo) {
    size_t M2 = M & ~(size_t)1, N2 = N & ~(size_t)1, V = W & ~(size_t)3;
    for (size_t i = 0; i < M2; i += 2)
        for (size_t j = 0; j < N2; j += 2) {
            const uint64_t *p = a + i * lda, *q = b + j * ldb;
            __m256i s[2][2] = {{_mm256_setzero_si256(), _mm256_setzero_si256()},
                               {_mm256_setzero_si256(), _mm256_setzero_si256()}};
            for (size_t w = 0; w < V; w += 4) {
                __m256i x0 = _mm256_loadu_si256((const __m256i *)(p + w));
                __m256i x1 = _mm256_loadu_si256((const __m256i *)(p + lda + w));
                __m256i y0 = _mm256_loadu_si256((const __m256i *)(q + w));
                __m256i y1 = _mm256_loadu_si256((const __m256i *)(q + ldb + w));
                s[0][0] = _mm256_add_epi64(s[0][0], count_avx2(_mm256_and_si256(x0, y0)));
                s[0][1] = _mm256_add_epi64(s[0][1], count_avx2(_mm256_and_si256(x0, y1)));
                s[1][0] = _mm256_add_epi64(s[1][0], count_avx2(_mm256_and_si256(x1, y0)));
                s[1][1] = _mm256_add_epi64(s[1][1], count_avx2(_mm256_and_si256(x1, y1)));
            }
            for (size_t x = 0; x < 2; x++)
                for (size_t y = 0; y < 2; y++) {
                    uint64_t n = sum_avx2(s[x][y]);
                    for (size_t w = V; w < W; w++) n += popcount64(p[x * lda + w] & q[y * ldb + w]);
                    out[(i + x) * ldo + j + y] = (uint32_t)n;
                }
        }
    for (size_t i = 0; i < M; i++)
        for (size_t j = i < M2 ? N2 : 0; j < N; j++) and_avx2_one(W, a + i * lda, b + j * ldb, &out[i * ldo + j]);
}

ISA_VPOPCNT_CODE static void and_vpopcnt_one(size_t W, const uint64_t *p, const uint64_t *q, uint32_t *out) {
    __m512i s = _mm512_setzero_si512();
    for (size_t w = 0; w < W; w += 8) {
        __mmask8 m = (__mmask8)(W - w >= 8 ? 0xff : (1u << (W - w)) - 1);
        s = _mm512_add_epi64(s, _mm512_popcnt_epi64(_mm512_and_si512(_mm512_maskz_loadu_epi64(m, p + w),
                                                                     _mm512_maskz_loadu_epi64(m, q + w))));
    }
    *out = (uint32_t)_mm512_reduce_add_epi64(s);
}

ISA_VPOPCNT_CODE static void and_vpopcnt_4x4(size_t W, const uint64_t *p, size_t lda, const uint64_t *q, size_t ldb,
                                             uint32_t *restrict out, size_t ldo) {
    __m512i s[4][4];
#pragma GCC unroll 4
    for (int x = 0; x < 4; x++)
#pragma GCC unroll 4
        for (int y = 0; y < 4; y++) s[x][y] = _mm512_setzero_si512();
    for (size_t w = 0; w < W; w += 8) {
        __mmask8 m = (__mmask8)(W - w >= 8 ? 0xff : (1u << (W - w)) - 1);
        __m512i v[4];
#pragma GCC unroll 4
        for (size_t y = 0; y < 4; y++) v[y] = _mm512_maskz_loadu_epi64(m, q + y * ldb + w);
#pragma GCC unroll 4
        for (size_t x = 0; x < 4; x++) {
            __m512i r = _mm512_maskz_loadu_epi64(m, p + x * lda + w);
#pragma GCC unroll 4
            for (int y = 0; y < 4; y++)
                s[x][y] = _mm512_add_epi64(s[x][y], _mm512_popcnt_epi64(_mm512_and_si512(r, v[y])));
        }
    }
#pragma GCC unroll 4
    for (size_t x = 0; x < 4; x++)
#pragma GCC unroll 4
        for (size_t y = 0; y < 4; y++) out[x * ldo + y] = (uint32_t)_mm512_reduce_add_epi64(s[x][y]);
}

ISA_VPOPCNT_CODE static void and_vpopcnt(size_t M, size_t N, size_t W, const uint64_t *a, size_t lda, const uint64_t *b,
                                         size_t ldb, uint32_t *restrict out, size_t ldo) {
    size_t M4 = M & ~(size_t)3, N4 = N & ~(size_t)3;
    for (size_t i = 0; i < M4; i += 4)
        for (size_t j = 0; j < N4; j += 4)
            and_vpopcnt_4x4(W, a + i * lda, lda, b + j * ldb, ldb, out + i * ldo + j, ldo);
    for (size_t i = 0; i < M; i++)
        for (size_t j = i < M4 ? N4 : 0; j < N; j++) and_vpopcnt_one(W, a + i * lda, b + j * ldb, &out[i * ldo + j]);
}
#define and_avx512 (isa_level >= ISA_VPOPCNT ? and_vpopcnt : and_avx2)
#endif

void popcount_and_cpu(size_t M, size_t N, size_t W, const uint64_t *a, size_t lda, const uint64_t *b, size_t ldb,
                      uint32_t *restrict out, size_t ldo) {
    ISA_PICK (and)(M, N, W, a, lda, b, ldb, out, ldo);
}
