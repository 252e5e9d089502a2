/* report.c - see report.h. */
#include "lib/page/report.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/hash.h"
#include "lib/file/jsonfile.h"
#include "lib/page/html.h"

static const struct report_figure *figure_find(const struct report *r, const char *id) {
    for (size_t i = 0; i < r->n_figures; i++)
        if (!strcmp(r->figure[i].id, id)) return &r->figure[i];
    return NULL;
}

enum { CAPTION_FIGURE, CAPTION_TITLE, CAPTION_TEXT };
enum { CLAIM_ID, CLAIM_FIGURE, CLAIM_SECTION, CLAIM_TEXT, CLAIM_CHECK, CLAIM_CONDITION };
enum { REPORTED_FIGURE, REPORTED_WHAT, REPORTED_NUMBER, REPORTED_PATH, REPORTED_SOURCE };

static const struct tsv_row *caption_find(const struct report *r, const char *id) {
    for (size_t i = 0; i < r->captions.n_rows; i++)
        if (!strcmp(r->captions.row[i].field[CAPTION_FIGURE], id)) return &r->captions.row[i];
    return NULL;
}

static int check(const struct report *r, const char *claims_path, const char *captions_path, struct err *e) {
    for (size_t i = 0; i < r->n_figures; i++)
        if (!caption_find(r, r->figure[i].id))
            return err_set(e, ERR_FORMAT, "%s: no caption for figure '%s'", captions_path, r->figure[i].id);
    for (size_t i = 0; i < r->claims.n_rows; i++)
        if (!caption_find(r, r->claims.row[i].field[CLAIM_FIGURE]))
            return err_set(e, ERR_FORMAT, "%s:%zu: figure '%s' is not in %s", claims_path, r->claims.row[i].line,
                           r->claims.row[i].field[CLAIM_FIGURE], captions_path);
    return 0;
}

int report_judge(struct report *r, const char *claims_path, const char *captions_path, struct err *e) {
    int rc = check(r, claims_path, captions_path, e);
    if (rc) return rc;
    r->verdict = mem_array(r->claims.n_rows ? r->claims.n_rows : 1, sizeof *r->verdict, "the verdicts on claims", e);
    if (!r->verdict) return ERR_MEMORY;
    for (size_t i = 0; i < r->claims.n_rows; i++) {
        const struct tsv_row *c = &r->claims.row[i];
        const struct report_figure *g = figure_find(r, c->field[CLAIM_FIGURE]);
        char where[PATH_MAX + 32];
        snprintf(where, sizeof where, "%s:%zu", claims_path, c->line);
        rc = claim_judge(c->field[CLAIM_CONDITION], where, g ? g->plot : NULL, &r->verdict[i], e);
        if (rc) return rc;
        r->count[r->verdict[i].outcome]++;
    }
    return 0;
}

/* What is known of a claim's training; NULL where nothing is. */
static const struct converge_claim *training_find(const struct report *r, const struct tsv_row *claim) {
    for (size_t i = 0; i < r->training.n_claims; i++)
        if (!strcmp(r->training.claim[i].id, claim->field[CLAIM_ID]) &&
            !strcmp(r->training.claim[i].figure, claim->field[CLAIM_FIGURE]))
            return &r->training.claim[i];
    return NULL;
}

static enum claim_outcome outcome_of(const struct report *r, size_t claim) {
    const struct converge_claim *t = training_find(r, &r->claims.row[claim]);
    return t && t->moving ? CLAIM_MOVING : r->verdict[claim].outcome;
}

int report_training(struct report *r, const char *path, struct err *e) {
    for (size_t i = 0; i < r->training.n_claims; i++) {
        const struct converge_claim *t = &r->training.claim[i];
        bool found = false;
        for (size_t k = 0; k < r->claims.n_rows; k++) found |= training_find(r, &r->claims.row[k]) == t;
        if (!found)
            return err_set(e, ERR_FORMAT, "%s: claim '%s' on figure '%s' is not in the table of claims, or there twice",
                           path, t->id, t->figure);
    }
    memset(r->count, 0, sizeof r->count);
    for (size_t i = 0; i < r->claims.n_rows; i++) r->count[outcome_of(r, i)]++;
    return 0;
}

