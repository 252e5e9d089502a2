/* linear_cpu.c - see linear.h.
 *
 * The accumulators of a tile of rows x 32 outputs stay in registers over the whole K block: with AVX-512, 12 rows x 2
 * registers leave room for two of weights and one broadcast, so a step of k is 24 fused multiply-adds on 14 loads. The
 * K block (KC) keeps a panel in the second-level cache for matrices of any width; between blocks the chain waits in y,
 * exactly. Fewer rows use a smaller tile with the same chain per element. */
#include "kernels/base/linear.h"

#include <string.h>

#include "kernels/base/isa.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { MC = 192, KC = 1024 };

/* One tile: d[r,0..31] = init[r,0..31] + sum_k x[r,k] w[k,0..31]; ldi = 0 gives all rows the same start. */
struct tile {
    size_t K;
    const float *x;
    size_t ldx;
    const float *w, *init;
    size_t ldi;
    float *d;
    size_t ldd;
};

#ifdef __x86_64__
ISA_AVX512_CODE ISA_INLINE void tile_avx512(const struct tile *t, const size_t R) {
    __m512 a[12], b[12];
    const float *x = t->x, *w = t->w;
    size_t ldx = t->ldx;
#pragma GCC unroll 12
    for (size_t r = 0; r < R; r++) {
        a[r] = _mm512_loadu_ps(t->init + r * t->ldi);
        b[r] = _mm512_loadu_ps(t->init + r * t->ldi + 16);
    }
    for (size_t k = 0; k < t->K; k++) {
        __m512 w0 = _mm512_loadu_ps(w + k * LINEAR_PANEL), w1 = _mm512_loadu_ps(w + k * LINEAR_PANEL + 16);
#pragma GCC unroll 12
        for (size_t r = 0; r < R; r++) {
            __m512 v = _mm512_set1_ps(x[r * ldx + k]);
            a[r] = _mm512_fmadd_ps(v, w0, a[r]);
            b[r] = _mm512_fmadd_ps(v, w1, b[r]);
        }
    }
#pragma GCC unroll 12
    for (size_t r = 0; r < R; r++) {
        _mm512_storeu_ps(t->d + r * t->ldd, a[r]);
        _mm512_storeu_ps(t->d + r * t->ldd + 16, b[r]);
    }
}

ISA_AVX512_CODE static size_t step_avx512(const struct tile *t, size_t rows) {
    if (rows >= 12) return tile_avx512(t, 12), 12;
    if (rows >= 8) return tile_avx512(t, 8), 8;
    if (rows >= 4) return tile_avx512(t, 4), 4;
    if (rows >= 2) return tile_avx512(t, 2), 2;
    return tile_avx512(t, 1), 1;
}

/* 16 registers: 6 rows x 16 outputs, so a panel is done in two halves. */
ISA_AVX2_CODE ISA_INLINE void tile_avx2(const struct tile *t, size_t half, const size_t R) {
    __m256 a[6], b[6];
    const float *x = t->x, *w = t->w + half;
    size_t ldx = t->ldx;
#pragma GCC unroll 6
    for (size_t r = 0; r < R; r++) {
        a[r] = _mm256_loadu_ps(t->init + r * t->ldi + half);
        b[r] = _mm256_loadu_ps(t->init + r * t->ldi + half + 8);
    }
    for (size_t k = 0; k < t->K; k++) {
        __m256 w0 = _mm256_loadu_ps(w + k * LINEAR_PANEL), w1 = _mm256_loadu_ps(w + k * LINEAR_PANEL + 8);
#pragma GCC unroll 6
        for (size_t r = 0; r < R; r++) {
            __m256 v = _mm256_set1_ps(x[r * ldx + k]);
            a[r] = _mm256_fmadd_ps(v, w0, a[r]);
            b[r] = _mm256_fmadd_ps(v, w1, b[r]);
        }
    }
#pragma GCC unroll 6
    for (size_t r = 0; r < R; r++) {
        _mm256_storeu_ps(t->d + r * t->ldd + half, a[r]);
        _mm256_storeu_ps(t->d + r * t->ldd + half + 8, b[r]);
    }
}

