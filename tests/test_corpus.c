/* test_corpus.c - corpora: plain, zstd and gzip give the same documents; every truncation, bad lines, long lines,
 * groups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#include "lib/base/arena.h"
#include "lib/base/outdir.h"
#include "lib/base/rng.h"
#include "lib/file/corpus.h"
#include "lib/file/encoding.h"
#include "lib/file/stream.h"

#define FIXTURE "tests/fixtures/files/"
#define TMP     "build/tmp/test_corpus"

static int make_tmp(void **state) {
    struct err e;
    (void)state;
    return outdir_make(TMP, &e);
}

static void put(const char *path, const void *bytes, size_t n) {
    remove(path); /* a new file each time: some file systems flush one that is truncated */
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static size_t get(const char *path, char *buf, size_t size) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(buf, 1, size, f);
    fclose(f);
    return n;
}

static struct corpus *open_ok(const char *path) {
    struct err e;
    struct corpus *c;
    if (corpus_open(&c, path, &e)) fail_msg("%s", e.text);
    return c;
}

static void next(struct corpus *c, const char *text, const char *id, const char *split, size_t line) {
    struct corpus_doc d;
    struct err e;
    int rc = corpus_next(c, &d, &e);
    if (rc < 0) fail_msg("%s", e.text);
    assert_int_equal(rc, 1);
    assert_string_equal(d.text, text);
    assert_int_equal(d.n_bytes, strlen(text));
    assert_string_equal(d.id, id);
    assert_string_equal(d.split, split);
    assert_int_equal(d.line, line);
}

static void end(struct corpus *c) {
    struct corpus_doc d;
    struct err e;
    assert_int_equal(corpus_next(c, &d, &e), 0);
    assert_int_equal(corpus_next(c, &d, &e), 0); /* and again */
    corpus_close(c);
}

/* Read to the end: the number of documents, or the error. */
static int read_all(const char *path, struct err *e) {
    struct corpus *c;
    struct corpus_doc d;
    int n = 0, rc = corpus_open(&c, path, e);
    if (rc) return rc;
    while ((rc = corpus_next(c, &d, e)) > 0) n++;
    corpus_close(c);
    return rc ? rc : n;
}

static void refused(const char *path, int code, const char *part) {
    struct err e = {0};
    int rc = read_all(path, &e);
    if (rc != code || !strstr(e.text, part) || strchr(e.text, '\n'))
        fail_msg("want %d with '%s', got %d: %s", code, part, rc, e.text);
}

/* ---- whole files ---- */

static void packed(void **state) {
    (void)state;
    static const char *const path[] = {FIXTURE "two.jsonl.zst", FIXTURE "two.jsonl.gz"};
    for (int k = 0; k < 2; k++) {
        struct corpus *c = open_ok(path[k]);
        next(c, "first\nline\u00e9", "a", "train", 1);
        next(c, "\u4e2d\u6587 \U0001f600", "b", "heldout", 2);
        next(c, "no split", "7", "", 5);
        next(c, "", "", "", 6);
        end(c);
    }
}

static void plain_text(void **state) {
    (void)state;
    struct corpus *c = open_ok(FIXTURE "plain.txt.zst");
    next(c, "one text\xff\r\nof two lines\n", "", "", 1);
    end(c);
    put(TMP "/a.txt", "x\0y", 3);
    struct corpus_doc d;
    struct err e;
    c = open_ok(TMP "/a.txt");
    assert_int_equal(corpus_next(c, &d, &e), 1);
    assert_int_equal(d.n_bytes, 3);
    assert_memory_equal(d.text, "x\0y", 4); /* and a zero behind */
    end(c);
    corpus_close(NULL);
}