int report_reported(const struct report *r, const char *path, struct err *e) {
    for (size_t i = 0; i < r->reported.n_rows; i++) {
        const struct tsv_row *row = &r->reported.row[i];
        char where[PATH_MAX + 32];
        struct claim_value *v;
        size_t n;
        snprintf(where, sizeof where, "%s:%zu", path, row->line);
        if (!caption_find(r, row->field[REPORTED_FIGURE]))
            return err_set(e, ERR_FORMAT, "%s: figure '%s' has no caption", where, row->field[REPORTED_FIGURE]);
        int rc = claim_path(row->field[REPORTED_PATH], where, NULL, &v, &n, e);
        if (rc) return rc;
        free(v);
    }
    return 0;
}

static const char style[] =
    "body{font:16px/1.5 \"DejaVu Sans\",Verdana,sans-serif;color:#222;background:#fff;max-width:62rem;margin:2rem "
    "auto;padding:0 1.2rem}"
    "h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.2rem;margin-top:3rem;border-top:1px solid "
    "#ccc;padding-top:1.2rem}"
    "h3{font-size:.95rem;margin:1.4rem 0 .3rem}p{margin:.5rem 0}img{width:100%;height:auto;display:block;margin:.8rem "
    "0}"
    "table{border-collapse:collapse;width:100%;font-size:.85rem}th,td{text-align:left;vertical-align:top;padding:."
    "35rem .6rem .35rem 0;"
    "border-bottom:1px solid #e2e2e2}th{font-weight:600;border-bottom:1px solid #888}code,pre{font:.78rem/1.45 "
    "\"DejaVu Sans Mono\","
    "Consolas,monospace;overflow-wrap:anywhere}pre{background:#f6f6f4;padding:.7rem;white-space:pre-wrap;max-height:"
    "22rem;overflow:auto}"
    ".o{white-space:nowrap;font-weight:600}.o0{color:#00674b}.o1{color:#7a5200}.o2{color:#a03d00}.o3{color:#5a3d9a}"
    ".o4{color:#555}.o .q{font-weight:400}.q{"
    "color:#555;"
    "font-size:.85rem}@media print{body{max-width:none;margin:0;font-size:10pt}pre{max-height:none;overflow:visible}"
    "img,tr{break-inside:avoid}section{break-before:page}h2{border:0;margin-top:0}}"
    "a{color:#00528a}.c td{width:26%}.c td:last-child{width:auto}";

/* ---- writing ---- */

static void element(FILE *f, const char *open, const char *text, const char *close) {
    fputs(open, f);
    html_text(f, text);
    fputs(close, f);
}

static void outcome(FILE *f, const struct report *r, size_t claim) {
    enum claim_outcome now = outcome_of(r, claim), at_end = r->verdict[claim].outcome;
    fprintf(f, "<td class=\"o o%d\">%s", now, claim_word(now));
    if (now == CLAIM_MOVING) fprintf(f, "<br><span class=\"q\">at the end: %s</span>", claim_word(at_end));
    fputs("</td>", f);
}

/* A condition, with leave to break its line behind dots and underscores. */
static void code(FILE *f, const char *s) {
    fputs("<code>", f);
    for (; *s; s++) {
        const char one[2] = {*s, 0};
        html_text(f, one);
        if (*s == '.' || *s == '_') fputs("<wbr>", f);
    }
    fputs("</code></td>", f);
}

static void number(FILE *f, double x) {
    char three[32], text[32] = "none";
    snprintf(three, sizeof three, "%.3g", x);
    if (!isnan(x)) jsonfile_shortest(strtod(three, NULL), text);
    html_text(f, text);
}

/* "purity.excess, Layer 6, with training (1/8, 1/4, 1/2, end): 0.41, 0.55, 0.7, 0.78 ± 0.02": means over the seeds, and half
 * their range. */
static void training_line(FILE *f, const struct converge *t, const struct converge_value *v, const char *before) {
    fprintf(f, "<br><span class=\"q\">%s", before);
    element(f, "", v->name, *v->entry ? ", " : "");
    element(f, "", v->entry, ", with training (");
    for (size_t h = 0; h < t->H; h++) element(f, h ? ", " : "", convergence_share(t, h), "");
    fputs("): ", f);
    for (size_t h = 0; h < t->H; h++) {
        fputs(h ? ", " : "", f);
        number(f, convergence_mean(v->x, t->S, t->H, h));
    }
    if (!isnan(v->rest.spread)) {
        fputs(" ± ", f);
        number(f, v->rest.spread / 2);
    }
    fputs(v->rest.moving ? ", still moving</span>" : "</span>", f);
}

