/* family_hooked.c - see family.h: TransformerLens' HookedTransformer (gelu-1l). config.json has HookedTransformerConfig's
 * names, with a model_type added; presets are those of TransformerLens, the keys are listed in README.md. Keys that would
 * make another network are refused unless they say what the network here does; all others are of no account. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/file/jsonfile.h"
#include "lib/lm/family.h"
#include "lib/lm/lm_keys.h"

/* A key with one allowed text, which is its preset too; null is a value of its own. */
static int only_text(const json_t *root, const char *path, const char *key, const char *want, struct err *e) {
    const char *found = NULL;
    const json_t *v = json_object_get(root, key);
    if (!v) return 0;
    if (json_is_null(v)) return lm_keys_unsupported(path, key, "null", want, e);
    int rc = jsonfile_text(root, path, key, &found, e);
    return rc || !strcmp(found, want) ? rc : lm_keys_unsupported(path, key, found, want, e);
}

/* A number that, if it is there, is `want` or TransformerLens' sign for "the usual one": any below 0. */
static int only_number(const json_t *root, const char *path, const char *key, double want, struct err *e) {
    char found[32], wanted[32];
    double x;
    if (lm_keys_absent(root, key)) return 0;
    int rc = jsonfile_real(root, path, key, &x, e);
    if (rc || x < 0 || fabs(x - want) <= 1e-6 * want) return rc;
    snprintf(found, sizeof found, "%g", x);
    snprintf(wanted, sizeof wanted, "%g", want);
    return lm_keys_unsupported(path, key, found, wanted, e);
}

/* Settings that would make another network of it. */
static int refuse_others(const json_t *root, const char *path, struct err *e) {
    static const char *const off[] = {"attn_only",         "gated_mlp",      "parallel_attn_mlp",
                                      "final_rms",         "use_local_attn", "scale_attn_by_inverse_layer_idx",
                                      "post_embedding_ln", "use_qk_norm",    "use_normalization_before_and_after"};
    bool on;
    int rc;
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
        rc = lm_keys_bool(root, path, off[i], false, &on, e);
        if (rc) return rc;
        if (on) return lm_keys_unsupported(path, off[i], "true", "false", e);
    }
    rc = lm_keys_bool(root, path, "use_attn_scale", true, &on, e);
    if (rc) return rc;
    if (!on) return lm_keys_unsupported(path, "use_attn_scale", "false", "true", e);
    if (!lm_keys_absent(root, "num_experts")) return lm_keys_unsupported(path, "num_experts", "a value", "null", e);
    rc = only_text(root, path, "positional_embedding_type", "standard", e);
    if (!rc) rc = only_text(root, path, "attention_dir", "causal", e);
    if (!rc) rc = only_number(root, path, "attn_scores_soft_cap", 0, e);
    if (!rc) rc = only_number(root, path, "output_logits_soft_cap", 0, e);
    if (rc) return rc;
    return 0;
}

static int read_activation(const json_t *root, const char *path, struct err *e) {
    const char *act;
    int rc = jsonfile_text(root, path, "act_fn", &act, e);
    if (rc || !strcmp(act, "gelu")) return rc;
    lm_keys_unsupported(path, "act_fn", act, "gelu", e);
    return err_hint(e, "gelu is the exact form (erf); gelu_new, gelu_fast, solu_ln and relu are other functions");
}

static int read_norm(const json_t *root, const char *path, enum lm_norm *norm, struct err *e) {
    const char *name = "LN";
    const json_t *v = json_object_get(root, "normalization_type");
    if (json_is_null(v)) return lm_keys_unsupported(path, "normalization_type", "null", "LN or LNPre", e);
    int rc = v ? jsonfile_text(root, path, "normalization_type", &name, e) : 0;
    if (rc) return rc;
    *norm = !strcmp(name, "LN") ? LM_NORM_LAYER : LM_NORM_PLAIN;
    if (strcmp(name, "LN") && strcmp(name, "LNPre"))
        return lm_keys_unsupported(path, "normalization_type", name, "LN or LNPre", e);
    return 0;
}

