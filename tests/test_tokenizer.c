/* test_tokenizer.c - text to ids: equal to the reference library on its own samples and on awkward texts; what is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <utf8proc.h>

#include "lib/base/arena.h"
#include "lib/base/rng.h"
#include "lib/file/jsonfile.h"
#include "lib/lm/pretoken.h"
#include "lib/lm/tokenizer.h"
#include "lib/lm/unitext.h"

#define FIXTURES   "tests/fixtures/tokenizer"
#define DEMO_MODEL "inputs/models/qwen2-8l-zh-en"

static struct tokenizer *open_ok(const char *dir) {
    struct tokenizer *t;
    struct err e = {0};
    if (tokenizer_open(&t, dir, &e)) fail_msg("%s", e.text);
    return t;
}

static struct bpe_ids encode_ok(struct tokenizer *t, const char *text, size_t n) {
    struct bpe_ids ids = {0};
    struct err e = {0};
    if (tokenizer_encode(t, text, n, &ids, &e)) fail_msg("%s", e.text);
    return ids;
}

static void check_ids(struct tokenizer *t, const char *text, size_t n, const json_t *want, const char *name,
                      size_t which) {
    struct bpe_ids got = encode_ok(t, text, n);
    assert_true(json_is_array(want));
    if (got.n != json_array_size(want))
        fail_msg("%s: text %zu: want %zu ids, got %zu", name, which, json_array_size(want), got.n);
    for (size_t i = 0; i < got.n; i++)
        if (got.id[i] != json_integer_value(json_array_get(want, i)))
            fail_msg("%s: text %zu: id %zu: want %lld, got %d", name, which, i,
                     (long long)json_integer_value(json_array_get(want, i)), got.id[i]);
    bpe_ids_free(&got);
}

static void test_samples(void **state) {
    (void)state;
    struct tokenizer *t = open_ok(DEMO_MODEL);
    json_t *list = json_load_file("inputs/models/tokenizer_samples.json", 0, NULL), *s;
    size_t i;
    assert_true(json_array_size(list) >= 100);
    json_array_foreach(list, i, s) {
        const json_t *text = json_object_get(s, "text");
        check_ids(t, json_string_value(text), json_string_length(text), json_object_get(s, "ids"), DEMO_MODEL, i);
    }
    assert_int_equal(tokenizer_bos(t), 0);
    assert_int_equal(tokenizer_n_ids(t), 8192);
    json_decref(list);
    tokenizer_close(t);
    t = open_ok("inputs/models/gelu-1l-zh-en"); /* default_prepend_bos, no bos_token_id */
    assert_int_equal(tokenizer_bos(t), 0);
    tokenizer_close(t);
}

static size_t from_hex(const char *hex, char *out) {
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        out[i] = (char)strtoul(two, NULL, 16);
    }
    return n;
}

static void test_families(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int32_t bos;
    } family[] = {{"qwen2", 0}, {"llama3", 1100}, {"gpt2", -1}, {"neox", 0}};
    struct err e = {0};
    json_t *cases;
    if (jsonfile_read(FIXTURES "/cases.json", &cases, &e)) fail_msg("%s", e.text);
    json_t *texts = json_object_get(cases, "texts");
    char *text = malloc(1 << 16), dir[256];
    assert_true(json_array_size(texts) >= 40);
    for (size_t f = 0; f < sizeof family / sizeof *family; f++) {
        const json_t *ids = json_object_get(json_object_get(cases, "ids"), family[f].name);
        snprintf(dir, sizeof dir, "%s/%s", FIXTURES, family[f].name);
        struct tokenizer *t = open_ok(dir);
        assert_int_equal(tokenizer_bos(t), family[f].bos);
        for (int round = 0; round < 2; round++) /* the second time from the word cache */
            for (size_t i = 0; i < json_array_size(texts); i++) {
                const char *hex = json_string_value(json_array_get(texts, i));
                assert_true(strlen(hex) < 2 << 16);
                check_ids(t, text, from_hex(hex, text), json_array_get(ids, i), family[f].name, i);
            }
        tokenizer_close(t);
    }
    free(text);
    json_decref(cases);
}

