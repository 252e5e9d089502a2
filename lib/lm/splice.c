/* splice.c - see splice.h. */
#include "lib/lm/splice.h"

#include <string.h>

/* A pass hands over the rows of sequence after sequence, and its scratch holds the residual stream beside them. */
struct capture {
    struct splice *s;
    const struct lm_scratch *from;
    size_t first;
};

static int keep(void *ctx, size_t site, const float *rows, size_t M, struct err *e) {
    struct capture *c = ctx;
    size_t D = c->s->m->c.D;
    (void)site, (void)e;
    memcpy(c->s->rows + c->first * c->s->width, rows, M * c->s->width * sizeof *rows);
    memcpy(c->s->x + c->first * D, c->from->x, M * D * sizeof *rows);
    return 0;
}

static int run_prefix(struct splice *s, const struct lm_batch *b, struct err *e) {
    struct lm_scratch scratch;
    struct capture c = {s, &scratch, 0};
    struct lm_hook hook = {&c, keep};
    int rc = lm_scratch_init(&scratch, s->k, &s->m->c, &s->site, 1, s->T, s->T, e);
    for (size_t i = 0; !rc && i < s->n; i++) {
        const size_t start[2] = {0, s->start[i + 1] - s->start[i]};
        struct lm_batch one = {1, start, b->token + s->start[i]};
        c.first = s->start[i];
        rc = lm_forward(s->m, s->k, &one, &s->site, 1, &scratch, &hook, e);
    }
    lm_scratch_free(&scratch);
    return rc;
}

static size_t sum_of(const size_t *part, size_t n) {
    size_t sum = 0;
    for (size_t i = 0; i < n; i++) sum = part[i] > SIZE_MAX - sum ? SIZE_MAX : sum + part[i];
    return sum;
}

static size_t matrix_need(size_t rows, size_t cols) {
    size_t n;
    return size_product(rows, cols, 1, &n) ? arena_need(n, sizeof(float)) : SIZE_MAX;
}

static int check_lengths(struct splice *s, const struct lm_batch *b, struct err *e) {
    for (size_t i = 0; i < b->n; i++) {
        size_t T = b->start[i + 1] - b->start[i];
        if (T > s->m->T)
            return err_set(e, ERR_RANGE, "splice: sequence %zu: has %zu tokens, the model was loaded for %zu (%s %zu)",
                           i, T, s->m->T, s->m->c.max_T_key, s->m->c.max_T);
        if (T > s->T) s->T = T;
    }
    if (s->T >= 2) return 0;
    err_set(e, ERR_RANGE, "splice: no token has a next one");
    return err_hint(e, "sequences of at least two tokens are needed");
}

int splice_init(struct splice *s, const struct lm_model *m, const struct lm_kernels *k, const struct lm_batch *b,
                const struct lm_site *site, struct err *e) {
    size_t M = b->start[b->n], D = m->c.D, width = lm_site_width(&m->c, site);
    *s = (struct splice){.m = m, .k = k, .site = *site, .n = b->n, .M = M, .width = width};
    CHECK(m->n_layers == m->c.L && m->outside.at[LM_UNEMBED] && site->layer < m->c.L);
    const size_t part[] = {arena_need(b->n + 1, sizeof *s->start), arena_need(M, sizeof *s->target), matrix_need(M, D),
                           matrix_need(M, width)};
    int rc = check_lengths(s, b, e);
    if (rc || (rc = arena_init(&s->mem, sum_of(part, 4), "splice: state before the site", e))) return rc;
    s->start = arena_take(&s->mem, b->n + 1, sizeof *s->start);
    s->target = arena_take(&s->mem, M, sizeof *s->target);
    s->x = arena_take(&s->mem, M * D, sizeof *s->x);
    s->rows = arena_take(&s->mem, M * width, sizeof *s->rows);
    memcpy(s->start, b->start, (b->n + 1) * sizeof *s->start);
    loss_targets(b, s->target);
    if ((rc = run_prefix(s, b, e))) splice_free(s);
    return rc;
}

void splice_free(struct splice *s) {
    arena_free(&s->mem);
    *s = (struct splice){0};
}

static bool in_last_layer(const struct splice *s) { return s->site.layer + 1 == s->m->c.L; }

int splice_work_init(struct splice_work *w, const struct splice *s, struct err *e) {
    const struct lm_config *c = &s->m->c;
    size_t rows = in_last_layer(s) ? LOSS_ROWS : s->T;
    const size_t part[] = {matrix_need(s->M, s->width), matrix_need(rows, c->D), arena_need(rows, sizeof *w->target),
                           arena_need(s->M, sizeof *w->nll)};
    *w = (struct splice_work){.tile = rows};
    int rc = arena_init(&w->mem, sum_of(part, 4), "splice: working memory", e);
    if (rc || (rc = lm_scratch_init(&w->lm, s->k, c, &s->site, 1, rows, s->T, e)) ||
        (rc = loss_scratch_init(&w->loss, c, e))) {
        splice_work_free(w);
        return rc;
    }
    w->rows = arena_take(&w->mem, s->M * s->width, sizeof *w->rows);
    w->x = arena_take(&w->mem, rows * c->D, sizeof *w->x);
    w->target = arena_take(&w->mem, rows, sizeof *w->target);
    w->nll = arena_take(&w->mem, s->M, sizeof *w->nll);
    return 0;
}

void splice_work_free(struct splice_work *w) {
    lm_scratch_free(&w->lm);
    loss_scratch_free(&w->loss);
    arena_free(&w->mem);
    *w = (struct splice_work){0};
}

/* From the site to the nll, for M rows that the scratch has room for: one sequence, or rows of the last layer. */
static void suffix(const struct splice *s, struct splice_work *w, size_t M, const float *x, const float *rows,
                   const int32_t *target, double *nll) {
    const size_t start[2] = {0, M};
    struct lm_batch b = {1, start, NULL};
    lm_resume(s->m, s->k, &b, &s->site, x, rows, &w->lm);
    loss_rows(s->m, s->k, M, w->lm.x, target, &w->loss, nll);
}

int splice_loss(const struct splice *s, struct splice_work *w, const struct splice_edit *edit, double *loss,
                struct err *e) {
    const float *rows = s->rows;
    size_t D = s->m->c.D;
    if (edit) {
        memcpy(w->rows, s->rows, s->M * s->width * sizeof *rows);
        edit->replace(edit->ctx, s->M, s->width, w->rows);
        rows = w->rows;
    }
    for (size_t r = 0, i = 0, M; r < s->M; r += M, i++) {
        M = in_last_layer(s) ? w->tile : s->start[i + 1] - r;
        if (M > s->M - r) M = s->M - r;
        if (M) suffix(s, w, M, s->x + r * D, rows + r * s->width, s->target + r, w->nll + r);
    }
    return loss_mean(s->M, s->target, w->nll, loss, e);
}

void splice_rows(const struct splice *s, struct splice_work *w, size_t n, const size_t *row, const float *rows,
                 double *nll) {
    size_t D = s->m->c.D;
    CHECK(in_last_layer(s));
    for (size_t i = 0, M; i < n; i += M) {
        M = n - i < w->tile ? n - i : w->tile;
        for (size_t j = 0; j < M; j++) {
            CHECK(row[i + j] < s->M);
            memcpy(w->x + j * D, s->x + row[i + j] * D, D * sizeof *w->x);
            w->target[j] = s->target[row[i + j]];
        }
        suffix(s, w, M, w->x, rows + i * s->width, w->target, nll + i);
    }
}
