/* kind_evaluate.c - what held-out rows say about SAEs: explained variance against L0, a line per site (sweep), and how
 * often each feature fires (frequency). Input: evaluate JSON.
 *
 * EV is the centred one, 1 - sum |x - x^|^2 / sum |x - mean|^2 over the whole data set. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chart/kind.h"
#include "lib/chart/ticks.h"
#include "lib/file/jsonfile.h"

struct evaluation {
    const char *path;
    json_t *file;
    char site[KIND_TEXT];
    double l0, ev, dead, lambda; /* dead: share; dead and lambda are NaN where the file does not say */
};

static int evaluation_read(const char *path, size_t i, struct evaluation *v, struct err *e) {
    json_t *ev, *train;
    *v = (struct evaluation){.path = path, .lambda = NAN};
    int rc = jsonfile_read(path, &v->file, e);
    if (rc) return rc;
    kind_site_name(json_string_value(json_object_get(v->file, "site")), i, v->site);
    rc = jsonfile_real(v->file, path, "l0", &v->l0, e);
    ev = json_object_get(v->file, "ev");
    if (!rc && !json_is_object(ev))
        rc = err_set(e, ERR_FORMAT, "%s: key 'ev': want an object of explained variances", path);
    if (!rc) rc = jsonfile_real(ev, path, "centred", &v->ev, e);
    if (!rc) rc = jsonfile_real_or(v->file, path, "dead_share", NAN, &v->dead, e);
    train = json_object_get(v->file, "train");
    if (!rc) rc = jsonfile_real_or(json_is_object(train) ? train : v->file, path, "lambda", NAN, &v->lambda, e);
    return rc;
}

/* ---- sweep ---- */

struct point {
    size_t series;
    double l0, ev, dead, lambda;
};

static int by_series_then_l0(const void *a, const void *b) {
    const struct point *p = a, *q = b;
    if (p->series != q->series) return p->series < q->series ? -1 : 1;
    return (p->l0 > q->l0) - (p->l0 < q->l0);
}

static int add_site(struct chart_panel *p, const char *name, uint32_t colour, const struct point *v, size_t n,
                    struct err *e) {
    struct chart_series *line = chart_add(p, CHART_LINE, "", colour, n, e);
    struct chart_series *dots = line ? chart_add(p, CHART_POINTS, name, colour, n, e) : NULL;
    int rc = dots ? chart_texts(dots, e) : ERR_MEMORY;
    for (size_t i = 0; !rc && i < n; i++) {
        line->x[i] = dots->x[i] = v[i].l0, line->y[i] = dots->y[i] = v[i].ev;
        if (isfinite(v[i].lambda)) snprintf(dots->text[i], CHART_LABEL, "%.3g", v[i].lambda);
    }
    if (!rc) line->derived = true, dots->size_pt = 2.2;
    return rc;
}

static int add_target(const struct kind_args *args, struct chart_panel *p, struct err *e) {
    char name[CHART_TEXT];
    snprintf(name, sizeof name, "target: L0 ≤ %g, EV ≥ %g", args->target_l0, args->target_ev);
    struct chart_series *s = chart_add(p, CHART_BOX, name, 0x009E73, 2, e);
    if (!s) return ERR_MEMORY;
    s->alpha = 0.13;
    s->x[0] = 0, s->x[1] = args->target_l0, s->y[0] = args->target_ev, s->y[1] = 1e9;
    return 0;
}

/* Ranges that hold all points and the corner of the target. */
static void fix_axes(const struct kind_args *args, struct chart_panel *p, const struct point *v, size_t n) {
    p->x.lo = args->target_l0 * 0.9, p->x.hi = args->target_l0 * 1.1;
    p->y.lo = args->target_ev - 0.02, p->y.hi = args->target_ev + 0.02;
    for (size_t i = 0; i < n; i++) {
        if (v[i].l0 > 0) p->x.lo = fmin(p->x.lo, v[i].l0), p->x.hi = fmax(p->x.hi, v[i].l0);
        if (isfinite(v[i].ev)) p->y.lo = fmin(p->y.lo, v[i].ev), p->y.hi = fmax(p->y.hi, v[i].ev);
    }
    ticks_range(&p->x.lo, &p->x.hi, true, 0.05);
    ticks_range(&p->y.lo, &p->y.hi, false, 0.05);
    p->x.fixed = p->y.fixed = true;
}

