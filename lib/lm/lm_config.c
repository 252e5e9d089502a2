/* lm_config.c - see model.h: config.json of a Hugging Face folder; the keys of Qwen2 and Llama. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/file/jsonfile.h"
#include "lib/lm/hooked_config.h"
#include "lib/lm/lm_keys.h"
#include "lib/lm/model.h"

/* What a family fixes that its config.json does not say. */
struct family {
    const char *model_type, *architecture;
    bool always_qkv_bias; /* Qwen2: biases on q, k, v and nowhere else; Llama: by attention_bias and mlp_bias */
};
static const struct family families[] = {{"qwen2", "Qwen2ForCausalLM", true}, {"llama", "LlamaForCausalLM", false}};
enum { FAMILIES = sizeof families / sizeof *families };

static int family_of(const json_t *root, const char *path, const struct family **f, struct err *e) {
    const char *type = NULL;
    const json_t *list = json_object_get(root, "architectures");
    int rc = lm_keys_text(root, path, "model_type", &type, e);
    if (rc) return rc;
    if (list && !json_is_null(list) &&
        !(json_is_array(list) && json_array_size(list) == 1 && json_is_string(json_array_get(list, 0))))
        return err_set(e, ERR_FORMAT, "%s: key 'architectures': want a list of one name", path);
    const char *architecture = json_is_array(list) ? json_string_value(json_array_get(list, 0)) : NULL;
    if (!type && !architecture)
        return err_set(e, ERR_FORMAT, "%s: key 'model_type': is missing, and so is 'architectures'", path);
    for (size_t i = 0; i < FAMILIES; i++) {
        *f = &families[i];
        bool type_fits = !type || !strcmp(type, (*f)->model_type),
             arch_fits = !architecture || !strcmp(architecture, (*f)->architecture);
        if (type_fits && arch_fits) return 0;
        if (type && type_fits) return lm_keys_unsupported(path, "architectures", architecture, (*f)->architecture, e);
    }
    if (type) return lm_keys_unsupported(path, "model_type", type, "qwen2, llama or hooked_transformer", e);
    return lm_keys_unsupported(path, "architectures", architecture, "Qwen2ForCausalLM or LlamaForCausalLM", e);
}

