/* test_report.c - claims judged by numbers, tables and links checked, nothing in a page unescaped. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/outdir.h"
#include "lib/base/outfile.h"
#include "lib/page/claim.h"
#include "lib/page/html.h"
#include "lib/page/report.h"
#include "lib/page/tsv.h"

#define TMP "build/tmp/test_report"

static void claims_are_judged(void **state) {
    (void)state;
    json_t *o =
        json_loads("{\"s\":{\"a\":[{\"label\":\"A\",\"v\":1},{\"label\":\"B\",\"v\":3}],\"n\":null,\"k\":2}}", 0, NULL);
    static const struct {
        const char *condition;
        enum claim_outcome outcome;
        const char *found;
    } cases[] = {{"s.a.*.v >= 1", CLAIM_HOLDS, "v: A = 1, B = 3"},
                 {"s.a.*.v > 1", CLAIM_PARTLY, "v: A = 1, B = 3"},
                 {"s.a.*.v > 3", CLAIM_FAILS, "v: A = 1, B = 3"},
                 {"s.a.1.v = 3", CLAIM_HOLDS, "s.a.1.v: 3"},
                 {"s.k < 2 and s.a.*.v > 0", CLAIM_FAILS, "s.k: 2; v: A = 1, B = 3"},
                 {"s.k > 1 and s.k <= 2", CLAIM_HOLDS, "s.k: 2"},
                 {"s.n > 0", CLAIM_NOT_MEASURED, "s.n: none"},
                 {"s.x.*.v > 0", CLAIM_NOT_MEASURED, "v: none"},
                 {"s.a.9.v > 0", CLAIM_NOT_MEASURED, NULL}};
    struct claim_verdict v;
    struct err e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(claim_judge(cases[i].condition, "c.tsv:1", o, &v, &e), 0);
        assert_int_equal(v.outcome, cases[i].outcome);
        if (cases[i].found) assert_string_equal(v.found, cases[i].found);
    }
    static const char *const wrong[] = {
        "", "s.k", "s.k >", "s.k > x", "s.k >> 2", "s.k > 2 and", "s.k > 2 or s.k < 1", "s.k > nan"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(claim_judge(wrong[i], "c.tsv:1", o, &v, &e), ERR_FORMAT);
    assert_int_equal(claim_judge("s.k > 1", "c.tsv:1", NULL, &v, &e), 0);
    assert_int_equal(v.outcome, CLAIM_NOT_MEASURED);
    json_decref(o);
}

/* The same values one by one, for those who do more with them than judge. */
static void values_are_handed_out(void **state) {
    (void)state;
    json_t *o =
        json_loads("{\"statistics\":{\"a\":[{\"title\":\"A\",\"v\":[1,\"x\"]},{\"v\":[3,4]}],\"n\":7}}", 0, NULL);
    struct claim_clause *c;
    struct claim_value *v;
    struct err e = {0};
    size_t n;
    assert_int_equal(claim_clauses("statistics.a.*.v.1 > 1 and statistics.n <= 8", "c.tsv:1", o, &c, &n, &e), 0);
    assert_int_equal(n, 2);
    assert_string_equal(claim_name(c[0].path), "v.1");
    assert_string_equal(claim_name(c[1].path), "n");
    assert_string_equal(c[1].op, "<=");
    assert_true(c[1].bound == 8 && c[1].n == 1 && c[1].value[0].value == 7);
    assert_int_equal(c[0].n, 2);
    assert_string_equal(c[0].value[0].label, "A");
    assert_string_equal(c[0].value[1].label, "");
    assert_true(isnan(c[0].value[0].value) && c[0].value[1].value == 4);
    claim_clauses_free(c, n);
    assert_int_equal(claim_path("statistics.a.*.v.*", "r.tsv:1", o, &v, &n, &e), 0);
    char said[64] = "";
    claim_list(v, n, said, sizeof said);
    assert_string_equal(said, "A = 1, A = none, 3, 4");
    claim_list(v, n, said, 24); /* cut, not beyond */
    assert_int_equal(strlen(said), 23);
    free(v);
    char long_path[400];
    memset(long_path, 'x', sizeof long_path - 1), long_path[sizeof long_path - 1] = 0;
    const char *const wrong[] = {"", "a b", long_path};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(claim_path(wrong[i], "r.tsv:1", o, &v, &n, &e), ERR_FORMAT);
        assert_non_null(strstr(e.text, "r.tsv:1: "));
    }
    json_decref(o);
}

