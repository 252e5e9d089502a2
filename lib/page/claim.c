/* claim.c - see claim.h. */
#include "lib/page/claim.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"

const char *claim_word(enum claim_outcome o) {
    static const char *const word[CLAIM_OUTCOMES] = {"holds", "holds in part", "does not hold", "still moving",
                                                     "not measured"};
    return word[o];
}

/* ---- paths ---- */

/* The values at the end of the path: their number; written to out where it is not NULL. */
static size_t walk(const json_t *at, const char *rest, const char *label, struct claim_value *out) {
    if (!*rest) {
        if (out) *out = (struct claim_value){label, json_is_number(at) ? json_number_value(at) : NAN};
        return 1;
    }
    char step[CLAIM_PATH], *end;
    size_t len = strcspn(rest, "."), n = 0;
    memcpy(step, rest, len);
    step[len] = 0;
    rest += len + (rest[len] == '.');
    if (strcmp(step, "*")) {
        unsigned long i = strtoul(step, &end, 10);
        return walk(json_is_array(at) && !*end ? json_array_get(at, i) : json_object_get(at, step), rest, label, out);
    }
    if (!json_array_size(at)) return walk(NULL, "", label, out);
    for (size_t i = 0; i < json_array_size(at); i++) {
        const json_t *entry = json_array_get(at, i);
        const char *name = json_string_value(json_object_get(entry, "label"));
        if (!name) name = json_string_value(json_object_get(entry, "title"));
        n += walk(entry, rest, name ? name : label, out ? out + n : NULL);
    }
    return n;
}

int claim_path(const char *path, const char *where, const json_t *figure, struct claim_value **out, size_t *n,
               struct err *e) {
    *out = NULL, *n = 0;
    size_t len = strlen(path);
    if (!len || len >= CLAIM_PATH || strpbrk(path, " \t"))
        return err_set(e, ERR_FORMAT, "%s: '%.40s' is no path: want keys, numbers and '*' between dots", where, path);
    *n = walk(figure, path, "", NULL);
    *out = mem_array(*n, sizeof **out, "the values of a claim", e);
    if (!*out) return ERR_MEMORY;
    walk(figure, path, "", *out);
    return 0;
}

const char *claim_name(const char *path) {
    const char *star = strrchr(path, '*'), *head = "statistics.";
    if (star && star[1] == '.') return star + 2;
    return strncmp(path, head, strlen(head)) ? path : path + strlen(head);
}

/* ---- conditions ---- */

static int parse(const char *text, size_t len, const char *where, struct claim_clause *c, struct err *e) {
    char copy[2 * CLAIM_PATH], extra;
    c->bound = NAN;
    snprintf(copy, sizeof copy, "%.*s", (int)(len < sizeof copy ? len : sizeof copy - 1), text);
    if (sscanf(copy, "%255s %2s %lf %c", c->path, c->op, &c->bound, &extra) == 3 && isfinite(c->bound) &&
        (strspn(c->op, "<>") == strlen(c->op) || !strcmp(c->op, "<=") || !strcmp(c->op, ">=") || !strcmp(c->op, "=")) &&
        strcmp(c->op, "<>") && strcmp(c->op, "><") && strcmp(c->op, "<<") && strcmp(c->op, ">>"))
        return 0;
    err_set(e, ERR_FORMAT, "%s: condition '%s': want PATH COMPARISON NUMBER", where, copy);
    return err_hint(e,
                    "for example: statistics.series.*.l0_final <= 80; comparisons are < <= = >= >, joined by ' and '");
}

bool claim_meets(double x, const char *op, double bound) {
    switch (*op) {
    case '<':
        return op[1] ? x <= bound : x < bound;
    case '>':
        return op[1] ? x >= bound : x > bound;
    default:
        return x == bound;
    }
}

int claim_clauses(const char *condition, const char *where, const json_t *figure, struct claim_clause **out, size_t *n,
                  struct err *e) {
    static const char and[] = " and ";
    size_t count = 1;
    *out = NULL, *n = 0;
    for (const char *s = condition; (s = strstr(s, and)); s += strlen(and)) count++;
    struct claim_clause *c = mem_array(count, sizeof *c, "the clauses of a claim", e);
    int rc = c ? 0 : ERR_MEMORY;
    for (const char *s = condition; !rc && s;) {
        const char *next = strstr(s, and);
        rc = parse(s, next ? (size_t)(next - s) : strlen(s), where, &c[*n], e);
        if (!rc) rc = claim_path(c[*n].path, where, figure, &c[*n].value, &c[*n].n, e);
        if (!rc) ++*n;
        s = next ? next + strlen(and) : NULL;
    }
    if (rc) return claim_clauses_free(c, *n), rc;
    *out = c;
    return 0;
}

void claim_clauses_free(struct claim_clause *c, size_t n) {
    for (size_t i = 0; i < n; i++) free(c[i].value);
    free(c);
}

/* ---- judging ---- */

void claim_list(const struct claim_value *v, size_t n, char *out, size_t out_bytes) {
    for (size_t i = 0; i < n; i++) {
        char number[32] = "none";
        size_t at = strlen(out);
        if (!isnan(v[i].value)) snprintf(number, sizeof number, "%.4g", v[i].value);
        snprintf(out + at, out_bytes - at, "%s%s%s%s", i ? ", " : "", v[i].label, *v[i].label ? " = " : "", number);
    }
}

int claim_judge(const char *condition, const char *where, const json_t *figure, struct claim_verdict *v,
                struct err *e) {
    struct claim_clause *c;
    size_t n;
    bool partly = false, fails = false, missing = !figure;
    *v = (struct claim_verdict){.outcome = CLAIM_NOT_MEASURED};
    int rc = claim_clauses(condition, where, figure, &c, &n, e);
    if (rc) return rc;
    for (size_t i = 0; i < n; i++) {
        size_t yes = 0, no = 0, at = strlen(v->found);
        for (size_t k = 0; k < c[i].n; k++) {
            bool meets = claim_meets(c[i].value[k].value, c[i].op, c[i].bound), none = isnan(c[i].value[k].value);
            missing |= none;
            yes += !none && meets, no += !none && !meets;
        }
        fails |= no > 0 && !yes;
        partly |= no > 0 && yes > 0;
        if (i && !strcmp(c[i].path, c[i - 1].path))
            continue; /* a second bound is judged, the values not listed again */
        snprintf(v->found + at, sizeof v->found - at, "%s%s: ", i ? "; " : "", claim_name(c[i].path));
        claim_list(c[i].value, c[i].n, v->found, sizeof v->found);
    }
    claim_clauses_free(c, n);
    if (!figure) v->found[0] = 0;
    v->outcome = missing ? CLAIM_NOT_MEASURED : fails ? CLAIM_FAILS : partly ? CLAIM_PARTLY : CLAIM_HOLDS;
    return 0;
}
