/* convergence.c - see convergence.h. The document is the only place that numbers wait in while plots are added: a plot can have
 * millions of points, of which a claim wants three. */
#include "lib/page/convergence.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/page/claim.h"
#include "lib/file/jsonfile.h"

enum { CLAIM_ID, CLAIM_FIGURE, CLAIM_SECTION, CLAIM_TEXT, CLAIM_CHECK, CLAIM_CONDITION };

/* ---- the rule ---- */

double convergence_mean(const double *x, size_t S, size_t H, size_t h) {
    double sum = 0;
    for (size_t s = 0; s < S; s++) sum += x[s * H + h];
    return sum / (double)S;
}

static bool same_way(double before, double after, const struct converge_bound *b) {
    return claim_meets(before, b->op, b->at) == claim_meets(after, b->op, b->at);
}

struct convergence_rest convergence_rest(const double *x, size_t S, size_t H, size_t half,
                                         const struct converge_bound *b, size_t n) {
    double low = INFINITY, high = -INFINITY;
    double before = convergence_mean(x, S, H, half), after = convergence_mean(x, S, H, H - 1);
    struct convergence_rest r = {.spread = NAN, .moved = after - before};
    bool same = true;
    for (size_t s = 0; s < S; s++) low = fmin(low, x[s * H + H - 1]), high = fmax(high, x[s * H + H - 1]);
    if (S > 1 && !isnan(after)) r.spread = high - low;
    if (isnan(r.moved)) return r;
    for (size_t i = 0; i < n; i++) same &= same_way(before, after, &b[i]) && same_way(after, after + r.moved, &b[i]);
    r.moving = !same && !(S > 1 && fabs(r.moved) <= r.spread);
    return r;
}

/* ---- what is compared ---- */

int convergence_words(const char *text, const char *option, struct opt_list *out, struct err *e) {
    size_t n = 1, bytes = strlen(text) + 1;
    for (const char *s = text; *s; s++) n += *s == ',';
    *out = (struct opt_list){.item = mem_array(n * sizeof(char *) + bytes, 1, "words between commas", e)};
    if (!out->item) return ERR_MEMORY;
    char *word = (char *)(out->item + n);
    memcpy(word, text, bytes);
    for (char *next; word; word = next) {
        if ((next = strchr(word, ','))) *next++ = 0;
        if (!*word) return err_set(e, ERR_USAGE, "%s %s: a word between commas is empty", option, text);
        for (size_t i = 0; i < out->n; i++)
            if (!strcmp(out->item[i], word))
                return err_set(e, ERR_USAGE, "%s %s: '%s' is there twice", option, text, word);
        out->item[out->n++] = word;
    }
    return 0;
}

/* "1/8" or "0.125"; NaN for anything else. */
static double share_of(const char *word) {
    char *end;
    double x = strtod(word, &end);
    if (*end == '/') x /= strtod(end + 1, &end);
    return *end || !(x > 0 && x <= 1) ? (double)NAN : x;
}

int convergence_shares(const struct opt_list *shares, size_t *half, struct err *e) {
    double last = 0;
    bool found = false;
    for (size_t h = 0; h < shares->n; h++) {
        double x = share_of(shares->item[h]);
        if (isnan(x))
            return err_set(e, ERR_USAGE, "--shares: '%s' is no share: want 1/8 or 0.125, above 0 and at most 1",
                           shares->item[h]);
        if (!(x > last)) return err_set(e, ERR_USAGE, "--shares: %s does not rise", shares->item[h]);
        if (x == 0.5) found = true, *half = h;
        last = x;
    }
    if (found && last == 1) return 0;
    err_set(e, ERR_USAGE, "--shares: want 1/2 among them and 1 as the last");
    return err_hint(e, "what came after the first half of training tells what still moves");
}

static size_t figure_index(const struct converge_of *of, const char *id) {
    size_t i = 0;
    while (i < of->figures.n && strcmp(of->figures.item[i], id)) i++;
    return i;
}

