/* kind_neighbours.c - a feature and its nearest neighbours among all features: in the plane of the first two principal
 * components (plane), in the space of three drawn in projection (space), and whether the neighbours of encoder and
 * decoder are the same ones (agreement).
 *
 * How much of the variance the axes show stands on each axis, and under each panel whether neighbours by cosine lie
 * near in the picture at all: a projection of a thousand dimensions to two shows little, and the figure must say how
 * little. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/chart/kind.h"
#include "lib/file/jsonfile.h"

enum { SIDES = 2, AXES = 3, TINTS = 8, CUBE = 8, NEAR_MOST = 1000 };
enum { COLOUR_ASKED = 0x0072B2, COLOUR_BOTH = 0xD55E00, COLOUR_ONE = 0xE69F00, COLOUR_PANE = 0xd0d0d0 };

static const double axis_pt = 0.8, azimuth = 0.6, elevation = 0.38,
                    camera = 5; /* radians; box diagonals from the middle */

struct side {
    const char *matrix;
    double *at[AXES];                   /* [n] each */
    double explained[AXES], between[2]; /* of the axes; in the plane, in space */
    size_t near[NEAR_MOST], n_near;     /* positions of the neighbours, nearest first */
};

struct view {
    json_t *file;
    int64_t asked;
    size_t n, pos;  /* features; position of the one asked for */
    double *number; /* [n] */
    struct side side[SIDES];
};

/* --- reading --- */

static int same_length(const char *path, const char *key, size_t want, size_t got, struct err *e) {
    if (want == got) return 0;
    return err_set(e, ERR_SHAPE, "%s: key '%s': want %zu entries, got %zu", path, key, want, got);
}

static int position(const struct view *v, double number, const char *path, const char *key, size_t *out,
                    struct err *e) {
    for (size_t i = 0; i < v->n; i++)
        if (v->number[i] == number) return *out = i, 0;
    return err_set(e, ERR_RANGE, "%s: key '%s': %.17g is none of the features", path, key, number);
}

static int side_read(struct view *v, struct side *s, const json_t *o, const char *path, struct err *e) {
    static const char *const axis[AXES] = {"x", "y", "z"};
    double *list = NULL;
    size_t n;
    int rc = jsonfile_text(o, path, "matrix", &s->matrix, e);
    for (size_t c = 0; !rc && c < AXES; c++) {
        rc = jsonfile_reals(o, path, axis[c], &s->at[c], &n, e);
        if (!rc) rc = same_length(path, axis[c], v->n, n, e);
    }
    if (!rc) rc = jsonfile_real(o, path, "between_2d", &s->between[0], e);
    if (!rc) rc = jsonfile_real(o, path, "between_3d", &s->between[1], e);
    if (!rc) rc = jsonfile_reals(o, path, "explained", &list, &n, e);
    if (!rc) rc = same_length(path, "explained", AXES, n, e);
    if (!rc) memcpy(s->explained, list, sizeof s->explained);
    free(list);
    list = NULL;
    if (!rc) rc = jsonfile_reals(o, path, "neighbours", &list, &s->n_near, e);
    if (!rc && s->n_near > NEAR_MOST) rc = same_length(path, "neighbours", NEAR_MOST, s->n_near, e);
    for (size_t q = 0; !rc && q < s->n_near; q++) rc = position(v, list[q], path, "neighbours", &s->near[q], e);
    free(list);
    return rc;
}

static int view_read(struct view *v, const struct kind_args *args, json_t *inputs, struct err *e) {
    const char *path = args->in.item[0];
    json_t *sides;
    if (args->in.n != 1)
        return err_set(e, ERR_USAGE, "plot: --in: kind %s wants one neighbours JSON, got %zu", args->kind, args->in.n);
    int rc = jsonfile_read(path, &v->file, e);
    if (!rc) rc = jsonfile_int(v->file, path, "feature", &v->asked, e);
    if (!rc) rc = jsonfile_reals(v->file, path, "feature_of_point", &v->number, &v->n, e);
    if (!rc) rc = position(v, (double)v->asked, path, "feature", &v->pos, e);
    if (!rc) rc = jsonfile_array(v->file, path, "sides", &sides, e);
    if (!rc) rc = same_length(path, "sides", SIDES, json_array_size(sides), e);
    for (size_t m = 0; !rc && m < SIDES; m++) rc = side_read(v, &v->side[m], json_array_get(sides, m), path, e);
    return rc ? rc : kind_origin(inputs, "in", "neighbours", v->file, e);
}

