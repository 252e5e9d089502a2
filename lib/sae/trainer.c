/* trainer.c - see trainer.h. */
#include "lib/sae/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/rng.h"

enum { DENSE_ROWS = 512 };

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t capacity(const struct trainer_config *c, const struct sae_kernels *k) {
    double cap = k->sparse_share * (double)c->B * (double)c->F;
    return (size_t)cap + c->F;
}

static size_t arrays_need(const struct trainer_config *c) {
    size_t rows = arena_need(c->D * c->F, sizeof(float));
    size_t n = 2 * rows + 2 * arena_need(c->F, sizeof(float)) + arena_need(c->D, sizeof(float));
    return rows == SIZE_MAX ? SIZE_MAX : n;
}

static struct sae_arrays arrays_take(struct arena *a, const struct trainer_config *c) {
    struct sae_arrays s;
    s.W_enc = arena_take(a, c->D * c->F, sizeof(float));
    s.W_dec = arena_take(a, c->D * c->F, sizeof(float));
    s.b_enc = arena_take(a, c->F, sizeof(float));
    s.b_dec = arena_take(a, c->D, sizeof(float));
    s.theta = arena_take(a, c->F, sizeof(float));
    return s;
}

static size_t state_need(const struct trainer_config *c) {
    return (c->beta1 > 0 ? 3 : 2) * arrays_need(c) + arena_need(c->F, sizeof(uint32_t));
}

static size_t scratch_need(const struct trainer_config *c, size_t cap) {
    return arena_need(c->B * c->D, sizeof(float)) + arena_need(c->views.n * c->B * c->D, sizeof(float)) +
           arena_need(c->D, sizeof(float)) + arena_need(c->F, sizeof(float)) + 3 * arena_need(cap, sizeof(float)) +
           arena_need(c->D, sizeof(double)) + arena_need(c->B, sizeof(struct sae_row_sums)) + active_need(c->B, cap) +
           byfeature_need(c->F, cap);
}

static size_t dense_need(const struct trainer_config *c) {
    return arrays_need(c) + 2 * arena_need(smaller(DENSE_ROWS, c->B) * c->F, sizeof(float)) +
           arena_need(c->F, sizeof(uint32_t)) + arena_need(smaller(DENSE_ROWS, c->B), sizeof(uint32_t)) +
           arena_need(smaller(DENSE_ROWS, c->B) * c->F, sizeof(float));
}

/* The configuration with its views written out. */
static struct trainer_config with_views(const struct trainer_config *given) {
    struct trainer_config c = *given;
    if (!c.views.n) c.views = (struct sae_views){1, {{1, (uint32_t)c.F}}};
    CHECK(c.views.n <= SAE_VIEWS && c.views.at[0].features >= c.F);
    return c;
}

size_t trainer_bytes(const struct trainer_config *given, const struct sae_kernels *k) {
    const struct trainer_config all = with_views(given), *c = &all;
    size_t DF, BF, cap = capacity(c, k);
    if (!size_product(c->D, c->F, 64, &DF) || !size_product(c->B, SAE_VIEWS * c->F, 64, &BF)) return SIZE_MAX;
    return state_need(c) + scratch_need(c, cap) + dense_need(c) + k->scratch_bytes(c->B, c->D, c->F) +
           (c->views.n - 1) * c->B * c->D * sizeof(float); /* as a back end may copy G */
}

/* The decoder row that feature f starts with. */
static void first_direction(const struct trainer_config *c, size_t f, float *w) {
    double norm2 = 0;
    for (size_t d = 0; d < c->D; d++) {
        double u = 2 * rng_uniform(c->seed, 0x696e6974, f * c->D + d) - 1;
        w[d] = (float)u, norm2 += u * u;
    }
    for (size_t d = 0; d < c->D; d++) w[d] = (float)((double)w[d] / sqrt(norm2));
}

int trainer_unturned(const struct trainer_config *c, const float *W_dec, double *share, struct err *e) {
    float *first = mem_array(c->D, sizeof *first, "trainer: a first direction", e);
    size_t n = 0;
    if (!first) return ERR_MEMORY;
    for (size_t f = 0; f < c->F; f++) {
        double dot = 0, norm2 = 0;
        const float *w = W_dec + f * c->D;
        first_direction(c, f, first);
        for (size_t d = 0; d < c->D; d++) dot += (double)w[d] * (double)first[d], norm2 += (double)w[d] * (double)w[d];
        n += dot > 0.5 * sqrt(norm2);
    }
    free(first);
    *share = (double)n / (double)c->F;
    return 0;
}

