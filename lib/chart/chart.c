/* chart.c - the data of a figure; see chart.h. */
#include "lib/chart/chart.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/file/jsonfile.h"

uint32_t chart_colour(size_t i) {
    static const uint32_t okabe_ito[] = {0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7,
                                         0xE69F00, 0x56B4E9, 0x000000, 0xF0E442};
    return okabe_ito[i % (sizeof okabe_ito / sizeof *okabe_ito)];
}

int chart_init(struct chart *c, size_t n_panels, size_t n_cols, struct err *e) {
    *c = (struct chart){0};
    if (n_panels < 1 || n_panels > CHART_PANELS)
        return err_set(e, ERR_RANGE, "%zu panels: must be within 1 and %d", n_panels, CHART_PANELS);
    c->panel = mem_array(n_panels, sizeof *c->panel, "the panels of a chart", e);
    if (!c->panel) return ERR_MEMORY;
    c->n_panels = n_panels;
    c->n_cols = n_cols < n_panels ? n_cols : n_panels;
    c->aspect = 0.75;
    c->statistics = json_object();
    return c->statistics ? 0 : err_set(e, ERR_MEMORY, "no memory for a chart's statistics");
}

void chart_free(struct chart *c) {
    for (size_t i = 0; i < c->n_panels; i++) {
        struct chart_panel *p = &c->panel[i];
        for (size_t k = 0; k < p->n_series; k++) {
            free(p->series[k].x);
            free(p->series[k].y);
            free(p->series[k].text);
        }
        free(p->x.category);
        free(p->y.category);
    }
    free(c->panel);
    if (c->statistics) json_decref(c->statistics);
    *c = (struct chart){0};
}

struct chart_series *chart_add(struct chart_panel *p, enum chart_mark mark, const char *name, uint32_t colour, size_t n,
                               struct err *e) {
    if (p->n_series == CHART_SERIES) {
        err_set(e, ERR_RANGE, "too many series in one panel: at most %d", CHART_SERIES);
        return NULL;
    }
    struct chart_series *s = &p->series[p->n_series];
    *s = (struct chart_series){.mark = mark, .colour = colour, .alpha = 1, .n = n};
    snprintf(s->name, sizeof s->name, "%s", name);
    s->x = mem_array(n ? n : 1, sizeof *s->x, "a chart's points", e);
    s->y = s->x ? mem_array(n ? n : 1, sizeof *s->y, "a chart's points", e) : NULL;
    if (!s->y) {
        free(s->x);
        return NULL;
    }
    p->n_series++;
    return s;
}

int chart_texts(struct chart_series *s, struct err *e) {
    s->text = mem_array(s->n ? s->n : 1, sizeof *s->text, "a chart's labels", e);
    return s->text ? 0 : ERR_MEMORY;
}

int chart_categories(struct chart_axis *a, size_t n, struct err *e) {
    a->category = mem_array(n ? n : 1, sizeof *a->category, "a chart's categories", e);
    a->n_categories = a->category ? n : 0;
    return a->category ? 0 : ERR_MEMORY;
}

void chart_panel_note(struct chart_panel *p, const char *fmt, ...) {
    if (p->n_notes == CHART_NOTES) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(p->note[p->n_notes++], CHART_TEXT, fmt, ap);
    va_end(ap);
}

void chart_note(struct chart *c, const char *fmt, ...) {
    if (c->n_notes == CHART_NOTES) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->note[c->n_notes++], CHART_TEXT, fmt, ap);
    va_end(ap);
}

static void whole(char *s) {
    size_t n = strlen(s), k = n;
    while (k && ((unsigned char)s[k - 1] & 0xc0) == 0x80) k--;
    if (!k--) return;
    unsigned char lead = (unsigned char)s[k];
    size_t want = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (n - k < want) s[k] = 0;
}

static void whole_axis(struct chart_axis *a) {
    whole(a->label);
    for (size_t i = 0; i < a->n_categories; i++) whole(a->category[i]);
}

void chart_whole_letters(struct chart *c) {
    whole(c->title);
    for (size_t i = 0; i < c->n_notes; i++) whole(c->note[i]);
    for (size_t i = 0; i < c->n_panels; i++) {
        struct chart_panel *p = &c->panel[i];
        whole(p->title), whole_axis(&p->x), whole_axis(&p->y);
        for (size_t k = 0; k < p->n_notes; k++) whole(p->note[k]);
        for (size_t k = 0; k < p->n_series; k++) {
            whole(p->series[k].name);
            for (size_t j = 0; p->series[k].text && j < p->series[k].n; j++) whole(p->series[k].text[j]);
        }
    }
}

static json_t *axis_json(const struct chart_axis *a) {
    json_t *o = json_object();
    json_object_set_new(o, "label", json_string(a->label));
    json_object_set_new(o, "scale", json_string(a->n_categories ? "categories" : a->log ? "log" : "linear"));
    if (!a->n_categories) return o;
    json_t *names = json_array();
    for (size_t i = 0; i < a->n_categories; i++) json_array_append_new(names, json_string(a->category[i]));
    json_object_set_new(o, "categories", names);
    return o;
}

static json_t *numbers(const double *x, size_t n) {
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(a, jsonfile_number(x[i], 9));
    return a;
}

static json_t *series_json(const struct chart_series *s) {
    static const char *const mark[] = {"line", "points", "bars", "steps", "box", "rule", "heat"};
    json_t *o = json_object();
    char colour[8];
    snprintf(colour, sizeof colour, "#%06x", (unsigned)(s->colour & 0xffffff));
    json_object_set_new(o, "name", json_string(s->name));
    json_object_set_new(o, "mark", json_string(mark[s->mark]));
    json_object_set_new(o, "colour", json_string(colour));
    if (s->mark != CHART_HEAT) json_object_set_new(o, "x", numbers(s->x, s->n));
    json_object_set_new(o, "y", numbers(s->y, s->n));
    if (!s->text) return o;
    json_t *text = json_array();
    for (size_t i = 0; i < s->n; i++) json_array_append_new(text, json_string(s->text[i]));
    json_object_set_new(o, "text", text);
    return o;
}

static json_t *notes_json(const char (*note)[CHART_TEXT], size_t n) {
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(a, json_string(note[i]));
    return a;
}

json_t *chart_json(const struct chart *c) {
    json_t *o = json_object(), *panels = json_array();
    for (size_t i = 0; i < c->n_panels; i++) {
        const struct chart_panel *p = &c->panel[i];
        json_t *q = json_object(), *series = json_array();
        json_object_set_new(q, "title", json_string(p->title));
        json_object_set_new(q, "x", axis_json(&p->x));
        json_object_set_new(q, "y", axis_json(&p->y));
        for (size_t k = 0; k < p->n_series; k++)
            if (!p->series[k].derived) json_array_append_new(series, series_json(&p->series[k]));
        json_object_set_new(q, "series", series);
        json_object_set_new(q, "notes", notes_json(p->note, p->n_notes));
        json_array_append_new(panels, q);
    }
    json_object_set_new(o, "panels", panels);
    json_object_set_new(o, "notes", notes_json(c->note, c->n_notes));
    return o;
}