static void empty_files(void **state) {
    (void)state;
    put(TMP "/e.txt", "", 0);
    end(open_ok(TMP "/e.txt"));
    put(TMP "/e.jsonl", "\n\r\n \t\n", 6);
    end(open_ok(TMP "/e.jsonl"));
    char buf[64];
    put(TMP "/e.txt.zst", buf, ZSTD_compress(buf, sizeof buf, "", 0, 1)); /* a frame of nothing */
    end(open_ok(TMP "/e.txt.zst"));
    put(TMP "/e.txt.zst", "", 0);
    refused(TMP "/e.txt.zst", ERR_FORMAT, "e.txt.zst: bad zstd data: truncated");
    put(TMP "/e.jsonl.gz", "", 0);
    refused(TMP "/e.jsonl.gz", ERR_FORMAT, "e.jsonl.gz: bad gzip data: truncated");
}

static void last_line(void **state) {
    (void)state;
    const char text[] =
        "{\"text\":\"a\"}\r\n{\"text\":\"b\",\"id\":null,\"split\":null,\"url\":123456789012345678901234567890}";
    put(TMP "/l.jsonl", text, strlen(text));
    struct corpus *c = open_ok(TMP "/l.jsonl");
    next(c, "a", "", "", 1);
    next(c, "b", "", "", 2);
    end(c);
}

/* Lines from nothing to several windows, at every offset to the window and the packed blocks; the same from all three
 * packings. */
static void long_lines(void **state) {
    (void)state;
    enum { N = 60, MAX = 3 << 20 };
    struct err e;
    char *all = mem_array((size_t)MAX * 8, 1, "all", &e), *out = mem_array((size_t)MAX * 8, 1, "out", &e);
    assert_true(all && out);
    size_t n = 0, size[N];
    for (uint64_t i = 0; i < N; i++) {
        size[i] = i == 30 ? MAX : (size_t)rng_below(1, 0, i, i % 7 == 0 ? 600000 : 3000);
        n += (size_t)sprintf(all + n, "{\"text\": \"");
        for (size_t k = 0; k < size[i]; k++) all[n++] = (char)('a' + (k * 7 + i + (k >> 9)) % 26);
        n += (size_t)sprintf(all + n, "\"}\n");
    }
    put(TMP "/b.jsonl", all, n);
    size_t z = ZSTD_compress(out, (size_t)MAX * 8, all, n, 1);
    assert_false(ZSTD_isError(z));
    put(TMP "/b.jsonl.zst", out, z);
    gzFile g = gzopen(TMP "/b.jsonl.gz", "wb1");
    assert_int_equal(gzwrite(g, all, (unsigned)n), n);
    assert_int_equal(gzclose(g), Z_OK);
    static const char *const path[] = {TMP "/b.jsonl", TMP "/b.jsonl.zst", TMP "/b.jsonl.gz"};
    for (int p = 0; p < 3; p++) {
        struct corpus *c = open_ok(path[p]);
        struct corpus_doc d;
        const char *at = all;
        for (size_t i = 0; i < N; i++) {
            assert_int_equal(corpus_next(c, &d, &e), 1);
            assert_int_equal(d.n_bytes, size[i]);
            assert_int_equal(d.line, i + 1);
            assert_memory_equal(d.text, at + 10, d.n_bytes);
            at = strchr(at, '\n') + 1;
        }
        end(c);
    }
    free(all);
    free(out);
}

/* A few packed bytes that hold much: all input is taken long before all output is given. */
static void much_in_little(void **state) {
    (void)state;
    enum { MAX = 2 << 20 };
    struct err e;
    char *all = mem_array(MAX + 1, 1, "all", &e), out[8192];
    assert_non_null(all);
    memset(all, 'a', MAX);
    for (size_t n = 1; n <= MAX; n *= 2)
        for (size_t m = n - 1; m <= n + 1 && m <= MAX; m++) {
            size_t z = ZSTD_compress(out, sizeof out, all, m, 1);
            assert_false(ZSTD_isError(z));
            put(TMP "/m.txt.zst", out, z);
            gzFile g = gzopen(TMP "/m.txt.gz", "wb9");
            assert_int_equal(gzwrite(g, all, (unsigned)m), m);
            assert_int_equal(gzclose(g), Z_OK);
            char keep = all[m];
            all[m] = 0;
            for (int p = 0; m && p < 2; p++) {
                struct corpus *c = open_ok(p ? TMP "/m.txt.gz" : TMP "/m.txt.zst");
                next(c, all, "", "", 1);
                end(c);
            }
            all[m] = keep;
        }
    free(all);
}

