/* lse_ref.c - see lse.h. */
#include "kernels/lm/lse.h"

#include <math.h>

void lse_ref(size_t M, size_t N, const float *x, size_t ldx, float *top, double *sum) {
    for (size_t m = 0; m < M; m++, x += ldx) {
        float before = top[m], most = before;
        double s = 0;
        for (size_t n = 0; n < N; n++)
            if (x[n] > most) most = x[n];
        for (size_t n = 0; n < N; n++) s += exp((double)x[n] - (double)most);
        sum[m] = (sum[m] > 0 ? sum[m] * exp((double)before - (double)most) : sum[m]) + s;
        top[m] = most;
    }
}
