/* kind_ablation.c - one feature clamped or given noise: latents of the reconstruction before and after, what changed
 * and by how much. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/chart/kind.h"
#include "lib/file/jsonfile.h"

enum { BEFORE, AFTER, SORTED, SHARES, PANELS, MOST_CELLS = 4096 };

/* [row][shown] as cells of a heat map, features as rows; axis names only for as many as can be read. */
static int heat(struct chart_panel *p, const json_t *cells, const json_t *shown, const json_t *rows, const char *path,
                const char *key, struct err *e) {
    const size_t R = json_array_size(rows), K = json_array_size(shown);
    if (!R || !K || R * K > MOST_CELLS || json_array_size(cells) != R)
        return err_set(e, ERR_SHAPE, "%s: key '%s': want %zu rows of %zu numbers, at most %d cells", path, key, R, K,
                       MOST_CELLS);
    struct chart_series *s = chart_add(p, CHART_HEAT, "", 0, R * K, e);
    int rc = s ? chart_categories(&p->x, R, e) : ERR_MEMORY;
    if (!rc) rc = chart_categories(&p->y, K, e);
    for (size_t i = 0; !rc && i < R; i++) {
        const json_t *row = json_array_get(cells, i);
        if (R <= 8 || i % 8 == 0) snprintf(p->x.category[i], CHART_LABEL, "%zu", i + 1);
        for (size_t k = 0; k < K; k++) {
            const json_t *v = json_array_get(row, k);
            if (!json_is_number(v))
                return err_set(e, ERR_FORMAT, "%s: key '%s': row %zu, entry %zu: want a number", path, key, i, k);
            s->y[k * R + i] = json_number_value(v);
        }
    }
    for (size_t k = 0; !rc && k < K; k++)
        if (K <= 16 || k % 4 == 0)
            snprintf(p->y.category[k], CHART_LABEL, "%lld", (long long)json_integer_value(json_array_get(shown, k)));
    snprintf(p->x.label, CHART_TEXT, "row, strongest first");
    snprintf(p->y.label, CHART_TEXT, "feature");
    return rc;
}

static int sorted(struct chart_panel *p, const json_t *o, const char *path, const char *name, uint32_t colour,
                  struct err *e) {
    double *y = NULL;
    size_t n;
    int rc = jsonfile_reals(o, path, "difference_sorted", &y, &n, e);
    struct chart_series *s = rc ? NULL : chart_add(p, CHART_LINE, name, colour, n, e);
    for (size_t i = 0; s && i < n; i++) s->x[i] = (double)(i + 1), s->y[i] = y[i];
    if (s) s->size_pt = 1.4;
    free(y);
    return rc ? rc : s ? 0 : ERR_MEMORY;
}

/* Bars: share of all features, and of the active ones, that changed. */
static int shares(struct chart_panel *p, const json_t *o, const char *path, const char *name, uint32_t colour,
                  json_t *stats, struct err *e) {
    static const char *const key[] = {"changed_share", "changed_share_of_active"};
    static const char *const kept[] = {"changed_share", "changed_share_of_active", "cosine", "mse", "own_change", NULL};
    struct chart_series *s = chart_add(p, CHART_BARS, name, colour, 2, e);
    double v = 0;
    int rc = s ? 0 : ERR_MEMORY;
    for (int k = 0; !rc && k < 2; k++) {
        rc = jsonfile_real(o, path, key[k], &v, e);
        if (!rc) s->x[k] = k, s->y[k] = 100 * v;
    }
    return rc ? rc : kind_take(stats, o, path, kept, e);
}

/* Both heat maps on one scale, which the legend gives. */
static void same_scale(struct chart *c) {
    struct chart_series *s[2] = {c->panel[BEFORE].series, c->panel[AFTER].series};
    double top = 0;
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < s[k]->n; i++) top = fmax(top, s[k]->y[i]);
    for (int k = 0; k < 2; k++) {
        s[k]->top = top;
        snprintf(s[k]->name, CHART_TEXT, "activation, 0 to %.3g", top);
    }
}

