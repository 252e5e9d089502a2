/* test_chart.c - ticks, points where they belong, PNG files that other readers read, every kind on small made-up
 * artifacts (tests/fixtures/make_chart.py), wrong artifacts refused in one line. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <png.h>

#include "lib/base/outdir.h"
#include "lib/chart/chart.h"
#include "lib/chart/kind.h"
#include "lib/chart/layout.h"
#include "lib/chart/pngfile.h"
#include "lib/chart/ticks.h"
#include "lib/file/jsonfile.h"

#define FIX "tests/fixtures/chart/"
#define TMP "build/tmp/test_chart"

/* ---- ticks ---- */

static void join_ticks(const struct ticks *t, char out[512]) {
    out[0] = 0;
    for (size_t i = 0; i < t->n; i++) {
        size_t at = strlen(out);
        if (t->text[i][0]) snprintf(out + at, 512 - at, "%s%s", at ? " " : "", t->text[i]);
    }
}

static void ticks_of_known_ranges(void **state) {
    (void)state;
    static const struct {
        bool log;
        double lo, hi;
        int want;
        const char *text;
    } cases[] = {
        {false, 0, 1, 5, "0.0 0.2 0.4 0.6 0.8 1.0"},
        {false, 0, 1, 4, "0.00 0.25 0.50 0.75 1.00"},
        {false, -1, 1, 4, "−1.0 −0.5 0.0 0.5 1.0"},
        {false, 0.2, 9.7, 5, "2 4 6 8"},
        {false, 0, 3000, 3, "0 1000 2000 3000"},
        {false, 0.5000001, 0.5000009, 4, "5.000002×10⁻¹ 5.000004×10⁻¹ 5.000006×10⁻¹ 5.000008×10⁻¹"},
        {false, 0, 5e6, 5, "0 1×10⁶ 2×10⁶ 3×10⁶ 4×10⁶ 5×10⁶"},
        {false, 0, 2e-7, 4, "0 0.5×10⁻⁷ 1.0×10⁻⁷ 1.5×10⁻⁷ 2.0×10⁻⁷"},
        {true, 1, 1000, 6, "1 10 100 1000"},
        {true, 1e-5, 1, 6, "10⁻⁵ 10⁻⁴ 10⁻³ 10⁻² 10⁻¹ 10⁰"},
        {true, 1e-9, 1e9, 6, "10⁻⁸ 10⁻⁴ 10⁰ 10⁴ 10⁸"},
        {true, 40, 300, 6, "40 50 60 70 80 90 100 200 300"},
        {true, 0.5, 60, 6, "0.5 1 2 5 10 20 50"},
        {true, 3, 60, 6, "3 5 10 20 30 50"},
        {true, 2, 4, 4, "2.0 2.5 3.0 3.5 4.0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ticks t;
        char text[512];
        (cases[i].log ? ticks_log : ticks_linear)(cases[i].lo, cases[i].hi, cases[i].want, &t);
        join_ticks(&t, text);
        assert_string_equal(text, cases[i].text);
        for (size_t k = 0; k < t.n; k++) {
            assert_true(t.at[k] >= cases[i].lo && t.at[k] <= cases[i].hi);
            assert_true(!k || t.at[k] > t.at[k - 1]);
        }
    }
}

/* Any range gets a handful of ticks: between half and twice as many as wanted, as the header says. */
static void ticks_are_never_few_nor_many(void **state) {
    (void)state;
    for (int d = -30; d <= 30; d++)
        for (int m = 10; m < 100; m += 7) {
            struct ticks t;
            double lo = -0.3 * m * pow(10, d), hi = m * pow(10, d);
            ticks_linear(lo, hi, 6, &t);
            assert_in_range(t.n, 3, 12);
        }
}

static void axis_ranges_survive_bad_data(void **state) {
    (void)state;
    static const struct {
        double lo, hi;
        bool log;
    } cases[] = {{INFINITY, -INFINITY, false},
                 {INFINITY, -INFINITY, true},
                 {3, 3, false},
                 {3, 3, true},
                 {0, 0, false},
                 {NAN, NAN, false},
                 {NAN, NAN, true},
                 {-1, 1, true},
                 {0, 1, true},
                 {1e300, 1e300, false},
                 {0, INFINITY, false},
                 {1e-300, 1e-300, true},
                 {-5, -5, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double lo = cases[i].lo, hi = cases[i].hi;
        ticks_range(&lo, &hi, cases[i].log, 0.05);
        assert_true(isfinite(lo) && isfinite(hi) && lo < hi && (!cases[i].log || lo > 0));
    }
}

/* ---- drawing ---- */

static uint32_t pixel_at(struct canvas *c, double x, double y) {
    size_t stride;
    const uint32_t *p = canvas_pixels(c, &stride);
    return p[(size_t)y * stride + (size_t)x] & 0xffffff;
}

static struct chart_series *add(struct chart *c, enum chart_mark mark, uint32_t colour, size_t n) {
    struct err e = {0};
    struct chart_series *s = chart_add(&c->panel[0], mark, "", colour, n, &e);
    assert_non_null(s);
    return s;
}

static struct canvas *draw(const struct chart *c, int width) {
    struct err e = {0};
    struct canvas *out = NULL;
    int rc = chart_draw(c, CANVAS_PIXELS, width, &out, &e);
    if (rc) fail_msg("%s", e.text);
    return out;
}

/* Where the layout says a point lies, there is its colour; between the points there is white. */
static void points_lie_where_their_data_says(void **state) {
    (void)state;
    static const uint32_t colour[4] = {0x0072B2, 0xD55E00, 0x009E73, 0x000000};
    static const double at[4][2] = {{1, 1}, {1, 9}, {9, 1}, {7, 6}};
    struct chart c;
    struct err e = {0};
    struct layout l;
    struct canvas *scratch;
    assert_int_equal(chart_init(&c, 1, 1, &e), 0);
    for (int i = 0; i < 4; i++) {
        struct chart_series *s = add(&c, CHART_POINTS, colour[i], 1);
        s->x[0] = at[i][0], s->y[0] = at[i][1], s->size_pt = 3;
    }
    c.panel[0].x.fixed = c.panel[0].y.fixed = true;
    c.panel[0].x.hi = c.panel[0].y.hi = 10;
    c.panel[0].x.bare = c.panel[0].y.bare = true;
    struct canvas *p = draw(&c, 800);
    assert_int_equal(canvas_open(&scratch, CANVAS_PIXELS, 1, 1, 800 / (7.0 * 72), &e), 0);
    assert_int_equal(layout_make(&l, &c, scratch, 800, &e), 0);
    for (int i = 0; i < 4; i++) {
        double x = layout_px(&l.panel[0].ax, at[i][0]), y = layout_px(&l.panel[0].ay, at[i][1]);
        assert_int_equal(pixel_at(p, x, y), colour[i]);
        assert_int_equal(pixel_at(p, x + 4 * l.pt, y), 0xffffff);
    }
    assert_true(layout_px(&l.panel[0].ay, 9) < layout_px(&l.panel[0].ay, 1)); /* up is up */
    layout_free(&l);
    canvas_close(scratch);
    canvas_close(p);
    chart_free(&c);
}

/* 200 pairs of coincident points: which colour is on top is a coin toss, so 100 +- 7.1; 60 to 140 is 5.6 deviations. */
static void no_series_lies_on_top(void **state) {
    (void)state;
    enum { N = 200 };
    struct chart c;
    struct err e = {0};
    size_t stride, w, h, first = 0, second = 0;
    assert_int_equal(chart_init(&c, 1, 1, &e), 0);
    struct chart_series *a = add(&c, CHART_POINTS, 0x0072B2, N), *b = add(&c, CHART_POINTS, 0xD55E00, N);
    a->size_pt = b->size_pt = 2;
    for (int i = 0; i < N; i++) a->x[i] = b->x[i] = i % 20, a->y[i] = b->y[i] = i / 20;
    c.panel[0].x.bare = c.panel[0].y.bare = true;
    struct canvas *p = draw(&c, 1000);
    canvas_size(p, &w, &h);
    const uint32_t *pixel = canvas_pixels(p, &stride);
    for (size_t y = 0; y < h; y++)
        for (size_t x = 0; x < w; x++) {
            uint32_t v = pixel[y * stride + x] & 0xffffff;
            first += v == 0x0072B2, second += v == 0xD55E00;
        }
    double share = (double)first / (double)(first + second);
    assert_true(share > 60.0 / N && share < 140.0 / N);
    canvas_close(p);
    chart_free(&c);
}

static void empty_and_broken_series_are_drawn(void **state) {
    (void)state;
    for (int mark = CHART_LINE; mark <= CHART_HEAT; mark++)
        for (int log = 0; log < 2; log++)
            for (size_t n = 0; n <= 6; n += 2) {
                struct chart c;
                struct err e = {0};
                static const double value[6] = {NAN, INFINITY, -INFINITY, -1, 0, NAN};
                assert_int_equal(chart_init(&c, 1, 1, &e), 0);
                if (n < 2 && (mark == CHART_BOX || mark == CHART_RULE)) {
                    chart_free(&c);
                    continue;
                }
                struct chart_series *s = add(&c, (enum chart_mark)mark, 0, n);
                for (size_t i = 0; i < n; i++) s->x[i] = value[i], s->y[i] = value[5 - i];
                c.panel[0].x.log = c.panel[0].y.log = log;
                if (mark == CHART_HEAT || mark == CHART_BARS)
                    assert_int_equal(chart_categories(&c.panel[0].x, 2, &e), 0);
                if (mark == CHART_HEAT) assert_int_equal(chart_categories(&c.panel[0].y, 3, &e), 0);
                canvas_close(draw(&c, 500));
                json_t *o = chart_json(&c);
                assert_non_null(o);
                json_decref(o);
                chart_free(&c);
            }
}

static void text_that_is_not_utf8_is_refused(void **state) {
    (void)state;
    struct chart c;
    struct err e = {0};
    struct canvas *out;
    assert_int_equal(chart_init(&c, 1, 1, &e), 0);
    snprintf(c.title, sizeof c.title, "\xff\xfe");
    assert_true(chart_draw(&c, CANVAS_PIXELS, 500, &out, &e) < 0);
    assert_null(out);
    chart_free(&c);
}

/* ---- scripts ---- */

static double width_of(struct canvas *c, const char *text) { return canvas_text_width(c, text, 10, false); }

/* Chinese letters are as wide as the font is high; Arabic ones are drawn joined, which is narrower than one by one; what Latin, Greek
 * and mathematics need is set as ever. */
static void scripts_are_shaped(void **state) {
    (void)state;
    struct canvas *c;
    struct err e = {0};
    assert_int_equal(canvas_open(&c, CANVAS_PIXELS, 200, 40, 2, &e), 0);
    assert_true(fabs(width_of(c, "特征") - 40) < 4); /* two of 10 pt, at 2 pixels a point */
    double joined = width_of(c, "العربية"), single = 0;
    static const char *const letter[] = {"ا", "ل", "ع", "ر", "ب", "ي", "ة"};
    for (int i = 0; i < 7; i++) single += width_of(c, letter[i]);
    assert_true(joined > 20 && joined < 0.9 * single);
    double plain = width_of(c, "mean ‖x − x̂‖² "), mixed = width_of(c, "mean ‖x − x̂‖² 特");
    assert_true(fabs(mixed - plain - 20) < 3);
    canvas_text(c, 10, 30, "特征", (struct canvas_style){.size_pt = 10, .colour = 0});
    size_t stride, dark = 0;
    const uint32_t *pixel = canvas_pixels(c, &stride);
    for (size_t y = 10; y < 34; y++)
        for (size_t x = 10; x < 50; x++) dark += (pixel[y * stride + x] & 0xff) < 128;
    assert_true(dark > 60 && dark < 600); /* strokes, no empty box and no full one */
    assert_int_equal(canvas_status(c, &e), 0);
    width_of(c, "no font has \xf4\x8f\xbf\xbd"); /* U+10FFFD, for private use */
    assert_int_equal(canvas_status(c, &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "the letter U+10FFFD"));
    canvas_close(c);
}

/* A text that is cut ends with a whole letter. */
static void cut_texts_are_whole(void **state) {
    (void)state;
    struct chart c;
    struct err e = {0};
    assert_int_equal(chart_init(&c, 1, 1, &e), 0);
    memset(c.title, 'a', CHART_TEXT - 3);
    memcpy(c.title + CHART_TEXT - 3, "\xe7\x89", 2); /* two of the three bytes of a Chinese letter */
    snprintf(c.panel[0].title, CHART_TEXT, "%s", "é");
    chart_note(&c, "λ%c", '\xce');
    chart_whole_letters(&c);
    assert_int_equal(strlen(c.title), CHART_TEXT - 3);
    assert_string_equal(c.panel[0].title, "é");
    assert_string_equal(c.note[0], "λ");
    canvas_close(draw(&c, 500));
    chart_free(&c);
}

/* ---- vectors ---- */

static bool holds(const char *bytes, size_t n, const char *text) {
    size_t m = strlen(text), i = 0;
    while (i + m <= n && memcmp(bytes + i, text, m) != 0) i++;
    return i + m <= n;
}

static void vectors_twice(const struct chart *c, enum canvas_form form, const char *begin, const char *const *want,
                          const char *const *never) {
    struct canvas *p[2];
    const char *bytes[2];
    size_t n[2];
    struct err e = {0};
    for (int i = 0; i < 2; i++) {
        if (chart_draw(c, form, 1000, &p[i], &e)) fail_msg("%s", e.text);
        assert_true(canvas_is_vector(p[i]));
        if (canvas_file(p[i], "a title", "a command", NULL, &bytes[i], &n[i], &e)) fail_msg("%s", e.text);
    }
    if (form == CANVAS_PDF) assert_int_equal(n[0], n[1]); /* cairo counts an SVG's parts on from the one before */
    if (form == CANVAS_PDF) assert_memory_equal(bytes[0], bytes[1], n[0]);
    assert_memory_equal(bytes[0], begin, strlen(begin));
    for (; *want; want++)
        if (!holds(bytes[0], n[0], *want)) fail_msg("no %s", *want);
    for (; *never; never++)
        if (holds(bytes[0], n[0], *never)) fail_msg("%s", *never);
    canvas_close(p[0]), canvas_close(p[1]);
}

/* Every mark: a PDF has its letters as fonts and nothing as pixels, and no date: twice gives the same bytes. */
static void vectors_hold_lines_and_letters(void **state) {
    (void)state;
    static const char *const pdf[] = {"FontFile2", "(a title)", "(a command)", NULL};
    static const char *const no_pdf[] = {"/Image", "CreationDate", NULL}, *const svg[] = {"<path", "</svg>", NULL};
    static const char *const no_svg[] = {"<image", NULL};
    struct chart c;
    struct err e = {0};
    assert_int_equal(chart_init(&c, 1, 1, &e), 0);
    for (int mark = CHART_LINE; mark <= CHART_RULE; mark++) {
        struct chart_series *s = add(&c, (enum chart_mark)mark, 0x0072B2, 2);
        s->x[1] = s->y[1] = 1, s->alpha = 0.5;
    }
    assert_int_equal(chart_categories(&c.panel[0].x, 2, &e), 0);
    snprintf(c.title, sizeof c.title, "‖x − x̂‖²");
    vectors_twice(&c, CANVAS_PDF, "%PDF-", pdf, no_pdf);
    vectors_twice(&c, CANVAS_SVG, "<?xml", svg, no_svg);
    chart_free(&c);
}

/* ---- PNG ---- */

static void read_png(const char *path, unsigned char **rgb, int *w, int *h, png_structp *png, png_infop *info) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    *png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    *info = png_create_info_struct(*png);
    png_init_io(*png, f);
    png_read_png(*png, *info, PNG_TRANSFORM_IDENTITY, NULL);
    fclose(f);
    *w = (int)png_get_image_width(*png, *info), *h = (int)png_get_image_height(*png, *info);
    assert_int_equal(png_get_color_type(*png, *info), PNG_COLOR_TYPE_RGB);
    *rgb = malloc((size_t)*w * (size_t)*h * 3);
    png_bytepp rows = png_get_rows(*png, *info);
    for (int y = 0; y < *h; y++) memcpy(*rgb + (size_t)y * (size_t)*w * 3, rows[y], (size_t)*w * 3);
}

static char *slurp(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *s = malloc(1 << 22);
    *n = fread(s, 1, 1 << 22, f);
    fclose(f);
    return s;
}

static void png_holds_pixels_and_texts(void **state) {
    (void)state;
    enum { W = 37, H = 11 };
    static const struct pngfile_text text[] = {{"saemill:command", "plot --kind x\nline two"},
                                               {"saemill:lineage", "λ → 0.001"}};
    uint32_t pixel[H][W + 3];
    struct err e = {0};
    unsigned char *rgb;
    png_structp png;
    png_infop info;
    png_textp found;
    int w, h, n;
    size_t n1, n2;
    for (uint32_t i = 0; i < H * (W + 3); i++) pixel[i / (W + 3)][i % (W + 3)] = i * 2654435761u;
    assert_int_equal(pngfile_write(TMP "/a.png", pixel[0], W + 3, W, H, text, 2, &e), 0);
    read_png(TMP "/a.png", &rgb, &w, &h, &png, &info);
    assert_int_equal(w, W);
    assert_int_equal(h, H);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            const unsigned char *p = rgb + (y * W + x) * 3;
            assert_int_equal((uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2], pixel[y][x] & 0xffffff);
        }
    assert_int_equal(png_get_text(png, info, &found, &n), 2);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(found[i].key, text[i].key);
        assert_string_equal(found[i].text, text[i].text);
        assert_int_equal(found[i].compression, i ? PNG_ITXT_COMPRESSION_NONE : PNG_TEXT_COMPRESSION_NONE);
    }
    png_destroy_read_struct(&png, &info, NULL);
    free(rgb);
    assert_int_equal(pngfile_write(TMP "/b.png", pixel[0], W + 3, W, H, text, 2, &e), 0);
    char *a = slurp(TMP "/a.png", &n1), *b = slurp(TMP "/b.png", &n2);
    assert_int_equal(n1, n2);
    assert_memory_equal(a, b, n1);
    free(a);
    free(b);
    assert_int_equal(pngfile_write(TMP "/absent/a.png", pixel[0], W + 3, W, H, text, 2, &e), ERR_IO);
    assert_non_null(strstr(e.text, TMP "/absent/a.png"));
}

