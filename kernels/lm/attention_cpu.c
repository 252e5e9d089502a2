/* attention_cpu.c - see attention.h.
 *
 * Keys and values of a group are packed once as the weights of linear.h and serve all query heads of the group. Queries
 * go in blocks of QB rows against the keys up to the block's last row: scores, softmax in place, times values. Scores
 * above the diagonal are computed for at most QB-1 keys a row and replaced by zeros. The division by the softmax's sum
 * waits until after the product with V. */
#include "kernels/lm/attention.h"

#include <math.h>
#include <stdint.h>

#include "kernels/base/linear.h"
#include "kernels/base/simd.h"

enum { QB = 48 };

static size_t whole_lines(size_t n) { return (n + 15) / 16 * 16; } /* pieces of scratch start at 64-byte lines */

size_t attention_work_bytes(size_t T, size_t Dh) {
    size_t t = linear_padded(T), d = linear_padded(Dh);
    if (t < T || d < Dh || t > SIZE_MAX / 16 / (2 * d + QB + 4)) return SIZE_MAX;
    return (whole_lines(t * Dh) + whole_lines(d * T) + QB * t + QB) * sizeof(float) + T * sizeof(double);
}

/* Unnormalised softmax in place: s[j] := e^(scale (s[j] - max)) for j < n, zeros up to `end`. Returns the sum. Whole
 * vectors are worked on, since a scalar tail of exponentials costs as much as ten vectors: -Inf beyond n becomes 0. s
 * has room for whole vectors. */
ISA_INLINE float softmax(float *s, size_t n, size_t end, float scale) {
    float top = -INFINITY, sum = 0;
    size_t whole = (n + 15) / 16 * 16;
    for (size_t j = n; j < whole; j++) s[j] = -INFINITY;
    for (size_t j = whole; j < end; j++) s[j] = 0;
#pragma omp simd reduction(max : top)
    for (size_t j = 0; j < whole; j++) top = s[j] > top ? s[j] : top;
#pragma omp simd reduction(+ : sum)
    for (size_t j = 0; j < whole; j++) {
        float p = simd_exp((s[j] - top) * scale);
        s[j] = p;
        sum += p;
    }
    return sum;
}

struct block {
    float *s;                     /* [rows, lds] scores, then probabilities */
    size_t rows, lds, first, end; /* query rows first .. first+rows-1 = end-1, keys 0 .. end-1 */
    float scale, *inverse;        /* [rows] := 1 / sum */
};

ISA_INLINE void softmax_rows_body(const struct block *b) {
    for (size_t r = 0; r < b->rows; r++)
        b->inverse[r] = 1.0f / softmax(b->s + r * b->lds, b->first + r + 1, b->end, b->scale);
}

ISA_FUNCTION(static, void, softmax_rows, (const struct block *b), (b))

void attention_cpu(const struct attention *a, float *out, size_t ldo, void *work) {
    size_t T = a->T, Dh = a->Dh, lds = linear_padded(T);
    float *keys = work, *values = keys + whole_lines(lds * Dh), *s = values + whole_lines(linear_padded(Dh) * T),
          *inverse = s + QB * lds;
    for (size_t h = 0; h < a->H; h++) {
        size_t per = a->H / a->G, g = h / per;
        if (h % per == 0) {
            linear_pack(false, T, Dh, a->k + g * Dh, a->ld, keys);
            linear_pack(true, Dh, T, a->v + g * Dh, a->ld, values);
        }
        for (size_t i = 0; i < T; i += QB) {
            size_t rows = T - i < QB ? T - i : QB;
            struct block b = {s, rows, lds, i, i + rows, a->scale, inverse};
            float *o = out + i * ldo + h * Dh;
            linear_cpu(rows, b.end, Dh, a->q + i * a->ld + h * Dh, a->ld, keys, LINEAR_PANEL * Dh, NULL, s, lds);
            softmax_rows(&b);
            linear_cpu(rows, Dh, b.end, s, lds, values, LINEAR_PANEL * T, NULL, o, ldo);
            for (size_t r = 0; r < rows; r++)
                for (size_t d = 0; d < Dh; d++) o[r * ldo + d] *= inverse[r];
        }
    }
}