ISA_AVX2_CODE static size_t step_avx2(const struct tile *t, size_t rows) {
    size_t done = rows >= 6 ? 6 : rows >= 2 ? 2 : 1;
    for (size_t half = 0; half < LINEAR_PANEL; half += 16) {
        if (done == 6)
            tile_avx2(t, half, 6);
        else if (done == 2)
            tile_avx2(t, half, 2);
        else
            tile_avx2(t, half, 1);
    }
    return done;
}
#endif

/* Any processor: one row, without fused operations. */
static size_t step_plain(const struct tile *t, size_t rows) {
    (void)rows;
    float a[LINEAR_PANEL];
    memcpy(a, t->init, sizeof a);
    for (size_t k = 0; k < t->K; k++) {
        float v = t->x[k];
#pragma omp simd
        for (int j = 0; j < LINEAR_PANEL; j++) a[j] += v * t->w[k * LINEAR_PANEL + (size_t)j];
    }
    memcpy(t->d, a, sizeof a);
    return 1;
}

/* All rows against one panel of n <= 32 outputs. A panel that is not whole goes through an edge buffer, so that nothing
 * beyond y's columns is read or written. */
static void panel_rows(size_t M, size_t n, size_t K, const float *x, size_t ldx, const float *w, const float *start,
                       float *y, size_t ldy) {
    float edge[12 * LINEAR_PANEL];
    for (size_t m = 0; m < M;) {
        struct tile t = {K, x + m * ldx, ldx, w, start, 0, y + m * ldy, ldy};
        size_t rows = M - m < 12 ? M - m : 12;
        if (!start) t.init = t.d, t.ldi = ldy;
        if (n == LINEAR_PANEL) {
            m += ISA_PICK(step)(&t, rows);
            continue;
        }
        t.d = edge, t.ldd = LINEAR_PANEL;
        if (!start) {
            memset(edge, 0, sizeof edge);
            for (size_t r = 0; r < rows; r++) memcpy(edge + r * LINEAR_PANEL, y + (m + r) * ldy, n * sizeof *y);
            t.init = edge, t.ldi = LINEAR_PANEL;
        }
        rows = ISA_PICK(step)(&t, rows);
        for (size_t r = 0; r < rows; r++) memcpy(y + (m + r) * ldy, edge + r * LINEAR_PANEL, n * sizeof *y);
        m += rows;
    }
}

/* `add`: the chains go on from what is in y, and there is no bias. */
static void product(size_t M, size_t N, size_t K, const float *x, size_t ldx, const float *packed, size_t panel,
                    const float *bias, bool add, float *y, size_t ldy) {
    for (size_t m0 = 0; m0 < M; m0 += MC) {
        size_t m = M - m0 < MC ? M - m0 : MC, k0 = 0;
        do {
            size_t k = K - k0 < KC ? K - k0 : KC;
            for (size_t n0 = 0; n0 < N; n0 += LINEAR_PANEL) {
                float start[LINEAR_PANEL] = {0};
                size_t n = N - n0 < LINEAR_PANEL ? N - n0 : LINEAR_PANEL;
                if (bias) memcpy(start, bias + n0, n * sizeof *bias);
                panel_rows(m, n, k, x + m0 * ldx + k0, ldx, packed + n0 / LINEAR_PANEL * panel + k0 * LINEAR_PANEL,
                           k0 || add ? NULL : start, y + m0 * ldy + n0, ldy);
            }
            k0 += k;
        } while (k0 < K);
    }
}

void linear_cpu(size_t M, size_t N, size_t K, const float *x, size_t ldx, const float *packed, size_t panel,
                const float *bias, float *y, size_t ldy) {
    product(M, N, K, x, ldx, packed, panel, bias, false, y, ldy);
}

void linear_add_cpu(size_t M, size_t N, size_t K, const float *x, size_t ldx, const float *packed, size_t panel,
                    float *y, size_t ldy) {
    product(M, N, K, x, ldx, packed, panel, NULL, true, y, ldy);
}
