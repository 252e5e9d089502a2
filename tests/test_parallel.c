/* test_parallel.c - parallel sentences: order, languages, and what is refused, by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/arena.h"
#include "lib/base/outdir.h"
#include "lib/file/parallel.h"

#define TMP       "build/tmp/test_parallel"
#define FILE_NAME TMP "/s.jsonl"

static int make_tmp(void **state) {
    struct err e;
    (void)state;
    return outdir_make(TMP, &e);
}

static int read_text(struct parallel *p, const char *text, struct err *e) {
    FILE *f = fopen(FILE_NAME, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return parallel_read(p, FILE_NAME, e);
}

#define LINE(id, language, text) "{\"id\":\"" id "\",\"language\":\"" language "\",\"text\":\"" text "\"}\n"

static void lines_find_their_places(void **state) {
    (void)state;
    struct parallel p;
    struct err e;
    const char *text = LINE("b", "zh", "二") LINE("b", "en", "two") "\n" LINE("a", "en", "one") LINE("b", "ar", "اثنان")
        LINE("a", "ar", "واحد") LINE("a", "zh", "一");
    if (read_text(&p, text, &e)) fail_msg("%s", e.text);
    assert_int_equal(p.n, 2);
    assert_int_equal(p.G, 3);
    assert_int_equal(p.docs, 6);
    assert_string_equal(p.id[0], "b");
    assert_string_equal(p.id[1], "a");
    assert_string_equal(p.language[0], "ar");
    assert_string_equal(p.language[2], "zh");
    assert_string_equal(p.text[0], "اثنان");
    assert_string_equal(p.text[4], "one");
    const int32_t doc[6] = {3, 1, 0, 4, 2, 5};
    assert_memory_equal(p.doc, doc, sizeof doc);
    parallel_free(&p);
}

static void a_zero_character_is_text_but_no_name(void **state) {
    (void)state;
    struct parallel p;
    struct err e;
    if (read_text(&p, LINE("a", "en", "o\\u0000e") LINE("a", "zh", "\\u0000"), &e)) fail_msg("%s", e.text);
    assert_int_equal(p.n_bytes[0], 3);
    assert_memory_equal(p.text[0], "o\0e", 4);
    assert_int_equal(p.n_bytes[1], 1);
    parallel_free(&p);
    assert_int_equal(read_text(&p, LINE("a", "e\\u0000n", "x"), &e), ERR_FORMAT);
    assert_non_null(strstr(e.text, ":1: key 'language': want a name, got one with a zero character"));
    parallel_free(&p);
}

static void refused(const char *text, int code, const char *says) {
    struct parallel p;
    struct err e = {0};
    assert_int_equal(read_text(&p, text, &e), code);
    if (!strstr(e.text, says)) fail_msg("'%s' is not in '%s'", says, e.text);
    parallel_free(&p);
}

static void what_is_wrong_is_named_with_its_line(void **state) {
    (void)state;
    refused(LINE("a", "en", "one") LINE("a", "zh", "一") LINE("b", "en", "two"), ERR_FORMAT,
            ":3: sentence 'b': no text in 'zh'");
    refused(LINE("a", "en", "one") LINE("a", "en", "1"), ERR_FORMAT,
            ":2: sentence 'a': 'en' is there already, on line 1");
    refused(LINE("a", "en", "one") "{\"id\":\"a\",\"text\":\"x\"}\n", ERR_FORMAT, ":2: key 'language'");
    refused("{\"language\":\"en\",\"text\":\"x\"}\n", ERR_FORMAT, ":1: key 'id'");
    refused(LINE("a", "en", ""), ERR_FORMAT, ":1: key 'text': it is empty");
    refused(LINE("a", "a-language-with-a-very-long-name-", "x"), ERR_RANGE, ":1: key 'language'");
    refused("\n\n", ERR_FORMAT, "want sentences, got none");
    refused("{\n", ERR_FORMAT, ":1: invalid JSON");
    struct parallel p;
    struct err e;
    int rc = ERR_MEMORY;
    for (long k = 0; rc == ERR_MEMORY && k < 100; k++) { /* every allocation fails once */
        mem_fail_after(k);
        rc = read_text(&p, LINE("a", "en", "one") LINE("a", "zh", "一"), &e);
        mem_fail_after(-1);
        assert_true(rc == 0 || (rc == ERR_MEMORY && k < 99));
        parallel_free(&p);
    }
}

/* The sentences of the second paper: at least 20, in three languages. */
static void the_papers_sentences_are_complete(void **state) {
    (void)state;
    struct parallel p;
    struct err e;
    if (parallel_read(&p, "paper/latentwalk/sentences.jsonl", &e)) fail_msg("%s", e.text);
    assert_true(p.n >= 20);
    assert_int_equal(p.G, 3);
    parallel_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_find_their_places),
        cmocka_unit_test(a_zero_character_is_text_but_no_name),
        cmocka_unit_test(what_is_wrong_is_named_with_its_line),
        cmocka_unit_test(the_papers_sentences_are_complete),
    };
    return cmocka_run_group_tests(tests, make_tmp, NULL);
}
