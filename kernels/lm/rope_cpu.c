/* rope_cpu.c - see rope.h. */
#include "kernels/lm/rope.h"

#include "kernels/base/isa.h"

ISA_INLINE void rope_cpu_body(size_t T, size_t H, size_t Dh, float *x, size_t ldx, const float *table) {
    size_t h = Dh / 2;
    for (size_t t = 0; t < T; t++)
        for (size_t head = 0; head < H; head++) {
            float *restrict a = x + t * ldx + head * Dh, *restrict b = a + h;
            const float *restrict c = table + t * Dh, *restrict s = c + h;
#pragma omp simd
            for (size_t i = 0; i < h; i++) {
                float u = a[i], v = b[i];
                a[i] = u * c[i] - v * s[i];
                b[i] = v * c[i] + u * s[i];
            }
        }
}

ISA_FUNCTION(, void, rope_cpu, (size_t T, size_t H, size_t Dh, float *x, size_t ldx, const float *table),
             (T, H, Dh, x, ldx, table))
