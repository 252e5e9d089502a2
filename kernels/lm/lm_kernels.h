/* lm_kernels.h - the operations of a language model's forward pass, as a table.
 *
 * Contracts: linear.h, rmsnorm.h, rope.h, attention.h, swiglu.h, layernorm.h, gelu.h, lse.h, pass.h. Pointers are
 * memory of the back end; which of them are float32 and which of elem_bytes is said in pass.h. */
#ifndef SAEMILL_LM_KERNELS_H
#define SAEMILL_LM_KERNELS_H

#include <stddef.h>

#include "kernels/base/backends.h"
#include "kernels/base/linear.h"
#include "kernels/lm/attention.h"
#include "kernels/lm/gelu.h"
#include "kernels/lm/layernorm.h"
#include "kernels/lm/kl.h"
#include "kernels/lm/lse.h"
#include "kernels/lm/pass.h"
#include "kernels/lm/rmsnorm.h"
#include "kernels/lm/rope.h"
#include "kernels/lm/swiglu.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"

/* On the host, operations that look along a sequence take one at a time. */
void lm_rope_ref(const struct pass_place *p, size_t H, size_t Dh, float *x, size_t ldx, const float *table);
void lm_attention_ref(const struct pass_place *p, const struct attention *a, float *out, size_t ldo, void *work);

/* Every operation: its name in the table, and its definition. */
#define LM_OPERATIONS(X)                                                                                               \
    X(memory_bytes, mem_physical_bytes)                                                                                \
    X(pack, linear_pack_rows)                                                                                          \
    X(place, pass_place_host)                                                                                          \
    X(linear, linear_ref)                                                                                              \
    X(rmsnorm, rmsnorm_ref)                                                                                            \
    X(layernorm, layernorm_ref)                                                                                        \
    X(rope, lm_rope_ref)                                                                                               \
    X(attention, lm_attention_ref)                                                                                     \
    X(swiglu, swiglu_ref)                                                                                              \
    X(gelu, gelu_ref)                                                                                                  \
    X(logits, linear_ref) /* the result in float32 */                                                                  \
    X(lse, lse_ref)                                                                                                    \
    X(kl, kl_ref)                                                                                                      \
    X(pick, pass_pick_host)                                                                                            \
    X(add, pass_add_host)                                                                                              \
    X(fetch, pass_fetch_host)                                                                                          \
    X(put, pass_put_host)                                                                                              \
    X(sent, pass_sent_host)                                                                                            \
    X(await, pass_await_host)

struct lm_kernels {
    const char *name;            /* of the back end */
    const struct memory *memory; /* of weights and scratch */
    const struct memory *host;   /* of what is fetched */
    size_t elem_bytes;           /* of an intermediate and of a packed weight */
    size_t tile_rows;            /* rows that go through the feed-forward layer together; SIZE_MAX: all */
    int slots;                   /* 1: threads run batches, each its own; 2: one thread, results come a batch later */
    bool batch_matters;          /* a row's rounding depends on the size of its batch */
#define LM_OPERATION(name, definition) __typeof__(&definition) name;
    LM_OPERATIONS(LM_OPERATION)
#undef LM_OPERATION
    /* x[r] := table[token[r]] (+ pos[position[r]]); NULL: rows are read from the model's file.
     * table [vocab, D] packed */
    void (*embed)(const struct pass_place *p, size_t D, const float *table, const float *pos, float *x);
};

/* n intermediates further on. */
static inline float *lm_at(const struct lm_kernels *k, const float *p, size_t n) {
    return (float *)((char *)p + n * k->elem_bytes);
}

/* The table of a back end (backends.h): the definitions, or nothing for a device, and over them what it has.
 * Errors: ERR_UNSUPPORTED that names an operation which is nowhere. */
int lm_kernels_make(const struct backend *b, struct lm_kernels *t, struct err *e);

/* The table of --backend, made ready.   Errors: as backends_open. */
int lm_kernels_get(const char *backend, struct lm_kernels *t, struct err *e);

#endif