static void view_free(struct view *v) {
    for (size_t m = 0; m < SIDES; m++)
        for (size_t c = 0; c < AXES; c++) free(v->side[m].at[c]);
    free(v->number);
    json_decref(v->file);
}

/* --- what both pictures share --- */

static bool is_near(const struct side *s, size_t i) {
    for (size_t q = 0; q < s->n_near; q++)
        if (s->near[q] == i) return true;
    return false;
}

/* The feature and its neighbours on top, with their numbers: xy [n,2] places of all features. */
static int add_marked(const struct view *v, size_t m, const double *xy, struct chart_panel *p, struct err *e) {
    const struct side *s = &v->side[m], *other = &v->side[!m];
    size_t count[2] = {0};
    for (size_t q = 0; q < s->n_near; q++) count[is_near(other, s->near[q])]++;
    for (size_t both = 0; both < 2; both++) {
        struct chart_series *t =
            chart_add(p, CHART_POINTS, both ? "nearest in both matrices" : "nearest in this matrix only",
                      both ? COLOUR_BOTH : COLOUR_ONE, count[both], e);
        if (!t || chart_texts(t, e)) return ERR_MEMORY;
        t->size_pt = 2.3;
        size_t at = 0;
        for (size_t q = 0; q < s->n_near; q++) {
            size_t i = s->near[q];
            if (is_near(other, i) != both) continue;
            t->x[at] = xy[2 * i], t->y[at] = xy[2 * i + 1];
            snprintf(t->text[at++], CHART_LABEL, "%.0f", v->number[i]);
        }
    }
    char name[CHART_TEXT];
    snprintf(name, sizeof name, "feature %lld", (long long)v->asked);
    struct chart_series *t = chart_add(p, CHART_POINTS, name, COLOUR_ASKED, 1, e);
    if (!t || chart_texts(t, e)) return ERR_MEMORY;
    t->size_pt = 3.2;
    t->x[0] = xy[2 * v->pos], t->y[0] = xy[2 * v->pos + 1];
    snprintf(t->text[0], CHART_LABEL, "%lld", (long long)v->asked);
    return 0;
}

static void axis_name(const struct side *s, size_t c, char out[CHART_TEXT]) {
    snprintf(out, CHART_TEXT, "component %zu: %.1f %% of the variance", c + 1, 100 * s->explained[c]);
}

static void add_notes(const struct side *s, size_t dims, struct chart_panel *p) {
    double share = 0;
    for (size_t c = 0; c < dims; c++) share += s->explained[c];
    snprintf(p->title, CHART_TEXT, "Rows of %.60s", s->matrix);
    chart_panel_note(p, "The %zu axes hold %.1f %% of the variance.", dims, 100 * share);
    chart_panel_note(p, "Between a feature and a neighbour lie %.0f %% of all features (chance: 50 %%).",
                     100 * s->between[dims - 2]);
}

static int finish(const struct view *v, const char *path, struct chart *c, struct err *e) {
    static const char *const keys[] = {"explained_2d", "explained_3d", "between_2d", "between_3d", NULL};
    json_t *o = json_object_get(v->file, "agreement"), *sides = json_array();
    int rc = 0;
    c->statistics = jsonfile_with(c->statistics, "n=%zu", v->n);
    if (o) c->statistics = jsonfile_with(c->statistics, "agreement=%p", json_deep_copy(o));
    for (size_t m = 0; !rc && m < SIDES; m++) {
        json_t *t = jsonfile_object("label=%s", v->side[m].matrix);
        rc = kind_take(t, json_array_get(json_object_get(v->file, "sides"), m), path, keys, e);
        sides = jsonfile_with(sides, "%p", t);
    }
    c->statistics = jsonfile_with(c->statistics, "sides=%p", sides);
    return rc;
}

/* --- the plane --- */