/* ---- damage ---- */

static void truncations(void **state) {
    (void)state;
    static const char *const from[] = {FIXTURE "two.jsonl.zst", FIXTURE "two.jsonl.gz", FIXTURE "plain.txt.zst"};
    static const char *const to[] = {TMP "/t.jsonl.zst", TMP "/t.jsonl.gz", TMP "/t.txt.zst"};
    for (int k = 0; k < 3; k++) {
        char bytes[512];
        size_t n = get(from[k], bytes, sizeof bytes), whole = 0;
        for (size_t i = 0; i < n; i++) {
            struct err e = {0};
            put(to[k], bytes, i);
            int rc = read_all(to[k], &e);
            if (rc >= 0)
                whole++, assert_int_equal(rc, 2); /* cut between the frames: a shorter, but whole file */
            else if (rc != ERR_FORMAT || !strstr(e.text, to[k]))
                fail_msg("at %zu: %d: %s", i, rc, e.text);
        }
        assert_int_equal(whole, k < 2);
    }
}

static void bad_packing(void **state) {
    (void)state;
    char bytes[600];
    size_t n = get(FIXTURE "two.jsonl.gz", bytes, 512);
    bytes[n] = 'x';
    put(TMP "/g.jsonl.gz", bytes, n + 1);
    refused(TMP "/g.jsonl.gz", ERR_FORMAT, "bad gzip data: ");
    n = get(FIXTURE "two.jsonl.zst", bytes, 512);
    memcpy(bytes + n, "junk", 4);
    put(TMP "/g.jsonl.zst", bytes, n + 4);
    refused(TMP "/g.jsonl.zst", ERR_FORMAT, "bad zstd data: ");
    put(TMP "/p.jsonl.zst", "{\"text\":\"not packed\"}\n", 22);
    refused(TMP "/p.jsonl.zst", ERR_FORMAT, "bad zstd data: ");
    put(TMP "/p.jsonl.gz", "{\"text\":\"not packed\"}\n", 22);
    refused(TMP "/p.jsonl.gz", ERR_FORMAT, "bad gzip data: ");
    n = get(FIXTURE "two.jsonl.zst", bytes, 512);
    bytes[20] ^= 4; /* the checksum notices */
    put(TMP "/c.jsonl.zst", bytes, n);
    refused(TMP "/c.jsonl.zst", ERR_FORMAT, "c.jsonl.zst");
}

