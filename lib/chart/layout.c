/* layout.c - see layout.h. Widths first (they do not depend on heights), then heights from top to bottom. */
#include "lib/chart/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"

static const double outer_pt = 5, gap_pt = 12, side_share = 0.29;

/* Data range of one axis over all series that widen it. */
static void data_range(const struct chart_panel *p, bool is_x, double *lo, double *hi) {
    const struct chart_axis *a = is_x ? &p->x : &p->y;
    *lo = INFINITY, *hi = -INFINITY;
    for (size_t k = 0; k < p->n_series; k++) {
        const struct chart_series *s = &p->series[k];
        if (s->mark == CHART_BOX || s->mark == CHART_RULE || s->mark == CHART_HEAT) continue;
        double step = is_x && s->mark == CHART_STEPS && s->n > 1 ? s->x[1] - s->x[0] : 0;
        const double *v = is_x ? s->x : s->y;
        for (size_t i = 0; i < s->n; i++) {
            if (!isfinite(v[i]) || (a->log && !(v[i] > 0))) continue;
            if (v[i] < *lo) *lo = v[i];
            if (v[i] + step > *hi) *hi = v[i] + step;
        }
    }
}

static void axis_range(const struct chart_panel *p, bool is_x, struct layout_axis *out) {
    const struct chart_axis *a = is_x ? &p->x : &p->y;
    *out = (struct layout_axis){.log = a->log, .lo = a->lo, .hi = a->hi};
    if (a->n_categories) {
        out->lo = -0.5, out->hi = (double)a->n_categories - 0.5, out->log = false;
        return;
    }
    if (a->fixed) return;
    data_range(p, is_x, &out->lo, &out->hi);
    if (a->from_zero && !a->log) {
        out->lo = 0;
        if (!(out->hi > 0)) out->hi = 1;
        out->hi *= p->n_series && p->series[0].mark == CHART_BARS ? 1.12 : 1.07; /* room for numbers on bars */
        return;
    }
    bool line_x = is_x && p->n_series && (p->series[0].mark == CHART_LINE || p->series[0].mark == CHART_STEPS);
    bool bars_y = !is_x && p->n_series && p->series[0].mark == CHART_BARS;
    ticks_range(&out->lo, &out->hi, a->log, line_x ? 0.015 : bars_y ? 0.09 : 0.05);
}

/* One unit as long on both axes: the axis with room to spare is widened about its middle. */
static void equalise(struct layout_panel *q) {
    double ux = (q->ax.hi - q->ax.lo) / q->w, uy = (q->ay.hi - q->ay.lo) / q->h, unit = fmax(ux, uy);
    struct layout_axis *a[2] = {&q->ax, &q->ay};
    double length[2] = {unit * q->w, unit * q->h};
    for (int i = 0; i < 2; i++) {
        double middle = (a[i]->lo + a[i]->hi) / 2;
        a[i]->lo = middle - length[i] / 2, a[i]->hi = middle + length[i] / 2;
    }
}

static bool is_whole(double x) { return fabs(x - rint(x)) < 1e-6; }

static void axis_ticks(const struct chart_axis *a, const struct layout_axis *m, double length_pt, double each_pt,
                       struct ticks *t) {
    t->n = 0;
    if (a->bare) return;
    int want = (int)fmax(2, fmin(12, length_pt / each_pt));
    if (a->n_categories) {
        for (size_t i = 0; i < a->n_categories && i < TICKS_MAX; i++) {
            t->at[t->n] = (double)i;
            snprintf(t->text[t->n++], TICKS_TEXT, "%.*s", TICKS_TEXT - 1, a->category[i]);
        }
    } else if (m->log) {
        ticks_log(m->lo, m->hi, want, t);
    } else {
        do ticks_linear(m->lo, m->hi, want, t);
        while (a->whole && t->n > 1 && !is_whole(t->at[1] - t->at[0]) && --want >= 2);
        for (size_t i = 0; a->whole && i < t->n; i++)
            if (!is_whole(t->at[i])) t->text[i][0] = 0;
    }
}

/* Break at blanks so that no line is wider than width_px; a word that is wider stands alone. */
static void wrap(struct canvas *c, const char *text, double width_px, struct layout_lines *out) {
    char line[CHART_TEXT] = "";
    while (*text && out->n < LAYOUT_LINES) {
        size_t word = strcspn(text, " "), used = strlen(line);
        char longer[2 * CHART_TEXT];
        snprintf(longer, sizeof longer, "%s%s%.*s", line, used ? " " : "", (int)word, text);
        if (used && canvas_text_width(c, longer, layout_note_pt, false) > width_px) {
            memcpy(out->line[out->n++], line, sizeof line);
            line[0] = 0;
            continue;
        }
        snprintf(line, sizeof line, "%.*s", CHART_TEXT - 1, longer);
        text += word + strspn(text + word, " ");
    }
    if (*line && out->n < LAYOUT_LINES) memcpy(out->line[out->n++], line, sizeof line);
}

