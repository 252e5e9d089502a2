/* symmul_cpu.c - see symmul.h. Two passes over a tile: dot products of its rows with xc, which brings it from memory into the
 * second-level cache, then sums of its rows into yc, which stay in registers, 64 (AVX2: 16) columns at a time. */
#include "kernels/analysis/symmul.h"

#include "kernels/base/isa.h"

#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { T = SYMMUL_T, B = SYMMUL_B };

static void tile_plain(const float *a, const float *xr, const float *xc, float *restrict yr, float *restrict yc) {
    memset(yc, 0, sizeof(float) * B * T);
    for (size_t i = 0; i < T; i++)
        for (size_t b = 0; b < B; b++) {
            float s = 0, x = xr[b * T + i];
            for (size_t j = 0; j < T; j++) {
                s += a[i * T + j] * xc[b * T + j];
                yc[b * T + j] += a[i * T + j] * x;
            }
            yr[b * T + i] = s;
        }
}

#ifdef __x86_64__
ISA_AVX2_CODE static float sum_avx2(__m256 x) {
    float l[8], s = 0;
    _mm256_storeu_ps(l, x);
    for (int i = 0; i < 8; i++) s += l[i];
    return s;
}

ISA_AVX2_CODE static void rows_avx2(const float *a, const float *xc, float *restrict yr) {
    for (size_t i = 0; i < T; i += 2) {
        __m256 s[2][B];
#pragma GCC unroll 4
        for (size_t r = 0; r < 2; r++)
#pragma GCC unroll 4
            for (size_t b = 0; b < B; b++) s[r][b] = _mm256_setzero_ps();
        for (size_t j = 0; j < T; j += 8) {
            __m256 a0 = _mm256_loadu_ps(a + i * T + j), a1 = _mm256_loadu_ps(a + (i + 1) * T + j);
#pragma GCC unroll 4
            for (size_t b = 0; b < B; b++) {
                __m256 x = _mm256_loadu_ps(xc + b * T + j);
                s[0][b] = _mm256_fmadd_ps(a0, x, s[0][b]);
                s[1][b] = _mm256_fmadd_ps(a1, x, s[1][b]);
            }
        }
#pragma GCC unroll 4
        for (size_t r = 0; r < 2; r++)
#pragma GCC unroll 4
            for (size_t b = 0; b < B; b++) yr[b * T + i + r] = sum_avx2(s[r][b]);
    }
}

ISA_AVX2_CODE static void tile_avx2(const float *a, const float *xr, const float *xc, float *restrict yr,
                                    float *restrict yc) {
    rows_avx2(a, xc, yr);
    for (size_t j = 0; j < T; j += 16) {
        __m256 y[2][B];
#pragma GCC unroll 4
        for (size_t k = 0; k < 2; k++)
#pragma GCC unroll 4
            for (size_t b = 0; b < B; b++) y[k][b] = _mm256_setzero_ps();
        for (size_t i = 0; i < T; i++) {
            __m256 a0 = _mm256_loadu_ps(a + i * T + j), a1 = _mm256_loadu_ps(a + i * T + j + 8);
#pragma GCC unroll 4
            for (size_t b = 0; b < B; b++) {
                __m256 x = _mm256_set1_ps(xr[b * T + i]);
                y[0][b] = _mm256_fmadd_ps(a0, x, y[0][b]);
                y[1][b] = _mm256_fmadd_ps(a1, x, y[1][b]);
            }
        }
#pragma GCC unroll 4
        for (size_t k = 0; k < 2; k++)
#pragma GCC unroll 4
            for (size_t b = 0; b < B; b++) _mm256_storeu_ps(yc + b * T + j + 8 * k, y[k][b]);
    }
}

ISA_AVX512_CODE static void rows_avx512(const float *a, const float *xc, float *restrict yr) {
    for (size_t i = 0; i < T; i += 4) {
        __m512 s[4][B];
#pragma GCC unroll 4
        for (size_t r = 0; r < 4; r++)
#pragma GCC unroll 4
            for (size_t b = 0; b < B; b++) s[r][b] = _mm512_setzero_ps();
        for (size_t j = 0; j < T; j += 16) {
            __m512 m[4];
#pragma GCC unroll 4
            for (size_t r = 0; r < 4; r++) m[r] = _mm512_loadu_ps(a + (i + r) * T + j);
#pragma GCC unroll 4
            for (size_t b = 0; b < B; b++) {
                __m512 x = _mm512_loadu_ps(xc + b * T + j);
#pragma GCC unroll 4
                for (size_t r = 0; r < 4; r++) s[r][b] = _mm512_fmadd_ps(m[r], x, s[r][b]);
            }
        }
#pragma GCC unroll 4
        for (size_t r = 0; r < 4; r++)
#pragma GCC unroll 4
            for (size_t b = 0; b < B; b++) yr[b * T + i + r] = _mm512_reduce_add_ps(s[r][b]);
    }
}

ISA_AVX512_CODE static void tile_avx512(const float *a, const float *xr, const float *xc, float *restrict yr,
                                        float *restrict yc) {
    rows_avx512(a, xc, yr);
    for (size_t j = 0; j < T; j += 64) {
        __m512 y[4][B];
#pragma GCC unroll 4
        for (size_t k = 0; k < 4; k++)
#pragma GCC unroll 4
            for (size_t b = 0; b < B; b++) y[k][b] = _mm512_setzero_ps();
        for (size_t i = 0; i < T; i++) {
            __m512 m[4];
#pragma GCC unroll 4
            for (size_t k = 0; k < 4; k++) m[k] = _mm512_loadu_ps(a + i * T + j + 16 * k);
#pragma GCC unroll 4
            for (size_t b = 0; b < B; b++) {
                __m512 x = _mm512_set1_ps(xr[b * T + i]);
#pragma GCC unroll 4
                for (size_t k = 0; k < 4; k++) y[k][b] = _mm512_fmadd_ps(m[k], x, y[k][b]);
            }
        }
#pragma GCC unroll 4
        for (size_t k = 0; k < 4; k++)
#pragma GCC unroll 4
            for (size_t b = 0; b < B; b++) _mm512_storeu_ps(yc + b * T + j + 16 * k, y[k][b]);
    }
}

#endif

void symmul_tile_cpu(const float *a, const float *xr, const float *xc, float *restrict yr, float *restrict yc) {
    ISA_PICK(tile)(a, xr, xc, yr, yc);
}
