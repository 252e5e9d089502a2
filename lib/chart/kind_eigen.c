/* kind_eigen.c - the spectrum behind a clustering: eigenvalues, and the gap from each to the next, with the chosen k
 * marked.
 *
 * The first eigenvalue is 1 whatever the clusters are, so gaps begin after the second, and axes are logarithmic where
 * all is positive: else that 1 would press everything else onto the axis. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/chart/kind.h"
#include "lib/file/jsonfile.h"

static int add_spectrum(struct chart *c, const char *label, uint32_t colour, const double *value, size_t n,
                        struct err *e) {
    for (int panel = 0; panel < 2; panel++) {
        size_t m = panel ? n - 2 : n, first = panel ? 1 : 0; /* the gap after the first says nothing */
        struct chart_series *line = chart_add(&c->panel[panel], CHART_LINE, "", colour, m, e);
        struct chart_series *dots = line ? chart_add(&c->panel[panel], CHART_POINTS, label, colour, m, e) : NULL;
        if (!dots) return ERR_MEMORY;
        line->size_pt = 0.8, line->derived = true, dots->size_pt = 2;
        for (size_t i = 0; i < m; i++) {
            size_t at = first + i;
            line->x[i] = dots->x[i] = (double)(at + 1);
            line->y[i] = dots->y[i] = panel ? fabs(value[at] - value[at + 1]) : value[at];
        }
    }
    return 0;
}

static void choose_axis(struct chart_panel *p) {
    p->x.whole = p->y.log = true;
    for (size_t s = 0; s < p->n_series; s++)
        for (size_t i = 0; i < p->series[s].n; i++)
            if (!(p->series[s].y[i] > 0)) p->y.log = false;
}

static int mark_k(struct chart *c, int64_t k, struct err *e) {
    for (int panel = 0; panel < 2; panel++) {
        char name[32];
        double lo = INFINITY, hi = -INFINITY;
        struct chart_panel *p = &c->panel[panel];
        for (size_t s = 0; s < p->n_series; s++)
            for (size_t i = 0; i < p->series[s].n; i++)
                lo = fmin(lo, p->series[s].y[i]), hi = fmax(hi, p->series[s].y[i]);
        snprintf(name, sizeof name, "k = %lld", (long long)k);
        struct chart_series *s = chart_add(p, CHART_RULE, name, 0x444444, 2, e);
        if (!s) return ERR_MEMORY;
        s->x[0] = s->x[1] = (double)k + (panel ? 0 : 0.5);
        s->y[0] = p->y.log ? lo / 10 : lo - (hi - lo), s->y[1] = p->y.log ? hi * 10 : hi + (hi - lo);
        s->size_pt = 0.8;
    }
    return 0;
}

static int add_file(const struct kind_args *args, size_t i, struct chart *c, json_t *inputs, int64_t *k,
                    struct err *e) {
    const char *path = args->in.item[i], *affinity = NULL;
    char label[KIND_TEXT], preset[KIND_TEXT];
    json_t *o = NULL;
    double *value = NULL;
    size_t n = 0;
    int64_t gap = 0;
    int rc = jsonfile_read(path, &o, e);
    if (!rc) rc = jsonfile_text(o, path, "affinity", &affinity, e);
    if (!rc) rc = jsonfile_int(o, path, "k", k, e);
    if (!rc) rc = jsonfile_reals(o, path, "eigenvalues", &value, &n, e);
    if (!rc && n < 3) rc = err_set(e, ERR_SHAPE, "%s: key 'eigenvalues': want at least three, got %zu", path, n);
    if (!rc) kind_panel_name(affinity, kind_site_of(o, NULL, NULL), preset);
    if (!rc) rc = kind_label(args, i, args->in.n, preset, label, e);
    if (!rc) rc = kind_origin(inputs, "in", label, o, e);
    if (!rc) rc = add_spectrum(c, label, chart_colour(i), value, n, e);
    if (!rc) rc = jsonfile_int(o, path, "eigengap_k", &gap, e);
    if (!rc)
        jsonfile_put(json_object_get(c->statistics, "series"), "%p",
                     jsonfile_object("label=%s k=%lld widest_gap_after=%lld", label, (long long)*k, (long long)gap));
    free(value);
    json_decref(o);
    return rc;
}

static int build_eigen(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    int rc = chart_init(c, 2, 2, e);
    if (rc) return rc;
    c->legend_shared = true, c->aspect = 0.62;
    c->statistics = jsonfile_with(c->statistics, "series=%p", json_array());
    snprintf(c->panel[0].title, CHART_TEXT, "Eigenvalues of the normalised affinity");
    snprintf(c->panel[1].title, CHART_TEXT, "Gap to the next");
    snprintf(c->panel[0].y.label, CHART_TEXT, "eigenvalue");
    snprintf(c->panel[1].y.label, CHART_TEXT, "difference");
    snprintf(c->panel[0].x.label, CHART_TEXT, "rank");
    snprintf(c->panel[1].x.label, CHART_TEXT, "after rank");
    int64_t k = 0, first = 0;
    bool same = true;
    for (size_t i = 0; !rc && i < args->in.n; i++) {
        rc = add_file(args, i, c, inputs, &k, e);
        if (!i) first = k;
        same &= k == first;
    }
    choose_axis(&c->panel[0]), choose_axis(&c->panel[1]);
    if (!rc && same) rc = mark_k(c, first, e);
    return rc;
}

const struct kind kind_eigen = {.name = "eigen", .reads = "cluster JSON", .build = build_eigen};