static void tables_are_checked(void **state) {
    (void)state;
    static const struct {
        const char *text, *want; /* NULL: it is fine */
    } cases[] = {{"# why\na\tb\n\n1\t2\r\n3\t\n", NULL},
                 {"", "empty file"},
                 {"a\n", "want the columns"},
                 {"a\tb\tc\n", "want the columns"},
                 {"a\tb\n1\n", ":2:"},
                 {"a\tb\n#\n1\t2\t3\n", ":3:"},
                 {"a\tb\n\xff\t2\n", "UTF-8"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tsv t;
        struct err e = {0};
        assert_int_equal(outfile_text(TMP "/t.tsv", cases[i].text, strlen(cases[i].text), &e), 0);
        int rc = tsv_read(TMP "/t.tsv", "a b", &t, &e);
        assert_int_equal(rc, cases[i].want ? ERR_FORMAT : 0);
        if (cases[i].want)
            assert_non_null(strstr(e.text, cases[i].want));
        else {
            assert_int_equal(t.n_rows, 2);
            assert_string_equal(t.row[0].field[1], "2");
            assert_string_equal(t.row[1].field[1], "");
            assert_int_equal(t.row[1].line, 5);
        }
        tsv_free(&t);
    }
}

static void links_are_relative(void **state) {
    (void)state;
    static const char *const cases[][3] = {{"figures/demo", "figures/demo/aiaa5047/fig2.png", "aiaa5047/fig2.png"},
                                           {"figures/demo/", "./figures//demo/a b%.png", "a%20b%25.png"},
                                           {"build/x", "figures/f.png", "../../figures/f.png"},
                                           {"", "f.png", "f.png"},
                                           {"/a/b", "/a/c/d", "../c/d"},
                                           {"figures/dem", "figures/demo/f", "../demo/f"},
                                           {"a", "a/\"<é>.png", "%22%3C%C3%A9%3E.png"}};
    char out[128];
    struct err e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(html_link(cases[i][0], cases[i][1], out, sizeof out, &e), 0);
        assert_string_equal(out, cases[i][2]);
    }
    assert_int_equal(html_link("/a", "b", out, sizeof out, &e), ERR_RANGE);
    assert_int_equal(html_link("../a", "b", out, sizeof out, &e), ERR_RANGE);
    assert_int_equal(html_link("", "long/name", out, 5, &e), ERR_RANGE);
}

/* Hostile texts in every place a page takes text from: none may become a tag or leave its attribute. */
static void page_escapes_all(void **state) {
    (void)state;
#define EVIL "<b onload=\"x\">&'"
    static const char claims[] =
        "id\tfigure\tsection\tclaim\tcheck\tcondition\n" EVIL "\tfig2\t" EVIL "\t" EVIL "\t" EVIL "\ts.* > 1\n";
    static const char captions[] = "figure\ttitle\tcaption\nfig2\t" EVIL "\t" EVIL "\n";
    struct report r = {0};
    struct err e = {0};
    char *text = NULL;
    size_t n;
    json_t *record = json_pack("{s:s, s:s}", "stage", EVIL, EVIL, EVIL);
    struct report_figure g = {.path = "fig2.json", .id = "fig2", .png = "fig2.png", .json = "fig2.json"};
    g.plot = json_pack("{s:{s:[{s:s, s:o}]}, s:s, s:[{s:s}]}", "inputs", "in", "label", EVIL, "record", record,
                       "lineage", EVIL, "s", "label", EVIL);
    assert_non_null(g.plot);
    outfile_text(TMP "/claims.tsv", claims, strlen(claims), &e);
    outfile_text(TMP "/captions.tsv", captions, strlen(captions), &e);
    assert_int_equal(tsv_read(TMP "/claims.tsv", "id figure section claim check condition", &r.claims, &e), 0);
    assert_int_equal(tsv_read(TMP "/captions.tsv", "figure title caption", &r.captions, &e), 0);
    r.figure = &g, r.n_figures = 1;
    r.reported = (struct tsv){.row = &(struct tsv_row){1, {"fig2", EVIL, EVIL, "s.*", EVIL}}, .n_rows = 1};
    struct converge_value value = {EVIL, EVIL, {{">", 1}}, 1, (double[]){1, 2}, {.moving = true}};
    r.training = (struct converge){.S = 1, .H = 2, .n_claims = 1, .shares = json_pack("[s, s]", EVIL, EVIL)};
    r.training.claim = &(struct converge_claim){EVIL, "fig2", true, &value, 1};
    assert_int_equal(report_judge(&r, "claims.tsv", "captions.tsv", &e), 0);
    assert_int_equal(report_training(&r, "c.json", &e), 0);
    assert_int_equal(report_reported(&r, "r.tsv", &e), 0);
    FILE *f = open_memstream(&text, &n);
    report_html(&r, EVIL, EVIL, f);
    fclose(f);
    assert_null(strstr(text, "<b "));
    assert_null(strstr(text, "\"x\""));
    assert_null(strstr(text, "&'"));
    size_t escaped = 0;
    for (const char *s = text; (s = strstr(s, "&lt;b onload=&quot;x&quot;&gt;&amp;&#39;")); s++) escaped++;
    assert_true(escaped >= 19);
    json_decref((json_t *)(uintptr_t)r.training.shares);
    free(text);
    free(r.verdict);
    r.verdict = NULL;
    g.id[3] = '9'; /* a figure without a caption */
    assert_int_equal(report_judge(&r, "claims.tsv", "captions.tsv", &e), ERR_FORMAT);
    assert_string_equal(e.text, "captions.tsv: no caption for figure 'fig9'");
    json_decref(g.plot);
    tsv_free(&r.claims);
    tsv_free(&r.captions);
}

