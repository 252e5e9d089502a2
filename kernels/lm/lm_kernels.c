/* lm_kernels.c - see lm_kernels.h. */
#include "kernels/lm/lm_kernels.h"

static void rope_each(__typeof__(&rope_ref) one, const struct pass_place *p, size_t H, size_t Dh, float *x, size_t ldx,
                      const float *table) {
    for (size_t i = 0; i < p->n; i++) one(p->start[i + 1] - p->start[i], H, Dh, x + p->start[i] * ldx, ldx, table);
}
void lm_rope_ref(const struct pass_place *p, size_t H, size_t Dh, float *x, size_t ldx, const float *table) {
    rope_each(rope_ref, p, H, Dh, x, ldx, table);
}
static void rope_each_cpu(const struct pass_place *p, size_t H, size_t Dh, float *x, size_t ldx, const float *table) {
    rope_each(rope_cpu, p, H, Dh, x, ldx, table);
}

static void attend_each(__typeof__(&attention_ref) one, const struct pass_place *p, const struct attention *all,
                        float *out, size_t ldo, void *work) {
    for (size_t i = 0; i < p->n; i++) {
        struct attention a = *all;
        size_t first = p->start[i], skip = first * a.ld;
        a.T = p->start[i + 1] - first, a.q += skip, a.k += skip, a.v += skip;
        one(&a, out + first * ldo, ldo, work);
    }
}
void lm_attention_ref(const struct pass_place *p, const struct attention *a, float *out, size_t ldo, void *work) {
    attend_each(attention_ref, p, a, out, ldo, work);
}
static void attend_each_cpu(const struct pass_place *p, const struct attention *a, float *out, size_t ldo, void *work) {
    attend_each(attention_cpu, p, a, out, ldo, work);
}

/* tile_rows: the wide intermediate of so many rows stays in the second-level cache. */
#define DEFINITION(name, definition) .name = definition,
static const struct lm_kernels definitions = {.memory = &memory_host,
                                              .host = &memory_host,
                                              .elem_bytes = sizeof(float),
                                              .tile_rows = 96,
                                              .slots = 1,
                                              LM_OPERATIONS(DEFINITION)};

void lm_kernels_cpu(struct lm_kernels *t) {
    t->linear = linear_cpu;
    t->rmsnorm = rmsnorm_cpu;
    t->layernorm = layernorm_cpu;
    t->rope = rope_each_cpu;
    t->attention = attend_each_cpu;
    t->swiglu = swiglu_cpu;
    t->gelu = gelu_cpu;
    t->logits = linear_cpu;
    t->lse = lse_cpu;
    t->kl = kl_cpu;
}

static const char *missing(const struct lm_kernels *t) {
#define MISSING(name, definition)                                                                                      \
    if (!t->name) return #name;
    LM_OPERATIONS(MISSING)
    return NULL;
}

int lm_kernels_make(const struct backend *b, struct lm_kernels *t, struct err *e) {
    *t = b->device ? (struct lm_kernels){0} : definitions;
    t->name = b->name;
    if (b->lm) b->lm(t);
    return backends_whole(b, missing(t), e);
}

int lm_kernels_get(const char *backend, struct lm_kernels *t, struct err *e) {
    const struct backend *b;
    int rc = backends_open(backend, &b, e);
    return rc ? rc : lm_kernels_make(b, t, e);
}
