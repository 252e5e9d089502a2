/* batch.h - the small operations of a training step, between the large ones; each reads or writes a batch or a vector once.
 * They are in the kernel table so that a step never looks into a back end's memory. Tests: tests/test_step.c */
#ifndef SAEMILL_BATCH_H
#define SAEMILL_BATCH_H

#include "kernels/sae/adam.h"
#include "kernels/sae/residual.h"

/* What a step reports: sums over the rows of a batch. */
struct batch_totals {
    double loss, penalty, l0;
};

/* xc[b,d] = x[b,d] - b_dec[d].   x, xc [B,D] f32; b_dec [D] f32 */
void batch_centre(size_t B, size_t D, const float *x, const float *b_dec, float *xc);

/* mean[d] = (1/B) sum_b xc[b,d]: what the penalty on pre-activations pulls a dead feature's encoder along (adam.h).
 *   xc [B,D] f32; mean [D] f32; sums in double, in an order that depends on the shape only */
void batch_mean(size_t B, size_t D, const float *xc, float *mean);

/* low[f]: an entry is kept above it. see activation_bound.   low, theta [F] f32 */
void batch_bounds(size_t F, const float *theta, const struct activation *act, float *low);

/* out[b,f] = row[f] for n rows.   row [F] f32; out [n,F] f32 */
void batch_spread(size_t n, size_t F, const float *row, float *out);

/* gb_dec[d] += sum over the rows of G, then Adam on b_dec, as s->o says.
 *   G  [rows,D] f32: those of all views */
void batch_b_dec(size_t rows, const float *G, const struct adam_state *s);

/* Sums over the rows, in row order; *t is the host's. A device is waited for here. */
void batch_total(size_t B, const struct sae_row_sums *sums, struct batch_totals *t);

/* Sum of n counts, to the host. */
size_t batch_count(size_t n, const uint32_t *counts);

/* How many features were silent for `window` steps or more, to the host.   steps_idle [F] u32 */
size_t batch_idle(size_t F, const uint32_t *steps_idle, uint32_t window);

#endif