/* ---- making ---- */

int convergence_begin(const struct converge_of *of, json_t **out, struct err *e) {
    json_t *claims = json_array();
    for (size_t i = 0; i < of->claims.n_rows; i++) {
        const char *const *field = of->claims.row[i].field;
        if (figure_index(of, field[CLAIM_FIGURE]) == of->figures.n) continue;
        claims = jsonfile_with(claims, "%p",
                               jsonfile_object("id=%s figure=%s claim=%s moving=%p outcomes=%p values=%p",
                                               field[CLAIM_ID], field[CLAIM_FIGURE], field[CLAIM_TEXT], json_false(),
                                               json_array(), json_array()));
    }
    *out = jsonfile_object("shares=%p seeds=%p half_is_run=%p claims=%p", jsonfile_texts(of->shares.item, of->shares.n),
                           jsonfile_texts(of->seeds.item, of->seeds.n), json_boolean(of->half_is_run), claims);
    if (!*out) return err_set(e, ERR_MEMORY, "no memory for the values of claims");
    if (json_array_size(claims)) return 0;
    return err_set(e, ERR_FORMAT, "%s: no claim is about one of the figures", of->claims_path);
}

static bool first_of_path(const struct claim_clause *c, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (!strcmp(c[k].path, c[i].path)) return false;
    return true;
}

/* The bounds on the values of clause i: its own, and those of the clauses behind it with the same path. */
static json_t *bounds(const struct claim_clause *c, size_t n, size_t i) {
    json_t *a = json_array();
    for (size_t k = i; k < n; k++)
        if (!strcmp(c[k].path, c[i].path)) a = jsonfile_with(a, "%p", jsonfile_list("%s %.17g", c[k].op, c[k].bound));
    return a;
}

/* The values of a claim as its first plot has them: names, entries, bounds, and no numbers yet. */
static int add_values(const struct claim_clause *c, size_t n, const char *where, json_t *values, struct err *e) {
    int failed = 0;
    for (size_t i = 0; i < n; i++) {
        if (!first_of_path(c, i)) continue;
        json_t *b = bounds(c, n, i);
        size_t n_bounds = json_array_size(b);
        for (size_t k = 0; k < c[i].n && n_bounds <= CONVERGE_BOUNDS; k++)
            failed |= jsonfile_put(values, "%p",
                                   jsonfile_object("name=%s entry=%s bounds=%p value=%p spread=%p moved=%p moving=%p",
                                                   claim_name(c[i].path), c[i].value[k].label, json_incref(b),
                                                   json_array(), json_null(), json_null(), json_false()));
        json_decref(b);
        if (n_bounds > CONVERGE_BOUNDS)
            return err_set(e, ERR_SHAPE, "%s: %zu bounds on %s: at most %d", where, n_bounds, c[i].path,
                           CONVERGE_BOUNDS);
    }
    return failed ? err_set(e, ERR_MEMORY, "%s: no memory for its values, or a name is not UTF-8", where) : 0;
}

/* The number of one plot to each value of a claim, in a new row if a seed begins. */
static int add_numbers(const struct claim_clause *c, size_t n, bool seed_begins, const char *where, json_t *values,
                       struct err *e) {
    size_t got = 0, at = 0;
    int failed = 0;
    for (size_t i = 0; i < n; i++) got += first_of_path(c, i) ? c[i].n : 0;
    if (got != json_array_size(values))
        return err_set(e, ERR_SHAPE, "%s: want %zu values as in the figure's first plot, got %zu", where,
                       json_array_size(values), got);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; first_of_path(c, i) && k < c[i].n; k++, at++) {
            const json_t *v = json_array_get(values, at);
            json_t *rows = json_object_get(v, "value");
            const char *entry = json_string_value(json_object_get(v, "entry")), *label = c[i].value[k].label;
            if (strcmp(entry, label))
                return err_set(e, ERR_SHAPE, "%s: %s: want entry '%s' as in the figure's first plot, got '%s'", where,
                               claim_name(c[i].path), entry, label);
            if (seed_begins) failed |= jsonfile_put(rows, "%p", json_array());
            failed |= jsonfile_put(json_array_get(rows, json_array_size(rows) - 1), "%.17g", c[i].value[k].value);
        }
    return failed ? err_set(e, ERR_MEMORY, "%s: no memory for its values", where) : 0;
}

