/* page.c - the figures of a paper with their captions, claims and lineage, as one plain HTML page.
 *
 * Reads plot.json files (their PNG is the sibling of the same stem), the claims and the captions; judges every claim by
 * the plotted numbers. The page works without JavaScript, names its pictures by relative path and holds no date. */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/infile.h"
#include "lib/base/outfile.h"
#include "lib/base/stage.h"
#include "lib/page/html.h"
#include "lib/page/report.h"
#include "lib/file/jsonfile.h"

#define PROG "page"

struct args {
    struct opt_list figures;
    const char *claims, *captions, *convergence, *reported, *title, *scale, *from, *out;
};

enum { N_OPTIONS = 9 };

static void table(struct args *a, struct opt t[N_OPTIONS]) {
    const struct opt o[N_OPTIONS] = {
        {.name = "figures",
         .type = OPT_INPUTS,
         .dst = &a->figures,
         .help = "plot JSON files, in page order; a figure's id is the file's stem (fig2.json: fig2)"},
        {.name = "claims",
         .type = OPT_INPUT,
         .dst = &a->claims,
         .help = "claims.tsv: id, figure, section, claim, check, condition"},
        {.name = "captions", .type = OPT_INPUT, .dst = &a->captions, .help = "captions.tsv: figure, title, caption"},
        {.name = "convergence",
         .type = OPT_INPUT,
         .dst = &a->convergence,
         .preset = "",
         .help = "converge JSON: the claims' values against training, and which of them still move"},
        {.name = "reported",
         .type = OPT_INPUT,
         .dst = &a->reported,
         .preset = "",
         .help = "reported.tsv, the paper's own numbers: figure, what, reported, path, source"},
        {.name = "title",
         .type = OPT_TEXT,
         .dst = &a->title,
         .preset = "Rebuilt figures",
         .help = "heading of the page"},
        {.name = "scale",
         .type = OPT_TEXT,
         .dst = &a->scale,
         .preset = "",
         .help = "scale of the runs, shown under the heading"},
        {.name = "from",
         .type = OPT_TEXT,
         .dst = &a->from,
         .preset = "",
         .help = "folder that the page will be looked at in, if not that of --out: pictures are named relative to it"},
        {.name = "out", .type = OPT_OUTPUT, .dst = &a->out, .help = "the HTML file"},
    };
    memcpy(t, o, sizeof o);
}

static void folder_of(const char *path, char out[PATH_MAX]) {
    const char *slash = strrchr(path, '/');
    snprintf(out, PATH_MAX, "%.*s", slash ? (int)(slash - path) : 0, path);
    if (slash == path) snprintf(out, PATH_MAX, "/");
}

/* The links of one figure; the PNG is the JSON's sibling of the same stem. */
static int figure_names(struct report_figure *g, const char *from, struct err *e) {
    const char *base = strrchr(g->path, '/');
    char png[PATH_MAX];
    base = base ? base + 1 : g->path;
    size_t n = strlen(base), all = strlen(g->path);
    if (n < 6 || strcmp(base + n - 5, ".json"))
        return err_set(e, ERR_USAGE, "page: --figures %s: want a .json file", g->path);
    if (n - 5 >= sizeof g->id || all >= sizeof png) return err_set(e, ERR_RANGE, "%s: name too long", g->path);
    memcpy(g->id, base, n - 5);
    g->id[n - 5] = 0;
    snprintf(png, sizeof png, "%.*s.png", (int)all - 5, g->path);
    int fd, rc = infile_open(png, &fd, NULL, e);
    if (rc) return err_hint(e, "it is the picture of %s; plot makes both", g->path);
    close(fd);
    rc = html_link(from, g->path, g->json, sizeof g->json, e);
    return rc ? rc : html_link(from, png, g->png, sizeof g->png, e);
}

static int figures_read(const struct args *a, struct report *r, struct err *e) {
    char from[PATH_MAX];
    if (a->from)
        snprintf(from, sizeof from, "%s", a->from);
    else
        folder_of(a->out, from);
    r->figure = mem_array(a->figures.n, sizeof *r->figure, "page: figures", e);
    if (!r->figure) return ERR_MEMORY;
    r->n_figures = a->figures.n;
    for (size_t i = 0; i < r->n_figures; i++) {
        struct report_figure *g = &r->figure[i];
        g->path = a->figures.item[i];
        int rc = figure_names(g, from, e);
        if (!rc) rc = jsonfile_read(g->path, &g->plot, e);
        if (rc) return rc;
        for (size_t k = 0; k < i; k++)
            if (!strcmp(r->figure[k].id, g->id))
                return err_set(e, ERR_USAGE, "page: --figures: two are named %s", g->id);
    }
    return 0;
}

/* What may be absent: the values against training (doc outlives r), and the paper's own numbers. */
static int extras_read(const struct args *a, struct report *r, json_t **doc, struct err *e) {
    int rc = 0;
    if (a->convergence) rc = jsonfile_read(a->convergence, doc, e);
    if (!rc && a->convergence) rc = convergence_read(*doc, a->convergence, &r->training, e);
    if (!rc && a->reported) rc = tsv_read(a->reported, "figure what reported path source", &r->reported, e);
    return rc;
}

static int page_write(const struct args *a, const struct report *r, struct err *e) {
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) return err_set(e, ERR_MEMORY, "%s: no memory for the page", a->out);
    report_html(r, a->title, a->scale, f);
    bool failed = ferror(f);
    int rc = fclose(f) || failed ? err_set(e, ERR_MEMORY, "%s: no memory for the page", a->out)
                                 : outfile_text(a->out, text, n, e);
    free(text);
    return rc;
}

static void run_free(struct report *r) {
    for (size_t i = 0; i < r->n_figures; i++) json_decref(r->figure[i].plot);
    free(r->figure);
    free(r->verdict);
    tsv_free(&r->claims);
    tsv_free(&r->captions);
    tsv_free(&r->reported);
    convergence_free(&r->training);
}

int main(int argc, char **argv) {
    struct args a = {0};
    struct opt t[N_OPTIONS];
    struct report r = {0};
    json_t *training = NULL;
    char moving[64] = "";
    struct err e = {0};

    table(&a, t);
    const struct stage me = {PROG, "figures, captions, claims and lineage as one HTML page", OPT_TABLE(t)};
    int rc = stage_start(&me, argc, argv, &e);

    if (!rc) rc = figures_read(&a, &r, &e);
    if (!rc) rc = tsv_read(a.claims, "id figure section claim check condition", &r.claims, &e);
    if (!rc) rc = tsv_read(a.captions, "figure title caption", &r.captions, &e);
    if (!rc) rc = extras_read(&a, &r, &training, &e);

    if (!rc) rc = report_judge(&r, a.claims, a.captions, &e);
    if (!rc && a.convergence) rc = report_training(&r, a.convergence, &e);
    if (!rc) rc = report_reported(&r, a.reported, &e);

    if (!rc) rc = page_write(&a, &r, &e);
    if (a.convergence) snprintf(moving, sizeof moving, ", %zu still moving", r.count[CLAIM_MOVING]);
    if (!rc)
        stage_done(PROG, "%s: %zu figures, %zu claims: %zu hold, %zu in part, %zu do not%s, %zu not measured", a.out,
                   r.n_figures, r.claims.n_rows, r.count[CLAIM_HOLDS], r.count[CLAIM_PARTLY], r.count[CLAIM_FAILS],
                   moving, r.count[CLAIM_NOT_MEASURED]);
    run_free(&r);
    json_decref(training);
    return stage_end(&me, rc, &e);
}