static void sweep_statistics(const struct kind_args *args, struct chart *c, const struct point *v, size_t n,
                             char (*name)[KIND_TEXT], size_t n_series) {
    json_t *list = json_array();
    json_int_t sites = 0;
    for (size_t s = 0; s < n_series; s++) {
        json_int_t reached = 0;
        for (size_t i = 0; i < n; i++)
            reached += v[i].series == s && v[i].l0 <= args->target_l0 && v[i].ev >= args->target_ev;
        sites += reached > 0;
        list = jsonfile_with(list, "%p", jsonfile_object("label=%s n_reached=%lld", name[s], (long long)reached));
    }
    json_t *points = json_array();
    for (size_t i = 0; i < n; i++) {
        json_t *o = jsonfile_object("label=%s lambda=%.9g l0=%.9g ev_centred=%.9g dead_share=%.9g", name[v[i].series],
                                    v[i].lambda, v[i].l0, v[i].ev, v[i].dead);
        points = jsonfile_with(points, "%p", o);
    }
    c->statistics = jsonfile_with(c->statistics, "points=%p series=%p n_series=%zu n_series_reached=%lld", points, list,
                                  n_series, (long long)sites);
}

/* With labels, each names the line that its file's point belongs to; else the site does. */
static int sweep_points(const struct kind_args *args, json_t *inputs, struct point *v, char (*name)[KIND_TEXT],
                        size_t *n_series, struct err *e) {
    *n_series = 0;
    for (size_t i = 0; i < args->in.n; i++) {
        struct evaluation x;
        char label[KIND_TEXT];
        int rc = evaluation_read(args->in.item[i], i, &x, e);
        if (!rc) rc = kind_label(args, i, args->in.n, x.site, label, e);
        if (!rc) rc = kind_origin(inputs, "in", label, x.file, e);
        json_decref(x.file);
        if (rc) return rc;
        size_t s = 0;
        while (s < *n_series && strcmp(name[s], label)) s++;
        if (s == *n_series) memcpy(name[(*n_series)++], label, sizeof label);
        v[i] = (struct point){.series = s, .l0 = x.l0, .ev = x.ev, .dead = x.dead, .lambda = x.lambda};
    }
    return 0;
}

static int build_sweep(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    size_t n = args->in.n, n_series = 0;
    struct chart_panel *p;
    int rc = chart_init(c, 1, 1, e);
    if (rc) return rc;
    struct point *v = calloc(n, sizeof *v);
    char(*name)[KIND_TEXT] = calloc(n, sizeof *name);
    if (!v || !name) rc = err_set(e, ERR_MEMORY, "no memory for %zu points", n);
    p = &c->panel[0];
    c->aspect = 0.55, p->x.log = true, c->legend_shared = true;
    snprintf(p->x.label, CHART_TEXT, "L0  (mean active features per held-out row)");
    snprintf(p->y.label, CHART_TEXT, "explained variance (centred)");
    if (!rc) rc = sweep_points(args, inputs, v, name, &n_series, e);
    if (!rc) qsort(v, n, sizeof *v, by_series_then_l0);
    if (!rc) rc = add_target(args, p, e);
    if (!rc) fix_axes(args, p, v, n);
    for (size_t i = 0, end; !rc && i < n; i = end) {
        for (end = i; end < n && v[end].series == v[i].series; end++) {}
        rc = add_site(p, name[v[i].series], chart_colour(v[i].series), v + i, end - i, e);
    }
    if (!rc) sweep_statistics(args, c, v, n, name, n_series);
    if (!rc) chart_note(c, "Numbers beside the points: sparsity coefficient λ.");
    free(v);
    free(name);
    return rc;
}

const struct kind kind_sweep = {.name = "sweep", .reads = "evaluate JSON", .build = build_sweep};

/* ---- frequency ---- */

enum { BINS_PER_DECADE = 10 };

