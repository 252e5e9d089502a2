/* hooked_config.h - config.json of a model of TransformerLens: HookedTransformerConfig's names, with a model_type
 * added.
 *
 * Read: n_layers, d_model, n_ctx, d_head, n_heads, d_mlp, d_vocab, act_fn ("gelu", the exact form), normalization_type
 * ("LN", or "LNPre": no weights), eps, positional_embedding_type ("standard": learned, added to the embedding). Keys
 * that would make another network (attn_only, gated_mlp, rotary positions, …) are refused unless they say what the
 * network here does; all others are of no account. Presets are those of TransformerLens. Tests: tests/test_hooked.c */
#ifndef SAEMILL_HOOKED_CONFIG_H
#define SAEMILL_HOOKED_CONFIG_H

#include "lib/lm/model.h"

#define HOOKED_MODEL_TYPE "hooked_transformer"

/* Arguments and errors as lm_config_read; root is an object and *c is zero. */
int hooked_config_read(const struct json_t *root, const char *path, struct lm_config *c, struct err *e);

#endif