/* The pieces of the split alone: two splits that differ can give the same ids. */
static void test_splits(void **state) {
    (void)state;
    struct err e = {0};
    json_t *cases, *pattern;
    if (jsonfile_read(FIXTURES "/cases.json", &cases, &e)) fail_msg("%s", e.text);
    const json_t *texts = json_object_get(cases, "texts"), *splits = json_object_get(cases, "splits");
    struct unitext_buf scratch = {0};
    char *bytes = malloc(1 << 16);
    const char *name;
    json_object_foreach(json_object_get(cases, "patterns"), name, pattern) {
        struct pretoken *p;
        if (pretoken_open(&p, json_string_value(pattern), "P", &e)) fail_msg("%s", e.text);
        for (size_t i = 0; i < json_array_size(texts); i++) {
            const json_t *want = json_array_get(json_object_get(splits, name), i);
            const char *text;
            size_t n = from_hex(json_string_value(json_array_get(texts, i)), bytes), k = 0;
            assert_int_equal(unitext_repair(bytes, n, &scratch, &text, &n, &e), 0);
            for (size_t at = 0, end; at < n; at = end, k++) {
                if (pretoken_next(p, text, n, at, &end, &e)) fail_msg("%s", e.text);
                if ((json_int_t)(end - at) != json_integer_value(json_array_get(want, k)))
                    fail_msg("%s: text %zu: piece %zu has %zu bytes", name, i, k, end - at);
            }
            assert_int_equal(k, json_array_size(want));
        }
        pretoken_close(p);
    }
    unitext_free(&scratch);
    free(bytes);
    json_decref(cases);
}

/* Ids do not depend on what was encoded before: far more different words than the cache holds, by number (short words)
 * and by size (long ones); some of them again in a fresh tokenizer. */
static void test_cache(void **state) {
    (void)state;
    enum { WORDS = 160000, LONG = 240 };
    struct tokenizer *t = open_ok(DEMO_MODEL), *other = NULL;
    struct bpe_ids used = {0}, fresh;
    struct err e = {0};
    char word[LONG];
    for (uint64_t w = 0; w < WORDS; w++) {
        size_t n = w < WORDS / 2 ? 5 : LONG;
        for (size_t k = 0; k < n; k += 4) {
            uint32_t r[4];
            rng_block(7, w, k, r);
            for (size_t j = k; j < k + 4 && j < n; j++) word[j] = (char)('a' + r[j - k] % 26);
        }
        used.n = 0;
        if (w > 10 && w < 3000) mem_fail_after(0); /* no memory for the cache to grow: it goes on as it is */
        assert_int_equal(tokenizer_encode(t, word, n, &used, &e), 0);
        mem_fail_after(-1);
        if (w % 1000 > 1) continue;
        if (w % 1000 == 0) {
            tokenizer_close(other);
            other = w % 10000 ? NULL : open_ok(DEMO_MODEL);
        }
        if (!other) continue;
        fresh = encode_ok(other, word, n);
        assert_int_equal(used.n, fresh.n);
        assert_memory_equal(used.id, fresh.id, fresh.n * sizeof *fresh.id);
        bpe_ids_free(&fresh);
    }
    tokenizer_close(other);
    bpe_ids_free(&used);
    tokenizer_close(t);
}