static void initial_weights(struct trainer *tr) {
    const struct trainer_config *c = &tr->c;
    const float first_theta = activation_row(c->arch)->theta ? c->parameter[ACTIVATION_THETA_INIT] : 0;
#pragma omp parallel for schedule(static)
    for (size_t f = 0; f < c->F; f++) {
        float *w = tr->p.W_dec + f * c->D;
        first_direction(c, f, w);
        float *enc = tr->p.W_enc + f * c->D;
        for (size_t d = 0; d < c->D; d++)
            enc[d] = c->init == TRAINER_START_KAIMING
                         ? (float)(sqrt(6 / (double)c->D) * (2 * rng_uniform(c->seed, 0x6b61696d, f * c->D + d) - 1))
                         : w[d];
        tr->p.theta[f] = first_theta;
    }
}

int trainer_init(struct trainer *tr, const struct trainer_config *given, const struct sae_kernels *k, struct err *e) {
    *tr = (struct trainer){.c = with_views(given), .k = k, .scale = 1};
    const struct trainer_config *c = &tr->c;
    if (trainer_bytes(c, k) == SIZE_MAX)
        return err_set(e, ERR_MEMORY, "trainer: width %zu x batch %zu overflows", c->F, c->B);
    size_t cap = capacity(c, k);
    int rc = arena_init_in(&tr->state, k->memory, state_need(c), "trainer: parameters and moments", e);
    if (!rc) rc = arena_init_in(&tr->scratch, k->memory, scratch_need(c, cap), "trainer: one batch", e);
    if (rc) {
        trainer_free(tr);
        return rc;
    }
    tr->p = arrays_take(&tr->state, c);
    tr->v = arrays_take(&tr->state, c);
    if (c->beta1 > 0) tr->m = arrays_take(&tr->state, c);
    tr->steps_idle = arena_take(&tr->state, c->F, sizeof(uint32_t));
    tr->xc = arena_take(&tr->scratch, c->B * c->D, sizeof(float));
    tr->G = arena_take(&tr->scratch, c->views.n * c->B * c->D, sizeof(float));
    tr->mean = arena_take(&tr->scratch, c->D, sizeof(float));
    tr->low = arena_take(&tr->scratch, c->F, sizeof(float));
    tr->z = arena_take(&tr->scratch, cap, sizeof(float));
    tr->dpre = arena_take(&tr->scratch, cap, sizeof(float));
    tr->dtheta = arena_take(&tr->scratch, cap, sizeof(float));
    tr->gb_dec = arena_take(&tr->scratch, c->D, sizeof(double));
    tr->sums = arena_take(&tr->scratch, c->B, sizeof *tr->sums);
    active_take(&tr->active, c->B, cap, &tr->scratch);
    byfeature_take(&tr->by, c->F, cap, &tr->scratch);
    tr->last_entries = SIZE_MAX; /* the first step cannot know: take the dense path, which counts */
    initial_weights(tr);
    return 0;
}

void trainer_free(struct trainer *tr) {
    active_drop(&tr->active);
    arena_free(&tr->state);
    arena_free(&tr->scratch);
    arena_free(&tr->dense);
    *tr = (struct trainer){0};
}

static int dense_memory(struct trainer *tr, struct err *e) {
    const struct trainer_config *c = &tr->c;
    size_t rows = smaller(DENSE_ROWS, c->B);
    if (tr->dense.base) return 0;
    int rc = arena_init_in(&tr->dense, tr->k->memory, dense_need(c), "trainer: dense path", e);
    if (rc) return rc;
    tr->g = arrays_take(&tr->dense, c);
    tr->pre = arena_take(&tr->dense, rows * c->F, sizeof(float));
    tr->act = arena_take(&tr->dense, rows * c->F, sizeof(float));
    tr->grad = arena_take(&tr->dense, rows * c->F, sizeof(float));
    tr->fired = arena_take(&tr->dense, c->F, sizeof(uint32_t));
    tr->kept = arena_take(&tr->dense, rows, sizeof(uint32_t));
    return 0;
}

