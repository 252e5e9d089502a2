/* canvas.h - a white picture to draw on: lines, shapes, discs and text (cairo); anti-aliased pixels, or PDF or SVG, whose lines and
 * letters stay such. Pixel coordinates, origin at the top left, y down; text and line widths in points of print, of which the canvas
 * knows the pixels.
 *
 * Hinting and sub-pixel order are switched off, so that the same font file gives the same pixels on every desktop. The
 * only files that see cairo are canvas.c and letters.c. Not for several threads at once. Tests: tests/test_chart.c */
#ifndef SAEMILL_CANVAS_H
#define SAEMILL_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum { CANVAS_INK = 0x222222, CANVAS_FRAME = 0x555555, CANVAS_GRID = 0xe4e4e4, CANVAS_GREY = 0xb8b8b8 };

struct canvas;

enum canvas_form { CANVAS_PIXELS, CANVAS_PDF, CANVAS_SVG };

/* A white canvas of w x h pixels (each in [1, 32767]) with px_per_pt pixels to a point; PDF and SVG are w / px_per_pt points wide.
 * ERR_RANGE, ERR_MEMORY. */
int canvas_open(struct canvas **out, enum canvas_form form, int w, int h, double px_per_pt, struct err *e);
void canvas_close(struct canvas *c); /* NULL is fine */

/* Of CANVAS_PIXELS: as 0x00RRGGBB (top byte undefined), rows of *stride_px words; valid until the next drawing call. */
const uint32_t *canvas_pixels(struct canvas *c, size_t *stride_px);
/* Of the others: end the drawing and give the bytes of the file, valid until canvas_close. They hold no date, so that the same
 * drawing gives the same bytes with one version of cairo and fonts (an SVG's parts are numbered through all that a process draws). In a PDF the texts stand as its title, subject and keywords (each
 * may be NULL); an SVG has no place for them. Errors as canvas_status. */
int canvas_file(struct canvas *c, const char *title, const char *subject, const char *keywords, const char **bytes,
                size_t *n, struct err *e);
bool canvas_is_vector(const struct canvas *c);
/* ERR_MEMORY or ERR_IO if any drawing call failed inside cairo; those are silent till asked. */
int canvas_status(struct canvas *c, struct err *e);
void canvas_size(const struct canvas *c, size_t *w, size_t *h);
double canvas_pt(const struct canvas *c); /* pixels to a point */

/* Draw only inside the rectangle, until canvas_unclip. Does not nest. */
void canvas_clip(struct canvas *c, double x, double y, double w, double h);
void canvas_unclip(struct canvas *c);

/* Colours are 0xRRGGBB, alpha in [0,1]; widths in points. */
void canvas_fill(struct canvas *c, double x, double y, double w, double h, uint32_t colour, double alpha);
void canvas_frame(struct canvas *c, double x, double y, double w, double h, double width_pt, uint32_t colour);
void canvas_segment(struct canvas *c, double x0, double y0, double x1, double y1, double width_pt, uint32_t colour,
                    bool dashed);
/* Through n points xy[2i], xy[2i+1]; a NaN breaks the line. `fill` closes it downwards to base_y and fills it instead.
 */
void canvas_path(struct canvas *c, const double *xy, size_t n, double width_pt, uint32_t colour, double alpha,
                 bool dashed);
void canvas_area(struct canvas *c, const double *xy, size_t n, double base_y, uint32_t colour, double alpha);
/* A disc of radius r_px; pixels are written straight, so that 10^5 of them cost milliseconds. Obeys canvas_clip. */
void canvas_disc(struct canvas *c, double x, double y, double r_px, uint32_t colour, double alpha);

/* Text in DejaVu Sans, UTF-8, one line; in other fonts, joined and from right to left, where its script wants that (letters.h). A
 * letter that no font here has makes canvas_status ERR_UNSUPPORTED, naming it.
 *   x, y     the anchor
 *   ax       0 anchor at the left end, 0.5 middle, 1 right end
 *   ay       0 anchor at the baseline, 0.5 half the height of a digit above it, 1 the height of a digit above it
 *   turned   rotated by 90 degrees, reading upwards */
struct canvas_style {
    double size_pt, ax, ay;
    uint32_t colour;
    bool bold, turned;
};
void canvas_text(struct canvas *c, double x, double y, const char *text, struct canvas_style s);
/* Width in pixels. */
double canvas_text_width(struct canvas *c, const char *text, double size_pt, bool bold);

#endif
