/* sae_kernel_cases.h - the cases of the operations of an SAE's step, for every back end; see kernel_cases.h.
 *
 * A case is a batch with its entries and an SAE that is being trained, once in the definitions' memory and once in the back end's, from
 * the same numbers. Each operation is run on both; before the next the back end is given the definitions' results, so that errors do
 * not add up. An array's error is |got - want| / |want| as a whole. Sums of at most B + D terms err by (B + D) u of their size; gradients
 * enter a second moment squared and an update through its root: 4 (B + D + 16) u. In bf16 every term may be off by 2^-8. */
#ifndef SAEMILL_SAE_KERNEL_CASES_H
#define SAEMILL_SAE_KERNEL_CASES_H

#include <stdlib.h>

#include "kernels/sae/sae_kernels.h"
#include "tests/kernel_cases.h"

struct sae_shape {
    size_t B, D, F;
    bool lazy;
    float beta1, pre_act;
    bool nested;        /* also the first third of the features, and all but the last, as views */
    enum sae_arch arch; /* each in turn */
};

/* What is in a case: floats, but for those that are named _U32 and _F64. */
enum sae_array {
    SAE_X,
    SAE_W_ENC,
    SAE_W_DEC,
    SAE_B_ENC,
    SAE_B_DEC,
    SAE_THETA,
    SAE_V_ENC,
    SAE_V_DEC,
    SAE_V_B,
    SAE_V_B_DEC,
    SAE_V_THETA,
    SAE_M_ENC,
    SAE_M_DEC,
    SAE_M_B,
    SAE_M_B_DEC,
    SAE_M_THETA,
    SAE_MEAN,
    SAE_FEAT_U32,
    SAE_PRE,
    SAE_G,
    SAE_Z,
    SAE_DPRE,
    SAE_DTHETA,
    SAE_FIRST_F64,
    SAE_ROW_U32,
    SAE_ENTRY_U32,
    SAE_PLACE_U32,
    SAE_IDLE_U32,
    SAE_GB_DEC_F64,
    SAE_ALL_PRE,
    SAE_ALL_Z,
    SAE_ALL_G,
    SAE_R,
    SAE_G_B,
    SAE_G_THETA,
    SAE_FIRED_U32,
    SAE_KEPT_U32,
    SAE_G_ENC,
    SAE_G_DEC,
    SAE_ARRAYS
};

struct sae_case {
    const struct sae_kernels *k;
    struct sae_shape s;
    struct case_array at[SAE_ARRAYS], rows, sums;
    size_t n;
    struct active a;
    struct byfeature by;
    struct activation act;
    struct sae_views views;
    struct adam o;
    struct sae_arrays p, v, m, g;
};

static inline float *sae_f(const struct sae_case *c, enum sae_array i) { return (float *)(void *)c->at[i].at; }
static inline uint32_t *sae_u(const struct sae_case *c, enum sae_array i) { return (uint32_t *)(void *)c->at[i].at; }
static inline struct sae_row_sums *sae_sums(const struct sae_case *c) { return (void *)c->sums.at; }

/* Feature f is an entry of row b: no row is like its neighbour, some are empty, every fifth feature is silent. */
static inline bool sae_keeps(const struct sae_shape *s, size_t b, size_t f) {
    if (s->F == 1) return true;
    return f % 5 != 4 && b % 7 != 3 && rng_uniform(2, 30, b * s->F + f) < 0.2 + 0.3 * (double)(b % 3);
}

/* Entries lie on the threshold, on the edges of its band, inside and above. */
static inline float sae_pre(const struct sae_case *c, size_t b, size_t f) {
    const float half = 0.5f * c->act.parameter[ACTIVATION_EPSILON], theta = sae_f(c, SAE_THETA)[f];
    if (!activation_row(c->s.arch)->theta)
        return (float)fabs(rng_normal(2, 31, b * c->s.F + f)) + (f % 3 ? 0 : FLT_MIN);
    switch ((b + f) % 5) {
    case 0:
        return theta;
    case 1:
        return theta + half;
    case 2:
        return theta + half * (float)(2 * rng_uniform(2, 32, b * c->s.F + f) - 1) * 0.99f;
    default:
        return theta + (float)fabs(rng_normal(2, 33, b * c->s.F + f));
    }
}