static int add_histogram(struct chart_panel *p, const char *label, uint32_t colour, const double *f, size_t n,
                         int lowest, struct err *e) {
    size_t bins = (size_t)(-lowest) * BINS_PER_DECADE, never = 0;
    char name[CHART_TEXT];
    for (size_t i = 0; i < n; i++) never += !(f[i] > 0);
    snprintf(name, sizeof name, "%s (never fires: %zu of %zu)", label, never, n);
    struct chart_series *s = chart_add(p, CHART_STEPS, name, colour, bins, e);
    if (!s) return ERR_MEMORY;
    for (size_t b = 0; b < bins; b++) s->x[b] = lowest + (double)b / BINS_PER_DECADE;
    for (size_t i = 0; i < n; i++) {
        if (!(f[i] > 0)) continue;
        double b = floor((log10(f[i]) - lowest) * BINS_PER_DECADE + 1e-9);
        s->y[(size_t)fmin(fmax(b, 0), (double)bins - 1)]++;
    }
    return 0;
}

static int read_frequency(const struct evaluation *v, double **f, size_t *n, struct err *e) {
    int rc = jsonfile_reals(v->file, v->path, "frequency", f, n, e);
    for (size_t i = 0; !rc && i < *n; i++)
        if (!((*f)[i] >= 0 && (*f)[i] <= 1))
            rc = err_set(e, ERR_RANGE, "%s: key 'frequency': entry %zu: want 0 to 1, got %g", v->path, i, (*f)[i]);
    return rc;
}

static int frequency_statistics(json_t *list, const char *label, const struct evaluation *v, size_t n, struct err *e) {
    double dense = NAN;
    int rc = jsonfile_real(v->file, v->path, "share_above_10_percent", &dense, e);
    json_t *o = jsonfile_object("label=%s features=%lld", label, (long long)n);
    o = jsonfile_with(o, "l0=%.9g ev_centred=%.9g never_share=%.9g dense_share=%.9g", v->l0, v->ev, v->dead, dense);
    jsonfile_put(list, "%p", o);
    return rc;
}

/* Decade below the rarest feature of any file, so that all share one set of bins. */
static int lowest_decade(const struct kind_args *args, int *lowest, struct err *e) {
    *lowest = -1;
    for (size_t i = 0; i < args->in.n; i++) {
        struct evaluation v;
        double *f = NULL;
        size_t n = 0;
        int rc = evaluation_read(args->in.item[i], i, &v, e);
        if (!rc) rc = read_frequency(&v, &f, &n, e);
        for (size_t k = 0; !rc && k < n; k++)
            if (f[k] > 0) *lowest = (int)fmin(*lowest, fmax(floor(log10(f[k])), -12));
        free(f);
        json_decref(v.file);
        if (rc) return rc;
    }
    return 0;
}

static int build_frequency(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    int lowest, rc = chart_init(c, 1, 1, e);
    if (!rc) rc = lowest_decade(args, &lowest, e);
    if (rc) return rc;
    struct chart_panel *p = &c->panel[0];
    c->aspect = 0.5, c->legend_shared = true, p->y.from_zero = true;
    p->x.fixed = true, p->x.lo = lowest, p->x.hi = 0;
    snprintf(p->x.label, CHART_TEXT, "log₁₀ of the share of held-out rows on which a feature fires");
    snprintf(p->y.label, CHART_TEXT, "features per %.1f", 1.0 / BINS_PER_DECADE);
    c->statistics = jsonfile_with(c->statistics, "series=%p", json_array());
    for (size_t i = 0; !rc && i < args->in.n; i++) {
        struct evaluation v;
        char label[KIND_TEXT];
        double *f = NULL;
        size_t n = 0;
        rc = evaluation_read(args->in.item[i], i, &v, e);
        if (!rc) rc = read_frequency(&v, &f, &n, e);
        if (!rc) rc = kind_label(args, i, args->in.n, v.site, label, e);
        if (!rc) rc = kind_origin(inputs, "in", label, v.file, e);
        if (!rc) rc = add_histogram(p, label, chart_colour(i), f, n, lowest, e);
        if (!rc) rc = frequency_statistics(json_object_get(c->statistics, "series"), label, &v, n, e);
        free(f);
        json_decref(v.file);
    }
    return rc;
}

const struct kind kind_frequency = {.name = "frequency", .reads = "evaluate JSON", .build = build_frequency};
