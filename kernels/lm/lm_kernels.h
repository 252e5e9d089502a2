/* lm_kernels.h - the operations of a language model's forward pass, as a table.
 *
 * Contracts: linear.h, rmsnorm.h, rope.h, attention.h, swiglu.h, layernorm.h, gelu.h, lse.h, pass.h. Pointers are
 * memory of the back end; which of them are float32 and which of elem_bytes is said in pass.h. */
#ifndef SAEMILL_LM_KERNELS_H
#define SAEMILL_LM_KERNELS_H

#include <stddef.h>

#include "kernels/lm/attention.h"
#include "kernels/lm/pass.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"

struct lm_kernels {
    const char *name;             /* of the back end */
    const struct memory *memory;  /* of weights and scratch */
    const struct memory *host;    /* of what is fetched */
    size_t (*memory_bytes)(void); /* how much there is of `memory`; 0: not known */
    size_t elem_bytes;            /* of an intermediate and of a packed weight */
    size_t tile_rows;             /* rows that go through the feed-forward layer together; SIZE_MAX: all */
    int slots;                    /* 1: threads run batches, each its own; 2: one thread, results come a batch later */
    bool batch_matters;           /* a row's rounding depends on the size of its batch */
    void (*pack)(size_t first, size_t n, size_t K, const float *W, float *packed);
    void (*place)(size_t n, const size_t *start, const int32_t *token, struct pass_place *p);
    /* x[r] := table[token[r]] (+ pos[position[r]]); NULL: rows are read from the model's file.
     * table [vocab, D] packed */
    void (*embed)(const struct pass_place *p, size_t D, const float *table, const float *pos, float *x);
    void (*linear)(size_t M, size_t N, size_t K, const float *x, size_t ldx, const float *packed, size_t panel,
                   const float *bias, float *y, size_t ldy);
    void (*rmsnorm)(size_t M, size_t D, const float *x, const float *w, float eps, float *y);
    void (*rope)(const struct pass_place *p, size_t H, size_t Dh, float *x, size_t ldx, const float *table);
    void (*attention)(const struct pass_place *p, const struct attention *a, float *out, size_t ldo, void *work);
    void (*swiglu)(size_t n, float *g, const float *u);
    void (*layernorm)(size_t M, size_t D, const float *x, const float *w, const float *b, float eps, float *y);
    void (*gelu)(size_t n, float *x);
    void (*lse)(size_t M, size_t N, const float *x, size_t ldx, float *top, double *sum); /* NULL on a device */
    void (*add)(size_t n, float *x, const float *delta);
    void (*fetch)(size_t n, const float *x, bool wide, bool bf16, void *out);
    void (*sent)(int slot);
    int (*await)(int slot, struct err *e);
};

/* n intermediates further on. */
static inline float *lm_at(const struct lm_kernels *k, const float *p, size_t n) {
    return (float *)((char *)p + n * k->elem_bytes);
}

/*   backend  "ref", "cpu"; where nvcc was there at build time also "cuda" (bf16, sums in float32), "cuda-tf32" and
 *            "cuda-f32"
 *   t        [1] overwritten
 * Errors: ERR_UNSUPPORTED that names the back end; ERR_NO_DEVICE as cuda_open. */
int lm_kernels_get(const char *backend, struct lm_kernels *t, struct err *e);

#endif
