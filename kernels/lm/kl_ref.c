/* kl_ref.c - see kl.h. */
#include "kernels/lm/kl.h"

/* The sums beside another maximum; nothing was summed beside -Inf. */
static double rescaled(double sum, double from, double to) { return sum > 0 || sum < 0 ? sum * exp(from - to) : sum; }

void kl_ref(size_t M, size_t N, const float *x, const float *y, size_t ldx, struct kl_row *row) {
    for (size_t m = 0; m < M; m++, x += ldx, y += ldx) {
        struct kl_row r = row[m];
        for (size_t n = 0; n < N; n++) {
            r.top = fmax(r.top, (double)x[n]);
            r.top_other = fmax(r.top_other, (double)y[n]);
        }
        r.sum = rescaled(r.sum, row[m].top, r.top), r.cross = rescaled(r.cross, row[m].top, r.top);
        r.sum_other = rescaled(r.sum_other, row[m].top_other, r.top_other);
        for (size_t n = 0; n < N; n++) {
            double p = exp((double)x[n] - r.top);
            r.sum += p, r.cross += p * ((double)x[n] - (double)y[n]), r.sum_other += exp((double)y[n] - r.top_other);
        }
        row[m] = r;
    }
}
