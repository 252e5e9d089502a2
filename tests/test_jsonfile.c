/* test_jsonfile.c - JSON in and out: messages with line and key, numbers that read back bit for bit, equal bytes. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/arena.h"
#include "lib/base/outdir.h"
#include "lib/base/rng.h"
#include "lib/file/jsonfile.h"

#define TMP    "build/tmp/test_jsonfile"
#define FILE_A TMP "/a.json"

static int make_tmp(void **state) {
    struct err e;
    (void)state;
    return outdir_make(TMP, &e);
}

static void put(const char *text, size_t n) {
    remove(FILE_A); /* a new file each time: some file systems flush one that is truncated */
    FILE *f = fopen(FILE_A, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static char *get(const char *path) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    static char buf[1 << 16];
    buf[fread(buf, 1, sizeof buf - 1, f)] = 0;
    fclose(f);
    return buf;
}

static json_t *read_ok(const char *text) {
    struct err e;
    json_t *o;
    put(text, strlen(text));
    if (jsonfile_read(FILE_A, &o, &e)) fail_msg("%s", e.text);
    return o;
}

static void refused(const char *text, size_t n, int code, const char *part) {
    struct err e = {0};
    json_t *o = (json_t *)1;
    put(text, n);
    int rc = jsonfile_read(FILE_A, &o, &e);
    if (rc != code || o || !strstr(e.text, part)) fail_msg("want %d with '%s', got %d: %s", code, part, rc, e.text);
}

static void bad_files(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *part;
    } bad[] = {
        {"", FILE_A ":1: invalid JSON"},
        {"{\n \"a\": 1,\n}", FILE_A ":3: invalid JSON"},
        {"{\"a\": 1}\n\n x", FILE_A ":3: invalid JSON"},
        {"[1]", FILE_A ":1: want a JSON object at the top, got an array"},
        {"3", "invalid JSON"},
        {"{\"a\":1,\n\"a\":2}", FILE_A ":2: invalid JSON: duplicate"},
        {"{\"a\":NaN}", "invalid JSON"},
        {"{\"a\":1e999}", "invalid JSON"},
        {"{\"a\":\"\\ud800\"}", "invalid JSON"},
        {"{\"a\":\"\\u0000\"}", "invalid JSON"},
        {"{\"a\":\"\n\"}", FILE_A ":1: invalid JSON"},
        {"{\"\xff\":1}", "invalid JSON"},
        {"{\"\x1b[2J\":1}", "invalid JSON"},
        {"{\"a\":\x1b[2J}", "invalid JSON"},
        {"{\"a\":\x7f}", "invalid JSON"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bad[i].text, strlen(bad[i].text), ERR_FORMAT, bad[i].part);
    refused("{\"a\":0}\0", 8, ERR_FORMAT, "invalid JSON");
    const char good[] = "{\"a\": [1, 2.5, \"\\u4e2d\"],\n \"b\": {\"c\": null}}";
    for (size_t n = 0; n < strlen(good); n++) refused(good, n, ERR_FORMAT, "invalid JSON"); /* every truncation */

    char deep[5001]; /* jansson stops at 2048 levels */
    memset(deep, '[', 5000);
    refused(deep, 5000, ERR_FORMAT, "invalid JSON");

    json_t *o;
    struct err e;
    assert_int_equal(jsonfile_read(TMP "/none.json", &o, &e), ERR_IO);
    assert_non_null(strstr(e.text, TMP "/none.json: cannot open"));
    assert_int_equal(jsonfile_read(TMP, &o, &e), ERR_IO);
    assert_null(o);
    put("{}", 2);
    mem_fail_after(0);
    assert_int_equal(jsonfile_read(FILE_A, &o, &e), ERR_MEMORY);
    mem_fail_after(-1);
}

/* The line of a piece of JSON inside another file counts from where it begins. */
static void parse_lines(void **state) {
    (void)state;
    json_t *o;
    struct err e;
    assert_int_equal(jsonfile_parse("{\"a\":1}garbage", 7, "f.jsonl", 9, &o, &e), 0);
    json_decref(o);
    assert_int_equal(jsonfile_parse("{\n!}", 4, "f.jsonl", 9, &o, &e), ERR_FORMAT);
    assert_non_null(strstr(e.text, "f.jsonl:10: invalid JSON"));
    assert_null(o);
}

