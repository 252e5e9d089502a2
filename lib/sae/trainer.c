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
    return 2 * arena_need(c->B * c->D, sizeof(float)) + arena_need(c->D, sizeof(float)) +
           arena_need(c->F, sizeof(float)) + 3 * arena_need(cap, sizeof(float)) + arena_need(c->D, sizeof(double)) +
           arena_need(c->B, sizeof(struct sae_row_sums)) + active_need(c->B, cap) + byfeature_need(c->F, cap);
}

static size_t dense_need(const struct trainer_config *c) {
    return arrays_need(c) + 2 * arena_need(smaller(DENSE_ROWS, c->B) * c->F, sizeof(float)) +
           arena_need(c->F, sizeof(uint32_t)) + arena_need(smaller(DENSE_ROWS, c->B), sizeof(uint32_t)) +
           arena_need(smaller(DENSE_ROWS, c->B) * c->F, sizeof(float));
}

size_t trainer_bytes(const struct trainer_config *c, const struct sae_kernels *k) {
    size_t DF, BF, cap = capacity(c, k);
    if (!size_product(c->D, c->F, 64, &DF) || !size_product(c->B, c->F, 64, &BF)) return SIZE_MAX;
    return state_need(c) + scratch_need(c, cap) + dense_need(c) + k->scratch_bytes(c->B, c->D, c->F);
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

int trainer_init(struct trainer *tr, const struct trainer_config *c, const struct sae_kernels *k, struct err *e) {
    *tr = (struct trainer){.c = *c, .k = k, .scale = 1};
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
    tr->G = arena_take(&tr->scratch, c->B * c->D, sizeof(float));
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
    tr->near = arena_take(&tr->dense, rows, sizeof(uint32_t));
    return 0;
}

/* Rows [b0, b0+n) through the dense products; gradients are added up over the calls. */
static void dense_rows(struct trainer *tr, const float *x, const struct activation *act, size_t b0, size_t n) {
    const struct trainer_config *c = &tr->c;
    const struct sae_kernels *k = tr->k;
    const size_t D = c->D, F = c->F;
    const float *xc = tr->xc + b0 * D;
    float *r = tr->G + b0 * D, more = b0 ? 1.0f : 0.0f;
    k->spread(n, F, tr->p.b_enc, tr->pre);
    k->gemm(false, true, n, F, D, 1, xc, D, tr->p.W_enc, D, 1, tr->pre, F);
    k->activate(n, F, tr->pre, tr->p.theta, act, tr->act, tr->sums + b0, tr->near);
    k->gemm(false, false, n, D, F, 1, tr->act, F, tr->p.W_dec, D, 0, r, D);
    k->dense_residual(n, c->B, D, x + b0 * D, tr->p.b_dec, r, tr->sums + b0);
    k->gemm(false, true, n, F, D, 1, r, D, tr->p.W_dec, D, 0, tr->grad, F);
    k->gradient(n, F, tr->pre, tr->p.theta, act, tr->grad, tr->g.b_enc, tr->g.theta, tr->fired);
    k->gemm(true, false, F, D, n, 1, tr->act, F, r, D, more, tr->g.W_dec, D);
    k->gemm(true, false, F, D, n, 1, tr->grad, F, xc, D, more, tr->g.W_enc, D);
    tr->last_entries += k->count(n, tr->near);
}

static int step_dense(struct trainer *tr, const float *x, const struct activation *act, const struct adam *o,
                      struct err *e) {
    const struct trainer_config *c = &tr->c;
    int rc = dense_memory(tr, e);
    if (rc) return rc;
    tr->k->zero(tr->g.b_enc, c->F * sizeof(float));
    tr->k->zero(tr->g.theta, c->F * sizeof(float));
    tr->k->zero(tr->fired, c->F * sizeof *tr->fired);
    tr->last_entries = 0;
    for (size_t b = 0; b < c->B; b += DENSE_ROWS) dense_rows(tr, x, act, b, smaller(DENSE_ROWS, c->B - b));
    tr->k->adam_dense(c->D, c->F, &tr->g, tr->fired, o, &tr->p, &tr->v, &tr->m, tr->gb_dec, tr->steps_idle);
    return 0;
}

/* 0, or ERR_RANGE when too many are active and nothing was changed. */
static int step_sparse(struct trainer *tr, const float *x, const struct activation *act, const struct adam *o) {
    const struct trainer_config *c = &tr->c;
    const struct sae_kernels *k = tr->k;
    k->bounds(c->F, tr->p.theta, act, tr->low);
    int rc = k->encode(c->B, c->D, c->F, tr->xc, tr->p.W_enc, tr->p.b_enc, tr->low, &tr->active);
    if (rc) return rc;
    tr->last_entries = tr->active.n;
    k->residual(c->B, c->D, c->F, x, tr->p.W_dec, tr->p.b_dec, tr->p.theta, act, &tr->active, tr->G, tr->z, tr->dpre,
                tr->dtheta, tr->sums);
    k->sort(&tr->by, &tr->active);
    k->adam_sparse(c->D, c->F, c->B, tr->xc, tr->G, &tr->by, tr->z, tr->dpre, tr->dtheta, o, &tr->p, &tr->v, &tr->m,
                   tr->gb_dec, tr->steps_idle);
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

int trainer_step(struct trainer *tr, const void *x, const void *next, double lr, double lambda,
                 struct trainer_report *r, struct err *e) {
    const struct trainer_config *c = &tr->c;
    struct activation act = {.arch = c->arch, .penalty = (float)lambda / (float)c->B};
    const double t = (double)(tr->t + 1);
    const double root = sqrt(1 - pow(c->beta2, t));
    const struct adam o = {.rate = (float)(lr * root / (1 - pow(c->beta1, t))),
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
    const struct sae_kernels *k = tr->k;
    struct batch_totals sum;
    memcpy(act.parameter, c->parameter, sizeof act.parameter);
    if (tr->ahead != x) send(tr, x);
    const float *batch = tr->sent;
    k->arrived(tr->slot);
    if (next)
        send(tr, next);
    else
        tr->ahead = NULL;
    k->centre(c->B, c->D, batch, tr->p.b_dec, tr->xc);
    if (c->pre_act_loss > 0) k->mean(c->B, c->D, tr->xc, tr->mean);
    int rc = tr->last_entries > tr->active.cap ? ERR_RANGE : step_sparse(tr, batch, &act, &o);
    r->dense = rc == ERR_RANGE;
    if (r->dense)
        rc = step_dense(tr, batch, &act, &o, e);
    else if (rc)
        return err_set(e, rc, "trainer: no memory for the encoder's tiles");
    if (rc) return rc;
    k->b_dec(c->B, c->D, tr->G, tr->gb_dec, &o, tr->p.b_dec, tr->m.b_dec, tr->v.b_dec);
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