/* ---- kinds ---- */

static struct kind_args args_of(const char *kind) {
    return (struct kind_args){.kind = kind, .left_out = "grey", .target_l0 = 80, .target_ev = 0.72};
}

static int build(const struct kind_args *a, struct chart *c, struct err *e) {
    json_t *inputs = NULL;
    *c = (struct chart){0};
    *e = (struct err){0};
    int rc = kind_build(a, c, &inputs, e);
    json_decref(inputs);
    return rc;
}

/* The build found them all, each with a name of its own. */
static void kinds_are_found(void **state) {
    (void)state;
    size_t n = 0;
    for (const struct kind *const *k = kind_list; *k; k++, n++) {
        assert_true((*k)->name && *(*k)->name && (*k)->build);
        for (const struct kind *const *l = kind_list; l < k; l++) assert_string_not_equal((*k)->name, (*l)->name);
    }
    assert_true(n >= 16);
}

static double number(const struct chart *c, const char *list, size_t i, const char *key, const char *sub) {
    const json_t *v = json_object_get(json_array_get(json_object_get(c->statistics, list), i), key);
    if (sub) v = json_object_get(v, sub);
    assert_true(json_is_number(v));
    return json_number_value(v);
}

static void draw_twice(const struct chart *c, int least_height) {
    struct canvas *a = draw(c, 1100), *b = draw(c, 1100);
    size_t w, h, sa, sb;
    canvas_size(a, &w, &h);
    assert_int_equal(w, 1100);
    assert_true((int)h > least_height);
    const uint32_t *pa = canvas_pixels(a, &sa), *pb = canvas_pixels(b, &sb);
    assert_memory_equal(pa, pb, h * sa * sizeof *pa);
    canvas_close(a);
    canvas_close(b);
}

