/* weights.h - inside lib/lm: what the two families of model.h call their tensors, and how these are packed.
 *
 * model.c walks over the tensors of either family by the tables here: weights_llama.c for Hugging Face's Qwen2 and
 * Llama, weights_hooked.c for TransformerLens. */
#ifndef SAEMILL_WEIGHTS_H
#define SAEMILL_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/lm/model.h"

enum { WEIGHTS_PARTS = 16 }; /* most tensors of a layer, or outside the layers */

struct weights_spec {
    const char *name; /* in a layer: what follows "<layers><l>." */
    int n_dims;
    size_t shape[3];
    bool present; /* by the config */
};

/* What a layer, and the head, is loaded into: struct lm_layer and lm_head, writable. */
struct weights_layer {
    float *attn_norm, *attn_norm_bias, *qkv, *qkv_bias, *o, *o_bias, *mlp_norm, *mlp_norm_bias, *gate, *gate_bias, *up,
        *up_bias, *down, *down_bias;
};
struct weights_head {
    float *norm, *norm_bias, *unembed, *bias;
};

struct weights_loader {
    const struct lm_model *m;
    const struct lm_kernels *k;
    const struct weights_family *f;
    size_t layer;
    float *rows; /* [threads, LINEAR_PANEL, widest] converted rows before they are packed */
    size_t widest;
    struct err *e;
};

struct weights_family {
    const char *prefix;     /* tensors whose names begin so must have a place in the network */
    const char *layers;     /* "model.layers." */
    const char *embed;      /* [vocab, D] */
    const char *ignored[4]; /* in a layer: buffers that hold no weights */
    size_t (*layer_specs)(const struct lm_config *c, struct weights_spec *s); /* both return how many */
    size_t (*other_specs)(const struct lm_config *c, struct weights_spec *s);
    int (*load_layer)(const struct weights_loader *d, const struct weights_layer *p);
    int (*load_head)(const struct weights_loader *d, const struct weights_head *p);
};

extern const struct weights_family weights_llama, weights_hooked;

/* For the families' load functions. `name` is a layer's tensor when in_layer, else a whole name. lm_open has checked
 * that the tensors are there, with type and shape. Errors: ERR_NUMERIC naming a tensor with NaN or Inf. */

/* A vector, or a tensor taken as one. */
int weights_vector(const struct weights_loader *d, bool in_layer, const char *name, float *out);

/* Matrices stored [rows, cols], one below the other (n <= 3), packed as one. */
int weights_rows(const struct weights_loader *d, bool in_layer, const char *const *name, size_t n, float *packed);

/* A tensor stored [inputs, outputs]; of three dimensions, [heads, inputs of a head, outputs]. */
int weights_inputs(const struct weights_loader *d, bool in_layer, const char *name, float *packed);

/* A layer's tensor stored [heads, inputs, outputs of a head], packed as outputs `first` and on of a matrix whose packed
 * form begins at `packed` and was zero. */
int weights_heads(const struct weights_loader *d, const char *name, size_t first, float *packed);

#endif
