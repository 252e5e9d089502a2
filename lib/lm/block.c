/* block.c - see block.h. */
#include "lib/lm/block.h"

#include <math.h>

struct lm_shape lm_part_shape(const struct lm_config *c, const struct lm_block *b, enum lm_part part) {
    const size_t D = c->D, q = c->H * c->Dh, qkv = q + 2 * c->G * c->Dh;
    const struct {
        bool there;
        struct lm_shape shape;
    } of[LM_PARTS] = {
        [LM_ATTN_NORM] = {b->attn_norm != LM_NORM_PLAIN, {D, 0}},
        [LM_ATTN_NORM_BIAS] = {b->attn_norm == LM_NORM_LAYER, {D, 0}},
        [LM_QKV] = {true, {qkv, D}},
        [LM_QKV_BIAS] = {b->qkv_bias, {qkv, 0}},
        [LM_O] = {true, {D, q}},
        [LM_O_BIAS] = {b->o_bias, {D, 0}},
        [LM_MLP_NORM] = {b->mlp_norm != LM_NORM_PLAIN, {D, 0}},
        [LM_MLP_NORM_BIAS] = {b->mlp_norm == LM_NORM_LAYER, {D, 0}},
        [LM_GATE] = {b->gated, {c->mlp, D}},
        [LM_GATE_BIAS] = {b->gated && b->mlp_bias, {c->mlp, 0}},
        [LM_UP] = {true, {c->mlp, D}},
        [LM_UP_BIAS] = {b->mlp_bias, {c->mlp, 0}},
        [LM_DOWN] = {true, {D, c->mlp}},
        [LM_DOWN_BIAS] = {b->mlp_bias, {D, 0}},
        [LM_EMBED] = {true, {c->vocab, D}},
        [LM_POSITIONS] = {c->learned_positions, {c->max_T, D}},
        [LM_FINAL_NORM] = {c->final_norm != LM_NORM_PLAIN, {D, 0}},
        [LM_FINAL_NORM_BIAS] = {c->final_norm == LM_NORM_LAYER, {D, 0}},
        [LM_UNEMBED] = {true, {c->vocab, D}},
        [LM_UNEMBED_BIAS] = {c->unembed_bias, {c->vocab, 0}},
    };
    return of[part].there ? of[part].shape : (struct lm_shape){0, 0};
}

static bool has_kernel(enum lm_norm n) { return n == LM_NORM_RMS || n == LM_NORM_LAYER || n == LM_NORM_PLAIN; }

static bool same_rope(const struct lm_rope *a, const struct lm_rope *b) {
    return a->kind == b->kind && fabs(a->theta - b->theta) + fabs(a->factor - b->factor) + fabs(a->low - b->low) +
                                         fabs(a->high - b->high) + fabs(a->original_tok - b->original_tok) <=
                                     0;
}

/* What a layer has and no kernel computes; NULL: nothing. */
static const char *missing(const struct lm_config *c, const struct lm_block *b) {
    const struct lm_rope *r = &b->rope;
    if (!has_kernel(b->attn_norm) || !has_kernel(b->mlp_norm)) return "a half without a norm before it, or with 1 + w";
    if (b->attn_norm_after != LM_NORM_NONE || b->mlp_norm_after != LM_NORM_NONE) return "a norm after a half";
    if (b->window && b->window < c->max_T) return "a sliding window";
    if (b->softcap > 0) return "a softcap of attention scores";
    if (b->qk_norm) return "a norm of queries and keys";
    if (r->kind != LM_ROPE_NONE && !(r->share >= 1)) return "RoPE on a part of a head";
    if (!same_rope(r, &c->block[0].rope)) return "another RoPE than layer 0";
    if (b->act != (b->gated ? LM_ACT_SILU : LM_ACT_GELU)) return "this activation function of the feed-forward layer";
    if (b->parallel) return "attention and feed-forward layer side by side";
    return NULL;
}

int lm_block_check(const struct lm_config *c, const char *path, struct err *e) {
    const char *what = NULL;
    size_t l = 0;
    for (; l < c->L && !what; l++) what = missing(c, &c->block[l]);
    if (what) {
        err_set(e, ERR_UNSUPPORTED, "%s: layer %zu has %s: there is no kernel for that", path, l - 1, what);
        return err_hint(e, "leaving it out would give wrong activations");
    }
    if (!has_kernel(c->final_norm)) what = "a head without a norm, or with 1 + w";
    if (c->embed_factor < 1 || c->embed_factor > 1) what = "a factor of the embedding";
    if (c->logit_softcap > 0) what = "a softcap of logits";
    if (!what) return 0;
    err_set(e, ERR_UNSUPPORTED, "%s: the model has %s: there is no kernel for that", path, what);
    return err_hint(e, "leaving it out would give wrong activations or losses");
}

void lm_rope_frequencies(const struct lm_rope *r, size_t Dh, double *frequency) {
    const double two_pi = 6.283185307179586477;
    for (size_t i = 0; i < Dh / 2; i++) {
        double f = pow(r->theta, -2.0 * (double)i / (double)Dh);
        if (r->kind == LM_ROPE_LLAMA3) {
            double turns = r->original_tok * f / two_pi; /* turns over the original context: original / wavelength */
            double keep = (turns - r->low) / (r->high - r->low);
            keep = keep < 0 ? 0 : keep > 1 ? 1 : keep;
            f = (1 - keep) * f / r->factor + keep * f;
        }
        frequency[i] = f;
    }
}

void lm_norm_rows(const struct lm_kernels *k, enum lm_norm kind, float eps, size_t M, size_t D, const float *x,
                  const float *w, const float *b, float *y) {
    if (kind == LM_NORM_RMS)
        k->rmsnorm(M, D, x, w, eps, y);
    else
        k->layernorm(M, D, x, w, b, eps, y);
}
