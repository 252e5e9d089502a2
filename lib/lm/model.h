/* model.h - a language model in a folder: config.json and its weights, checked, then held as a back end wants them.
 *
 * Two families. Qwen2ForCausalLM and LlamaForCausalLM of Hugging Face are one network:
 *
 *   a = rmsnorm(x) ; q,k,v = a Wq' + bq, … ; rope on q and k ; x += o(attention(q,k,v))
 *   m = rmsnorm(x) ; x += down(silu(gate(m)) * up(m))
 *
 * and HookedTransformer of TransformerLens (gelu-1l), with W_E and W_pos added before the first layer, is the other:
 *
 *   a = layernorm(x) ; q_h,k_h,v_h = a W_Q[h] + b_Q[h], … ; x += sum_h attention(q_h,k_h,v_h) W_O[h] + b_O
 *   m = layernorm(x) ; x += gelu(m W_in + b_in) W_out + b_out
 *
 * lib/lm/forward.h computes both, lib/lm/loss.h the head: logits = norm(x) U' + b. Anything the network here would get
 * wrong (another architecture, activation, RoPE scaling, a sliding window, quantised weights, a tensor that the network
 * has no place for) is refused with file, key and value. Another family is another config reader (lm_config.c,
 * hooked_config.c) and another table of tensors (weights.h). Tests: tests/test_model.c, tests/test_hooked.c; fuzz
 * target tests/fuzz/fuzz_config.c */
#ifndef SAEMILL_MODEL_H
#define SAEMILL_MODEL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "kernels/lm/lm_kernels.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/file/safetensors.h"

struct json_t; /* jansson's */

enum lm_family { LM_LLAMA, LM_HOOKED };

/* Root mean square; layer normalisation with weight and bias; the same without them. */
enum lm_norm { LM_NORM_RMS, LM_NORM_LAYER, LM_NORM_PLAIN };

enum lm_rope_kind { LM_ROPE_DEFAULT, LM_ROPE_LLAMA3 };

struct lm_rope {
    enum lm_rope_kind kind;
    double theta; /* base of the frequencies theta^(-2i/Dh) */
    double factor, low, high,
        original_tok; /* llama3: factor, low_freq_factor, high_freq_factor, original_max_position_embeddings */
};

struct lm_config {
    const char *architecture; /* "Qwen2ForCausalLM"; static */
    enum lm_family family;
    enum lm_norm norm;
    size_t L, D, H, G, Dh;    /* layers, width, query heads, key/value heads, width of a head */
    size_t mlp, vocab, max_T; /* width of the feed-forward layer, entries of the vocabulary, most positions */
    const char *max_T_key;    /* what config.json calls max_T; static */
    float norm_eps;
    bool qkv_bias, o_bias, mlp_bias, tied; /* tied: the output head is the embedding */
    struct lm_rope rope;                   /* LM_LLAMA alone */
};

/* Read a parsed config.json: Hugging Face's in the old layout (rope_theta, rope_scaling) or new (rope_parameters), or
 * TransformerLens' (hooked_config.h).
 *   root  an object; read only, no reference taken
 *   path  for messages
 *   c     overwritten
 * Errors: ERR_FORMAT (missing key, wrong type), ERR_RANGE, ERR_UNSUPPORTED: "path: key 'k': …". */
int lm_config_read(const struct json_t *root, const char *path, struct lm_config *c, struct err *e);

/* frequency[i], i < Dh/2, radians per position: theta^(-2i/Dh), Su et al. 2021; with llama3 scaling, wavelengths above
 * original/low are stretched by factor, those below original/high are kept, and between the two is interpolated. */
void lm_rope_frequencies(const struct lm_config *c, double *frequency);

/* Weights of one layer; matrices packed by the back end (kernels/lm/pass.h), what the model has not NULL. */
struct lm_layer {
    const float *attn_norm, *attn_norm_bias;      /* [D] */
    const float *qkv, *qkv_bias;                  /* [(H+2G)*Dh, D] q, then k, then v */
    const float *o, *o_bias;                      /* [D, H*Dh] */
    const float *mlp_norm, *mlp_norm_bias;        /* [D] */
    const float *gate, *gate_bias, *up, *up_bias; /* [mlp, D]; LM_HOOKED has no gate, and up is W_in */
    const float *down, *down_bias;                /* [D, mlp]; W_out */
};

/* What turns the residual stream into logits. */
struct lm_head {
    const float *norm, *norm_bias; /* [D] */
    const float *unembed, *bias;   /* [vocab, D] packed, [vocab] */
};

struct lm_model {
    struct lm_config c;
    struct safetensors *st;                 /* the mapped files */
    const struct safetensors_tensor *embed; /* [vocab, D], read row by row from the map; or */
    const float *table;                     /* [vocab, D] packed, with a back end that has its own embed; else NULL */
    size_t n_layers, T;                     /* loaded layers; positions in rope or pos */
    struct lm_layer *layer;                 /* [n_layers] */
    const float *rope;                      /* rope_table of T positions; NULL in LM_HOOKED */
    const float *pos;                       /* [T, D] W_pos; NULL in LM_LLAMA */
    struct lm_head head;                    /* after lm_load_head */
    struct arena mem, head_mem;
};

/* Read config.json and open the weights of a folder: every tensor's type and shape is checked against the config,
 * nothing is converted yet. After an error there is nothing to close. */
int lm_open(struct lm_model *m, const char *dir, struct err *e);

/* Bytes that lm_load(m, k, n_layers, T) takes of the back end's memory; SIZE_MAX on overflow. */
size_t lm_load_bytes(const struct lm_model *m, const struct lm_kernels *k, size_t n_layers, size_t T);

/* Convert and pack the first n_layers layers for a back end, and make the RoPE table, or W_pos, for T positions.
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
