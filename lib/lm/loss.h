/* loss.h - how well a language model predicts the next token, and how far one prediction is from another.
 *
 *   nll[r] = log sum_v e^logit[r,v] - logit[r, target[r]]      logit[r] = norm(x[r]) U' + b,   nats
 *   kl[r]  = KL(softmax(logit_0[r]) || softmax(logit_i[r]))    of variant i against variant 0 (kl.h)
 *   loss   = mean of nll over the rows that have a target      sum in row order, in double
 * Logits are made in tiles of rows and vocabulary (lse.h), so the vocabulary costs memory once, for its weights. On the
 * host a row's numbers depend on that row alone. Tests: tests/test_splice.c */
#ifndef SAEMILL_LOSS_H
#define SAEMILL_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/lm/lm_kernels.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/lm/forward.h"

enum {
    LOSS_ROWS = 192,
    LOSS_COLUMNS = 512
}; /* a tile of logits on the host; LOSS_COLUMNS is whole panels of linear.h */

/* Working memory of one thread, in the back end's memory. */
struct loss_scratch {
    size_t rows, n, tile, columns; /* most rows, most variants; a tile of logits */
    float *h;                      /* [n][rows, D] normalised rows */
    float *logits;                 /* [2][tile, columns] f32: of variant 0, of another */
    int32_t *target;               /* [rows] */
    float *top, *logit;            /* [n][rows] */
    double *sum;                   /* [n][rows] */
    struct kl_row *kl;             /* [n][rows] */
    struct arena mem;
};
/*   rows, n  most rows and variants at once; bytes are SIZE_MAX on overflow */
size_t loss_scratch_bytes(const struct lm_kernels *k, const struct lm_config *c, size_t rows, size_t n);
int loss_scratch_init(struct loss_scratch *s, const struct lm_kernels *k, const struct lm_config *c, size_t rows,
                      size_t n, struct err *e);
void loss_scratch_free(struct loss_scratch *s);

/* The tokens that follow.
 *   b       read only
 *   target  [b->start[n]] overwritten: the next token of the sequence, -1 at its end */
void loss_targets(const struct lm_batch *b, int32_t *target);

/* Keep rows as variant i < s->n, normalised.
 *   m  with its head loaded; read only
 *   x  [M, D] f32 of the back end's memory, M <= s->rows: the residual stream after the last layer */
void loss_take(const struct lm_model *m, const struct lm_kernels *k, size_t i, size_t M, const float *x,
               struct loss_scratch *s);

/* Losses of the first n variants taken, all of M rows.
 *   target   [M] of the host: ids below vocab, or -1 for none
 *   nll, kl  [n][M] of the host, `stride` from one variant to the next; overwritten; 0 where there is no target, kl of
 *            variant 0 too. kl may be NULL when n is 1
 * Edge: NaN or Inf in x gives NaN.      Errors: ERR_DEVICE.
 * Threads: single-threaded; rows may be divided, each thread with its own scratch. */
int loss_compare(const struct lm_model *m, const struct lm_kernels *k, size_t M, const int32_t *target, size_t n,
                 struct loss_scratch *s, double *nll, double *kl, size_t stride, struct err *e);

/* Both for one variant and any number of rows.   nll [M] */
int loss_rows(const struct lm_model *m, const struct lm_kernels *k, size_t M, const float *x, const int32_t *target,
              struct loss_scratch *s, double *nll, struct err *e);

/* Errors: ERR_RANGE if no row has a target, ERR_NUMERIC naming the first row whose nll is NaN or Inf. */
int loss_mean(size_t M, const int32_t *target, const double *nll, double *mean, struct err *e);

#endif