static void curves_tell_the_three_layers(void **state) {
    (void)state;
    const char *in[] = {FIX "train_L0R", FIX "train_L3R", FIX "train_L6R"};
    struct kind_args a = args_of("curves");
    struct chart c;
    struct err e;
    a.in = (struct opt_list){in, 3};
    assert_int_equal(build(&a, &c, &e), 0);
    assert_int_equal(c.n_panels, 3);
    assert_int_equal(c.panel[0].n_series, 6); /* every step and its mean, for each */
    assert_string_equal(c.panel[0].series[1].name, "Layer 0");
    assert_true(c.panel[2].y.log && !c.panel[0].y.log);
    assert_int_equal(json_integer_value(json_object_get(c.statistics, "n_l0_reached")), 2); /* 60, 72 and 84 */
    assert_true(number(&c, "series", 0, "l0_max_over_d_in", NULL) > 4);
    assert_true(number(&c, "series", 2, "final_over_early", NULL) > 1);
    double step = number(&c, "series", 1, "steps", NULL);
    assert_true(step == 119);
    assert_string_equal(c.panel[1].y.label, "mean λ · L0 per row");
    draw_twice(&c, 300);
    chart_free(&c);
}

/* The sparsity loss is named as train named it; of runs with different ones only as a penalty. */
static void curves_name_the_penalty(void **state) {
    (void)state;
    const char *in[] = {"build/tmp/test_chart_relu", FIX "train_L0R"};
    struct kind_args a = args_of("curves");
    struct chart c;
    struct err e;
    json_t *train = json_load_file(FIX "train_L0R/train.json", 0, NULL);
    json_t *curve = json_load_file(FIX "train_L0R/curve.json", 0, NULL);
    json_object_set_new(train, "penalty", json_string("λ · Σ z ‖W_dec‖"));
    json_object_set_new(train, "unturned_share", json_real(0.125));
    mkdir("build/tmp", 0777), mkdir(in[0], 0777);
    assert_int_equal(json_dump_file(train, "build/tmp/test_chart_relu/train.json", 0), 0);
    assert_int_equal(json_dump_file(curve, "build/tmp/test_chart_relu/curve.json", 0), 0);
    json_decref(train), json_decref(curve);
    for (size_t n = 1; n <= 2; n++) {
        a.in = (struct opt_list){in, n};
        assert_int_equal(build(&a, &c, &e), 0);
        assert_string_equal(c.panel[1].y.label, n == 1 ? "mean λ · Σ z ‖W_dec‖ per row" : "mean penalty per row");
        assert_true(number(&c, "series", 0, "unturned_share", NULL) == 0.125);
        assert_true((strstr(c.note[0], "cosine above 0.5): Layer 0 12.5 %.") != NULL) ==
                    (n == 1)); /* the other says nothing */
        chart_free(&c);
    }
}

