/* draw.c - chart_draw: frame, grid, ticks, labels, legends and notes round what mark.c draws. See chart.h. */
#include <math.h>

#include "lib/chart/chart.h"
#include "lib/chart/layout.h"
#include "lib/chart/letters.h"
#include "lib/chart/mark.h"

static const double print_width_pt = 7 * 72; /* a figure as wide as the text of a page */

static void text(struct canvas *c, double x, double y, const char *s, double size_pt, double ax, double ay) {
    canvas_text(c, x, y, s, (struct canvas_style){.size_pt = size_pt, .ax = ax, .ay = ay, .colour = CANVAS_INK});
}

static void grid(struct canvas *c, const struct chart_panel *p, const struct layout_panel *q) {
    for (size_t i = 0; i < q->tx.n && !p->x.n_categories; i++) {
        double x = layout_px(&q->ax, q->tx.at[i]);
        if (q->tx.text[i][0]) canvas_segment(c, x, q->y, x, q->y + q->h, 0.5, CANVAS_GRID, false);
    }
    for (size_t i = 0; i < q->ty.n && !p->y.n_categories; i++) {
        double y = layout_px(&q->ay, q->ty.at[i]);
        if (q->ty.text[i][0]) canvas_segment(c, q->x, y, q->x + q->w, y, 0.5, CANVAS_GRID, false);
    }
}

/* The size of an axis label: smaller where it would be longer than there is room. */
static double fitting(struct canvas *c, const char *label, double room) {
    double w = canvas_text_width(c, label, layout_label_pt, false);
    return w > room ? fmax(layout_label_pt * room / w, 5) : layout_label_pt;
}

static void axes(struct canvas *c, const struct chart_panel *p, const struct layout_panel *q) {
    double pt = canvas_pt(c), bottom = q->y + q->h;
    for (size_t i = 0; i < q->tx.n; i++) {
        double x = layout_px(&q->ax, q->tx.at[i]), length = q->tx.text[i][0] ? 2.6 : 1.5;
        if (!p->x.n_categories) canvas_segment(c, x, bottom, x, bottom + length * pt, 0.6, CANVAS_FRAME, false);
        text(c, x, bottom + 4 * pt, q->tx.text[i], layout_tick_pt, 0.5, 1);
    }
    for (size_t i = 0; i < q->ty.n; i++) {
        double y = p->y.n_categories ? q->y + q->h * ((double)i + 0.5) / (double)p->y.n_categories
                                     : layout_px(&q->ay, q->ty.at[i]);
        double length = q->ty.text[i][0] ? 2.6 : 1.5;
        if (!p->y.n_categories) canvas_segment(c, q->x - length * pt, y, q->x, y, 0.6, CANVAS_FRAME, false);
        text(c, q->x - 4 * pt, y, q->ty.text[i], layout_tick_pt, 1, 0.5);
    }
    canvas_frame(c, q->x, q->y, q->w, q->h, 0.6, CANVAS_FRAME);
    double under = q->tx.n ? layout_tick_pt + 7 : 4, beside = q->ty.n ? q->tick_width / pt + 8 : 4.5;
    text(c, q->x + q->w / 2, bottom + under * pt, p->x.label, fitting(c, p->x.label, q->w * 1.05), 0.5, 1);
    canvas_text(c, q->x - beside * pt, q->y + q->h / 2, p->y.label,
                (struct canvas_style){
                    .size_pt = fitting(c, p->y.label, q->h * 1.05), .ax = 0.5, .colour = CANVAS_INK, .turned = true});
}

static void legend(struct canvas *c, const struct layout_legend *g) {
    for (size_t i = 0; i < g->n; i++) {
        double x = g->x + g->entry[i].x, y = g->y + g->entry[i].y;
        mark_sign(c, g->entry[i].series, x, y);
        text(c, x + layout_sign_pt(g->entry[i].series) * canvas_pt(c), y, g->entry[i].series->name, layout_legend_pt, 0,
             0.5);
    }
}

static void panel_notes(struct canvas *c, const struct chart *k, const struct chart_panel *p,
                        const struct layout_panel *q) {
    double pt = canvas_pt(c), line = layout_line_pt * pt;
    double y = k->side ? q->legend.y + q->legend.h + 16 * pt
                       : q->y + q->h +
                             ((q->tx.n ? layout_tick_pt + 4 : 0) + (p->x.label[0] ? layout_label_pt + 5 : 0) + 10) * pt;
    for (size_t i = 0; i < q->notes.n; i++)
        text(c, k->side ? q->legend.x : q->x + q->w / 2, y + line * (double)i, q->notes.line[i], layout_note_pt,
             k->side ? 0 : 0.5, 0);
}

static int panel(struct canvas *c, const struct chart *k, size_t i, const struct layout *l, struct err *e) {
    const struct chart_panel *p = &k->panel[i];
    const struct layout_panel *q = &l->panel[i];
    grid(c, p, q);
    int rc = mark_panel(c, p, q, k->seed + i, e);
    if (rc) return rc;
    axes(c, p, q);
    canvas_text(c, q->x + q->w / 2, q->head_y, p->title,
                (struct canvas_style){.size_pt = layout_head_pt, .ax = 0.5, .colour = CANVAS_INK, .bold = true});
    legend(c, &q->legend);
    panel_notes(c, k, p, q);
    return 0;
}

static int draw_all(struct canvas *c, const struct chart *k, const struct layout *l, struct err *e) {
    int rc = 0;
    if (k->title[0])
        canvas_text(c, l->w / 2.0, l->title_y, k->title,
                    (struct canvas_style){.size_pt = layout_title_pt, .ax = 0.5, .colour = CANVAS_INK, .bold = true});
    legend(c, &l->legend);
    for (size_t i = 0; !rc && i < k->n_panels; i++) rc = panel(c, k, i, l, e);
    for (size_t i = 0; i < l->notes.n; i++)
        text(c, l->w / 2.0, l->notes_y + layout_line_pt * l->pt * (double)i, l->notes.line[i], layout_note_pt, 0.5, 0);
    return rc ? rc : canvas_status(c, e);
}

int chart_draw(const struct chart *c, enum canvas_form form, int width_px, struct canvas **out, struct err *e) {
    struct canvas *scratch = NULL;
    struct layout l = {0};
    *out = NULL;
    if (!letters_dejavu()) {
        err_set(e, ERR_UNSUPPORTED, "the font DejaVu Sans is not here, in which figures are set");
        return err_hint(e, "make deps installs it (Debian's fonts-dejavu-core)");
    }
    int rc = canvas_open(&scratch, CANVAS_PIXELS, 1, 1, width_px / print_width_pt, e);
    if (!rc) rc = layout_make(&l, c, scratch, width_px, e);
    if (!rc) rc = canvas_status(scratch, e);
    if (!rc) rc = canvas_open(out, form, l.w, l.h, l.pt, e);
    if (!rc) rc = draw_all(*out, c, &l, e);
    if (rc) {
        canvas_close(*out);
        *out = NULL;
    }
    layout_free(&l);
    canvas_close(scratch);
    return rc;
}
