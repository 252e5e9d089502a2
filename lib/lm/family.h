/* family.h - inside lib/lm: a family of language models is one file, family_<name>.c, and a line in family.c's list. It
 * says how a config.json becomes blocks (block.h), what its tensors are called, and in which order they hold which part.
 *
 * Tests: tests/test_model.c, tests/test_hooked.c; fuzz target tests/fuzz/fuzz_config.c */
#ifndef SAEMILL_FAMILY_H
#define SAEMILL_FAMILY_H

#include <jansson.h>

#include "lib/lm/block.h"

/* How a tensor lies in the file. Outputs of a head follow one another. */
enum lm_stored {
    LM_ROWS,     /* [outputs, inputs], as torch.nn.Linear; vectors [outputs] */
    LM_COLUMNS,  /* [inputs, outputs], as Conv1D */
    LM_HEADS,    /* [heads, inputs, outputs of a head]; vectors [heads, outputs of a head] */
    LM_HEADS_IN, /* [heads, inputs of a head, outputs] */
};

/* Which outputs of the part: all (a fused matrix holds q, k and v one after the other), or LM_QKV's. */
enum lm_piece { LM_WHOLE, LM_Q, LM_K, LM_V };

struct lm_tensor {
    const char *name; /* of a layer: what follows "<layers><l>." */
    enum lm_part part;
    enum lm_stored stored;
    enum lm_piece piece;
};

struct lm_family {
    const char *model_type, *architecture; /* as config.json says */
    /* Fill in all but family, architecture and max_T_key; *c is zero but for embed_factor 1, root an object. Errors as
     * lm_config_read, which adds a hint where there is none. */
    int (*read)(const json_t *root, const char *path, struct lm_config *c, struct err *e);
    const char *max_T_key;
    const char *prefix;             /* tensors whose names begin so must have a place in the network */
    const char *layers;             /* "model.layers." */
    const struct lm_tensor *tensor; /* ends with a NULL name; a tensor is there when the model has the part */
    const char *ignored[4];         /* in a layer: buffers that hold no weights */
};

/* c->block := [c->L] copies of b.   Errors: ERR_MEMORY */
int lm_config_blocks(struct lm_config *c, const struct lm_block *b, struct err *e);

/* Read a parsed config.json of any family in the list.
 *   root  an object; read only, no reference taken
 *   path  for messages
 *   c     overwritten; lm_config_free releases it, after an error there is nothing to release
 * Errors: ERR_FORMAT (missing key, wrong type), ERR_RANGE, ERR_MEMORY, ERR_UNSUPPORTED: "path: key 'k': …", or what
 * lm_block_check says. */
int lm_config_read(const json_t *root, const char *path, struct lm_config *c, struct err *e);
void lm_config_free(struct lm_config *c);

#endif
