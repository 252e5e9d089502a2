/* model.c - see model.h: a folder opened and checked, its weights loaded. */
#include "lib/lm/model.h"

#include <limits.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/base/linear.h"
#include "kernels/lm/rope.h"
#include "lib/file/jsonfile.h"
#include "lib/lm/family.h"
#include "lib/lm/weights.h"

static int open_all(struct lm_model *m, const char *dir, struct err *e) {
    char path[PATH_MAX];
    json_t *root = NULL;
    if ((size_t)snprintf(path, sizeof path, "%s/config.json", dir) >= sizeof path)
        return err_set(e, ERR_RANGE, "%s: path is too long", dir);
    int rc = jsonfile_read(path, &root, e);
    if (rc) return rc;
    rc = lm_config_read(root, path, &m->c, e);
    json_decref(root);
    if (!rc) rc = safetensors_open(&m->st, dir, e);
    if (rc) return rc;
    rc = weights_check(m, e);
    if (rc) return rc;
    m->embed = weights_find(m, LM_EMBED);
    return 0;
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

/* Loading. Both walks over the arena's pieces, measuring (a = NULL) and taking, are one function, so that they cannot
 * disagree. */
static float *take(struct arena *a, size_t n, size_t elem_bytes, size_t *need) {
    size_t bytes = arena_need(n, elem_bytes);
    *need = bytes > SIZE_MAX - *need ? SIZE_MAX : *need + bytes;
    return a ? arena_take(a, n, elem_bytes) : NULL;
}

static float *take_part(const struct lm_config *c, size_t l, enum lm_part part, size_t elem, struct arena *a,
                        size_t *need) {
    const struct lm_shape s = lm_part_shape(c, &c->block[l], part);
    if (!s.outputs) return NULL;
    return s.inputs ? take(a, linear_padded(s.outputs) * s.inputs, elem, need)
                    : take(a, s.outputs, sizeof(float), need);
}

static struct lm_weights take_parts(const struct lm_config *c, size_t l, enum lm_part first, enum lm_part end,
                                    size_t elem, struct arena *a, size_t *need) {
    struct lm_weights w = {0};
    for (enum lm_part p = first; p < end; p++) w.at[p] = take_part(c, l, p, elem, a, need);
    return w;
}

static bool turned(const struct lm_config *c) { return c->block[0].rope.kind != LM_ROPE_NONE; }

/* RoPE's table, W_pos, and the embedding if the back end has its own way with it. SIZE_MAX in need on overflow. */
static void take_outside(struct lm_model *m, const struct lm_kernels *k, size_t T, struct arena *a, size_t *need) {
    const struct lm_config *c = &m->c;
    size_t n = 0, fits = size_product(T, c->D > c->Dh ? c->D : c->Dh, 1, &n);
    if (!fits) *need = SIZE_MAX;
    m->rope = fits && turned(c) ? take(a, T * c->Dh, sizeof(float), need) : NULL;
    m->outside.at[LM_POSITIONS] = fits && c->learned_positions ? take(a, T * c->D, sizeof(float), need) : NULL;
    m->outside.at[LM_EMBED] = k->embed ? take_part(c, 0, LM_EMBED, k->elem_bytes, a, need) : NULL;
}

static size_t widest_row(const struct lm_config *c) {
    size_t q = c->H * c->Dh, w = c->D > q ? c->D : q;
    return c->mlp > w ? c->mlp : w;
}

/* Converted rows before they are packed: a panel per thread. */
static float *panels(size_t widest, struct err *e) {
    return mem_array((size_t)omp_get_max_threads() * LINEAR_PANEL * widest, sizeof(float), "model: rows", e);
}

size_t lm_load_bytes(const struct lm_model *m, const struct lm_kernels *k, size_t n_layers, size_t T) {
    struct lm_model measured = {.c = m->c};
    size_t need = 0;
    if (n_layers > m->c.L) return SIZE_MAX;
    for (size_t l = 0; l < n_layers; l++) take_parts(&m->c, l, 0, LM_LAYER_PARTS, k->elem_bytes, NULL, &need);
    take_outside(&measured, k, T, NULL, &need);
    return need;
}

static int load_positions(struct lm_model *m, size_t T, float *rope, struct err *e) {
    const struct lm_config *c = &m->c;
    m->T = T;
    if (c->learned_positions) {
        const struct safetensors_tensor *t = weights_find(m, LM_POSITIONS);
        int rc = safetensors_check_finite(t, e);
        if (!rc) rc = safetensors_to_f32(t, 0, T * c->D, m->outside.at[LM_POSITIONS], e);
        if (rc) return rc;
    }
    if (!rope) return 0;
    double *frequency = mem_array(c->Dh / 2, sizeof *frequency, "RoPE frequencies", e);
    if (!frequency) return ERR_MEMORY;
    lm_rope_frequencies(&c->block[0].rope, c->Dh, frequency);
    rope_table(T, c->Dh / 2, frequency, rope);
    free(frequency);
    return 0;
}

static int load_all(struct lm_model *m, const struct weights_loader *d) {
    const struct lm_weights table = {.at[LM_EMBED] = m->outside.at[LM_EMBED]};
    size_t need = 0;
    int rc = weights_load(d, 0, &table);
    for (size_t l = 0; !rc && l < m->n_layers; l++) {
        m->layer[l] = take_parts(&m->c, l, 0, LM_LAYER_PARTS, d->k->elem_bytes, &m->mem, &need);
        rc = weights_load(d, l, &m->layer[l]);
    }
    return rc;
}

int lm_load(struct lm_model *m, const struct lm_kernels *k, size_t n_layers, size_t T, struct err *e) {
    size_t need = 0;
    CHECK(n_layers >= 1 && n_layers <= m->c.L && T >= 1 && T <= m->c.max_T && !m->layer);
    int rc = safetensors_check_finite(m->embed, e);
    if (!rc) rc = arena_init_in(&m->mem, k->memory, lm_load_bytes(m, k, n_layers, T), "model: weights", e);
    if (rc) return rc;
    if (!(m->layer = mem_array(n_layers, sizeof *m->layer, "model: layers", e))) return ERR_MEMORY;
    m->n_layers = n_layers;
    take_outside(m, k, T, &m->mem, &need);
    rc = load_positions(m, T, m->rope, e);
    if (rc) return rc;
    const struct weights_loader d = {m, k, panels(widest_row(&m->c), e), widest_row(&m->c), e};
    if (!d.rows) return ERR_MEMORY;
    rc = load_all(m, &d);
    free(d.rows);
    return rc;
}

size_t lm_head_bytes(const struct lm_model *m, const struct lm_kernels *k) {
    size_t need = 0;
    take_parts(&m->c, 0, LM_FINAL_NORM, LM_PARTS, k->elem_bytes, NULL, &need);
    return need;
}

int lm_load_head(struct lm_model *m, const struct lm_kernels *k, struct err *e) {
    size_t need = 0;
    CHECK(!m->outside.at[LM_UNEMBED]);
    int rc = arena_init_in(&m->head_mem, k->memory, lm_head_bytes(m, k), "model: head", e);
    if (rc) return rc;
    struct lm_weights w = take_parts(&m->c, 0, LM_FINAL_NORM, LM_PARTS, k->elem_bytes, &m->head_mem, &need);
    const struct weights_loader d = {m, k, panels(m->c.D, e), m->c.D, e};
    if (!d.rows) return ERR_MEMORY;
    rc = weights_load(&d, 0, &w);
    free(d.rows);
    for (enum lm_part p = LM_FINAL_NORM; !rc && p < LM_PARTS; p++) m->outside.at[p] = w.at[p];
    return rc;
}

void lm_close(struct lm_model *m) {
    safetensors_close(m->st);
    free(m->layer);
    arena_free(&m->mem);
    arena_free(&m->head_mem);
    lm_config_free(&m->c);
    *m = (struct lm_model){0};
}
