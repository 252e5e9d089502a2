/* forward.c - see forward.h. */
#include "lib/lm/forward.h"

#include <string.h>

#include "kernels/base/linear.h"

/* Measure (a = NULL) or take a piece of scratch. */
static void *piece(struct arena *a, size_t rows, size_t cols, size_t elem, size_t *need) {
    size_t n, bytes = size_product(rows, cols, 1, &n) ? arena_need(n, elem) : SIZE_MAX;
    *need = bytes > SIZE_MAX - *need ? SIZE_MAX : *need + bytes;
    return a ? arena_take(a, n, elem) : NULL;
}

static bool any_gated(const struct lm_config *c) {
    for (size_t l = 0; l < c->L; l++)
        if (c->block[l].gated) return true;
    return false;
}

static size_t pieces(struct lm_scratch *s, const struct lm_kernels *k, const struct lm_config *c, struct arena *a) {
    size_t need = 0, q = c->H * c->Dh, elem = k->elem_bytes;
    s->x = piece(a, s->rows, c->D, sizeof *s->x, &need);
    s->h = piece(a, s->rows, c->D, elem, &need);
    s->delta = piece(a, s->rows, c->D, elem, &need);
    s->qkv = piece(a, s->rows, q + 2 * c->G * c->Dh, elem, &need);
    s->att = piece(a, s->rows, q, elem, &need);
    s->post = piece(a, s->post_rows, c->mlp, elem, &need);
    s->up = any_gated(c) ? piece(a, s->tile, c->mlp, elem, &need) : NULL;
    s->work = piece(a, attention_work_bytes(s->T, c->Dh), 1, 1, &need);
    return need;
}

static struct lm_scratch sized(const struct lm_kernels *k, const struct lm_site *sites, size_t n_sites, size_t rows,
                               size_t T) {
    struct lm_scratch s = {.rows = rows, .T = T, .tile = rows < k->tile_rows ? rows : k->tile_rows};
    s.post_rows = s.tile;
    for (size_t i = 0; i < n_sites; i++)
        if (sites[i].kind == LM_SITE_POST) s.post_rows = rows;
    return s;
}

size_t lm_scratch_bytes(const struct lm_kernels *k, const struct lm_config *c, const struct lm_site *sites,
                        size_t n_sites, size_t rows, size_t T) {
    struct lm_scratch s = sized(k, sites, n_sites, rows, T);
    return pieces(&s, k, c, NULL);
}

int lm_scratch_init(struct lm_scratch *s, const struct lm_kernels *k, const struct lm_config *c,
                    const struct lm_site *sites, size_t n_sites, size_t rows, size_t T, struct err *e) {
    *s = sized(k, sites, n_sites, rows, T);
    int rc =
        arena_init_in(&s->mem, k->memory, lm_scratch_bytes(k, c, sites, n_sites, rows, T), "model: working memory", e);
    if (!rc) pieces(s, k, c, &s->mem);
    return rc;
}

void lm_scratch_free(struct lm_scratch *s) { arena_free(&s->mem); }

struct pass {
    const struct lm_model *m;
    const struct lm_kernels *k;
    const struct lm_batch *b;
    struct pass_place place;
    const struct lm_site *sites;
    size_t n_sites, M;
    const struct lm_hook *hook;
    struct err *e;
};

static int offer(const struct pass *p, size_t layer, enum lm_site_kind kind, const float *rows) {
    for (size_t i = 0; i < p->n_sites; i++)
        if (p->sites[i].layer == layer && p->sites[i].kind == kind)
            return p->hook->at(p->hook->ctx, i, rows, p->M, p->e);
    return 0;
}

static int embed(const struct pass *p, float *x) {
    const struct lm_batch *b = p->b;
    const struct lm_model *m = p->m;
    const float *pos = m->outside.at[LM_POSITIONS];
    if (p->k->embed) {
        p->k->embed(&p->place, m->c.D, m->outside.at[LM_EMBED], pos, x);
        return 0;
    }
    int rc = lm_embed(m, p->M, b->token, x, p->e);
    for (size_t i = 0; !rc && pos && i < b->n; i++)
        p->k->add((b->start[i + 1] - b->start[i]) * m->c.D, x + b->start[i] * m->c.D, pos);
    return rc;
}

