/* kind_lobes.c - features on the map, coloured by the language of their lobe (lobes-scatter), and how often each lobe
 * won the chunks of each language (histogram).
 *
 * The picture must not look clearer than it is: under each panel stand nearest-neighbour purity and adjusted mutual
 * information with what chance gives and how many standard deviations lie between, and features in no lobe are counted.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chart/kind.h"
#include "lib/file/jsonfile.h"

enum { GROUPS_MAX = 16, HEAT_FROM = 13 };

struct lobes {
    const char *path;
    json_t *file;
    const char *group[GROUPS_MAX];
    size_t n_groups, n_lobes, n_features;
    const json_t *histogram, *lobe_group, *feature_group; /* borrowed from file */
};

static int index_at(const json_t *a, size_t i, const char *path, const char *key, int64_t lo, int64_t hi, int64_t *out,
                    struct err *e) {
    const json_t *v = json_array_get(a, i);
    if (!json_is_integer(v))
        return err_set(e, ERR_FORMAT, "%s: key '%s': entry %zu: want a whole number", path, key, i);
    *out = json_integer_value(v);
    if (*out >= lo && *out < hi) return 0;
    return err_set(e, ERR_RANGE, "%s: key '%s': entry %zu: want %lld to %lld, got %lld", path, key, i, (long long)lo,
                   (long long)hi - 1, (long long)*out);
}

static int lobes_read(const char *path, struct lobes *l, struct err *e) {
    json_t *groups, *histogram, *lobe_group, *feature_group;
    *l = (struct lobes){.path = path};
    int rc = jsonfile_read(path, &l->file, e);
    if (!rc) rc = jsonfile_array(l->file, path, "groups", &groups, e);
    if (!rc) rc = jsonfile_array(l->file, path, "histogram", &histogram, e);
    if (!rc) rc = jsonfile_array(l->file, path, "lobe_group", &lobe_group, e);
    if (!rc) rc = jsonfile_array(l->file, path, "feature_group", &feature_group, e);
    if (rc) return rc;
    l->n_groups = json_array_size(groups), l->n_lobes = json_array_size(histogram);
    l->n_features = json_array_size(feature_group);
    l->histogram = histogram, l->lobe_group = lobe_group, l->feature_group = feature_group;
    if (l->n_groups < 1 || l->n_groups > GROUPS_MAX)
        return err_set(e, ERR_SHAPE, "%s: key 'groups': want 1 to %d names, got %zu", path, GROUPS_MAX, l->n_groups);
    if (!l->n_lobes || json_array_size(lobe_group) != l->n_lobes)
        return err_set(e, ERR_SHAPE, "%s: keys 'histogram' and 'lobe_group': want as many entries, got %zu and %zu",
                       path, l->n_lobes, json_array_size(lobe_group));
    for (size_t g = 0; g < l->n_groups; g++)
        if (!(l->group[g] = json_string_value(json_array_get(groups, g))))
            return err_set(e, ERR_FORMAT, "%s: key 'groups': entry %zu: want a text", path, g);
    for (size_t k = 0; !rc && k < l->n_lobes; k++) {
        int64_t group;
        rc = index_at(lobe_group, k, path, "lobe_group", -1, (int64_t)l->n_groups, &group, e);
    }
    return rc;
}

static int chunks_at(const struct lobes *l, size_t lobe, size_t group, double *out, struct err *e) {
    const json_t *row = json_array_get(l->histogram, lobe);
    if (json_array_size(row) != l->n_groups)
        return err_set(e, ERR_SHAPE, "%s: key 'histogram': row %zu: want %zu numbers, got %zu", l->path, lobe,
                       l->n_groups, json_array_size(row));
    if (!json_is_number(json_array_get(row, group)))
        return err_set(e, ERR_FORMAT, "%s: key 'histogram': row %zu, entry %zu: want a number", l->path, lobe, group);
    *out = json_number_value(json_array_get(row, group));
    return 0;
}

/* Of each language's chunks, the share won by lobes of that language. */
static int lobe_statistics(const struct lobes *l, json_t *o, struct err *e) {
    static const char *const keys[] = {"own_lobe", "own_lobe_min", "languages_without_lobe", NULL};
    return kind_take(o, l->file, l->path, keys, e);
}

/* With the minus sign of print, and none before zero. */
static void print_number(double x, int decimals, char out[16]) {
    char digits[16];
    snprintf(digits, sizeof digits, "%.*f", decimals, fabs(x));
    bool zero = strspn(digits, "0.") == strlen(digits);
    snprintf(out, 16, "%s%.12s", x < 0 && !zero ? "−" : "", digits);
}