/* Rows [b0, b0+n) through the dense products; gradients are added up over the calls, and over the views. */
static void dense_rows(struct trainer *tr, const float *x, const struct activation *act, size_t b0, size_t n) {
    const struct trainer_config *c = &tr->c;
    const struct sae_kernels *k = tr->k;
    const size_t D = c->D, F = c->F;
    const float *xc = tr->xc + b0 * D, more = b0 ? 1.0f : 0.0f;
    const struct dense d = {n,        F,           *act,        tr->p.theta, tr->pre,       tr->act,
                            tr->grad, tr->g.b_enc, tr->g.theta, tr->fired,   tr->sums + b0, tr->kept};
    k->spread(n, F, tr->p.b_enc, tr->pre);
    k->gemm(false, true, n, F, D, 1, xc, D, tr->p.W_enc, D, 1, tr->pre, F);
    k->activate(&d);
    for (size_t v = 0; v < c->views.n; v++) {
        const struct sae_view *view = &c->views.at[v];
        const size_t seen = smaller(view->features, F);
        float *r = tr->G + (v * c->B + b0) * D;
        k->gemm(false, false, n, D, seen, 1, tr->act, F, tr->p.W_dec, D, 0, r, D);
        k->dense_residual(&d, c->B, D, view, x + b0 * D, tr->p.b_dec, r);
        k->gemm(false, true, n, seen, D, 1, r, D, tr->p.W_dec, D, v ? 1.0f : 0.0f, tr->grad, F);
        k->gemm(true, false, seen, D, n, 1, tr->act, F, r, D, v ? 1.0f : more, tr->g.W_dec, D);
    }
    k->gradient(&d);
    k->gemm(true, false, F, D, n, 1, tr->grad, F, xc, D, more, tr->g.W_enc, D);
    tr->last_entries += k->count(n, tr->kept);
}

static int step_dense(struct trainer *tr, const float *x, const struct activation *act, const struct adam_state *s,
                      struct err *e) {
    const struct trainer_config *c = &tr->c;
    int rc = dense_memory(tr, e);
    if (rc) return rc;
    tr->k->zero(tr->g.b_enc, c->F * sizeof(float));
    tr->k->zero(tr->g.theta, c->F * sizeof(float));
    tr->k->zero(tr->fired, c->F * sizeof *tr->fired);
    tr->last_entries = 0;
    for (size_t b = 0; b < c->B; b += DENSE_ROWS) dense_rows(tr, x, act, b, smaller(DENSE_ROWS, c->B - b));
    tr->k->adam_dense(s, &tr->g, tr->fired);
    return 0;
}

/* The entries of a batch that may have a value or a gradient. Other selections come after encode: activation.h. */
static int select_entries(struct trainer *tr, const struct activation *act) {
    const struct trainer_config *c = &tr->c;
    switch (activation_row(c->arch)->selection) {
    case SELECTION_ABOVE:
        tr->k->bounds(c->F, tr->p.theta, act, tr->low);
        break;
    }
    return tr->k->encode(c->B, c->D, c->F, tr->xc, tr->p.W_enc, tr->p.b_enc, tr->low, &tr->active);
}

struct residual trainer_residual(const struct trainer *tr, const float *x, const struct activation *act) {
    const struct trainer_config *c = &tr->c;
    return (struct residual){.B = c->B,
                             .D = c->D,
                             .F = c->F,
                             .act = *act,
                             .views = c->views,
                             .a = tr->active,
                             .x = x,
                             .W_dec = tr->p.W_dec,
                             .b_dec = tr->p.b_dec,
                             .theta = tr->p.theta,
                             .G = tr->G,
                             .z = tr->z,
                             .dpre = tr->dpre,
                             .dtheta = tr->dtheta,
                             .sums = tr->sums};
}

struct adam_entries trainer_entries(const struct trainer *tr) {
    return (struct adam_entries){tr->c.B, tr->c.views, tr->xc, tr->G, tr->by, tr->z, tr->dpre, tr->dtheta};
}

/* 0, or ERR_RANGE when too many are active and nothing was changed. */
static int step_sparse(struct trainer *tr, const float *x, const struct activation *act, const struct adam_state *s) {
    const struct sae_kernels *k = tr->k;
    int rc = select_entries(tr, act);
    if (rc) return rc;
    tr->last_entries = tr->active.n;
    const struct residual r = trainer_residual(tr, x, act);
    k->residual(&r);
    k->sort(&tr->by, &tr->active);
    const struct adam_entries entries = trainer_entries(tr);
    k->adam_sparse(s, &entries);
    return 0;
}

void trainer_rows(struct trainer *tr, bool bf16, float scale) { tr->bf16 = bf16, tr->scale = scale; }