static int build_ablation(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    static const char *const key[] = {"clamp", "noise_added"}, *const name[] = {"clamped to 0", "noise added"};
    const char *path = args->in.item[0];
    json_t *file = NULL, *rows = NULL, *shown = NULL, *before = NULL, *after = NULL;
    int64_t feature = 0, fires = 0;
    double noise = 0, cosine[2], mse[2];
    if (args->in.n != 1) return err_set(e, ERR_USAGE, "plot: kind ablation: want one --in, got %zu", args->in.n);
    int rc = jsonfile_read(path, &file, e);
    if (!rc) rc = chart_init(c, PANELS, 2, e);
    if (!rc) rc = jsonfile_int(file, path, "feature", &feature, e);
    if (!rc) rc = jsonfile_int(file, path, "fires", &fires, e);
    if (!rc) rc = jsonfile_real(file, path, "noise", &noise, e);
    if (!rc) rc = jsonfile_array(file, path, "rows", &rows, e);
    if (!rc) rc = jsonfile_array(file, path, "shown", &shown, e);
    if (!rc) rc = jsonfile_array(file, path, "before", &before, e);
    if (!rc) rc = jsonfile_array(json_object_get(file, "clamp"), path, "after", &after, e);
    if (!rc) rc = heat(&c->panel[BEFORE], before, shown, rows, path, "before", e);
    if (!rc) rc = heat(&c->panel[AFTER], after, shown, rows, path, "clamp.after", e);
    if (!rc) rc = chart_categories(&c->panel[SHARES].x, 2, e);
    for (int k = 0; !rc && k < 2; k++) {
        const json_t *o = json_object_get(file, key[k]);
        json_t *stats = json_object();
        rc = sorted(&c->panel[SORTED], o, path, name[k], chart_colour((size_t)k), e);
        if (!rc) rc = shares(&c->panel[SHARES], o, path, name[k], chart_colour((size_t)k), stats, e);
        if (!rc) rc = jsonfile_real(o, path, "cosine", &cosine[k], e);
        if (!rc) rc = jsonfile_real(o, path, "mse", &mse[k], e);
        c->statistics = jsonfile_with(c->statistics, "%s=%p", key[k], stats);
    }
    if (!rc) {
        c->aspect = 0.8;
        same_scale(c);
        snprintf(c->panel[BEFORE].title, CHART_TEXT, "Latents of the reconstruction");
        snprintf(c->panel[AFTER].title, CHART_TEXT, "… with feature %lld clamped to 0", (long long)feature);
        snprintf(c->panel[SORTED].title, CHART_TEXT, "Changes of all features, sorted");
        snprintf(c->panel[SORTED].x.label, CHART_TEXT, "features, most changed first");
        snprintf(c->panel[SORTED].y.label, CHART_TEXT, "mean absolute difference");
        c->panel[SORTED].x.log = c->panel[SORTED].y.log = true;
        snprintf(c->panel[SHARES].title, CHART_TEXT, "Features that change at all");
        snprintf(c->panel[SHARES].y.label, CHART_TEXT, "%% of features");
        c->panel[SHARES].y.from_zero = true;
        snprintf(c->panel[SHARES].x.category[0], CHART_LABEL, "of all");
        snprintf(c->panel[SHARES].x.category[1], CHART_LABEL, "of the active");
        c->statistics = jsonfile_with(c->statistics, "feature=%lld fires=%lld", (long long)feature, (long long)fires);
        chart_note(c,
                   "Feature %lld fires on %lld held-out rows; shown: the %zu on which it is most active, and the "
                   "features that change most.",
                   (long long)feature, (long long)fires, json_array_size(rows));
        chart_note(c,
                   "Clamped: cosine similarity of the outputs %.4f, mean squared error %.2g. Noise of %g mean "
                   "activations: %.4f, %.2g.",
                   cosine[0], mse[0], noise, cosine[1], mse[1]);
        rc = kind_origin(inputs, "in", "", file, e);
    }
    json_decref(file);
    return rc;
}

const struct kind kind_ablation = {.name = "ablation", .reads = "ablate JSON", .build = build_ablation};
