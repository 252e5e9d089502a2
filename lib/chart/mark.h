/* mark.h - the series of one panel, drawn inside its box. Inside lib/chart only. Tests: tests/test_chart.c */
#ifndef SAEMILL_MARK_H
#define SAEMILL_MARK_H

#include "lib/chart/layout.h"

/* Draw every series of p into the box of q: boxes and rules first, then histograms, bars and lines, then all points in
 * one random order (those behind first, and lines that lie over them between), then the texts beside points. ERR_MEMORY. */
int mark_panel(struct canvas *c, const struct chart_panel *p, const struct layout_panel *q, uint64_t seed,
               struct err *e);

/* The sign of a series in a legend: x its left end, y its middle. */
void mark_sign(struct canvas *c, const struct chart_series *s, double x, double y);

#endif