/* A page with values against training and the paper's own numbers. `doc` is the training, `reported` the table. */
static int page_of(json_t *doc, const char *reported, char **text, struct report *r, struct err *e) {
    static const char claims[] = "id\tfigure\tsection\tclaim\tcheck\tcondition\n"
                                 "few\tfig2\t1\tF\tc\ts.*.v > 1\nmany\tfig2\t1\tM\tc\ts.*.v > 2\n"
                                 "alone\tfig2\t1\tA\tc\tn > 2\n";
    static const char captions[] = "figure\ttitle\tcaption\nfig2\tT\tC\n";
    size_t n;
    struct report_figure g = {.path = "fig2.json", .id = "fig2", .png = "fig2.png", .json = "fig2.json"};
    g.plot = json_loads("{\"s\":[{\"label\":\"L\",\"v\":1.5},{\"label\":\"R\",\"v\":4}],\"n\":3,\"command\":\"c\"}", 0,
                        NULL);
    outfile_text(TMP "/claims.tsv", claims, strlen(claims), e);
    outfile_text(TMP "/captions.tsv", captions, strlen(captions), e);
    outfile_text(TMP "/reported.tsv", reported, strlen(reported), e);
    *r = (struct report){.figure = &g, .n_figures = 1};
    *text = NULL;
    int rc = tsv_read(TMP "/claims.tsv", "id figure section claim check condition", &r->claims, e);
    if (!rc) rc = tsv_read(TMP "/captions.tsv", "figure title caption", &r->captions, e);
    if (!rc) rc = tsv_read(TMP "/reported.tsv", "figure what reported path source", &r->reported, e);
    if (!rc) rc = convergence_read(doc, "c.json", &r->training, e);
    if (!rc) rc = report_judge(r, "claims.tsv", "captions.tsv", e);
    if (!rc) rc = report_training(r, "c.json", e);
    if (!rc) rc = report_reported(r, "reported.tsv", e);
    if (!rc) {
        FILE *f = open_memstream(text, &n);
        report_html(r, "title", NULL, f);
        fclose(f);
    }
    free(r->verdict);
    tsv_free(&r->claims), tsv_free(&r->captions), tsv_free(&r->reported);
    convergence_free(&r->training);
    json_decref(g.plot);
    return rc;
}

static json_t *training_value(const char *entry, double bound, double a, double b, double end) {
    return json_pack("{s:s, s:s, s:[[s, f]], s:[[f, f, f], [f, n, f]], s:f, s:n, s:b}", "name", "v", "entry", entry,
                     "bounds", ">", bound, "value", a, b, end, a, end + 0.5, "spread", 0.5, "moved", "moving",
                     end > 1000);
}

#define REPORTED "figure\twhat\treported\tpath\tsource\n"

