/* saefile.c - see saefile.h. Format: SAELens 6.54, sae_lens/saes/sae.py (save_model, load_from_disk). */
#include "lib/sae/saefile.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/file/jsonfile.h"
#include "lib/file/safetensors.h"

/* The version whose layout we write: below 6.0.0 SAELens would read cfg.json in its old, flat form. */
static const char layout_version[] = "6.54.0";

enum {
    BAND = 64,
    MAX_WIDTH = 1 << 28
}; /* rows of a [D,F] matrix that are transposed at once; largest D or F believed */

static int join(char out[PATH_MAX], const char *folder, const char *name, struct err *e) {
    if (snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX) return 0;
    return err_set(e, ERR_RANGE, "%.60s…: the path is longer than %d bytes", folder, PATH_MAX - 1);
}

/* --- writing --- */

/* The name TransformerLens has for the site, in buf; the site itself where it has none. */
static const char *hook_name(const char *site, char *buf, size_t cap) {
    char kind, more;
    int layer;
    const char *hook = NULL;
    if (sscanf(site, "L%d%c%c", &layer, &kind, &more) == 2)
        hook = kind == 'R' ? "resid_post" : kind == 'A' ? "attn_out" : kind == 'M' ? "mlp_out" : NULL;
    if (hook) snprintf(buf, cap, "blocks.%d.hook_%s", layer, hook);
    return hook ? buf : site;
}

static int cfg_write(const struct sae *s, const char *folder, const char *site, const char *model, int context,
                     struct err *e) {
    char path[PATH_MAX], hook[64];
    int rc = join(path, folder, "cfg.json", e);
    if (rc) return rc;
    json_t *meta = jsonfile_object(
        "sae_lens_version=%s sae_lens_training_version=%s model_name=%s site=%s hook_name=%s hook_head_index=%p "
        "context_size=%d prepend_bos=%p model_from_pretrained_kwargs=%p",
        layout_version, layout_version, model, site, hook_name(site, hook, sizeof hook), json_null(), context,
        json_true(), json_object());
    json_t *o = jsonfile_object("architecture=%s d_in=%zu d_sae=%zu dtype=%s device=%s apply_b_dec_to_input=%p "
                                "normalize_activations=%s reshape_activations=%s metadata=%p",
                                activation_row(s->arch)->saelens, s->D, s->F, "float32", "cpu", json_false(), "none",
                                "none", meta);
    if (!o) return err_set(e, ERR_FORMAT, "%s: site and model name must be valid UTF-8", path);
    return jsonfile_write_new(path, o, e);
}

/* [F,D] in memory to [D,F] on disk, BAND rows of the file at a time. */
static int write_transposed(const struct sae *s, struct stwriter *w, int handle, struct err *e) {
    float *band = mem_array(BAND * s->F, sizeof *band, "sae: W_enc", e);
    if (!band) return ERR_MEMORY;
    int rc = 0;
    for (size_t d0 = 0; d0 < s->D && !rc; d0 += BAND) {
        size_t n = s->D - d0 < BAND ? s->D - d0 : BAND;
        for (size_t f = 0; f < s->F; f++)
            for (size_t d = 0; d < n; d++) band[d * s->F + f] = s->W_enc[f * s->D + d0 + d];
        rc = stwriter_write(w, handle, d0 * s->F * sizeof *band, band, n * s->F * sizeof *band, e);
    }
    free(band);
    return rc;
}

static int check_values(const struct sae *s, const char *path, struct err *e) {
    const struct {
        const char *name;
        const float *p;
        size_t n;
    } t[] = {{"W_enc", s->W_enc, s->D * s->F},
             {"W_dec", s->W_dec, s->D * s->F},
             {"b_enc", s->b_enc, s->F},
             {"b_dec", s->b_dec, s->D},
             {"threshold", s->theta, s->F}};
    for (size_t k = 0; k < sizeof t / sizeof *t; k++)
        for (size_t i = 0; i < t[k].n; i++)
            if (!isfinite(t[k].p[i])) {
                err_set(e, ERR_NUMERIC, "%s: %s: want finite numbers, got %g at element %zu", path, t[k].name,
                        (double)t[k].p[i], i);
                return err_hint(e, "training diverged: use a smaller learning rate");
            }
    for (size_t f = 0; f < s->F; f++)
        if (s->theta[f] < 0)
            return err_set(e, ERR_RANGE, "%s: threshold: want at least 0, got %g for feature %zu", path,
                           (double)s->theta[f], f);
    return 0;
}

enum { T_W_ENC, T_W_DEC, T_B_ENC, T_B_DEC, T_THETA, TENSORS };

static int tensors_of(enum sae_arch arch) { return activation_row(arch)->theta ? TENSORS : T_THETA; }

