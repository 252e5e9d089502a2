/* letters.c - see letters.h. Of the fonts that are here, those of make deps come first, so that two machines draw the same. */
#include "lib/chart/letters.h"

#include <pango/pangocairo.h>
#include <string.h>
#include <utf8proc.h>

static const char families[] = "DejaVu Sans, WenQuanYi Micro Hei";

/* Scripts that join, reorder, stack or run from right to left, Hebrew to Khmer and their forms for presentation; and all from the
 * radicals of Chinese on. What lies between (Latin, Greek, Cyrillic, arrows, mathematics) is set letter by letter. */
static bool needs_shaping(int32_t letter) { return (letter >= 0x0590 && letter < 0x1e00) || letter >= 0x2e80; }

static bool has_glyphs(cairo_t *cr, const char *text) {
    cairo_glyph_t *glyph = NULL;
    int n = 0;
    bool all = true;
    cairo_scaled_font_t *font = cairo_get_scaled_font(cr);
    if (cairo_scaled_font_text_to_glyphs(font, 0, 0, text, -1, &glyph, &n, NULL, NULL, NULL)) return true;
    for (int i = 0; i < n; i++) all &= glyph[i].index != 0;
    cairo_glyph_free(glyph);
    return all;
}

bool letters_shaped(cairo_t *cr, const char *text) {
    utf8proc_int32_t letter;
    bool shaped = false;
    for (const char *s = text; *s;) {
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)strlen(s), &letter);
        if (n < 1) return false;
        shaped |= needs_shaping(letter), s += n;
    }
    return shaped || !has_glyphs(cr, text);
}

static PangoLayout *layout(cairo_t *cr, double size, bool bold) {
    PangoLayout *l = pango_cairo_create_layout(cr);
    PangoContext *context = pango_layout_get_context(l);
    PangoFontDescription *font = pango_font_description_from_string(families);
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_get_font_options(cr, options); /* no hinting: canvas.h */
    pango_cairo_context_set_font_options(context, options);
    pango_context_set_round_glyph_positions(context, FALSE);
    pango_font_description_set_absolute_size(font, size * PANGO_SCALE);
    if (bold) pango_font_description_set_weight(font, PANGO_WEIGHT_BOLD);
    pango_layout_set_font_description(l, font);
    pango_layout_set_single_paragraph_mode(l, TRUE);
    pango_font_description_free(font);
    cairo_font_options_destroy(options);
    return l;
}

static void find_missing(PangoLayout *l, const char *text, uint32_t *missing) {
    utf8proc_int32_t letter;
    for (const char *s = text; *s;) {
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)strlen(s), &letter);
        if (n < 1) return;
        pango_layout_set_text(l, s, (int)n);
        if (pango_layout_get_unknown_glyphs_count(l)) {
            *missing = (uint32_t)letter;
            return;
        }
        s += n;
    }
}

double letters_write(cairo_t *cr, const char *text, double size, bool bold, bool draw, uint32_t *missing) {
    PangoLayout *l = layout(cr, size, bold);
    int width;
    pango_layout_set_text(l, text, -1);
    pango_layout_get_size(l, &width, NULL);
    if (draw) pango_cairo_show_layout_line(cr, pango_layout_get_line_readonly(l, 0));
    if (pango_layout_get_unknown_glyphs_count(l)) find_missing(l, text, missing);
    g_object_unref(l);
    return (double)width / PANGO_SCALE;
}

bool letters_dejavu(void) {
    PangoFontMap *map = pango_cairo_font_map_get_default();
    PangoContext *context = pango_font_map_create_context(map);
    PangoFontDescription *want = pango_font_description_from_string("DejaVu Sans 10");
    PangoFont *font = pango_font_map_load_font(map, context, want);
    PangoFontDescription *got = font ? pango_font_describe(font) : NULL;
    bool there = got && !strcmp(pango_font_description_get_family(got), "DejaVu Sans");
    if (got) pango_font_description_free(got);
    if (font) g_object_unref(font);
    pango_font_description_free(want);
    g_object_unref(context);
    return there;
}
