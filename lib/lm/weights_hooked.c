/* weights_hooked.c - see weights.h: TransformerLens' HookedTransformer. Matrices are [inputs, outputs], those of the
 * attention with a dimension of heads before. */
#include "lib/lm/weights.h"

enum part { LN1_W, LN1_B, W_Q, B_Q, W_K, B_K, W_V, B_V, W_O, B_O, LN2_W, LN2_B, W_IN, B_IN, W_OUT, B_OUT, PARTS };

static size_t layer_specs(const struct lm_config *c, struct weights_spec *s) {
    bool ln = c->norm == LM_NORM_LAYER;
    const enum part in[] = {W_Q, W_K, W_V}, bias[] = {B_Q, B_K, B_V};
    static const char *const in_name[] = {"attn.W_Q", "attn.W_K", "attn.W_V"}, *const bias_name[] = {
                                                                                   "attn.b_Q", "attn.b_K", "attn.b_V"};
    for (int i = 0; i < 3; i++) {
        s[in[i]] = (struct weights_spec){in_name[i], 3, {c->H, c->D, c->Dh}, true};
        s[bias[i]] = (struct weights_spec){bias_name[i], 2, {c->H, c->Dh}, true};
    }
    s[LN1_W] = (struct weights_spec){"ln1.w", 1, {c->D}, ln};
    s[LN1_B] = (struct weights_spec){"ln1.b", 1, {c->D}, ln};
    s[W_O] = (struct weights_spec){"attn.W_O", 3, {c->H, c->Dh, c->D}, true};
    s[B_O] = (struct weights_spec){"attn.b_O", 1, {c->D}, true};
    s[LN2_W] = (struct weights_spec){"ln2.w", 1, {c->D}, ln};
    s[LN2_B] = (struct weights_spec){"ln2.b", 1, {c->D}, ln};
    s[W_IN] = (struct weights_spec){"mlp.W_in", 2, {c->D, c->mlp}, true};
    s[B_IN] = (struct weights_spec){"mlp.b_in", 1, {c->mlp}, true};
    s[W_OUT] = (struct weights_spec){"mlp.W_out", 2, {c->mlp, c->D}, true};
    s[B_OUT] = (struct weights_spec){"mlp.b_out", 1, {c->D}, true};
    return PARTS;
}

static size_t other_specs(const struct lm_config *c, struct weights_spec *s) {
    bool ln = c->norm == LM_NORM_LAYER;
    s[0] = (struct weights_spec){"embed.W_E", 2, {c->vocab, c->D}, true};
    s[1] = (struct weights_spec){"pos_embed.W_pos", 2, {c->max_T, c->D}, true};
    s[2] = (struct weights_spec){"ln_final.w", 1, {c->D}, ln};
    s[3] = (struct weights_spec){"ln_final.b", 1, {c->D}, ln};
    s[4] = (struct weights_spec){"unembed.W_U", 2, {c->D, c->vocab}, true};
    s[5] = (struct weights_spec){"unembed.b_U", 1, {c->vocab}, true};
    return 6;
}

static int load_layer(const struct weights_loader *d, const struct weights_layer *p) {
    const struct lm_config *c = &d->m->c;
    size_t q = c->H * c->Dh;
    int rc;
    if (c->norm == LM_NORM_LAYER && ((rc = weights_vector(d, true, "ln1.w", p->attn_norm)) ||
                                     (rc = weights_vector(d, true, "ln1.b", p->attn_norm_bias)) ||
                                     (rc = weights_vector(d, true, "ln2.w", p->mlp_norm)) ||
                                     (rc = weights_vector(d, true, "ln2.b", p->mlp_norm_bias))))
        return rc;
    if ((rc = weights_heads(d, "attn.W_Q", 0, p->qkv)) || (rc = weights_heads(d, "attn.W_K", q, p->qkv)) ||
        (rc = weights_heads(d, "attn.W_V", 2 * q, p->qkv)) || (rc = weights_vector(d, true, "attn.b_Q", p->qkv_bias)) ||
        (rc = weights_vector(d, true, "attn.b_K", p->qkv_bias + q)) ||
        (rc = weights_vector(d, true, "attn.b_V", p->qkv_bias + 2 * q)) ||
        (rc = weights_inputs(d, true, "attn.W_O", p->o)) || (rc = weights_vector(d, true, "attn.b_O", p->o_bias)) ||
        (rc = weights_inputs(d, true, "mlp.W_in", p->up)) || (rc = weights_vector(d, true, "mlp.b_in", p->up_bias)) ||
        (rc = weights_inputs(d, true, "mlp.W_out", p->down)) ||
        (rc = weights_vector(d, true, "mlp.b_out", p->down_bias)))
        return rc;
    return 0;
}

static int load_head(const struct weights_loader *d, const struct weights_head *p) {
    int rc = weights_inputs(d, false, "unembed.W_U", p->unembed);
    if (rc || (rc = weights_vector(d, false, "unembed.b_U", p->bias))) return rc;
    if (d->m->c.norm != LM_NORM_LAYER) return 0;
    rc = weights_vector(d, false, "ln_final.w", p->norm);
    return rc ? rc : weights_vector(d, false, "ln_final.b", p->norm_bias);
}

/* The causal mask and the number that stands for -Inf in it are buffers of older versions. */
const struct weights_family weights_hooked = {"",          "blocks.",   "embed.W_E", {"attn.mask", "attn.IGNORE"},
                                              layer_specs, other_specs, load_layer,  load_head};
