/* kind_convergence.c - the values behind the claims against the share of training: a small panel for every statistic that a
 * claim bounds, a line for every entry (layer, affinity), the bounds dashed, and the side shaded on which the claim holds.
 *
 * Entries have the same colour in all panels and stand in one legend while their names are few enough for that. A panel with
 * one entry is drawn in ink and names it beside its axis. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/page/convergence.h"
#include "lib/chart/kind.h"
#include "lib/chart/ticks.h"
#include "lib/file/jsonfile.h"

enum { COLUMNS = 4, SHARED = 7 };
static const double bound_pt = 0.8, range_pt = 2;
static const uint32_t shade = 0x009E73;

/* The values of one panel: consecutive ones of a claim with the same name. */
struct group {
    const struct converge_claim *claim;
    const struct converge_value *value;
    size_t n;
};

/* Cut the values of a claim into groups; out may be NULL. Returns their number. */
static size_t groups_of(const struct converge_claim *c, struct group *out) {
    size_t n = 0;
    for (size_t i = 0, end; i < c->n_values; i = end, n++) {
        for (end = i + 1; end < c->n_values && !strcmp(c->value[end].name, c->value[i].name);) end++;
        if (out) out[n] = (struct group){c, c->value + i, end - i};
    }
    return n;
}

/* The names of all entries that share a panel with others, in order of appearance: at most SHARED, *n may say more. */
static void entries_of(const struct group *g, size_t n_groups, const char *name[SHARED], size_t *n) {
    *n = 0;
    for (size_t i = 0; i < n_groups; i++)
        for (size_t k = 0; g[i].n > 1 && k < g[i].n; k++) {
            size_t at = 0;
            while (at < *n && at < SHARED && strcmp(name[at], g[i].value[k].entry)) at++;
            if (at < *n && at < SHARED) continue;
            if (*n < SHARED) name[*n] = g[i].value[k].entry;
            ++*n;
        }
}

static uint32_t colour_of(const struct group *g, size_t k, const char *const *name, size_t n_names) {
    size_t at = 0;
    if (g->n == 1) return CANVAS_INK;
    if (n_names > SHARED) return chart_colour(k);
    while (strcmp(name[at], g->value[k].entry)) at++;
    return chart_colour(at);
}

/* ---- one panel ---- */

/* The y axis: all values and bounds, logarithmic where they are positive and span more than a factor of 20. */
static void set_range(struct chart_panel *p, const struct converge *c, const struct group *g) {
    double lo = INFINITY, hi = -INFINITY;
    bool whole = true;
    for (size_t k = 0; k < g->n; k++)
        for (size_t i = 0; i < c->S * c->H; i++) {
            double x = g->value[k].x[i];
            if (isnan(x)) continue;
            lo = fmin(lo, x), hi = fmax(hi, x), whole &= floor(x) == x;
        }
    for (size_t i = 0; i < g->value->n_bounds; i++)
        lo = fmin(lo, g->value->bound[i].at), hi = fmax(hi, g->value->bound[i].at);
    p->y.log = lo > 0 && hi > 20 * lo;
    p->y.whole = whole;
    double room = hi > lo ? 0.5 : 1; /* for ticks at whole numbers only */
    if (whole && hi - lo < 3) lo -= room, hi += room;
    p->y.fixed = true, p->y.lo = lo, p->y.hi = hi;
    ticks_range(&p->y.lo, &p->y.hi, p->y.log, 0.12);
}

/* Between the bounds lies where the claim holds; a bound of '=' is a line without a side. */
static int add_bounds(struct chart_panel *p, const struct converge *c, const struct group *g, struct err *e) {
    const double left = -0.5, right = (double)c->H - 0.5;
    double lo = p->y.lo, hi = p->y.hi;
    for (size_t i = 0; i < g->value->n_bounds; i++) {
        const struct converge_bound *b = &g->value->bound[i];
        if (*b->op != '<') lo = fmax(lo, b->at);
        if (*b->op != '>') hi = fmin(hi, b->at);
    }
    struct chart_series *s = hi > lo ? chart_add(p, CHART_BOX, "", shade, 2, e) : NULL;
    if (hi > lo && !s) return ERR_MEMORY;
    if (s) s->x[0] = left, s->x[1] = right, s->y[0] = lo, s->y[1] = hi, s->alpha = 0.1, s->derived = true;
    for (size_t i = 0; i < g->value->n_bounds; i++) {
        s = chart_add(p, CHART_RULE, "", 0x444444, 2, e);
        if (!s) return ERR_MEMORY;
        s->x[0] = left, s->x[1] = right, s->y[0] = s->y[1] = g->value->bound[i].at, s->size_pt = bound_pt;
    }
    return 0;
}

/* Mean over the seeds, and a bar from the least to the greatest; beside x by `aside`, so that bars do not hide each other. */
static int add_value(struct chart_panel *p, const struct converge *c, const struct converge_value *v, const char *name,
                     uint32_t colour, double aside, struct err *e) {
    struct chart_series *range = c->S > 1 ? chart_add(p, CHART_LINE, "", colour, 3 * c->H, e) : NULL;
    if (c->S > 1 && !range) return ERR_MEMORY;
    struct chart_series *line = chart_add(p, CHART_LINE, name, colour, c->H, e);
    struct chart_series *dots = line ? chart_add(p, CHART_POINTS, "", colour, c->H, e) : NULL;
    if (!dots) return ERR_MEMORY;
    dots->size_pt = 1.5, dots->derived = true;
    for (size_t h = 0; h < c->H; h++) {
        double low = INFINITY, high = -INFINITY, x = (double)h + aside;
        line->x[h] = dots->x[h] = x;
        line->y[h] = dots->y[h] = convergence_mean(v->x, c->S, c->H, h);
        for (size_t s = 0; s < c->S; s++) low = fmin(low, v->x[s * c->H + h]), high = fmax(high, v->x[s * c->H + h]);
        if (!range) continue;
        for (size_t i = 0; i < 3; i++) range->x[3 * h + i] = x;
        range->y[3 * h] = low, range->y[3 * h + 1] = high, range->y[3 * h + 2] = NAN;
        range->size_pt = range_pt, range->alpha = 0.35;
    }
    return 0;
}

