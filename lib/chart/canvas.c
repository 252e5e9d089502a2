/* canvas.c - see canvas.h. */
#include "lib/chart/canvas.h"

#include "lib/chart/letters.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double digit_height = 0.729; /* of the font size; DejaVu Sans, cap height 1493/2048 */

struct canvas {
    cairo_surface_t *surface;
    cairo_t *cr;
    enum canvas_form form;
    FILE *file; /* of a vector form: into bytes */
    char *bytes;
    size_t n_bytes;
    double px_per_pt;
    uint32_t missing; /* a letter that no font has; 0 when all have been drawn */
    int w, h;
    int clip_x0, clip_y0, clip_x1, clip_y1;
};

static cairo_status_t on_bytes(void *file, const unsigned char *data, unsigned n) {
    return fwrite(data, 1, n, file) == n ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_NO_MEMORY;
}

/* Vectors are measured in points: one pixel is 1 / px_per_pt of them. */
static cairo_surface_t *surface(struct canvas *c) {
    double w = c->w / c->px_per_pt, h = c->h / c->px_per_pt;
    if (c->form == CANVAS_PIXELS) return cairo_image_surface_create(CAIRO_FORMAT_RGB24, c->w, c->h);
    c->file = open_memstream(&c->bytes, &c->n_bytes);
    if (!c->file) return NULL;
    return c->form == CANVAS_PDF ? cairo_pdf_surface_create_for_stream(on_bytes, c->file, w, h)
                                 : cairo_svg_surface_create_for_stream(on_bytes, c->file, w, h);
}

