/* plot.c - artifacts of one chart kind in; a picture with its lineage, and the plotted numbers as JSON, out.
 *
 * Reads JSON artifacts (and the curve.json and train.json of train folders). Computes nothing that is not in the
 * picture. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/infile.h"
#include "lib/base/outdir.h"
#include "lib/base/outfile.h"
#include "lib/base/stage.h"
#include "lib/chart/chart.h"
#include "lib/chart/kind.h"
#include "lib/chart/pngfile.h"
#include "lib/file/jsonfile.h"

#define PROG "plot"

static const char *const written[] = {"?plot.png", "?plot.pdf", "?plot.svg", "plot.json", NULL};

struct args {
    struct kind_args kind;
    const char *format, *lineage, *out;
    int64_t width_px;
    char *kinds, *reads; /* "curves|effect|…" and "curves: train folders; effect: effect JSON; …" */
};

enum { N_OPTIONS = 15 };

/* What the kinds are called and what they read; neighbours that read the same are told together. */
static int list_kinds(struct args *a, struct err *e) {
    size_t n[2];
    FILE *names = open_memstream(&a->kinds, &n[0]), *reads = open_memstream(&a->reads, &n[1]);
    for (const struct kind *const *k = kind_list; names && reads && *k; k++) {
        bool same = k[1] && (*k)->reads && k[1]->reads && !strcmp((*k)->reads, k[1]->reads);
        fprintf(names, "%s%s", (*k)->name, k[1] ? "|" : "");
        if ((*k)->reads) fprintf(reads, "%s%s%s", (*k)->name, same ? ", " : ": ", same ? "" : (*k)->reads);
        if ((*k)->reads && !same && k[1]) fputs("; ", reads);
    }
    bool failed = !names || !reads;
    if (names) failed |= fclose(names) != 0;
    if (reads) failed |= fclose(reads) != 0;
    return failed ? err_set(e, ERR_MEMORY, "plot: no memory for the kinds") : 0;
}

static void table(struct args *a, struct opt t[N_OPTIONS]) {
    struct kind_args *k = &a->kind;
    const struct opt o[N_OPTIONS] = {
        {.name = "kind", .type = OPT_TEXT, .dst = &k->kind, .choices = a->kinds, .help = "what to draw"},
        {.name = "in", .type = OPT_INPUTS, .dst = &k->in, .preset = "", .help = a->reads},
        {.name = "map",
         .type = OPT_INPUTS,
         .dst = &k->map,
         .preset = "",
         .help = "lobes-scatter: tsne or umap JSON, one for all panels or one a panel; none: the numbers without a "
                 "picture"},
        {.name = "lobes",
         .type = OPT_INPUTS,
         .dst = &k->lobes,
         .preset = "",
         .help = "lobes-scatter: lobes JSON, one a panel"},
        {.name = "cluster",
         .type = OPT_INPUTS,
         .dst = &k->cluster,
         .preset = "",
         .help = "lobes-scatter: cluster JSON, one a panel"},
        {.name = "labels",
         .type = OPT_TEXT,
         .dst = &k->labels,
         .preset = "",
         .help = "names of the inputs or panels, separated by '|' (default: what the files say)"},
        {.name = "title", .type = OPT_TEXT, .dst = &k->title, .preset = "", .help = "title above the figure"},
        {.name = "left-out",
         .type = OPT_TEXT,
         .dst = &k->left_out,
         .preset = "grey",
         .choices = "grey|hide",
         .help = "lobes-scatter: features in no lobe"},
        {.name = "target-l0",
         .type = OPT_REAL,
         .dst = &k->target_l0,
         .preset = "80",
         .lo = 0,
         .hi = 1e9,
         .unit = "features",
         .help = "sweep, curves: L0 to reach"},
        {.name = "target-ev",
         .type = OPT_REAL,
         .dst = &k->target_ev,
         .preset = "0.72",
         .lo = 0,
         .hi = 1,
         .unit = "1",
         .help = "sweep: explained variance to reach"},
        {.name = "seed",
         .type = OPT_INT,
         .dst = &k->seed,
         .preset = "0",
         .lo = 0,
         .hi = 4294967295.0,
         .help = "order in which points are drawn"},
        {.name = "width",
         .type = OPT_INT,
         .dst = &a->width_px,
         .preset = "2200",
         .lo = 400,
         .hi = 10000,
         .unit = "px",
         .help = "width of the figure, 7 inches in print"},
        {.name = "format",
         .type = OPT_TEXT,
         .dst = &a->format,
         .preset = "png",
         .choices = "png|pdf|svg",
         .help = "of the picture: pixels, or vectors for print; the numbers are the same",
         .unrecorded = true},
        {.name = "lineage",
         .type = OPT_INPUT,
         .dst = &a->lineage,
         .preset = "",
         .help = "text: the commands that made the inputs, put into the PNG and the JSON"},
        {.name = "out",
         .type = OPT_OUTPUT,
         .dst = &a->out,
         .help = "folder for plot.png (or .pdf, .svg) and plot.json"},
    };
    memcpy(t, o, sizeof o);
}

