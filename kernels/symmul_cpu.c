/* symmul_cpu.c - see symmul.h. Four rows of the tile at a time: each vector register of the tile serves four dot products and four
 * updates of yc. */
#include "kernels/symmul.h"

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
__attribute__((target("avx2,fma"))) static float sum_avx2(__m256 x) {
    float l[8], s = 0;
    _mm256_storeu_ps(l, x);
    for (int i = 0; i < 8; i++) s += l[i];
    return s;
}

__attribute__((target("avx2,fma"))) static void tile_avx2(const float *a, const float *xr, const float *xc,
                                                          float *restrict yr, float *restrict yc) {
    memset(yc, 0, sizeof(float) * B * T);
    for (size_t i = 0; i < T; i += 2) {
        __m256 s[2][B];
        for (size_t r = 0; r < 2; r++)
            for (size_t b = 0; b < B; b++) s[r][b] = _mm256_setzero_ps();
        for (size_t j = 0; j < T; j += 8) {
            __m256 a0 = _mm256_loadu_ps(a + i * T + j), a1 = _mm256_loadu_ps(a + (i + 1) * T + j);
            for (size_t b = 0; b < B; b++) {
                __m256 x = _mm256_loadu_ps(xc + b * T + j), y = _mm256_loadu_ps(yc + b * T + j);
                s[0][b] = _mm256_fmadd_ps(a0, x, s[0][b]);
                s[1][b] = _mm256_fmadd_ps(a1, x, s[1][b]);
                y = _mm256_fmadd_ps(a0, _mm256_set1_ps(xr[b * T + i]), y);
                y = _mm256_fmadd_ps(a1, _mm256_set1_ps(xr[b * T + i + 1]), y);
                _mm256_storeu_ps(yc + b * T + j, y);
            }
        }
        for (size_t r = 0; r < 2; r++)
            for (size_t b = 0; b < B; b++) yr[b * T + i + r] = sum_avx2(s[r][b]);
    }
}

__attribute__((target("avx512f"))) static void tile_avx512(const float *a, const float *xr, const float *xc,
                                                           float *restrict yr, float *restrict yc) {
    memset(yc, 0, sizeof(float) * B * T);
    for (size_t i = 0; i < T; i += 4) {
        __m512 s[4][B];
        for (size_t r = 0; r < 4; r++)
            for (size_t b = 0; b < B; b++) s[r][b] = _mm512_setzero_ps();
        for (size_t j = 0; j < T; j += 16) {
            __m512 m[4];
            for (size_t r = 0; r < 4; r++) m[r] = _mm512_loadu_ps(a + (i + r) * T + j);
            for (size_t b = 0; b < B; b++) {
                __m512 x = _mm512_loadu_ps(xc + b * T + j), y = _mm512_loadu_ps(yc + b * T + j);
                for (size_t r = 0; r < 4; r++) {
                    s[r][b] = _mm512_fmadd_ps(m[r], x, s[r][b]);
                    y = _mm512_fmadd_ps(m[r], _mm512_set1_ps(xr[b * T + i + r]), y);
                }
                _mm512_storeu_ps(yc + b * T + j, y);
            }
        }
        for (size_t r = 0; r < 4; r++)
            for (size_t b = 0; b < B; b++) yr[b * T + i + r] = _mm512_reduce_add_ps(s[r][b]);
    }
}

#endif

void symmul_tile_cpu(const float *a, const float *xr, const float *xc, float *restrict yr, float *restrict yc) {
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f")) {
        tile_avx512(a, xr, xc, yr, yc);
        return;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        tile_avx2(a, xr, xc, yr, yc);
        return;
    }
#endif
    tile_plain(a, xr, xc, yr, yc);
}
