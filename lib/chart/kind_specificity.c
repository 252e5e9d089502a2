/* kind_specificity.c - a feature on parallel sentences (sentences), where it is most active and how specific it is (prompts), and every
 * feature by its log-likelihood ratio for each language (ranking).
 *
 * Texts are shown in English, so that one reader can read them all. The stage's JSON has the others. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chart/kind.h"
#include "lib/file/jsonfile.h"

enum { MOST_LANGUAGES = 8, MOST_SENTENCES = 64, SHOWN = 4 };

struct view {
    json_t *file;
    const char *path;
    const char *language[MOST_LANGUAGES];
    size_t G;
    const json_t *sentences;
    int64_t feature;
};

static int view_read(struct view *v, const struct kind_args *args, json_t *inputs, struct err *e) {
    json_t *languages, *sentences;
    *v = (struct view){.path = args->in.item[0]};
    if (args->in.n != 1) return err_set(e, ERR_USAGE, "plot: kind %s: want one --in, got %zu", args->kind, args->in.n);
    int rc = jsonfile_read_nul(v->path, &v->file, e);
    if (!rc) rc = jsonfile_array(v->file, v->path, "languages", &languages, e);
    if (!rc) rc = jsonfile_array(v->file, v->path, "sentences", &sentences, e);
    if (!rc) rc = jsonfile_int(json_object_get(v->file, "asked"), v->path, "feature", &v->feature, e);
    if (rc) return rc;
    v->G = json_array_size(languages), v->sentences = sentences;
    if (v->G < 1 || v->G > MOST_LANGUAGES || json_array_size(sentences) > MOST_SENTENCES)
        return err_set(e, ERR_SHAPE, "%s: want 1 to %d languages and at most %d sentences, got %zu and %zu", v->path,
                       MOST_LANGUAGES, MOST_SENTENCES, v->G, json_array_size(sentences));
    for (size_t g = 0; g < v->G; g++)
        if (!(v->language[g] = json_string_value(json_array_get(languages, g))))
            return err_set(e, ERR_FORMAT, "%s: key 'languages': entry %zu: want a text", v->path, g);
    return kind_origin(inputs, "in", "", v->file, e);
}

/* o[key][language]; NAN where it is null. */
static int by_language(const struct view *v, const json_t *o, const char *key, size_t g, double *out, struct err *e) {
    const json_t *x = json_object_get(json_object_get(o, key), v->language[g]);
    *out = json_is_number(x) ? json_number_value(x) : NAN;
    if (json_is_number(x) || json_is_null(x)) return 0;
    return err_set(e, ERR_FORMAT, "%s: key '%s': want a number for %s", v->path, key, v->language[g]);
}

static int build_sentences(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    static const char *const summary[] = {"fired", "mean_activation", NULL};
    struct view v;
    int rc = chart_init(c, 1, 1, e);
    if (!rc) rc = view_read(&v, args, inputs, e);
    struct chart_panel *p = c->panel;
    const size_t n = rc ? 0 : json_array_size(v.sentences);
    if (!rc) rc = chart_categories(&p->x, n, e);
    for (size_t g = 0; !rc && g < v.G; g++) {
        struct chart_series *s =
            chart_add(p, CHART_BARS, kind_group_name(v.language[g]), kind_group_colour(v.language[g], g), n, e);
        rc = s ? 0 : ERR_MEMORY;
        for (size_t i = 0; !rc && i < n; i++) {
            snprintf(p->x.category[i], CHART_LABEL, "%zu", i + 1);
            s->x[i] = (double)i;
            rc = by_language(&v, json_array_get(v.sentences, i), "max", g, &s->y[i], e);
        }
    }
    if (!rc) {
        c->aspect = 0.42;
        snprintf(p->title, CHART_TEXT, "Feature %lld on %zu parallel sentences", (long long)v.feature, n);
        snprintf(p->x.label, CHART_TEXT, "sentence");
        snprintf(p->y.label, CHART_TEXT, "largest activation over the tokens");
        p->y.from_zero = true;
        rc = kind_take(c->statistics, json_object_get(v.file, "on_sentences"), v.path, summary, e);
        json_object_set_new(c->statistics, "n_sentences", json_integer((json_int_t)n));
    }
    if (v.file) json_decref(v.file);
    return rc;
}

const struct kind kind_sentences = {.name = "sentences", .reads = "specificity JSON", .build = build_sentences};

