/* model.c - see model.h: a folder opened and checked, its weights loaded. */
#include "lib/lm/model.h"

#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/lm/linear.h"
#include "kernels/lm/rope.h"
#include "lib/file/jsonfile.h"
#include "lib/lm/weights.h"

static const struct weights_family *family(const struct lm_config *c) {
    return c->family == LM_HOOKED ? &weights_hooked : &weights_llama;
}

/* A tensor of the wanted shape, in one of the types that hold weights. */
static int get_weight(const struct safetensors *st, const char *name, const struct weights_spec *s, struct err *e) {
    const struct safetensors_tensor *t;
    int64_t shape[3] = {(int64_t)s->shape[0], (int64_t)s->shape[1], (int64_t)s->shape[2]};
    int rc = s->present ? safetensors_get(st, name, -1, s->n_dims, shape, &t, e) : 0;
    if (rc || !s->present || t->dtype == ST_BF16 || t->dtype == ST_F16 || t->dtype == ST_F32) return rc;
    err_set(e, ERR_UNSUPPORTED, "%s: %s: want BF16, F16 or F32, got %s", t->path, name,
            safetensors_dtype_name(t->dtype));
    return err_hint(e, "convert the checkpoint to one of these types; quantised weights are not read");
}

static int check_layer(const struct lm_model *m, size_t l, struct err *e) {
    struct weights_spec s[WEIGHTS_PARTS];
    char name[128];
    size_t n = family(&m->c)->layer_specs(&m->c, s);
    int rc = 0;
    for (size_t p = 0; !rc && p < n; p++) {
        snprintf(name, sizeof name, "%s%zu.%s", family(&m->c)->layers, l, s[p].name);
        rc = get_weight(m->st, name, &s[p], e);
    }
    return rc;
}

static bool listed(const struct weights_spec *s, size_t n, const char *name) {
    for (size_t p = 0; p < n; p++)
        if (s[p].present && !strcmp(name, s[p].name)) return true;
    return false;
}

/* Does the network have a place for this tensor? */
static bool has_place(const struct lm_config *c, const char *name) {
    const struct weights_family *f = family(c);
    struct weights_spec s[WEIGHTS_PARTS];
    size_t l, skip = strlen(f->layers);
    int end = 0;
    if (strncmp(name, f->prefix, strlen(f->prefix)) || listed(s, f->other_specs(c, s), name)) return true;
    if (strncmp(name, f->layers, skip) || sscanf(name + skip, "%zu.%n", &l, &end) != 1 || !end || l >= c->L)
        return false;
    name += skip + (size_t)end;
    for (int i = 0; f->ignored[i]; i++)
        if (!strcmp(name, f->ignored[i])) return true;
    return listed(s, f->layer_specs(c, s), name);
}

static int check_weights(struct lm_model *m, struct err *e) {
    struct weights_spec s[WEIGHTS_PARTS];
    size_t n = family(&m->c)->other_specs(&m->c, s);
    int rc;
    for (size_t p = 0; p < n; p++)
        if ((rc = get_weight(m->st, s[p].name, &s[p], e))) return rc;
    m->embed = safetensors_find(m->st, family(&m->c)->embed);
    for (size_t l = 0; l < m->c.L; l++)
        if ((rc = check_layer(m, l, e))) return rc;
    for (size_t i = 0; i < safetensors_count(m->st); i++) {
        const struct safetensors_tensor *t = safetensors_at(m->st, i);
        if (has_place(&m->c, t->name)) continue;
        err_set(e, ERR_UNSUPPORTED, "%s: %s: %s of %zu layers has no place for this tensor", t->path, t->name,
                m->c.architecture, m->c.L);
        return err_hint(e,
                        "does config.json belong to these weights? leaving a tensor out would give wrong activations");
    }
    return 0;
}

static int open_all(struct lm_model *m, const char *dir, struct err *e) {
    char path[PATH_MAX];
    json_t *root = NULL;
    if ((size_t)snprintf(path, sizeof path, "%s/config.json", dir) >= sizeof path)
        return err_set(e, ERR_RANGE, "%s: path is too long", dir);
    int rc = jsonfile_read(path, &root, e);
    if (rc) return rc;
    rc = lm_config_read(root, path, &m->c, e);
    json_decref(root);
    if (rc || (rc = safetensors_open(&m->st, dir, e))) return rc;
    return check_weights(m, e);
}