/* One test against chance: its numbers into o[key]; if the chart names it, its words go under the panel. */
static int add_test(const struct lobes *l, const char *key, const json_t *t, json_t *o, struct chart_panel *p,
                    struct err *e) {
    static const char *const named[][2] = {{"purity", "neighbour purity"},
                                           {"ami", "lobe–language AMI"},
                                           {"ami_angular", "lobe–direction AMI"},
                                           {"direction", "lobe told from direction"}};
    double value, mean, z;
    int rc = jsonfile_real_or(t, l->path, "value", NAN, &value, e);
    if (!rc) rc = jsonfile_real_or(t, l->path, "null_mean", NAN, &mean, e);
    if (!rc) rc = jsonfile_real_or(t, l->path, "z", NAN, &z, e);
    if (rc) return rc;
    jsonfile_put(o, "%s=%p", key, json_deep_copy(t));
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (!strcmp(named[i][0], key)) {
            if (!isfinite(value)) {
                chart_panel_note(p, "%s: not computed", named[i][1]);
                continue;
            }
            char above[48] = ""; /* without spread among the shuffled there is no z */
            char x[16], chance[16], deviations[16];
            print_number(value, 3, x), print_number(mean, 3, chance), print_number(z, fabs(z) < 100, deviations);
            if (isfinite(z)) snprintf(above, sizeof above, ", z = %s", deviations);
            chart_panel_note(p, "%s %s (chance %s%s)", named[i][1], x, chance, above);
        }
    return 0;
}

/* Every test of the file. A picture without them would look clearer than it is, so their absence is said. */
static int add_tests(const struct lobes *l, json_t *o, struct chart_panel *p, struct err *e) {
    const char *key;
    json_t *t;
    int rc = 0;
    size_t before = p->n_notes;
    json_object_foreach(json_object_get(l->file, "statistics"), key, t) {
        if (!rc && json_is_object(t)) rc = add_test(l, key, t, o, p, e);
    }
    if (!rc && p->n_notes == before) chart_panel_note(p, "not compared with chance");
    return rc;
}

/* ---- lobes-scatter ---- */

struct points {
    size_t n;
    double *x, *y;
    const json_t *feature;
    const char *method;
    double kl, trust, perplexity, neighbors;
};

static void points_free(struct points *t) {
    free(t->x);
    free(t->y);
}

static int points_read(const char *path, json_t *file, struct points *t, struct err *e) {
    size_t nx, ny;
    json_t *feature;
    int rc = jsonfile_text(file, path, "method", &t->method, e);
    if (!rc) rc = jsonfile_array(file, path, "feature", &feature, e);
    if (!rc) rc = jsonfile_reals(file, path, "x", &t->x, &nx, e);
    if (!rc) rc = jsonfile_reals(file, path, "y", &t->y, &ny, e);
    if (!rc) rc = jsonfile_real_or(file, path, "kl", NAN, &t->kl, e);
    if (!rc) rc = jsonfile_real_or(file, path, "trustworthiness", NAN, &t->trust, e);
    if (!rc) rc = jsonfile_real_or(file, path, "perplexity", NAN, &t->perplexity, e);
    if (!rc) rc = jsonfile_real_or(file, path, "neighbors", NAN, &t->neighbors, e);
    if (rc) return rc;
    t->feature = feature, t->n = json_array_size(feature);
    if (nx != t->n || ny != t->n)
        return err_set(e, ERR_SHAPE, "%s: keys 'feature', 'x', 'y': want as many entries, got %zu, %zu, %zu", path,
                       t->n, nx, ny);
    for (size_t i = 0; i < t->n; i++)
        if (!isfinite(t->x[i]) || !isfinite(t->y[i]))
            return err_set(e, ERR_NUMERIC, "%s: point %zu is not a number", path, i);
    return 0;
}

/* The class of point i: its group, or n_groups (a lobe that won no chunk), or n_groups + 1 (in no lobe). */
static int class_of(const struct lobes *l, const char *cluster_path, const json_t *label, const char *map_path,
                    const struct points *t, size_t i, size_t *out, struct err *e) {
    int64_t f = 0, group = 0, lobe = 0;
    int rc = index_at(t->feature, i, map_path, "feature", 0, (int64_t)l->n_features, &f, e);
    if (!rc) rc = index_at(l->feature_group, (size_t)f, l->path, "feature_group", -1, (int64_t)l->n_groups, &group, e);
    if (!rc) rc = index_at(label, (size_t)f, cluster_path, "label", -1, (int64_t)l->n_lobes, &lobe, e);
    if (!rc) *out = group >= 0 ? (size_t)group : lobe >= 0 ? l->n_groups : l->n_groups + 1;
    return rc;
}