/* Quadratic merging, splitting or mark sorting would take hours here. */
static void test_long_runs(void **state) {
    (void)state;
    enum { N = 1 << 20 };
    static const char *const unit[] = {"x", " ", "ab", "\n", " \n", "1", "\xCC\x81\xCC\xA3", "\xE4\xB8\xAD", "\xFF"};
    char *text = malloc(N + 16);
    struct tokenizer *t = open_ok(DEMO_MODEL);
    for (size_t u = 0; u < sizeof unit / sizeof *unit; u++) {
        size_t len = strlen(unit[u]), n = N / len * len;
        for (size_t i = 0; i < n; i += len) memcpy(text + i, unit[u], len);
        struct bpe_ids ids = encode_ok(t, text, n);
        assert_true(ids.n > N / 64 && ids.n <= 3 * N);
        bpe_ids_free(&ids);
    }
    tokenizer_close(t);
    free(text);
}

/* Python's bytes.decode('utf-8', errors='replace'); '?' stands for U+FFFD. */
static void test_repair(void **state) {
    (void)state;
    static const char *const pair[][2] = {{"plain", "plain"},
                                          {"\xC3\xA9", "\xC3\xA9"},
                                          {"\xFF", "?"},
                                          {"a\x80\x80z", "a??z"},
                                          {"\xE4\xB8", "?"},
                                          {"\xE4\xB8\xE4\xB8\xAD", "?\xE4\xB8\xAD"},
                                          {"\xC0\xAF", "??"},
                                          {"\xE0\x80\xAF", "???"},
                                          {"\xED\xA0\x80", "???"},
                                          {"\xF0\x9F\x98z", "?z"},
                                          {"\xF4\x90\x80\x80", "????"},
                                          {"\xF5", "?"},
                                          {"\xF0\x80\x80", "???"},
                                          {"\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"},
                                          {"\xF1\x80\x80\xC3", "??"}};
    struct unitext_buf scratch = {0};
    struct err e = {0};
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
        char want[64];
        const char *out;
        size_t n = 0, n_out;
        for (const char *p = pair[i][1]; *p; p++)
            if (*p == '?')
                memcpy(want + n, "\xEF\xBF\xBD", 3), n += 3;
            else
                want[n++] = *p;
        assert_int_equal(unitext_repair(pair[i][0], strlen(pair[i][0]), &scratch, &out, &n_out, &e), 0);
        if (n != n_out || memcmp(out, want, n)) fail_msg("pair %zu: got %zu bytes, want %zu", i, n_out, n);
    }
    unitext_free(&scratch);
}

/* The short cut past NFC is sound: what it calls inert has class 0, is its own NFC, and ends no decomposition (so that
 * no pair composes into anything with it as the second). */