static int plane_panel(const struct view *v, size_t m, struct chart_panel *p, struct err *e) {
    const struct side *s = &v->side[m];
    double *xy = mem_array(v->n, 2 * sizeof *xy, "points", e);
    struct chart_series *all = xy ? chart_add(p, CHART_POINTS, "all other features", CANVAS_GREY, v->n, e) : NULL;
    int rc = all ? 0 : ERR_MEMORY;
    for (size_t i = 0; !rc && i < v->n; i++)
        all->x[i] = xy[2 * i] = s->at[0][i], all->y[i] = xy[2 * i + 1] = s->at[1][i];
    if (!rc) all->behind = true, all->alpha = 0.55, all->size_pt = 0.8;
    if (!rc) rc = add_marked(v, m, xy, p, e);
    free(xy);
    axis_name(s, 0, p->x.label), axis_name(s, 1, p->y.label);
    p->equal = true;
    add_notes(s, 2, p);
    return rc;
}

static int build_plane(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    struct view v = {0};
    int rc = chart_init(c, SIDES, SIDES, e);
    if (!rc) rc = view_read(&v, args, inputs, e);
    if (!rc) c->legend_shared = true, c->aspect = 1;
    for (size_t m = 0; !rc && m < SIDES; m++) rc = plane_panel(&v, m, &c->panel[m], e);
    if (!rc) rc = finish(&v, args->in.item[0], c, e);
    view_free(&v);
    return rc;
}

const struct kind kind_plane = {.name = "plane", .reads = "neighbours JSON", .build = build_plane};

/* --- space: seen from above and one side, near points darker and larger --- */

struct eye {
    double lo[AXES], hi[AXES], unit; /* the box; half its longest side */
};

/* A place in the box's units (-1 … 1 on the longest side) to the picture; returns how near it is. */
static double see(const double v[AXES], double out[2]) {
    double right = cos(azimuth) * v[0] + sin(azimuth) * v[1], away = -sin(azimuth) * v[0] + cos(azimuth) * v[1];
    double up = cos(elevation) * v[2] + sin(elevation) * away, near = sin(elevation) * v[2] - cos(elevation) * away;
    double scale = camera / (camera - near);
    out[0] = right * scale, out[1] = up * scale;
    return near;
}

static void into_box(const struct eye *b, const double at[AXES], double v[AXES]) {
    for (size_t c = 0; c < AXES; c++) v[c] = (at[c] - (b->lo[c] + b->hi[c]) / 2) / b->unit;
}

static struct eye eye_make(const struct view *v, const struct side *s) {
    struct eye b = {.unit = 0};
    for (size_t c = 0; c < AXES; c++) {
        b.lo[c] = b.hi[c] = s->at[c][0];
        for (size_t i = 1; i < v->n; i++) b.lo[c] = fmin(b.lo[c], s->at[c][i]), b.hi[c] = fmax(b.hi[c], s->at[c][i]);
        double pad = 0.04 * (b.hi[c] - b.lo[c]);
        b.lo[c] -= pad, b.hi[c] += pad;
        b.unit = fmax(b.unit, (b.hi[c] - b.lo[c]) / 2);
    }
    return b;
}

/* Corner k of the box: bit c says which end of axis c. */
static void corner(const struct eye *b, size_t k, double out[2]) {
    double at[AXES], v[AXES];
    for (size_t c = 0; c < AXES; c++) at[c] = k >> c & 1 ? b->hi[c] : b->lo[c];
    into_box(b, at, v);
    see(v, out);
}

/* The nine edges that do not meet the nearest corner, which would stand before the points: seen from this side it is
 * that of high x, low y and high z. */
static int add_box(const struct eye *b, struct chart_panel *p, struct err *e) {
    const size_t nearest = 5;
    for (size_t k = 0; k < CUBE; k++)
        for (size_t c = 0; c < AXES; c++) {
            size_t to = k | (size_t)1 << c;
            if (to == k || k == nearest || to == nearest) continue;
            struct chart_series *s = chart_add(p, CHART_LINE, "", COLOUR_PANE, 2, e);
            if (!s) return e->code;
            s->size_pt = axis_pt, s->derived = true;
            double a[2], z[2];
            corner(b, k, a), corner(b, to, z);
            s->x[0] = a[0], s->y[0] = a[1], s->x[1] = z[0], s->y[1] = z[1];
        }
    return 0;
}

/* Name of an axis beside the middle of an outer edge, and its range at the ends: points too small to be seen, with
 * texts. */