static void lobes_scatter_counts_every_feature(void **state) {
    (void)state;
    const char *tsne[] = {FIX "tsne.json"}, *lobes[] = {FIX "lobes_phi.json", FIX "lobes_dice.json"};
    const char *cluster[] = {FIX "cluster_phi.json", FIX "cluster_dice.json"};
    struct kind_args a = args_of("lobes-scatter");
    struct chart c;
    struct err e;
    a.map = (struct opt_list){tsne, 1}, a.lobes = (struct opt_list){lobes, 2},
    a.cluster = (struct opt_list){cluster, 2};
    assert_int_equal(build(&a, &c, &e), 0);
    for (size_t i = 0; i < 2; i++) {
        double en = number(&c, "panels", i, "features", "en"), zh = number(&c, "panels", i, "features", "zh");
        assert_true(number(&c, "panels", i, "features", "no_lobe") == 16);
        assert_true(en + zh == 384);
        assert_true((double)c.panel[i].series[0].n == en && (double)c.panel[i].series[1].n == zh);
    }
    assert_string_equal(c.panel[0].title, "Phi");
    assert_true(fabs(number(&c, "panels", 0, "purity", "excess") - 0.062) < 1e-8);
    assert_true(fabs(number(&c, "panels", 0, "own_lobe_min", NULL) - 92 / 93.0) < 1e-8);
    assert_non_null(strstr(c.panel[0].note[0], "0.531"));
    draw_twice(&c, 500);
    chart_free(&c);
    a.labels = "only one";
    assert_int_equal(build(&a, &c, &e), ERR_USAGE);
    chart_free(&c);
    a.labels = NULL, a.cluster.n = 1;
    assert_int_equal(build(&a, &c, &e), ERR_USAGE);
    chart_free(&c);
    a.cluster.n = 2, a.left_out = "hide", a.labels = "one|two";
    assert_int_equal(build(&a, &c, &e), 0);
    assert_int_equal(c.panel[0].series[2].n, 0);
    assert_string_equal(c.panel[0].series[2].name, "in no lobe, not drawn (16)");
    assert_string_equal(c.panel[1].title, "two");
    chart_free(&c);
}

