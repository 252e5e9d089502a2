/* batch.c - see batch.h. */
#include "kernels/sae/batch.h"

#include <math.h>
#include <string.h>

void batch_centre(size_t B, size_t D, const float *x, const float *b_dec, float *xc) {
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < B; b++)
        for (size_t d = 0; d < D; d++) xc[b * D + d] = x[b * D + d] - b_dec[d];
}

void batch_mean(size_t B, size_t D, const float *xc, float *mean) {
    enum { COLUMNS = 64 };
#pragma omp parallel for schedule(static)
    for (size_t d0 = 0; d0 < D; d0 += COLUMNS) {
        double sum[COLUMNS] = {0};
        const size_t n = D - d0 < COLUMNS ? D - d0 : COLUMNS;
        for (size_t b = 0; b < B; b++)
            for (size_t d = 0; d < n; d++) sum[d] += (double)xc[b * D + d0 + d];
        for (size_t d = 0; d < n; d++) mean[d0 + d] = (float)(sum[d] / (double)B);
    }
}

void batch_bounds(size_t F, const float *theta, const struct activation *act, float *low) {
    for (size_t f = 0; f < F; f++) low[f] = activation_bound(act, theta[f]);
}

void batch_spread(size_t n, size_t F, const float *row, float *out) {
    for (size_t b = 0; b < n; b++) memcpy(out + b * F, row, F * sizeof *row);
}

void batch_b_dec(size_t rows, const float *G, const struct adam_state *s) {
    const size_t D = s->D;
    for (size_t b = 0; b < rows; b++)
        for (size_t d = 0; d < D; d++) s->gb_dec[d] += (double)G[b * D + d];
    for (size_t d = 0; d < D; d++)
        adam_scalar(&s->o, s->o.beta2, (float)s->gb_dec[d], s->p.b_dec + d, s->m.b_dec ? s->m.b_dec + d : NULL,
                    s->v.b_dec + d);
}

void batch_total(size_t B, const struct sae_row_sums *sums, struct batch_totals *t) {
    *t = (struct batch_totals){0};
    for (size_t b = 0; b < B; b++) t->loss += sums[b].loss, t->penalty += sums[b].penalty, t->l0 += sums[b].l0;
}

size_t batch_count(size_t n, const uint32_t *counts) {
    size_t sum = 0;
    for (size_t b = 0; b < n; b++) sum += counts[b];
    return sum;
}

size_t batch_idle(size_t F, const uint32_t *steps_idle, uint32_t window) {
    size_t n = 0;
    for (size_t f = 0; f < F; f++) n += steps_idle[f] >= window;
    return n;
}
