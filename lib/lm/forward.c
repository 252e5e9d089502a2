/* forward.c - see forward.h. */
#include "lib/lm/forward.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/lm/linear.h"

static const char *const kinds[] = {
    [LM_SITE_A] = "A", [LM_SITE_TC] = "TC", [LM_SITE_POST] = "mlp_post", [LM_SITE_M] = "M", [LM_SITE_R] = "R"};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* One name of n characters. */
static int parse_site(const char *name, size_t n, size_t L, struct lm_site *s, struct err *e) {
    char *end = NULL;
    int kind = KINDS;
    *s = (struct lm_site){0};
    if (n && n < sizeof s->name) {
        memcpy(s->name, name, n);
        if (s->name[0] == 'L' && s->name[1] >= '0' && s->name[1] <= '9' &&
            (s->name[1] != '0' || s->name[2] < '0' || s->name[2] > '9')) {
            s->layer = (size_t)strtoull(s->name + 1, &end, 10);
            for (kind = 0; kind < KINDS && strcmp(end, kinds[kind]); kind++) {}
        } else if (L == 1 && !strcmp(s->name, kinds[LM_SITE_POST]))
            kind = LM_SITE_POST;
    }
    if (kind == KINDS) {
        err_set(e, ERR_USAGE, "--sites: '%.*s' is no site", n > 40 ? 40 : (int)n, name);
        return err_hint(e,
                        "want L<layer> and R (residual), A (attention), M (feed-forward), TC (its input) or mlp_post "
                        "(inside it): L0R,L3TC");
    }
    if (s->layer >= L) {
        err_set(e, ERR_RANGE, "--sites: %s: the model has layers 0..%zu", s->name, L - 1);
        return err_hint(e, "layers are counted from 0");
    }
    s->kind = (enum lm_site_kind)kind;
    return 0;
}

int lm_sites_parse(const char *text, size_t L, struct lm_site **sites, size_t *n, struct err *e) {
    size_t count = 1, done = 0;
    int rc = 0;
    for (const char *c = text; *c; c++) count += *c == ',';
    struct lm_site *s = mem_array(count, sizeof *s, "sites", e);
    if (!s) return ERR_MEMORY;
    for (const char *c = text; !rc && done < count; done++) {
        size_t len = strcspn(c, ",");
        rc = parse_site(c, len, L, &s[done], e);
        for (size_t i = 0; !rc && i < done; i++)
            if (s[i].layer == s[done].layer && s[i].kind == s[done].kind) {
                err_set(e, ERR_USAGE, "--sites: %s is named twice", s[done].name);
                rc = err_hint(e, "name each site once");
            }
        c += len + 1;
    }
    if (rc) return free(s), rc;
    *sites = s;
    *n = count;
    return 0;
}

size_t lm_site_width(const struct lm_config *c, const struct lm_site *s) {
    return s->kind == LM_SITE_POST ? c->mlp : c->D;
}

size_t lm_sites_depth(const struct lm_site *sites, size_t n) {
    size_t depth = 0;
    for (size_t i = 0; i < n; i++)
        if (sites[i].layer >= depth) depth = sites[i].layer + 1;
    return depth;
}

/* The last kind that is asked for in layer l. */
static enum lm_site_kind last_kind(const struct lm_site *sites, size_t n, size_t l) {
    enum lm_site_kind last = LM_SITE_A;
    for (size_t i = 0; i < n; i++)
        if (sites[i].layer == l && sites[i].kind > last) last = sites[i].kind;
    return last;
}

double lm_flops(const struct lm_config *c, const struct lm_site *sites, size_t n, size_t T) {
    size_t depth = lm_sites_depth(sites, n);
    if (!depth) return 0;
    double t = (double)T, D = (double)c->D, q = (double)(c->H * c->Dh), kv = (double)(c->G * c->Dh);
    double attention = 2 * t * (D * (q + 2 * kv) + q * D) + 4 * q * t * (t + 1) / 2, down = 2 * t * D * (double)c->mlp,
           mlp = (c->family == LM_LLAMA ? 3 : 2) * down;
    enum lm_site_kind last = last_kind(sites, n, depth - 1);
    return (double)depth * (attention + mlp) - (last <= LM_SITE_TC ? mlp : last == LM_SITE_POST ? down : 0);
}

/* Measure (a = NULL) or take a piece of scratch. */
static void *piece(struct arena *a, size_t rows, size_t cols, size_t elem, size_t *need) {
    size_t n, bytes = size_product(rows, cols, 1, &n) ? arena_need(n, elem) : SIZE_MAX;
    *need = bytes > SIZE_MAX - *need ? SIZE_MAX : *need + bytes;
    return a ? arena_take(a, n, elem) : NULL;
}

static size_t pieces(struct lm_scratch *s, const struct lm_kernels *k, const struct lm_config *c, struct arena *a) {
    size_t need = 0, q = c->H * c->Dh, elem = k->elem_bytes;
    s->x = piece(a, s->rows, c->D, sizeof *s->x, &need);
    s->h = piece(a, s->rows, c->D, elem, &need);
    s->delta = piece(a, s->rows, c->D, elem, &need);
    s->qkv = piece(a, s->rows, q + 2 * c->G * c->Dh, elem, &need);
    s->att = piece(a, s->rows, q, elem, &need);
    s->post = piece(a, s->post_rows, c->mlp, elem, &need);
    s->up = c->family == LM_LLAMA ? piece(a, s->tile, c->mlp, elem, &need) : NULL;
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
    if (p->k->embed) {
        p->k->embed(&p->place, m->c.D, m->table, m->pos, x);
        return 0;
    }
    int rc = lm_embed(m, p->M, b->token, x, p->e);
    for (size_t i = 0; !rc && m->pos && i < b->n; i++)
        p->k->add((b->start[i + 1] - b->start[i]) * m->c.D, x + b->start[i] * m->c.D, m->pos);
    return rc;
}