/* The English text of a sentence; what is behind a zero character in it is not shown. */
static const char *english(const struct view *v, const char *id) {
    size_t i;
    const json_t *s;
    json_array_foreach(v->sentences, i, s) {
        const char *is = json_string_value(json_object_get(s, "id"));
        if (is && id && !strcmp(is, id)) return json_string_value(json_object_get(json_object_get(s, "text"), "en"));
    }
    return NULL;
}

/* The table of top prompts: the sentences of a language on which the feature fires, below each other. */
static int prompt_lines(struct chart_panel *p, const struct view *v, struct err *e) {
    const json_t *top = json_object_get(v->file, "top");
    double line = 0;
    for (size_t g = 0; g < v->G; g++) {
        const json_t *list = json_object_get(top, v->language[g]);
        size_t n = json_array_size(list) < SHOWN ? json_array_size(list) : SHOWN;
        while (n && !(json_number_value(json_object_get(json_array_get(list, n - 1), "activation")) > 0)) n--;
        struct chart_series *s =
            chart_add(p, CHART_POINTS, kind_group_name(v->language[g]), kind_group_colour(v->language[g], g), n, e);
        if (!s || chart_texts(s, e)) return ERR_MEMORY;
        s->size_pt = 2;
        for (size_t i = 0; i < n; i++, line++) {
            const json_t *o = json_array_get(list, i);
            const char *id = json_string_value(json_object_get(o, "id")), *text = english(v, id);
            size_t cut = text ? strlen(text) : 0;
            if (cut > 80)
                for (cut = 80; cut && ((unsigned char)text[cut] & 0xc0) == 0x80; cut--) {}
            s->x[i] = 0, s->y[i] = -line;
            snprintf(s->text[i], CHART_LABEL, "%.2f  %s  %.*s%s", json_number_value(json_object_get(o, "activation")),
                     id ? id : "", (int)cut, text ? text : "", text && text[cut] ? "…" : "");
        }
        line += 0.8;
    }
    p->x.fixed = p->y.fixed = p->x.bare = p->y.bare = true;
    p->x.lo = -0.03, p->x.hi = 1, p->y.lo = -line + 0.5, p->y.hi = 0.8;
    return 0;
}

static int build_prompts(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    static const char *const key[] = {"llr_token", "llr_share"};
    static const char *const name[] = {"by token frequency", "by share of the activation"};
    struct view v;
    int64_t firings = 0;
    int rc = chart_init(c, 2, 1, e);
    if (!rc) rc = view_read(&v, args, inputs, e);
    const json_t *asked = rc ? NULL : json_object_get(v.file, "asked");
    if (!rc) rc = jsonfile_int(asked, v.path, "firings", &firings, e);
    if (!rc) rc = prompt_lines(&c->panel[0], &v, e);
    if (!rc) rc = chart_categories(&c->panel[1].x, v.G, e);
    for (int k = 0; !rc && k < 2; k++) {
        struct chart_series *s = chart_add(&c->panel[1], CHART_BARS, name[k], chart_colour((size_t)k), v.G, e);
        json_t *o = json_object();
        rc = s ? 0 : ERR_MEMORY;
        for (size_t g = 0; !rc && g < v.G; g++) {
            snprintf(c->panel[1].x.category[g], CHART_LABEL, "%s", kind_group_name(v.language[g]));
            s->x[g] = (double)g;
            rc = by_language(&v, asked, key[k], g, &s->y[g], e);
            if (!rc) json_object_set_new(o, v.language[g], jsonfile_number(s->y[g], 9));
        }
        json_object_set_new(c->statistics, key[k], o);
    }
    if (!rc) {
        c->aspect = 0.36;
        snprintf(c->panel[0].title, CHART_TEXT, "Sentences on which feature %lld is most active", (long long)v.feature);
        snprintf(c->panel[1].title, CHART_TEXT, "How specific the feature is to a language");
        snprintf(c->panel[1].y.label, CHART_TEXT, "log(P(s|language) / P(s))");
        chart_panel_note(&c->panel[0],
                         "Activation, number and English text of the sentence in the language of its colour.");
        chart_panel_note(&c->panel[1], "Feature %lld fires on %lld held-out rows.", (long long)v.feature,
                         (long long)firings);
        json_object_set_new(c->statistics, "firings", json_integer(firings));
    }
    if (v.file) json_decref(v.file);
    return rc;
}

const struct kind kind_prompts = {.name = "prompts", .reads = "specificity JSON", .build = build_prompts};