static int add_claim(const char *condition, const char *where, const char *figure_claim, size_t seed, size_t share,
                     const json_t *plot, json_t *claim, struct err *e) {
    struct claim_clause *c;
    struct claim_verdict verdict;
    size_t n;
    json_t *values = json_object_get(claim, "values");
    int rc = claim_clauses(condition, where, plot, &c, &n, e);
    if (!rc && !seed && !share) rc = add_values(c, n, figure_claim, values, e);
    if (!rc) rc = add_numbers(c, n, !share, figure_claim, values, e);
    claim_clauses_free(c, n);
    if (rc || seed) return rc;
    rc = claim_judge(condition, where, plot, &verdict, e);
    if (!rc && jsonfile_put(json_object_get(claim, "outcomes"), "%s", claim_word(verdict.outcome)))
        rc = err_set(e, ERR_MEMORY, "%s: no memory for its outcome", where);
    return rc;
}

int convergence_add(const struct converge_of *of, size_t i, const char *path, const json_t *plot, json_t *doc,
                    struct err *e) {
    const size_t G = of->figures.n, H = of->shares.n;
    size_t at = 0;
    int rc = 0;
    for (size_t k = 0; !rc && k < of->claims.n_rows; k++) {
        const struct tsv_row *row = &of->claims.row[k];
        size_t figure = figure_index(of, row->field[CLAIM_FIGURE]);
        char where[PATH_MAX + 32], figure_claim[PATH_MAX + 64];
        if (figure == G) continue;
        json_t *claim = json_array_get(json_object_get(doc, "claims"), at++);
        if (figure != i % G) continue;
        snprintf(where, sizeof where, "%s:%zu", of->claims_path, row->line);
        snprintf(figure_claim, sizeof figure_claim, "%s: claim '%.40s'", path, row->field[CLAIM_ID]);
        rc = add_claim(row->field[CLAIM_CONDITION], where, figure_claim, i / (G * H), i / G % H, plot, claim, e);
    }
    return rc;
}

/* What a figure draws of a value: "mean", "least" and "greatest" of the seeds at each share. */
static int add_seeds(const struct converge *c, const double *x, json_t *value) {
    json_t *mean = json_array(), *least = json_array(), *greatest = json_array();
    for (size_t h = 0; h < c->H; h++) {
        double low = INFINITY, high = -INFINITY;
        for (size_t s = 0; s < c->S; s++) low = fmin(low, x[s * c->H + h]), high = fmax(high, x[s * c->H + h]);
        mean = jsonfile_with(mean, "%.17g", convergence_mean(x, c->S, c->H, h));
        least = jsonfile_with(least, "%.17g", low), greatest = jsonfile_with(greatest, "%.17g", high);
    }
    return jsonfile_put(value, "mean=%p least=%p greatest=%p", mean, least, greatest);
}