static void training_and_reported_numbers_are_shown(void **state) {
    (void)state;
    json_t *values = json_array(), *doc;
    struct report r;
    struct err e = {0};
    char *text;
    static const char *const entry[] = {"A", "B", "C", "D", "E"};
    static const double at[] = {20, 8, 10.5, -40, 1e6}; /* of 10, by which C is nearest: 10.75 on the mean */
    for (size_t i = 0; i < 5; i++) json_array_append_new(values, training_value(entry[i], 10, 1, 2, at[i]));
    doc =
        json_pack("{s:[s, s, s], s:[s, s], s:[{s:s, s:s, s:b, s:[o]}, {s:s, s:s, s:b, s:o}]}", "shares", "1/8", "1/2",
                  "1", "seeds", "x", "y", "claims", "id", "few", "figure", "fig2", "moving", 1, "values",
                  training_value("L", 1, 0.25, 1, 1233), "id", "many", "figure", "fig2", "moving", 0, "values", values);
    assert_non_null(doc);
    if (page_of(doc, REPORTED "fig2\tL0 of both\t82\ts.*.v\ttable 2\nfig2\tnone\tx\ts.9.v\t-\n", &text, &r, &e))
        fail_msg("%s", e.text);
    static const char *const want[] = {
        "v, L, with training (1/8, 1/2, end): 0.25, none, 1230 ± 0.25, still moving<",
        "nearest to its bound: v, C, with training (1/8, 1/2, end): 1, none, 10.8 ± 0.25<",
        "<td class=\"o o3\">still moving<br><span class=\"q\">at the end: holds</span></td>",
        "<td class=\"o o1\">holds in part</td>",
        "1 holds</span>, <span class=\"o o1\">1 holds in part</span>, <span class=\"o o2\">0 do not hold</span>, <span "
        "class=\"o o3\">1 still moving</span>",
        "beside ours</h3>",
        "<td>L0 of both</td><td>82</td><td>L = 1.5, R = 4</td><td>table 2</td>",
        "<td>none</td><td>x</td><td>none</td>"};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        if (!strstr(text, want[i])) fail_msg("not there: %s\nin %s", want[i], text);
    assert_null(strstr(text, "v, A, with training"));
    size_t lines = 0;
    for (const char *s = text; (s = strstr(s, "with training")); s++) lines++;
    assert_int_equal(lines, 2); /* nothing of the claim that was not followed */
    assert_int_equal(r.count[CLAIM_MOVING], 1);
    free(text);
    static const struct {
        const char *reported, *want;
    } wrong[] = {{REPORTED "fig9\tw\t1\ts\t-\n", "reported.tsv:2: figure 'fig9' has no caption"},
                 {REPORTED "fig2\tw\t1\ts s\t-\n", "reported.tsv:2: 's s' is no path"}};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(page_of(doc, wrong[i].reported, &text, &r, &e), ERR_FORMAT);
        assert_non_null(strstr(e.text, wrong[i].want));
    }
    json_object_set_new(json_array_get(json_object_get(doc, "claims"), 1), "id", json_string("gone"));
    assert_int_equal(page_of(doc, REPORTED, &text, &r, &e), ERR_FORMAT);
    assert_non_null(strstr(e.text, "c.json: claim 'gone' on figure 'fig2' is not in the table of claims"));
    json_decref(doc);
}

/* The tables of the paper itself: they parse, and every claim has a condition. */
static void claims_of_the_paper_parse(void **state) {
    (void)state;
    struct report r = {0};
    struct err e = {0};
    assert_int_equal(tsv_read("paper/aiaa5047/claims.tsv", "id figure section claim check condition", &r.claims, &e),
                     0);
    assert_int_equal(tsv_read("paper/aiaa5047/captions.tsv", "figure title caption", &r.captions, &e), 0);
    if (report_judge(&r, "claims.tsv", "captions.tsv", &e)) fail_msg("%s", e.text);
    assert_true(r.claims.n_rows >= 8);
    assert_int_equal(r.count[CLAIM_NOT_MEASURED], r.claims.n_rows);
    free(r.verdict);
    tsv_free(&r.claims);
    tsv_free(&r.captions);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_are_judged),         cmocka_unit_test(values_are_handed_out),
        cmocka_unit_test(tables_are_checked),        cmocka_unit_test(links_are_relative),
        cmocka_unit_test(page_escapes_all),          cmocka_unit_test(training_and_reported_numbers_are_shown),
        cmocka_unit_test(claims_of_the_paper_parse),
    };
    struct err e;
    if (outdir_make(TMP, &e)) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
