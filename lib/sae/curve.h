/* curve.h - the training curve: one value a step of everything that is worth plotting. Tests: tests/test_feed.c */
#ifndef SAEMILL_CURVE_H
#define SAEMILL_CURVE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"

enum curve_series {
    CURVE_RECONSTRUCTION, /* mean |x - x^|^2 of the batch, x normalised */
    CURVE_SPARSITY,       /* lambda(t) times the mean penalty */
    CURVE_L0,             /* mean active features a row */
    CURVE_LR,
    CURVE_LAMBDA,
    CURVE_DEAD, /* share of features without an active row in the last `dead-window` steps */
    CURVE_SERIES
};

struct curve {
    size_t steps;               /* room */
    float *value[CURVE_SERIES]; /* [steps] each */
    struct arena memory;
};

/* The JSON key of a series: "loss_reconstruction", "loss_sparsity", "l0", "lr", "lambda", "dead". */
const char *curve_key(enum curve_series s);

int curve_init(struct curve *c, size_t steps, struct err *e);
void curve_free(struct curve *c);

/* Mean of a series over steps [from, to). */
double curve_mean(const struct curve *c, enum curve_series s, size_t from, size_t to);

/* By how much the loss (reconstruction plus sparsity, the latter as with the last step's lambda) is lower in the last tenth of the
 * steps than in the tenth before it, as a share of the former: near 0 where the run has come to rest. NaN for fewer than 20 steps. */
double curve_fall(const struct curve *c);

/* {"step":[0,1,…], "loss_reconstruction":[…], …}, atomically; and for runs of 200 steps or more "mean": the first three series as
 * running means over "window" steps, a hundredth of all, cut at the ends. */
int curve_write(const struct curve *c, const char *path, struct err *e);

/* The first `steps` steps of such a file. On success the caller curve_free()s c. ERR_SHAPE for a file that has fewer. */
int curve_read(struct curve *c, const char *path, size_t steps, struct err *e);

/* What is asked first, without opening the curve, into an object, whose reference is taken and given back: "last_tenth", the means
 * over the last tenth of the steps by key; "loss_fall" (curve_fall); and "curve", by which claims about training are judged:
 *     early_over_first         least reconstruction loss of the first tenth of the steps, over that of the first step
 *     final_over_early         reconstruction loss at the end, over the former
 *     sparsity_final_over_max  the sparsity loss at the end, over its largest
 *     l0_max_over_d_in         the largest L0, over the width of the activations
 * and what these are made of. The first step and the largest L0 are of single steps; all else is of running means: the noise of one
 * step decides nothing. At least one step. NULL without memory (jsonfile.h). */
json_t *curve_summary(const struct curve *c, size_t d_in, json_t *into);

#endif
