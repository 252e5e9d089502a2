/* forward.h - activations of a language model at named sites, (site.h), for sequences packed one after another.
 *
 * Every row comes from its own sequence alone and, on the host, always by the same operations in the same order, so it
 * does not depend on what else is in the batch, on the sizes of batches, or on threads; on a GPU cuBLAS may round
 * otherwise for another size of batch. Tests: tests/test_forward.c, tests/test_hooked.c */
#ifndef SAEMILL_FORWARD_H
#define SAEMILL_FORWARD_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/lm/lm_kernels.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/lm/model.h"
#include "lib/lm/site.h"

/* Sequences of a batch: rows start[i] .. start[i+1]-1 are sequence i, positions from 0. */
struct lm_batch {
    size_t n;
    const size_t *start;  /* [n+1], start[0] = 0, ascending */
    const int32_t *token; /* [start[n]] ids, each in [0, vocab): the caller has checked them */
};

/* Called once per site and batch with its rows [M, width], in the back end's memory and valid during the call; fetch of
 * the table brings them to the host, `wide` at L<l>R alone. Non-zero ends the forward pass with that value. */
struct lm_hook {
    void *ctx;
    int (*at)(void *ctx, size_t site, const float *rows, size_t M, struct err *e);
};

/* Working memory of one thread. */
struct lm_scratch {
    size_t rows, T; /* most rows of a batch, most positions of a sequence */
    float *x;       /* [rows, D] residual stream: while a hook is called, without what its site is still to add */
    float *h, *qkv, *att, *delta, *post, *up;
    size_t tile, post_rows; /* rows that go through the feed-forward layer together; rows of post: all when a site is
                               mlp_post, else a tile */
    void *work;
    struct arena mem;
};

/* For batches of these sites. lm_scratch_bytes: SIZE_MAX on overflow. */
size_t lm_scratch_bytes(const struct lm_kernels *k, const struct lm_config *c, const struct lm_site *sites,
                        size_t n_sites, size_t rows, size_t T);
int lm_scratch_init(struct lm_scratch *s, const struct lm_kernels *k, const struct lm_config *c,
                    const struct lm_site *sites, size_t n_sites, size_t rows, size_t T, struct err *e);
void lm_scratch_free(struct lm_scratch *s);

/* Run a batch up to the last site.
 *   m      loaded for at least lm_sites_depth layers, and s->T positions; read only
 *   k      of the memory that m was loaded and s made for
 *   sites  [n_sites]; the hook gets their indices
 *   s      its rows and T are not exceeded
 * Threads: single-threaded; with k->slots == 1 batches may run at once, each with its own scratch.
 * Returns 0, or what the hook returned. Weights are finite, but float32 can overflow: whoever keeps rows checks them.
 */
int lm_forward(const struct lm_model *m, const struct lm_kernels *k, const struct lm_batch *b,
               const struct lm_site *sites, size_t n_sites, struct lm_scratch *s, const struct lm_hook *hook,
               struct err *e);

/* Run the rest of the network: from what a site gives to the residual stream after the last layer.
 *   m      all layers loaded
 *   b      the sequences; their tokens are not looked at. In the last layer nothing looks at another row any more, so
 *          that there any rows of any sequences may stand side by side as one
 *   site   s was made for it
 *   x      [M, D] f32 of the host: the residual stream as a hook at the site finds it in its scratch; unused at L<l>R
 *   rows   [M, width] f32 of the host: what the site gives, or what is to stand in its place
 *   s      s->x := the result, [M, D]
 * With what the hook was given, the result is that of the whole pass (on the host to the byte). On a device started only.
 * Threads: as lm_forward. */
void lm_resume(const struct lm_model *m, const struct lm_kernels *k, const struct lm_batch *b,
               const struct lm_site *site, const float *x, const float *rows, struct lm_scratch *s);

#endif