/* A statistic that could not be computed: said under the panel, and null; the rest is drawn. */
static void lobes_scatter_without_a_number(void **state) {
    (void)state;
    const char *path = "build/tmp/test_chart_null.json";
    const char *tsne[] = {FIX "tsne.json"}, *lobes[] = {path}, *cluster[] = {FIX "cluster_phi.json"};
    struct kind_args a = args_of("lobes-scatter");
    struct chart c;
    struct err e;
    json_t *o;
    assert_int_equal(jsonfile_read(FIX "lobes_phi.json", &o, &e), 0);
    json_object_set_new(json_object_get(json_object_get(o, "statistics"), "ami"), "value", json_null());
    mkdir("build/tmp", 0777);
    assert_int_equal(jsonfile_write(path, o, &e), 0);
    json_decref(o);
    a.map = (struct opt_list){tsne, 1}, a.lobes = (struct opt_list){lobes, 1};
    a.cluster = (struct opt_list){cluster, 1};
    assert_int_equal(build(&a, &c, &e), 0);
    bool said = false;
    for (size_t i = 0; i < c.panel[0].n_notes; i++)
        said |= !strcmp(c.panel[0].note[i], "lobe–language AMI: not computed");
    assert_true(said);
    draw_twice(&c, 500);
    chart_free(&c);
}