/* att := what the heads give */
static void attend(const struct pass *p, size_t l, struct lm_scratch *s) {
    const struct lm_config *c = &p->m->c;
    const struct lm_block *b = &c->block[l];
    const struct lm_weights *w = &p->m->layer[l];
    const struct lm_kernels *k = p->k;
    size_t q = c->H * c->Dh, kv = c->G * c->Dh, ld = q + 2 * kv;
    lm_norm_rows(k, b->attn_norm, b->norm_eps, p->M, c->D, s->x, w->at[LM_ATTN_NORM], w->at[LM_ATTN_NORM_BIAS], s->h);
    k->linear(p->M, ld, c->D, s->h, c->D, w->at[LM_QKV], LINEAR_PANEL * c->D, w->at[LM_QKV_BIAS], s->qkv, ld);
    if (b->rope.kind != LM_ROPE_NONE) /* q, beside it k */
        k->rope(&p->place, c->H + c->G, c->Dh, s->qkv, ld, p->m->rope);
    struct attention a = {.H = c->H, .G = c->G, .Dh = c->Dh, .q = s->qkv, .ld = ld, .scale = b->scale};
    a.k = lm_at(k, s->qkv, q), a.v = lm_at(k, s->qkv, q + kv);
    k->attention(&p->place, &a, s->att, q, s->work);
}

/* delta := attention output */
static void attention_out(const struct pass *p, size_t l, struct lm_scratch *s) {
    const struct lm_weights *w = &p->m->layer[l];
    size_t D = p->m->c.D, q = p->m->c.H * p->m->c.Dh;
    p->k->linear(p->M, D, q, s->att, q, w->at[LM_O], LINEAR_PANEL * q, w->at[LM_O_BIAS], s->delta, D);
}

/* post := what the feed-forward layer has inside, for `rows` normalised rows h */
static void feed_in(const struct pass *p, size_t l, size_t rows, const float *h, float *post, float *up) {
    const struct lm_config *c = &p->m->c;
    const struct lm_weights *w = &p->m->layer[l];
    const struct lm_kernels *k = p->k;
    size_t panel = LINEAR_PANEL * c->D;
    if (!c->block[l].gated) {
        k->linear(rows, c->mlp, c->D, h, c->D, w->at[LM_UP], panel, w->at[LM_UP_BIAS], post, c->mlp);
        k->gelu(rows * c->mlp, post);
        return;
    }
    k->linear(rows, c->mlp, c->D, h, c->D, w->at[LM_GATE], panel, w->at[LM_GATE_BIAS], post, c->mlp);
    k->linear(rows, c->mlp, c->D, h, c->D, w->at[LM_UP], panel, w->at[LM_UP_BIAS], up, c->mlp);
    k->swiglu(rows * c->mlp, post, up);
}

/* post from h, if `in`; delta := feed-forward output from post, if `out`. */
static void feed_forward(const struct pass *p, size_t l, struct lm_scratch *s, bool in, bool out) {
    const struct lm_config *c = &p->m->c;
    const struct lm_weights *w = &p->m->layer[l];
    for (size_t r = 0; r < p->M; r += s->tile) {
        size_t rows = p->M - r < s->tile ? p->M - r : s->tile;
        float *post = lm_at(p->k, s->post, s->post_rows == s->rows ? r * c->mlp : 0);
        if (in) feed_in(p, l, rows, lm_at(p->k, s->h, r * c->D), post, s->up);
        if (out)
            p->k->linear(rows, c->D, c->mlp, post, c->mlp, w->at[LM_DOWN], LINEAR_PANEL * c->mlp, w->at[LM_DOWN_BIAS],
                         lm_at(p->k, s->delta, r * c->D), c->D);
    }
}

