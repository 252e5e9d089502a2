/* block.h - a layer of a language model as data, and what is the same for all its layers.
 *
 *   a = norm(x);  q,k,v = a Wqkv' + b, q and k turned by RoPE;  x += norm'(attention(q,k,v) Wo' + b)
 *   m = norm(x);  x += norm'(f(m Wgate' + b) * (m Wup' + b) Wdown' + b),   without a gate  f(m Wup' + b) Wdown' + b
 * before the first layer  x = factor W_embed[token] (+ W_pos[position]),  after the last  logits = norm(x) W_unembed' + b.
 *
 * forward.c, loss.c and model.c read this and know no family; families (family.h) fill it in. It says more than can be
 * computed: what has no kernel yet is refused by lm_block_check, in one place. Tests: tests/test_model.c */
#ifndef SAEMILL_BLOCK_H
#define SAEMILL_BLOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/lm/lm_kernels.h"
#include "lib/base/err.h"

/* Root mean square; the same with weights 1 + w; layer normalisation with weight and bias; that without them. */
enum lm_norm { LM_NORM_NONE, LM_NORM_RMS, LM_NORM_RMS_ONE, LM_NORM_LAYER, LM_NORM_PLAIN };

enum lm_act { LM_ACT_SILU, LM_ACT_GELU, LM_ACT_GELU_TANH };

enum lm_rope_kind { LM_ROPE_NONE, LM_ROPE_DEFAULT, LM_ROPE_LLAMA3 };

struct lm_rope {
    enum lm_rope_kind kind;
    double theta; /* base of the frequencies theta^(-2i/Dh) */
    double share; /* of a head's width that is turned */
    double factor, low, high,
        original_tok; /* llama3: factor, low_freq_factor, high_freq_factor, original_max_position_embeddings */
};

struct lm_block {
    enum lm_norm attn_norm, attn_norm_after, mlp_norm, mlp_norm_after; /* of a half's input, of its output */
    float norm_eps;
    struct lm_rope rope;
    size_t window;        /* positions that a query sees, its own included; 0: all before it */
    float scale, softcap; /* of scores; softcap c: c tanh(score / c), 0: none */
    bool qk_norm;         /* RMS of each head's q and k */
    bool qkv_bias, o_bias, mlp_bias;
    bool gated;
    enum lm_act act;
    bool parallel; /* both halves read the same x */
};

struct lm_config {
    const struct lm_family *family;
    const char *architecture;                   /* "Qwen2ForCausalLM"; static */
    size_t L, D, H, G, Dh;                      /* layers, width, query heads, key/value heads, width of a head */
    size_t mlp, vocab, max_T;                   /* width inside the feed-forward layer, vocabulary, most positions */
    const char *max_T_key;                      /* what config.json calls max_T; static */
    bool learned_positions, tied, unembed_bias; /* tied: the output head is the embedding */
    enum lm_norm final_norm;
    float final_eps;
    double embed_factor, logit_softcap; /* 1; 0: none */
    struct lm_block *block;             /* [L] */
};

/* Where weights go: of a layer, and outside the layers. */
enum lm_part {
    LM_ATTN_NORM,
    LM_ATTN_NORM_BIAS,
    LM_QKV, /* q, then k, then v */
    LM_QKV_BIAS,
    LM_O,
    LM_O_BIAS,
    LM_MLP_NORM,
    LM_MLP_NORM_BIAS,
    LM_GATE,
    LM_GATE_BIAS,
    LM_UP,
    LM_UP_BIAS,
    LM_DOWN,
    LM_DOWN_BIAS,
    LM_LAYER_PARTS,
    LM_EMBED = LM_LAYER_PARTS,
    LM_POSITIONS,
    LM_FINAL_NORM,
    LM_FINAL_NORM_BIAS,
    LM_UNEMBED,
    LM_UNEMBED_BIAS,
    LM_PARTS
};

/* Weights by part: matrices [outputs, inputs] packed by the back end (kernels/lm/pass.h), vectors [outputs] f32. */
struct lm_weights {
    float *at[LM_PARTS]; /* NULL: the model has no such part, or it was not loaded */
};

struct lm_shape {
    size_t outputs, inputs; /* outputs 0: the model has no such part; inputs 0: a vector */
};

/* The shape of a part.   b  the layer's block; any for parts outside the layers */
struct lm_shape lm_part_shape(const struct lm_config *c, const struct lm_block *b, enum lm_part part);

/* Is there a kernel for everything in c? ERR_UNSUPPORTED that names the path, the layer and what is missing. */
int lm_block_check(const struct lm_config *c, const char *path, struct err *e);

/* frequency[i], i < Dh/2, radians per position: theta^(-2i/Dh), Su et al. 2021; with llama3 scaling, wavelengths above
 * original/low are stretched by factor, those below original/high are kept, and between the two is interpolated. */
void lm_rope_frequencies(const struct lm_rope *r, size_t Dh, double *frequency);

/* y := norm(x), by a kind that lm_block_check lets through.   x [M,D] f32; w, b [D] or NULL; y [M,D] as the products take it */
void lm_norm_rows(const struct lm_kernels *k, enum lm_norm kind, float eps, size_t M, size_t D, const float *x,
                  const float *w, const float *b, float *y);

#endif
