/* kind.c - what all kinds of chart share; see kind.h. */
#include "lib/chart/kind.h"

#include <stdio.h>
#include <string.h>

#include "lib/file/jsonfile.h"

int kind_label(const struct kind_args *args, size_t i, size_t n, const char *preset, char out[KIND_TEXT],
               struct err *e) {
    if (!args->labels) {
        snprintf(out, KIND_TEXT, "%s", preset);
        return 0;
    }
    size_t count = 1;
    for (const char *s = args->labels; *s; s++) count += *s == '|';
    if (count != n) return err_set(e, ERR_USAGE, "plot: --labels %s: want %zu names, got %zu", args->labels, n, count);
    const char *s = args->labels;
    while (i--) s = strchr(s, '|') + 1;
    size_t len = strcspn(s, "|");
    if (len >= KIND_TEXT) return err_set(e, ERR_USAGE, "plot: --labels: a name is longer than %d bytes", KIND_TEXT - 1);
    json_t *text = json_stringn(s, len);
    if (!text) return err_set(e, ERR_USAGE, "plot: --labels, --title: want UTF-8 text");
    json_decref(text);
    memcpy(out, s, len);
    out[len] = 0;
    return 0;
}

int kind_take(json_t *into, const json_t *from, const char *path, const char *const *keys, struct err *e) {
    for (; *keys; keys++) {
        json_t *v = json_object_get(from, *keys);
        if (!v) return err_set(e, ERR_FORMAT, "%s: key '%s': is missing", path, *keys);
        if (jsonfile_put(into, "%s=%p", *keys,
                         json_is_real(v) ? jsonfile_number(json_real_value(v), 9) : json_deep_copy(v)))
            return err_set(e, ERR_MEMORY, "%s: key '%s': no memory for a copy", path, *keys);
    }
    return 0;
}

int kind_origin(json_t *inputs, const char *option, const char *label, const json_t *file, struct err *e) {
    json_t *list = json_object_get(inputs, option), *entry = json_object(), *record = json_object_get(file, "record");
    if (!list) {
        list = json_array();
        if (json_object_set_new(inputs, option, list))
            return err_set(e, ERR_MEMORY, "no memory for the origin of inputs");
    }
    entry = jsonfile_with(entry, "label=%s record=%p", label, record ? json_deep_copy(record) : json_null());
    if (json_array_append_new(list, entry)) return err_set(e, ERR_MEMORY, "no memory for the origin of inputs");
    return 0;
}

void kind_site_name(const char *site, size_t i, char out[KIND_TEXT]) {
    size_t digits = site && *site == 'L' ? strspn(site + 1, "0123456789") : 0;
    if (!site || !*site)
        snprintf(out, KIND_TEXT, "SAE %zu", i + 1);
    else if (digits && !strcmp(site + 1 + digits, "R"))
        snprintf(out, KIND_TEXT, "Layer %.*s", (int)digits, site + 1);
    else
        snprintf(out, KIND_TEXT, "%s", site);
}

const char *kind_site_of(const json_t *a, const json_t *b, const json_t *c) {
    const json_t *file[3] = {a, b, c};
    for (int i = 0; i < 3; i++) {
        const json_t *site = json_object_get(file[i], "site");
        if (!site) site = json_object_get(json_object_get(file[i], "record"), "site");
        if (json_is_string(site)) return json_string_value(site);
    }
    return NULL;
}

void kind_panel_name(const char *affinity, const char *site, char out[KIND_TEXT]) {
    char layer[KIND_TEXT] = "", name[KIND_TEXT];
    snprintf(name, sizeof name, "%s", strcmp(affinity, "smc") ? affinity : "simple matching");
    for (char *s = name; *s; s++)
        if (*s == '_' || *s == '-') *s = ' ';
    if (*name >= 'a' && *name <= 'z') *name = (char)(*name - 'a' + 'A');
    if (site && *site) kind_site_name(site, 0, layer);
    snprintf(out, KIND_TEXT, "%.40s%s%.50s", layer, *layer ? ": " : "", name);
}

static const struct {
    const char *group, *name;
    uint32_t colour;
} groups[] = {{"en", "English", 0x0072B2},
              {"zh", "Chinese", 0xD55E00},
              {"ar", "Arabic", 0x009E73},
              {"code", "Code", 0xCC79A7},
              {"math", "Mathematics", 0xE69F00}};

const char *kind_group_name(const char *group) {
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (!strcmp(groups[i].group, group)) return groups[i].name;
    return group;
}

uint32_t kind_group_colour(const char *group, size_t index) {
    static const uint32_t others[] = {0x56B4E9, 0x000000, 0xF0E442};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (!strcmp(groups[i].group, group)) return groups[i].colour;
    return others[index % (sizeof others / sizeof *others)];
}

/* kinds.inc names what the files kind_*.c define: "KIND(kind_ablation)" a line (mk/build.mk). */
#define KIND(k) extern const struct kind k;
#include "kinds.inc"
#undef KIND
#define KIND(k) &k,
const struct kind *const kind_list[] = {
#include "kinds.inc"
    NULL};

int kind_build(const struct kind_args *args, struct chart *c, json_t **inputs, struct err *e) {
    const bool triples = args->map.n || args->lobes.n || args->cluster.n;
    const struct kind *const *k = kind_list;
    *inputs = json_object();
    if (!*inputs) return err_set(e, ERR_MEMORY, "no memory for the origin of inputs");
    while (*k && strcmp((*k)->name, args->kind)) k++;
    if (!*k) return err_set(e, ERR_USAGE, "plot: --kind %s: no such kind", args->kind);
    if (!(*k)->reads && args->in.n)
        return err_set(e, ERR_USAGE, "plot: --in: not read by kind %s: want --map, --lobes, --cluster", args->kind);
    if ((*k)->reads && triples)
        return err_set(e, ERR_USAGE, "plot: --map, --lobes, --cluster: not read by kind %s: want --in", args->kind);
    if ((*k)->reads && !args->in.n) return err_set(e, ERR_USAGE, "plot: kind %s: --in FILE... is needed", args->kind);
    int rc = (*k)->build(args, c, *inputs, e);
    if (!rc && args->title) snprintf(c->title, sizeof c->title, "%s", args->title);
    if (!rc) chart_whole_letters(c);
    c->seed = (uint64_t)args->seed;
    return rc;
}
