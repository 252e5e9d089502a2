/* fuzz_opt.c - words between zero bytes as a command line: refused with a message, or every value is what its option allows, and the
 * record is JSON. Inputs are left out of the record: their names are the fuzzer's. */
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/opt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct values {
    const char *in, *out, *kind, *title;
    struct opt_list more;
    int64_t count, any;
    double share, real;
    bool flag;
};

enum { OPTIONS = 10, WORDS = 64 };

static void check(const struct values *v, const struct opt *t) {
    struct err e = {0};
    char *record = NULL;
    CHECK(v->in && *v->in && v->out && *v->out && v->count >= 1 && v->count <= 4096);
    CHECK(v->share >= 0 && v->share <= 0.5 && isfinite(v->real) && (v->flag == true || v->flag == false));
    CHECK(!strcmp(v->kind, "ref") || !strcmp(v->kind, "cpu") || !strcmp(v->kind, "cuda"));
    for (size_t i = 0; i < v->more.n; i++) CHECK(v->more.item[i]);
    json_t *utf8 = v->title ? json_string(v->title) : json_null();
    CHECK(!opt_record("fuzz", t, OPTIONS, &record, &e));
    json_t *o = json_loads(record, 0, NULL);
    CHECK(!utf8 || json_integer_value(json_object_get(o, "count")) == v->count);
    CHECK(!utf8 || !v->title || json_equal(utf8, json_object_get(o, "title")));
    json_decref(o);
    json_decref(utf8);
    free(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct values v = {0};
    const struct opt t[OPTIONS] = {
        {"in", OPT_INPUT, &v.in, "a", 0, 0, NULL, NULL, "a file", true},
        {"more", OPT_INPUTS, &v.more, "", 0, 0, NULL, NULL, "files", true},
        {"out", OPT_OUTPUT, &v.out, "b", 0, 0, NULL, NULL, "a file", false},
        {"kind", OPT_TEXT, &v.kind, "cpu", 0, 0, "ref|cpu|cuda", NULL, "who computes", false},
        {"title", OPT_TEXT, &v.title, "", 0, 0, NULL, NULL, "a text", false},
        {"count", OPT_INT, &v.count, "1", 1, 4096, NULL, "rows", "how many", false},
        {"any", OPT_INT, &v.any, "0", 0, 0, NULL, NULL, "any number", false},
        {"share", OPT_REAL, &v.share, "0.5", 0, 0.5, NULL, "1", "how much", false},
        {"real", OPT_REAL, &v.real, "1e-3", 0, 0, NULL, NULL, "any number", false},
        {"flag", OPT_FLAG, &v.flag, NULL, 0, 0, NULL, NULL, "or not", false},
    };
    char *text = malloc(n + 1), *argv[WORDS + 1] = {(char[]){"fuzz"}}, *said = NULL;
    int argc = 1;
    size_t n_said = 0;
    struct err e = {0};
    FILE *out = stdout;
    if (n) memcpy(text, data, n);
    text[n] = 0;
    for (size_t at = 0; at < n && argc < WORDS; at += strlen(text + at) + 1) argv[argc++] = text + at;
    stdout = open_memstream(&said, &n_said); /* --help prints there */
    int rc = opt_parse("fuzz", "nothing", t, OPTIONS, argc, argv, &e);
    fclose(stdout);
    stdout = out;
    CHECK(rc == 1 ? n_said > 0 : n_said == 0);
    CHECK(rc < 0 ? rc == ERR_USAGE && e.code == rc && strncmp(e.text, "fuzz: ", 6) == 0 : rc <= 1);
    if (!rc) check(&v, t);
    opt_free(t, OPTIONS);
    CHECK(!v.more.item);
    free(said);
    free(text);
    return 0;
}