static inline void sae_case_make(struct sae_case *c, const struct sae_kernels *k, const struct sae_shape *s) {
    const size_t B = s->B, D = s->D, F = s->F;
    const bool thresholds = activation_row(s->arch)->theta;
    *c = (struct sae_case){.k = k, .s = *s, .act = {s->arch, {[ACTIVATION_EPSILON] = 0.1f}, 0.3f / (float)B}};
    c->views = (struct sae_views){s->nested ? 3 : 1, {{1, (uint32_t)F}, {0.5f, (uint32_t)F / 3}, {2, (uint32_t)F - 1}}};
    for (size_t b = 0; b < B; b++)
        for (size_t f = 0; f < F; f++) c->n += sae_keeps(s, b, f);
    size_t many[SAE_ARRAYS];
    for (int i = 0; i < SAE_ARRAYS; i++) many[i] = c->n ? c->n : 1;
    many[SAE_X] = many[SAE_R] = B * D, many[SAE_G] = c->views.n * B * D;
    many[SAE_W_ENC] = many[SAE_W_DEC] = many[SAE_V_ENC] = many[SAE_V_DEC] = many[SAE_M_ENC] = many[SAE_M_DEC] =
        many[SAE_G_ENC] = many[SAE_G_DEC] = F * D;
    many[SAE_B_ENC] = many[SAE_THETA] = many[SAE_V_B] = many[SAE_V_THETA] = many[SAE_M_B] = many[SAE_M_THETA] =
        many[SAE_IDLE_U32] = many[SAE_G_B] = many[SAE_G_THETA] = many[SAE_FIRED_U32] = F;
    many[SAE_B_DEC] = many[SAE_V_B_DEC] = many[SAE_M_B_DEC] = many[SAE_MEAN] = many[SAE_GB_DEC_F64] = D;
    many[SAE_FIRST_F64] = F + 1, many[SAE_PLACE_U32] = BYFEATURE_SLICES * F, many[SAE_KEPT_U32] = B;
    many[SAE_ALL_PRE] = many[SAE_ALL_Z] = many[SAE_ALL_G] = B * F;
    for (int i = 0; i < SAE_ARRAYS; i++) {
        const bool wide = i == SAE_GB_DEC_F64 || i == SAE_FIRST_F64;
        c->at[i] = case_room(k->memory, many[i], wide ? 8 : 4);
        for (size_t j = 0; j < many[i] && !wide; j++)
            sae_f(c, (enum sae_array)i)[j] = (float)rng_normal(1, (uint64_t)i, j);
    }
    c->rows = case_room(k->memory, B + 1, sizeof(size_t)), c->sums = case_room(k->memory, B, sizeof *sae_sums(c));
    for (size_t i = 0; i < F; i++) {
        double norm = 0;
        for (size_t d = 0; d < D; d++) norm += pow((double)sae_f(c, SAE_W_DEC)[i * D + d], 2);
        for (size_t d = 0; d < D; d++) sae_f(c, SAE_W_DEC)[i * D + d] /= (float)sqrt(norm);
        sae_f(c, SAE_THETA)[i] = thresholds ? 0.2f + 0.1f * (float)(i % 4) : 0,
                 sae_u(c, SAE_IDLE_U32)[i] = (uint32_t)(i % 11);
        sae_u(c, SAE_FIRED_U32)[i] = 1 + (uint32_t)(i % 3);
        if (F == 1 || i % 5 != 4) continue;
        sae_u(c, SAE_FIRED_U32)[i] = 0; /* a silent feature has no gradients */
        for (size_t d = 0; d < D; d++) sae_f(c, SAE_G_ENC)[i * D + d] = sae_f(c, SAE_G_DEC)[i * D + d] = 0;
        sae_f(c, SAE_G_B)[i] = sae_f(c, SAE_G_THETA)[i] = 0;
    }
    for (enum sae_array i = SAE_V_ENC; i <= SAE_V_THETA; i++) /* second moments are those of gradients like these */
        for (size_t j = 0; j < many[i]; j++) sae_f(c, i)[j] = 0.1f + sae_f(c, i)[j] * sae_f(c, i)[j];
    c->a = (struct active){.B = B, .cap = c->n, .n = c->n, .row = (size_t *)(void *)c->rows.at};
    c->a.feat = sae_u(c, SAE_FEAT_U32), c->a.pre = sae_f(c, SAE_PRE);
    c->n = 0;
    for (size_t b = 0; b < B; b++) {
        c->a.row[b] = c->n;
        for (size_t f = 0; f < F; f++) {
            const float pre = sae_pre(c, b, f);
            const bool keeps = sae_keeps(s, b, f);
            if (keeps) c->a.feat[c->n] = (uint32_t)f, c->a.pre[c->n++] = pre;
            sae_f(c, SAE_ALL_PRE)[b * F + f] = keeps ? pre : -pre;
        }
    }
    c->a.row[B] = c->n;
    c->by = (struct byfeature){F,
                               c->n,
                               (size_t *)(void *)c->at[SAE_FIRST_F64].at,
                               sae_u(c, SAE_ROW_U32),
                               sae_u(c, SAE_ENTRY_U32),
                               sae_u(c, SAE_PLACE_U32)};
    c->o = (struct adam){.rate = 0.05f, .guard = 1e-6f, .beta1 = s->beta1, .rest1 = 1 - s->beta1, .beta2 = 0.99f};
    c->o.rest2 = 1 - c->o.beta2, c->o.lazy = s->lazy, c->o.pre_act = s->pre_act;
    c->o.pre_theta = thresholds ? s->pre_act : 0, c->o.window = 4, c->o.mean = sae_f(c, SAE_MEAN);
    c->p = (struct sae_arrays){sae_f(c, SAE_W_ENC), sae_f(c, SAE_W_DEC), sae_f(c, SAE_B_ENC), sae_f(c, SAE_B_DEC),
                               sae_f(c, SAE_THETA)};
    c->v = (struct sae_arrays){sae_f(c, SAE_V_ENC), sae_f(c, SAE_V_DEC), sae_f(c, SAE_V_B), sae_f(c, SAE_V_B_DEC),
                               sae_f(c, SAE_V_THETA)};
    if (s->beta1 > 0)
        c->m = (struct sae_arrays){sae_f(c, SAE_M_ENC), sae_f(c, SAE_M_DEC), sae_f(c, SAE_M_B), sae_f(c, SAE_M_B_DEC),
                                   sae_f(c, SAE_M_THETA)};
    c->g =
        (struct sae_arrays){sae_f(c, SAE_G_ENC), sae_f(c, SAE_G_DEC), sae_f(c, SAE_G_B), NULL, sae_f(c, SAE_G_THETA)};
}