/* h := the normalised residual stream */
static void norm(const struct pass *p, const float *weight, const float *bias, struct lm_scratch *s) {
    const struct lm_config *c = &p->m->c;
    if (c->norm == LM_NORM_RMS)
        p->k->rmsnorm(p->M, c->D, s->x, weight, c->norm_eps, s->h);
    else
        p->k->layernorm(p->M, c->D, s->x, weight, bias, c->norm_eps, s->h);
}

/* delta := attention output */
static void attend(const struct pass *p, const struct lm_layer *w, struct lm_scratch *s) {
    const struct lm_config *c = &p->m->c;
    const struct lm_kernels *k = p->k;
    size_t q = c->H * c->Dh, kv = c->G * c->Dh, ld = q + 2 * kv;
    norm(p, w->attn_norm, w->attn_norm_bias, s);
    k->linear(p->M, ld, c->D, s->h, c->D, w->qkv, LINEAR_PANEL * c->D, w->qkv_bias, s->qkv, ld);
    if (c->family == LM_LLAMA) k->rope(&p->place, c->H + c->G, c->Dh, s->qkv, ld, p->m->rope); /* q, beside it k */
    struct attention a = {
        .H = c->H, .G = c->G, .Dh = c->Dh, .q = s->qkv, .ld = ld, .scale = (float)(1 / sqrt((double)c->Dh))};
    a.k = lm_at(k, s->qkv, q), a.v = lm_at(k, s->qkv, q + kv);
    k->attention(&p->place, &a, s->att, q, s->work);
    k->linear(p->M, c->D, q, s->att, q, w->o, LINEAR_PANEL * q, w->o_bias, s->delta, c->D);
}

/* post := what the feed-forward layer has inside, for `rows` normalised rows h */
static void feed_in(const struct pass *p, const struct lm_layer *w, size_t rows, const float *h, float *post,
                    float *up) {
    const struct lm_config *c = &p->m->c;
    const struct lm_kernels *k = p->k;
    size_t panel = LINEAR_PANEL * c->D;
    if (c->family == LM_HOOKED) {
        k->linear(rows, c->mlp, c->D, h, c->D, w->up, panel, w->up_bias, post, c->mlp);
        k->gelu(rows * c->mlp, post);
        return;
    }
    k->linear(rows, c->mlp, c->D, h, c->D, w->gate, panel, w->gate_bias, post, c->mlp);
    k->linear(rows, c->mlp, c->D, h, c->D, w->up, panel, w->up_bias, up, c->mlp);
    k->swiglu(rows * c->mlp, post, up);
}

/* post from h, if `in`; delta := feed-forward output from post, if `out`. */
static void feed_forward(const struct pass *p, const struct lm_layer *w, struct lm_scratch *s, bool in, bool out) {
    const struct lm_config *c = &p->m->c;
    for (size_t r = 0; r < p->M; r += s->tile) {
        size_t rows = p->M - r < s->tile ? p->M - r : s->tile;
        float *post = lm_at(p->k, s->post, s->post_rows == s->rows ? r * c->mlp : 0);
        if (in) feed_in(p, w, rows, lm_at(p->k, s->h, r * c->D), post, s->up);
        if (out)
            p->k->linear(rows, c->D, c->mlp, post, c->mlp, w->down, LINEAR_PANEL * c->mlp, w->down_bias,
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
        const struct lm_layer *w = &p->m->layer[l];
        enum lm_site_kind last = l + 1 < depth ? LM_SITE_R : end;
        if (from < LM_SITE_A) {
            attend(p, w, s);
            if ((rc = offer(p, l, LM_SITE_A, s->delta)) || last == LM_SITE_A) continue;
        }
        if (from <= LM_SITE_A) p->k->add(n, s->x, s->delta);
        if (from < LM_SITE_TC) {
            norm(p, w->mlp_norm, w->mlp_norm_bias, s);
            if ((rc = offer(p, l, LM_SITE_TC, s->h)) || last == LM_SITE_TC) continue;
        }
        if (from < LM_SITE_M) {
            feed_forward(p, w, s, from<LM_SITE_POST, last> LM_SITE_POST);
            if ((rc = offer(p, l, LM_SITE_POST, s->post)) || last == LM_SITE_POST) continue;
            if ((rc = offer(p, l, LM_SITE_M, s->delta)) || last == LM_SITE_M) continue;
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
    return rc ? rc : layers(&p, 0, BEGINNING, depth, last_kind(sites, n_sites, depth - 1), s);
}

void lm_resume(const struct lm_model *m, const struct lm_kernels *k, const struct lm_batch *b,
               const struct lm_site *site, const float *x, const float *rows, struct lm_scratch *s) {
    struct pass p = {.m = m, .k = k, .b = b, .M = b->start[b->n]};
    k->place(b->n, b->start, b->token, &p.place);
    float *const place[] = {s->delta, s->h, s->post, s->delta, s->x}; /* by enum lm_site_kind */
    CHECK(k->slots == 1 && m->n_layers == m->c.L && site->layer < m->c.L && p.M <= s->rows);
    CHECK(site->kind != LM_SITE_POST || s->post_rows == s->rows);
    if (site->kind != LM_SITE_R) memcpy(s->x, x, p.M * m->c.D * sizeof *x);
    memcpy(place[site->kind], rows, p.M * lm_site_width(&m->c, site) * sizeof *rows);
    layers(&p, site->layer, (int)site->kind, m->c.L, LM_SITE_R, s);
}
