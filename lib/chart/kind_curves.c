/* kind_curves.c - training curves: reconstruction loss, sparsity loss (lambda L0) and L0 against the step, a line per
 * SAE.
 *
 * Input: train folders, each with curve.json (arrays of equal length) and train.json. L0 has a panel of its own instead
 * of a second axis, because lambda differs between SAEs and during its warm-up, so no one axis could read both. Drawn:
 * every step, faint, and its running mean; the mean alone is a function of the former and not written to JSON. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chart/kind.h"
#include "lib/file/jsonfile.h"

enum { PANELS = 3 };

struct curve {
    size_t n;
    double *step, *v[PANELS], *mean[PANELS]; /* reconstruction, sparsity, L0; the means are NULL in short runs */
    int64_t window;                          /* steps; 1 without means */
};

static void curve_free(struct curve *c) {
    free(c->step);
    for (int i = 0; i < PANELS; i++) free(c->v[i]), free(c->mean[i]);
}

static int read_array(const json_t *o, const char *path, const char *key, size_t want, double **out, struct err *e) {
    size_t n;
    int rc = jsonfile_reals(o, path, key, out, &n, e);
    if (!rc && n != want)
        rc = err_set(e, ERR_SHAPE, "%s: key '%s': want %zu numbers as in 'step', got %zu", path, key, want, n);
    return rc;
}

static int curve_read(const char *path, struct curve *c, struct err *e) {
    static const char *const key[PANELS] = {"loss_reconstruction", "loss_sparsity", "l0"};
    json_t *o = NULL;
    int rc = jsonfile_read(path, &o, e);
    if (!rc) rc = jsonfile_reals(o, path, "step", &c->step, &c->n, e);
    if (!rc && !c->n) rc = err_set(e, ERR_SHAPE, "%s: key 'step': want at least one step, got none", path);
    for (int i = 0; !rc && i < PANELS; i++) rc = read_array(o, path, key[i], c->n, &c->v[i], e);
    const json_t *mean = json_object_get(o, "mean");
    if (!rc) rc = jsonfile_int_or(mean, path, "window", 1, &c->window, e);
    for (int i = 0; !rc && mean && i < PANELS; i++) rc = read_array(mean, path, key[i], c->n, &c->mean[i], e);
    for (size_t i = 1; !rc && i < c->n; i++)
        if (!(c->step[i] > c->step[i - 1]))
            rc = err_set(e, ERR_FORMAT, "%s: key 'step': entry %zu does not rise", path, i);
    json_decref(o);
    return rc;
}

static int join(char out[PATH_MAX], const char *folder, const char *name, struct err *e) {
    if ((size_t)snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX) return 0;
    return err_set(e, ERR_IO, "%s: path too long", folder);
}

static int add_lines(struct chart_panel *p, const char *label, uint32_t colour, const struct curve *c, int which,
                     struct err *e) {
    for (int k = 0; k < (c->mean[which] ? 2 : 1); k++) {
        bool faint = c->mean[which] && !k;
        struct chart_series *s = chart_add(p, CHART_LINE, faint ? "" : label, colour, c->n, e);
        if (!s) return ERR_MEMORY;
        memcpy(s->x, c->step, c->n * sizeof *s->x);
        memcpy(s->y, k ? c->mean[which] : c->v[which], c->n * sizeof *s->y);
        if (faint) s->alpha = 0.28, s->size_pt = 0.6;
        s->derived = k;
    }
    return 0;
}

static int statistics(json_t *list, const char *label, const json_t *train, const char *path, struct err *e) {
    static const char *const keys[] = {"steps",
                                       "reconstruction_first",
                                       "reconstruction_early_min",
                                       "reconstruction_min",
                                       "reconstruction_final",
                                       "early_over_first",
                                       "final_over_early",
                                       "sparsity_max",
                                       "sparsity_final",
                                       "sparsity_final_over_max",
                                       "l0_max",
                                       "l0_final",
                                       "l0_max_over_d_in",
                                       "lambda_final",
                                       NULL},
                             *const behind[] = {"dead_final", NULL};
    const json_t *curve = json_object_get(train, "curve");
    double unturned;
    json_t *o = jsonfile_object("label=%s", label);
    int rc = kind_take(o, curve, path, keys, e);
    if (!rc) rc = jsonfile_real_or(train, path, "unturned_share", NAN, &unturned, e);
    if (!rc) o = jsonfile_with(o, "unturned_share=%.9g", unturned);
    if (!rc) rc = kind_take(o, curve, path, behind, e);
    jsonfile_put(list, "%p", o);
    return rc;
}

/* A logarithmic axis where the values span more than a factor of 20: what is far below the first decades would vanish.
 */
static void choose_axis(struct chart_panel *p) {
    double lo = INFINITY, hi = 0;
    for (size_t k = 0; k < p->n_series; k++)
        for (size_t i = 0; i < p->series[k].n; i++) {
            double v = p->series[k].y[i];
            if (v > 0) lo = fmin(lo, v), hi = fmax(hi, v);
        }
    p->y.log = hi > 20 * lo;
    if (p->y.log) return;
    p->y.from_zero = true;
}

