/* model.c - see model.h: the weights of a Hugging Face folder. */
#include "lib/lm/model.h"

#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/linear.h"
#include "kernels/rope.h"
#include "lib/file/jsonfile.h"

/* The tensors of a layer, "model.layers.<l>.<suffix>". */
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

struct spec {
    const char *suffix;
    size_t rows, cols; /* cols 0: a vector */
    bool present;      /* by the config */
};

static void specs(const struct lm_config *c, struct spec s[PARTS]) {
    size_t q = c->H * c->Dh, kv = c->G * c->Dh;
    s[ATTN_NORM] = (struct spec){"input_layernorm.weight", c->D, 0, true};
    s[Q] = (struct spec){"self_attn.q_proj.weight", q, c->D, true};
    s[Q_BIAS] = (struct spec){"self_attn.q_proj.bias", q, 0, c->qkv_bias};
    s[K] = (struct spec){"self_attn.k_proj.weight", kv, c->D, true};
    s[K_BIAS] = (struct spec){"self_attn.k_proj.bias", kv, 0, c->qkv_bias};
    s[V] = (struct spec){"self_attn.v_proj.weight", kv, c->D, true};
    s[V_BIAS] = (struct spec){"self_attn.v_proj.bias", kv, 0, c->qkv_bias};
    s[O] = (struct spec){"self_attn.o_proj.weight", c->D, q, true};
    s[O_BIAS] = (struct spec){"self_attn.o_proj.bias", c->D, 0, c->o_bias};
    s[MLP_NORM] = (struct spec){"post_attention_layernorm.weight", c->D, 0, true};
    s[GATE] = (struct spec){"mlp.gate_proj.weight", c->mlp, c->D, true};
    s[GATE_BIAS] = (struct spec){"mlp.gate_proj.bias", c->mlp, 0, c->mlp_bias};
    s[UP] = (struct spec){"mlp.up_proj.weight", c->mlp, c->D, true};
    s[UP_BIAS] = (struct spec){"mlp.up_proj.bias", c->mlp, 0, c->mlp_bias};
    s[DOWN] = (struct spec){"mlp.down_proj.weight", c->D, c->mlp, true};
    s[DOWN_BIAS] = (struct spec){"mlp.down_proj.bias", c->D, 0, c->mlp_bias};
}

static void layer_name(char out[128], size_t l, const char *suffix) {
    snprintf(out, 128, "model.layers.%zu.%s", l, suffix);
}

/* A tensor of the wanted shape, in one of the types that hold weights. */
static int get_weight(const struct st *st, const char *name, size_t rows, size_t cols, const struct st_tensor **t,
                      struct err *e) {
    int64_t shape[2] = {(int64_t)rows, (int64_t)cols};
    int rc = st_get(st, name, -1, cols ? 2 : 1, shape, t, e);
    if (rc) return rc;
    if ((*t)->dtype == ST_BF16 || (*t)->dtype == ST_F16 || (*t)->dtype == ST_F32) return 0;
    err_set(e, ERR_UNSUPPORTED, "%s: %s: want BF16, F16 or F32, got %s", (*t)->path, name, st_dtype_name((*t)->dtype));
    return err_hint(e, "convert the checkpoint to one of these types; quantised weights are not read");
}

static int check_layer(const struct lm_model *m, size_t l, struct err *e) {
    struct spec s[PARTS];
    char name[128];
    const struct st_tensor *t;
    specs(&m->c, s);
    for (int p = 0; p < PARTS; p++) {
        int rc;
        layer_name(name, l, s[p].suffix);
        if (s[p].present && (rc = get_weight(m->st, name, s[p].rows, s[p].cols, &t, e))) return rc;
    }
    return 0;
}

/* Does the network have a place for this name of the form "model.…"? Old Llama checkpoints also store RoPE's
 * frequencies. */
static bool has_place(const struct lm_config *c, const char *name) {
    struct spec s[PARTS];
    size_t l;
    int end = 0;
    if (!strcmp(name, "model.embed_tokens.weight") || !strcmp(name, "model.norm.weight")) return true;
    if (sscanf(name, "model.layers.%zu.%n", &l, &end) != 1 || !end || l >= c->L) return false;
    if (!strcmp(name + end, "self_attn.rotary_emb.inv_freq")) return true;
    specs(c, s);
    for (int p = 0; p < PARTS; p++)
        if (s[p].present && !strcmp(name + end, s[p].suffix)) return true;
    return false;
}

