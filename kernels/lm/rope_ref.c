/* rope_ref.c - see rope.h. */
#include "kernels/lm/rope.h"

#include <math.h>

void rope_table(size_t n_pos, size_t h, const double *frequency, float *table) {
    for (size_t t = 0; t < n_pos; t++)
        for (size_t i = 0; i < h; i++) {
            table[t * 2 * h + i] = (float)cos((double)t * frequency[i]);
            table[t * 2 * h + h + i] = (float)sin((double)t * frequency[i]);
        }
}

void rope_ref(size_t T, size_t H, size_t Dh, float *x, size_t ldx, const float *table) {
    size_t h = Dh / 2;
    for (size_t t = 0; t < T; t++)
        for (size_t head = 0; head < H; head++)
            for (size_t i = 0; i < h; i++) {
                float *a = x + t * ldx + head * Dh + i, *b = a + h;
                double c = (double)table[t * Dh + i], s = (double)table[t * Dh + h + i], u = (double)*a, v = (double)*b;
                *a = (float)(u * c - v * s);
                *b = (float)(v * c + u * s);
            }
}
