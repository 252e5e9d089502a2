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

#include "lib/base/arena.h"
#include "lib/chart/kind.h"
#include "lib/file/jsonfile.h"

enum { PANELS = 3 };

struct curve {
    size_t n;
    double *step, *v[PANELS]; /* reconstruction, sparsity, L0 */
    double *lambda, *dead;    /* NULL where the file has none */
    double d_in;              /* width of the activations, NaN if unknown */
    double unturned;          /* share of features that point where they started, NaN if unknown */
};

static void curve_free(struct curve *c) {
    free(c->step);
    for (int i = 0; i < PANELS; i++) free(c->v[i]);
    free(c->lambda);
    free(c->dead);
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
    if (!rc && json_object_get(o, "lambda")) rc = read_array(o, path, "lambda", c->n, &c->lambda, e);
    if (!rc && json_object_get(o, "dead")) rc = read_array(o, path, "dead", c->n, &c->dead, e);
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

/* Mean over the window of `half` entries to both sides, cut at the ends and at NaN. */
static void running_mean(const double *v, size_t n, size_t half, double *out) {
    double sum = 0;
    size_t count = 0, lo = 0, hi = 0; /* window [lo, hi) */
    for (size_t i = 0; i < n; i++) {
        size_t want_lo = i > half ? i - half : 0, want_hi = n - i > half + 1 ? i + half + 1 : n;
        for (; hi < want_hi; hi++)
            if (isfinite(v[hi])) sum += v[hi], count++;
        for (; lo < want_lo; lo++)
            if (isfinite(v[lo])) sum -= v[lo], count--;
        out[i] = count && isfinite(v[i]) ? sum / (double)count : NAN;
    }
}

static int add_lines(struct chart_panel *p, const char *label, uint32_t colour, const struct curve *c, const double *v,
                     size_t half, struct err *e) {
    struct chart_series *raw = chart_add(p, CHART_LINE, half ? "" : label, colour, c->n, e);
    if (!raw) return ERR_MEMORY;
    memcpy(raw->x, c->step, c->n * sizeof *raw->x);
    memcpy(raw->y, v, c->n * sizeof *raw->y);
    if (!half) return 0;
    raw->alpha = 0.28, raw->size_pt = 0.6;
    struct chart_series *mean = chart_add(p, CHART_LINE, label, colour, c->n, e);
    if (!mean) return ERR_MEMORY;
    memcpy(mean->x, c->step, c->n * sizeof *mean->x);
    running_mean(v, c->n, half, mean->y);
    mean->derived = true;
    return 0;
}

static double least(const double *v, size_t n) {
    double m = INFINITY;
    for (size_t i = 0; i < n; i++) m = fmin(m, v[i]); /* fmin skips NaN */
    return m;
}

static double greatest(const double *v, size_t n) {
    double m = -INFINITY;
    for (size_t i = 0; i < n; i++) m = fmax(m, v[i]);
    return m;
}

/* First, least in the first tenth, least of all and last values, of the running mean: one step's noise decides nothing.
 */
static int statistics(json_t *list, const char *label, const struct curve *c, size_t half, struct err *e) {
    double *m[PANELS] = {0};
    int rc = 0;
    for (int i = 0; !rc && i < PANELS; i++) {
        m[i] = mem_array(c->n, sizeof **m, "a running mean", e);
        if (!m[i])
            rc = ERR_MEMORY;
        else
            running_mean(c->v[i], c->n, half, m[i]);
    }
    if (!rc) {
        size_t tenth = c->n / 10 ? c->n / 10 : 1, last = c->n - 1;
        double early = least(m[0], tenth), low = least(m[0], c->n), l0_top = greatest(c->v[2], c->n);
        json_t *o = json_object();
        json_object_set_new(o, "label", json_string(label));
        json_object_set_new(o, "steps", json_integer((json_int_t)c->step[last]));
        json_object_set_new(o, "reconstruction_first", jsonfile_number(c->v[0][0], 9));
        json_object_set_new(o, "reconstruction_early_min", jsonfile_number(early, 9));
        json_object_set_new(o, "reconstruction_min", jsonfile_number(low, 9));
        json_object_set_new(o, "reconstruction_final", jsonfile_number(m[0][last], 9));
        json_object_set_new(o, "early_over_first", jsonfile_number(early / c->v[0][0], 9));
        json_object_set_new(o, "final_over_early", jsonfile_number(m[0][last] / early, 9));
        json_object_set_new(o, "sparsity_max", jsonfile_number(greatest(m[1], c->n), 9));
        json_object_set_new(o, "sparsity_final", jsonfile_number(m[1][last], 9));
        json_object_set_new(o, "sparsity_final_over_max", jsonfile_number(m[1][last] / greatest(m[1], c->n), 9));
        json_object_set_new(o, "l0_max", jsonfile_number(l0_top, 9));
        json_object_set_new(o, "l0_final", jsonfile_number(m[2][last], 9));
        json_object_set_new(o, "l0_max_over_d_in", jsonfile_number(l0_top / c->d_in, 9));
        json_object_set_new(o, "lambda_final", jsonfile_number(c->lambda ? c->lambda[last] : NAN, 9));
        json_object_set_new(o, "unturned_share", jsonfile_number(c->unturned, 9));
        json_object_set_new(o, "dead_final", jsonfile_number(c->dead ? c->dead[last] : NAN, 9));
        json_array_append_new(list, o);
    }
    for (int i = 0; i < PANELS; i++) free(m[i]);
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

static int add_folder(const struct kind_args *args, size_t i, struct chart *c, json_t *inputs, double *window,
                      struct err *e) {
    char path[PATH_MAX], preset[KIND_TEXT], label[KIND_TEXT];
    struct curve v = {0};
    json_t *train = NULL;
    int rc = join(path, args->in.item[i], "train.json", e);
    if (!rc) rc = jsonfile_read(path, &train, e);
    if (!rc) rc = jsonfile_real_or(train, path, "d_in", NAN, &v.d_in, e);
    if (!rc) rc = jsonfile_real_or(train, path, "unturned_share", NAN, &v.unturned, e);
    if (!rc) kind_site_name(json_string_value(json_object_get(train, "site")), i, preset);
    if (!rc) rc = kind_label(args, i, args->in.n, preset, label, e);
    if (!rc) rc = kind_origin(inputs, "in", label, train, e);
    if (!rc) penalty_label(c->panel[1].y.label, train);
    if (!rc) rc = join(path, args->in.item[i], "curve.json", e);
    if (!rc) rc = curve_read(path, &v, e);
    size_t half = (size_t)(args->smooth * (double)v.n / 2);
    *window = fmax(*window, 2 * (double)half + 1);
    for (int k = 0; !rc && k < PANELS; k++) rc = add_lines(&c->panel[k], label, chart_colour(i), &v, v.v[k], half, e);
    if (!rc) rc = statistics(json_object_get(c->statistics, "series"), label, &v, half, e);
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

int kind_curves(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    static const char *const title[PANELS] = {"Reconstruction loss", "Sparsity loss", "Active features"};
    static const char *const label[PANELS] = {"mean ‖x − x̂‖² per row", "", "mean L0 per row"};
    int rc = chart_init(c, PANELS, PANELS, e);
    if (rc) return rc;
    c->legend_shared = true, c->aspect = 0.9;
    json_object_set_new(c->statistics, "series", json_array());
    for (int k = 0; k < PANELS; k++) {
        snprintf(c->panel[k].title, CHART_TEXT, "%s", title[k]);
        snprintf(c->panel[k].y.label, CHART_TEXT, "%s", label[k]);
        snprintf(c->panel[k].x.label, CHART_TEXT, "training step");
    }
    double window = 1;
    for (size_t i = 0; !rc && i < args->in.n; i++) rc = add_folder(args, i, c, inputs, &window, e);
    if (rc) return rc;
    for (int k = 0; k < PANELS; k++) choose_axis(&c->panel[k]);
    rc = add_target(&c->panel[2], args->target_l0, e);
    if (rc) return rc;
    size_t below = 0, i;
    json_t *s;
    json_array_foreach(json_object_get(c->statistics, "series"), i, s) below +=
        json_number_value(json_object_get(s, "l0_final")) <= args->target_l0;
    json_object_set_new(c->statistics, "n_series", json_integer((json_int_t)args->in.n));
    json_object_set_new(c->statistics, "n_l0_reached", json_integer((json_int_t)below));
    note_unturned(c);
    chart_note(c, "Rows are scaled to mean ‖x‖² = 1.%s", window > 1 ? "" : " Every step is drawn.");
    if (window > 1) chart_note(c, "Faint: every step. Strong: running mean over %.0f steps.", window);
    return 0;
}