static int add_axis(const struct eye *b, const struct side *s, size_t c, size_t from, struct chart_panel *p,
                    struct err *e) {
    struct chart_series *t = chart_add(p, CHART_POINTS, "", CANVAS_INK, 3, e);
    if (!t || chart_texts(t, e)) return ERR_MEMORY;
    double a[2], z[2];
    corner(b, from, a), corner(b, from | (size_t)1 << c, z);
    for (int i = 0; i < 3; i++) {
        double f = i == 0 ? 0.06 : i == 1 ? 0.5 : 0.94, x = a[0] + f * (z[0] - a[0]), y = a[1] + f * (z[1] - a[1]);
        double out = i == 1 ? 1.13 : 1.07; /* away from the middle of the picture */
        t->x[i] = c == 2 ? x * (i == 1 ? 1.02 : 1.09) : x * out, t->y[i] = c == 2 ? y : y * out;
    }
    t->size_pt = 0.01, t->derived = true;
    snprintf(t->text[0], CHART_LABEL, "%.2g", b->lo[c]);
    snprintf(t->text[1], CHART_LABEL, "PC %zu (%.1f %%)", c + 1, 100 * s->explained[c]);
    snprintf(t->text[2], CHART_LABEL, "%.2g", b->hi[c]);
    return 0;
}

struct spot {
    double near;
    size_t i;
};

static int farther_first(const void *a, const void *b) {
    const struct spot *p = a, *q = b;
    if (p->near != q->near) return p->near < q->near ? -1 : 1;
    return (p->i > q->i) - (p->i < q->i);
}

/* All features in TINTS layers of equal size from far to near. */
static int add_cloud(const struct view *v, const struct spot *order, const double *xy, struct chart_panel *p,
                     struct err *e) {
    for (size_t t = 0; t < TINTS; t++) {
        size_t first = v->n * t / TINTS, end = v->n * (t + 1) / TINTS;
        double f = (double)t / (TINTS - 1);
        uint32_t grey = (uint32_t)lrint(222 - 112 * f);
        struct chart_series *s =
            chart_add(p, CHART_POINTS, t + 1 == TINTS ? "other features: the darker, the nearer" : "",
                      grey << 16 | grey << 8 | grey, end - first, e);
        if (!s) return e->code;
        s->behind = true, s->alpha = 0.8, s->size_pt = 0.6 + 0.6 * f;
        for (size_t k = first; k < end; k++)
            s->x[k - first] = xy[2 * order[k].i], s->y[k - first] = xy[2 * order[k].i + 1];
    }
    return 0;
}

/* From each marked feature a line down to the floor of the box, where it stands. */
static int add_stems(const struct view *v, const struct side *s, const struct eye *b, struct chart_panel *p,
                     struct err *e) {
    for (size_t q = 0; q <= s->n_near; q++) {
        size_t i = q < s->n_near ? s->near[q] : v->pos;
        double at[AXES] = {s->at[0][i], s->at[1][i], s->at[2][i]}, w[AXES], end[2];
        struct chart_series *t = chart_add(p, CHART_LINE, "", q < s->n_near ? 0x8a5a00 : COLOUR_ASKED, 2, e);
        if (!t) return e->code;
        t->over = true, t->derived = true, t->size_pt = 0.55;
        for (int k = 0; k < 2; k++) {
            if (k) at[2] = b->lo[2];
            into_box(b, at, w);
            see(w, end);
            t->x[k] = end[0], t->y[k] = end[1];
        }
    }
    return 0;
}

static int space_panel(const struct view *v, size_t m, struct chart_panel *p, struct err *e) {
    const struct side *s = &v->side[m];
    const struct eye b = eye_make(v, s);
    double *xy = mem_array(v->n, 2 * sizeof *xy, "points", e);
    struct spot *order = xy ? mem_array(v->n, sizeof *order, "points", e) : NULL;
    int rc = order ? 0 : ERR_MEMORY;
    for (size_t i = 0; !rc && i < v->n; i++) {
        double at[AXES] = {s->at[0][i], s->at[1][i], s->at[2][i]}, w[AXES];
        into_box(&b, at, w);
        order[i] = (struct spot){see(w, xy + 2 * i), i};
    }
    if (!rc) qsort(order, v->n, sizeof *order, farther_first);
    if (!rc) rc = add_box(&b, p, e);
    if (!rc) rc = add_cloud(v, order, xy, p, e);
    if (!rc && s->n_near <= 16) rc = add_stems(v, s, &b, p, e);
    if (!rc) rc = add_marked(v, m, xy, p, e);
    /* the outer edges below: x and y from the corners that they share with the nearest one's foot, z at the left */
    if (!rc) rc = add_axis(&b, s, 0, 0, p, e);
    if (!rc) rc = add_axis(&b, s, 1, 1, p, e);
    if (!rc) rc = add_axis(&b, s, 2, 0, p, e);
    p->equal = p->ordered = p->x.bare = p->y.bare = p->x.fixed = p->y.fixed = true;
    p->x.lo = -1.75, p->x.hi = 1.75, p->y.lo = -1.7, p->y.hi = 1.6;
    add_notes(s, 3, p);
    free(xy);
    free(order);
    return rc;
}

