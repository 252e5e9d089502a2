/* kind_convergence.c - the values behind the claims against the share of training: a small panel for every statistic that a
 * claim bounds, a line for every entry (layer, affinity), the bounds dashed, and the side shaded on which the claim holds.
 *
 * Entries have the same colour in all panels and stand in one legend while their names are few enough for that. A panel with
 * one entry is drawn in ink and names it beside its axis. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/chart/kind.h"
#include "lib/chart/ticks.h"
#include "lib/file/jsonfile.h"

enum { COLUMNS = 4, SHARED = 7 };
static const double bound_pt = 0.8, range_pt = 2;
static const uint32_t shade = 0x009E73;

/* The document, and its numbers of seeds and shares. */
struct doc {
    const char *path;
    json_t *file, *claims, *share_names;
    size_t S, H;
};

/* The values of one panel: consecutive ones of a claim with the same name. */
struct group {
    const json_t *claim;
    size_t first, n;
};

/* ---- reading ---- */

static const json_t *value_of(const struct group *g, size_t k) {
    return json_array_get(json_object_get(g->claim, "values"), g->first + k);
}

static const char *text_of(const json_t *o, const char *key) { return json_string_value(json_object_get(o, key)); }

static const char *entry_of(const struct group *g, size_t k) { return text_of(value_of(g, k), "entry"); }