/* From what stands in the scratch to the last site asked for in layer depth-1: from the beginning of layer l, or, at
 * `from`, from the rows of that site of layer l. */
enum { BEGINNING = -1 };
static int layers(const struct pass *p, size_t l, int from, size_t depth, enum lm_site_kind end, struct lm_scratch *s) {
    size_t n = p->M * p->m->c.D;
    int rc = 0;
    for (; !rc && l < depth; l++, from = BEGINNING) {
        const struct lm_block *b = &p->m->c.block[l];
        const struct lm_weights *w = &p->m->layer[l];
        int last = l + 1 < depth ? LM_SITE_R : (int)end;
        if (from < LM_SITE_Z) {
            attend(p, l, s);
            rc = offer(p, l, LM_SITE_Z, s->att);
            if (rc || last == LM_SITE_Z) continue;
        }
        if (from < LM_SITE_A) {
            attention_out(p, l, s);
            rc = offer(p, l, LM_SITE_A, s->delta);
            if (rc || last == LM_SITE_A) continue;
        }
        if (from <= LM_SITE_A) p->k->add(n, s->x, s->delta);
        if (from < LM_SITE_TC) {
            lm_norm_rows(p->k, b->mlp_norm, b->norm_eps, p->M, p->m->c.D, s->x, w->at[LM_MLP_NORM],
                         w->at[LM_MLP_NORM_BIAS], s->h);
            rc = offer(p, l, LM_SITE_TC, s->h);
            if (rc || last == LM_SITE_TC) continue;
        }
        if (from < LM_SITE_M) {
            bool in = from<LM_SITE_POST, out = last> LM_SITE_POST;
            feed_forward(p, l, s, in, out);
            rc = offer(p, l, LM_SITE_POST, s->post);
            if (rc || last == LM_SITE_POST) continue;
            rc = offer(p, l, LM_SITE_M, s->delta);
            if (rc || last == LM_SITE_M) continue;
        }
        if (from < LM_SITE_R) p->k->add(n, s->x, s->delta);
        rc = offer(p, l, LM_SITE_R, s->x);
    }
    return rc;
}

int lm_forward(const struct lm_model *m, const struct lm_kernels *k, const struct lm_batch *b,
               const struct lm_site *sites, size_t n_sites, struct lm_scratch *s, const struct lm_hook *hook,
               struct err *e) {
    struct pass p = {m, k, b, {0}, sites, n_sites, b->start[b->n], hook, e};
    size_t depth = lm_sites_depth(sites, n_sites);
    CHECK(depth >= 1 && depth <= m->n_layers && p.M <= s->rows && s->T <= m->T);
    CHECK(m->mem.from == k->memory && s->mem.from == k->memory);
    for (size_t i = 0; i < b->n; i++) CHECK(b->start[i + 1] - b->start[i] <= s->T);
    k->place(b->n, b->start, b->token, &p.place);
    int rc = embed(&p, s->x);
    return rc ? rc : layers(&p, 0, BEGINNING, depth, lm_sites_last(sites, n_sites, depth - 1), s);
}

void lm_resume(const struct lm_model *m, const struct lm_kernels *k, const struct lm_batch *b,
               const struct lm_site *site, const float *x, const float *rows, struct lm_scratch *s) {
    struct pass p = {.m = m, .k = k, .b = b, .M = b->start[b->n]};
    float *const place[] = {s->att, s->delta, s->h, s->post, s->delta, s->x}; /* by enum lm_site_kind */
    CHECK(m->n_layers == m->c.L && site->layer < m->c.L && p.M <= s->rows);
    CHECK(site->kind != LM_SITE_POST || s->post_rows == s->rows);
    if (site->kind != LM_SITE_R) k->put(p.M * m->c.D, x, true, s->x);
    k->put(p.M * lm_site_width(&m->c, site), rows, site->kind == LM_SITE_R, place[site->kind]);
    k->place(b->n, b->start, b->token, &p.place);
    layers(&p, site->layer, (int)site->kind, m->c.L, LM_SITE_R, s);
}