static void bad_lines(void **state) {
    (void)state;
    static const struct {
        const char *line, *part;
    } bad[] = {
        {"{\"text\":\"a\"", "b.jsonl:2: invalid JSON"},
        {"[]", "b.jsonl:2: want a JSON object at the top"},
        {"\"a\"", "b.jsonl:2: invalid JSON"},
        {"{}", "b.jsonl:2: key 'text': want a text, got none"},
        {"{\"text\":1}", "b.jsonl:2: key 'text': want a text, got another type"},
        {"{\"text\":\"\xff\"}", "b.jsonl:2: invalid JSON: unable to decode byte 0xff"},
        {"{\"text\":\"\xed\xa0\x80\"}", "b.jsonl:2: invalid JSON"},
        {"{\"text\":\"a\",\"id\":\"x\\u0000\"}", "b.jsonl:2: key 'id': want a name, got one with a zero"},
        {"{\"text\":\"a\",\"split\":\"train\\u0000\"}", "b.jsonl:2: key 'split': want a name, got one with a zero"},
        {"{\"text\":\"a\",\"language\":\"\\u0000\"}", "b.jsonl:2: key 'language': want a name, got one with a zero"},
        {"{\"text\":\"a\",\"x\\u0000\":1}", "b.jsonl:2: invalid JSON: NUL byte in object key"},
        {"{\"text\":\"a\",\"text\":\"b\"}", "b.jsonl:2: invalid JSON: duplicate"},
        {"{\"text\":\"a\",\"id\":[]}", "b.jsonl:2: key 'id': want a text"},
        {"{\"text\":\"a\",\"split\":3}", "b.jsonl:2: key 'split': want a text"},
        {"{\"text\":\"a\",\"split\":\"test\"}", "b.jsonl:2: key 'split': want train or heldout, got 'test'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[256];
        int n = snprintf(text, sizeof text, "{\"text\":\"fine\"}\n%s\n{\"text\":\"fine\"}\n", bad[i].line);
        put(TMP "/b.jsonl", text, (size_t)n);
        refused(TMP "/b.jsonl", ERR_FORMAT, bad[i].part);
    }
    put(TMP "/b.jsonl", "{\"text\":\"a\"}\0\n", 14);
    refused(TMP "/b.jsonl", ERR_FORMAT, "b.jsonl:1: invalid JSON");
}

static void zero_characters(void **state) {
    (void)state;
    struct corpus_doc d;
    struct err e;
    const char line[] = "{\"text\":\"a\\u0000\\u0000b\",\"note\":\"\\u0000\"}\n{\"text\":\"\\u0000\"}\n";
    put(TMP "/z.jsonl", line, strlen(line));
    struct corpus *c = open_ok(TMP "/z.jsonl");
    assert_int_equal(corpus_next(c, &d, &e), 1);
    assert_int_equal(d.n_bytes, 4);
    assert_memory_equal(d.text, "a\0\0b", 5);
    assert_int_equal(corpus_next(c, &d, &e), 1);
    assert_int_equal(d.n_bytes, 1);
    assert_memory_equal(d.text, "\0", 2);
    end(c);
}

/* ---- encodings ---- */

static void hinted(const char *path, const void *bytes, size_t n, const char *text, const char *hint) {
    struct err e = {0};
    put(path, bytes, n);
    int rc = read_all(path, &e);
    if (rc != ERR_FORMAT || !strstr(e.text, text) || strcmp(e.hint, hint)) fail_msg("%d: %s: %s", rc, e.text, e.hint);
}

static void byte_order_marks(void **state) {
    (void)state;
#define ICONV(from, name) "iconv -f " from " -t UTF-8 " TMP "/" name " >b."
    hinted(TMP "/m.txt",
           "\xff\xfe"
           "a\0",
           4, "m.txt: want UTF-8, got UTF-16", ICONV("UTF-16", "m.txt") "txt");
    hinted(TMP "/m.txt", "\xfe\xff\0a", 4, "m.txt: want UTF-8, got UTF-16", ICONV("UTF-16", "m.txt") "txt");
    hinted(TMP "/m.txt", "\xff\xfe\0\0a\0\0\0", 8, "m.txt: want UTF-8, got UTF-32", ICONV("UTF-32", "m.txt") "txt");
    hinted(TMP "/m.txt", "\0\0\xfe\xff\0\0\0a", 8, "m.txt: want UTF-8, got UTF-32", ICONV("UTF-32", "m.txt") "txt");
    hinted(TMP "/m.jsonl", "\xff\xfe{\0}\0", 6, "m.jsonl: want UTF-8, got UTF-16", ICONV("UTF-16", "m.jsonl") "jsonl");
    char packed_bytes[64];
    size_t n = ZSTD_compress(packed_bytes, sizeof packed_bytes,
                             "\xff\xfe"
                             "a\0",
                             4, 1);
    hinted(TMP "/m.txt.zst", packed_bytes, n, "m.txt.zst: want UTF-8, got UTF-16",
           "zstd -dc " TMP "/m.txt.zst | iconv -f UTF-16 -t UTF-8 >b.txt");
    put(TMP "/m.txt", "\xef\xbb\xbfone\xef\xbb\xbf", 9);
    struct corpus *c = open_ok(TMP "/m.txt");
    next(c, "one\xef\xbb\xbf", "", "", 1); /* only the first is a mark */
    end(c);
    put(TMP "/m.txt", "\xef\xbb\xbf", 3);
    end(open_ok(TMP "/m.txt"));
    put(TMP "/m.txt", "\xef\xbb", 2);
    c = open_ok(TMP "/m.txt");
    next(c, "\xef\xbb", "", "", 1);
    end(c);
    const char line[] = "\xef\xbb\xbf{\"text\":\"a\"}\n{\"text\":\"b\"}";
    put(TMP "/m.jsonl", line, strlen(line));
    c = open_ok(TMP "/m.jsonl");
    next(c, "a", "", "", 1);
    next(c, "b", "", "", 2);
    end(c);
}

static void guess_is(const char *name, const void *bytes, size_t n) {
    const char *got = encoding_guess(bytes, n);
    if (!got != !name || (name && strcmp(name, got))) fail_msg("want %s, got %s", name ? name : "-", got ? got : "-");
}

static void encodings(void **state) {
    (void)state;
    char wide[400];
    for (size_t i = 0; i < sizeof wide; i++) wide[i] = i % 2 ? 0 : (char)('a' + i % 13);
    hinted(TMP "/w.txt", wide, sizeof wide, "w.txt: want UTF-8, got UTF-16LE", ICONV("UTF-16LE", "w.txt") "txt");
    hinted(TMP "/w.txt", wide + 1, sizeof wide - 2, "w.txt: want UTF-8, got UTF-16BE",
           ICONV("UTF-16BE", "w.txt") "txt");
    hinted(TMP "/w.jsonl", wide, sizeof wide, "w.jsonl:1: invalid JSON",
           "if it is UTF-16LE: " ICONV("UTF-16LE", "w.jsonl") "jsonl");
    assert_null(encoding_wide(wide, 15)); /* too short to tell */
    assert_null(encoding_wide("a\0\0\0a\0\0\0a\0\0\0a\0\0\0a\0\0\0", 20));
#define GB "{\"text\":\"\xc4\xda\xba\xcb\xce\xc4\xb5\xb5 abc\"}" /* neihe wendang, kernel documents */
    guess_is("GB18030", GB, sizeof GB - 1);
    guess_is("GB18030", GB "\x81\x30\x89\x38\xc4", sizeof GB + 4); /* a character of four bytes, and half a one */
    guess_is("ISO-8859-1", "caf\xe9 na\xefve", 10);
    guess_is("ISO-8859-1",
             "gar\xe7on fa\xe7"
             "ade",
             13);                                                 /* well-formed as GBK, but no hanzi of GB 2312 */
    guess_is(NULL, "\xcf\xf0\xe8\xe2\xe5\xf2 \xec\xe8\xf0!", 11); /* windows-1251 */
    guess_is(NULL, "\x82\xb1\x82\xea\x82\xcd", 6);                /* Shift-JIS */
    guess_is(NULL,
             "\xb3o\xac"
             "O\xa4\xa4\xa4\xe5",
             8); /* Big5 */
    guess_is(NULL, "caf\xe9\0", 5);
    guess_is(NULL,
             "\x93"
             "caf\xe9\x94",
             6); /* windows-1252 */
    guess_is(NULL, "", 0);
    hinted(TMP "/g.jsonl", GB "\n", sizeof GB, "g.jsonl:1: invalid JSON: unable to decode byte 0xc4",
           "if it is GB18030: " ICONV("GB18030", "g.jsonl") "jsonl");
    hinted(TMP "/g.jsonl", "{\"text\":\"\x81\"}", 12, "g.jsonl:1: invalid JSON", ICONV("ENCODING", "g.jsonl") "jsonl");
    hinted(TMP "/g.jsonl", "{\"text\":\"a\"", 11, "g.jsonl:1: invalid JSON", ""); /* no matter of encodings */
}

static void names(void **state) {
    (void)state;
    static const char *const bad[] = {"a.pdf",       "a.json", "a.jsonl.bz2", "a.zst", "a.gz",
                                      ".txt.gz.zst", "jsonl",  "txt.gz",      ".txt"};
    struct err e;
    struct corpus *c;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(corpus_open(&c, bad[i], &e), ERR_UNSUPPORTED);
        assert_null(c);
        assert_string_equal(
            e.hint,
            "accepted are .txt and .jsonl files, plain or with .zst or .gz behind it; of a folder DIR, name DIR/*");
    }
    assert_int_equal(corpus_open(&c, TMP "/none.txt", &e), ERR_IO);
    assert_non_null(strstr(e.text, TMP "/none.txt: cannot open"));
    assert_int_equal(outdir_make(TMP "/folder.txt", &e), 0);
    assert_int_equal(corpus_open(&c, TMP "/folder.txt", &e), ERR_IO);
    assert_non_null(strstr(e.text, "want a file, got a folder"));
}

