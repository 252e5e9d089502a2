/* mark.c - see mark.h. */
#include "lib/chart/mark.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/base/rng.h"

static const double line_pt = 1.1, text_pt = 6.5;

/* ---- lines: where several points fall on one pixel column, its first, lowest, highest and last stand for all ---- */

struct column {
    long px;
    double first[2], last[2], low[2], high[2];
    size_t n;
};

static size_t column_flush(const struct column *k, double *xy, size_t at) {
    if (!k->n) return at;
    const double *order[4] = {k->first, k->low[0] <= k->high[0] ? k->low : k->high,
                              k->low[0] <= k->high[0] ? k->high : k->low, k->last};
    for (int i = 0; i < (k->n == 1 ? 1 : 4); i++) xy[2 * at] = order[i][0], xy[2 * at + 1] = order[i][1], at++;
    return at;
}

static void column_add(struct column *k, double x, double y) {
    const double v[2] = {x, y};
    if (!k->n) k->first[0] = k->low[0] = k->high[0] = x, k->first[1] = k->low[1] = k->high[1] = y;
    if (v[1] < k->low[1]) k->low[0] = x, k->low[1] = y;
    if (v[1] > k->high[1]) k->high[0] = x, k->high[1] = y;
    k->last[0] = x, k->last[1] = y;
    k->n++;
}

/* xy holds 5 n pairs: four of a column, or one NaN for a gap. */
static size_t line_points(const struct chart_series *s, const struct layout_panel *q, double *xy) {
    size_t at = 0;
    struct column k = {.n = 0};
    for (size_t i = 0; i < s->n; i++) {
        double x = layout_px(&q->ax, s->x[i]), y = layout_px(&q->ay, s->y[i]);
        bool gap = !isfinite(x) || !isfinite(y);
        long px = gap ? -1 : (long)floor(fmin(fmax(x, -1e6), 1e6));
        if (k.n && (gap || px != k.px)) at = column_flush(&k, xy, at), k.n = 0;
        if (gap) {
            xy[2 * at] = xy[2 * at + 1] = NAN;
            at++;
            continue;
        }
        k.px = px;
        column_add(&k, x, fmin(fmax(y, q->y - q->h), q->y + 2 * q->h));
    }
    return column_flush(&k, xy, at);
}

static int draw_line(struct canvas *c, const struct chart_series *s, const struct layout_panel *q, struct err *e) {
    double *xy = mem_array(s->n ? s->n : 1, 10 * sizeof *xy, "a line", e);
    if (!xy) return ERR_MEMORY;
    size_t n = line_points(s, q, xy);
    canvas_path(c, xy, n, s->size_pt > 0 ? s->size_pt : line_pt, s->colour, s->alpha, false);
    free(xy);
    return 0;
}

static void draw_rule(struct canvas *c, const struct chart_series *s, const struct layout_panel *q) {
    double x0 = layout_px(&q->ax, s->x[0]), y0 = layout_px(&q->ay, s->y[0]);
    double x1 = layout_px(&q->ax, s->x[1]), y1 = layout_px(&q->ay, s->y[1]);
    if (!isfinite(x0 + y0 + x1 + y1)) return;
    canvas_segment(c, x0, fmin(fmax(y0, q->y - q->h), q->y + 2 * q->h), x1,
                   fmin(fmax(y1, q->y - q->h), q->y + 2 * q->h), s->size_pt > 0 ? s->size_pt : line_pt, s->colour,
                   true);
}

/* ---- histograms, bars, boxes, heat ---- */

static int draw_steps(struct canvas *c, const struct chart_series *s, const struct layout_panel *q, struct err *e) {
    double *xy = mem_array(s->n ? s->n : 1, 4 * sizeof *xy, "a histogram", e);
    if (!xy) return ERR_MEMORY;
    double width = s->n > 1 ? s->x[1] - s->x[0] : 1, base = q->y + q->h;
    for (size_t i = 0; i < s->n; i++) {
        double y = layout_px(&q->ay, s->y[i]);
        if (!isfinite(y)) y = base;
        xy[4 * i] = layout_px(&q->ax, s->x[i]), xy[4 * i + 2] = layout_px(&q->ax, s->x[i] + width);
        xy[4 * i + 1] = xy[4 * i + 3] = y;
    }
    canvas_area(c, xy, 2 * s->n, base, s->colour, 0.12);
    canvas_path(c, xy, 2 * s->n, s->size_pt > 0 ? s->size_pt : line_pt, s->colour, s->alpha, false);
    free(xy);
    return 0;
}