static void members(void **state) {
    (void)state;
    json_t *o = read_ok("{\"i\":5,\"w\":1e6,\"h\":0.5,\"big\":1000000000000000019884624838656,\"t\":\"x\",\"n\":null,"
                        "\"b\":true,\"a\":[1,null,2.5],\"bad\":[1,\"x\"],\"o\":{}}"),
           *a;
    struct err e;
    int64_t i = 0;
    double x = 0, *xs;
    const char *t;
    size_t n;
    assert_int_equal(jsonfile_int(o, "p", "i", &i, &e), 0);
    assert_int_equal(i, 5);
    assert_int_equal(jsonfile_int(o, "p", "w", &i, &e), 0);
    assert_int_equal(i, 1000000);
    assert_int_equal(jsonfile_int(o, "p", "h", &i, &e), ERR_FORMAT);
    assert_string_equal(e.text, "p: key 'h': want a whole number, got a number");
    assert_int_equal(jsonfile_int(o, "p", "big", &i, &e), ERR_FORMAT);
    assert_int_equal(jsonfile_int(o, "p", "b", &i, &e), ERR_FORMAT);
    assert_int_equal(jsonfile_int(o, "p", "gone", &i, &e), ERR_FORMAT);
    assert_string_equal(e.text, "p: key 'gone' is missing: want a whole number");
    assert_int_equal(jsonfile_int_or(o, "p", "gone", 7, &i, &e), 0);
    assert_int_equal(i, 7);
    assert_int_equal(jsonfile_int_or(o, "p", "n", 8, &i, &e), 0);
    assert_int_equal(i, 8);
    assert_int_equal(jsonfile_int_or(o, "p", "t", 8, &i, &e), ERR_FORMAT);
    assert_int_equal(jsonfile_real(o, "p", "i", &x, &e), 0);
    assert_true(x == 5);
    assert_int_equal(jsonfile_real(o, "p", "big", &x, &e), 0);
    assert_true(x == 1e30);
    assert_int_equal(jsonfile_real(o, "p", "t", &x, &e), ERR_FORMAT);
    assert_string_equal(e.text, "p: key 't': want a number, got a text");
    assert_int_equal(jsonfile_real_or(o, "p", "n", 0.25, &x, &e), 0);
    assert_true(x == 0.25);
    assert_int_equal(jsonfile_text(o, "p", "t", &t, &e), 0);
    assert_string_equal(t, "x");
    assert_int_equal(jsonfile_text(o, "p", "i", &t, &e), ERR_FORMAT);
    assert_string_equal(e.text, "p: key 'i': want a text, got a number"); /* `big` made all whole numbers reals */
    assert_int_equal(jsonfile_array(o, "p", "a", &a, &e), 0);
    assert_int_equal(json_array_size(a), 3);
    assert_int_equal(jsonfile_array(o, "p", "o", &a, &e), ERR_FORMAT);
    assert_string_equal(e.text, "p: key 'o': want an array, got an object");
    assert_int_equal(jsonfile_reals(o, "p", "a", &xs, &n, &e), 0);
    assert_true(n == 3 && xs[0] == 1 && isnan(xs[1]) && xs[2] == 2.5);
    free(xs);
    assert_int_equal(jsonfile_reals(o, "p", "bad", &xs, &n, &e), ERR_FORMAT);
    assert_string_equal(e.text, "p: key 'bad': entry 1: want a number or null");
    assert_int_equal(jsonfile_reals(o, "p", "gone", &xs, &n, &e), ERR_FORMAT);
    mem_fail_after(0);
    assert_int_equal(jsonfile_reals(o, "p", "a", &xs, &n, &e), ERR_MEMORY);
    mem_fail_after(-1);
    json_decref(o);
}

static void integer_limits(void **state) {
    (void)state;
    struct err e;
    int64_t i = 0;
    json_t *o = read_ok(
        "{\"max\":9223372036854775807,\"min\":-9223372036854775808,\"edge\":9007199254740992.0,\"past\":1.8e19}");
    assert_int_equal(jsonfile_int(o, "p", "max", &i, &e), 0);
    assert_true(i == INT64_MAX);
    assert_int_equal(jsonfile_int(o, "p", "min", &i, &e), 0);
    assert_true(i == INT64_MIN);
    assert_int_equal(jsonfile_int(o, "p", "edge", &i, &e), 0);
    assert_int_equal(jsonfile_int(o, "p", "past", &i, &e), ERR_FORMAT);
    json_decref(o);
}