/* How far a value is from the nearest of its bounds at the end, as a share of the bound; infinite where it is missing. */
static double margin(const struct converge *t, const struct converge_value *v) {
    double x = convergence_mean(v->x, t->S, t->H, t->H - 1), least = INFINITY;
    for (size_t i = 0; i < v->n_bounds; i++) {
        double size = fabs(v->bound[i].at);
        least = fmin(least, fabs(x - v->bound[i].at) / (size > 0 ? size : 1)); /* fmin skips NaN */
    }
    return least;
}

/* A line for every value of a claim; of many only the one nearest to its bound. */
static void training_lines(FILE *f, const struct converge *t, const struct converge_claim *c) {
    enum { MOST = 4 };
    const struct converge_value *nearest = c->value;
    for (size_t i = 0; i < c->n_values; i++) {
        if (c->n_values <= MOST) training_line(f, t, &c->value[i], "");
        if (margin(t, &c->value[i]) < margin(t, nearest)) nearest = &c->value[i];
    }
    if (c->n_values > MOST) training_line(f, t, nearest, "nearest to its bound: ");
}

/* Every claim of one figure with its check and what came out; nothing where there is none. */
static void claims_table(FILE *f, const struct report *r, const char *id) {
    size_t n = 0;
    for (size_t i = 0; i < r->claims.n_rows; i++) {
        const struct tsv_row *c = &r->claims.row[i];
        if (strcmp(c->field[CLAIM_FIGURE], id)) continue;
        if (!n++)
            fputs("<h3>Claims</h3>\n<table class=\"c\"><tr><th>The report says</th><th>Our "
                  "check</th><th>Found</th><th>Outcome</th></tr>\n",
                  f);
        fputs("<tr id=\"", f);
        html_text(f, c->field[CLAIM_ID]);
        element(f, "\"><td>", c->field[CLAIM_TEXT], " <span class=\"q\">");
        element(f, "(", c->field[CLAIM_SECTION], ")</span></td>");
        element(f, "<td>", c->field[CLAIM_CHECK], "<br>");
        code(f, c->field[CLAIM_CONDITION]);
        element(f, "<td>", r->verdict[i].found, "");
        const struct converge_claim *t = training_find(r, c);
        if (t) training_lines(f, &r->training, t);
        fputs("</td>", f);
        outcome(f, r, i);
        fputs("</tr>\n", f);
    }
    if (n) fputs("</table>\n", f);
}

/* The paper's own numbers of one figure, and what stands in the place of each here. */
static void reported_table(FILE *f, const struct report *r, const struct report_figure *g) {
    size_t shown = 0;
    for (size_t i = 0; i < r->reported.n_rows; i++) {
        const struct tsv_row *row = &r->reported.row[i];
        struct claim_value *v;
        char ours[CLAIM_FOUND] = "";
        size_t n;
        if (strcmp(row->field[REPORTED_FIGURE], g->id)) continue;
        if (!shown++)
            fputs("<h3>The report's numbers beside ours</h3>\n<table><tr><th>What</th><th>The "
                  "report's</th><th>Ours</th><th>Where</th></tr>\n",
                  f);
        if (!claim_path(row->field[REPORTED_PATH], "", g->plot, &v, &n, NULL)) claim_list(v, n, ours, sizeof ours);
        free(v);
        element(f, "<tr><td>", row->field[REPORTED_WHAT], "</td>");
        element(f, "<td>", row->field[REPORTED_NUMBER], "</td>");
        element(f, "<td>", ours, "</td>");
        element(f, "<td>", row->field[REPORTED_SOURCE], "</td></tr>\n");
    }
    if (shown) fputs("</table>\n", f);
}

static void value_text(FILE *f, const json_t *v) {
    char number[32];
    if (json_is_number(v)) jsonfile_shortest(json_number_value(v), number);
    html_text(f, json_is_number(v) ? number : json_is_true(v) ? "yes" : json_is_false(v) ? "no" : json_string_value(v));
}

/* A record without its content hashes, which the lineage explains better: "width 4096 · lambda 0.001". */
static void parameters(FILE *f, const json_t *record) {
    const char *key;
    json_t *v;
    int n = 0;
    json_object_foreach((json_t *)(uintptr_t)record, key, v) {
        const char *s = json_string_value(v);
        bool is_hash = s && strlen(s) == HASH_HEX - 1 && strspn(s, "0123456789abcdef") == HASH_HEX - 1;
        if (!strcmp(key, "stage") || is_hash || json_is_array(v) || json_is_object(v)) continue;
        fputs(n++ ? " · " : "", f);
        element(f, "", key, " ");
        value_text(f, v);
    }
}