static void say_moving(struct chart_panel *p, const struct converge *c, const struct group *g) {
    char which[CHART_TEXT] = "";
    size_t n = 0, there = 0;
    for (size_t k = 0; k < g->n; k++) {
        size_t at = strlen(which);
        if (!isnan(convergence_mean(g->value[k].x, c->S, c->H, c->H - 1))) there++;
        if (!g->value[k].rest.moving) continue;
        snprintf(which + at, sizeof which - at, "%s%s", n++ ? ", " : "", g->value[k].entry);
    }
    if (n == g->n)
        chart_panel_note(p, "still moving");
    else if (n)
        chart_panel_note(p, "still moving: %.150s", which);
    else if (g->claim->moving)
        chart_panel_note(p, "(claim still moving)");
    if (!there) chart_panel_note(p, "not measured");
}

static int fill_panel(struct chart_panel *p, const struct converge *c, const struct group *g, const char *const *name,
                      size_t n_names, struct err *e) {
    int rc = chart_categories(&p->x, c->H, e);
    for (size_t h = 0; !rc && h < c->H; h++) snprintf(p->x.category[h], CHART_LABEL, "%s", convergence_share(c, h));
    snprintf(p->title, CHART_TEXT, "%s", g->claim->id);
    const char *only = g->n == 1 ? g->value->entry : "";
    snprintf(p->y.label, CHART_TEXT, "%s%s%s", g->value->name, *only ? ", " : "", only);
    set_range(p, c, g);
    if (!rc) rc = add_bounds(p, c, g, e);
    for (size_t k = 0; !rc && k < g->n; k++) {
        double aside = c->S > 1 ? 0.09 * ((double)k - ((double)g->n - 1) / 2) : 0;
        rc = add_value(p, c, &g->value[k], g->n > 1 ? g->value[k].entry : "", colour_of(g, k, name, n_names),
                       fmin(fmax(aside, -0.4), 0.4), e);
    }
    say_moving(p, c, g);
    return rc;
}

/* ---- the figure ---- */

static void notes(struct chart *c, const struct converge *v) {
    if (v->S > 1)
        chart_note(c, "Lines: mean over %zu seeds. Bars: from the least to the greatest of them.", v->S);
    else
        chart_note(c, "One seed: the spread between runs is not known.");
    chart_note(c, "Dashed: the claim's bound. Shaded: where it holds.");
    if (v->half_is_run) chart_note(c, "1/2*: runs of their own with half the steps, and all schedules half as long.");
    chart_note(c,
               "Snapshots come from one run with its schedules as they are: before the end the learning rate has not "
               "fallen and lambda may not be up; only the end is a trained SAE.");
}

static int fill(struct chart *c, const struct converge *v, struct group *g, size_t n, struct err *e) {
    const char *name[SHARED];
    size_t n_names, n_moving = 0, at = 0;
    for (size_t i = 0; i < v->n_claims; i++) {
        at += groups_of(&v->claim[i], g + at);
        n_moving += v->claim[i].moving;
    }
    int rc = chart_init(c, n, COLUMNS, e);
    if (rc) return rc;
    entries_of(g, n, name, &n_names);
    c->aspect = 0.95, c->legend_shared = n_names <= SHARED;
    for (size_t i = 0; !rc && i < n; i++) {
        rc = fill_panel(&c->panel[i], v, &g[i], name, n_names, e);
        if (i + c->n_cols >= n) snprintf(c->panel[i].x.label, CHART_TEXT, "share of the training steps");
    }
    notes(c, v);
    json_object_set_new(c->statistics, "n_claims", json_integer((json_int_t)v->n_claims));
    json_object_set_new(c->statistics, "n_moving", json_integer((json_int_t)n_moving));
    return rc;
}

int kind_convergence(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    struct group group[CHART_PANELS];
    struct converge v = {0};
    json_t *doc = NULL;
    size_t n = 0;
    if (args->in.n != 1)
        return err_set(e, ERR_USAGE, "plot: --in: kind convergence reads one file, got %zu", args->in.n);
    const char *path = args->in.item[0];
    int rc = jsonfile_read(path, &doc, e);
    if (!rc) rc = convergence_read(doc, path, &v, e);
    for (size_t i = 0; !rc && i < v.n_claims; i++) n += groups_of(&v.claim[i], NULL);
    if (!rc && (n < 1 || n > CHART_PANELS))
        rc = err_set(e, ERR_RANGE, "%s: want 1 to %d panels, one a statistic of a claim, got %zu", path, CHART_PANELS,
                     n);
    if (!rc) rc = fill(c, &v, group, n, e);
    if (!rc) rc = kind_origin(inputs, "in", "convergence", doc, e);
    convergence_free(&v);
    json_decref(doc);
    return rc;
}