static void layout(void **state) {
    (void)state;
    struct err e;
    const float f[4] = {0.1f, 1, NAN, -INFINITY};
    const double d[3] = {0.1, 1e300, 1.0 / 3};
    const int32_t i[2] = {-1, INT32_MAX};
    json_t *o =
        json_pack("{s:s, s:i, s:b, s:o, s:o, s:o, s:[], s:{}, s:{s:{s:[i,i]}}, s:[[i,i],[i]], s:[{s:i},{}]}", "z",
                  "a\"\\\n\t\x01\u4e2d", "n", 3, "t", 1, "f", jsonfile_f32s(f, 4), "d", jsonfile_f64s(d, 3), "i",
                  jsonfile_i32s(i, 2), "e", "eo", "deep", "er", "a", 1, 2, "rows", 1, 2, 3, "objects", "k", 1);
    assert_non_null(o);
    if (jsonfile_write(FILE_A, o, &e)) fail_msg("%s", e.text);
    assert_string_equal(get(FILE_A), "{\n"
                                     "  \"z\": \"a\\\"\\\\\\n\\t\\u0001\u4e2d\",\n"
                                     "  \"n\": 3,\n"
                                     "  \"t\": true,\n"
                                     "  \"f\": [0.100000001, 1.0, null, null],\n"
                                     "  \"d\": [0.1, 1e+300, 0.33333333333333331],\n"
                                     "  \"i\": [-1, 2147483647],\n"
                                     "  \"e\": [],\n"
                                     "  \"eo\": {},\n"
                                     "  \"deep\": {\n"
                                     "    \"er\": {\n"
                                     "      \"a\": [1, 2]\n"
                                     "    }\n"
                                     "  },\n"
                                     "  \"rows\": [\n"
                                     "    [1, 2],\n"
                                     "    [3]\n"
                                     "  ],\n"
                                     "  \"objects\": [\n"
                                     "    {\n"
                                     "      \"k\": 1\n"
                                     "    },\n"
                                     "    {}\n"
                                     "  ]\n"
                                     "}\n");
    json_t *back;
    assert_int_equal(jsonfile_read(FILE_A, &back, &e), 0);
    assert_true(json_equal(o, back));
    assert_int_equal(jsonfile_write(TMP "/b.json", back, &e), 0); /* read and written again: the same bytes */
    char first[1024];
    assert_true((size_t)snprintf(first, sizeof first, "%.1023s", get(FILE_A)) < sizeof first);
    assert_string_equal(first, get(TMP "/b.json"));
    json_decref(back);
    json_decref(o);
}

/* Floats survive 9 digits, doubles 17 (Steele and White 1990); special values and random bit patterns, bit for bit. */
static void numbers(void **state) {
    (void)state;
    enum { N = 3000 };
    static double d[N];
    static float f[N];
    struct err e;
    const double special[] = {0.0,  -0.0,      DBL_MIN, DBL_MAX, DBL_TRUE_MIN, -1,
                              1e15, 123456789, 1e22,    FLT_MAX, 5e-324,       100};
    for (uint32_t i = 0; i < N; i++) {
        uint32_t r[4];
        rng_block(1, 2, i, r);
        uint64_t u = (uint64_t)r[0] << 32 | r[1];
        memcpy(d + i, &u, 8);
        memcpy(f + i, r + 2, 4);
        if (i < sizeof special / sizeof *special) d[i] = special[i];
        if (!isfinite(d[i])) d[i] = 1;
        if (!isfinite(f[i])) f[i] = FLT_TRUE_MIN;
    }
    json_t *o = json_pack("{s:o, s:o}", "d", jsonfile_f64s(d, N), "f", jsonfile_f32s(f, N));
    assert_int_equal(jsonfile_write(FILE_A, o, &e), 0);
    json_decref(o);
    double *x, *y;
    size_t n;
    assert_int_equal(jsonfile_read(FILE_A, &o, &e), 0);
    assert_int_equal(jsonfile_reals(o, FILE_A, "d", &x, &n, &e), 0);
    assert_int_equal(n, N);
    assert_memory_equal(x, d, sizeof d);
    assert_int_equal(jsonfile_reals(o, FILE_A, "f", &y, &n, &e), 0);
    for (size_t i = 0; i < N; i++) {
        float back = (float)y[i];
        assert_memory_equal(&back, f + i, 4);
    }
    assert_true(json_is_real(json_array_get(json_object_get(o, "d"), 0))); /* 0.0 stays a real */
    free(x);
    free(y);
    json_decref(o);

    o = jsonfile_number(1.0 / 3, 3);
    assert_true(json_real_value(o) == 0.333);
    json_decref(o);
    assert_true(json_is_null(jsonfile_number(NAN, 9)));
}