static int read_hooked(const json_t *root, const char *path, struct lm_config *c, struct err *e) {
    double eps;
    int rc = refuse_others(root, path, e);
    if (!rc) rc = read_activation(root, path, e);
    if (!rc) rc = read_norm(root, path, &c->final_norm, e);
    if (!rc) rc = lm_keys_size(root, path, "n_layers", 0, 1024, &c->L, e);
    if (!rc) rc = lm_keys_size(root, path, "d_model", 0, 1 << 17, &c->D, e);
    if (!rc) rc = lm_keys_size(root, path, "n_heads", 0, 1024, &c->H, e);
    if (!rc) rc = lm_keys_size(root, path, "d_head", 0, 1024, &c->Dh, e);
    if (!rc) rc = lm_keys_size(root, path, "d_mlp", 0, 1 << 20, &c->mlp, e);
    if (!rc) rc = lm_keys_size(root, path, "d_vocab", 0, 1 << 24, &c->vocab, e);
    if (!rc) rc = lm_keys_size(root, path, "n_ctx", 0, 1 << 27, &c->max_T, e);
    if (!rc) rc = lm_keys_positive(root, path, "eps", 1e-5, 1, &eps, e);
    if (!rc) rc = only_number(root, path, "n_key_value_heads", (double)c->H, e);
    if (!rc) rc = only_number(root, path, "d_vocab_out", (double)c->vocab, e);
    if (!rc) rc = only_number(root, path, "attn_scale", sqrt((double)c->Dh), e);
    if (rc) return rc;
    c->G = c->H;
    c->final_eps = (float)eps;
    c->learned_positions = c->unembed_bias = true;
    const struct lm_block b = {.attn_norm = c->final_norm,
                               .mlp_norm = c->final_norm,
                               .norm_eps = (float)eps,
                               .scale = (float)(1 / sqrt((double)c->Dh)),
                               .qkv_bias = true,
                               .o_bias = true,
                               .mlp_bias = true,
                               .act = LM_ACT_GELU};
    return lm_config_blocks(c, &b, e);
}

static const struct lm_tensor tensors[] = {
    {"ln1.w", LM_ATTN_NORM, LM_ROWS, LM_WHOLE},
    {"ln1.b", LM_ATTN_NORM_BIAS, LM_ROWS, LM_WHOLE},
    {"attn.W_Q", LM_QKV, LM_HEADS, LM_Q},
    {"attn.W_K", LM_QKV, LM_HEADS, LM_K},
    {"attn.W_V", LM_QKV, LM_HEADS, LM_V},
    {"attn.b_Q", LM_QKV_BIAS, LM_HEADS, LM_Q},
    {"attn.b_K", LM_QKV_BIAS, LM_HEADS, LM_K},
    {"attn.b_V", LM_QKV_BIAS, LM_HEADS, LM_V},
    {"attn.W_O", LM_O, LM_HEADS_IN, LM_WHOLE},
    {"attn.b_O", LM_O_BIAS, LM_ROWS, LM_WHOLE},
    {"ln2.w", LM_MLP_NORM, LM_ROWS, LM_WHOLE},
    {"ln2.b", LM_MLP_NORM_BIAS, LM_ROWS, LM_WHOLE},
    {"mlp.W_in", LM_UP, LM_COLUMNS, LM_WHOLE},
    {"mlp.b_in", LM_UP_BIAS, LM_ROWS, LM_WHOLE},
    {"mlp.W_out", LM_DOWN, LM_COLUMNS, LM_WHOLE},
    {"mlp.b_out", LM_DOWN_BIAS, LM_ROWS, LM_WHOLE},
    {"embed.W_E", LM_EMBED, LM_ROWS, LM_WHOLE},
    {"pos_embed.W_pos", LM_POSITIONS, LM_ROWS, LM_WHOLE},
    {"ln_final.w", LM_FINAL_NORM, LM_ROWS, LM_WHOLE},
    {"ln_final.b", LM_FINAL_NORM_BIAS, LM_ROWS, LM_WHOLE},
    {"unembed.W_U", LM_UNEMBED, LM_COLUMNS, LM_WHOLE},
    {"unembed.b_U", LM_UNEMBED_BIAS, LM_ROWS, LM_WHOLE},
    {0},
};

/* The causal mask and the number that stands for -Inf in it are buffers of older versions. */
const struct lm_family family_hooked = {.model_type = "hooked_transformer",
                                        .architecture = "HookedTransformer",
                                        .read = read_hooked,
                                        .max_T_key = "n_ctx",
                                        .prefix = "",
                                        .layers = "blocks.",
                                        .tensor = tensors,
                                        .ignored = {"attn.mask", "attn.IGNORE"}};