/* The scaling, from rope_scaling (old) or rope_parameters (new); `type` was the older name of rope_type. */
static int rope_scaling(const json_t *o, const char *path, const char *key, struct lm_rope *r, struct err *e) {
    const char *kind = NULL, *older = NULL;
    char where[PATH_MAX + 32];
    int rc;
    if (!json_is_object(o)) return err_set(e, ERR_FORMAT, "%s: key '%s': want an object or null", path, key);
    snprintf(where, sizeof where, "%s: %s", path, key);
    if ((rc = lm_keys_text(o, where, "rope_type", &kind, e)) || (rc = lm_keys_text(o, where, "type", &older, e)))
        return rc;
    if (!kind) kind = older;
    if (!kind) return err_set(e, ERR_FORMAT, "%s: key 'rope_type': is missing", where);
    if (!strcmp(kind, "default")) return 0;
    if (strcmp(kind, "llama3")) {
        err_set(e, ERR_UNSUPPORTED, "%s: key 'rope_type': want default or llama3, got %s", where, kind);
        return err_hint(e, "other RoPE scalings change every activation; %s", lm_keys_supported);
    }
    r->kind = LM_ROPE_LLAMA3;
    if ((rc = lm_keys_positive(o, where, "factor", 0, 1e6, &r->factor, e)) ||
        (rc = lm_keys_positive(o, where, "low_freq_factor", 0, 1e6, &r->low, e)) ||
        (rc = lm_keys_positive(o, where, "high_freq_factor", 0, 1e6, &r->high, e)) ||
        (rc = lm_keys_positive(o, where, "original_max_position_embeddings", 0, 1e9, &r->original_tok, e)))
        return rc;
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
    *r = (struct lm_rope){.kind = LM_ROPE_DEFAULT};
    if (!lm_keys_absent(root, key)) {
        if ((rc = rope_scaling(o, path, key, r, e))) return rc;
        if (!lm_keys_absent(o, "rope_theta")) theta = o;
    }
    if ((rc = lm_keys_positive(theta, path, "rope_theta", 10000, 1e12, &r->theta, e))) return rc;
    for (int i = 0; i < 2; i++) { /* at top level, or beside the scaling */
        const json_t *place = i ? o : root;
        if (!json_is_object(place) || lm_keys_absent(place, "partial_rotary_factor")) continue;
        if ((rc = jsonfile_real(place, path, "partial_rotary_factor", &partial, e))) return rc;
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
    if (rc || (rc = lm_keys_bool(root, path, "use_sliding_window", false, &sliding, e))) return rc;
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
    if (rc || (rc = lm_keys_size(root, path, "num_key_value_heads", c->H, 1024, &c->G, e))) return rc;
    if (c->H % c->G)
        return err_set(e, ERR_RANGE,
                       "%s: key 'num_key_value_heads': want a divisor of num_attention_heads %zu, got %zu", path, c->H,
                       c->G);
    if (lm_keys_absent(root, "head_dim") && c->D % c->H)
        return err_set(e, ERR_RANGE, "%s: key 'hidden_size': want a multiple of num_attention_heads %zu, got %zu", path,
                       c->H, c->D);
    size_t even = c->D / c->H ? c->D / c->H : 1;
    if ((rc = lm_keys_size(root, path, "head_dim", even, 1024, &c->Dh, e))) return rc;
    if (c->Dh % 2)
        return err_set(e, ERR_RANGE, "%s: key 'head_dim': want an even number (RoPE pairs), got %zu", path, c->Dh);
    return 0;
}

static int read_llama(const json_t *root, const char *path, struct lm_config *c, struct err *e) {
    const struct family *f = families;
    double eps;
    int rc;
    if ((rc = family_of(root, path, &f, e)) || (rc = refuse_others(root, path, e)) ||
        (rc = lm_keys_size(root, path, "num_hidden_layers", 0, 1024, &c->L, e)) ||
        (rc = lm_keys_size(root, path, "hidden_size", 0, 1 << 17, &c->D, e)) || (rc = read_heads(root, path, c, e)) ||
        (rc = lm_keys_size(root, path, "intermediate_size", 0, 1 << 20, &c->mlp, e)) ||
        (rc = lm_keys_size(root, path, "vocab_size", 0, 1 << 24, &c->vocab, e)) ||
        (rc = lm_keys_size(root, path, "max_position_embeddings", 0, 1 << 27, &c->max_T, e)) ||
        (rc = lm_keys_positive(root, path, "rms_norm_eps", 1e-6, 1, &eps, e)) ||
        (rc = lm_keys_bool(root, path, "tie_word_embeddings", false, &c->tied, e)) ||
        (rc = read_rope(root, path, &c->rope, e)))
        return rc;
    c->family = LM_LLAMA;
    c->norm = LM_NORM_RMS;
    c->architecture = f->architecture;
    c->max_T_key = "max_position_embeddings";
    c->norm_eps = (float)eps;
    c->qkv_bias = f->always_qkv_bias;
    if (f->always_qkv_bias) return 0;
    if ((rc = lm_keys_bool(root, path, "attention_bias", false, &c->qkv_bias, e)) ||
        (rc = lm_keys_bool(root, path, "mlp_bias", false, &c->mlp_bias, e)))
        return rc;
    c->o_bias = c->qkv_bias;
    return 0;
}

int lm_config_read(const json_t *root, const char *path, struct lm_config *c, struct err *e) {
    const char *type = NULL;
    *c = (struct lm_config){0};
    if (!json_is_object(root)) return err_set(e, ERR_FORMAT, "%s: want a JSON object", path);
    int rc = lm_keys_text(root, path, "model_type", &type, e);
    if (!rc)
        rc = type && !strcmp(type, HOOKED_MODEL_TYPE) ? hooked_config_read(root, path, c, e)
                                                      : read_llama(root, path, c, e);
    if (rc && e && !e->hint[0]) err_hint(e, "%s", lm_keys_supported);
    return rc;
}

void lm_rope_frequencies(const struct lm_config *c, double *frequency) {
    const double two_pi = 6.283185307179586477;
    const struct lm_rope *r = &c->rope;
    for (size_t i = 0; i < c->Dh / 2; i++) {
        double f = pow(r->theta, -2.0 * (double)i / (double)c->Dh);
        if (r->kind == LM_ROPE_LLAMA3) {
            double turns = r->original_tok * f / two_pi; /* turns over the original context: original / wavelength */
            double keep = (turns - r->low) / (r->high - r->low);
            keep = keep < 0 ? 0 : keep > 1 ? 1 : keep;
            f = (1 - keep) * f / r->factor + keep * f;
        }
        frequency[i] = f;
    }
}