static void legend_add(struct layout_legend *g, const struct chart_panel *p, bool once) {
    for (size_t k = 0; k < p->n_series; k++) {
        const struct chart_series *s = &p->series[k];
        bool seen = !s->name[0];
        for (size_t i = 0; once && i < g->n; i++) seen |= !strcmp(g->entry[i].series->name, s->name);
        if (!seen && g->n < LAYOUT_ENTRIES) g->entry[g->n++] = (struct layout_entry){.series = s};
    }
}

/* Entries from left to right, as many a row as fit, all rows together centred; a column when `narrow`. */
static void legend_flow(struct layout_legend *g, struct canvas *c, double width_px, bool narrow) {
    double pt = canvas_pt(c), gap = 12 * pt, row = 11 * pt, x = 0, widest = 0;
    size_t first = 0, rows = 0;
    g->w = width_px;
    for (size_t i = 0; i <= g->n; i++) {
        double w = i < g->n ? layout_sign_pt(g->entry[i].series) * pt +
                                  canvas_text_width(c, g->entry[i].series->name, layout_legend_pt, false)
                            : 0;
        if (i > first && (i == g->n || narrow || x + gap + w > width_px)) {
            for (size_t k = first; k < i; k++) g->entry[k].y = ((double)rows + 0.5) * row;
            widest = fmax(widest, x);
            rows++, first = i, x = 0;
        }
        if (i == g->n) break;
        if (i > first) x += gap;
        g->entry[i].x = x;
        x += w;
    }
    for (size_t i = 0; i < g->n && !narrow; i++) g->entry[i].x += (width_px - widest) / 2;
    g->h = (double)rows * row;
}

/* Numbers that would touch the one before lose their text and stay as minor ticks. */
static void thin_ticks(struct layout_panel *q, struct canvas *c) {
    double last = -INFINITY;
    struct layout_axis m = q->ax;
    m.px_lo = 0, m.px_hi = q->w;
    for (size_t i = 0; i < q->tx.n; i++) {
        double half = canvas_text_width(c, q->tx.text[i], layout_tick_pt, false) / 2, x = layout_px(&m, q->tx.at[i]);
        if (!q->tx.text[i][0]) continue;
        if (x - half < last + 4 * canvas_pt(c))
            q->tx.text[i][0] = 0;
        else
            last = x + half;
    }
}

static void panel_widths(struct layout *l, const struct chart *c, struct canvas *s, double rough_w) {
    for (size_t i = 0; i < c->n_panels; i++) {
        const struct chart_panel *p = &c->panel[i];
        struct layout_panel *q = &l->panel[i];
        axis_range(p, true, &q->ax);
        axis_range(p, false, &q->ay);
        axis_ticks(&p->y, &q->ay, rough_w * c->aspect / l->pt, 26, &q->ty);
        for (size_t k = 0; k < q->ty.n; k++)
            q->tick_width = fmax(q->tick_width, canvas_text_width(s, q->ty.text[k], layout_tick_pt, false));
        axis_ticks(&p->x, &q->ax, rough_w / l->pt, 36, &q->tx);
    }
}

/* Left ends and widths of the boxes, column by column. */
static void place_columns(struct layout *l, const struct chart *c) {
    double outer = outer_pt * l->pt, left[CHART_PANELS] = {0}, sum = 0;
    for (size_t i = 0; i < c->n_panels; i++) {
        const struct chart_panel *p = &c->panel[i];
        double label = p->y.label[0] ? (layout_label_pt + 4) * l->pt : 0;
        double ticks = l->panel[i].tick_width > 0 ? l->panel[i].tick_width + 5 * l->pt : 2 * l->pt;
        left[i % c->n_cols] = fmax(left[i % c->n_cols], label + ticks);
    }
    for (size_t k = 0; k < c->n_cols; k++) sum += left[k];
    double side = c->side ? side_share * l->w : 0;
    double w = (l->w - 2 * outer - sum - side - gap_pt * l->pt * (double)c->n_cols) / (double)c->n_cols;
    for (size_t i = 0; i < c->n_panels; i++) {
        double x = outer;
        for (size_t k = 0; k <= i % c->n_cols; k++) x += left[k] + (k ? w + gap_pt * l->pt : 0);
        l->panel[i].x = x, l->panel[i].w = w, l->panel[i].h = w * c->aspect;
    }
}

static void place_notes(struct layout_lines *out, struct canvas *s, const char (*note)[CHART_TEXT], size_t n, double w,
                        bool apart) {
    out->n = 0;
    for (size_t k = 0; k < n; k++) {
        if (k && apart && out->n < LAYOUT_LINES) out->line[out->n++][0] = 0;
        wrap(s, note[k], w, out);
    }
}