int saefile_write_weights(const struct sae *s, const char *path, const char *record, struct err *e) {
    int64_t D = (int64_t)s->D, F = (int64_t)s->F;
    const struct {
        const char *name;
        int n_dims;
        int64_t shape[2];
        const float *data;
    } t[TENSORS] = {{"W_enc", 2, {D, F}, NULL},
                    {"W_dec", 2, {F, D}, s->W_dec},
                    {"b_enc", 1, {F, 0}, s->b_enc},
                    {"b_dec", 1, {D, 0}, s->b_dec},
                    {"threshold", 1, {F, 0}, s->theta}};
    int n = tensors_of(s->arch), handle[TENSORS];
    struct stwriter *w = NULL;
    int rc = check_values(s, path, e);
    if (!rc) rc = stwriter_open(&w, path, e);
    if (!rc && record) rc = stwriter_meta(w, "record", record, e);
    for (int k = 0; k < n && !rc; k++) {
        handle[k] = stwriter_declare(w, t[k].name, ST_F32, t[k].n_dims, t[k].shape, e);
        rc = handle[k] < 0 ? handle[k] : 0;
    }
    if (!rc) rc = write_transposed(s, w, handle[T_W_ENC], e);
    for (int k = 1; k < n && !rc; k++) {
        size_t elems = (size_t)t[k].shape[0] * (t[k].n_dims == 2 ? (size_t)t[k].shape[1] : 1);
        rc = stwriter_write(w, handle[k], 0, t[k].data, elems * sizeof(float), e);
    }
    if (!rc) return stwriter_commit(w, e);
    stwriter_abort(w);
    return rc;
}

int saefile_write(const struct sae *s, const char *folder, const char *site, const char *model, int context,
                  const char *record, struct err *e) {
    char path[PATH_MAX];
    int rc = join(path, folder, "sae_weights.safetensors", e);
    if (!rc) rc = saefile_write_weights(s, path, record, e);
    return rc ? rc : cfg_write(s, folder, site, model, context, e);
}

/* --- reading --- */

struct cfg {
    enum sae_arch arch;
    int64_t D, F;
    bool subtract_b_dec;
};

static int text_or(const json_t *o, const char *path, const char *key, const char *preset, const char **out,
                   struct err *e) {
    const json_t *v = json_object_get(o, key);
    *out = preset;
    return !v || json_is_null(v) ? 0 : jsonfile_text(o, path, key, out, e);
}

static int bool_or(const json_t *o, const char *path, const char *key, bool preset, bool *out, struct err *e) {
    const json_t *v = json_object_get(o, key);
    *out = preset;
    if (!v || json_is_null(v)) return 0;
    if (!json_is_boolean(v)) return err_set(e, ERR_FORMAT, "%s: key '%s': want true or false", path, key);
    *out = json_is_true(v);
    return 0;
}

/* A key that must say `want` (absent and false say it too): what would change the function, and is not done here. */
static int only(const json_t *o, const char *path, const char *key, const char *want, struct err *e) {
    const json_t *v = json_object_get(o, key);
    const char *got = NULL;
    if (!v || json_is_null(v) || json_is_false(v)) return 0;
    if (json_is_true(v))
        got = "true";
    else {
        int rc = jsonfile_text(o, path, key, &got, e);
        if (rc) return rc;
    }
    if (!strcmp(got, want)) return 0;
    err_set(e, ERR_UNSUPPORTED, "%s: key '%s': want \"%s\", got \"%s\"", path, key, want, got);
    return err_hint(e,
                    "fold it into the weights first (SAELens: fold_activation_norm_scaling_factor, then save_model)");
}

static int cfg_parse(const json_t *o, const char *path, struct cfg *c, struct err *e) {
    const char *arch;
    int rc = text_or(o, path, "architecture", "standard", &arch, e);
    if (rc) return rc;
    const int found = activation_find(arch, true);
    if (found < 0) {
        char names[96];
        activation_names(true, names, sizeof names);
        err_set(e, ERR_UNSUPPORTED, "%s: key 'architecture': want %s, got \"%s\"", path, names, arch);
        return err_hint(e, "SAELens saves a trained topk or batchtopk SAE as jumprelu where it can: convert it there");
    }
    c->arch = (enum sae_arch)found;
    rc = jsonfile_int(o, path, "d_in", &c->D, e);
    if (!rc) rc = jsonfile_int(o, path, "d_sae", &c->F, e);
    if (!rc) rc = bool_or(o, path, "apply_b_dec_to_input", true, &c->subtract_b_dec, e);
    if (!rc) rc = only(o, path, "normalize_activations", "none", e);
    if (!rc) rc = only(o, path, "reshape_activations", "none", e);
    if (!rc) rc = only(o, path, "activation_fn", "relu", e);
    if (!rc) rc = only(o, path, "activation_fn_str", "relu", e);
    if (rc) return rc;
    if (c->D < 1 || c->F < 1 || c->D > MAX_WIDTH || c->F > MAX_WIDTH)
        return err_set(e, ERR_RANGE, "%s: d_in and d_sae: want 1 to %d, got %lld and %lld", path, MAX_WIDTH,
                       (long long)c->D, (long long)c->F);
    return 0;
}