static void inputs_table(FILE *f, const json_t *plot) {
    const char *option;
    json_t *list, *entry, *inputs = json_object_get(plot, "inputs");
    size_t i;
    if (!json_object_size(inputs)) return;
    fputs("<h3>Runs and parameters</h3>\n<table><tr><th>Run</th><th>Stage</th><th>Parameters</th></tr>\n", f);
    json_object_foreach(inputs, option, list) json_array_foreach(list, i, entry) {
        const json_t *record = json_object_get(entry, "record");
        element(f, "<tr><td>", json_string_value(json_object_get(entry, "label")), "</td>");
        element(f, "<td>", json_string_value(json_object_get(record, "stage")), "</td><td>");
        parameters(f, record);
        fputs("</td></tr>\n", f);
    }
    fputs("</table>\n", f);
}

static void figure_section(FILE *f, const struct report *r, const struct report_figure *g) {
    const struct tsv_row *c = caption_find(r, g->id);
    const char *lineage = json_string_value(json_object_get(g->plot, "lineage"));
    fprintf(f, "<section id=\"");
    html_text(f, g->id);
    element(f, "\">\n<h2>", c->field[CAPTION_TITLE], "</h2>\n");
    element(f, "<a href=\"", g->png, "\">");
    element(f, "<img src=\"", g->png, "\" ");
    fprintf(f, "width=\"%lld\" height=\"%lld\" ", (long long)json_integer_value(json_object_get(g->plot, "width_px")),
            (long long)json_integer_value(json_object_get(g->plot, "height_px")));
    element(f, "alt=\"", c->field[CAPTION_TITLE], "\"></a>\n");
    element(f, "<p>", c->field[CAPTION_TEXT], "</p>\n");
    element(f, "<p class=\"q\"><a href=\"", g->json, "\">The plotted numbers (JSON)</a> · ");
    element(f, "<a href=\"", g->png, "\">The picture (PNG, holds its lineage)</a></p>\n");
    claims_table(f, r, g->id);
    reported_table(f, r, g);
    inputs_table(f, g->plot);
    fputs("<h3>The commands that made it</h3>\n<pre>", f);
    html_text(f, lineage ? lineage : json_string_value(json_object_get(g->plot, "command")));
    fputs("</pre>\n</section>\n", f);
}

static void summary(FILE *f, const struct report *r) {
    static const char *const many[CLAIM_OUTCOMES] = {"hold", "hold in part", "do not hold", "still moving",
                                                     "not measured"};
    fprintf(f, "<p>%zu figures; %zu claims: ", r->n_figures, r->claims.n_rows);
    for (int o = 0; o < CLAIM_OUTCOMES; o++) {
        if (o == CLAIM_MOVING && !r->training.n_claims) continue;
        fprintf(f, "%s<span class=\"o o%d\">%zu %s</span>", o ? ", " : "", o, r->count[o],
                r->count[o] == 1 ? claim_word((enum claim_outcome)o) : many[o]);
    }
    fputs(".</p>\n<table><tr><th>Figure</th><th>Claim</th><th>Outcome</th></tr>\n", f);
    for (size_t i = 0; i < r->claims.n_rows; i++) {
        const struct tsv_row *c = &r->claims.row[i];
        bool drawn = figure_find(r, c->field[CLAIM_FIGURE]) != NULL;
        bool again = i && !strcmp(c->field[CLAIM_FIGURE], r->claims.row[i - 1].field[CLAIM_FIGURE]);
        fputs("<tr><td>", f);
        if (drawn && !again) element(f, "<a href=\"#", c->field[CLAIM_FIGURE], "\">");
        if (!again) html_text(f, caption_find(r, c->field[CLAIM_FIGURE])->field[CAPTION_TITLE]);
        fputs(again ? "</td>" : drawn ? "</a></td>" : " (not drawn here)</td>", f);
        element(f, "<td>", c->field[CLAIM_TEXT], "</td>");
        outcome(f, r, i);
        fputs("</tr>\n", f);
    }
    fputs("</table>\n", f);
}

void report_html(const struct report *r, const char *title, const char *scale, FILE *f) {
    element(f,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
            title, "</title>\n<style>");
    fprintf(f, "%s</style>\n</head>\n<body>\n", style);
    element(f, "<h1>", title, "</h1>\n");
    if (scale) element(f, "<p class=\"q\">Scale: ", scale, "</p>\n");
    if (r->claims.n_rows) summary(f, r);
    for (size_t i = 0; i < r->n_figures; i++) figure_section(f, r, &r->figure[i]);
    fputs("</body>\n</html>\n", f);
}