/* The command that the record stands for: inputs as content hashes, no path. */
static int command_text(const json_t *record, char **out, struct err *e) {
    size_t n;
    FILE *f = open_memstream(out, &n);
    if (!f) return err_set(e, ERR_MEMORY, "plot: no memory for the command");
    const char *key;
    const json_t *value, *item;
    fputs(PROG, f);
    for (void *at = json_object_iter((json_t *)(uintptr_t)record); at;
         at = json_object_iter_next((json_t *)(uintptr_t)record, at)) {
        key = json_object_iter_key(at), value = json_object_iter_value(at);
        if (!strcmp(key, "stage") || (json_is_array(value) && !json_array_size(value))) continue;
        fprintf(f, " --%s", key);
        if (json_is_string(value))
            fprintf(f, " '%s'", json_string_value(value));
        else if (json_is_array(value))
            for (size_t i = 0; (item = json_array_get(value, i)); i++) fprintf(f, " %s", json_string_value(item));
        else if (json_is_number(value)) {
            char number[32];
            jsonfile_shortest(json_number_value(value), number);
            fprintf(f, " %s", number);
        }
    }
    if (!fclose(f)) return 0;
    return err_set(e, ERR_MEMORY, "plot: no memory for the command");
}

static int read_text(const char *path, char **out, struct err *e) {
    enum { MOST = 1 << 24 };
    size_t n = 0;
    *out = mem_array(MOST + 1, 1, "the lineage", e);
    if (!*out) return ERR_MEMORY;
    FILE *f;
    int rc = infile_stream(path, &f, e);
    if (rc) return rc;
    n = fread(*out, 1, MOST + 1, f);
    rc = ferror(f) ? err_errno(e, "%s: cannot read", path) : 0;
    fclose(f);
    if (!rc && n > MOST) rc = err_set(e, ERR_RANGE, "%s: longer than 16 MiB", path);
    if (!rc && memchr(*out, 0, n)) rc = err_set(e, ERR_FORMAT, "%s: want text, got a zero byte", path);
    if (rc) return rc;
    (*out)[n] = 0;
    json_t *utf8 = json_stringn(*out, n);
    if (!utf8) return err_set(e, ERR_FORMAT, "%s: want UTF-8 text", path);
    json_decref(utf8);
    return 0;
}

struct run {
    struct chart chart;
    struct canvas *canvas;
    json_t *inputs, *record;
    char *record_text, *lineage_text, *inputs_text, *command;
    size_t w, h;
};

static int write_json(const struct args *a, const struct run *r, const char *folder, struct err *e) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/plot.json", folder) >= (int)sizeof path)
        return err_set(e, ERR_IO, "%s: path too long", folder);
    json_t *o = jsonfile_object("kind=%s title=%s width_px=%zu height_px=%zu statistics=%p", a->kind.kind,
                                r->chart.title, r->w, r->h, json_incref(r->chart.statistics));
    json_t *drawn = chart_json(&r->chart);
    if (!drawn || json_object_update(o, drawn)) {
        json_decref(o);
        o = NULL;
    }
    json_decref(drawn);
    o = jsonfile_with(o, "inputs=%p record=%p command=%s lineage=%p", json_incref(r->inputs), json_incref(r->record),
                      r->command, r->lineage_text ? json_string(r->lineage_text) : json_null());
    return jsonfile_write_new(path, o, e);
}