static void draw_bars(struct canvas *c, const struct chart_panel *p, const struct chart_series *s, size_t nth,
                      size_t of, const struct layout_panel *q) {
    double slot = q->w / (q->ax.hi - q->ax.lo), base = layout_px(&q->ay, fmax(q->ay.lo, fmin(0, q->ay.hi))),
           pt = canvas_pt(c);
    double w = fmin(0.8 * slot / (double)of, 44 * pt);
    for (size_t i = 0; i < s->n; i++) {
        double y = layout_px(&q->ay, s->y[i]), x = layout_px(&q->ax, s->x[i]) + ((double)nth - 0.5 * (double)of) * w;
        if (!isfinite(y) || !isfinite(x)) continue;
        canvas_fill(c, x, fmin(y, base), w * 0.96, fabs(base - y), s->colour, s->alpha);
        char text[32];
        snprintf(text, sizeof text, "%.4g", s->y[i]);
        double above = y <= base ? -2 * pt : (2 + 0.75 * text_pt) * pt;
        if (of * p->x.n_categories <= 40 && canvas_text_width(c, text, text_pt, false) < 1.5 * w)
            canvas_text(c, x + w * 0.48, y + above, text,
                        (struct canvas_style){.size_pt = text_pt, .ax = 0.5, .colour = CANVAS_INK});
    }
}

/* Viridis (van der Walt and Smith 2015), nine points of it, straight lines between. t in [0,1]. */
static uint32_t heat_colour(double t) {
    static const unsigned char stop[9][3] = {{68, 1, 84},    {71, 44, 122},  {59, 81, 139},
                                             {44, 113, 142}, {33, 144, 141}, {39, 173, 129},
                                             {92, 200, 99},  {170, 220, 50}, {253, 231, 37}};
    double at = 8 * fmin(fmax(t, 0), 1), f = at - floor(at);
    int i = (int)floor(at), k = i < 8 ? i + 1 : 8;
    uint32_t out = 0;
    for (int b = 0; b < 3; b++) out = out << 8 | (uint32_t)lrint(stop[i][b] + f * (stop[k][b] - stop[i][b]));
    return out;
}

static double heat_top(const struct chart_series *s) {
    double top = s->top;
    for (size_t i = 0; i < s->n && !(s->top > 0); i++)
        if (s->y[i] > top) top = s->y[i];
    return top;
}

static void draw_heat(struct canvas *c, const struct chart_panel *p, const struct chart_series *s,
                      const struct layout_panel *q) {
    size_t cols = p->x.n_categories, rows = p->y.n_categories;
    double top = heat_top(s), w = q->w / (double)cols, h = q->h / (double)rows;
    double over =
        canvas_is_vector(c) ? 0.3 * canvas_pt(c) : 0; /* under the next cells: else viewers show seams between them */
    for (size_t i = 0; i < s->n && i < rows * cols; i++) {
        double x = q->x + w * (double)(i % cols), y = q->y + h * (double)(i / cols), t = top > 0 ? s->y[i] / top : 0;
        if (!isfinite(t)) continue;
        canvas_fill(c, x, y, w + over, h + over, heat_colour(t), 1);
        char text[32];
        snprintf(text, sizeof text, "%.4g", s->y[i]);
        if (canvas_text_width(c, text, text_pt, false) < 0.9 * w && h > (text_pt + 2) * canvas_pt(c))
            canvas_text(
                c, x + w / 2, y + h / 2, text,
                (struct canvas_style){.size_pt = text_pt, .ax = 0.5, .ay = 0.5, .colour = t > 0.6 ? 0 : 0xffffff});
    }
}

static void draw_box(struct canvas *c, const struct chart_series *s, const struct layout_panel *q) {
    double x[2], y[2];
    for (int i = 0; i < 2; i++) {
        x[i] = layout_px(&q->ax, s->x[i]), y[i] = layout_px(&q->ay, s->y[i]);
        if (!isfinite(x[i])) x[i] = q->x; /* 0 on a logarithmic axis */
        x[i] = fmin(fmax(x[i], q->x), q->x + q->w);
        y[i] = fmin(fmax(y[i], q->y), q->y + q->h);
    }
    canvas_fill(c, fmin(x[0], x[1]), fmin(y[0], y[1]), fabs(x[1] - x[0]), fabs(y[1] - y[0]), s->colour, s->alpha);
}

/* ---- points ---- */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Length of the middle 80 % of all points of a panel along one axis, in pixels; 0 without points. v [at least as many].
 */
static double middle_length(const struct chart_panel *p, const struct layout_axis *m, bool is_x, double *v) {
    size_t n = 0;
    for (size_t k = 0; k < p->n_series; k++) {
        const struct chart_series *s = &p->series[k];
        for (size_t i = 0; s->mark == CHART_POINTS && i < s->n; i++) {
            double at = layout_px(m, is_x ? s->x[i] : s->y[i]);
            if (isfinite(at)) v[n++] = at;
        }
    }
    if (!n) return 0;
    qsort(v, n, sizeof *v, by_value);
    return v[n - 1 - n / 10] - v[n / 10];
}

