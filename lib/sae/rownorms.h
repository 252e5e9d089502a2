/* rownorms.h - mean squared norm and mean norm of the rows of a tensor, in one ordered read.
 * Tests: tests/test_shuffle.c */
#ifndef SAEMILL_ROWNORMS_H
#define SAEMILL_ROWNORMS_H

#include "lib/base/err.h"
#include "lib/file/safetensors.h"

struct rownorms {
    double mean_sq_norm; /* mean |x|^2 */
    double mean_norm;    /* mean |x| */
};

/* Over every row, in double; blocks of 1024 rows are summed apart and joined in row order: the same bytes for any
 * thread count.
 *   t              [N,D] a float tensor, N and D > 0
 *   tick, context  called with the rows done, out of N; may be NULL
 * Errors: ERR_NUMERIC naming file, tensor and the first row with NaN or Inf; ERR_MEMORY. */
int rownorms(const struct safetensors_tensor *t, struct rownorms *out, void (*tick)(void *context, size_t done),
             void *context, struct err *e);

#endif