static void test_inert(void **state) {
    (void)state;
    char *second = calloc(0x110000, 1);
    size_t n_inert = 0;
    for (int32_t cp = 0; cp < 0x110000; cp++) {
        int32_t part[32];
        int boundary = 0;
        if (cp >= 0xD800 && cp < 0xE000) continue;
        utf8proc_ssize_t n = utf8proc_decompose_char(cp, part, 32, UTF8PROC_STABLE | UTF8PROC_COMPOSE, &boundary);
        assert_true(n > 0 && n <= 4);
        for (utf8proc_ssize_t k = 1; k < n; k++) second[part[k]] = 1;
        if (!unitext_inert((uint32_t)cp)) continue;
        n = utf8proc_normalize_utf32(part, n, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        assert_true(n == 1 && part[0] == cp);
        assert_int_equal(utf8proc_get_property(cp)->combining_class, 0);
        n_inert++;
    }
    for (uint32_t cp = 0; cp < 0x110000; cp++)
        if (second[cp] && unitext_inert(cp)) fail_msg("U+%04X is the second of a pair", cp);
    assert_true(n_inert > 90000);
    free(second);
}

/* Against utf8proc on random sequences of code points that both Unicode versions know alike. */
static void test_nfc(void **state) {
    (void)state;
    static const uint32_t pool[] = {'a',   'e',    ' ',    0x41,   0xE9,   0x300,  0x301,  0x323,  0x345,
                                    0x334, 0x1100, 0x1161, 0x11A8, 0xAC00, 0x4E2D, 0x30AB, 0x3099, 0x627,
                                    0x653, 0x64B,  0x958,  0x212B, 0xF73,  0x344,  0x9C7,  0x9BE};
    enum { POOL = sizeof pool / sizeof *pool };
    struct unitext_buf scratch = {0};
    struct err e = {0};
    for (uint64_t trial = 0; trial < 20000; trial++) {
        utf8proc_uint8_t text[64], *want = NULL;
        size_t n = 0, n_out;
        const char *out;
        for (uint64_t k = 0; k < 1 + trial % 12; k++)
            n += (size_t)utf8proc_encode_char((int32_t)pool[rng_below(1, trial, k, POOL)], text + n);
        utf8proc_ssize_t m = utf8proc_map(text, (utf8proc_ssize_t)n, &want, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        assert_int_equal(unitext_nfc((const char *)text, n, &scratch, &out, &n_out, &e), 0);
        assert_int_equal(n_out, m);
        assert_memory_equal(out, want, n_out);
        free(want);
    }
    unitext_free(&scratch);
}

/* A change of one member of the qwen2 fixture, by the path to it, and what must be said. */
static const struct {
    const char *path, *json;
    int code;
    const char *part;
} changed[] = {
    {"model/type", "\"WordPiece\"", ERR_UNSUPPORTED, "model: type: 'WordPiece'"},
    {"model/byte_fallback", "true", ERR_UNSUPPORTED, "byte_fallback"},
    {"model/dropout", "0.1", ERR_UNSUPPORTED, "dropout"},
    {"model/end_of_word_suffix", "\"</w>\"", ERR_UNSUPPORTED, "end_of_word_suffix"},
    {"model/ignore_merges", "3", ERR_FORMAT, "ignore_merges"},
    {"model/vocab", "[]", ERR_FORMAT, "vocab"},
    {"model/vocab/a", "-4", ERR_RANGE, "'a'"},
    {"model/vocab/a", "5000000000", ERR_RANGE, "'a'"},
    {"model/vocab", "{\"a\":0}", ERR_FORMAT, "byte 0x00"},
    {"model/merges", "[[\"a\"]]", ERR_FORMAT, "element 0"},
    {"model/merges", "[\"a b c\"]", ERR_FORMAT, "element 0"},
    {"model/merges", "[\"a qqqqqq\"]", ERR_FORMAT, "not in vocab"},
    {"model/merges", "7", ERR_FORMAT, "merges"},
    {"model", "null", ERR_FORMAT, "model"},
    {"normalizer", "{\"type\":\"Lowercase\"}", ERR_UNSUPPORTED, "normalizer: 'Lowercase'"},
    {"normalizer", "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Strip\"}]}", ERR_UNSUPPORTED,
     "'Strip'"},
    {"normalizer", "5", ERR_FORMAT, "normalizer"},
    {"pre_tokenizer", "null", ERR_UNSUPPORTED, "pre_tokenizer"},
    {"pre_tokenizer", "{\"type\":\"Metaspace\"}", ERR_UNSUPPORTED, "'Metaspace'"},
    {"pre_tokenizer", "{\"type\":\"ByteLevel\",\"use_regex\":false}", ERR_UNSUPPORTED, "use_regex"},
    {"pre_tokenizer", "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\"},{\"type\":\"ByteLevel\"}]}",
     ERR_UNSUPPORTED, "'Digits'"},
    {"pre_tokenizer/pretokenizers/0/behavior", "\"Removed\"", ERR_UNSUPPORTED, "'Removed'"},
    {"pre_tokenizer/pretokenizers/0/pattern", "{\"String\":\" \"}", ERR_UNSUPPORTED, "pattern"},
    {"pre_tokenizer/pretokenizers/0/invert", "true", ERR_UNSUPPORTED, "invert"},
    {"pre_tokenizer/pretokenizers/1/add_prefix_space", "true", ERR_UNSUPPORTED, "add_prefix_space"},
    {"pre_tokenizer/pretokenizers/1/use_regex", "true", ERR_UNSUPPORTED, "use_regex"},
    {"added_tokens/0/lstrip", "true", ERR_UNSUPPORTED, "lstrip"},
    {"added_tokens/0/single_word", "true", ERR_UNSUPPORTED, "single_word"},
    {"added_tokens/1/id", "77", ERR_FORMAT, "want id 1, got 77"},
    {"added_tokens/1/content", "\"<|endoftext|>\"", ERR_FORMAT, "want id 0"},
    {"added_tokens", "{}", ERR_FORMAT, "added_tokens"},
    {"post_processor", "{\"type\":\"BertProcessing\"}", ERR_UNSUPPORTED, "'BertProcessing'"},
};

static json_t *fixture(const char *path) {
    struct err e = {0};
    json_t *root;
    if (jsonfile_read(path, &root, &e)) fail_msg("%s", e.text);
    return root;
}

static void set_member(json_t *root, const char *path, const char *json) {
    char key[64];
    json_t *at = root;
    for (;; path++) {
        size_t n = strcspn(path, "/");
        memcpy(key, path, n);
        key[n] = 0;
        path += n;
        if (!*path) break;
        at = json_is_array(at) ? json_array_get(at, (size_t)atoi(key)) : json_object_get(at, key);
    }
    assert_int_equal(json_object_set_new(at, key, json_loads(json, JSON_DECODE_ANY, NULL)), 0);
}

static void test_refusals(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
        struct tokfile t;
        struct err e = {0};
        json_t *root = fixture(FIXTURES "/qwen2/tokenizer.json");
        set_member(root, changed[i].path, changed[i].json);
        int rc = tokfile_parse(&t, root, NULL, "T", &e);
        if (rc != changed[i].code || e.code != rc || !strstr(e.text, changed[i].part))
            fail_msg("%s := %s: want %d with '%s', got %d: %s", changed[i].path, changed[i].json, changed[i].code,
                     changed[i].part, rc, e.text);
        tokfile_free(&t);
        json_decref(root);
    }
}

static void test_bos(void **state) {
    (void)state;
    static const struct {
        const char *name, *config;
        int32_t want;
        int code;
    } c[] = {
        {"llama3", NULL, 1100, 0},
        {"llama3", "{}", 1100, 0},
        {"llama3", "{\"bos_token_id\":5}", 5, 0},
        {"llama3", "{\"bos_token_id\":null}", -1, 0},
        {"llama3", "{\"default_prepend_bos\":false}", -1, 0},
        {"llama3", "{\"default_prepend_bos\":true}", -1, ERR_FORMAT}, /* has no <|endoftext|> */
        {"llama3", "{\"bos_token_id\":1104}", -1, ERR_RANGE},
        {"llama3", "{\"bos_token_id\":\"x\"}", -1, ERR_RANGE},
        {"gpt2", NULL, -1, 0},
        {"gpt2", "{\"default_prepend_bos\":true}", 0, 0},
    };
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        struct tokfile t;
        struct err e = {0};
        char path[128];
        snprintf(path, sizeof path, "%s/%s/tokenizer.json", FIXTURES, c[i].name);
        json_t *root = fixture(path), *config = c[i].config ? json_loads(c[i].config, 0, NULL) : NULL;
        assert_int_equal(tokfile_parse(&t, root, config, path, &e), c[i].code);
        if (t.bos != c[i].want) fail_msg("case %zu: want BOS %d, got %d", i, c[i].want, t.bos);
        tokfile_free(&t);
        json_decref(root);
        json_decref(config);
    }
}

