/* weights.c - see weights.h. */
#include "lib/lm/weights.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "kernels/base/linear.h"
#include "lib/lm/family.h"

/* What a tensor holds: outputs `first` and on of a part, and its shape in the file. */
struct place {
    size_t first, inputs; /* inputs 0: a vector */
    int n_dims;
    int64_t shape[3]; /* [0] = 0: the model has no such part */
};

static struct place place_of(const struct lm_config *c, const struct lm_block *b, const struct lm_tensor *t) {
    const struct lm_shape s = lm_part_shape(c, b, t->part);
    const int64_t heads = (int64_t)(t->piece == LM_K || t->piece == LM_V ? c->G : c->H), Dh = (int64_t)c->Dh,
                  in = (int64_t)s.inputs, out = t->piece == LM_WHOLE ? (int64_t)s.outputs : heads * Dh;
    const size_t first[] = {[LM_WHOLE] = 0, [LM_Q] = 0, [LM_K] = c->H * c->Dh, [LM_V] = (c->H + c->G) * c->Dh};
    struct place p = {.first = first[t->piece], .inputs = s.inputs};
    if (!s.outputs || (t->part == LM_UNEMBED && c->tied)) return p;
    if (t->stored == LM_HEADS) {
        p.n_dims = in ? 3 : 2, p.shape[0] = heads;
        p.shape[1] = in ? in : Dh, p.shape[2] = in ? Dh : 0;
    } else if (t->stored == LM_HEADS_IN)
        p.n_dims = 3, p.shape[0] = heads, p.shape[1] = Dh, p.shape[2] = out;
    else
        p.n_dims = in ? 2 : 1, p.shape[0] = in && t->stored == LM_COLUMNS ? in : out,
        p.shape[1] = !in                       ? 0
                     : t->stored == LM_COLUMNS ? out
                                               : in;
    return p;
}

static void whole_name(const struct lm_config *c, size_t l, const struct lm_tensor *t, char name[128]) {
    if (t->part < LM_LAYER_PARTS)
        snprintf(name, 128, "%s%zu.%s", c->family->layers, l, t->name);
    else
        snprintf(name, 128, "%s", t->name);
}

/* A tensor of the wanted shape, in one of the types that hold weights. */
static int check_tensor(const struct lm_model *m, size_t l, const struct lm_tensor *s, struct err *e) {
    const struct safetensors_tensor *t;
    const struct place p = place_of(&m->c, &m->c.block[l], s);
    char name[128];
    whole_name(&m->c, l, s, name);
    int rc = p.n_dims ? safetensors_get(m->st, name, -1, p.n_dims, p.shape, &t, e) : 0;
    if (rc || !p.n_dims || t->dtype == ST_BF16 || t->dtype == ST_F16 || t->dtype == ST_F32) return rc;
    err_set(e, ERR_UNSUPPORTED, "%s: %s: want BF16, F16 or F32, got %s", t->path, name,
            safetensors_dtype_name(t->dtype));
    return err_hint(e, "convert the checkpoint to one of these types; quantised weights are not read");
}

/* Does the network have a place for this tensor? */
static bool has_place(const struct lm_config *c, const char *name) {
    const struct lm_family *f = c->family;
    size_t l = 0, skip = strlen(f->layers);
    int end = 0;
    if (strncmp(name, f->prefix, strlen(f->prefix))) return true;
    bool in_layer = !strncmp(name, f->layers, skip) && sscanf(name + skip, "%zu.%n", &l, &end) == 1 && end && l < c->L;
    const struct lm_block *b = &c->block[in_layer ? l : 0];
    if (in_layer) name += skip + (size_t)end;
    for (int i = 0; in_layer && f->ignored[i]; i++)
        if (!strcmp(name, f->ignored[i])) return true;
    for (const struct lm_tensor *t = f->tensor; t->name; t++)
        if (in_layer == (t->part < LM_LAYER_PARTS) && !strcmp(name, t->name) && place_of(c, b, t).n_dims) return true;
    return false;
}