static int check_weights(struct lm_model *m, struct err *e) {
    const struct st_tensor *t;
    int rc = get_weight(m->st, "model.embed_tokens.weight", m->c.vocab, m->c.D, &m->embed, e);
    if (rc || (rc = get_weight(m->st, "model.norm.weight", m->c.D, 0, &t, e))) return rc;
    if (!m->c.tied && (rc = get_weight(m->st, "lm_head.weight", m->c.vocab, m->c.D, &t, e))) return rc;
    for (size_t l = 0; l < m->c.L; l++)
        if ((rc = check_layer(m, l, e))) return rc;
    for (size_t i = 0; i < st_count(m->st); i++) {
        t = st_at(m->st, i);
        if (strncmp(t->name, "model.", 6) || has_place(&m->c, t->name)) continue;
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
    if (rc || (rc = st_open(&m->st, dir, e))) return rc;
    return check_weights(m, e);
}

int lm_open(struct lm_model *m, const char *dir, struct err *e) {
    *m = (struct lm_model){0};
    int rc = open_all(m, dir, e);
    if (!rc) return 0;
    if (e && !e->hint[0])
        err_hint(e, "want a Hugging Face folder: config.json and the *.safetensors that belong to it, whole");
    lm_close(m);
    return rc;
}

/* Loading. Both walks over the arena's pieces, measuring and taking, are one function, so that they cannot disagree. */
static float *take(struct arena *a, size_t n, size_t *need) {
    size_t bytes = arena_need(n, sizeof(float));
    *need = bytes > SIZE_MAX - *need ? SIZE_MAX : *need + bytes;
    return a ? arena_take(a, n, sizeof(float)) : NULL;
}

struct layer_mem {
    float *attn_norm, *qkv, *qkv_bias, *o, *o_bias, *mlp_norm, *gate, *gate_bias, *up, *up_bias, *down, *down_bias;
};

static struct layer_mem take_layer(const struct lm_config *c, struct arena *a, size_t *need) {
    size_t qkv = (c->H + 2 * c->G) * c->Dh, wide = linear_padded(c->mlp) * c->D, D = linear_padded(c->D);
    struct layer_mem p = {0};
    p.attn_norm = take(a, c->D, need);
    p.qkv = take(a, linear_padded(qkv) * c->D, need);
    if (c->qkv_bias) p.qkv_bias = take(a, qkv, need);
    p.o = take(a, D * c->H * c->Dh, need);
    if (c->o_bias) p.o_bias = take(a, c->D, need);
    p.mlp_norm = take(a, c->D, need);
    p.gate = take(a, wide, need);
    p.up = take(a, wide, need);
    p.down = take(a, D * c->mlp, need);
    if (c->mlp_bias)
        p.gate_bias = take(a, c->mlp, need), p.up_bias = take(a, c->mlp, need), p.down_bias = take(a, c->D, need);
    return p;
}

static size_t widest_row(const struct lm_config *c) {
    size_t q = c->H * c->Dh, w = c->D > q ? c->D : q;
    return c->mlp > w ? c->mlp : w;
}

static size_t threads(void) { return (size_t)omp_get_max_threads(); }

size_t lm_load_bytes(const struct lm_model *m, size_t n_layers, size_t T) {
    size_t need = 0, rope = 0, all;
    take_layer(&m->c, NULL, &need);
    if (!size_product(T, m->c.Dh, 1, &rope) || !size_product(need, n_layers, 1, &all)) return SIZE_MAX;
    take(NULL, rope, &all);
    take(NULL, threads() * LINEAR_PANEL * widest_row(&m->c), &all); /* one panel of converted rows per thread */
    return all;
}

struct loader {
    const struct lm_model *m;
    size_t layer;
    float *rows; /* [threads, LINEAR_PANEL, widest_row] */
    struct err *e;
};

static int find_finite(const struct loader *d, const char *suffix, const struct st_tensor **t) {
    char name[128];
    layer_name(name, d->layer, suffix);
    *t = st_find(d->m->st, name);
    CHECK(*t); /* lm_open saw it */
    return st_check_finite(*t, d->e);
}

static int load_vector(const struct loader *d, const char *suffix, float *out) {
    const struct st_tensor *t;
    int rc = find_finite(d, suffix, &t);
    return rc ? rc : st_to_f32(t, 0, t->n_elems, out, d->e);
}

/* Row `row` of matrices that lie one below the other: the matrix it is in, and its number there. */
static const struct st_tensor *row_of(const struct st_tensor *const t[], size_t n, size_t row, size_t *within) {
    for (size_t i = 0; i < n; i++) {
        size_t rows = (size_t)t[i]->shape[0];
        if (row < rows) return *within = row, t[i];
        row -= rows;
    }
    return NULL;
}

/* Convert the matrices `suffix`, one below the other, and pack them as one. */
static int load_matrix(const struct loader *d, const char *const *suffix, size_t n, float *packed) {
    const struct st_tensor *t[3];
    size_t rows = 0, widest = widest_row(&d->m->c);
    int rc, failed = 0;
    CHECK(n <= 3);
    for (size_t i = 0; i < n; i++) {
        if ((rc = find_finite(d, suffix[i], &t[i]))) return rc;
        rows += (size_t)t[i]->shape[0];
    }
    size_t cols = (size_t)t[0]->shape[1], panels = linear_padded(rows) / LINEAR_PANEL;
#pragma omp parallel for schedule(static) reduction(| : failed)
    for (size_t p = 0; p < panels; p++) {
        float *to = d->rows + (size_t)omp_get_thread_num() * LINEAR_PANEL * widest;
        size_t first = p * LINEAR_PANEL, count = rows - first < LINEAR_PANEL ? rows - first : LINEAR_PANEL, within = 0;
        for (size_t r = 0; r < count; r++) {
            const struct st_tensor *from = row_of(t, n, first + r, &within);
            failed |= !from || st_to_f32(from, within * cols, cols, to + r * cols, NULL) != 0;
        }
        linear_pack(false, count, cols, to, cols, packed + first * cols);
    }
    CHECK(!failed); /* types and shapes were checked by lm_open */
    return 0;
}

static int load_layer(const struct loader *d, const struct layer_mem *p) {
    const struct lm_config *c = &d->m->c;
    struct spec s[PARTS];
    size_t q = c->H * c->Dh, kv = c->G * c->Dh;
    int rc;
    specs(c, s);
    const char *qkv[] = {s[Q].suffix, s[K].suffix, s[V].suffix};
    if ((rc = load_vector(d, s[ATTN_NORM].suffix, p->attn_norm)) || (rc = load_matrix(d, qkv, 3, p->qkv)) ||
        (rc = load_matrix(d, &s[O].suffix, 1, p->o)) || (rc = load_vector(d, s[MLP_NORM].suffix, p->mlp_norm)) ||
        (rc = load_matrix(d, &s[GATE].suffix, 1, p->gate)) || (rc = load_matrix(d, &s[UP].suffix, 1, p->up)) ||
        (rc = load_matrix(d, &s[DOWN].suffix, 1, p->down)))
        return rc;
    if (c->qkv_bias && ((rc = load_vector(d, s[Q_BIAS].suffix, p->qkv_bias)) ||
                        (rc = load_vector(d, s[K_BIAS].suffix, p->qkv_bias + q)) ||
                        (rc = load_vector(d, s[V_BIAS].suffix, p->qkv_bias + q + kv))))
        return rc;
    if (c->o_bias && (rc = load_vector(d, s[O_BIAS].suffix, p->o_bias))) return rc;
    if (c->mlp_bias && ((rc = load_vector(d, s[GATE_BIAS].suffix, p->gate_bias)) ||
                        (rc = load_vector(d, s[UP_BIAS].suffix, p->up_bias)) ||
                        (rc = load_vector(d, s[DOWN_BIAS].suffix, p->down_bias))))
        return rc;
    return 0;
}

static int load_rope(struct lm_model *m, size_t T, float *table, struct err *e) {
    double *frequency = mem_array(m->c.Dh / 2, sizeof *frequency, "RoPE frequencies", e);
    if (!frequency) return ERR_MEMORY;
    lm_rope_frequencies(&m->c, frequency);
    rope_table(T, m->c.Dh / 2, frequency, table);
    free(frequency);
    m->rope = table;
    m->T = T;
    return 0;
}

int lm_load(struct lm_model *m, size_t n_layers, size_t T, struct err *e) {
    size_t need = 0;
    CHECK(n_layers >= 1 && n_layers <= m->c.L && T >= 1 && T <= m->c.max_T && !m->layer);
    int rc = st_check_finite(m->embed, e);
    if (rc || (rc = arena_init(&m->mem, lm_load_bytes(m, n_layers, T), "model: weights", e))) return rc;
    if (!(m->layer = mem_array(n_layers, sizeof *m->layer, "model: layers", e))) return ERR_MEMORY;
    m->n_layers = n_layers;
    if ((rc = load_rope(m, T, take(&m->mem, T * m->c.Dh, &need), e))) return rc;
    struct loader d = {m, 0, take(&m->mem, threads() * LINEAR_PANEL * widest_row(&m->c), &need), e};
    for (; d.layer < n_layers; d.layer++) {
        struct layer_mem p = take_layer(&m->c, &m->mem, &need);
        if ((rc = load_layer(&d, &p))) return rc;
        m->layer[d.layer] = (struct lm_layer){p.attn_norm, p.qkv,       p.qkv_bias, p.o,       p.o_bias, p.mlp_norm,
                                              p.gate,      p.gate_bias, p.up,       p.up_bias, p.down,   p.down_bias};
    }
    return 0;
}

void lm_close(struct lm_model *m) {
    st_close(m->st);
    free(m->layer);
    arena_free(&m->mem);
    *m = (struct lm_model){0};
}