static int falling(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static int ranked_line(struct chart_panel *p, const struct view *v, size_t g, struct err *e) {
    const json_t *o = json_object_get(json_object_get(v->file, "ranking"), "llr_token");
    double *y = NULL;
    size_t n, kept = 0;
    int rc = jsonfile_reals(o, v->path, v->language[g], &y, &n, e);
    if (rc) return rc;
    for (size_t i = 0; i < n; i++)
        if (isfinite(y[i])) y[kept++] = y[i];
    qsort(y, kept, sizeof *y, falling);
    struct chart_series *s =
        chart_add(p, CHART_LINE, kind_group_name(v->language[g]), kind_group_colour(v->language[g], g), kept, e);
    for (size_t i = 0; s && i < kept; i++) s->x[i] = (double)(i + 1), s->y[i] = y[i];
    if (s) s->size_pt = 1.5;
    free(y);
    return s ? 0 : ERR_MEMORY;
}

/* Of the features most specific to a language: on what share of the sentences of each language do they fire? */
static int transfer(struct chart_panel *p, const struct view *v, struct err *e) {
    struct chart_series *s = chart_add(p, CHART_HEAT, "", 0, v->G * v->G, e);
    int rc = s ? chart_categories(&p->x, v->G, e) : ERR_MEMORY;
    if (!rc) rc = chart_categories(&p->y, v->G, e);
    for (size_t g = 0; !rc && g < v->G; g++) {
        snprintf(p->x.category[g], CHART_LABEL, "%s", kind_group_name(v->language[g]));
        snprintf(p->y.category[g], CHART_LABEL, "%s", kind_group_name(v->language[g]));
        for (size_t h = 0; !rc && h < v->G; h++)
            rc = by_language(v, json_object_get(v->file, "transfer"), v->language[g], h, &s->y[g * v->G + h], e);
    }
    return rc;
}

static int build_ranking(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    struct view v;
    int64_t ranked = 0, best = 0, least = 0;
    double share = 0;
    int rc = chart_init(c, 2, 2, e);
    if (!rc) rc = view_read(&v, args, inputs, e);
    if (!rc) rc = jsonfile_int(v.file, v.path, "n_ranked", &ranked, e);
    if (!rc) rc = jsonfile_int(v.file, v.path, "n_best", &best, e);
    if (!rc) rc = jsonfile_int(v.file, v.path, "min_firings", &least, e);
    if (!rc) rc = jsonfile_real(v.file, v.path, "specific_share", &share, e);
    for (size_t g = 0; !rc && g < v.G; g++) rc = ranked_line(&c->panel[0], &v, g, e);
    if (!rc) rc = transfer(&c->panel[1], &v, e);
    if (!rc) {
        char words[CHART_TEXT] = "";
        for (size_t g = 0; g < v.G; g++) {
            const json_t *n = json_object_get(json_object_get(v.file, "specific"), v.language[g]);
            snprintf(words + strlen(words), sizeof words - strlen(words), "%s%s %lld", g ? ", " : "",
                     kind_group_name(v.language[g]), (long long)json_integer_value(n));
        }
        c->aspect = 0.85;
        snprintf(c->panel[0].title, CHART_TEXT, "Features by language, most specific first");
        snprintf(c->panel[0].x.label, CHART_TEXT, "rank of %lld features", (long long)ranked);
        snprintf(c->panel[0].y.label, CHART_TEXT, "log(P(s|language) / P(s))");
        snprintf(c->panel[1].title, CHART_TEXT, "Sentences on which they fire");
        snprintf(c->panel[1].x.label, CHART_TEXT, "language of the sentence");
        snprintf(c->panel[1].y.label, CHART_TEXT, "%lld features of", (long long)best);
        chart_panel_note(&c->panel[1], "Mean share of the %zu sentences.", json_array_size(v.sentences));
        chart_note(c,
                   "Ranked: features that fire on %lld held-out rows or more. With %.0f %% of their activation in one "
                   "language: %s.",
                   (long long)least, 100 * share, words);
        json_object_set(c->statistics, "specific", json_object_get(v.file, "specific"));
        json_object_set(c->statistics, "transfer", json_object_get(v.file, "transfer"));
        json_object_set(c->statistics, "patterns", json_object_get(v.file, "patterns"));
        json_object_set_new(c->statistics, "n_ranked", json_integer(ranked));
    }
    if (v.file) json_decref(v.file);
    return rc;
}

const struct kind kind_ranking = {.name = "ranking", .reads = "specificity JSON", .build = build_ranking};