static int write_vectors(const struct args *a, const struct run *r, const char *path, struct err *e) {
    const char *bytes;
    char *command = NULL;
    size_t n, n_command;
    FILE *f = open_memstream(&command, &n_command);
    if (!f) return err_set(e, ERR_MEMORY, "plot: no memory for the command");
    fprintf(f, "%s --format %s", r->command, a->format);
    int rc = fclose(f) ? err_set(e, ERR_MEMORY, "plot: no memory for the command") : 0;
    if (!rc) rc = canvas_file(r->canvas, r->chart.title, command, r->lineage_text, &bytes, &n, e);
    if (!rc) rc = outfile_text(path, bytes, n, e);
    free(command);
    return rc;
}

static int write_picture(const struct args *a, const struct run *r, const char *folder, struct err *e) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/plot.%s", folder, a->format) >= (int)sizeof path)
        return err_set(e, ERR_IO, "%s: path too long", folder);
    if (canvas_is_vector(r->canvas)) return write_vectors(a, r, path, e);
    const struct pngfile_text texts[] = {{"Software", "saemill plot"},
                                         {"saemill:command", r->command},
                                         {"saemill:record", r->record_text},
                                         {"saemill:inputs", r->inputs_text},
                                         {"saemill:lineage", r->lineage_text}};
    size_t stride, n = sizeof texts / sizeof *texts - !r->lineage_text;
    const uint32_t *pixels = canvas_pixels(r->canvas, &stride);
    return pngfile_write(path, pixels, stride, (int)r->w, (int)r->h, texts, n, e);
}

static int write_all(const struct args *a, const struct run *r, struct err *e) {
    struct outdir o;
    int rc = outdir_open(&o, a->out, PROG, written, e);
    if (rc) return rc;
    rc = write_picture(a, r, o.part, e);
    if (!rc) rc = write_json(a, r, o.part, e);
    if (rc) outdir_abort(&o);
    return rc ? rc : outdir_commit(&o, e);
}

static int provenance(const struct args *a, const struct stage *me, struct run *r, struct err *e) {
    int rc = stage_record(me, &r->record_text, e);
    if (!rc && !(r->record = json_loads(r->record_text, 0, NULL)))
        rc = err_set(e, ERR_USAGE, "plot: --labels, --title: want UTF-8 text");
    if (!rc && !(r->inputs_text = json_dumps(r->inputs, JSON_COMPACT))) rc = err_set(e, ERR_MEMORY, "plot: no memory");
    if (!rc) rc = command_text(r->record, &r->command, e);
    if (!rc && a->lineage) rc = read_text(a->lineage, &r->lineage_text, e);
    return rc;
}

static void run_free(struct run *r) {
    chart_free(&r->chart);
    canvas_close(r->canvas);
    json_decref(r->inputs);
    json_decref(r->record);
    free(r->record_text);
    free(r->lineage_text);
    free(r->inputs_text);
    free(r->command);
}

int main(int argc, char **argv) {
    struct args a = {0};
    struct opt t[N_OPTIONS];
    struct run r = {0};
    struct err e = {0};

    int rc = list_kinds(&a, &e);
    table(&a, t);
    const struct stage me = {
        PROG, "draw a figure from artifacts: DIR/plot.png with its lineage, DIR/plot.json with its numbers",
        OPT_TABLE(t)};
    if (!rc) rc = stage_start(&me, argc, argv, &e);

    if (!rc) rc = outdir_check(a.out, PROG, written, &e);
    if (!rc) rc = kind_build(&a.kind, &r.chart, &r.inputs, &e);
    if (!rc) rc = provenance(&a, &me, &r, &e);

    const enum canvas_form form = rc || !strcmp(a.format, "png") ? CANVAS_PIXELS
                                  : !strcmp(a.format, "pdf")     ? CANVAS_PDF
                                                                 : CANVAS_SVG;
    if (!rc) rc = chart_draw(&r.chart, form, (int)a.width_px, &r.canvas, &e);
    if (!rc) canvas_size(r.canvas, &r.w, &r.h);

    if (!rc) rc = write_all(&a, &r, &e);
    if (!rc)
        stage_done(PROG, "%s, %zu panel%s, %zu x %zu pixels: %s", a.kind.kind, r.chart.n_panels,
                   r.chart.n_panels == 1 ? "" : "s", r.w, r.h, a.out);
    run_free(&r);
    free(a.kinds), free(a.reads);
    return stage_end(&me, rc, &e);
}