int lm_open(struct lm_model *m, const char *dir, struct err *e) {
    *m = (struct lm_model){0};
    int rc = open_all(m, dir, e);
    if (!rc) return 0;
    if (e && !e->hint[0])
        err_hint(e, "want a model's folder: config.json and the *.safetensors that belong to it, whole");
    lm_close(m);
    return rc;
}

/* Loading. Both walks over the arena's pieces, measuring and taking, are one function, so that they cannot disagree. */
static float *take(struct arena *a, size_t n, size_t elem_bytes, size_t *need) {
    size_t bytes = arena_need(n, elem_bytes);
    *need = bytes > SIZE_MAX - *need ? SIZE_MAX : *need + bytes;
    return a ? arena_take(a, n, elem_bytes) : NULL;
}

static float *vector(struct arena *a, size_t n, size_t *need) { return take(a, n, sizeof(float), need); }

static struct weights_layer take_layer(const struct lm_config *c, size_t elem, struct arena *a, size_t *need) {
    size_t qkv = (c->H + 2 * c->G) * c->Dh, wide = linear_padded(c->mlp) * c->D, D = linear_padded(c->D);
    struct weights_layer p = {0};
    if (c->norm != LM_NORM_PLAIN) p.attn_norm = vector(a, c->D, need), p.mlp_norm = vector(a, c->D, need);
    if (c->norm == LM_NORM_LAYER) p.attn_norm_bias = vector(a, c->D, need), p.mlp_norm_bias = vector(a, c->D, need);
    p.qkv = take(a, linear_padded(qkv) * c->D, elem, need);
    if (c->qkv_bias) p.qkv_bias = vector(a, qkv, need);
    p.o = take(a, D * c->H * c->Dh, elem, need);
    if (c->o_bias) p.o_bias = vector(a, c->D, need);
    if (c->family == LM_LLAMA) p.gate = take(a, wide, elem, need);
    if (c->family == LM_LLAMA && c->mlp_bias) p.gate_bias = vector(a, c->mlp, need);
    p.up = take(a, wide, elem, need);
    p.down = take(a, D * c->mlp, elem, need);
    if (c->mlp_bias) p.up_bias = vector(a, c->mlp, need), p.down_bias = vector(a, c->D, need);
    return p;
}

/* The embedding, if the back end has its own way with it. */
static float *take_table(const struct lm_config *c, const struct lm_kernels *k, struct arena *a, size_t *need) {
    return k->embed ? take(a, linear_padded(c->vocab) * c->D, k->elem_bytes, need) : NULL;
}

static size_t widest_row(const struct lm_config *c) {
    size_t q = c->H * c->Dh, w = c->D > q ? c->D : q;
    return c->mlp > w ? c->mlp : w;
}

/* Converted rows before they are packed: a panel per thread. */
static float *panels(size_t widest, struct err *e) {
    return mem_array((size_t)omp_get_max_threads() * LINEAR_PANEL * widest, sizeof(float), "model: rows", e);
}

/* Floats of the positions: RoPE's table or W_pos. */
static size_t position_width(const struct lm_config *c) { return c->family == LM_LLAMA ? c->Dh : c->D; }

size_t lm_load_bytes(const struct lm_model *m, const struct lm_kernels *k, size_t n_layers, size_t T) {
    size_t need = 0, positions = 0, all;
    take_layer(&m->c, k->elem_bytes, NULL, &need);
    if (!size_product(T, position_width(&m->c), 1, &positions) || !size_product(need, n_layers, 1, &all))
        return SIZE_MAX;
    vector(NULL, positions, &all);
    take_table(&m->c, k, NULL, &all);
    return all;
}

