/* letters.h - text in scripts that DejaVu Sans lacks, or whose letters join or run from right to left: Chinese, Arabic, Devanagari
 * (pango, which takes other fonts and shapes). Inside lib/chart only. Tests: tests/test_chart.c, tests/cli/scripts.sh */
#ifndef SAEMILL_LETTERS_H
#define SAEMILL_LETTERS_H

#include <cairo.h>
#include <stdbool.h>
#include <stdint.h>

/* Can cr's font not write the text by setting its letters side by side? False also for what is not UTF-8. */
bool letters_shaped(cairo_t *cr, const char *text);

/* Width of such a text in units of cr; drawn from the current point, its left end on the baseline, when `draw`.
 *   size     of the font, in units of cr
 *   missing  [1] the first letter that no font here has; not touched when there is none */
double letters_write(cairo_t *cr, const char *text, double size, bool bold, bool draw, uint32_t *missing);

/* Is the font there that figures are set in? */
bool letters_dejavu(void);

#endif