int canvas_open(struct canvas **out, enum canvas_form form, int w, int h, double px_per_pt, struct err *e) {
    *out = NULL;
    if (w < 1 || h < 1 || w > 32767 || h > 32767)
        return err_set(e, ERR_RANGE, "picture of %d x %d pixels: must be within 1 and 32767", w, h);
    struct canvas *c = calloc(1, sizeof *c);
    if (!c) return err_set(e, ERR_MEMORY, "no memory for the canvas");
    c->form = form, c->w = w, c->h = h, c->px_per_pt = px_per_pt;
    c->surface = surface(c);
    if (!c->surface) {
        free(c);
        return err_set(e, ERR_MEMORY, "no memory for the canvas");
    }
    c->cr = cairo_create(c->surface);
    if (form != CANVAS_PIXELS) cairo_scale(c->cr, 1 / px_per_pt, 1 / px_per_pt);
    *out = c;
    int rc = canvas_status(c, e);
    if (rc) {
        canvas_close(c);
        *out = NULL;
        return rc;
    }
    cairo_font_options_t *o = cairo_font_options_create();
    cairo_font_options_set_antialias(o, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(o, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(o, CAIRO_HINT_METRICS_OFF);
    cairo_set_font_options(c->cr, o);
    cairo_font_options_destroy(o);
    cairo_set_source_rgb(c->cr, 1, 1, 1);
    cairo_paint(c->cr);
    cairo_set_line_join(c->cr, CAIRO_LINE_JOIN_ROUND);
    canvas_unclip(c);
    return 0;
}

void canvas_close(struct canvas *c) {
    if (!c) return;
    cairo_destroy(c->cr);
    cairo_surface_destroy(c->surface);
    if (c->file) fclose(c->file);
    free(c->bytes);
    free(c);
}

bool canvas_is_vector(const struct canvas *c) { return c->form != CANVAS_PIXELS; }

int canvas_file(struct canvas *c, const char *title, const char *subject, const char *keywords, const char **bytes,
                size_t *n, struct err *e) {
    CHECK(canvas_is_vector(c));
    if (c->form == CANVAS_PDF) {
        cairo_pdf_surface_set_metadata(c->surface, CAIRO_PDF_METADATA_CREATE_DATE, ""); /* else the time of day */
        cairo_pdf_surface_set_metadata(c->surface, CAIRO_PDF_METADATA_CREATOR, "saemill plot");
        if (title) cairo_pdf_surface_set_metadata(c->surface, CAIRO_PDF_METADATA_TITLE, title);
        if (subject) cairo_pdf_surface_set_metadata(c->surface, CAIRO_PDF_METADATA_SUBJECT, subject);
        if (keywords) cairo_pdf_surface_set_metadata(c->surface, CAIRO_PDF_METADATA_KEYWORDS, keywords);
    }
    int rc = canvas_status(c, e);
    cairo_surface_finish(c->surface);
    if (!rc) rc = canvas_status(c, e);
    if (!rc && fflush(c->file)) rc = err_set(e, ERR_MEMORY, "no memory for a picture");
    *bytes = c->bytes, *n = c->n_bytes;
    return rc;
}

const uint32_t *canvas_pixels(struct canvas *c, size_t *stride_px) {
    CHECK(!canvas_is_vector(c));
    cairo_surface_flush(c->surface);
    *stride_px = (size_t)cairo_image_surface_get_stride(c->surface) / sizeof(uint32_t);
    return (const uint32_t *)(const void *)cairo_image_surface_get_data(c->surface);
}

int canvas_status(struct canvas *c, struct err *e) {
    cairo_status_t s = cairo_status(c->cr);
    if (c->missing) {
        err_set(e, ERR_UNSUPPORTED, "no font here has the letter U+%04X", (unsigned)c->missing);
        return err_hint(
            e, "make deps installs fonts for Chinese and Arabic; Debian's fonts-noto-core has most other scripts");
    }
    if (!s) s = cairo_surface_status(c->surface);
    if (!s) return 0;
    return err_set(e, s == CAIRO_STATUS_NO_MEMORY ? ERR_MEMORY : ERR_IO, "drawing a picture of %d x %d pixels: %s",
                   c->w, c->h, cairo_status_to_string(s));
}

void canvas_size(const struct canvas *c, size_t *w, size_t *h) { *w = (size_t)c->w, *h = (size_t)c->h; }

double canvas_pt(const struct canvas *c) { return c->px_per_pt; }

void canvas_clip(struct canvas *c, double x, double y, double w, double h) {
    c->clip_x0 = (int)fmax(0, floor(x)), c->clip_y0 = (int)fmax(0, floor(y));
    c->clip_x1 = (int)fmin(c->w, ceil(x + w)), c->clip_y1 = (int)fmin(c->h, ceil(y + h));
    cairo_rectangle(c->cr, x, y, w, h);
    cairo_clip(c->cr);
}

void canvas_unclip(struct canvas *c) {
    c->clip_x0 = c->clip_y0 = 0, c->clip_x1 = c->w, c->clip_y1 = c->h;
    cairo_reset_clip(c->cr);
}

static void ink(struct canvas *c, uint32_t colour, double alpha) {
    cairo_set_source_rgba(c->cr, (colour >> 16 & 255) / 255.0, (colour >> 8 & 255) / 255.0, (colour & 255) / 255.0,
                          alpha);
}

static void pen(struct canvas *c, double width_pt, bool dashed) {
    const double dash[2] = {4 * c->px_per_pt, 2.5 * c->px_per_pt};
    cairo_set_line_width(c->cr, width_pt * c->px_per_pt);
    cairo_set_dash(c->cr, dash, dashed ? 2 : 0, 0);
}

void canvas_fill(struct canvas *c, double x, double y, double w, double h, uint32_t colour, double alpha) {
    ink(c, colour, alpha);
    cairo_rectangle(c->cr, x, y, w, h);
    cairo_fill(c->cr);
}

void canvas_frame(struct canvas *c, double x, double y, double w, double h, double width_pt, uint32_t colour) {
    ink(c, colour, 1);
    pen(c, width_pt, false);
    cairo_rectangle(c->cr, x, y, w, h);
    cairo_stroke(c->cr);
}

void canvas_segment(struct canvas *c, double x0, double y0, double x1, double y1, double width_pt, uint32_t colour,
                    bool dashed) {
    ink(c, colour, 1);
    pen(c, width_pt, dashed);
    cairo_move_to(c->cr, x0, y0);
    cairo_line_to(c->cr, x1, y1);
    cairo_stroke(c->cr);
}

void canvas_path(struct canvas *c, const double *xy, size_t n, double width_pt, uint32_t colour, double alpha,
                 bool dashed) {
    bool down = false;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(xy[2 * i]) || !isfinite(xy[2 * i + 1])) {
            down = false;
            continue;
        }
        if (down)
            cairo_line_to(c->cr, xy[2 * i], xy[2 * i + 1]);
        else
            cairo_move_to(c->cr, xy[2 * i], xy[2 * i + 1]);
        down = true;
    }
    ink(c, colour, alpha);
    pen(c, width_pt, dashed);
    cairo_stroke(c->cr);
}