/* The radius for series that leave it open, from the room a point has where most of them are: many points are small,
 * few are large, none so small that print loses it. 0.64 = 0.8 * 0.8 of the points lie in the middle of both axes, or
 * more. */
static int radius_px(const struct chart_panel *p, const struct layout_panel *q, size_t n, double pt, double *r,
                     struct err *e) {
    double *v = mem_array(n ? n : 1, sizeof *v, "the places of points", e);
    if (!v) return ERR_MEMORY;
    double area = middle_length(p, &q->ax, true, v) * middle_length(p, &q->ay, false, v);
    free(v);
    *r = fmin(fmax(0.36 * sqrt(area / (0.64 * (double)(n ? n : 1))), 0.7 * pt), 2.2 * pt);
    return 0;
}

static int draw_points(struct canvas *c, const struct chart_panel *p, const struct layout_panel *q, bool behind,
                       uint64_t seed, struct err *e) {
    size_t all = 0, n = 0;
    for (size_t k = 0; k < p->n_series; k++) {
        if (p->series[k].mark != CHART_POINTS) continue;
        all += p->series[k].n;
        if (p->series[k].behind == behind) n += p->series[k].n;
    }
    if (!n) return 0;
    if (n > UINT32_MAX) return err_set(e, ERR_RANGE, "%zu points in one panel: at most 2^32 - 1", n);
    uint32_t *order = mem_array(n, sizeof *order, "the order of points", e);
    uint32_t *start = mem_array(n, sizeof *start, "the order of points", e); /* series of each point */
    double open_px = 0;
    int rc = order && start ? radius_px(p, q, all, canvas_pt(c), &open_px, e) : ERR_MEMORY;
    size_t first[CHART_SERIES] = {0}, at = 0;
    for (size_t k = 0; !rc && k < p->n_series; k++) {
        if (p->series[k].mark != CHART_POINTS || p->series[k].behind != behind) continue;
        first[k] = at;
        for (size_t i = 0; i < p->series[k].n; i++) start[at++] = (uint32_t)k;
    }
    if (!rc && !p->ordered) rng_shuffle(seed, behind, order, n);
    for (size_t i = 0; !rc && p->ordered && i < n; i++) order[i] = (uint32_t)i;
    for (size_t i = 0; !rc && i < n; i++) {
        const struct chart_series *s = &p->series[start[order[i]]];
        size_t j = order[i] - first[start[order[i]]];
        canvas_disc(c, layout_px(&q->ax, s->x[j]), layout_px(&q->ay, s->y[j]),
                    s->size_pt > 0 ? s->size_pt * canvas_pt(c) : open_px, s->colour, s->alpha);
    }
    free(order);
    free(start);
    return rc;
}

/* ---- texts beside points: each at the first of eight places that is free, else not at all ---- */

enum { TEXT_PLACES = 8, TEXT_TAKEN = 4096 };

struct rect {
    double x, y, w, h;
};

static bool meets(const struct rect *a, const struct rect *b) {
    return a->x < b->x + b->w && b->x < a->x + a->w && a->y < b->y + b->h && b->y < a->y + a->h;
}

static bool is_free(const struct rect *r, const struct rect *taken, size_t n, const struct layout_panel *q) {
    if (r->x < q->x || r->y < q->y || r->x + r->w > q->x + q->w || r->y + r->h > q->y + q->h) return false;
    for (size_t i = 0; i < n; i++)
        if (meets(r, &taken[i])) return false;
    return true;
}

/* Small squares along a line, so that no text is written across it. */
static size_t take_line(const struct chart_series *s, const struct layout_panel *q, double pt, struct rect *taken,
                        size_t n) {
    for (size_t i = 0; i + 1 < s->n; i++) {
        double x = layout_px(&q->ax, s->x[i]), y = layout_px(&q->ay, s->y[i]);
        double dx = layout_px(&q->ax, s->x[i + 1]) - x, dy = layout_px(&q->ay, s->y[i + 1]) - y;
        if (!isfinite(x + y + dx + dy)) continue;
        int steps = (int)fmin(200, hypot(dx, dy) / (2 * pt)) + 1;
        for (int k = 0; k <= steps && n < TEXT_TAKEN - 512; k++)
            taken[n++] =
                (struct rect){x + dx * k / steps - 0.8 * pt, y + dy * k / steps - 0.8 * pt, 1.6 * pt, 1.6 * pt};
    }
    return n;
}

