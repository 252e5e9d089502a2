/* chart.h - a figure as data: panels, axes, series and notes, with the statistics that belong to them. The kinds
 * (kind.h) fill it, chart_draw makes the picture of it and chart_json its table, so that the two hold the same numbers.
 * Tests: tests/test_chart.c */
#ifndef SAEMILL_CHART_H
#define SAEMILL_CHART_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/chart/canvas.h"

enum { CHART_TEXT = 192, CHART_LABEL = 96, CHART_SERIES = 48, CHART_NOTES = 10, CHART_PANELS = 48 };

/* The eight colours of Okabe and Ito (2008), which people of every colour vision can tell apart; order as used here. */
uint32_t chart_colour(size_t i);

enum chart_mark {
    CHART_LINE,   /* through (x, y) in order; NaN breaks it */
    CHART_POINTS, /* discs; all point series of a panel are drawn in one seeded random order, so none lies on top, unless
                     the panel says `ordered` */
    CHART_BARS,   /* y at category x = 0, 1, …; the bar series of a panel stand side by side */
    CHART_STEPS,  /* histogram: y over [x_i, x_i + x_1 - x_0), outlined and lightly filled */
    CHART_BOX,    /* the rectangle from (x_0, y_0) to (x_1, y_1), lightly filled; it does not widen the axes */
    CHART_RULE,   /* a dashed line through (x_0, y_0)-(x_1, y_1); it does not widen the axes */
    CHART_HEAT    /* y: row-major cells, n = x.n_categories * y.n_categories, the first row at the top */
};

struct chart_series {
    enum chart_mark mark;
    char name[CHART_TEXT]; /* in the legend; "" = not in it */
    uint32_t colour;       /* 0xRRGGBB */
    double alpha;          /* (0, 1] */
    double size_pt;        /* line width or radius; 0: what fits the mark and the number of points */
    bool behind;           /* points: drawn before all others, in random order among themselves */
    bool over;             /* lines: drawn over the points that are behind, not under them */
    double top;            /* heat: what the brightest colour stands for, 0 being the darkest; 0: the largest y */
    bool derived;          /* drawn, but not written to JSON, being a function of another series */
    size_t n;
    double *x, *y;             /* [n] each */
    char (*text)[CHART_LABEL]; /* [n] text beside each point, or NULL */
};

struct chart_axis {
    char label[CHART_TEXT]; /* with its unit */
    bool log;
    bool bare;      /* no ticks: the axis has no unit */
    bool from_zero; /* counts: the axis begins at 0 */
    bool whole;     /* ranks: no numbers between whole ones */
    bool fixed;     /* lo, hi are given; else they come from the data */
    double lo, hi;
    char (*category)[CHART_LABEL]; /* [n_categories] names at 0, 1, … instead of numbers, or NULL */
    size_t n_categories;
};

struct chart_panel {
    char title[CHART_TEXT];
    struct chart_axis x, y;
    bool equal;   /* one unit is as long on both axes */
    bool ordered; /* points are drawn as they come, series by series: far before near */
    struct chart_series series[CHART_SERIES];
    size_t n_series;
    char note[CHART_NOTES][CHART_TEXT]; /* under the panel */
    size_t n_notes;
};

struct chart {
    char title[CHART_TEXT];
    struct chart_panel *panel; /* [n_panels] */
    size_t n_panels, n_cols;
    double aspect;                      /* height of a panel's box over its width */
    bool legend_shared;                 /* one legend above all panels, else one above each */
    bool side;                          /* a single panel with legend and notes to its right */
    char note[CHART_NOTES][CHART_TEXT]; /* under the figure */
    size_t n_notes;
    uint64_t seed;
    json_t *statistics; /* object; the numbers that claims are judged by */
};

/* Begin a chart of n_panels (1…CHART_PANELS) in n_cols columns. ERR_RANGE, ERR_MEMORY. chart_free may follow in any
 * case. */
int chart_init(struct chart *c, size_t n_panels, size_t n_cols, struct err *e);
void chart_free(struct chart *c); /* a zeroed chart is fine */

/* A new series with room for n points (zeroed), in the legend as `name`. NULL with *e: ERR_MEMORY, or ERR_RANGE when
 * the panel has CHART_SERIES of them. */
struct chart_series *chart_add(struct chart_panel *p, enum chart_mark mark, const char *name, uint32_t colour, size_t n,
                               struct err *e);
/* Room for a text per point. ERR_MEMORY. */
int chart_texts(struct chart_series *s, struct err *e);
/* Room for n category names on an axis. ERR_MEMORY. */
int chart_categories(struct chart_axis *a, size_t n, struct err *e);
/* Add a note; too many or too long ones are cut. */
void chart_panel_note(struct chart_panel *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void chart_note(struct chart *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Texts that were too long for their place lose what the cut left of a letter at their end. */
void chart_whole_letters(struct chart *c);

/* All numbers of the chart: {"panels":[…],"notes":[…]}. NULL without memory. */
json_t *chart_json(const struct chart *c);

/* Lay out and draw at width_px pixels (7 inches in print); the height follows. The caller canvas_close()s *out.
 * The same chart gives the same pixels, and PDF and SVG the same picture. Errors: ERR_RANGE, ERR_MEMORY; ERR_IO if a text is not
 * UTF-8. */
int chart_draw(const struct chart *c, enum canvas_form form, int width_px, struct canvas **out, struct err *e);

#endif