static void test_patterns(void **state) {
    (void)state;
    static const struct {
        const char *pattern;
        int code;
        const char *part;
    } c[] = {{"\\h+", ERR_UNSUPPORTED, "'\\h' at byte 0"},
             {"a|[a-z&&[^b]]", ERR_UNSUPPORTED, "'&&'"},
             {"^a", ERR_UNSUPPORTED, "'^'"},
             {".", ERR_UNSUPPORTED, "'.'"},
             {"a*", ERR_UNSUPPORTED, "match nothing"},
             {"(?<n>a)", ERR_UNSUPPORTED, "(?<n"},
             {"a{1,3}+", ERR_UNSUPPORTED, "{1,3}+"},
             {"(a", ERR_FORMAT, "parenthesis"},
             {"[a", ERR_UNSUPPORTED, "'['"},
             {"[\\s-z]", ERR_UNSUPPORTED, "-z"},
             {"[a\\S]", ERR_UNSUPPORTED, "\\S"},
             {"\\p{Lu}", ERR_UNSUPPORTED, "\\p"},
             {"\\", ERR_UNSUPPORTED, "'\\'"},
             {"[^]", ERR_UNSUPPORTED, "']'"},
             {"a{", ERR_UNSUPPORTED, "{"}};
    struct pretoken *p;
    struct err e = {0};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        int rc = pretoken_open(&p, c[i].pattern, "P", &e);
        if (rc != c[i].code || p || !strstr(e.text, c[i].part))
            fail_msg("%s: want %d with '%s', got %d: %s", c[i].pattern, c[i].code, c[i].part, rc, e.text);
    }
    /* what lies between matches is a piece of its own */
    size_t end;
    assert_int_equal(pretoken_open(&p, "[b-d]+|\\.", "P", &e), 0);
    assert_int_equal(pretoken_next(p, "aabc.x", 6, 0, &end, &e), 0);
    assert_int_equal(end, 2);
    assert_int_equal(pretoken_next(p, "aabc.x", 6, 2, &end, &e), 0);
    assert_int_equal(end, 4);
    assert_int_equal(pretoken_next(p, "aabc.x", 6, 5, &end, &e), 0);
    assert_int_equal(end, 6);
    pretoken_close(p);
}