/* Number h of a list of the k-th value, NaN for null. */
static double at(const struct group *g, size_t k, const char *list, size_t h) {
    const json_t *x = json_array_get(json_object_get(value_of(g, k), list), h);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

static bool is_moving(const json_t *o) { return json_is_true(json_object_get(o, "moving")); }

/* The bounds of a panel's values, which are the same. */
static size_t bounds_of(const struct group *g) { return json_array_size(json_object_get(value_of(g, 0), "bounds")); }

static double bound_at(const struct group *g, size_t i, char *side) {
    const json_t *b = json_array_get(json_object_get(value_of(g, 0), "bounds"), i);
    if (side) *side = *json_string_value(json_array_get(b, 0));
    return json_number_value(json_array_get(b, 1));
}

static int check_moving(const json_t *o, const char *where, struct err *e) {
    if (json_is_boolean(json_object_get(o, "moving"))) return 0;
    return err_set(e, ERR_FORMAT, "%s: key 'moving': want true or false", where);
}

static int check_value(const json_t *v, const struct doc *d, const char *where, struct err *e) {
    static const char *const list[] = {"mean", "least", "greatest"};
    const char *text;
    json_t *a, *bounds;
    int rc = jsonfile_text(v, where, "name", &text, e);
    if (!rc) rc = jsonfile_text(v, where, "entry", &text, e);
    if (!rc) rc = check_moving(v, where, e);
    if (!rc) rc = jsonfile_array(v, where, "bounds", &bounds, e);
    for (size_t i = 0; !rc && i < json_array_size(bounds); i++) {
        const json_t *b = json_array_get(bounds, i);
        if (!json_is_string(json_array_get(b, 0)) || !json_is_number(json_array_get(b, 1)))
            rc = err_set(e, ERR_FORMAT, "%s: key 'bounds': entry %zu: want a comparison and a number", where, i);
    }
    for (size_t i = 0; !rc && i < sizeof list / sizeof *list; i++) {
        rc = jsonfile_array(v, where, list[i], &a, e);
        if (!rc && json_array_size(a) != d->H)
            rc = err_set(e, ERR_SHAPE, "%s: key '%s': want %zu numbers, one a share, got %zu", where, list[i], d->H,
                         json_array_size(a));
    }
    return rc;
}

static int doc_read(struct doc *d, struct err *e) {
    json_t *seeds, *values;
    const char *id;
    char where[PATH_MAX + 32];
    int rc = jsonfile_read(d->path, &d->file, e);
    if (!rc) rc = jsonfile_array(d->file, d->path, "seeds", &seeds, e);
    if (!rc) rc = jsonfile_array(d->file, d->path, "share_names", &d->share_names, e);
    if (!rc) rc = jsonfile_array(d->file, d->path, "claims", &d->claims, e);
    if (rc) return rc;
    d->S = json_array_size(seeds), d->H = json_array_size(d->share_names);
    for (size_t h = 0; !rc && h < d->H; h++)
        if (!json_is_string(json_array_get(d->share_names, h)))
            rc = err_set(e, ERR_FORMAT, "%s: key 'share_names': entry %zu: want a text", d->path, h);
    for (size_t i = 0; !rc && i < json_array_size(d->claims); i++) {
        const json_t *claim = json_array_get(d->claims, i);
        snprintf(where, sizeof where, "%s: claim %zu", d->path, i);
        rc = jsonfile_text(claim, where, "id", &id, e);
        if (!rc) rc = check_moving(claim, where, e);
        if (!rc) rc = jsonfile_array(claim, where, "values", &values, e);
        for (size_t k = 0; !rc && k < json_array_size(values); k++)
            rc = check_value(json_array_get(values, k), d, where, e);
    }
    return rc;
}

/* Cut the values of a claim into groups; out may be NULL. Returns their number. */
static size_t groups_of(const json_t *claim, struct group *out) {
    const json_t *values = json_object_get(claim, "values");
    size_t n = 0, all = json_array_size(values);
    for (size_t i = 0, end; i < all; i = end, n++) {
        const char *name = text_of(json_array_get(values, i), "name");
        for (end = i + 1; end < all && !strcmp(text_of(json_array_get(values, end), "name"), name);) end++;
        if (out) out[n] = (struct group){claim, i, end - i};
    }
    return n;
}

/* The names of all entries that share a panel with others, in order of appearance: at most SHARED, *n may say more. */
static void entries_of(const struct group *g, size_t n_groups, const char *name[SHARED], size_t *n) {
    *n = 0;
    for (size_t i = 0; i < n_groups; i++)
        for (size_t k = 0; g[i].n > 1 && k < g[i].n; k++) {
            size_t at = 0;
            while (at < *n && at < SHARED && strcmp(name[at], entry_of(&g[i], k))) at++;
            if (at < *n && at < SHARED) continue;
            if (*n < SHARED) name[*n] = entry_of(&g[i], k);
            ++*n;
        }
}

static uint32_t colour_of(const struct group *g, size_t k, const char *const *name, size_t n_names) {
    size_t at = 0;
    if (g->n == 1) return CANVAS_INK;
    if (n_names > SHARED) return chart_colour(k);
    while (strcmp(name[at], entry_of(g, k))) at++;
    return chart_colour(at);
}

/* ---- one panel ---- */

/* The y axis: all values and bounds, logarithmic where they are positive and span more than a factor of 20. */
static void set_range(struct chart_panel *p, const struct doc *d, const struct group *g) {
    double lo = INFINITY, hi = -INFINITY;
    bool whole = true;
    for (size_t k = 0; k < g->n; k++)
        for (size_t h = 0; h < d->H; h++) {
            double least = at(g, k, "least", h), greatest = at(g, k, "greatest", h);
            if (isnan(least)) continue;
            lo = fmin(lo, least), hi = fmax(hi, greatest),
            whole &= floor(least) == least && floor(greatest) == greatest;
        }
    for (size_t i = 0; i < bounds_of(g); i++) lo = fmin(lo, bound_at(g, i, NULL)), hi = fmax(hi, bound_at(g, i, NULL));
    p->y.log = lo > 0 && hi > 20 * lo;
    p->y.whole = whole;
    double room = hi > lo ? 0.5 : 1; /* for ticks at whole numbers only */
    if (whole && hi - lo < 3) lo -= room, hi += room;
    p->y.fixed = true, p->y.lo = lo, p->y.hi = hi;
    ticks_range(&p->y.lo, &p->y.hi, p->y.log, 0.12);
}

/* Between the bounds lies where the claim holds; a bound of '=' is a line without a side. */
static int add_bounds(struct chart_panel *p, const struct doc *d, const struct group *g, struct err *e) {
    const double left = -0.5, right = (double)d->H - 0.5;
    double lo = p->y.lo, hi = p->y.hi;
    for (size_t i = 0; i < bounds_of(g); i++) {
        char side;
        double b = bound_at(g, i, &side);
        if (side != '<') lo = fmax(lo, b);
        if (side != '>') hi = fmin(hi, b);
    }
    struct chart_series *s = hi > lo ? chart_add(p, CHART_BOX, "", shade, 2, e) : NULL;
    if (hi > lo && !s) return ERR_MEMORY;
    if (s) s->x[0] = left, s->x[1] = right, s->y[0] = lo, s->y[1] = hi, s->alpha = 0.1, s->derived = true;
    for (size_t i = 0; i < bounds_of(g); i++) {
        s = chart_add(p, CHART_RULE, "", 0x444444, 2, e);
        if (!s) return ERR_MEMORY;
        s->x[0] = left, s->x[1] = right, s->y[0] = s->y[1] = bound_at(g, i, NULL), s->size_pt = bound_pt;
    }
    return 0;
}

/* Mean over the seeds, and a bar from the least to the greatest; beside x by `aside`, so that bars do not hide each other. */
static int add_value(struct chart_panel *p, const struct doc *d, const struct group *g, size_t k, uint32_t colour,
                     double aside, struct err *e) {
    struct chart_series *range = d->S > 1 ? chart_add(p, CHART_LINE, "", colour, 3 * d->H, e) : NULL;
    if (d->S > 1 && !range) return ERR_MEMORY;
    struct chart_series *line = chart_add(p, CHART_LINE, g->n > 1 ? entry_of(g, k) : "", colour, d->H, e);
    struct chart_series *dots = line ? chart_add(p, CHART_POINTS, "", colour, d->H, e) : NULL;
    if (!dots) return ERR_MEMORY;
    dots->size_pt = 1.5, dots->derived = true;
    for (size_t h = 0; h < d->H; h++) {
        double x = (double)h + aside;
        line->x[h] = dots->x[h] = x;
        line->y[h] = dots->y[h] = at(g, k, "mean", h);
        if (!range) continue;
        for (size_t i = 0; i < 3; i++) range->x[3 * h + i] = x;
        range->y[3 * h] = at(g, k, "least", h), range->y[3 * h + 1] = at(g, k, "greatest", h);
        range->y[3 * h + 2] = NAN;
        range->size_pt = range_pt, range->alpha = 0.35;
    }
    return 0;
}

static void say_moving(struct chart_panel *p, const struct doc *d, const struct group *g) {
    char which[CHART_TEXT] = "";
    size_t n = 0, there = 0;
    for (size_t k = 0; k < g->n; k++) {
        size_t used = strlen(which);
        if (!isnan(at(g, k, "mean", d->H - 1))) there++;
        if (!is_moving(value_of(g, k))) continue;
        snprintf(which + used, sizeof which - used, "%s%s", n++ ? ", " : "", entry_of(g, k));
    }
    if (n == g->n)
        chart_panel_note(p, "still moving");
    else if (n)
        chart_panel_note(p, "still moving: %.150s", which);
    else if (is_moving(g->claim))
        chart_panel_note(p, "(claim still moving)");
    if (!there) chart_panel_note(p, "not measured");
}

static int fill_panel(struct chart_panel *p, const struct doc *d, const struct group *g, const char *const *name,
                      size_t n_names, struct err *e) {
    int rc = chart_categories(&p->x, d->H, e);
    for (size_t h = 0; !rc && h < d->H; h++)
        snprintf(p->x.category[h], CHART_LABEL, "%s", json_string_value(json_array_get(d->share_names, h)));
    snprintf(p->title, CHART_TEXT, "%s", text_of(g->claim, "id"));
    const char *only = g->n == 1 ? entry_of(g, 0) : "";
    snprintf(p->y.label, CHART_TEXT, "%s%s%s", text_of(value_of(g, 0), "name"), *only ? ", " : "", only);
    set_range(p, d, g);
    if (!rc) rc = add_bounds(p, d, g, e);
    for (size_t k = 0; !rc && k < g->n; k++) {
        double aside = d->S > 1 ? 0.09 * ((double)k - ((double)g->n - 1) / 2) : 0;
        rc = add_value(p, d, g, k, colour_of(g, k, name, n_names), fmin(fmax(aside, -0.4), 0.4), e);
    }
    say_moving(p, d, g);
    return rc;
}

/* ---- the figure ---- */

static void notes(struct chart *c, const struct doc *d) {
    if (d->S > 1)
        chart_note(c, "Lines: mean over %zu seeds. Bars: from the least to the greatest of them.", d->S);
    else
        chart_note(c, "One seed: the spread between runs is not known.");
    chart_note(c, "Dashed: the claim's bound. Shaded: where it holds.");
    if (json_is_true(json_object_get(d->file, "half_is_run")))
        chart_note(c, "1/2*: runs of their own with half the steps, and all schedules half as long.");
    chart_note(c,
               "Snapshots come from one run with its schedules as they are: before the end the learning rate has not "
               "fallen and lambda may not be up; only the end is a trained SAE.");
}

static int fill(struct chart *c, const struct doc *d, struct group *g, size_t n, struct err *e) {
    const char *name[SHARED];
    const size_t n_claims = json_array_size(d->claims);
    size_t n_names, n_moving = 0, filled = 0;
    for (size_t i = 0; i < n_claims; i++) {
        filled += groups_of(json_array_get(d->claims, i), g + filled);
        n_moving += is_moving(json_array_get(d->claims, i));
    }
    int rc = chart_init(c, n, COLUMNS, e);
    if (rc) return rc;
    entries_of(g, n, name, &n_names);
    c->aspect = 0.95, c->legend_shared = n_names <= SHARED;
    for (size_t i = 0; !rc && i < n; i++) {
        rc = fill_panel(&c->panel[i], d, &g[i], name, n_names, e);
        if (i + c->n_cols >= n) snprintf(c->panel[i].x.label, CHART_TEXT, "share of the training steps");
    }
    notes(c, d);
    c->statistics = jsonfile_with(c->statistics, "n_claims=%zu n_moving=%zu", n_claims, n_moving);
    return rc;
}

static int build_convergence(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    struct group group[CHART_PANELS];
    struct doc d = {.path = args->in.item[0]};
    size_t n = 0;
    if (args->in.n != 1)
        return err_set(e, ERR_USAGE, "plot: --in: kind convergence reads one file, got %zu", args->in.n);
    int rc = doc_read(&d, e);
    for (size_t i = 0; !rc && i < json_array_size(d.claims); i++) n += groups_of(json_array_get(d.claims, i), NULL);
    if (!rc && (n < 1 || n > CHART_PANELS))
        rc = err_set(e, ERR_RANGE, "%s: want 1 to %d panels, one a statistic of a claim, got %zu", d.path, CHART_PANELS,
                     n);
    if (!rc) rc = fill(c, &d, group, n, e);
    if (!rc) rc = kind_origin(inputs, "in", "convergence", d.file, e);
    json_decref(d.file);
    return rc;
}

const struct kind kind_convergence = {.name = "convergence", .reads = "converge JSON", .build = build_convergence};