int convergence_end(const struct converge_of *of, json_t *doc, size_t *n_moving, struct err *e) {
    struct converge c;
    int rc = convergence_read(doc, "the values of claims", &c, e);
    *n_moving = 0;
    for (size_t i = 0; !rc && i < c.n_claims; i++) {
        json_t *claim = json_array_get(json_object_get(doc, "claims"), i);
        bool any = false;
        for (size_t k = 0; k < c.claim[i].n_values; k++) {
            const struct converge_value *v = &c.claim[i].value[k];
            const struct convergence_rest r = convergence_rest(v->x, c.S, c.H, of->half, v->bound, v->n_bounds);
            json_t *o = json_array_get(json_object_get(claim, "values"), k);
            int failed = jsonfile_put(o, "spread=%.9g moved=%.9g moving=%p", r.spread, r.moved, json_boolean(r.moving));
            if (failed || add_seeds(&c, v->x, o)) rc = err_set(e, ERR_MEMORY, "no memory for the values of claims");
            any |= r.moving;
        }
        json_object_set(claim, "moving", any ? json_true() : json_false()); /* it is there: needs no memory */
        *n_moving += any;
    }
    json_t *names = json_array();
    for (size_t h = 0; !rc && h < c.H; h++) names = jsonfile_with(names, "%s", convergence_share(&c, h));
    if (!rc && jsonfile_put(doc, "share_names=%p", names)) rc = err_set(e, ERR_MEMORY, "no memory for the claims");
    convergence_free(&c);
    return rc;
}

/* ---- reading ---- */

static int read_bounds(const json_t *o, const char *where, struct converge_value *v, struct err *e) {
    json_t *a;
    int rc = jsonfile_array(o, where, "bounds", &a, e);
    if (rc) return rc;
    v->n_bounds = json_array_size(a);
    if (v->n_bounds < 1 || v->n_bounds > CONVERGE_BOUNDS)
        return err_set(e, ERR_SHAPE, "%s: key 'bounds': want 1 to %d, got %zu", where, CONVERGE_BOUNDS, v->n_bounds);
    for (size_t i = 0; i < v->n_bounds; i++) {
        const json_t *b = json_array_get(a, i), *at = json_array_get(b, 1);
        const char *op = json_string_value(json_array_get(b, 0));
        if (!op || (strcmp(op, "<") && strcmp(op, "<=") && strcmp(op, "=") && strcmp(op, ">=") && strcmp(op, ">")) ||
            !json_is_number(at))
            return err_set(e, ERR_FORMAT, "%s: key 'bounds': entry %zu: want a comparison and a number", where, i);
        snprintf(v->bound[i].op, sizeof v->bound[i].op, "%s", op);
        v->bound[i].at = json_number_value(at);
    }
    return 0;
}

static int read_numbers(const json_t *o, const char *where, size_t S, size_t H, double *x, struct err *e) {
    json_t *a;
    int rc = jsonfile_array(o, where, "value", &a, e);
    if (!rc && json_array_size(a) != S)
        rc = err_set(e, ERR_SHAPE, "%s: key 'value': want %zu rows, one a seed, got %zu", where, S, json_array_size(a));
    for (size_t s = 0; !rc && s < S; s++) {
        const json_t *row = json_array_get(a, s);
        if (json_array_size(row) != H)
            return err_set(e, ERR_SHAPE, "%s: key 'value': row %zu: want %zu numbers, one a share, got %zu", where, s,
                           H, json_array_size(row));
        for (size_t h = 0; h < H; h++) {
            const json_t *v = json_array_get(row, h);
            if (!json_is_number(v) && !json_is_null(v))
                return err_set(e, ERR_FORMAT, "%s: key 'value': row %zu: want numbers or null", where, s);
            x[s * H + h] = json_is_number(v) ? json_number_value(v) : NAN;
        }
    }
    return rc;
}

static int read_flag(const json_t *o, const char *where, bool *out, struct err *e) {
    const json_t *v = json_object_get(o, "moving");
    *out = json_is_true(v);
    return json_is_boolean(v) ? 0 : err_set(e, ERR_FORMAT, "%s: key 'moving': want true or false", where);
}

static int read_value(const json_t *o, const char *where, const struct converge *c, double *x, struct converge_value *v,
                      struct err *e) {
    v->x = x;
    int rc = jsonfile_text(o, where, "name", &v->name, e);
    if (!rc) rc = jsonfile_text(o, where, "entry", &v->entry, e);
    if (!rc) rc = read_bounds(o, where, v, e);
    if (!rc) rc = read_numbers(o, where, c->S, c->H, x, e);
    if (!rc) rc = jsonfile_real_or(o, where, "spread", NAN, &v->rest.spread, e);
    if (!rc) rc = jsonfile_real_or(o, where, "moved", NAN, &v->rest.moved, e);
    return rc ? rc : read_flag(o, where, &v->rest.moving, e);
}