static int load_positions(struct lm_model *m, size_t T, float *table, struct err *e) {
    m->T = T;
    if (m->c.family == LM_HOOKED) {
        const struct safetensors_tensor *t = safetensors_find(m->st, "pos_embed.W_pos");
        int rc = safetensors_check_finite(t, e);
        m->pos = table;
        return rc ? rc : safetensors_to_f32(t, 0, T * m->c.D, table, e);
    }
    double *frequency = mem_array(m->c.Dh / 2, sizeof *frequency, "RoPE frequencies", e);
    if (!frequency) return ERR_MEMORY;
    lm_rope_frequencies(&m->c, frequency);
    rope_table(T, m->c.Dh / 2, frequency, table);
    free(frequency);
    m->rope = table;
    return 0;
}

static int load_all(struct lm_model *m, const struct weights_loader *first, float *table) {
    struct weights_loader d = *first;
    size_t need = 0;
    int rc = 0;
    if (table && (rc = weights_rows(&d, false, &d.f->embed, 1, table))) return rc;
    m->table = table;
    for (; d.layer < m->n_layers; d.layer++) {
        struct weights_layer p = take_layer(&m->c, d.k->elem_bytes, &m->mem, &need);
        if ((rc = d.f->load_layer(&d, &p))) return rc;
        m->layer[d.layer] = (struct lm_layer){p.attn_norm, p.attn_norm_bias, p.qkv,           p.qkv_bias, p.o,
                                              p.o_bias,    p.mlp_norm,       p.mlp_norm_bias, p.gate,     p.gate_bias,
                                              p.up,        p.up_bias,        p.down,          p.down_bias};
    }
    return 0;
}

int lm_load(struct lm_model *m, const struct lm_kernels *k, size_t n_layers, size_t T, struct err *e) {
    size_t need = 0;
    CHECK(n_layers >= 1 && n_layers <= m->c.L && T >= 1 && T <= m->c.max_T && !m->layer);
    int rc = safetensors_check_finite(m->embed, e);
    if (rc || (rc = arena_init_in(&m->mem, k->memory, lm_load_bytes(m, k, n_layers, T), "model: weights", e)))
        return rc;
    if (!(m->layer = mem_array(n_layers, sizeof *m->layer, "model: layers", e))) return ERR_MEMORY;
    m->n_layers = n_layers;
    if ((rc = load_positions(m, T, vector(&m->mem, T * position_width(&m->c), &need), e))) return rc;
    struct weights_loader d = {m, k, family(&m->c), 0, panels(widest_row(&m->c), e), widest_row(&m->c), e};
    if (!d.rows) return ERR_MEMORY;
    rc = load_all(m, &d, take_table(&m->c, k, &m->mem, &need));
    free(d.rows);
    return rc;
}

static struct weights_head take_head(const struct lm_config *c, size_t elem, struct arena *a, size_t *need) {
    struct weights_head p = {0};
    if (c->norm != LM_NORM_PLAIN) p.norm = vector(a, c->D, need);
    if (c->norm == LM_NORM_LAYER) p.norm_bias = vector(a, c->D, need);
    p.unembed = take(a, linear_padded(c->vocab) * c->D, elem, need);
    if (c->family == LM_HOOKED) p.bias = vector(a, c->vocab, need);
    return p;
}

size_t lm_head_bytes(const struct lm_model *m, const struct lm_kernels *k) {
    size_t need = 0;
    take_head(&m->c, k->elem_bytes, NULL, &need);
    return need;
}

int lm_load_head(struct lm_model *m, const struct lm_kernels *k, struct err *e) {
    size_t need = 0;
    CHECK(!m->head.unembed);
    int rc = arena_init_in(&m->head_mem, k->memory, lm_head_bytes(m, k), "model: head", e);
    if (rc) return rc;
    struct weights_head p = take_head(&m->c, k->elem_bytes, &m->head_mem, &need);
    struct weights_loader d = {m, k, family(&m->c), 0, panels(m->c.D, e), m->c.D, e};
    if (!d.rows) return ERR_MEMORY;
    rc = d.f->load_head(&d, &p);
    free(d.rows);
    if (!rc) m->head = (struct lm_head){p.norm, p.norm_bias, p.unembed, p.bias};
    return rc;
}

void lm_close(struct lm_model *m) {
    safetensors_close(m->st);
    free(m->layer);
    arena_free(&m->mem);
    arena_free(&m->head_mem);
    *m = (struct lm_model){0};
}
