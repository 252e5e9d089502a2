/* loss.c - see loss.h. */
#include "lib/lm/loss.h"

#include <math.h>
#include <string.h>

#include "kernels/base/linear.h"

/* A GPU takes tiles that fill it. */
static struct loss_scratch sized(const struct lm_kernels *k, const struct lm_config *c, size_t rows, size_t n) {
    struct loss_scratch s = {.rows = rows, .n = n, .tile = LOSS_ROWS, .columns = LOSS_COLUMNS};
    if (k->slots > 1) s.tile = 2048, s.columns = 32 * LOSS_COLUMNS;
    if (s.tile > rows) s.tile = rows;
    if (s.columns > linear_padded(c->vocab)) s.columns = linear_padded(c->vocab);
    return s;
}

/* Measure (a = NULL) or take. */
static size_t pieces(struct loss_scratch *s, const struct lm_kernels *k, const struct lm_config *c, struct arena *a) {
    size_t all = 0, h = 0, logits = 0;
    if (!size_product(s->n, s->rows, 1, &all) || !size_product(all, c->D, 1, &h) ||
        !size_product(2, s->tile, s->columns, &logits))
        return SIZE_MAX;
    const struct {
        void **at;
        size_t n, bytes;
    } part[] = {{(void **)&s->h, h, k->elem_bytes},
                {(void **)&s->logits, logits, sizeof *s->logits},
                {(void **)&s->target, s->rows, sizeof *s->target},
                {(void **)&s->top, all, sizeof *s->top},
                {(void **)&s->logit, all, sizeof *s->logit},
                {(void **)&s->sum, all, sizeof *s->sum},
                {(void **)&s->kl, all, sizeof *s->kl}};
    size_t need = 0;
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        size_t bytes = arena_need(part[i].n, part[i].bytes);
        need = bytes > SIZE_MAX - need ? SIZE_MAX : need + bytes;
        if (a) *part[i].at = arena_take(a, part[i].n, part[i].bytes);
    }
    return need;
}

size_t loss_scratch_bytes(const struct lm_kernels *k, const struct lm_config *c, size_t rows, size_t n) {
    struct loss_scratch s = sized(k, c, rows, n);
    return pieces(&s, k, c, NULL);
}

int loss_scratch_init(struct loss_scratch *s, const struct lm_kernels *k, const struct lm_config *c, size_t rows,
                      size_t n, struct err *e) {
    *s = sized(k, c, rows, n);
    int rc = arena_init_in(&s->mem, k->memory, loss_scratch_bytes(k, c, rows, n), "loss: working memory", e);
    if (!rc) pieces(s, k, c, &s->mem);
    return rc;
}

void loss_scratch_free(struct loss_scratch *s) { arena_free(&s->mem); }

void loss_targets(const struct lm_batch *b, int32_t *target) {
    for (size_t i = 0; i < b->n; i++)
        for (size_t r = b->start[i]; r < b->start[i + 1]; r++)
            target[r] = r + 1 < b->start[i + 1] ? b->token[r + 1] : -1;
}

void loss_take(const struct lm_model *m, const struct lm_kernels *k, size_t i, size_t M, const float *x,
               struct loss_scratch *s) {
    const struct lm_config *c = &m->c;
    CHECK(i < s->n && M <= s->rows && m->outside.at[LM_UNEMBED]);
    lm_norm_rows(k, c->final_norm, c->final_eps, M, c->D, x, m->outside.at[LM_FINAL_NORM],
                 m->outside.at[LM_FINAL_NORM_BIAS], lm_at(k, s->h, i * s->rows * c->D));
}

/* Rows r .. r+M-1 of all variants, a piece of the vocabulary after the other. */
static void tile(const struct lm_model *m, const struct lm_kernels *k, size_t r, size_t M, size_t n,
                 const struct loss_scratch *s) {
    const struct lm_config *c = &m->c;
    const float *bias = m->outside.at[LM_UNEMBED_BIAS];
    for (size_t v = 0; v < c->vocab; v += s->columns) {
        size_t N = c->vocab - v < s->columns ? c->vocab - v : s->columns;
        for (size_t i = 0; i < n; i++) {
            size_t at = i * s->rows + r;
            float *logits = s->logits + (i ? s->tile * s->columns : 0);
            k->logits(M, N, c->D, lm_at(k, s->h, at * c->D), c->D, lm_at(k, m->outside.at[LM_UNEMBED], v * c->D),
                      LINEAR_PANEL * c->D, bias ? bias + v : NULL, logits, s->columns);
            k->pick(M, N, logits, s->columns, v, s->target + r, s->logit + at);
            k->lse(M, N, logits, s->columns, s->top + at, s->sum + at);
            if (i) k->kl(M, N, s->logits, logits, s->columns, s->kl + at);
        }
    }
}

int loss_compare(const struct lm_model *m, const struct lm_kernels *k, size_t M, const int32_t *target, size_t n,
                 struct loss_scratch *s, double *nll, double *kl, size_t stride, struct err *e) {
    CHECK(n <= s->n && M <= s->rows && (kl || n == 1));
    k->sent(0);
    int rc = k->await(0, e); /* the host writes where a device may still be at work */
    if (rc) return rc;
    memcpy(s->target, target, M * sizeof *target);
    for (size_t i = 0; i < n * s->rows; i++) s->top[i] = -INFINITY, s->sum[i] = 0, s->kl[i] = kl_empty();
    for (size_t r = 0; r < M; r += s->tile) tile(m, k, r, M - r < s->tile ? M - r : s->tile, n, s);
    k->sent(0);
    rc = k->await(0, e);
    if (rc) return rc;
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < M; r++) {
            size_t at = i * s->rows + r, to = i * stride + r;
            bool any = target[r] >= 0;
            nll[to] = any ? (double)s->top[at] + log(s->sum[at]) - (double)s->logit[at] : 0;
            if (kl) kl[to] = any && i ? kl_value(&s->kl[at]) : 0;
        }
    return 0;
}

int loss_rows(const struct lm_model *m, const struct lm_kernels *k, size_t M, const float *x, const int32_t *target,
              struct loss_scratch *s, double *nll, struct err *e) {
    int rc = 0;
    for (size_t r = 0, n; !rc && r < M; r += n) {
        n = M - r < s->rows ? M - r : s->rows;
        loss_take(m, k, 0, n, x + r * m->c.D, s);
        rc = loss_compare(m, k, n, target + r, 1, s, nll + r, NULL, 0, e);
    }
    return rc;
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
