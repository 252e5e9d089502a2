/* loss.h - how well a language model predicts the next token.
 *
 *   nll[r] = log sum_v e^logit[r,v] - logit[r, target[r]]      logit[r] = norm(x[r]) U' + b,   nats
 *   loss   = mean of nll over the rows that have a target      sum in row order, in double
 * Logits are made in tiles of rows and vocabulary (lse.h), so the vocabulary costs memory once, for its weights. A
 * row's nll depends on that row alone. Tests: tests/test_splice.c */
#ifndef SAEMILL_LOSS_H
#define SAEMILL_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/lm/lm_kernels.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/lm/forward.h"

enum { LOSS_ROWS = 192, LOSS_COLUMNS = 512 }; /* a tile of logits; LOSS_COLUMNS is whole panels of linear.h */

/* Working memory of one thread. */
struct loss_scratch {
    float *h, *logits, *top;
    double *sum;
    struct arena mem;
};
size_t loss_scratch_bytes(const struct lm_config *c); /* SIZE_MAX on overflow */
int loss_scratch_init(struct loss_scratch *s, const struct lm_config *c, struct err *e);
void loss_scratch_free(struct loss_scratch *s);

/* The tokens that follow.
 *   b       read only
 *   target  [b->start[n]] overwritten: the next token of the sequence, -1 at its end */
void loss_targets(const struct lm_batch *b, int32_t *target);

/*   m       with its head loaded; read only
 *   M       rows, any number
 *   x       [M, D] f32, the residual stream after the last layer; read only
 *   target  [M] ids below vocab, or -1 for none
 *   nll     [M] overwritten; 0 where there is no target
 * Edge: NaN or Inf in x gives NaN.
 * Threads: single-threaded; rows may be divided, each thread with its own scratch. */
void loss_rows(const struct lm_model *m, const struct lm_kernels *k, size_t M, const float *x, const int32_t *target,
               struct loss_scratch *s, double *nll);

/* Errors: ERR_RANGE if no row has a target, ERR_NUMERIC naming the first row whose nll is NaN or Inf. */
int loss_mean(size_t M, const int32_t *target, const double *nll, double *mean, struct err *e);

/* The model as it is: a batch from tokens to loss.
 *   m     loaded for all layers, with its head
 *   s     made for the site R of the last layer, b's rows and positions
 *   nll   [b->start[n]] overwritten
 * Errors: those of loss_mean. Threads: single-threaded. */
int loss_forward(const struct lm_model *m, const struct lm_kernels *k, const struct lm_batch *b, struct lm_scratch *s,
                 struct loss_scratch *w, double *nll, double *mean, struct err *e);

#endif