static inline void sae_case_give(struct sae_case *c) {
    for (int i = 0; i < SAE_ARRAYS; i++) case_give(&c->at[i]);
    case_give(&c->rows), case_give(&c->sums);
}

/* The operations, as a table's caller calls them. */
static inline void sae_run_sort(struct sae_case *c) { c->k->sort(&c->by, &c->a); }
static inline void sae_run_residual(struct sae_case *c) {
    const struct residual r = {.B = c->s.B,
                               .D = c->s.D,
                               .F = c->s.F,
                               .act = c->act,
                               .views = c->views,
                               .a = c->a,
                               .x = sae_f(c, SAE_X),
                               .W_dec = c->p.W_dec,
                               .b_dec = c->p.b_dec,
                               .theta = c->p.theta,
                               .G = sae_f(c, SAE_G),
                               .z = sae_f(c, SAE_Z),
                               .dpre = sae_f(c, SAE_DPRE),
                               .dtheta = sae_f(c, SAE_DTHETA),
                               .sums = sae_sums(c)};
    c->k->residual(&r);
}
static inline struct adam_state sae_adam(const struct sae_case *c) {
    return (struct adam_state){.D = c->s.D,
                               .F = c->s.F,
                               .o = c->o,
                               .p = c->p,
                               .v = c->v,
                               .m = c->m,
                               .gb_dec = (double *)(void *)c->at[SAE_GB_DEC_F64].at,
                               .steps_idle = sae_u(c, SAE_IDLE_U32)};
}
static inline void sae_run_adam_sparse(struct sae_case *c) {
    const struct adam_state s = sae_adam(c);
    const struct adam_entries e = {.B = c->s.B,
                                   .views = c->views,
                                   .xc = sae_f(c, SAE_X),
                                   .G = sae_f(c, SAE_G),
                                   .by = c->by,
                                   .z = sae_f(c, SAE_Z),
                                   .dpre = sae_f(c, SAE_DPRE),
                                   .dtheta = sae_f(c, SAE_DTHETA)};
    c->k->adam_sparse(&s, &e);
}
static inline struct dense sae_dense(const struct sae_case *c) {
    return (struct dense){.n = c->s.B,
                          .F = c->s.F,
                          .act = c->act,
                          .theta = c->p.theta,
                          .pre = sae_f(c, SAE_ALL_PRE),
                          .z = sae_f(c, SAE_ALL_Z),
                          .g = sae_f(c, SAE_ALL_G),
                          .g_b = sae_f(c, SAE_G_B),
                          .g_theta = sae_f(c, SAE_G_THETA),
                          .fired = sae_u(c, SAE_FIRED_U32),
                          .sums = sae_sums(c),
                          .kept = sae_u(c, SAE_KEPT_U32)};
}
static inline void sae_run_activate(struct sae_case *c) {
    const struct dense d = sae_dense(c);
    c->k->activate(&d);
}
/* The last of the views; its loss comes on top of what is there. */
static inline void sae_run_dense_residual(struct sae_case *c) {
    const struct dense d = sae_dense(c);
    c->k->dense_residual(&d, c->s.B, c->s.D, &c->views.at[c->views.n - 1], sae_f(c, SAE_X), c->p.b_dec,
                         sae_f(c, SAE_R));
}
static inline void sae_run_gradient(struct sae_case *c) {
    const struct dense d = sae_dense(c);
    c->k->gradient(&d);
}
static inline void sae_run_adam_dense(struct sae_case *c) {
    const struct adam_state s = sae_adam(c);
    c->k->adam_dense(&s, &c->g, sae_u(c, SAE_FIRED_U32));
}