void canvas_area(struct canvas *c, const double *xy, size_t n, double base_y, uint32_t colour, double alpha) {
    if (n < 2) return;
    cairo_move_to(c->cr, xy[0], base_y);
    for (size_t i = 0; i < n; i++) cairo_line_to(c->cr, xy[2 * i], xy[2 * i + 1]);
    cairo_line_to(c->cr, xy[2 * n - 2], base_y);
    cairo_close_path(c->cr);
    ink(c, colour, alpha);
    cairo_fill(c->cr);
}

static uint32_t blend(uint32_t under, uint32_t over, uint32_t a) { /* a in [0,256] */
    uint32_t rb = ((under & 0xff00ffu) * (256 - a) + (over & 0xff00ffu) * a + 0x800080u) >> 8 & 0xff00ffu;
    uint32_t g = ((under & 0x00ff00u) * (256 - a) + (over & 0x00ff00u) * a + 0x008000u) >> 8 & 0x00ff00u;
    return rb | g;
}

static void disc_path(struct canvas *c, double x, double y, double r_px, uint32_t colour, double alpha) {
    ink(c, colour, alpha);
    cairo_new_path(c->cr);
    cairo_arc(c->cr, x, y, r_px, 0, 6.283185307179586);
    cairo_fill(c->cr);
}

/* Coverage of a pixel is taken as r + 1/2 - distance of its centre, cut to [0,1]: exact to 2 % of a pixel for r >= 1.
 */
void canvas_disc(struct canvas *c, double x, double y, double r_px, uint32_t colour, double alpha) {
    if (!isfinite(x) || !isfinite(y) || !(r_px > 0) || fabs(x) > 1e6 || fabs(y) > 1e6) return;
    if (canvas_is_vector(c)) return disc_path(c, x, y, r_px, colour, alpha);
    cairo_surface_flush(c->surface);
    uint32_t *pixel = (uint32_t *)(void *)cairo_image_surface_get_data(c->surface);
    int stride = cairo_image_surface_get_stride(c->surface) / (int)sizeof *pixel;
    int x0 = (int)fmax(c->clip_x0, floor(x - r_px - 1)), x1 = (int)fmin(c->clip_x1, ceil(x + r_px + 1));
    int y0 = (int)fmax(c->clip_y0, floor(y - r_px - 1)), y1 = (int)fmin(c->clip_y1, ceil(y + r_px + 1));
    for (int py = y0; py < y1; py++)
        for (int px = x0; px < x1; px++) {
            double dx = px + 0.5 - x, dy = py + 0.5 - y, cover = r_px + 0.5 - sqrt(dx * dx + dy * dy);
            if (cover <= 0) continue;
            uint32_t *p = pixel + (ptrdiff_t)py * stride + px;
            *p = blend(*p, colour, (uint32_t)lrint(256 * alpha * fmin(cover, 1)));
        }
    cairo_surface_mark_dirty(c->surface);
}

static void font(struct canvas *c, double size_pt, bool bold) {
    cairo_select_font_face(c->cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(c->cr, size_pt * c->px_per_pt);
}

/* Width of a text; drawn from the current point when `draw`. */
static double put_text(struct canvas *c, const char *text, double size_pt, bool bold, bool draw) {
    cairo_text_extents_t x;
    font(c, size_pt, bold);
    if (letters_shaped(c->cr, text)) return letters_write(c->cr, text, size_pt * c->px_per_pt, bold, draw, &c->missing);
    cairo_text_extents(c->cr, text, &x);
    if (draw) cairo_show_text(c->cr, text);
    return x.x_advance;
}

double canvas_text_width(struct canvas *c, const char *text, double size_pt, bool bold) {
    return put_text(c, text, size_pt, bold, false);
}

void canvas_text(struct canvas *c, double x, double y, const char *text, struct canvas_style s) {
    double width = canvas_text_width(c, text, s.size_pt, s.bold), height = digit_height * s.size_pt * c->px_per_pt;
    cairo_save(c->cr);
    cairo_translate(c->cr, x, y);
    if (s.turned) cairo_rotate(c->cr, -1.5707963267948966);
    cairo_move_to(c->cr, -s.ax * width, s.ay * height);
    ink(c, s.colour, 1);
    put_text(c, text, s.size_pt, s.bold, true);
    cairo_restore(c->cr);
}
