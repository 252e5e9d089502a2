/* symmul_ref.c - see symmul.h. */
#include "kernels/analysis/symmul.h"

void symmul_tile_ref(const float *a, const float *xr, const float *xc, float *restrict yr, float *restrict yc) {
    for (size_t b = 0; b < SYMMUL_B; b++)
        for (size_t i = 0; i < SYMMUL_T; i++) {
            double r = 0, c = 0;
            for (size_t j = 0; j < SYMMUL_T; j++) {
                r += (double)a[i * SYMMUL_T + j] * (double)xc[b * SYMMUL_T + j];
                c += (double)a[j * SYMMUL_T + i] * (double)xr[b * SYMMUL_T + j];
            }
            yr[b * SYMMUL_T + i] = (float)r;
            yc[b * SYMMUL_T + i] = (float)c;
        }
}