static inline bool sae_exact(int i) {
    return i == SAE_FEAT_U32 || i == SAE_FIRST_F64 || i == SAE_ROW_U32 || i == SAE_ENTRY_U32 || i == SAE_IDLE_U32 ||
           i == SAE_FIRED_U32 || i == SAE_KEPT_U32 || i == SAE_Z || i == SAE_ALL_Z;
}

/* Run one operation on both; every array is compared, those too that it must leave alone, and `of` is then made equal to `ref`. */
static inline void sae_compare(void (*run)(struct sae_case *), struct sae_case *ref, struct sae_case *of, double limit,
                               struct case_worst *worst) {
    struct err e = {0};
    double share = 0;
    int where = 0;
    run(ref), run(of);
    CHECK(of->k->finish(&e) == 0);
    for (int i = 0; i < SAE_ARRAYS; i++) {
        const struct case_array *a = &of->at[i], *b = &ref->at[i];
        const bool gradient = i == SAE_G_ENC || i == SAE_G_DEC || i == SAE_G_B || i == SAE_G_THETA,
                   scratch = i == SAE_PLACE_U32 || (gradient && run == sae_run_adam_dense), same = sae_exact(i);
        double d = 0, m = 0;
        for (size_t j = 0; j < a->n && !same && !scratch; j++) {
            const double x = case_at(a, j), y = case_at(b, j);
            d += (x - y) * (x - y), m += y * y;
        }
        double off = scratch ? 0
                     : same  ? (memcmp(a->at, b->at, a->n * a->each) ? INFINITY : 0)
                             : sqrt(d / (m > 0 ? m : 1)) / limit;
        if (isnan(off)) off = INFINITY;
        if (off > share) share = off, where = i;
        memcpy(a->at, b->at, a->n * a->each);
    }
    for (size_t b = 0; b < of->s.B; b++) {
        const struct sae_row_sums *x = &sae_sums(of)[b], *y = &sae_sums(ref)[b];
        if (x->l0 != y->l0) share = INFINITY;
        if (memcmp(&x->loss, &y->loss, 8)) share = fmax(share, fabs(x->loss / y->loss - 1) / limit);
        if (memcmp(&x->penalty, &y->penalty, 8)) share = fmax(share, fabs(x->penalty / y->penalty - 1) / limit);
    }
    memcpy(of->sums.at, ref->sums.at, of->sums.n * of->sums.each);
    case_note(worst, share, "B %zu D %zu F %zu, %s, array %d", of->s.B, of->s.D, of->s.F,
              activation_row(of->s.arch)->name, where);
}