static int read_claim(const json_t *o, const char *path, struct converge *c, size_t i, size_t first, struct err *e) {
    struct converge_claim *claim = &c->claim[i];
    char where[PATH_MAX + 32];
    json_t *values;
    snprintf(where, sizeof where, "%s: claim %zu", path, i);
    int rc = jsonfile_text(o, where, "id", &claim->id, e);
    if (!rc) rc = jsonfile_text(o, where, "figure", &claim->figure, e);
    if (!rc) rc = read_flag(o, where, &claim->moving, e);
    if (!rc) rc = jsonfile_array(o, where, "values", &values, e);
    if (rc) return rc;
    claim->value = c->value + first, claim->n_values = json_array_size(values);
    for (size_t k = 0; !rc && k < claim->n_values; k++) {
        snprintf(where, sizeof where, "%s: claim %zu, value %zu", path, i, k);
        rc = read_value(json_array_get(values, k), where, c, c->x + (first + k) * c->S * c->H, c->value + first + k, e);
    }
    return rc;
}

/* An array of texts, at least one. */
static int read_texts(const json_t *doc, const char *path, const char *key, json_t **out, size_t *n, struct err *e) {
    int rc = jsonfile_array(doc, path, key, out, e);
    *n = json_array_size(*out);
    for (size_t i = 0; !rc && i < *n; i++)
        if (!json_is_string(json_array_get(*out, i)))
            rc = err_set(e, ERR_FORMAT, "%s: key '%s': entry %zu: want a text", path, key, i);
    if (!rc && !*n) rc = err_set(e, ERR_SHAPE, "%s: key '%s': want at least one", path, key);
    return rc;
}

int convergence_read(const json_t *doc, const char *path, struct converge *c, struct err *e) {
    json_t *claims, *seeds, *shares;
    size_t n_values = 0, n_numbers, first = 0;
    *c = (struct converge){0};
    int rc = read_texts(doc, path, "shares", &shares, &c->H, e);
    if (!rc) rc = read_texts(doc, path, "seeds", &seeds, &c->S, e);
    if (!rc) rc = jsonfile_array(doc, path, "claims", &claims, e);
    if (rc) return rc;
    c->half_is_run = json_is_true(json_object_get(doc, "half_is_run"));
    c->shares = shares, c->n_claims = json_array_size(claims);
    for (size_t i = 0; i < c->n_claims; i++)
        n_values += json_array_size(json_object_get(json_array_get(claims, i), "values"));
    if (!size_product(n_values, c->S, c->H, &n_numbers)) return err_set(e, ERR_MEMORY, "%s: too many values", path);
    c->claim = mem_array(c->n_claims + 1, sizeof *c->claim, path, e);
    c->value = c->claim ? mem_array(n_values + 1, sizeof *c->value, path, e) : NULL;
    c->x = c->value ? mem_array(n_numbers + 1, sizeof *c->x, path, e) : NULL;
    if (!c->x) return ERR_MEMORY;
    for (size_t i = 0; !rc && i < c->n_claims; i++) {
        rc = read_claim(json_array_get(claims, i), path, c, i, first, e);
        first += c->claim[i].n_values;
    }
    return rc;
}

void convergence_free(struct converge *c) {
    free(c->claim);
    free(c->value);
    free(c->x);
    *c = (struct converge){0};
}

const char *convergence_share(const struct converge *c, size_t h) {
    const char *share = json_string_value(json_array_get(c->shares, h));
    return h + 1 == c->H ? "end" : c->half_is_run && !strcmp(share, "1/2") ? "1/2*" : share;
}
