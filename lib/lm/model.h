/* model.h - a language model in a folder: config.json and its weights, checked, then held as a back end wants them.
 *
 * The network is that of block.h. lib/lm/forward.h computes it, lib/lm/loss.h the head. Anything it would get wrong
 * (another architecture, activation, RoPE scaling, a sliding window, quantised weights, a tensor that the network has no
 * place for) is refused with file, key and value. A further family is a file, family_<name>.c, and a line in family.c.
 * Tests: tests/test_model.c, tests/test_hooked.c */
#ifndef SAEMILL_MODEL_H
#define SAEMILL_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/lm/lm_kernels.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/file/safetensors.h"
#include "lib/lm/block.h"

struct lm_model {
    struct lm_config c;
    struct safetensors *st;                 /* the mapped files */
    const struct safetensors_tensor *embed; /* [vocab, D], read row by row from the map, where outside has none */
    size_t n_layers, T;                     /* loaded layers; positions in rope or LM_POSITIONS */
    struct lm_weights *layer;               /* [n_layers] */
    struct lm_weights outside; /* the head after lm_load_head; LM_EMBED with a back end that has its own embed;
                                               LM_POSITIONS [T, D] f32 */
    float *rope;               /* rope_table of T positions; NULL without RoPE */
    struct arena mem, head_mem;
};

/* Read config.json and open the weights of a folder: every tensor's type and shape is checked against the config,
 * nothing is converted yet. After an error there is nothing to close. */
int lm_open(struct lm_model *m, const char *dir, struct err *e);

/* Bytes that lm_load(m, k, n_layers, T) takes of the back end's memory; SIZE_MAX on overflow. */
size_t lm_load_bytes(const struct lm_model *m, const struct lm_kernels *k, size_t n_layers, size_t T);

/* Convert and pack the first n_layers layers for a back end, and make the RoPE table and W_pos, for T positions.
 *   k         m is for tables of this memory from here on
 *   n_layers  1 .. c.L
 *   T         1 .. c.max_T
 * Errors: ERR_MEMORY; ERR_NUMERIC naming a tensor (of these layers, or the embedding) that holds NaN or Inf.
 * Threads: uses OpenMP; call it from serial code. The bytes do not depend on the number of threads. */
int lm_load(struct lm_model *m, const struct lm_kernels *k, size_t n_layers, size_t T, struct err *e);

/* The same for the head, once; lm_head_bytes is what it takes. lm_load may come before it or after. */
size_t lm_head_bytes(const struct lm_model *m, const struct lm_kernels *k);
int lm_load_head(struct lm_model *m, const struct lm_kernels *k, struct err *e);

/* x[r] := row token[r] of the embedding, from the file.   token [n] below vocab; x [n, D] f32 of the host */
int lm_embed(const struct lm_model *m, size_t n, const int32_t *token, float *x, struct err *e);

void lm_close(struct lm_model *m);

#endif