/* What the sparsity loss of a run is, as train.json says; of several that differ only that it is one. */
static void penalty_label(char label[CHART_TEXT], const json_t *train) {
    const char *penalty = json_string_value(json_object_get(train, "penalty"));
    char is[CHART_TEXT];
    snprintf(is, sizeof is, "mean %.60s per row", penalty ? penalty : "penalty");
    snprintf(label, CHART_TEXT, "%s", !label[0] || !strcmp(label, is) ? is : "mean penalty per row");
}

static int add_folder(const struct kind_args *args, size_t i, struct chart *c, json_t *inputs, int64_t *window,
                      struct err *e) {
    char path[PATH_MAX], preset[KIND_TEXT], label[KIND_TEXT];
    struct curve v = {0};
    json_t *train = NULL;
    int rc = join(path, args->in.item[i], "train.json", e);
    if (!rc) rc = jsonfile_read(path, &train, e);
    if (!rc) kind_site_name(json_string_value(json_object_get(train, "site")), i, preset);
    if (!rc) rc = kind_label(args, i, args->in.n, preset, label, e);
    if (!rc) rc = kind_origin(inputs, "in", label, train, e);
    if (!rc) penalty_label(c->panel[1].y.label, train);
    if (!rc) rc = statistics(json_object_get(c->statistics, "series"), label, train, path, e);
    if (!rc) rc = join(path, args->in.item[i], "curve.json", e);
    if (!rc) rc = curve_read(path, &v, e);
    if (v.window > *window) *window = v.window;
    for (int k = 0; !rc && k < PANELS; k++) rc = add_lines(&c->panel[k], label, chart_colour(i), &v, k, e);
    json_decref(train);
    curve_free(&v);
    return rc;
}

static int add_target(struct chart_panel *p, double target, struct err *e) {
    char name[64];
    double from = INFINITY, to = -INFINITY;
    for (size_t k = 0; k < p->n_series; k++) {
        if (!p->series[k].n) continue;
        from = fmin(from, p->series[k].x[0]), to = fmax(to, p->series[k].x[p->series[k].n - 1]);
    }
    snprintf(name, sizeof name, "L0 = %g", target);
    struct chart_series *s = chart_add(p, CHART_RULE, name, 0x444444, 2, e);
    if (!s) return ERR_MEMORY;
    s->size_pt = 0.8;
    s->x[0] = from, s->x[1] = to, s->y[0] = s->y[1] = target;
    return 0;
}

/* Explained variance does not tell whether rare features have learned anything; this does. */
static void note_unturned(struct chart *c) {
    char text[CHART_TEXT] = "";
    size_t i, n = 0;
    json_t *s;
    json_array_foreach(json_object_get(c->statistics, "series"), i, s) {
        const json_t *share = json_object_get(s, "unturned_share");
        if (!json_is_number(share) || n >= sizeof text) return;
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s %.3g %%", i ? ", " : "",
                              json_string_value(json_object_get(s, "label")), 100 * json_number_value(share));
    }
    if (n) chart_note(c, "Features that still point where they started (cosine above 0.5): %.150s.", text);
}

static int build_curves(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    static const char *const title[PANELS] = {"Reconstruction loss", "Sparsity loss", "Active features"};
    static const char *const label[PANELS] = {"mean ‖x − x̂‖² per row", "", "mean L0 per row"};
    int rc = chart_init(c, PANELS, PANELS, e);
    if (rc) return rc;
    c->legend_shared = true, c->aspect = 0.9;
    c->statistics = jsonfile_with(c->statistics, "series=%p", json_array());
    for (int k = 0; k < PANELS; k++) {
        snprintf(c->panel[k].title, CHART_TEXT, "%s", title[k]);
        snprintf(c->panel[k].y.label, CHART_TEXT, "%s", label[k]);
        snprintf(c->panel[k].x.label, CHART_TEXT, "training step");
    }
    int64_t window = 1;
    for (size_t i = 0; !rc && i < args->in.n; i++) rc = add_folder(args, i, c, inputs, &window, e);
    if (rc) return rc;
    for (int k = 0; k < PANELS; k++) choose_axis(&c->panel[k]);
    rc = add_target(&c->panel[2], args->target_l0, e);
    if (rc) return rc;
    size_t below = 0, i;
    json_t *s;
    json_array_foreach(json_object_get(c->statistics, "series"), i, s) below +=
        json_number_value(json_object_get(s, "l0_final")) <= args->target_l0;
    c->statistics = jsonfile_with(c->statistics, "n_series=%zu n_l0_reached=%zu", args->in.n, below);
    note_unturned(c);
    chart_note(c, "Rows are scaled to mean ‖x‖² = 1.%s", window > 1 ? "" : " Every step is drawn.");
    if (window > 1) chart_note(c, "Faint: every step. Strong: running mean over %lld steps.", (long long)window);
    return 0;
}

const struct kind kind_curves = {.name = "curves", .reads = "train folders", .build = build_curves};
