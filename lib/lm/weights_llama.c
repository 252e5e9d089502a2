/* weights_llama.c - see weights.h: Qwen2ForCausalLM and LlamaForCausalLM of Hugging Face. Matrices are [outputs,
 * inputs]. */
#include "lib/lm/weights.h"

enum part {
    ATTN_NORM,
    Q,
    Q_BIAS,
    K,
    K_BIAS,
    V,
    V_BIAS,
    O,
    O_BIAS,
    MLP_NORM,
    GATE,
    GATE_BIAS,
    UP,
    UP_BIAS,
    DOWN,
    DOWN_BIAS,
    PARTS
};

static size_t layer_specs(const struct lm_config *c, struct weights_spec *s) {
    size_t q = c->H * c->Dh, kv = c->G * c->Dh;
    s[ATTN_NORM] = (struct weights_spec){"input_layernorm.weight", 1, {c->D}, true};
    s[Q] = (struct weights_spec){"self_attn.q_proj.weight", 2, {q, c->D}, true};
    s[Q_BIAS] = (struct weights_spec){"self_attn.q_proj.bias", 1, {q}, c->qkv_bias};
    s[K] = (struct weights_spec){"self_attn.k_proj.weight", 2, {kv, c->D}, true};
    s[K_BIAS] = (struct weights_spec){"self_attn.k_proj.bias", 1, {kv}, c->qkv_bias};
    s[V] = (struct weights_spec){"self_attn.v_proj.weight", 2, {kv, c->D}, true};
    s[V_BIAS] = (struct weights_spec){"self_attn.v_proj.bias", 1, {kv}, c->qkv_bias};
    s[O] = (struct weights_spec){"self_attn.o_proj.weight", 2, {c->D, q}, true};
    s[O_BIAS] = (struct weights_spec){"self_attn.o_proj.bias", 1, {c->D}, c->o_bias};
    s[MLP_NORM] = (struct weights_spec){"post_attention_layernorm.weight", 1, {c->D}, true};
    s[GATE] = (struct weights_spec){"mlp.gate_proj.weight", 2, {c->mlp, c->D}, true};
    s[GATE_BIAS] = (struct weights_spec){"mlp.gate_proj.bias", 1, {c->mlp}, c->mlp_bias};
    s[UP] = (struct weights_spec){"mlp.up_proj.weight", 2, {c->mlp, c->D}, true};
    s[UP_BIAS] = (struct weights_spec){"mlp.up_proj.bias", 1, {c->mlp}, c->mlp_bias};
    s[DOWN] = (struct weights_spec){"mlp.down_proj.weight", 2, {c->D, c->mlp}, true};
    s[DOWN_BIAS] = (struct weights_spec){"mlp.down_proj.bias", 1, {c->D}, c->mlp_bias};
    return PARTS;
}

static size_t other_specs(const struct lm_config *c, struct weights_spec *s) {
    s[0] = (struct weights_spec){"model.embed_tokens.weight", 2, {c->vocab, c->D}, true};
    s[1] = (struct weights_spec){"model.norm.weight", 1, {c->D}, true};
    s[2] = (struct weights_spec){"lm_head.weight", 2, {c->vocab, c->D}, !c->tied};
    return 3;
}

static int load_layer(const struct weights_loader *d, const struct weights_layer *p) {
    const struct lm_config *c = &d->m->c;
    struct weights_spec s[WEIGHTS_PARTS];
    size_t q = c->H * c->Dh, kv = c->G * c->Dh;
    int rc;
    layer_specs(c, s);
    const char *qkv[] = {s[Q].name, s[K].name, s[V].name};
    if ((rc = weights_vector(d, true, s[ATTN_NORM].name, p->attn_norm)) ||
        (rc = weights_rows(d, true, qkv, 3, p->qkv)) || (rc = weights_rows(d, true, &s[O].name, 1, p->o)) ||
        (rc = weights_vector(d, true, s[MLP_NORM].name, p->mlp_norm)) ||
        (rc = weights_rows(d, true, &s[GATE].name, 1, p->gate)) ||
        (rc = weights_rows(d, true, &s[UP].name, 1, p->up)) || (rc = weights_rows(d, true, &s[DOWN].name, 1, p->down)))
        return rc;
    if (c->qkv_bias && ((rc = weights_vector(d, true, s[Q_BIAS].name, p->qkv_bias)) ||
                        (rc = weights_vector(d, true, s[K_BIAS].name, p->qkv_bias + q)) ||
                        (rc = weights_vector(d, true, s[V_BIAS].name, p->qkv_bias + q + kv))))
        return rc;
    if (c->o_bias && (rc = weights_vector(d, true, s[O_BIAS].name, p->o_bias))) return rc;
    if (c->mlp_bias && ((rc = weights_vector(d, true, s[GATE_BIAS].name, p->gate_bias)) ||
                        (rc = weights_vector(d, true, s[UP_BIAS].name, p->up_bias)) ||
                        (rc = weights_vector(d, true, s[DOWN_BIAS].name, p->down_bias))))
        return rc;
    return 0;
}

static int load_head(const struct weights_loader *d, const struct weights_head *p) {
    const char *unembed = d->m->c.tied ? "model.embed_tokens.weight" : "lm_head.weight";
    int rc = weights_vector(d, false, "model.norm.weight", p->norm);
    return rc ? rc : weights_rows(d, false, &unembed, 1, p->unembed);
}

/* Old Llama checkpoints also store RoPE's frequencies. */
const struct weights_family weights_llama = {"model.",
                                             "model.layers.",
                                             "model.embed_tokens.weight",
                                             {"self_attn.rotary_emb.inv_freq"},
                                             layer_specs,
                                             other_specs,
                                             load_layer,
                                             load_head};