static int cfg_read(const char *folder, struct cfg *c, struct err *e) {
    char path[PATH_MAX];
    json_t *o = NULL;
    int rc = join(path, folder, "cfg.json", e);
    if (!rc) rc = jsonfile_read(path, &o, e);
    if (!rc) rc = cfg_parse(o, path, c, e);
    json_decref(o);
    return rc;
}

/* Every tensor found, of the right shape and finite, and none that the architecture does not have. */
static int tensors_find(const struct safetensors *st, const struct cfg *c, const char *path,
                        const struct safetensors_tensor *t[TENSORS], struct err *e) {
    const struct {
        const char *name;
        int n_dims;
        int64_t shape[2];
    } want[TENSORS] = {{"W_enc", 2, {c->D, c->F}},
                       {"W_dec", 2, {c->F, c->D}},
                       {"b_enc", 1, {c->F, 0}},
                       {"b_dec", 1, {c->D, 0}},
                       {"threshold", 1, {c->F, 0}}};
    int n = tensors_of(c->arch);
    for (int k = 0; k < n; k++) {
        int rc = safetensors_get(st, want[k].name, -1, want[k].n_dims, want[k].shape, &t[k], e);
        if (!rc && t[k]->dtype != ST_F32 && t[k]->dtype != ST_F16 && t[k]->dtype != ST_BF16 && t[k]->dtype != ST_F64)
            rc = err_set(e, ERR_SHAPE, "%s: %s: want a float type, got %s", path, want[k].name,
                         safetensors_dtype_name(t[k]->dtype));
        if (!rc) rc = safetensors_check_finite(t[k], e);
        if (rc) return rc;
    }
    for (size_t i = 0; i < safetensors_count(st); i++) {
        const char *name = safetensors_at(st, i)->name;
        int k = 0;
        while (k < n && strcmp(name, want[k].name)) k++;
        if (k < n) continue;
        err_set(e, ERR_UNSUPPORTED, "%s: %s: a %s SAE has no such tensor", path, name,
                activation_row(c->arch)->saelens);
        return err_hint(e, "what it does to the activations is unknown here; fold it into the weights before saving");
    }
    return 0;
}

/* [D,F] on disk to [F,D] in memory. */
static int read_transposed(const struct safetensors_tensor *t, struct sae *s, struct err *e) {
    float *band = mem_array(BAND * s->F, sizeof *band, "sae: W_enc", e);
    if (!band) return ERR_MEMORY;
    int rc = 0;
    for (size_t d0 = 0; d0 < s->D && !rc; d0 += BAND) {
        size_t n = s->D - d0 < BAND ? s->D - d0 : BAND;
        rc = safetensors_to_f32(t, d0 * s->F, n * s->F, band, e);
        for (size_t f = 0; f < s->F && !rc; f++)
            for (size_t d = 0; d < n; d++) s->W_enc[f * s->D + d0 + d] = band[d * s->F + f];
    }
    free(band);
    return rc;
}

/* SAELens' apply_b_dec_to_input: pre = W_enc (x - b_dec) + b_enc. As sae_fold with scale 1 does it. */
static int tensors_load(const struct safetensors_tensor *const t[TENSORS], const struct cfg *c, struct sae *s,
                        struct err *e) {
    int rc = read_transposed(t[T_W_ENC], s, e);
    if (!rc) rc = safetensors_to_f32(t[T_W_DEC], 0, s->F * s->D, s->W_dec, e);
    if (!rc) rc = safetensors_to_f32(t[T_B_ENC], 0, s->F, s->b_enc, e);
    if (!rc) rc = safetensors_to_f32(t[T_B_DEC], 0, s->D, s->b_dec, e);
    if (!rc && activation_row(c->arch)->theta) rc = safetensors_to_f32(t[T_THETA], 0, s->F, s->theta, e);
    if (!rc && c->subtract_b_dec) rc = sae_fold(s, 1);
    if (!rc) sae_clamp_theta(s);
    return rc;
}

int saefile_read(struct sae *s, const char *folder, struct err *e) {
    struct cfg c;
    char path[PATH_MAX];
    struct safetensors *st = NULL;
    const struct safetensors_tensor *t[TENSORS] = {0};
    *s = (struct sae){0};
    int rc = cfg_read(folder, &c, e);
    if (!rc) rc = join(path, folder, "sae_weights.safetensors", e);
    if (!rc) rc = safetensors_open(&st, path, e);
    if (!rc) rc = tensors_find(st, &c, path, t, e);
    if (!rc) rc = sae_init(s, c.arch, (size_t)c.D, (size_t)c.F, e);
    if (!rc) rc = tensors_load(t, &c, s, e);
    if (rc) sae_free(s);
    safetensors_close(st);
    return rc;
}
