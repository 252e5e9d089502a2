/* test_tokens.c - token files: what is refused, and how documents are cut into windows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/arena.h"
#include "lib/lm/tokens.h"
#include "tests/lm_cases.h"

#define FILE_NAME "build/tmp/test_tokens.safetensors"

/* Four documents with BOS 0: 6 tokens, BOS alone, empty, 4 tokens; the third token of document 0 is BOS's id in the
 * text. */
static const int32_t ids[] = {0, 11, 0, 13, 14, 15, 16, 0, 0, 41, 42, 43, 44};
static const int64_t start[] = {0, 7, 8, 8, 13};
static const int32_t group[] = {1, 0, 1, 0};
static const struct case_tokens good = {ids, 13, start, group, 4, "0", "[\"en\",\"zh\"]"};

static void test_windows(void **s) {
    (void)s;
    struct tokens t;
    struct window *w;
    struct err e;
    size_t n;
    int32_t out[16];
    case_tokens(FILE_NAME, &good);
    assert_int_equal(tokens_open(&t, FILE_NAME, &e), 0);
    assert_true(t.N == 13 && t.n_docs == 4 && t.bos == 0 && tokens_group(&t, 0) == 1 &&
                !strcmp(t.groups, "[\"en\",\"zh\"]"));
    assert_int_equal(tokens_windows(&t, 4, &w, &n, &e), 0);
    const struct window want[] = {{1, 4, 0}, {4, 4, 0}, {9, 4, 3}, {12, 2, 3}};
    const int32_t rows[][4] = {{0, 11, 0, 13}, {0, 14, 15, 16}, {0, 41, 42, 43}, {0, 44}};
    assert_true(n == 4);
    for (size_t i = 0; i < n; i++) {
        assert_true(w[i].first == want[i].first && w[i].T == want[i].T && w[i].doc == want[i].doc);
        tokens_window_ids(&t, &w[i], out);
        assert_memory_equal(out, rows[i], w[i].T * sizeof *out);
    }
    free(w);
    assert_int_equal(tokens_windows(&t, 100, &w, &n, &e), 0); /* a document that fits is one window */
    assert_true(n == 2 && w[0].T == 7 && w[1].T == 5 && w[1].doc == 3);
    free(w);
    mem_fail_after(0);
    assert_int_equal(tokens_windows(&t, 4, &w, &n, &e), ERR_MEMORY);
    mem_fail_after(-1);
    tokens_close(&t);
}

/* A document without a BOS of its own gets one; a tokenizer without BOS gets none. */
static void test_without_bos(void **s) {
    (void)s;
    struct tokens t;
    struct window *w;
    struct err e;
    size_t n;
    int32_t out[8];
    const int64_t two[] = {0, 5};
    case_tokens(FILE_NAME, &(struct case_tokens){ids + 8 + 1, 4, (int64_t[]){0, 4}, group, 1, "0", "[\"en\",\"zh\"]"});
    assert_int_equal(tokens_open(&t, FILE_NAME, &e), 0);
    assert_int_equal(tokens_windows(&t, 8, &w, &n, &e), 0);
    assert_true(n == 1 && w[0].T == 5 && w[0].first == 0);
    tokens_window_ids(&t, &w[0], out);
    assert_true(out[0] == 0 && out[1] == 41 && out[4] == 44);
    free(w);
    tokens_close(&t);
    case_tokens(FILE_NAME, &(struct case_tokens){ids + 8, 5, two, group, 1, "-1", "[\"en\",\"zh\"]"});
    assert_int_equal(tokens_open(&t, FILE_NAME, &e), 0);
    assert_int_equal(tokens_windows(&t, 3, &w, &n, &e), 0);
    assert_true(n == 2 && w[0].T == 3 && w[1].T == 2 && w[1].first == 3);
    tokens_window_ids(&t, &w[0], out);
    assert_true(out[0] == 0 && out[1] == 41);
    free(w);
    tokens_close(&t);
}

/* A share of the windows, evenly; at least one; all where all are asked for. */
static void test_sample(void **s) {
    (void)s;
    struct tokens t;
    struct err e;
    struct window *w, *all;
    size_t n, n_all;
    int32_t many[401];
    const int64_t one[] = {0, 401};
    const int32_t first[] = {0};
    for (int i = 0; i < 401; i++) many[i] = i;
    case_tokens(FILE_NAME, &(struct case_tokens){many, 401, one, first, 1, "0", "[\"en\"]"});
    assert_int_equal(tokens_open(&t, FILE_NAME, &e), 0);
    assert_int_equal(tokens_windows(&t, 5, &all, &n_all, &e), 0);
    assert_true(n_all == 100); /* of 5 positions */
    assert_int_equal(tokens_sample(&t, 5, 100, &w, &n, &e), 0);
    assert_true(n == 20);
    for (size_t i = 0; i < n; i++) assert_true(w[i].first == all[2 + 5 * i].first);
    free(w);
    assert_int_equal(tokens_sample(&t, 5, SIZE_MAX, &w, &n, &e), 0);
    assert_true(n == n_all);
    assert_memory_equal(w, all, n * sizeof *w);
    free(w);
    assert_int_equal(tokens_sample(&t, 5, 1, &w, &n, &e), 0);
    assert_true(n == 1 && w[0].first == all[50].first);
    free(w), free(all);
    tokens_close(&t);
}

