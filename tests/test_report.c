/* test_report.c - claims judged by numbers, tables and links checked, nothing in a page unescaped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/outdir.h"
#include "lib/base/outfile.h"
#include "lib/chart/claim.h"
#include "lib/chart/html.h"
#include "lib/chart/report.h"
#include "lib/chart/tsv.h"

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
                 {"s.x.*.v > 0", CLAIM_NOT_MEASURED, NULL},
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
    assert_int_equal(report_judge(&r, "claims.tsv", "captions.tsv", &e), 0);
    FILE *f = open_memstream(&text, &n);
    report_html(&r, EVIL, EVIL, f);
    fclose(f);
    assert_null(strstr(text, "<b "));
    assert_null(strstr(text, "\"x\""));
    assert_null(strstr(text, "&'"));
    size_t escaped = 0;
    for (const char *s = text; (s = strstr(s, "&lt;b onload=&quot;x&quot;&gt;&amp;&#39;")); s++) escaped++;
    assert_true(escaped >= 12);
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
        cmocka_unit_test(claims_are_judged),         cmocka_unit_test(tables_are_checked),
        cmocka_unit_test(links_are_relative),        cmocka_unit_test(page_escapes_all),
        cmocka_unit_test(claims_of_the_paper_parse),
    };
    struct err e;
    if (outdir_make(TMP, &e)) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
