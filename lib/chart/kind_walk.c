/* kind_walk.c - random walks: loss, cosine similarity and distance against the step, with a band over the walks, and
 * one path in the plane from light to dark. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/chart/kind.h"
#include "lib/file/jsonfile.h"

enum { LOSS, COSINE, DISTANCE, PATH, PANELS, SHADES = 10 };
static const char *const measure_key[] = {"loss", "cosine", "distance"};

/* One list of a measure, its length checked against the steps. */
static int numbers(const json_t *file, const char *path, const char *measure, const char *key, size_t want,
                   double **out, struct err *e) {
    size_t n;
    const json_t *o = measure ? json_object_get(file, measure) : file;
    int rc = jsonfile_reals(o, path, key, out, &n, e);
    if (!rc && n != want)
        rc = err_set(e, ERR_SHAPE, "%s: key '%s%s%s': want %zu numbers, got %zu", path, measure ? measure : "",
                     measure ? "." : "", key, want, n);
    return rc;
}

static int line(struct chart_panel *p, const char *name, uint32_t colour, double width_pt, double alpha,
                const double *y, size_t n, struct err *e) {
    struct chart_series *s = chart_add(p, CHART_LINE, name, colour, n, e);
    if (!s) return ERR_MEMORY;
    s->size_pt = width_pt, s->alpha = alpha;
    for (size_t t = 0; t < n; t++) s->x[t] = (double)t, s->y[t] = y[t];
    return 0;
}

/* Median bold, the 5 to 95 % band and one walk thin. */
static int add_measure(struct chart_panel *p, const json_t *file, const char *path, int which, const char *label,
                       uint32_t colour, size_t n, struct err *e) {
    static const char *const key[] = {"median", "low", "high", "example"};
    double *y[4] = {NULL};
    int rc = 0;
    for (int k = 0; !rc && k < 4; k++) rc = numbers(file, path, measure_key[which], key[k], n, &y[k], e);
    if (!rc) rc = line(p, label, colour, 1.6, 1, y[0], n, e);
    for (int k = 1; !rc && k < 3; k++) rc = line(p, "", colour, 0.6, 0.8, y[k], n, e);
    if (!rc) rc = line(p, "", colour, 0.5, 0.45, y[3], n, e);
    for (int k = 0; k < 4; k++) free(y[k]);
    return rc;
}

/* sqrt(steps) times the step size. */
static int add_expected(struct chart_panel *p, const json_t *file, const char *path, size_t n, struct err *e) {
    double *expected = NULL;
    int rc = numbers(file, path, NULL, "expected_distance", n, &expected, e);
    if (!rc) rc = line(p, "expected: step size × √steps", 0x000000, 1, 1, expected, n, e);
    if (!rc) p->series[p->n_series - 1].over = true;
    free(expected);
    return rc;
}

/* The path of one walk: ten pieces, each darker than the one before, and its two ends. */
static int add_path(struct chart_panel *p, const json_t *file, const char *path, size_t n, struct err *e) {
    double *x = NULL, *y = NULL;
    int rc = numbers(file, path, "path", "x", n, &x, e);
    if (!rc) rc = numbers(file, path, "path", "y", n, &y, e);
    for (size_t k = 0; !rc && k < SHADES; k++) {
        size_t from = k * (n - 1) / SHADES, to = (k + 1) * (n - 1) / SHADES;
        if (to <= from) continue;
        uint32_t grey = (uint32_t)(0xd8 - 0xd8 * k / (SHADES - 1));
        struct chart_series *s = chart_add(p, CHART_LINE,
                                           k == 0            ? "first steps"
                                           : k == SHADES - 1 ? "last steps"
                                                             : "",
                                           grey << 16 | grey << 8 | grey, to - from + 1, e);
        if (!s) rc = ERR_MEMORY;
        for (size_t t = from; s && t <= to; t++) s->x[t - from] = x[t], s->y[t - from] = y[t];
        if (s) s->size_pt = 1.2;
    }
    for (int end = 0; !rc && end < 2; end++) {
        struct chart_series *s = chart_add(p, CHART_POINTS, end ? "end" : "start", end ? 0xD55E00 : 0x0072B2, 1, e);
        if (!s) rc = ERR_MEMORY;
        if (s) s->x[0] = x[end ? n - 1 : 0], s->y[0] = y[end ? n - 1 : 0], s->size_pt = 3;
    }
    free(x), free(y);
    return rc;
}

