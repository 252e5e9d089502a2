/* forward.c - see forward.h. */
#include "lib/lm/forward.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/linear.h"

/* Rows that go through the feed-forward layer together: its wide intermediate then stays in the second-level cache. */
enum { MLP_ROWS = 96 };

static const char *const kinds[] = {[LM_SITE_A] = "A", [LM_SITE_TC] = "TC", [LM_SITE_M] = "M", [LM_SITE_R] = "R"};
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
        }
    }
    if (kind == KINDS) {
        err_set(e, ERR_USAGE, "--sites: '%.*s' is no site", n > 40 ? 40 : (int)n, name);
        return err_hint(
            e, "want L<layer> and R (residual), A (attention), M (feed-forward) or TC (transcoder input): L0R,L3TC");
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
            if (!strcmp(s[i].name, s[done].name)) {
                err_set(e, ERR_USAGE, "--sites: %s is named twice", s[i].name);
                rc = err_hint(e, "name each site once");
            }
        c += len + 1;
    }
    if (rc) return free(s), rc;
    *sites = s;
    *n = count;
    return 0;
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
    double attention = 2 * t * (D * (q + 2 * kv) + q * D) + 4 * q * t * (t + 1) / 2,
           mlp = 2 * t * 3 * D * (double)c->mlp;
    return (double)depth * (attention + mlp) - (last_kind(sites, n, depth - 1) <= LM_SITE_TC ? mlp : 0);
}

/* Measure (a = NULL) or take a piece of scratch. */
static void *piece(struct arena *a, size_t rows, size_t cols, size_t *need) {
    size_t n, bytes = size_product(rows, cols, 1, &n) ? arena_need(n, sizeof(float)) : SIZE_MAX;
    *need = bytes > SIZE_MAX - *need ? SIZE_MAX : *need + bytes;
    return a ? arena_take(a, n, sizeof(float)) : NULL;
}

static size_t pieces(struct lm_scratch *s, const struct lm_config *c, struct arena *a) {
    size_t need = 0, q = c->H * c->Dh, work = attention_work_bytes(s->T, c->Dh);
    s->x = piece(a, s->rows, c->D, &need);
    s->h = piece(a, s->rows, c->D, &need);
    s->delta = piece(a, s->rows, c->D, &need);
    s->qkv = piece(a, s->rows, q + 2 * c->G * c->Dh, &need);
    s->att = piece(a, s->rows, q, &need);
    s->gate = piece(a, MLP_ROWS, c->mlp, &need);
    s->up = piece(a, MLP_ROWS, c->mlp, &need);
    s->work = piece(a, work / sizeof(float) + 1, 1, &need);
    return need;
}

size_t lm_scratch_bytes(const struct lm_config *c, size_t rows, size_t T) {
    struct lm_scratch s = {.rows = rows, .T = T};
    return pieces(&s, c, NULL);
}

int lm_scratch_init(struct lm_scratch *s, const struct lm_config *c, size_t rows, size_t T, struct err *e) {
    *s = (struct lm_scratch){.rows = rows, .T = T};
    int rc = arena_init(&s->mem, lm_scratch_bytes(c, rows, T), "model: working memory", e);
    if (!rc) pieces(s, c, &s->mem);
    return rc;
}

void lm_scratch_free(struct lm_scratch *s) { arena_free(&s->mem); }

static void add(size_t n, float *restrict x, const float *restrict d) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) x[i] += d[i];
}

struct pass {
    const struct lm_model *m;
    const struct lm_kernels *k;
    const struct lm_batch *b;
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
    size_t D = p->m->c.D;
    for (size_t r = 0; r < p->M; r++) {
        int rc = st_to_f32(p->m->embed, (size_t)p->b->token[r] * D, D, x + r * D, p->e);
        if (rc) return rc;
    }
    return 0;
}

/* delta := attention output */
static void attend(const struct pass *p, const struct lm_layer *w, struct lm_scratch *s) {
    const struct lm_config *c = &p->m->c;
    const struct lm_kernels *k = p->k;
    size_t q = c->H * c->Dh, kv = c->G * c->Dh, ld = q + 2 * kv;
    k->rmsnorm(p->M, c->D, s->x, w->attn_norm, c->norm_eps, s->h);
    k->linear(p->M, ld, c->D, s->h, c->D, w->qkv, LINEAR_PANEL * c->D, w->qkv_bias, s->qkv, ld);
    for (size_t i = 0; i < p->b->n; i++) {
        size_t first = p->b->start[i], T = p->b->start[i + 1] - first;
        float *rows = s->qkv + first * ld;
        CHECK(T <= s->T);
        k->rope(T, c->H + c->G, c->Dh, rows, ld, p->m->rope); /* q and k lie side by side */
        struct attention a = {
            T, c->H, c->G, c->Dh, rows, rows + q, rows + q + kv, ld, (float)(1 / sqrt((double)c->Dh))};
        k->attention(&a, s->att + first * q, q, s->work);
    }
    k->linear(p->M, c->D, q, s->att, q, w->o, LINEAR_PANEL * q, w->o_bias, s->delta, c->D);
}

/* delta := feed-forward output for the normalised rows in h */
static void feed_forward(const struct pass *p, const struct lm_layer *w, struct lm_scratch *s) {
    const struct lm_config *c = &p->m->c;
    const struct lm_kernels *k = p->k;
    for (size_t r = 0; r < p->M; r += MLP_ROWS) {
        size_t rows = p->M - r < MLP_ROWS ? p->M - r : MLP_ROWS, wide = LINEAR_PANEL * c->D;
        k->linear(rows, c->mlp, c->D, s->h + r * c->D, c->D, w->gate, wide, w->gate_bias, s->gate, c->mlp);
        k->linear(rows, c->mlp, c->D, s->h + r * c->D, c->D, w->up, wide, w->up_bias, s->up, c->mlp);
        k->swiglu(rows * c->mlp, s->gate, s->up);
        k->linear(rows, c->D, c->mlp, s->gate, c->mlp, w->down, LINEAR_PANEL * c->mlp, w->down_bias,
                  s->delta + r * c->D, c->D);
    }
}

int lm_forward(const struct lm_model *m, const struct lm_kernels *k, const struct lm_batch *b,
               const struct lm_site *sites, size_t n_sites, struct lm_scratch *s, const struct lm_hook *hook,
               struct err *e) {
    struct pass p = {m, k, b, sites, n_sites, b->start[b->n], hook, e};
    size_t depth = lm_sites_depth(sites, n_sites), n = p.M * m->c.D;
    CHECK(depth <= m->n_layers && p.M <= s->rows && s->T <= m->T);
    int rc = embed(&p, s->x);
    for (size_t l = 0; !rc && l < depth; l++) {
        const struct lm_layer *w = &m->layer[l];
        enum lm_site_kind last = l + 1 < depth ? LM_SITE_R : last_kind(sites, n_sites, l);
        attend(&p, w, s);
        if ((rc = offer(&p, l, LM_SITE_A, s->delta)) || last == LM_SITE_A) continue;
        add(n, s->x, s->delta);
        k->rmsnorm(p.M, m->c.D, s->x, w->mlp_norm, m->c.norm_eps, s->h);
        if ((rc = offer(&p, l, LM_SITE_TC, s->h)) || last == LM_SITE_TC) continue;
        feed_forward(&p, w, s);
        if ((rc = offer(&p, l, LM_SITE_M, s->delta)) || last == LM_SITE_M) continue;
        add(n, s->x, s->delta);
        rc = offer(&p, l, LM_SITE_R, s->x);
    }
    return rc;
}