static void other_kinds_draw(void **state) {
    (void)state;
    const char *sweep[9], *lobes[] = {FIX "lobes_phi.json"},
                          *cluster[] = {FIX "cluster_phi.json", FIX "cluster_dice.json"};
    char name[9][64];
    for (int i = 0; i < 9; i++) {
        snprintf(name[i], sizeof name[i], FIX "evaluate_L%dR_%d.json", i / 3 * 3, i % 3);
        sweep[i] = name[i];
    }
    const struct {
        const char *kind;
        struct opt_list in;
    } kinds[] = {{"sweep", {sweep, 9}}, {"frequency", {sweep, 3}}, {"histogram", {lobes, 1}}, {"eigen", {cluster, 2}}};
    for (size_t i = 0; i < 4; i++) {
        struct kind_args a = args_of(kinds[i].kind);
        struct chart c;
        struct err e;
        a.in = kinds[i].in;
        if (build(&a, &c, &e)) fail_msg("%s: %s", kinds[i].kind, e.text);
        draw_twice(&c, 300);
        if (i == 0) assert_int_equal(json_array_size(json_object_get(c.statistics, "points")), 9);
        if (i == 0) assert_int_equal(json_integer_value(json_object_get(c.statistics, "n_series_reached")), 1);
        if (i == 1) { /* every feature is in a bin or in the legend */
            double sum = 0;
            for (size_t k = 0; k < c.panel[0].series[0].n; k++) sum += c.panel[0].series[0].y[k];
            assert_true(sum == 390);
            const struct chart_series *s = &c.panel[0].series[0];
            size_t n, in = 0, bin = 0;
            double *f;
            json_t *o;
            assert_int_equal(jsonfile_read(sweep[0], &o, &e), 0);
            assert_int_equal(jsonfile_reals(o, sweep[0], "frequency", &f, &n, &e), 0);
            for (size_t k = 0; k < n; k++) in += f[k] >= 0.01 && f[k] < pow(10, -1.9);
            while (fabs(s->x[bin] + 2) > 1e-9) bin++;
            assert_true(in > 5 && s->y[bin] == (double)in);
            free(f);
            json_decref(o);
            assert_non_null(strstr(c.panel[0].series[0].name, "10 of 400"));
        }
        if (i == 3) assert_true(number(&c, "series", 0, "widest_gap_after", NULL) == 2);
        chart_free(&c);
    }
}