static void test_refused(void **s) {
    (void)s;
    const int64_t down[] = {0, 8, 7, 8, 13}, late[] = {1, 7, 8, 8, 13}, far[] = {0, 7, 8, 8, 14},
                  near[] = {0, 7, 8, 8, 12}, alone[] = {0, 1, 2};
    const int32_t group2[] = {1, 0, 2, 0}, group_neg[] = {1, -1, 0, 0}, bos2[] = {0, 0};
    const struct {
        struct case_tokens c;
        int code;
        const char *says;
    } cases[] = {
        {{ids, 13, down, group, 4, "0", "[\"a\",\"b\"]"}, ERR_FORMAT, "doc_start: document 1: want 8 to 13, got 7"},
        {{ids, 13, late, group, 4, "0", "[\"a\",\"b\"]"}, ERR_FORMAT, "want 0 first, got 1"},
        {{ids, 13, far, group, 4, "0", "[\"a\",\"b\"]"}, ERR_FORMAT, "got 14"},
        {{ids, 13, near, group, 4, "0", "[\"a\",\"b\"]"}, ERR_FORMAT, "want 13 (the number of ids) last, got 12"},
        {{ids, 13, start, group2, 4, "0", "[\"a\",\"b\"]"}, ERR_FORMAT, "doc_group: document 2: want 0 to 1, got 2"},
        {{ids, 13, start, group_neg, 4, "0", "[\"a\",\"b\"]"}, ERR_FORMAT, "got -1"},
        {{ids, 13, start, group, 4, "0", "{}"}, ERR_FORMAT, "'groups'"},
        {{ids, 13, start, group, 4, "0", "[1,2]"}, ERR_FORMAT, "'groups'"},
        {{ids, 13, start, group, 4, "0", "[]"}, ERR_FORMAT, "'groups'"},
        {{ids, 13, start, group, 4, "0", NULL}, ERR_FORMAT, "'groups': is missing"},
        {{ids, 13, start, group, 4, NULL, "[\"a\",\"b\"]"}, ERR_FORMAT, "'bos_id': is missing"},
        {{ids, 13, start, group, 4, "x", "[\"a\",\"b\"]"}, ERR_FORMAT, "'bos_id'"},
        {{ids, 13, start, group, 4, "-2", "[\"a\",\"b\"]"}, ERR_FORMAT, "'bos_id'"},
        {{ids, 13, start, group, 4, "99999999999", "[\"a\",\"b\"]"}, ERR_FORMAT, "'bos_id'"},
        {{bos2, 2, alone, group, 2, "0", "[\"a\",\"b\"]"}, ERR_RANGE, "no tokens besides BOS"},
        {{ids, 0, start, group, 0, "0", "[\"a\",\"b\"]"}, ERR_RANGE, "no tokens besides BOS"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tokens t;
        struct err e = {0};
        case_tokens(FILE_NAME, &cases[i].c);
        assert_int_equal(tokens_open(&t, FILE_NAME, &e), cases[i].code);
        if (!strstr(e.text, cases[i].says) || !strstr(e.text, FILE_NAME))
            fail_msg("want '%s' in '%s'", cases[i].says, e.text);
    }
    struct tokens t;
    struct err e;
    assert_int_equal(tokens_open(&t, "tests/fixtures/lm/llama-f32/model.safetensors", &e), ERR_FORMAT);
    assert_int_equal(tokens_open(&t, "build/tmp/absent.safetensors", &e), ERR_IO);
}

static void test_vocab(void **s) {
    (void)s;
    struct tokens t;
    struct err e;
    const int32_t wrong[] = {0, 11, -1, 13, 14, 15, 16, 0, 0, 41, 42, 43, 44};
    case_tokens(FILE_NAME, &good);
    assert_int_equal(tokens_open(&t, FILE_NAME, &e), 0);
    assert_int_equal(tokens_check_vocab(&t, 45, &e), 0);
    assert_int_equal(tokens_check_vocab(&t, 44, &e), ERR_RANGE);
    assert_non_null(strstr(e.text, "ids: token 12: want 0 to 43 (the model's vocabulary), got 44"));
    tokens_close(&t);
    case_tokens(FILE_NAME, &(struct case_tokens){wrong, 13, start, group, 4, "7000", "[\"a\",\"b\"]"});
    assert_int_equal(tokens_open(&t, FILE_NAME, &e), 0);
    assert_int_equal(tokens_check_vocab(&t, 96, &e), ERR_RANGE);
    assert_non_null(strstr(e.text, "got -1"));
    tokens_close(&t);
    case_tokens(FILE_NAME, &(struct case_tokens){ids, 13, start, group, 4, "7000", "[\"a\",\"b\"]"});
    assert_int_equal(tokens_open(&t, FILE_NAME, &e), 0);
    assert_int_equal(tokens_check_vocab(&t, 96, &e), ERR_RANGE);
    assert_non_null(strstr(e.text, "'bos_id'"));
    tokens_close(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows), cmocka_unit_test(test_without_bos), cmocka_unit_test(test_sample),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_vocab),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
