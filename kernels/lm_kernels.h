/* lm_kernels.h - the operations of a language model's forward pass, as a table.
 *
 * The table starts all-reference; a back end replaces what it has. Contracts: linear.h, rmsnorm.h, rope.h, attention.h,
 * swiglu.h, layernorm.h, gelu.h, lse.h. */
#ifndef SAEMILL_LM_KERNELS_H
#define SAEMILL_LM_KERNELS_H

#include <stddef.h>

#include "kernels/attention.h"
#include "lib/base/err.h"

struct lm_kernels {
    const char *name; /* of the back end */
    void (*linear)(size_t M, size_t N, size_t K, const float *x, size_t ldx, const float *packed, size_t panel,
                   const float *bias, float *y, size_t ldy);
    void (*rmsnorm)(size_t M, size_t D, const float *x, const float *w, float eps, float *y);
    void (*rope)(size_t T, size_t H, size_t Dh, float *x, size_t ldx, const float *table);
    void (*attention)(const struct attention *a, float *out, size_t ldo, void *work);
    void (*swiglu)(size_t n, float *g, const float *u);
    void (*layernorm)(size_t M, size_t D, const float *x, const float *w, const float *b, float eps, float *y);
    void (*gelu)(size_t n, float *x);
    void (*lse)(size_t M, size_t N, const float *x, size_t ldx, float *top, double *sum);
};

/*   backend  "ref" or "cpu"
 *   t        [1] overwritten
 * Returns 0, or ERR_UNSUPPORTED that names the back end. */
int lm_kernels_get(const char *backend, struct lm_kernels *t, struct err *e);

#endif