static void draw_texts(struct canvas *c, const struct chart_panel *p, const struct layout_panel *q) {
    static const double place[TEXT_PLACES][2] = {{0, -1}, {0, 1}, {1, 0}, {-1, 0}, {1, 1}, {-1, -1}, {1, -1}, {-1, 1}};
    struct rect taken[TEXT_TAKEN];
    size_t n = 0, texts = 0;
    double pt = canvas_pt(c), reach = 2.4 * pt;
    for (size_t k = 0; k < p->n_series; k++) texts += p->series[k].text ? p->series[k].n : 0;
    if (!texts) return;
    for (size_t k = 0; k < p->n_series; k++)
        if (p->series[k].mark == CHART_LINE) n = take_line(&p->series[k], q, pt, taken, n);
    for (size_t k = 0; k < p->n_series; k++)
        for (size_t i = 0; p->series[k].text && i < p->series[k].n && n < TEXT_TAKEN - 256; i++) {
            double x = layout_px(&q->ax, p->series[k].x[i]), y = layout_px(&q->ay, p->series[k].y[i]);
            if (isfinite(x) && isfinite(y)) taken[n++] = (struct rect){x - reach, y - reach, 2 * reach, 2 * reach};
        }
    for (size_t k = 0; k < p->n_series; k++) {
        const struct chart_series *s = &p->series[k];
        for (size_t i = 0; s->text && i < s->n && n < TEXT_TAKEN; i++) {
            double x = layout_px(&q->ax, s->x[i]), y = layout_px(&q->ay, s->y[i]);
            double w = canvas_text_width(c, s->text[i], text_pt, false), h = 0.75 * text_pt * pt;
            if (!isfinite(x) || !isfinite(y)) continue;
            for (int t = 0; t < TEXT_PLACES; t++) {
                double dx = place[t][0], dy = place[t][1];
                struct rect r = {x - w / 2 + dx * (reach + w / 2 + 0.5 * pt), y - h / 2 + dy * (reach + h / 2 + pt), w,
                                 h};
                if (!is_free(&r, taken, n, q)) continue;
                taken[n++] = r;
                canvas_text(c, r.x, r.y + h, s->text[i],
                            (struct canvas_style){.size_pt = text_pt, .colour = s->colour});
                break;
            }
        }
    }
}

int mark_panel(struct canvas *c, const struct chart_panel *p, const struct layout_panel *q, uint64_t seed,
               struct err *e) {
    size_t n_bars = 0, nth = 0;
    int rc = 0;
    for (size_t k = 0; k < p->n_series; k++) n_bars += p->series[k].mark == CHART_BARS;
    canvas_clip(c, q->x, q->y, q->w, q->h);
    for (size_t k = 0; !rc && k < p->n_series; k++) {
        const struct chart_series *s = &p->series[k];
        switch (s->mark) {
        case CHART_RULE:
            draw_rule(c, s, q);
            break;
        case CHART_LINE:
            if (!s->over) rc = draw_line(c, s, q, e);
            break;
        case CHART_STEPS:
            rc = draw_steps(c, s, q, e);
            break;
        case CHART_BARS:
            draw_bars(c, p, s, nth++, n_bars, q);
            break;
        case CHART_BOX:
            draw_box(c, s, q);
            break;
        case CHART_HEAT:
            draw_heat(c, p, s, q);
            break;
        case CHART_POINTS:
            break;
        }
    }
    if (!rc) rc = draw_points(c, p, q, true, seed, e);
    for (size_t k = 0; !rc && k < p->n_series; k++)
        if (p->series[k].mark == CHART_LINE && p->series[k].over) rc = draw_line(c, &p->series[k], q, e);
    if (!rc) rc = draw_points(c, p, q, false, seed, e);
    if (!rc) draw_texts(c, p, q);
    canvas_unclip(c);
    return rc;
}

enum { HEAT_SIGN = 40 }; /* pt */

void mark_sign(struct canvas *c, const struct chart_series *s, double x, double y) {
    double pt = canvas_pt(c);
    switch (s->mark) {
    case CHART_POINTS:
        canvas_disc(c, x + 3 * pt, y, 2.4 * pt, s->colour, 1);
        break;
    case CHART_LINE:
        canvas_segment(c, x, y, x + 12 * pt, y, 1.6, s->colour, false);
        break;
    case CHART_RULE:
        canvas_segment(c, x, y, x + 12 * pt, y, 1, s->colour, true);
        break;
    case CHART_BOX:
        canvas_fill(c, x, y - 3 * pt, 12 * pt, 6 * pt, s->colour, s->alpha);
        break;
    case CHART_HEAT:
        for (int i = 0; i < HEAT_SIGN; i++)
            canvas_fill(c, x + i * pt, y - 3 * pt, 1.1 * pt, 6 * pt, heat_colour((i + 0.5) / HEAT_SIGN), 1);
        break;
    default:
        canvas_fill(c, x, y - 3 * pt, 12 * pt, 6 * pt, s->colour, s->mark == CHART_STEPS ? 0.12 : s->alpha);
        if (s->mark == CHART_STEPS) canvas_frame(c, x, y - 3 * pt, 12 * pt, 6 * pt, 0.9, s->colour);
    }
}
