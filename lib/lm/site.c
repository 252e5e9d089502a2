/* site.c - see site.h. */
#include "lib/lm/site.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"

static const char *const kinds[] = {[LM_SITE_Z] = "Z",           [LM_SITE_A] = "A", [LM_SITE_TC] = "TC",
                                    [LM_SITE_POST] = "mlp_post", [LM_SITE_M] = "M", [LM_SITE_R] = "R"};
enum { KINDS = sizeof kinds / sizeof *kinds };

static int no_site(const char *name, size_t n, struct err *e) {
    err_set(e, ERR_USAGE, "--sites: '%.*s' is no site", n > 40 ? 40 : (int)n, name);
    return err_hint(
        e, "want L<layer> and R (residual), A (attention), Z (input of its output matrix), M (feed-forward), TC "
           "(its input) or mlp_post (inside it): L0R,L3TC");
}

/* One name of n characters. */
static int parse_site(const char *name, size_t n, size_t L, struct lm_site *s, struct err *e) {
    char *end = NULL;
    int kind = KINDS;
    *s = (struct lm_site){0};
    if (!n || n >= sizeof s->name) return no_site(name, n, e);
    memcpy(s->name, name, n);
    if (s->name[0] == 'L' && s->name[1] >= '0' && s->name[1] <= '9' &&
        (s->name[1] != '0' || s->name[2] < '0' || s->name[2] > '9')) {
        s->layer = (size_t)strtoull(s->name + 1, &end, 10);
        for (kind = 0; kind < KINDS && strcmp(end, kinds[kind]); kind++) {}
        if (!strcmp(end, "A_pre") || !strcmp(end, "M_pre")) {
            err_set(e, ERR_UNSUPPORTED, "--sites: %s: the model has no norm after this half", s->name);
            return err_hint(e, "what the half gives is added as it is: L%zu%c", s->layer, *end);
        }
    } else if (L == 1 && !strcmp(s->name, kinds[LM_SITE_POST]))
        kind = LM_SITE_POST;
    if (kind == KINDS) return no_site(name, n, e);
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
    return s->kind == LM_SITE_POST ? c->mlp : s->kind == LM_SITE_Z ? c->H * c->Dh : c->D;
}

size_t lm_sites_depth(const struct lm_site *sites, size_t n) {
    size_t depth = 0;
    for (size_t i = 0; i < n; i++)
        if (sites[i].layer >= depth) depth = sites[i].layer + 1;
    return depth;
}

enum lm_site_kind lm_sites_last(const struct lm_site *sites, size_t n, size_t l) {
    enum lm_site_kind last = LM_SITE_Z;
    for (size_t i = 0; i < n; i++)
        if (sites[i].layer == l && sites[i].kind > last) last = sites[i].kind;
    return last;
}

double lm_flops(const struct lm_config *c, const struct lm_site *sites, size_t n, size_t T) {
    size_t depth = lm_sites_depth(sites, n);
    double t = (double)T, D = (double)c->D, q = (double)(c->H * c->Dh), kv = (double)(c->G * c->Dh), sum = 0;
    double out = 2 * t * q * D, attention = 2 * t * D * (q + 2 * kv) + out + 4 * q * t * (t + 1) / 2,
           down = 2 * t * D * (double)c->mlp;
    for (size_t l = 0; l < depth; l++) {
        enum lm_site_kind last = l + 1 < depth ? LM_SITE_R : lm_sites_last(sites, n, l);
        sum += attention + (c->block[l].gated ? 3 : 2) * down;
        if (last < LM_SITE_POST) sum -= (c->block[l].gated ? 3 : 2) * down;
        if (last == LM_SITE_POST) sum -= down;
        if (last == LM_SITE_Z) sum -= out;
    }
    return sum;
}
