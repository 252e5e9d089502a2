/* bitmul_cpu.c - see bitmul.h. A word of 64 bits is four masks of 16 lanes. AVX-512 adds under the mask; AVX2 and plain C add the
 * value or +0, which is the same number because a lane that starts at +0 never becomes -0. */
#include "kernels/analysis/bitmul.h"

#include <string.h>

#include "kernels/base/isa.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { LANES = 16, PANEL_WORDS = 64, RUN = 256 };

static inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* ---- gather: lane sums of one feature over n words, added to acc[b][lane] ---- */

static void lanes_plain(size_t n, const uint64_t *row, const float *u, size_t ldu, float acc[BITMUL_B][LANES]) {
    for (size_t w = 0; w < n; w++)
        for (size_t q = 0; q < 4; q++)
            for (size_t b = 0; b < BITMUL_B; b++)
                for (size_t l = 0; l < LANES; l++)
                    acc[b][l] += row[w] >> (16 * q + l) & 1 ? u[b * ldu + 64 * w + 16 * q + l] : 0.0f;
}

#ifdef __x86_64__
ISA_AVX2_CODE static inline __m256 mask_avx2(uint64_t byte) {
    const __m256i sel = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)(byte & 255)), sel), sel));
}

ISA_AVX2_CODE static void lanes_avx2(size_t n, const uint64_t *row, const float *u, size_t ldu,
                                     float acc[BITMUL_B][LANES]) {
    __m256 s[BITMUL_B][2];
#pragma GCC unroll 4
    for (size_t b = 0; b < BITMUL_B; b++)
#pragma GCC unroll 4
        for (size_t h = 0; h < 2; h++) s[b][h] = _mm256_loadu_ps(&acc[b][8 * h]);
    for (size_t w = 0; w < n; w++)
        for (size_t i = 0; i < 8; i++) {
            __m256 m = mask_avx2(row[w] >> (8 * i));
#pragma GCC unroll 4
            for (size_t b = 0; b < BITMUL_B; b++)
                s[b][i & 1] =
                    _mm256_add_ps(s[b][i & 1], _mm256_and_ps(m, _mm256_loadu_ps(u + b * ldu + 64 * w + 8 * i)));
        }
#pragma GCC unroll 4
    for (size_t b = 0; b < BITMUL_B; b++)
#pragma GCC unroll 4
        for (size_t h = 0; h < 2; h++) _mm256_storeu_ps(&acc[b][8 * h], s[b][h]);
}

ISA_AVX512_CODE static void lanes_avx512(size_t n, const uint64_t *row, const float *u, size_t ldu,
                                         float acc[BITMUL_B][LANES]) {
    __m512 s[BITMUL_B];
#pragma GCC unroll 4
    for (size_t b = 0; b < BITMUL_B; b++) s[b] = _mm512_loadu_ps(acc[b]);
    for (size_t w = 0; w < n; w++)
#pragma GCC unroll 4
        for (size_t q = 0; q < 4; q++) {
            __mmask16 m = (__mmask16)(row[w] >> (16 * q));
#pragma GCC unroll 4
            for (size_t b = 0; b < BITMUL_B; b++)
                s[b] = _mm512_mask_add_ps(s[b], m, s[b], _mm512_loadu_ps(u + b * ldu + 64 * w + 16 * q));
        }
#pragma GCC unroll 4
    for (size_t b = 0; b < BITMUL_B; b++) _mm512_storeu_ps(acc[b], s[b]);
}
#endif

void bitmul_gather_cpu(size_t F, size_t W, const uint64_t *bits, size_t ld, const float *u, size_t ldu,
                       double *restrict y) {
    for (size_t f = 0; f < F; f++) {
        double sum[BITMUL_B] = {0};
        for (size_t w = 0; w < W; w += PANEL_WORDS) {
            float acc[BITMUL_B][LANES];
            size_t n = smaller(PANEL_WORDS, W - w);
            const uint64_t *row = bits + f * ld + w;
            memset(acc, 0, sizeof acc);
            ISA_PICK(lanes)(n, row, u + 64 * w, ldu, acc);
            for (size_t b = 0; b < BITMUL_B; b++)
                for (size_t l = 0; l < LANES; l++) sum[b] += (double)acc[b][l];
        }
        memcpy(y + f * BITMUL_B, sum, sizeof sum);
    }
}

