/* family_llama.c - see family.h: Qwen2ForCausalLM and LlamaForCausalLM of Hugging Face, one network but for the biases.
 * config.json in the old layout (rope_theta, rope_scaling) or the new (rope_parameters). */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/file/jsonfile.h"
#include "lib/lm/family.h"
#include "lib/lm/lm_keys.h"

/* The scaling, from rope_scaling (old) or rope_parameters (new); `type` was the older name of rope_type. */
static int rope_scaling(const json_t *o, const char *path, const char *key, struct lm_rope *r, struct err *e) {
    const char *kind = NULL, *older = NULL;
    char where[PATH_MAX + 32];
    int rc;
    if (!json_is_object(o)) return err_set(e, ERR_FORMAT, "%s: key '%s': want an object or null", path, key);
    snprintf(where, sizeof where, "%s: %s", path, key);
    rc = lm_keys_text(o, where, "rope_type", &kind, e);
    if (!rc) rc = lm_keys_text(o, where, "type", &older, e);
    if (rc) return rc;
    if (!kind) kind = older;
    if (!kind) return err_set(e, ERR_FORMAT, "%s: key 'rope_type': is missing", where);
    if (!strcmp(kind, "default")) return 0;
    if (strcmp(kind, "llama3")) {
        lm_keys_unsupported(where, "rope_type", kind, "default or llama3", e);
        return err_hint(e, "other RoPE scalings change every activation");
    }
    r->kind = LM_ROPE_LLAMA3;
    rc = lm_keys_positive(o, where, "factor", 0, 1e6, &r->factor, e);
    if (!rc) rc = lm_keys_positive(o, where, "low_freq_factor", 0, 1e6, &r->low, e);
    if (!rc) rc = lm_keys_positive(o, where, "high_freq_factor", 0, 1e6, &r->high, e);
    if (!rc) rc = lm_keys_positive(o, where, "original_max_position_embeddings", 0, 1e9, &r->original_tok, e);
    if (rc) return rc;
    if (!(r->high > r->low))
        return err_set(e, ERR_RANGE, "%s: key 'high_freq_factor': want more than low_freq_factor %g, got %g", where,
                       r->low, r->high);
    return 0;
}

static int read_rope(const json_t *root, const char *path, struct lm_rope *r, struct err *e) {
    const char *key = lm_keys_absent(root, "rope_parameters") ? "rope_scaling" : "rope_parameters";
    const json_t *o = json_object_get(root, key), *theta = root;
    double partial;
    int rc;
    *r = (struct lm_rope){.kind = LM_ROPE_DEFAULT, .share = 1};
    if (!lm_keys_absent(root, key)) {
        rc = rope_scaling(o, path, key, r, e);
        if (rc) return rc;
        if (!lm_keys_absent(o, "rope_theta")) theta = o;
    }
    rc = lm_keys_positive(theta, path, "rope_theta", 10000, 1e12, &r->theta, e);
    if (rc) return rc;
    for (int i = 0; i < 2; i++) { /* at top level, or beside the scaling */
        const json_t *place = i ? o : root;
        if (!json_is_object(place) || lm_keys_absent(place, "partial_rotary_factor")) continue;
        rc = jsonfile_real(place, path, "partial_rotary_factor", &partial, e);
        if (rc) return rc;
        if (!(partial >= 1 && partial <= 1))
            return lm_keys_unsupported(path, "partial_rotary_factor", "another value", "1", e);
    }
    return 0;
}

/* Settings that would make another network of it. */
static int refuse_others(const json_t *root, const char *path, struct err *e) {
    const char *act;
    bool sliding;
    size_t i;
    json_t *v;
    int rc = lm_keys_text(root, path, "hidden_act", &act, e);
    if (!rc) rc = lm_keys_bool(root, path, "use_sliding_window", false, &sliding, e);
    if (rc) return rc;
    if (act && strcmp(act, "silu") && strcmp(act, "swish"))
        return lm_keys_unsupported(path, "hidden_act", act, "silu", e);
    if (sliding) return lm_keys_unsupported(path, "use_sliding_window", "true", "false", e);
    if (!lm_keys_absent(root, "quantization_config"))
        return lm_keys_unsupported(path, "quantization_config", "an object", "none (weights in bf16, f16 or f32)", e);
    const json_t *types = json_object_get(root, "layer_types");
    if (!lm_keys_absent(root, "layer_types") && !json_is_array(types))
        return err_set(e, ERR_FORMAT, "%s: key 'layer_types': want an array", path);
    json_array_foreach((json_t *)types, i, v) {
        if (!json_is_string(v)) return err_set(e, ERR_FORMAT, "%s: key 'layer_types': entry %zu is no text", path, i);
        if (strcmp(json_string_value(v), "full_attention"))
            return lm_keys_unsupported(path, "layer_types", json_string_value(v), "full_attention", e);
    }
    return 0;
}

