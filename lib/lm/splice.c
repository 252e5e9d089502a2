/* splice.c - see splice.h. */
#include "lib/lm/splice.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

static size_t matrix_need(size_t rows, size_t cols, size_t elem) {
    size_t n;
    return size_product(rows, cols, 1, &n) ? arena_need(n, elem) : SIZE_MAX;
}

static size_t sum_of(const size_t *part, size_t n) {
    size_t sum = 0;
    for (size_t i = 0; i < n; i++) sum = part[i] > SIZE_MAX - sum ? SIZE_MAX : sum + part[i];
    return sum;
}

int splice_work_init(struct splice_work *w, const struct splice *s, size_t rows, size_t most, struct err *e) {
    const struct lm_config *c = &s->m->c;
    const size_t part[] = {matrix_need(rows, c->D, sizeof *w->x), arena_need(rows, sizeof *w->target)};
    *w = (struct splice_work){.rows = rows};
    int rc = arena_init(&w->mem, sum_of(part, 2), "splice: working memory", e);
    if (!rc) rc = lm_scratch_init(&w->lm, s->k, c, &s->site, 1, rows, s->T, e);
    if (!rc) rc = loss_scratch_init(&w->loss, s->k, c, rows, most, e);
    if (rc) {
        splice_work_free(w);
        return rc;
    }
    w->x = arena_take(&w->mem, rows * c->D, sizeof *w->x);
    w->target = arena_take(&w->mem, rows, sizeof *w->target);
    return 0;
}

void splice_work_free(struct splice_work *w) {
    lm_scratch_free(&w->lm);
    loss_scratch_free(&w->loss);
    arena_free(&w->mem);
    *w = (struct splice_work){0};
}

/* What goes through the network together: on the host a sequence, with a thread for each; on a device the whole batch. */
static bool by_sequence(const struct splice *s) { return s->k->slots == 1; }

static int init_all(struct splice *s, struct err *e) {
    const size_t D = s->m->c.D;
    const size_t part[] = {
        arena_need(s->room + 1, sizeof *s->start),     arena_need(s->room, sizeof *s->target),
        matrix_need(s->room, D, sizeof *s->x),         matrix_need(s->room, s->width, sizeof *s->rows),
        matrix_need(s->most, s->room, sizeof *s->nll), matrix_need(s->most, s->room, sizeof *s->kl)};
    int rc = arena_init_in(&s->mem, s->k->host, sum_of(part, 6), "splice: state before the site", e);
    if (rc) return rc;
    s->start = arena_take(&s->mem, s->room + 1, sizeof *s->start);
    s->target = arena_take(&s->mem, s->room, sizeof *s->target);
    s->x = arena_take(&s->mem, s->room * D, sizeof *s->x);
    s->rows = arena_take(&s->mem, s->room * s->width, sizeof *s->rows);
    s->nll = arena_take(&s->mem, s->most * s->room, sizeof *s->nll);
    s->kl = arena_take(&s->mem, s->most * s->room, sizeof *s->kl);
    size_t n = by_sequence(s) ? (size_t)omp_get_max_threads() : 1, rows = by_sequence(s) ? s->T : s->room;
    if (!(s->work = mem_array(n, sizeof *s->work, "splice: threads", e))) return ERR_MEMORY;
    for (; !rc && s->workers < n; s->workers += !rc) rc = splice_work_init(&s->work[s->workers], s, rows, s->most, e);
    return rc;
}

int splice_init(struct splice *s, const struct lm_model *m, const struct lm_kernels *k, const struct lm_site *site,
                size_t rows, size_t T, size_t most, struct err *e) {
    CHECK(m->n_layers == m->c.L && m->outside.at[LM_UNEMBED] && site->layer < m->c.L && T <= m->T);
    *s = (struct splice){.m = m,
                         .k = k,
                         .site = *site,
                         .room = rows,
                         .T = T < rows ? T : rows,
                         .most = most,
                         .width = lm_site_width(&m->c, site)};
    int rc = init_all(s, e);
    if (rc) splice_free(s);
    return rc;
}

void splice_free(struct splice *s) {
    for (size_t i = 0; i < s->workers; i++) splice_work_free(&s->work[i]);
    free(s->work);
    arena_free(&s->mem);
    *s = (struct splice){0};
}

/* Rows first .. of the batch: a sequence, or all. */
struct unit {
    size_t first;
    struct lm_batch b;
    size_t start[2];
};

static const struct lm_batch *unit_of(const struct splice *s, size_t i, const int32_t *token, struct unit *u) {
    if (by_sequence(s)) {
        *u = (struct unit){.first = s->start[i], .start = {0, s->start[i + 1] - s->start[i]}};
        u->b = (struct lm_batch){1, u->start, token ? token + u->first : NULL};
    } else
        *u = (struct unit){.b = {s->n, s->start, token}};
    return &u->b;
}