static int add_classes(const struct kind_args *args, struct chart_panel *p, const struct lobes *l,
                       const struct points *t, const size_t *class, json_t *o, struct err *e) {
    json_t *counts = json_object();
    for (size_t k = 0; k < l->n_groups + 2; k++) {
        size_t n = 0, at = 0;
        char name[CHART_TEXT];
        const char *what = k < l->n_groups    ? kind_group_name(l->group[k])
                           : k == l->n_groups ? "lobe that won no chunk"
                                              : "in no lobe";
        const char *key = k < l->n_groups ? l->group[k] : k == l->n_groups ? "no_language" : "no_lobe";
        for (size_t i = 0; i < t->n; i++) n += class[i] == k;
        counts = jsonfile_with(counts, "%s=%zu", key, n);
        bool none = k >= l->n_groups, hidden = none && !strcmp(args->left_out, "hide");
        if (!n && none) continue;
        snprintf(name, sizeof name, "%s%s (%zu)", what, hidden ? ", not drawn" : "", n);
        uint32_t colour = none ? (k == l->n_groups ? 0x8a8a8a : 0xc4c4c4) : kind_group_colour(l->group[k], k);
        struct chart_series *s = chart_add(p, CHART_POINTS, name, colour, hidden ? 0 : n, e);
        if (!s) {
            json_decref(counts);
            return ERR_MEMORY;
        }
        s->alpha = none ? 0.85 : 0.75, s->behind = none;
        for (size_t i = 0; i < t->n && !hidden; i++)
            if (class[i] == k) s->x[at] = t->x[i], s->y[at] = t->y[i], at++;
    }
    return jsonfile_put(o, "features=%p", counts) ? err_set(e, ERR_MEMORY, "no memory for the features of the map") : 0;
}

/* What the file itself warns of ("cluster 1 has 3 features"): all into o["notes"], the first under the panel. */
static void add_warnings(const json_t *file, json_t *o, struct chart_panel *p) {
    json_t *all = json_object_get(o, "notes"), *note;
    size_t i;
    json_array_foreach(json_object_get(file, "notes"), i, note) {
        if (!json_is_string(note)) continue;
        json_array_append(all, note);
        if (i == 0) chart_panel_note(p, "Note: %s", json_string_value(note));
    }
}

static int cluster_numbers(const json_t *cluster, const char *path, json_t *o, struct err *e) {
    static const char *const keys[] = {"k", "smallest_lobe_share", NULL}, *const left[] = {"never", "always", "masked"};
    int rc = kind_take(o, cluster, path, keys, e);
    for (int i = 0; !rc && i < 3; i++) {
        const json_t *a = json_object_get(cluster, left[i]);
        if (json_is_array(a)) jsonfile_put(o, "%s=%zu", left[i], json_array_size(a));
    }
    return rc;
}

static int fill_panel(const struct kind_args *args, struct chart_panel *p, const struct lobes *l, const char *map_path,
                      const struct points *t, const char *cluster_path, const json_t *cluster, json_t *o,
                      struct err *e) {
    json_t *label;
    int rc = jsonfile_array(cluster, cluster_path, "label", &label, e);
    if (!rc && json_array_size(label) != l->n_features)
        rc = err_set(e, ERR_SHAPE, "%s: key 'label': want %zu entries as in 'feature_group' of %s, got %zu",
                     cluster_path, l->n_features, l->path, json_array_size(label));
    if (rc) return rc;
    size_t *class = calloc(t->n ? t->n : 1, sizeof *class);
    if (!class) return err_set(e, ERR_MEMORY, "%s: no memory for %zu points", map_path ? map_path : "map", t->n);
    for (size_t i = 0; !rc && i < t->n; i++) rc = class_of(l, cluster_path, label, map_path, t, i, &class[i], e);
    if (!rc) rc = add_classes(args, p, l, t, class, o, e);
    free(class);
    if (!rc) rc = cluster_numbers(cluster, cluster_path, o, e);
    if (!rc) rc = lobe_statistics(l, o, e);
    if (!rc) rc = add_tests(l, o, p, e);
    if (rc) return rc;
    jsonfile_put(o, "notes=%p", json_array());
    add_warnings(cluster, o, p);
    jsonfile_put(o, "method=%s", t->method);
    if (isfinite(t->kl)) jsonfile_put(o, "kl=%.9g", t->kl);
    jsonfile_put(o, "trustworthiness=%.9g", t->trust);
    snprintf(p->x.label, CHART_TEXT, "%.40s 1", t->method);
    snprintf(p->y.label, CHART_TEXT, "%.40s 2", t->method);
    p->x.bare = p->y.bare = p->equal = true;
    return 0;
}