/* A line over 256 MB is refused before it is held; a bomb of 300 MB in a few kB. */
static void too_long(void **state) {
    (void)state;
    enum { MB = 1 << 20 };
    struct err e;
    char *block = mem_array(MB, 1, "block", &e);
    assert_non_null(block);
    memset(block, 'a', MB);
    gzFile g = gzopen(TMP "/bomb.jsonl.gz", "wb1");
    for (int i = 0; i < 300; i++) assert_int_equal(gzwrite(g, block, MB), MB);
    gzclose(g);
    free(block);
    refused(TMP "/bomb.jsonl.gz", ERR_RANGE, "bomb.jsonl.gz:1: document too long: want at most 256 MB");
}

static void groups(void **state) {
    (void)state;
    static const struct {
        const char *path, *group;
    } good[] = {{"inputs/corpus/zh/a.jsonl.zst", "zh"},
                {"zh/a.txt", "zh"},
                {"/zh//a.txt", "zh"},
                {"a.txt", "text"},
                {"./a.txt", "text"},
                {"/a.txt", "text"},
                {"../a.txt", "text"},
                {"zh/./a.txt", "text"},
                {"../en/a.txt", "en"},
                {"", "text"},
                {"//a", "text"},
                {"en/", "en"}};
    char out[64];
    struct err e;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(corpus_group(good[i].path, out, &e), 0);
        assert_string_equal(out, good[i].group);
    }
    char path[80];
    for (size_t n = 60; n < 70; n++) {
        memset(path, 'g', n);
        strcpy(path + n, "/a.txt");
        assert_int_equal(corpus_group(path, out, &e), n < 64 ? 0 : ERR_RANGE);
        if (n < 64) assert_int_equal(strlen(out), n);
    }
}