int weights_check(const struct lm_model *m, struct err *e) {
    const struct lm_tensor *const table = m->c.family->tensor;
    int rc = 0;
    for (const struct lm_tensor *t = table; !rc && t->name; t++)
        if (t->part >= LM_LAYER_PARTS) rc = check_tensor(m, 0, t, e);
    for (size_t l = 0; l < m->c.L; l++)
        for (const struct lm_tensor *t = table; !rc && t->name; t++)
            if (t->part < LM_LAYER_PARTS) rc = check_tensor(m, l, t, e);
    if (rc) return rc;
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

const struct safetensors_tensor *weights_find(const struct lm_model *m, enum lm_part part) {
    const struct lm_tensor *t = m->c.family->tensor;
    while (t->name && t->part != part) t++;
    CHECK(t->name);
    return safetensors_find(m->st, t->name);
}

/* Outputs n .. end-1 of a tensor taken as [heads, K, width] as rows [end-n, K]: a run of neighbouring outputs of one
 * head lies together in the file, once for every input. */
static int rows_of_columns(const struct safetensors_tensor *t, size_t K, size_t width, size_t n, size_t end,
                           float *rows) {
    float part[LINEAR_PANEL];
    int failed = 0;
    for (size_t run; n < end; n += run, rows += run * K) {
        size_t head = n / width, column = n % width;
        run = width - column < end - n ? width - column : end - n;
        for (size_t k = 0; k < K; k++) {
            failed |= safetensors_to_f32(t, (head * K + k) * width + column, run, part, NULL) != 0;
            for (size_t j = 0; j < run; j++) rows[j * K + k] = part[j];
        }
    }
    return failed;
}

/* The tensor's outputs become outputs `first` and on of the part. */
static void pack(const struct weights_loader *d, const struct safetensors_tensor *t, const struct place *p, bool rows,
                 float *packed) {
    size_t K = p->inputs, count = t->n_elems / K, panels = linear_padded(count) / LINEAR_PANEL,
           width = (size_t)t->shape[t->n_dims - 1];
    int failed = 0;
#pragma omp parallel for schedule(static) reduction(| : failed)
    for (size_t i = 0; i < panels; i++) {
        float *to = d->rows + (size_t)omp_get_thread_num() * LINEAR_PANEL * d->widest;
        size_t n = i * LINEAR_PANEL, end = n + LINEAR_PANEL < count ? n + LINEAR_PANEL : count;
        if (rows)
            failed |= safetensors_to_f32(t, n * K, (end - n) * K, to, NULL) != 0;
        else
            failed |= rows_of_columns(t, K, width, n, end, to);
        d->k->pack(p->first + n, end - n, K, to, packed);
    }
    CHECK(!failed); /* types and shapes were checked by lm_open */
}

static int load_one(const struct weights_loader *d, size_t l, const struct lm_tensor *s, float *to) {
    const struct place p = place_of(&d->m->c, &d->m->c.block[l], s);
    char name[128];
    if (!p.n_dims) return 0;
    whole_name(&d->m->c, l, s, name);
    const struct safetensors_tensor *t = safetensors_find(d->m->st, name);
    CHECK(t); /* lm_open saw it */
    int rc = safetensors_check_finite(t, d->e);
    if (rc || !p.inputs) return rc ? rc : safetensors_to_f32(t, 0, t->n_elems, to + p.first, d->e);
    pack(d, t, &p, s->stored == LM_ROWS, to);
    return 0;
}

int weights_load(const struct weights_loader *d, size_t l, const struct lm_weights *to) {
    int rc = 0;
    for (const struct lm_tensor *t = d->m->c.family->tensor; !rc && t->name; t++) {
        bool head = t->part == LM_EMBED && d->m->c.tied && to->at[LM_UNEMBED];
        if (to->at[t->part]) rc = load_one(d, l, t, to->at[t->part]);
        if (!rc && head) rc = load_one(d, l, t, to->at[LM_UNEMBED]);
    }
    return rc;
}