/* "t-SNE of 4011 of all 4096 decoder directions, perplexity 30, KL divergence 1.52, trustworthiness 0.93" */
static void add_map_note(struct chart_panel *p, const struct points *t, size_t of) {
    char how[3][48] = {"", "", ""};
    if (isfinite(t->perplexity)) snprintf(how[0], sizeof how[0], ", perplexity %g", t->perplexity);
    if (isfinite(t->neighbors)) snprintf(how[0], sizeof how[0], ", %g neighbours", t->neighbors);
    if (isfinite(t->kl)) snprintf(how[1], sizeof how[1], ", KL divergence %.2f", t->kl);
    if (isfinite(t->trust)) snprintf(how[2], sizeof how[2], ", trustworthiness %.2f", t->trust);
    chart_panel_note(p, "%s of %zu of all %zu decoder directions%s%s%s", t->method, t->n, of, how[0], how[1], how[2]);
}

static int scatter_panel(const struct kind_args *args, size_t i, struct chart *c, json_t *inputs, struct err *e) {
    const char *map_path = !args->map.n ? NULL : args->map.item[args->map.n == 1 ? 0 : i],
               *cluster_path = args->cluster.item[i];
    struct lobes l = {0};
    struct points t = {.method = "no map", .kl = NAN, .trust = NAN, .perplexity = NAN, .neighbors = NAN};
    json_t *map = NULL, *cluster = NULL, *o = json_object();
    const char *affinity = NULL;
    char preset[KIND_TEXT], label[KIND_TEXT];
    int rc = map_path ? jsonfile_read(map_path, &map, e) : 0;
    if (!rc && map_path) rc = points_read(map_path, map, &t, e);
    if (!rc) rc = lobes_read(args->lobes.item[i], &l, e);
    if (!rc) rc = jsonfile_read(cluster_path, &cluster, e);
    if (!rc) rc = jsonfile_text(cluster, cluster_path, "affinity", &affinity, e);
    if (!rc) kind_panel_name(affinity, kind_site_of(map, l.file, cluster), preset);
    if (!rc) rc = kind_label(args, i, c->n_panels, preset, label, e);
    if (!rc) {
        snprintf(c->panel[i].title, CHART_TEXT, "%s", label);
        o = jsonfile_with(o, "title=%s affinity=%s", label, affinity);
        rc = fill_panel(args, &c->panel[i], &l, map_path, &t, cluster_path, cluster, o, e);
    }
    if (!rc && map_path && c->n_panels == 1) add_map_note(&c->panel[i], &t, l.n_features);
    if (!rc && map_path && (i == 0 || args->map.n > 1)) rc = kind_origin(inputs, "map", label, map, e);
    if (!rc) rc = kind_origin(inputs, "lobes", label, l.file, e);
    if (!rc) rc = kind_origin(inputs, "cluster", label, cluster, e);
    json_array_append(json_object_get(c->statistics, "panels"), o);
    json_decref(o);
    json_decref(map);
    json_decref(cluster);
    json_decref(l.file);
    points_free(&t);
    return rc;
}

static int build_lobes_scatter(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    static const char *const words[] = {
        "Purity: share of features whose nearest neighbour by decoder direction lies in the same lobe.",
        "AMI: adjusted mutual information of a feature's lobe and the language it fires on most.",
        "Lobe–direction: the same with a clustering of decoder directions in the language's place.",
        "Told from direction: balanced accuracy of a linear classifier on features it was not fitted to.",
        "Chance: lobes or languages shuffled among the features; z: standard deviations above it."};
    size_t n = args->lobes.n;
    if (!n || args->cluster.n != n || (args->map.n > 1 && args->map.n != n))
        return err_set(e, ERR_USAGE,
                       "plot: want as many --lobes as --cluster and no --map, one, or as many, got %zu, %zu, %zu", n,
                       args->cluster.n, args->map.n);
    int rc = chart_init(c, n, n <= 3 ? n : n == 4 ? 2 : 3, e);
    if (rc) return rc;
    c->aspect = 1;
    c->side = n == 1;
    c->statistics = jsonfile_with(c->statistics, "panels=%p", json_array());
    for (size_t i = 0; !rc && i < n; i++) rc = scatter_panel(args, i, c, inputs, e);
    for (size_t i = 0; !rc && i < sizeof words / sizeof *words; i++) chart_note(c, "%s", words[i]);
    return rc;
}