static int build_space(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    struct view v = {0};
    int rc = chart_init(c, SIDES, SIDES, e);
    if (!rc) rc = view_read(&v, args, inputs, e);
    if (!rc) c->legend_shared = true, c->aspect = 0.95;
    for (size_t m = 0; !rc && m < SIDES; m++) rc = space_panel(&v, m, &c->panel[m], e);
    if (!rc) rc = finish(&v, args->in.item[0], c, e);
    view_free(&v);
    return rc;
}

const struct kind kind_space = {.name = "space", .reads = "neighbours JSON", .build = build_space};

/* --- agreement --- */

static int line_of(const json_t *o, const char *path, const char *key, const char *name, uint32_t colour,
                   struct chart_panel *p, struct err *e) {
    double *y = NULL;
    size_t n = 0;
    int rc = jsonfile_reals(o, path, key, &y, &n, e);
    struct chart_series *line = rc ? NULL : chart_add(p, CHART_LINE, name, colour, n, e);
    if (!rc && !line) rc = ERR_MEMORY;
    for (size_t q = 0; !rc && q < n; q++) line->x[q] = (double)(q + 1), line->y[q] = y[q];
    free(y);
    return rc;
}

static int common_bars(const json_t *o, const char *path, struct chart_panel *p, struct err *e) {
    double *y = NULL;
    size_t n = 0;
    int rc = jsonfile_reals(o, path, "features_by_common", &y, &n, e);
    if (!rc) rc = chart_categories(&p->x, n, e);
    struct chart_series *bars = rc ? NULL : chart_add(p, CHART_BARS, "", COLOUR_ASKED, n, e);
    if (!rc && !bars) rc = ERR_MEMORY;
    for (size_t q = 0; !rc && q < n; q++) {
        bars->x[q] = (double)q, bars->y[q] = y[q];
        snprintf(p->x.category[q], CHART_LABEL, "%zu", q);
    }
    free(y);
    return rc;
}

static int build_agreement(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    struct view v = {0};
    const char *path = args->in.item[0];
    double share = 0, chance = 0;
    int rc = chart_init(c, 2, 2, e);
    if (!rc) rc = view_read(&v, args, inputs, e);
    const json_t *o = json_object_get(v.file, "agreement");
    if (!rc) c->aspect = 0.7;
    if (!rc) rc = line_of(o, path, "share_by_neighbours", "W_enc and W_dec", COLOUR_ASKED, &c->panel[0], e);
    if (!rc) rc = line_of(o, path, "chance_by_neighbours", "chance", CANVAS_FRAME, &c->panel[0], e);
    if (!rc) rc = common_bars(o, path, &c->panel[1], e);
    if (!rc) rc = jsonfile_real(o, path, "share", &share, e);
    if (!rc) rc = jsonfile_real(o, path, "share_chance", &chance, e);
    if (!rc) {
        struct chart_panel *p = c->panel;
        snprintf(p[0].title, CHART_TEXT, "Nearest neighbours that are the same");
        snprintf(p[1].title, CHART_TEXT, "Features by neighbours in common");
        snprintf(p[0].x.label, CHART_TEXT, "nearest neighbours compared");
        snprintf(p[0].y.label, CHART_TEXT, "share in both, mean over features");
        snprintf(p[1].x.label, CHART_TEXT, "of the %zu nearest, in both", v.side[0].n_near);
        snprintf(p[1].y.label, CHART_TEXT, "features");
        p[0].x.whole = p[0].y.from_zero = p[1].y.from_zero = true;
        chart_panel_note(&p[0], "Of %zu neighbours %.1f %% are the same; chance: %.2f %%.", v.side[0].n_near,
                         100 * share, 100 * chance);
        rc = finish(&v, args->in.item[0], c, e);
    }
    view_free(&v);
    return rc;
}

const struct kind kind_agreement = {.name = "agreement", .reads = "neighbours JSON", .build = build_agreement};