/* Start copying a batch. */
static void send(struct trainer *tr, const void *x) {
    tr->slot = !tr->slot;
    tr->ahead = x;
    tr->sent = tr->k->upload(tr->slot, x, tr->bf16, tr->scale, tr->c.B * tr->c.D);
}

size_t trainer_idle(const struct trainer *tr, uint32_t window) { return tr->k->idle(tr->c.F, tr->steps_idle, window); }

/* Of step t = 1, 2, … */
static struct adam adam_at(const struct trainer *tr, double t, double lr) {
    const struct trainer_config *c = &tr->c;
    const double root = sqrt(1 - pow(c->beta2, t));
    return (struct adam){.rate = (float)(lr * root / (1 - pow(c->beta1, t))),
                         .guard = (float)(c->adam_eps * root),
                         .beta1 = (float)c->beta1,
                         .beta2 = (float)c->beta2,
                         .rest1 = (float)(1 - c->beta1),
                         .rest2 = (float)(1 - c->beta2),
                         .lazy = c->lazy,
                         .pre_act = c->pre_act_loss,
                         .pre_theta = activation_row(c->arch)->theta ? c->pre_act_loss : 0,
                         .window = c->dead_window,
                         .mean = tr->mean};
}

struct adam_state trainer_adam(const struct trainer *tr, double lr) {
    return (struct adam_state){.D = tr->c.D,
                               .F = tr->c.F,
                               .o = adam_at(tr, (double)(tr->t + 1), lr),
                               .p = tr->p,
                               .v = tr->v,
                               .m = tr->m,
                               .gb_dec = tr->gb_dec,
                               .steps_idle = tr->steps_idle};
}

struct activation trainer_activation(const struct trainer *tr, double lambda) {
    struct activation act = {.arch = tr->c.arch, .penalty = (float)lambda / (float)tr->c.B};
    memcpy(act.parameter, tr->c.parameter, sizeof act.parameter);
    return act;
}

int trainer_step(struct trainer *tr, const void *x, const void *next, double lr, double lambda,
                 struct trainer_report *r, struct err *e) {
    const struct trainer_config *c = &tr->c;
    const struct adam_state s = trainer_adam(tr, lr);
    const struct activation act = trainer_activation(tr, lambda);
    const struct sae_kernels *k = tr->k;
    struct batch_totals sum;
    if (tr->ahead != x) send(tr, x);
    const float *batch = tr->sent;
    k->arrived(tr->slot);
    if (next)
        send(tr, next);
    else
        tr->ahead = NULL;
    k->centre(c->B, c->D, batch, tr->p.b_dec, tr->xc);
    if (c->pre_act_loss > 0) k->mean(c->B, c->D, tr->xc, tr->mean);
    int rc = tr->last_entries > tr->active.cap ? ERR_RANGE : step_sparse(tr, batch, &act, &s);
    r->dense = rc == ERR_RANGE;
    if (r->dense)
        rc = step_dense(tr, batch, &act, &s, e);
    else if (rc)
        return err_set(e, rc, "trainer: no memory for the encoder's tiles");
    if (rc) return rc;
    k->b_dec(c->views.n * c->B, tr->G, &s);
    k->total(c->B, tr->sums, &sum);
    rc = k->finish(e);
    if (rc) return rc;
    r->loss_reconstruction = sum.loss / (double)c->B;
    r->loss_sparsity = lambda * sum.penalty / (double)c->B;
    r->l0 = sum.l0 / (double)c->B;
    tr->t++;
    if (!(isfinite(sum.loss) && isfinite(sum.penalty))) {
        err_set(e, ERR_NUMERIC, "step %lld: the loss is not finite", (long long)tr->t);
        return err_hint(e, "lower the learning rate, or look for extreme rows in the activations");
    }
    return 0;
}

void trainer_export(const struct trainer *tr, struct sae *s) {
    CHECK(s->D == tr->c.D && s->F == tr->c.F);
    memcpy(s->W_enc, tr->p.W_enc, s->D * s->F * sizeof(float));
    memcpy(s->W_dec, tr->p.W_dec, s->D * s->F * sizeof(float));
    memcpy(s->b_enc, tr->p.b_enc, s->F * sizeof(float));
    memcpy(s->b_dec, tr->p.b_dec, s->D * sizeof(float));
    memcpy(s->theta, tr->p.theta, s->F * sizeof(float));
}