static void test_no_memory(void **state) {
    (void)state;
    struct tokfile f;
    struct tokenizer *t = NULL;
    struct err e = {0};
    static const char text[] = "e\xCC\x81 \xFF words";
    json_t *root = fixture(FIXTURES "/llama3/tokenizer.json");
    set_member(root, "normalizer", "{\"type\":\"NFC\"}");
    int rc = ERR_MEMORY;
    for (long n = 0; rc; n++) {
        struct bpe_ids ids = {0};
        assert_true(n < 200);
        mem_fail_after(n);
        rc = tokfile_parse(&f, root, NULL, "T", &e);
        if (!rc) rc = tokenizer_build(&t, &f, "T", &e);
        if (!rc) rc = tokenizer_encode(t, text, sizeof text - 1, &ids, &e);
        mem_fail_after(-1);
        if (rc) assert_int_equal(rc, ERR_MEMORY);
        tokfile_free(&f);
        tokenizer_close(t);
        bpe_ids_free(&ids);
        t = NULL;
    }
    json_decref(root);
}

static void test_no_file(void **state) {
    (void)state;
    struct tokenizer *t = (struct tokenizer *)1;
    struct err e = {0};
    assert_int_equal(tokenizer_open(&t, "tests", &e), ERR_IO);
    assert_null(t);
    assert_non_null(strstr(e.text, "tests/tokenizer.json"));
    assert_non_null(strstr(e.hint, "tokenizer.json"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples), cmocka_unit_test(test_families),  cmocka_unit_test(test_splits),
        cmocka_unit_test(test_cache),   cmocka_unit_test(test_long_runs), cmocka_unit_test(test_repair),
        cmocka_unit_test(test_inert),   cmocka_unit_test(test_nfc),       cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_bos),     cmocka_unit_test(test_patterns),  cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