/* large: sizes of models too, for a GPU */
static inline void sae_kernel_cases(const struct sae_kernels *k, bool large) {
    static const struct sae_shape shapes[] = {{1, 1, 1, .beta1 = 0},
                                              {1, 31, 33, .beta1 = 0.9f},
                                              {31, 33, 32, .lazy = true},
                                              {3, 7, 41, .beta1 = 0.9f, .lazy = true, .nested = true},
                                              {57, 33, 300, .pre_act = 4e-3f, .nested = true},
                                              {300, 33, 60, .beta1 = 0.9f},
                                              {32, 1000, 33, .lazy = true},
                                              {33, 32, 1000, .beta1 = 0, .nested = true},
                                              {57, 33, 300, .lazy = true, .pre_act = 4e-3f},
                                              {9, 8, 2500, .beta1 = 0},
                                              {200, 3584, 512, .beta1 = 0}};
    static const struct {
        const char *name;
        void (*run)(struct sae_case *);
        bool bf16; /* its terms are rounded to it */
    } op[] = {{"sort", sae_run_sort, false},
              {"decode, residual, sampled gradient", sae_run_residual, true},
              {"Adam, sparse", sae_run_adam_sparse, true},
              {"activation, dense", sae_run_activate, false},
              {"residual, dense", sae_run_dense_residual, false},
              {"gradient, dense", sae_run_gradient, false},
              {"Adam, dense", sae_run_adam_dense, false}};
    enum { OPS = sizeof op / sizeof *op, SHAPES = sizeof shapes / sizeof *shapes };
    struct case_worst worst[OPS] = {{0}};
    const struct sae_kernels *ref = sae_kernels_get("ref");
    const struct backend *b;
    CHECK(ref && backends_open(k->name, &b, NULL) == 0);
    for (size_t i = 0; i < SAE_ARCHS * (size_t)(large ? SHAPES : SHAPES - 1); i++) {
        struct sae_shape s = shapes[i / SAE_ARCHS];
        struct sae_case want, got;
        const double u = 4 * (double)(s.B + s.D + 16) * CASE_U;
        s.arch = (enum sae_arch)(i % SAE_ARCHS);
        sae_case_make(&want, ref, &s), sae_case_make(&got, k, &s);
        for (int o = 0; o < OPS; o++)
            sae_compare(op[o].run, &want, &got,
                        u + (op[o].bf16 && b->precision == PRECISION_BF16 ? 4 * CASE_HALF_U : 0), &worst[o]);
        sae_case_give(&want), sae_case_give(&got);
    }
    for (int o = 0; o < OPS; o++) case_tell(k->name, op[o].name, &worst[o]);
}

#endif