/* ---- scatter: sums over n features of one word, acc[b][column] overwritten ---- */

static void word_plain(size_t n, const uint64_t *bits, size_t ld, const float *v, float acc[BITMUL_B][64]) {
    memset(acc, 0, sizeof(float[BITMUL_B][64]));
    for (size_t f = 0; f < n; f++)
        for (size_t b = 0; b < BITMUL_B; b++)
            for (size_t c = 0; c < 64; c++) acc[b][c] += bits[f * ld] >> c & 1 ? v[f * BITMUL_B + b] : 0.0f;
}

#ifdef __x86_64__
ISA_AVX2_CODE static void word_avx2(size_t n, const uint64_t *bits, size_t ld, const float *v,
                                    float acc[BITMUL_B][64]) {
    for (size_t half = 0; half < 4; half++) { /* 16 columns at a time: 2 x 4 sums stay in registers */
        __m256 s[BITMUL_B][2];
#pragma GCC unroll 4
        for (size_t b = 0; b < BITMUL_B; b++) s[b][0] = s[b][1] = _mm256_setzero_ps();
        for (size_t f = 0; f < n; f++) {
            __m256 m0 = mask_avx2(bits[f * ld] >> (16 * half)), m1 = mask_avx2(bits[f * ld] >> (16 * half + 8));
#pragma GCC unroll 4
            for (size_t b = 0; b < BITMUL_B; b++) {
                __m256 x = _mm256_set1_ps(v[f * BITMUL_B + b]);
                s[b][0] = _mm256_add_ps(s[b][0], _mm256_and_ps(m0, x));
                s[b][1] = _mm256_add_ps(s[b][1], _mm256_and_ps(m1, x));
            }
        }
#pragma GCC unroll 4
        for (size_t b = 0; b < BITMUL_B; b++)
            for (size_t h = 0; h < 2; h++) _mm256_storeu_ps(&acc[b][16 * half + 8 * h], s[b][h]);
    }
}

ISA_AVX512_CODE static void word_avx512(size_t n, const uint64_t *bits, size_t ld, const float *v,
                                        float acc[BITMUL_B][64]) {
    __m512 s[BITMUL_B][4];
#pragma GCC unroll 4
    for (size_t b = 0; b < BITMUL_B; b++)
#pragma GCC unroll 4
        for (size_t q = 0; q < 4; q++) s[b][q] = _mm512_setzero_ps();
    for (size_t f = 0; f < n; f++) {
        uint64_t x = bits[f * ld];
#pragma GCC unroll 4
        for (size_t b = 0; b < BITMUL_B; b++) {
            __m512 value = _mm512_set1_ps(v[f * BITMUL_B + b]);
#pragma GCC unroll 4
            for (size_t q = 0; q < 4; q++)
                s[b][q] = _mm512_mask_add_ps(s[b][q], (__mmask16)(x >> (16 * q)), s[b][q], value);
        }
    }
#pragma GCC unroll 4
    for (size_t b = 0; b < BITMUL_B; b++)
#pragma GCC unroll 4
        for (size_t q = 0; q < 4; q++) _mm512_storeu_ps(&acc[b][16 * q], s[b][q]);
}
#endif

void bitmul_scatter_cpu(size_t F, size_t W, const uint64_t *bits, size_t ld, const float *v, double *restrict u,
                        size_t ldu) {
    for (size_t f = 0; f < F; f += RUN)
        for (size_t w = 0; w < W; w++) { /* a run's rows stay in cache while w walks along them */
            float acc[BITMUL_B][64];
            size_t n = smaller(RUN, F - f);
            ISA_PICK(word)(n, bits + f * ld + w, ld, v + f * BITMUL_B, acc);
            for (size_t b = 0; b < BITMUL_B; b++)
                for (size_t c = 0; c < 64; c++) u[b * ldu + 64 * w + c] += (double)acc[b][c];
        }
}
