/* loss.c - see loss.h. */
#include "lib/lm/loss.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/lm/linear.h"

size_t loss_scratch_bytes(const struct lm_config *c) {
    size_t n, h = size_product(LOSS_ROWS, c->D, 1, &n) ? arena_need(n, sizeof(float)) : SIZE_MAX;
    size_t rest = arena_need(LOSS_ROWS * LOSS_COLUMNS, sizeof(float)) + arena_need(LOSS_ROWS, sizeof(float)) +
                  arena_need(LOSS_ROWS, sizeof(double));
    return h > SIZE_MAX - rest ? SIZE_MAX : h + rest;
}

int loss_scratch_init(struct loss_scratch *s, const struct lm_config *c, struct err *e) {
    *s = (struct loss_scratch){0};
    int rc = arena_init(&s->mem, loss_scratch_bytes(c), "loss: working memory", e);
    if (rc) return rc;
    s->h = arena_take(&s->mem, LOSS_ROWS * c->D, sizeof *s->h);
    s->logits = arena_take(&s->mem, LOSS_ROWS * LOSS_COLUMNS, sizeof *s->logits);
    s->top = arena_take(&s->mem, LOSS_ROWS, sizeof *s->top);
    s->sum = arena_take(&s->mem, LOSS_ROWS, sizeof *s->sum);
    return 0;
}

void loss_scratch_free(struct loss_scratch *s) { arena_free(&s->mem); }

void loss_targets(const struct lm_batch *b, int32_t *target) {
    for (size_t i = 0; i < b->n; i++)
        for (size_t r = b->start[i]; r < b->start[i + 1]; r++)
            target[r] = r + 1 < b->start[i + 1] ? b->token[r + 1] : -1;
}

/* At most LOSS_ROWS rows; nll first holds the target's logit. */
static void tile(const struct lm_model *m, const struct lm_kernels *k, size_t M, const float *x, const int32_t *target,
                 struct loss_scratch *s, double *nll) {
    const struct lm_config *c = &m->c;
    float *const *w = m->outside.at;
    lm_norm_rows(k, c->final_norm, c->final_eps, M, c->D, x, w[LM_FINAL_NORM], w[LM_FINAL_NORM_BIAS], s->h);
    for (size_t r = 0; r < M; r++) s->top[r] = -INFINITY, s->sum[r] = 0, nll[r] = 0;
    for (size_t v = 0; v < c->vocab; v += LOSS_COLUMNS) {
        size_t n = c->vocab - v < LOSS_COLUMNS ? c->vocab - v : LOSS_COLUMNS;
        k->linear(M, n, c->D, s->h, c->D, w[LM_UNEMBED] + v * c->D, LINEAR_PANEL * c->D,
                  w[LM_UNEMBED_BIAS] ? w[LM_UNEMBED_BIAS] + v : NULL, s->logits, LOSS_COLUMNS);
        for (size_t r = 0; r < M; r++)
            if (target[r] >= 0 && (size_t)target[r] - v < n)
                nll[r] = (double)s->logits[r * LOSS_COLUMNS + (size_t)target[r] - v];
        k->lse(M, n, s->logits, LOSS_COLUMNS, s->top, s->sum);
    }
    for (size_t r = 0; r < M; r++) nll[r] = target[r] >= 0 ? (double)s->top[r] + log(s->sum[r]) - nll[r] : 0;
}

void loss_rows(const struct lm_model *m, const struct lm_kernels *k, size_t M, const float *x, const int32_t *target,
               struct loss_scratch *s, double *nll) {
    CHECK(m->outside.at[LM_UNEMBED]);
    for (size_t r = 0; r < M; r += LOSS_ROWS)
        tile(m, k, M - r < LOSS_ROWS ? M - r : LOSS_ROWS, x + r * m->c.D, target + r, s, nll + r);
}

int loss_mean(size_t M, const int32_t *target, const double *nll, double *mean, struct err *e) {
    double sum = 0;
    size_t n = 0;
    for (size_t r = 0; r < M; r++) {
        if (target[r] < 0) continue;
        if (!isfinite(nll[r])) return err_set(e, ERR_NUMERIC, "loss: row %zu: NaN or Inf", r);
        sum += nll[r], n++;
    }
    if (!n) {
        err_set(e, ERR_RANGE, "loss: no token has a next one");
        return err_hint(e, "sequences of at least two tokens are needed");
    }
    *mean = sum / (double)n;
    return 0;
}

struct ending {
    const struct lm_model *m;
    const struct lm_kernels *k;
    const int32_t *target;
    struct loss_scratch *w;
    double *nll;
};

static int at_end(void *ctx, size_t site, const float *rows, size_t M, struct err *e) {
    struct ending *t = ctx;
    (void)site, (void)e;
    loss_rows(t->m, t->k, M, rows, t->target, t->w, t->nll);
    return 0;
}

int loss_forward(const struct lm_model *m, const struct lm_kernels *k, const struct lm_batch *b, struct lm_scratch *s,
                 struct loss_scratch *w, double *nll, double *mean, struct err *e) {
    size_t M = b->start[b->n];
    struct lm_site end = {.layer = m->c.L - 1, .kind = LM_SITE_R};
    int32_t *target = mem_array(M, sizeof *target, "loss: targets", e);
    if (!target) return ERR_MEMORY;
    struct ending t = {m, k, target, w, nll};
    struct lm_hook hook = {&t, at_end};
    loss_targets(b, target);
    int rc = lm_forward(m, k, b, &end, 1, s, &hook, e);
    if (!rc) rc = loss_mean(M, target, nll, mean, e);
    free(target);
    return rc;
}
