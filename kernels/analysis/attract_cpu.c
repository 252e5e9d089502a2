/* attract_cpu.c - see attract.h. A point is fetched as one 8-byte element, so that an edge costs one gather, not two.
 */
#include "kernels/analysis/attract.h"

#include "kernels/base/isa.h"

#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { LANES = ATTRACT_LANES, ALONE = 1024 }; /* up to 1024 points, 60 us, one thread is enough */

#pragma GCC diagnostic ignored "-Wpsabi"

typedef float lanes __attribute__((vector_size(64)));

ISA_INLINE void fetch(const int32_t *col, const float *xy, lanes *x, lanes *y) {
    for (int l = 0; l < LANES; l++) {
        const float *at = xy + 2 * (size_t)col[l];
        (*x)[l] = at[0];
        (*y)[l] = at[1];
    }
}

#ifdef __x86_64__
ISA_AVX512_CODE static inline void fetch_avx512(const int32_t *col, const float *xy, lanes *x, lanes *y) {
    __m256i lo = _mm256_loadu_si256((const __m256i *)(const void *)col);
    __m256i hi = _mm256_loadu_si256((const __m256i *)(const void *)(col + 8));
    __m512 a = _mm512_castpd_ps(_mm512_i32gather_pd(lo, xy, 8)), b = _mm512_castpd_ps(_mm512_i32gather_pd(hi, xy, 8));
    const __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    __m512 u = _mm512_permutex2var_ps(a, even, b);
    __m512 v = _mm512_permutex2var_ps(a, _mm512_add_epi32(even, _mm512_set1_epi32(1)), b);
    memcpy(x, &u, sizeof u);
    memcpy(y, &v, sizeof v);
}
#endif

ISA_INLINE float sum(const lanes *v) {
    float s[LANES];
    memcpy(s, v, sizeof s);
    for (int w = LANES / 2; w; w /= 2)
        for (int l = 0; l < w; l++) s[l] += s[l + w];
    return s[0];
}

#define BODY(FETCH)                                                                                                    \
    lanes xi = (lanes){0} + xy[2 * i], yi = (lanes){0} + xy[2 * i + 1], sx = {0}, sy = {0}, x, y, p;                   \
    for (size_t k = row[i]; k < row[i + 1]; k += LANES) {                                                              \
        FETCH(col + k, xy, &x, &y);                                                                                    \
        memcpy(&p, weight + k, sizeof p);                                                                              \
        x = xi - x;                                                                                                    \
        y = yi - y;                                                                                                    \
        p /= x * x + y * y + 1.0f;                                                                                     \
        sx += p * x;                                                                                                   \
        sy += p * y;                                                                                                   \
    }                                                                                                                  \
    *ax = sum(&sx);                                                                                                    \
    *ay = sum(&sy)

static void row_plain(size_t i, const size_t *row, const int32_t *col, const float *weight, const float *xy, float *ax,
                      float *ay) {
    BODY(fetch);
}
#ifdef __x86_64__
ISA_AVX2_CODE static void row_avx2(size_t i, const size_t *row, const int32_t *col, const float *weight,
                                   const float *xy, float *ax, float *ay) {
    BODY(fetch);
}
ISA_AVX512_CODE static void row_avx512(size_t i, const size_t *row, const int32_t *col, const float *weight,
                                       const float *xy, float *ax, float *ay) {
    BODY(fetch_avx512);
}
#endif

void attract_cpu(size_t n, const size_t *row, const int32_t *col, const float *p, const float *xy, float *ax,
                 float *ay) {
    void (*one)(size_t, const size_t *, const int32_t *, const float *, const float *, float *, float *) =
        ISA_PICK(row);
#pragma omp parallel for schedule(static, 64) if (n > ALONE)
    for (size_t i = 0; i < n; i++) one(i, row, col, p, xy, ax + i, ay + i);
}
