/* claim.c - see claim.h. */
#include "lib/chart/claim.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 256 };

struct clause {
    char path[PATH_BYTES], op[3];
    double bound;
    size_t yes, no, missing;
};

const char *claim_word(enum claim_outcome o) {
    static const char *const word[] = {"holds", "holds in part", "does not hold", "not measured"};
    return word[o];
}

static void put(struct claim_verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct claim_verdict *v, const char *fmt, ...) {
    size_t n = strlen(v->found);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(v->found + n, sizeof v->found - n, fmt, ap);
    va_end(ap);
}

static int parse(const char *text, size_t len, const char *where, struct clause *c, struct err *e) {
    char copy[2 * PATH_BYTES], extra;
    *c = (struct clause){.bound = NAN};
    snprintf(copy, sizeof copy, "%.*s", (int)(len < sizeof copy ? len : sizeof copy - 1), text);
    if (sscanf(copy, "%255s %2s %lf %c", c->path, c->op, &c->bound, &extra) == 3 && isfinite(c->bound) &&
        (strspn(c->op, "<>") == strlen(c->op) || !strcmp(c->op, "<=") || !strcmp(c->op, ">=") || !strcmp(c->op, "=")) &&
        strcmp(c->op, "<>") && strcmp(c->op, "><") && strcmp(c->op, "<<") && strcmp(c->op, ">>"))
        return 0;
    err_set(e, ERR_FORMAT, "%s: condition '%s': want PATH COMPARISON NUMBER", where, copy);
    return err_hint(e,
                    "for example: statistics.series.*.l0_final <= 80; comparisons are < <= = >= >, joined by ' and '");
}

static bool compare(double x, const char *op, double bound) {
    switch (*op) {
    case '<':
        return op[1] ? x <= bound : x < bound;
    case '>':
        return op[1] ? x >= bound : x > bound;
    default:
        return x == bound;
    }
}

static void judge_value(struct clause *c, const json_t *value, const char *who, struct claim_verdict *v) {
    size_t seen = c->yes + c->no + c->missing;
    bool number = json_is_number(value);
    put(v, "%s%s%s", seen ? ", " : "", who, *who ? " = " : "");
    if (number)
        put(v, "%.4g", json_number_value(value));
    else
        put(v, "none");
    if (!number)
        c->missing++;
    else if (compare(json_number_value(value), c->op, c->bound))
        c->yes++;
    else
        c->no++;
}

/* Follow the rest of the path; `who` is the label or title of the last entry that '*' stood for. */
static void walk(struct clause *c, const json_t *at, const char *rest, const char *who, struct claim_verdict *v) {
    if (!*rest) {
        judge_value(c, at, who, v);
        return;
    }
    char step[PATH_BYTES], *end;
    size_t len = strcspn(rest, ".");
    memcpy(step, rest, len);
    step[len] = 0;
    rest += len + (rest[len] == '.');
    if (strcmp(step, "*")) {
        unsigned long i = strtoul(step, &end, 10);
        walk(c, json_is_array(at) && !*end ? json_array_get(at, i) : json_object_get(at, step), rest, who, v);
        return;
    }
    if (!json_array_size(at)) {
        c->missing++;
        return;
    }
    for (size_t i = 0; i < json_array_size(at); i++) {
        const json_t *entry = json_array_get(at, i);
        const char *name = json_string_value(json_object_get(entry, "label"));
        if (!name) name = json_string_value(json_object_get(entry, "title"));
        walk(c, entry, rest, name ? name : who, v);
    }
}

/* What tells a value apart: the path behind the last '*', or behind "statistics". */
static const char *short_name(const char *path) {
    const char *star = strrchr(path, '*'), *head = "statistics.";
    if (star && star[1] == '.') return star + 2;
    return strncmp(path, head, strlen(head)) ? path : path + strlen(head);
}

int claim_judge(const char *condition, const char *where, const json_t *figure, struct claim_verdict *v,
                struct err *e) {
    *v = (struct claim_verdict){.outcome = CLAIM_HOLDS};
    char before[PATH_BYTES] = "";
    bool partly = false, fails = false, missing = false;
    for (const char *s = condition; s;) {
        struct clause c;
        const char *next = strstr(s, " and ");
        int rc = parse(s, next ? (size_t)(next - s) : strlen(s), where, &c, e);
        if (rc) return rc;
        bool again = !strcmp(c.path, before); /* a second bound on the same values is judged, not listed again */
        struct claim_verdict unseen = {.found = ""};
        if (!again) put(v, "%s%s: ", *v->found ? "; " : "", short_name(c.path));
        walk(&c, figure, c.path, "", again ? &unseen : v);
        memcpy(before, c.path, sizeof before);
        missing |= c.missing > 0;
        fails |= c.no > 0 && !c.yes;
        partly |= c.no > 0 && c.yes > 0;
        s = next ? next + strlen(" and ") : NULL;
    }
    if (!figure) v->found[0] = 0;
    v->outcome = missing || !figure ? CLAIM_NOT_MEASURED : fails ? CLAIM_FAILS : partly ? CLAIM_PARTLY : CLAIM_HOLDS;
    return 0;
}