static int add_file(const struct kind_args *args, size_t i, struct chart *c, json_t *inputs, struct err *e) {
    const char *path = args->in.item[i], *directions = "";
    json_t *file = NULL, *o = NULL;
    char label[KIND_TEXT], name[CHART_TEXT];
    int64_t walks = 0, steps = 0;
    double size = 0, share = 0;
    int rc = jsonfile_read(path, &file, e);
    if (!rc) rc = jsonfile_int(file, path, "walks", &walks, e);
    if (!rc) rc = jsonfile_int(file, path, "steps", &steps, e);
    if (!rc) rc = jsonfile_real(file, path, "step_size", &size, e);
    if (!rc) rc = jsonfile_text(file, path, "directions", &directions, e);
    if (!rc && (steps < 1 || steps > 1000000 || walks < 1))
        rc = err_set(e, ERR_RANGE, "%s: want walks and steps, got %lld and %lld", path, (long long)walks,
                     (long long)steps);
    if (!rc) rc = kind_label(args, i, args->in.n, directions, label, e);
    const size_t n = (size_t)steps + 1;
    snprintf(name, sizeof name, "%s: median of %lld walks", rc ? "" : label, (long long)walks);
    for (int k = LOSS; !rc && k <= DISTANCE; k++)
        rc = add_measure(&c->panel[k], file, path, k, name, chart_colour(i), n, e);
    if (!rc && i + 1 == args->in.n) rc = add_expected(&c->panel[DISTANCE], file, path, n, e);
    if (!rc && i == 0) rc = add_path(&c->panel[PATH], file, path, n, e);
    if (!rc && i == 0) rc = jsonfile_real(file, path, "path_variance_share", &share, e);
    if (!rc && i == 0)
        chart_panel_note(&c->panel[PATH], "One walk (%s); the plane holds %.0f %% of its variance.", label,
                         100 * share);
    if (!rc && !(o = json_deep_copy(json_object_get(file, "summary"))))
        rc = err_set(e, ERR_FORMAT, "%s: key 'summary': is missing", path);
    if (!rc) o = jsonfile_with(o, "directions=%s label=%s", directions, label);
    jsonfile_put(json_object_get(c->statistics, "walks"), "%p", o);
    if (!rc) rc = kind_origin(inputs, "in", label, file, e);
    json_decref(file);
    return rc;
}

static int build_walk(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    static const char *const title[] = {"Reconstruction loss", "Cosine similarity to the start",
                                        "Distance from the start", "One path"};
    static const char *const label[] = {"squared error / mean squared norm", "cosine", "distance / size of the rows",
                                        "principal component 2"};
    int rc = chart_init(c, PANELS, 2, e);
    if (rc) return rc;
    c->aspect = 0.72;
    c->statistics = jsonfile_with(c->statistics, "walks=%p", json_array());
    for (int k = 0; k < PANELS; k++) {
        snprintf(c->panel[k].title, CHART_TEXT, "%s", title[k]);
        snprintf(c->panel[k].x.label, CHART_TEXT, k == PATH ? "principal component 1" : "step");
        snprintf(c->panel[k].y.label, CHART_TEXT, "%s", label[k]);
    }
    c->panel[LOSS].y.from_zero = c->panel[DISTANCE].y.from_zero = true;
    for (size_t i = 0; !rc && i < args->in.n; i++) rc = add_file(args, i, c, inputs, e);
    chart_note(c, "Thin lines: 5 and 95 %% of the walks; thinnest: one walk.");
    return rc;
}

const struct kind kind_walk = {.name = "walk", .reads = "walk JSON", .build = build_walk};
