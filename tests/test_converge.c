/* test_converge.c - what moves and what has come to rest, plots added in order, damaged documents refused, the figure drawn. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/outdir.h"
#include "lib/base/outfile.h"
#include "lib/page/convergence.h"
#include "lib/chart/kind.h"
#include "lib/file/jsonfile.h"

#define TMP "build/tmp/test_converge"

/* ---- the rule ---- */

/* Shares 1/8, 1/2 and 1: what happened before 1/2 counts for nothing. Numbers are exact in binary. */
static void the_rule_has_these_branches(void **state) {
    (void)state;
    enum { H = 3, HALF = 1 };
    static const struct {
        const char *what;
        size_t S;
        double x[2][H];
        struct converge_bound bound[2];
        double spread, moved;
        bool moving;
    } cases[] = {
        {"less than seeds differ", 2, {{9, 1, 2}, {9, 1, 4}}, {{">", 8}}, 2, 2, false},
        {"more than that, and once more would reach the bound", 2, {{0, 1, 5}, {0, 1, 6}}, {{">", 8}}, 1, 4.5, true},
        {"towards the bound, and far from it", 2, {{0, 1, 4}, {0, 1, 5}}, {{">", 8}}, 1, 3.5, false},
        {"away from the bound, which it meets", 2, {{0, 9, 12}, {0, 9, 13}}, {{">", 8}}, 1, 3.5, false},
        {"away from the bound, which it does not", 2, {{0, 9, 12}, {0, 9, 13}}, {{"<=", 8}}, 1, 3.5, false},
        {"falling away", 2, {{0, 7, 3}, {0, 7, 2}}, {{">", 8}}, 1, -4.5, false},
        {"falling towards it", 2, {{0, 13, 10}, {0, 13, 11}}, {{">", 8}}, 1, -2.5, true},
        {"across the bound", 2, {{0, 7, 10}, {0, 7, 11}}, {{">", 8}}, 1, 3.5, true},
        {"across it, by less than seeds differ", 2, {{0, 7, 7}, {0, 7, 10}}, {{">", 8}}, 3, 1.5, false},
        {"from the bound on", 2, {{0, 8, 10}, {0, 8, 11}}, {{">=", 8}}, 1, 2.5, false},
        {"from the bound on, where it is not met", 2, {{0, 8, 10}, {0, 8, 11}}, {{">", 8}}, 1, 2.5, true},
        {"near the bound, by less than seeds differ", 2, {{0, 7, 7}, {0, 7, 8}}, {{">", 8}}, 1, 0.5, false},
        {"away from one, up to the other", 2, {{0, 9, 12}, {0, 9, 13}}, {{">", 8}, {"<", 16}}, 1, 3.5, true},
        {"away from both", 2, {{0, 9, 12}, {0, 9, 13}}, {{">", 8}, {"<", 9}}, 1, 3.5, false},
        {"onto a single number", 2, {{0, 0, 1}, {0, 0, 1}}, {{"=", 1}}, 0, 1, true},
        {"away from such a one", 2, {{0, 2, 3}, {0, 2, 3}}, {{"=", 1}}, 0, 1, false},
        {"at rest", 2, {{0, 3, 3}, {0, 3, 3}}, {{"=", 1}}, 0, 0, false},
        {"one seed, the same verdict", 1, {{9, 1, 4}}, {{">", 8}}, NAN, 3, false},
        {"one seed, the bound would be next", 1, {{9, 1, 5}}, {{">", 8}}, NAN, 4, true},
        {"one seed, another verdict", 1, {{9, 1, 9}}, {{">", 8}}, NAN, 8, true},
        {"one seed, another verdict on one bound", 1, {{9, 0.5, 3}}, {{">", 1}, {"<=", 2}}, NAN, 2.5, true},
        {"missing at 1/2", 2, {{0, NAN, 4}, {0, 1, 5}}, {{">", 8}}, 1, NAN, false},
        {"missing at the end", 2, {{0, 1, 9}, {0, 1, NAN}}, {{">", 8}}, NAN, NAN, false},
        {"missing at 1/8", 2, {{NAN, 1, 5}, {0, 1, 6}}, {{">", 8}}, 1, 4.5, true},
        {"one seed, missing", 1, {{0, NAN, 9}}, {{">", 8}}, NAN, NAN, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = cases[i].bound[1].op[0] ? 2 : 1;
        struct convergence_rest r = convergence_rest(cases[i].x[0], cases[i].S, H, HALF, cases[i].bound, n);
        bool same = (isnan(cases[i].spread) ? isnan(r.spread) : r.spread == cases[i].spread) &&
                    (isnan(cases[i].moved) ? isnan(r.moved) : r.moved == cases[i].moved);
        if (!same || r.moving != cases[i].moving)
            fail_msg("%s: spread %g, moved %g, moving %d", cases[i].what, r.spread, r.moved, r.moving);
    }
}

/* ---- words ---- */

static void words_are_cut_and_shares_rise(void **state) {
    (void)state;
    static const struct {
        const char *text, *want; /* NULL: it is fine */
        size_t half;
    } cases[] = {{"1/8,1/4,1/2,1", NULL, 2}, {"0.5,1", NULL, 0},           {"1/2,2/2", NULL, 0},
                 {"", "is empty", 0},        {"1/2,,1", "is empty", 0},    {"1/2,1,", "is empty", 0},
                 {"1/2,1/2", "twice", 0},    {"1/4,1", "want 1/2", 0},     {"1/4,1/2", "as the last", 0},
                 {"1,1/2", "not rise", 0},   {"2/4,1/2,1", "not rise", 0}, {"0,1/2,1", "no share", 0},
                 {"1/2,1,2", "no share", 0}, {"-1,1", "no share", 0},      {"nan,1", "no share", 0},
                 {"1/2/2,1", "no share", 0}, {"half,1", "no share", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct opt_list words = {0};
        struct err e = {0};
        size_t half = 99;
        int rc = convergence_words(cases[i].text, "--shares", &words, &e);
        if (!rc) rc = convergence_shares(&words, &half, &e);
        assert_int_equal(rc, cases[i].want ? ERR_USAGE : 0);
        if (!cases[i].want) assert_int_equal(half, cases[i].half);
        if (cases[i].want && !strstr(e.text, cases[i].want)) fail_msg("'%s': %s", cases[i].text, e.text);
        free(words.item);
    }
}

/* ---- plots in, a document out ---- */

enum { SEEDS = 2, SHARES = 3, FIGURES = 2, PLOTS = SEEDS * SHARES * FIGURES };

static const char claims_text[] = "id\tfigure\tsection\tclaim\tcheck\tcondition\n"
                                  "two\ta\t1\tIt is so.\tc\ts.*.v > 1 and s.n = 7 and s.*.v <= 2\n"
                                  "elsewhere\tc\t1\tNobody drew it.\tc\ts.n = 7\n"
                                  "one\tb\t1\tIt is.\tc\ts.*.v >= 0\n";

static void of_open(struct converge_of *of) {
    struct err e = {0};
    *of = (struct converge_of){.claims_path = "claims.tsv"};
    assert_int_equal(outfile_text(TMP "/claims.tsv", claims_text, strlen(claims_text), &e), 0);
    assert_int_equal(tsv_read(TMP "/claims.tsv", "id figure section claim check condition", &of->claims, &e), 0);
    assert_int_equal(convergence_words("1/8,1/2,1", "--shares", &of->shares, &e), 0);
    assert_int_equal(convergence_words("x,y", "--seeds", &of->seeds, &e), 0);
    assert_int_equal(convergence_words("a,b", "--figures", &of->figures, &e), 0);
    assert_int_equal(convergence_shares(&of->shares, &of->half, &e), 0);
}

static void of_close(struct converge_of *of) {
    free(of->shares.item), free(of->seeds.item), free(of->figures.item);
    tsv_free(&of->claims);
}

/* Two entries, L and R, whose values tell which plot they are from. In figure b the second is missing at the first share. */
static json_t *plot_of(size_t seed, size_t share, size_t figure) {
    double v = 10 * (double)figure + (double)share + 0.25 * (double)seed;
    json_t *second = figure && !share ? json_null() : json_real(-v);
    return json_pack("{s:[{s:s, s:f}, {s:s, s:o}]}", "s", "label", "L", "v", v, "label", "R", "v", second);
}

/* All plots of a study; plot `other` has `key` of its second entry changed (NULL: the entry is left out). */
static int make(json_t **doc, size_t *n_moving, size_t other, const char *key, struct err *e) {
    struct converge_of of;
    of_open(&of);
    int rc = convergence_begin(&of, doc, e);
    for (size_t i = 0; !rc && i < PLOTS; i++) {
        json_t *plot = plot_of(i / (SHARES * FIGURES), i / FIGURES % SHARES, i % FIGURES);
        json_t *list = json_object_get(plot, "s");
        if (i == other && key) json_object_set_new(json_array_get(list, 1), key, json_string("other"));
        if (i == other && !key) json_array_remove(list, 1);
        rc = convergence_add(&of, i, "some/plot.json", plot, *doc, e);
        json_decref(plot);
    }
    if (!rc) rc = convergence_end(&of, *doc, n_moving, e);
    of_close(&of);
    return rc;
}

static void values_lie_by_seed_and_share(void **state) {
    (void)state;
    json_t *doc = NULL;
    struct err e = {0};
    struct converge c;
    size_t n_moving = 99;
    if (make(&doc, &n_moving, PLOTS, NULL, &e)) fail_msg("%s", e.text);
    assert_int_equal(convergence_read(doc, "doc", &c, &e), 0);
    assert_int_equal(c.S, SEEDS);
    assert_int_equal(c.H, SHARES);
    assert_int_equal(c.n_claims, 2); /* "elsewhere" is on a figure that is not here */
    assert_string_equal(convergence_share(&c, 0), "1/8");
    assert_string_equal(convergence_share(&c, 2), "end");
    assert_string_equal(c.claim[0].id, "two");
    assert_int_equal(c.claim[0].n_values, 3);
    const struct converge_value *v = c.claim[0].value;
    assert_string_equal(v[0].name, "v");
    assert_string_equal(v[0].entry, "L");
    assert_string_equal(v[1].entry, "R");
    assert_int_equal(v[1].n_bounds, 2);
    assert_string_equal(v[1].bound[0].op, ">");
    assert_string_equal(v[1].bound[1].op, "<=");
    assert_true(v[1].bound[1].at == 2);
    assert_string_equal(v[2].name, "s.n");
    assert_true(isnan(v[2].x[0]) && isnan(v[2].rest.moved) && !v[2].rest.moving);
    for (size_t s = 0; s < SEEDS; s++)
        for (size_t h = 0; h < SHARES; h++) {
            double want = (double)h + 0.25 * (double)s;
            assert_true(v[0].x[s * SHARES + h] == want && v[1].x[s * SHARES + h] == -want);
            assert_true(c.claim[1].value[0].x[s * SHARES + h] == 10 + want);
        }
    assert_true(v[0].rest.spread == 0.25 && v[0].rest.moved == 1 && v[0].rest.moving && !v[1].rest.moving);
    assert_true(c.claim[0].moving && !c.claim[1].moving);
    assert_int_equal(n_moving, 1);
    assert_true(isnan(c.claim[1].value[1].x[0]) && !isnan(c.claim[1].value[1].x[1]));
    json_t *said = json_object_get(json_array_get(json_object_get(doc, "claims"), 1), "outcomes");
    assert_int_equal(json_array_size(said), SHARES); /* of the first seed alone */
    assert_string_equal(json_string_value(json_array_get(said, 0)), "not measured");
    assert_string_equal(json_string_value(json_array_get(said, 2)), "holds in part");
    convergence_free(&c);
    json_decref(doc);
}

static void other_entries_are_refused(void **state) {
    (void)state;
    json_t *doc = NULL;
    struct err e = {0};
    size_t n;
    assert_int_equal(make(&doc, &n, PLOTS - 1, NULL, &e), ERR_SHAPE);
    assert_string_equal(e.text, "some/plot.json: claim 'one': want 2 values as in the figure's first plot, got 1");
    json_decref(doc);
    assert_int_equal(make(&doc, &n, 2, "label", &e), ERR_SHAPE);
    assert_string_equal(e.text,
                        "some/plot.json: claim 'two': v: want entry 'R' as in the figure's first plot, got 'other'");
    json_decref(doc);
    assert_int_equal(make(&doc, &n, 3, "v", &e), 0); /* a value that is no number is missing */
    json_decref(doc);
}

static void claims_on_no_figure_are_refused(void **state) {
    (void)state;
    struct converge_of of;
    struct err e = {0};
    json_t *doc = NULL;
    of_open(&of);
    free(of.figures.item);
    assert_int_equal(convergence_words("d", "--figures", &of.figures, &e), 0);
    assert_int_equal(convergence_begin(&of, &doc, &e), ERR_FORMAT);
    assert_string_equal(e.text, "claims.tsv: no claim is about one of the figures");
    json_decref(doc);
    of_close(&of);
}

/* ---- documents ---- */

static json_t *made(void) {
    json_t *doc = NULL;
    struct err e = {0};
    size_t n;
    if (make(&doc, &n, PLOTS, NULL, &e)) fail_msg("%s", e.text);
    return doc;
}

/* Change one key of a good document: of the top, of its first claim, or of the first value there. */
static void damaged_documents_are_named(void **state) {
    (void)state;
    static const struct {
        int level;
        const char *key, *value, *want; /* value NULL: the key is taken out */
    } cases[] = {
        {0, "shares", NULL, "doc: key 'shares' is missing"},
        {0, "shares", "[]", "at least one"},
        {0, "seeds", "[1]", "entry 0: want a text"},
        {0, "seeds", "[\"x\"]", "claim 0, value 0: key 'value': want 1 rows, one a seed, got 2"},
        {0, "shares", "[\"1/2\",\"1\"]", "row 0: want 2 numbers, one a share, got 3"},
        {0, "claims", "{}", "doc: key 'claims': want an array, got an object"},
        {0, "claims", "[7]", "claim 0: key 'id' is missing"},
        {1, "id", "7", "claim 0: key 'id'"},
        {1, "moving", "0", "claim 0: key 'moving'"},
        {1, "values", "7", "claim 0: key 'values'"},
        {1, "values", "[7]", "claim 0, value 0: key 'name'"},
        {2, "entry", NULL, "'entry'"},
        {2, "bounds", "[]", "want 1 to 8, got 0"},
        {2, "bounds", "[[\">>\",1]]", "entry 0: want a comparison"},
        {2, "bounds", "[[\">\",\"1\"]]", "entry 0: want a comparison"},
        {2, "value", "[[1,2,3],[1,2]]", "row 1: want 3 numbers"},
        {2, "value", "[[1,2,3],[1,2,\"x\"]]", "row 1: want numbers or null"},
        {2, "spread", "\"x\"", "'spread'"},
        {2, "moving", "null", "value 0: key 'moving'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *doc = made(), *at = doc;
        struct converge c;
        struct err e = {0};
        if (cases[i].level > 0) at = json_array_get(json_object_get(at, "claims"), 0);
        if (cases[i].level > 1) at = json_array_get(json_object_get(at, "values"), 0);
        if (cases[i].value)
            json_object_set_new(at, cases[i].key, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        else
            json_object_del(at, cases[i].key);
        assert_true(convergence_read(doc, "doc", &c, &e) < 0);
        if (!strstr(e.text, cases[i].want) || strncmp(e.text, "doc: ", 5)) fail_msg("case %zu: %s", i, e.text);
        convergence_free(&c);
        json_decref(doc);
    }
}

/* ---- the figure ---- */

static void build(const char *path, struct chart *c) {
    const char *in[] = {path};
    struct kind_args a = {.kind = "convergence", .in = {in, 1}};
    struct err e = {0};
    json_t *inputs = NULL;
    struct canvas *drawn = NULL;
    *c = (struct chart){0};
    if (kind_build(&a, c, &inputs, &e)) fail_msg("%s", e.text);
    if (chart_draw(c, CANVAS_PIXELS, 1000, &drawn, &e)) fail_msg("%s", e.text);
    canvas_close(drawn);
    json_decref(inputs);
}

static void the_figure_has_a_panel_a_statistic(void **state) {
    (void)state;
    static const char *const list[] = {"mean", "least", "greatest"};
    json_t *doc = made(), *values;
    struct chart c;
    struct err e = {0};
    assert_int_equal(jsonfile_write(TMP "/doc.json", doc, &e), 0);
    build(TMP "/doc.json", &c);
    assert_int_equal(c.n_panels, 3); /* v and s.n of "two", v of "one" */
    assert_string_equal(c.panel[0].title, "two");
    assert_string_equal(c.panel[1].y.label, "s.n");
    assert_string_equal(c.panel[0].x.category[2], "end");
    assert_string_equal(c.panel[0].note[0], "still moving: L");
    assert_string_equal(c.panel[1].note[0], "(claim still moving)");
    assert_string_equal(c.panel[1].note[1], "not measured");
    assert_int_equal(c.panel[2].n_notes, 0);
    assert_true(c.legend_shared && !c.panel[0].y.log); /* some values are negative */
    const struct chart_series *s = c.panel[0].series;  /* shade, two bounds, then bars, line and dots of each entry */
    assert_int_equal(c.panel[0].n_series, 9);
    assert_true(s[0].mark == CHART_BOX && s[0].y[0] == 1 && s[0].y[1] == 2);
    assert_true(s[3].y[3] == 1 && s[3].y[4] == 1.25 && s[4].y[1] == 1.125 && s[4].y[2] == 2.125);
    assert_string_equal(s[4].name, "L");
    assert_true(isnan(c.panel[1].series[3].y[0]));
    assert_int_equal(json_integer_value(json_object_get(c.statistics, "n_claims")), 2);
    assert_int_equal(json_integer_value(json_object_get(c.statistics, "n_moving")), 1);
    assert_non_null(strstr(c.note[0], "mean over 2 seeds"));
    chart_free(&c);

    /* One seed; and values from 1 to 100, all positive, as the bounds are. */
    json_object_set_new(doc, "seeds", json_pack("[s]", "x"));
    values = json_object_get(json_array_get(json_object_get(doc, "claims"), 0), "values");
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < 3; i++)
            json_object_set_new(json_array_get(values, k), list[i],
                                k == 2 ? json_pack("[n,n,n]") : json_pack("[f,f,f]", 1.0, 10.0, 100.0));
    json_array_remove(json_object_get(doc, "claims"), 1);
    assert_int_equal(jsonfile_write(TMP "/doc.json", doc, &e), 0);
    build(TMP "/doc.json", &c);
    assert_true(c.panel[0].y.log && !c.panel[1].y.log);
    assert_int_equal(c.panel[0].n_series, 7); /* no bars */
    assert_string_equal(c.note[0], "One seed: the spread between runs is not known.");
    chart_free(&c);

    /* A list that is too short is named. */
    json_object_set_new(json_array_get(values, 1), "least", json_pack("[f]", 1.0));
    assert_int_equal(jsonfile_write(TMP "/doc.json", doc, &e), 0);
    const char *in[] = {TMP "/doc.json"};
    const struct kind_args a = {.kind = "convergence", .in = {in, 1}};
    json_t *inputs;
    assert_int_equal(kind_build(&a, &c, &inputs, &e), ERR_SHAPE);
    assert_string_equal(e.text, TMP "/doc.json: claim 0: key 'least': want 3 numbers, one a share, got 1");
    json_decref(inputs), chart_free(&c);
    json_decref(doc);
}

/* More names than colours: a legend in each panel. */
static void many_entries_have_legends_of_their_own(void **state) {
    (void)state;
    json_t *doc = made(), *values = json_object_get(json_array_get(json_object_get(doc, "claims"), 1), "values");
    struct chart c;
    struct err e = {0};
    for (int i = 0; i < 8; i++) {
        char name[8];
        json_t *v = json_deep_copy(json_array_get(values, 0));
        snprintf(name, sizeof name, "E%d", i);
        json_object_set_new(v, "entry", json_string(name));
        json_array_append_new(values, v);
    }
    assert_int_equal(jsonfile_write(TMP "/many.json", doc, &e), 0);
    build(TMP "/many.json", &c);
    assert_false(c.legend_shared);
    assert_string_equal(c.panel[2].series[c.panel[2].n_series - 2].name, "E7");
    chart_free(&c);
    json_decref(doc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule_has_these_branches),        cmocka_unit_test(words_are_cut_and_shares_rise),
        cmocka_unit_test(values_lie_by_seed_and_share),       cmocka_unit_test(other_entries_are_refused),
        cmocka_unit_test(claims_on_no_figure_are_refused),    cmocka_unit_test(damaged_documents_are_named),
        cmocka_unit_test(the_figure_has_a_panel_a_statistic), cmocka_unit_test(many_entries_have_legends_of_their_own),
    };
    struct err e;
    if (outdir_make(TMP, &e)) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
