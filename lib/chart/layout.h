/* layout.h - where everything of a chart goes: boxes, axis ranges, ticks, legends, wrapped notes. Inside lib/chart
 * only. Tests: tests/test_chart.c (through chart_draw). */
#ifndef SAEMILL_LAYOUT_H
#define SAEMILL_LAYOUT_H

#include <math.h>

#include "lib/chart/chart.h"
#include "lib/chart/ticks.h"

enum { LAYOUT_LINES = 48, LAYOUT_ENTRIES = 64 };

/* Type sizes in points at a print width of 7 inches. */
static const double layout_title_pt = 9.5, layout_head_pt = 8.5, layout_label_pt = 8, layout_tick_pt = 7,
                    layout_note_pt = 7, layout_legend_pt = 7.5,
                    layout_line_pt = 9.5; /* the last: one line of notes to the next */

/* From data to pixels along one axis. */
struct layout_axis {
    double lo, hi, px_lo, px_hi;
    bool log;
};

static inline double layout_px(const struct layout_axis *a, double v) {
    if (a->log) return v > 0 ? a->px_lo + (a->px_hi - a->px_lo) * log(v / a->lo) / log(a->hi / a->lo) : NAN;
    return a->px_lo + (a->px_hi - a->px_lo) * (v - a->lo) / (a->hi - a->lo);
}

struct layout_entry { /* of a legend */
    const struct chart_series *series;
    double x, y; /* its left end and middle line, relative to the legend's top left */
};

struct layout_legend {
    struct layout_entry entry[LAYOUT_ENTRIES];
    size_t n;
    double x, y, w, h; /* pixels; h = 0 when empty */
};

struct layout_lines {
    char line[LAYOUT_LINES][CHART_TEXT];
    size_t n;
};

struct layout_panel {
    double x, y, w, h; /* the box */
    struct layout_axis ax, ay;
    struct ticks tx, ty;
    struct layout_legend legend;
    struct layout_lines notes;
    double head_y;     /* baseline of the title */
    double tick_width; /* the widest text of the y ticks, pixels */
};

struct layout {
    int w, h;
    double pt;
    struct layout_panel *panel; /* [n_panels] */
    struct layout_legend legend;
    struct layout_lines notes;
    double notes_y, title_y;
};

/* Measure with `scratch` (any canvas of the right px_per_pt) and place everything. ERR_RANGE, ERR_MEMORY. The caller
 * layout_free()s, also after an error. */
int layout_make(struct layout *l, const struct chart *c, struct canvas *scratch, int width_px, struct err *e);
void layout_free(struct layout *l);

/* From the left end of a legend sign to that of its text, in points. */
double layout_sign_pt(const struct chart_series *s);

#endif