/* One row of panels from y down; returns the y below it. */
static double place_row(struct layout *l, const struct chart *c, struct canvas *s, size_t first, double y) {
    size_t end = first + c->n_cols < c->n_panels ? first + c->n_cols : c->n_panels;
    double head = 0, legend = 0, foot = 0, pt = l->pt;
    for (size_t i = first; i < end; i++) {
        const struct chart_panel *p = &c->panel[i];
        struct layout_panel *q = &l->panel[i];
        double room = q->w + (c->n_cols > 1 ? gap_pt * 0.5 * pt : 0);
        if (p->title[0]) head = (layout_head_pt + 5) * pt;
        if (!c->legend_shared) {
            legend_add(&q->legend, p, false);
            legend_flow(&q->legend, s, c->side ? (side_share - 0.02) * l->w : room, c->side);
        }
        if (!c->side) {
            legend = fmax(legend, q->legend.h);
            place_notes(&q->notes, s, p->note, p->n_notes, room, false);
        } else {
            place_notes(&q->notes, s, p->note, p->n_notes, (side_share - 0.03) * l->w, true);
        }
        double ticks = q->tx.n ? layout_tick_pt + 4 : 0, label = p->x.label[0] ? layout_label_pt + 5 : 0;
        double notes = c->side || !q->notes.n ? 0 : layout_line_pt * (double)q->notes.n + 5;
        foot = fmax(foot, (ticks + label + notes + 6) * pt);
    }
    double box_y = y + head + legend + (legend > 0 ? 3 * pt : 0), h = l->panel[first].h;
    for (size_t i = first; i < end; i++) {
        struct layout_panel *q = &l->panel[i];
        q->y = box_y;
        q->legend.x = c->side ? q->x + q->w + 14 * pt : q->x + (q->w - q->legend.w) / 2;
        q->legend.y = c->side ? box_y + 2 * pt : box_y - 3 * pt - q->legend.h;
        q->head_y = y + head - 4 * pt + (c->legend_shared || c->side ? 0 : legend - q->legend.h);
        if (c->panel[i].equal) equalise(q);
        if (!c->panel[i].x.n_categories) thin_ticks(q, s);
        q->ax.px_lo = q->x, q->ax.px_hi = q->x + q->w;
        q->ay.px_lo = q->y + h, q->ay.px_hi = q->y;
        if (c->panel[i].equal) axis_ticks(&c->panel[i].x, &q->ax, q->w / pt, 36, &q->tx);
        if (c->panel[i].equal) axis_ticks(&c->panel[i].y, &q->ay, h / pt, 26, &q->ty);
    }
    const struct layout_panel *q = &l->panel[first];
    double beside = c->side ? q->legend.y + q->legend.h + (16 + layout_line_pt * (double)q->notes.n) * pt : 0;
    return fmax(box_y + h + foot, beside);
}

int layout_make(struct layout *l, const struct chart *c, struct canvas *scratch, int width_px, struct err *e) {
    *l = (struct layout){.w = width_px, .pt = canvas_pt(scratch)};
    l->panel = mem_array(c->n_panels, sizeof *l->panel, "the layout of a chart", e);
    if (!l->panel) return ERR_MEMORY;
    double y = outer_pt * l->pt;
    if (c->title[0]) {
        y += layout_title_pt * l->pt;
        l->title_y = y;
        y += 6 * l->pt;
    }
    if (c->legend_shared) {
        for (size_t i = 0; i < c->n_panels; i++) legend_add(&l->legend, &c->panel[i], true);
        legend_flow(&l->legend, scratch, l->w - 2 * outer_pt * l->pt, false);
        l->legend.x = outer_pt * l->pt, l->legend.y = y;
        y += l->legend.h + 4 * l->pt;
    }
    panel_widths(l, c, scratch, (c->side ? 0.65 : 0.88) * l->w / (double)c->n_cols);
    place_columns(l, c);
    if (!(l->panel[0].w >= 20 * l->pt)) return err_set(e, ERR_RANGE, "no room for %zu columns of panels", c->n_cols);
    for (size_t i = 0; i < c->n_panels; i += c->n_cols) y = place_row(l, c, scratch, i, y);
    place_notes(&l->notes, scratch, c->note, c->n_notes, l->w - 4 * outer_pt * l->pt, false);
    l->notes_y = y + layout_note_pt * l->pt;
    if (l->notes.n) y += (layout_line_pt * (double)l->notes.n + 3) * l->pt;
    l->h = (int)ceil(y + 2 * l->pt);
    return 0;
}

double layout_sign_pt(const struct chart_series *s) {
    return s->mark == CHART_POINTS ? 9 : s->mark == CHART_HEAT ? 44 : 15;
}

void layout_free(struct layout *l) {
    free(l->panel);
    l->panel = NULL;
}