static int read_heads(const json_t *root, const char *path, struct lm_config *c, struct err *e) {
    int rc = lm_keys_size(root, path, "num_attention_heads", 0, 1024, &c->H, e);
    if (!rc) rc = lm_keys_size(root, path, "num_key_value_heads", c->H, 1024, &c->G, e);
    if (rc) return rc;
    if (c->H % c->G)
        return err_set(e, ERR_RANGE,
                       "%s: key 'num_key_value_heads': want a divisor of num_attention_heads %zu, got %zu", path, c->H,
                       c->G);
    if (lm_keys_absent(root, "head_dim") && c->D % c->H)
        return err_set(e, ERR_RANGE, "%s: key 'hidden_size': want a multiple of num_attention_heads %zu, got %zu", path,
                       c->H, c->D);
    size_t even = c->D / c->H ? c->D / c->H : 1;
    rc = lm_keys_size(root, path, "head_dim", even, 1024, &c->Dh, e);
    if (rc) return rc;
    if (c->Dh % 2)
        return err_set(e, ERR_RANGE, "%s: key 'head_dim': want an even number (RoPE pairs), got %zu", path, c->Dh);
    return 0;
}

static int read_both(const json_t *root, const char *path, struct lm_config *c, struct lm_block *b, struct err *e) {
    double eps;
    int rc;
    rc = refuse_others(root, path, e);
    if (!rc) rc = lm_keys_size(root, path, "num_hidden_layers", 0, 1024, &c->L, e);
    if (!rc) rc = lm_keys_size(root, path, "hidden_size", 0, 1 << 17, &c->D, e);
    if (!rc) rc = read_heads(root, path, c, e);
    if (!rc) rc = lm_keys_size(root, path, "intermediate_size", 0, 1 << 20, &c->mlp, e);
    if (!rc) rc = lm_keys_size(root, path, "vocab_size", 0, 1 << 24, &c->vocab, e);
    if (!rc) rc = lm_keys_size(root, path, "max_position_embeddings", 0, 1 << 27, &c->max_T, e);
    if (!rc) rc = lm_keys_positive(root, path, "rms_norm_eps", 1e-6, 1, &eps, e);
    if (!rc) rc = lm_keys_bool(root, path, "tie_word_embeddings", false, &c->tied, e);
    if (!rc) rc = read_rope(root, path, &b->rope, e);
    if (rc) return rc;
    c->final_norm = b->attn_norm = b->mlp_norm = LM_NORM_RMS;
    c->final_eps = b->norm_eps = (float)eps;
    b->scale = (float)(1 / sqrt((double)c->Dh));
    b->gated = true, b->act = LM_ACT_SILU;
    return lm_config_blocks(c, b, e);
}

/* Biases on q, k, v and nowhere else. */
static int read_qwen2(const json_t *root, const char *path, struct lm_config *c, struct err *e) {
    struct lm_block b = {.qkv_bias = true};
    return read_both(root, path, c, &b, e);
}

static int read_llama(const json_t *root, const char *path, struct lm_config *c, struct err *e) {
    struct lm_block b = {0};
    int rc = lm_keys_bool(root, path, "attention_bias", false, &b.qkv_bias, e);
    if (!rc) rc = lm_keys_bool(root, path, "mlp_bias", false, &b.mlp_bias, e);
    if (rc) return rc;
    b.o_bias = b.qkv_bias;
    return read_both(root, path, c, &b, e);
}

static const struct lm_tensor tensors[] = {
    {"input_layernorm.weight", LM_ATTN_NORM, LM_ROWS, LM_WHOLE},
    {"self_attn.q_proj.weight", LM_QKV, LM_ROWS, LM_Q},
    {"self_attn.k_proj.weight", LM_QKV, LM_ROWS, LM_K},
    {"self_attn.v_proj.weight", LM_QKV, LM_ROWS, LM_V},
    {"self_attn.q_proj.bias", LM_QKV_BIAS, LM_ROWS, LM_Q},
    {"self_attn.k_proj.bias", LM_QKV_BIAS, LM_ROWS, LM_K},
    {"self_attn.v_proj.bias", LM_QKV_BIAS, LM_ROWS, LM_V},
    {"self_attn.o_proj.weight", LM_O, LM_ROWS, LM_WHOLE},
    {"self_attn.o_proj.bias", LM_O_BIAS, LM_ROWS, LM_WHOLE},
    {"post_attention_layernorm.weight", LM_MLP_NORM, LM_ROWS, LM_WHOLE},
    {"mlp.gate_proj.weight", LM_GATE, LM_ROWS, LM_WHOLE},
    {"mlp.gate_proj.bias", LM_GATE_BIAS, LM_ROWS, LM_WHOLE},
    {"mlp.up_proj.weight", LM_UP, LM_ROWS, LM_WHOLE},
    {"mlp.up_proj.bias", LM_UP_BIAS, LM_ROWS, LM_WHOLE},
    {"mlp.down_proj.weight", LM_DOWN, LM_ROWS, LM_WHOLE},
    {"mlp.down_proj.bias", LM_DOWN_BIAS, LM_ROWS, LM_WHOLE},
    {"model.embed_tokens.weight", LM_EMBED, LM_ROWS, LM_WHOLE},
    {"model.norm.weight", LM_FINAL_NORM, LM_ROWS, LM_WHOLE},
    {"lm_head.weight", LM_UNEMBED, LM_ROWS, LM_WHOLE},
    {0},
};

/* Old Llama checkpoints also store RoPE's frequencies. */
#define COMMON                                                                                                         \
    .max_T_key = "max_position_embeddings", .prefix = "model.", .layers = "model.layers.", .tensor = tensors,          \
    .ignored = {"self_attn.rotary_emb.inv_freq"}
const struct lm_family family_qwen2 = {"qwen2", "Qwen2ForCausalLM", read_qwen2, COMMON};
const struct lm_family family_llama = {"llama", "LlamaForCausalLM", read_llama, COMMON};