/* Change one key of a good file, and the kind must refuse it in one line that names file and key. */
static void wrong_files_are_named(void **state) {
    (void)state;
    static const struct {
        const char *kind, *file, *key, *value, *want; /* value NULL: the key is taken out */
    } cases[] = {
        {"eigen", "cluster_phi.json", "eigenvalues", NULL, "eigenvalues"},
        {"eigen", "cluster_phi.json", "eigenvalues", "[1]", "at least three"},
        {"eigen", "cluster_phi.json", "k", "\"two\"", "'k'"},
        {"histogram", "lobes_phi.json", "groups", "[]", "groups"},
        {"histogram", "lobes_phi.json", "groups", "[1,2]", "entry 0"},
        {"histogram", "lobes_phi.json", "histogram", "[[1,2],[3]]", "row 1"},
        {"histogram", "lobes_phi.json", "histogram", "[[1,2]]", "as many"},
        {"histogram", "lobes_phi.json", "lobe_group", "[0,7]", "-1 to 1, got 7"},
        {"sweep", "evaluate_L0R_0.json", "ev", "0.7", "'ev'"},
        {"sweep", "evaluate_L0R_0.json", "l0", NULL, "'l0'"},
        {"frequency", "evaluate_L0R_0.json", "frequency", "[0.5,1.5]", "entry 1"},
        {"scatter", "tsne.json", "x", "[1,2]", "400, 2, 400"},
        {"scatter", "tsne.json", "feature", NULL, "feature"},
        {"scatter", "lobes_phi.json", "feature_group", "[0]", "cluster_phi.json"},
        {"scatter", "lobes_phi.json", "statistics", "{\"purity\":{\"value\":\"high\"}}", "value"},
        {"scatter", "cluster_phi.json", "label", "[0,1]", "label"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char good[128], bad[128];
        const char *lobes[] = {FIX "lobes_phi.json"}, *tsne[] = {FIX "tsne.json"},
                   *cluster[] = {FIX "cluster_phi.json"}, *in[1];
        struct err e = {0};
        struct chart c;
        json_t *o;
        bool scatter = !strcmp(cases[i].kind, "scatter");
        snprintf(good, sizeof good, FIX "%s", cases[i].file);
        snprintf(bad, sizeof bad, TMP "/%s", cases[i].file);
        assert_int_equal(jsonfile_read(good, &o, &e), 0);
        if (!cases[i].value)
            json_object_del(o, cases[i].key);
        else
            json_object_set_new(o, cases[i].key, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        assert_int_equal(jsonfile_write(bad, o, &e), 0);
        json_decref(o);
        struct kind_args a = args_of(scatter ? "lobes-scatter" : cases[i].kind);
        in[0] = bad;
        if (!strncmp(cases[i].file, "tsne", 4)) tsne[0] = bad;
        if (!strncmp(cases[i].file, "lobes", 5)) lobes[0] = bad;
        if (!strncmp(cases[i].file, "cluster", 7)) cluster[0] = bad;
        if (scatter) {
            a.map = (struct opt_list){tsne, 1}, a.lobes = (struct opt_list){lobes, 1};
            a.cluster = (struct opt_list){cluster, 1};
        } else
            a.in = (struct opt_list){in, 1};
        assert_true(build(&a, &c, &e) < 0);
        assert_non_null(strstr(e.text, cases[i].want));
        assert_non_null(strstr(e.text, cases[i].file));
        assert_null(strchr(e.text, '\n'));
        chart_free(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_of_known_ranges),
        cmocka_unit_test(ticks_are_never_few_nor_many),
        cmocka_unit_test(axis_ranges_survive_bad_data),
        cmocka_unit_test(points_lie_where_their_data_says),
        cmocka_unit_test(no_series_lies_on_top),
        cmocka_unit_test(empty_and_broken_series_are_drawn),
        cmocka_unit_test(text_that_is_not_utf8_is_refused),
        cmocka_unit_test(scripts_are_shaped),
        cmocka_unit_test(cut_texts_are_whole),
        cmocka_unit_test(vectors_hold_lines_and_letters),
        cmocka_unit_test(png_holds_pixels_and_texts),
        cmocka_unit_test(kinds_are_found),
        cmocka_unit_test(curves_tell_the_three_layers),
        cmocka_unit_test(curves_name_the_penalty),
        cmocka_unit_test(lobes_scatter_counts_every_feature),
        cmocka_unit_test(lobes_scatter_without_a_number),
        cmocka_unit_test(other_kinds_draw),
        cmocka_unit_test(wrong_files_are_named),
    };
    struct err e;
    if (outdir_make(TMP, &e)) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