static void no_memory(void **state) {
    (void)state;
    static const char *const path[] = {FIXTURE "two.jsonl.zst", FIXTURE "two.jsonl.gz", TMP "/b.jsonl"};
    char text[8] = "";
    put(TMP "/b.jsonl", text, 0);
    for (int k = 0; k < 3; k++) {
        long n = 0;
        for (int rc = -1; rc < 0; n++) {
            struct err e = {0};
            mem_fail_after(n);
            rc = read_all(path[k], &e);
            mem_fail_after(-1);
            if (rc < 0) assert_int_equal(rc, ERR_MEMORY);
            assert_true(n < 50);
        }
        assert_true(n > 4);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed),      cmocka_unit_test(plain_text),      cmocka_unit_test(empty_files),
        cmocka_unit_test(last_line),   cmocka_unit_test(long_lines),      cmocka_unit_test(much_in_little),
        cmocka_unit_test(truncations), cmocka_unit_test(bad_packing),     cmocka_unit_test(bad_lines),
        cmocka_unit_test(names),       cmocka_unit_test(too_long),        cmocka_unit_test(groups),
        cmocka_unit_test(no_memory),   cmocka_unit_test(zero_characters), cmocka_unit_test(byte_order_marks),
        cmocka_unit_test(encodings),
    };
    return cmocka_run_group_tests(tests, make_tmp, NULL);
}