/* One step for each unit; the first error is kept. */
struct task {
    int (*step)(const struct splice *s, struct splice_work *w, size_t unit, const struct task *t, struct err *e);
    const int32_t *token;
    size_t n;
    const float *const *rows;
};

static int each_unit(const struct splice *s, const struct task *t, struct err *e) {
    int rc = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)s->workers)
    for (size_t i = 0; i < (by_sequence(s) ? s->n : 1); i++) {
        struct err mine = {0};
        int r = t->step(s, &s->work[omp_get_thread_num()], i, t, &mine);
#pragma omp critical(splice_error)
        if (r && !rc) {
            rc = r;
            if (e) *e = mine;
        }
    }
    return rc;
}

/* Where a pass leaves what the site gives, and the residual stream beside it. */
struct capture {
    const struct splice *s;
    const struct lm_scratch *from;
    size_t first;
};

static int keep(void *ctx, size_t site, const float *rows, size_t M, struct err *e) {
    const struct capture *c = ctx;
    const struct splice *s = c->s;
    size_t D = s->m->c.D;
    (void)site;
    s->k->fetch(M * s->width, rows, s->site.kind == LM_SITE_R, false, s->rows + c->first * s->width);
    s->k->fetch(M * D, c->from->x, true, false, s->x + c->first * D);
    s->k->sent(0);
    return s->k->await(0, e);
}

static int load_unit(const struct splice *s, struct splice_work *w, size_t i, const struct task *t, struct err *e) {
    struct unit u;
    const struct lm_batch *b = unit_of(s, i, t->token, &u);
    struct capture c = {s, &w->lm, u.first};
    struct lm_hook hook = {&c, keep};
    return b->start[b->n] ? lm_forward(s->m, s->k, b, &s->site, 1, &w->lm, &hook, e) : 0;
}

int splice_load(struct splice *s, const struct lm_batch *b, struct err *e) {
    CHECK(b->start[b->n] <= s->room && b->n <= s->room);
    for (size_t i = 0; i < b->n; i++)
        if (b->start[i + 1] - b->start[i] > s->T)
            return err_set(e, ERR_RANGE, "splice: sequence %zu: has %zu tokens, want at most %zu (%s %zu)", i,
                           b->start[i + 1] - b->start[i], s->T, s->m->c.max_T_key, s->m->c.max_T);
    s->n = b->n, s->M = b->start[b->n];
    memcpy(s->start, b->start, (b->n + 1) * sizeof *s->start);
    loss_targets(b, s->target);
    return each_unit(s, &(struct task){.step = load_unit, .token = b->token}, e);
}

/* From the site to the residual stream after the last layer. */
static int run_unit(const struct splice *s, struct splice_work *w, size_t i, const struct task *t, struct err *e) {
    struct unit u;
    const struct lm_batch *b = unit_of(s, i, NULL, &u);
    const size_t M = b->start[b->n], at = u.first;
    if (!M) return 0;
    for (size_t v = 0; v < t->n; v++) {
        const float *rows = t->rows[v] ? t->rows[v] : s->rows;
        lm_resume(s->m, s->k, b, &s->site, s->x + at * s->m->c.D, rows + at * s->width, &w->lm);
        loss_take(s->m, s->k, v, M, w->lm.x, &w->loss);
    }
    return loss_compare(s->m, s->k, M, s->target + at, t->n, &w->loss, s->nll + at, s->kl + at, s->room, e);
}

int splice_run(struct splice *s, size_t n, const float *const *rows, struct err *e) {
    CHECK(n <= s->most);
    return each_unit(s, &(struct task){.step = run_unit, .n = n, .rows = rows}, e);
}

int splice_rows(const struct splice *s, struct splice_work *w, size_t n, const size_t *row, const float *rows,
                double *nll, struct err *e) {
    size_t D = s->m->c.D;
    int rc = 0;
    CHECK(s->site.layer + 1 == s->m->c.L);
    for (size_t i = 0, M; !rc && i < n; i += M) {
        M = n - i < w->rows ? n - i : w->rows;
        for (size_t j = 0; j < M; j++) {
            CHECK(row[i + j] < s->M);
            memcpy(w->x + j * D, s->x + row[i + j] * D, D * sizeof *w->x);
            w->target[j] = s->target[row[i + j]];
        }
        const size_t start[2] = {0, M};
        lm_resume(s->m, s->k, &(struct lm_batch){1, start, NULL}, &s->site, w->x, rows + i * s->width, &w->lm);
        rc = loss_rows(s->m, s->k, M, w->lm.x, w->target, &w->loss, nll + i, e);
    }
    return rc;
}
