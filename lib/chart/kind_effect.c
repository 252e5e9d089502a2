/* kind_effect.c - what ablating each feature does to the language model's loss: sizes, and against activation. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/chart/kind.h"
#include "lib/file/jsonfile.h"

struct features {
    size_t n;
    double *effect, *mean, *fires;
};

static int features_read(const json_t *file, const char *path, struct features *f, struct err *e) {
    size_t n[2];
    int rc = jsonfile_reals(file, path, "effect", &f->effect, &f->n, e);
    if (!rc) rc = jsonfile_reals(file, path, "mean_activation", &f->mean, &n[0], e);
    if (!rc) rc = jsonfile_reals(file, path, "fires", &f->fires, &n[1], e);
    if (!rc && (n[0] != f->n || n[1] != f->n))
        rc = err_set(e, ERR_SHAPE,
                     "%s: keys 'effect', 'mean_activation', 'fires': want as many entries, got %zu, %zu, %zu", path,
                     f->n, n[0], n[1]);
    return rc;
}

static int falling(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Features of one sign by size. */
static int sorted(struct chart_panel *p, const struct features *f, int sign, const char *what, uint32_t colour,
                  struct err *e) {
    char name[CHART_TEXT];
    size_t n = 0;
    double *y = malloc((f->n + 1) * sizeof *y);
    if (!y) return err_set(e, ERR_MEMORY, "no memory for %zu features", f->n);
    for (size_t i = 0; i < f->n; i++)
        if (f->effect[i] * sign > 0) y[n++] = fabs(f->effect[i]);
    qsort(y, n, sizeof *y, falling);
    snprintf(name, sizeof name, "%s (%zu)", what, n);
    struct chart_series *s = chart_add(p, CHART_LINE, name, colour, n, e);
    for (size_t i = 0; s && i < n; i++) s->x[i] = (double)(i + 1), s->y[i] = y[i];
    if (s) s->size_pt = 1.5;
    free(y);
    return s ? 0 : ERR_MEMORY;
}

static int cloud(struct chart_panel *p, const struct features *f, int sign, const char *what, uint32_t colour,
                 struct err *e) {
    size_t n = 0;
    struct chart_series *s = chart_add(p, CHART_POINTS, what, colour, f->n, e);
    if (!s) return ERR_MEMORY;
    for (size_t i = 0; i < f->n; i++)
        if (f->effect[i] * sign > 0 && f->fires[i] > 0)
            s->x[n] = f->mean[i], s->y[n] = fabs(f->effect[i]) / f->fires[i], n++;
    s->n = n;
    s->alpha = 0.35, s->size_pt = 1;
    return 0;
}

static int build_effect(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    static const char *const key[] = {"loss",
                                      "loss_sae",
                                      "loss_zero",
                                      "loss_recovered",
                                      "top_in_common",
                                      "top_in_common_chance",
                                      "spearman",
                                      "top_features_in_common",
                                      NULL};
    const char *path = args->in.item[0];
    struct features f = {0};
    json_t *file = NULL;
    double v[7] = {0};
    int64_t common = 0, tokens = 0;
    if (args->in.n != 1) return err_set(e, ERR_USAGE, "plot: kind effect: want one --in, got %zu", args->in.n);
    int rc = chart_init(c, 2, 2, e);
    if (!rc) rc = jsonfile_read(path, &file, e);
    if (!rc) rc = features_read(file, path, &f, e);
    for (int k = 0; !rc && k < 7; k++) rc = jsonfile_real(file, path, key[k], &v[k], e);
    if (!rc) rc = jsonfile_int(file, path, "top_features_in_common", &common, e);
    if (!rc) rc = jsonfile_int(file, path, "tokens", &tokens, e);
    for (int k = 0; !rc && k < 2; k++) {
        rc = sorted(&c->panel[0], &f, k ? -1 : 1, k ? "loss falls" : "loss rises", chart_colour((size_t)k), e);
        if (!rc) rc = cloud(&c->panel[1], &f, k ? -1 : 1, k ? "loss falls" : "loss rises", chart_colour((size_t)k), e);
    }
    if (!rc) {
        struct chart_panel *p = c->panel;
        c->aspect = 0.85;
        snprintf(p[0].title, CHART_TEXT, "Effect of ablating each feature");
        snprintf(p[0].x.label, CHART_TEXT, "features, largest effect first");
        snprintf(p[0].y.label, CHART_TEXT, "|change of the summed loss| (nats)");
        snprintf(p[1].title, CHART_TEXT, "Effect against activation");
        snprintf(p[1].x.label, CHART_TEXT, "mean activation where the feature fires");
        snprintf(p[1].y.label, CHART_TEXT, "|mean effect| where it fires (nats)");
        p[0].x.log = p[0].y.log = p[1].x.log = p[1].y.log = true;
        chart_panel_note(&p[0], "%lld tokens; loss %.3f, with the SAE %.3f (%.1f %% recovered).", (long long)tokens,
                         v[0], v[1], 100 * v[3]);
        chart_panel_note(&p[1],
                         "At a token, %.1f of the ten most active are among the ten of largest effect (chance %.1f).",
                         v[4], v[5]);
        chart_panel_note(&p[1], "Over all tokens %lld of ten; rank correlation %.2f.", (long long)common, v[6]);
        rc = kind_take(c->statistics, file, path, key, e);
        if (!rc) rc = kind_origin(inputs, "in", "", file, e);
    }
    free(f.effect), free(f.mean), free(f.fires);
    if (file) json_decref(file);
    return rc;
}

const struct kind kind_effect = {.name = "effect", .reads = "effect JSON", .build = build_effect};