const struct kind kind_lobes_scatter = {.name = "lobes-scatter", .build = build_lobes_scatter};

/* ---- histogram ---- */

static void lobe_name(const struct lobes *l, size_t k, char out[CHART_LABEL]) {
    json_int_t g = json_integer_value(json_array_get(l->lobe_group, k));
    snprintf(out, CHART_LABEL, "%zu%s%.20s%s", k, g >= 0 ? " (" : "", g >= 0 ? kind_group_name(l->group[g]) : "",
             g >= 0 ? ")" : "");
}

static int bars(struct chart_panel *p, const struct lobes *l, struct err *e) {
    for (size_t g = 0; g < l->n_groups; g++) {
        struct chart_series *s =
            chart_add(p, CHART_BARS, kind_group_name(l->group[g]), kind_group_colour(l->group[g], g), l->n_lobes, e);
        if (!s) return ERR_MEMORY;
        for (size_t k = 0; k < l->n_lobes; k++) {
            s->x[k] = (double)k;
            int rc = chunks_at(l, k, g, &s->y[k], e);
            if (rc) return rc;
        }
    }
    snprintf(p->y.label, CHART_TEXT, "chunks won");
    p->y.from_zero = true;
    return 0;
}

static int heat(struct chart_panel *p, const struct lobes *l, struct err *e) {
    struct chart_series *s = chart_add(p, CHART_HEAT, "", 0, l->n_lobes * l->n_groups, e);
    int rc = s ? chart_categories(&p->y, l->n_groups, e) : ERR_MEMORY;
    for (size_t g = 0; !rc && g < l->n_groups; g++) {
        snprintf(p->y.category[g], CHART_LABEL, "%.31s", kind_group_name(l->group[g]));
        for (size_t k = 0; !rc && k < l->n_lobes; k++) rc = chunks_at(l, k, g, &s->y[g * l->n_lobes + k], e);
    }
    if (!rc) chart_panel_note(p, "Colour and number: chunks of the language that the lobe won.");
    return rc;
}

static int histogram_panel(const struct kind_args *args, size_t i, struct chart *c, json_t *inputs, struct err *e) {
    struct chart_panel *p = &c->panel[i];
    struct lobes l = {0};
    json_t *o = json_object();
    char label[KIND_TEXT], preset[KIND_TEXT] = "";
    int rc = lobes_read(args->in.item[i], &l, e);
    if (!rc && args->in.n > 1) kind_site_name(kind_site_of(l.file, NULL, NULL), i, preset);
    if (!rc) rc = kind_label(args, i, args->in.n, preset, label, e);
    if (!rc) rc = kind_origin(inputs, "in", label, l.file, e);
    if (!rc) rc = lobe_statistics(&l, o, e);
    if (!rc) rc = chart_categories(&p->x, l.n_lobes, e);
    for (size_t k = 0; !rc && k < l.n_lobes; k++) {
        if (l.n_lobes < HEAT_FROM)
            lobe_name(&l, k, p->x.category[k]);
        else
            snprintf(p->x.category[k], CHART_LABEL, "%zu", k);
    }
    if (!rc) rc = l.n_lobes < HEAT_FROM ? bars(p, &l, e) : heat(p, &l, e);
    if (!rc) {
        snprintf(p->title, CHART_TEXT, "%s", label);
        snprintf(p->x.label, CHART_TEXT, "lobe (its language)");
        if (l.n_lobes >= HEAT_FROM) snprintf(p->x.label, CHART_TEXT, "lobe");
    }
    json_array_append(json_object_get(c->statistics, "panels"), o);
    json_decref(o);
    json_decref(l.file);
    return rc;
}

static int build_histogram(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e) {
    size_t n = args->in.n;
    int rc = chart_init(c, n, n <= 3 ? n : n == 4 ? 2 : 3, e);
    if (rc) return rc;
    c->aspect = n == 1 ? 0.45 : 0.8;
    c->legend_shared = true;
    c->statistics = jsonfile_with(c->statistics, "panels=%p", json_array());
    for (size_t i = 0; !rc && i < n; i++) rc = histogram_panel(args, i, c, inputs, e);
    return rc;
}

const struct kind kind_histogram = {.name = "histogram", .reads = "lobes JSON", .build = build_histogram};