/* Every conversion, keys that are arguments, and nothing missing in silence: a text that is not UTF-8 makes all that holds it NULL. */
static void making(void **state) {
    (void)state;
    const size_t counts[] = {3, 0, SIZE_MAX >> 1};
    const char *const texts[] = {"a", "ü"};
    json_t *o =
        jsonfile_object("s=%s %s=%d u=%u ll=%lld llu=%llu z=%zu g=%.3g nan=%.9g list=%p none=%p", "x", "named", -1, 2u,
                        -3ll, 4ull, (size_t)5, 1.0 / 3, (double)NAN, jsonfile_list("%s %.17g", "<", 0.5), json_null());
    o = jsonfile_with(o, "counts=%p texts=%p s=%s", jsonfile_counts(counts, 3), jsonfile_texts(texts, 2), "again");
    assert_int_equal(jsonfile_put(json_object_get(o, "list"), "%d", 7), 0);
    assert_int_equal(jsonfile_write_new(FILE_A, o, NULL), 0);
    assert_string_equal(get(FILE_A), "{\n  \"s\": \"again\",\n  \"named\": -1,\n  \"u\": 2,\n  \"ll\": -3,\n"
                                     "  \"llu\": 4,\n  \"z\": 5,\n  \"g\": 0.333,\n  \"nan\": null,\n"
                                     "  \"list\": [\"<\", 0.5, 7],\n  \"none\": null,\n"
                                     "  \"counts\": [3, 0, 9223372036854775807],\n  \"texts\": [\"a\", \"ü\"]\n}\n");

    struct err e;
    json_t *kept = json_integer(1 << 20);
    assert_null(jsonfile_object("bad=%s kept=%p", "\xff", json_incref(kept)));
    assert_null(jsonfile_with(jsonfile_list("%s", "\xff"), "%p", json_incref(kept)));
    assert_null(jsonfile_object("in=%p", jsonfile_object("%s=%d", "\xff", 1)));
    assert_int_equal(kept->refcount, 1); /* what was given away is not held */
    json_decref(kept);
    o = json_object();
    assert_int_equal(jsonfile_put(o, "bad=%s", "\xff"), ERR_MEMORY);
    json_decref(o);
    assert_int_equal(jsonfile_write_new(FILE_A, jsonfile_object("bad=%s", "\xff"), &e), ERR_MEMORY);
    assert_non_null(strstr(e.text, "not UTF-8"));
}

static void full_disk(void **state) {
    (void)state;
    struct rlimit old, small;
    struct err e;
    json_t *o = json_pack("{s:s}", "k", "a value of some length");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    small = old, small.rlim_cur = 10;
    put("{\"old\":1}", 9);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = jsonfile_write(FILE_A, o, &e);
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, handler);
    assert_int_equal(rc, ERR_IO);
    assert_non_null(strstr(e.text, FILE_A ": cannot write"));
    assert_string_equal(get(FILE_A), "{\"old\":1}"); /* what was there is not lost */
    assert_true(access(FILE_A ".saemill-part", F_OK));
    assert_int_equal(jsonfile_write(TMP "/no/folder.json", o, &e), ERR_IO);
    assert_int_equal(jsonfile_write(FILE_A, NULL, &e), ERR_MEMORY);
    json_decref(o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_files),      cmocka_unit_test(parse_lines), cmocka_unit_test(members),
        cmocka_unit_test(integer_limits), cmocka_unit_test(layout),      cmocka_unit_test(numbers),
        cmocka_unit_test(full_disk),      cmocka_unit_test(making),
    };
    return cmocka_run_group_tests(tests, make_tmp, NULL);
}
