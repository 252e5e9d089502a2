/* test_safetensors.c - reading: files of the Python writer, every truncation, lying headers, shards, conversions,
 * messages. Writing is in test_stwriter.c. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/arena.h"
#include "lib/base/bf16.h"
#include "lib/base/outdir.h"
#include "lib/file/safetensors.h"

#define FIXTURE "tests/fixtures/files/"
#define TMP     "build/tmp/test_safetensors"
#define FILE_A  TMP "/a.safetensors"

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

static char *get(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    static char buf[1 << 16];
    *n = fread(buf, 1, sizeof buf, f);
    fclose(f);
    return buf;
}

/* A file with this header, whose stated length is `stated`, and n data bytes 0, 1, 2, … */
static void put_file(const char *path, const char *json, uint64_t stated, size_t n) {
    char buf[4096];
    size_t len = strlen(json);
    assert_true(8 + len + n <= sizeof buf);
    for (int i = 0; i < 8; i++) buf[i] = (char)(stated >> (8 * i));
    memcpy(buf + 8, json, len);
    for (size_t i = 0; i < n; i++) buf[8 + len + i] = (char)i;
    put(path, buf, 8 + len + n);
}

static struct safetensors *open_ok(const char *path) {
    struct err e;
    struct safetensors *s;
    if (safetensors_open(&s, path, &e)) fail_msg("%s", e.text);
    return s;
}

/* path must be refused with this code and a message that holds `part`. */
static void refused(const char *path, int code, const char *part) {
    struct err e = {0};
    struct safetensors *s = (struct safetensors *)1;
    int rc = safetensors_open(&s, path, &e);
    if (rc != code || s || !strstr(e.text, part) || strchr(e.text, '\n'))
        fail_msg("want %d with '%s', got %d: %s", code, part, rc, e.text);
}

/* ---- what others wrote ---- */

static void check_ramp(const struct safetensors *s, const char *name, enum safetensors_dtype type) {
    struct err e;
    const struct safetensors_tensor *t;
    const int64_t shape[3] = {2, ST_ANY, 4};
    float x[24];
    if (safetensors_get(s, name, (int)type, 3, shape, &t, &e) || safetensors_to_f32(t, 0, 24, x, &e))
        fail_msg("%s", e.text);
    for (int i = 0; i < 24; i++) assert_true(x[i] == 0.5f * (float)i - 3);
    if (safetensors_to_f32(t, 5, 2, x, &e)) fail_msg("%s", e.text);
    assert_true(x[0] == -0.5f && x[1] == 0);
}

static void python_file(void **state) {
    (void)state;
    struct safetensors *s = open_ok(FIXTURE "python.safetensors");
    static const struct {
        const char *name;
        enum safetensors_dtype type;
    } want[] = {{"bf16", ST_BF16},  {"bool", ST_BOOL}, {"empty", ST_F32}, {"f16", ST_F16}, {"f32", ST_F32},
                {"f64", ST_F64},    {"i16", ST_I16},   {"i32", ST_I32},   {"i64", ST_I64}, {"i8", ST_I8},
                {"scalar", ST_F32}, {"u16", ST_U16},   {"u32", ST_U32},   {"u64", ST_U64}, {"u8", ST_U8}};
    assert_int_equal(safetensors_count(s), sizeof want / sizeof *want);
    for (size_t i = 0; i < safetensors_count(s); i++) {
        const struct safetensors_tensor *t = safetensors_at(s, i);
        assert_string_equal(t->name, want[i].name);
        assert_int_equal(t->dtype, want[i].type);
        assert_ptr_equal(safetensors_find(s, want[i].name), t);
        assert_int_equal(t->n_bytes, t->n_elems * safetensors_dtype_bytes(t->dtype));
        assert_string_equal(t->path, FIXTURE "python.safetensors");
        if (!strchr("iu", *t->name)) continue;
        assert_int_equal(t->n_elems, 5);
        for (size_t k = 0; k < 5; k++) {
            uint64_t v = 0;
            memcpy(&v, (const char *)t->data + k * safetensors_dtype_bytes(t->dtype),
                   safetensors_dtype_bytes(t->dtype));
            assert_int_equal(v, k);
        }
    }
    check_ramp(s, "bf16", ST_BF16);
    check_ramp(s, "f16", ST_F16);
    check_ramp(s, "f32", ST_F32);
    check_ramp(s, "f64", ST_F64);
    assert_int_equal(safetensors_find(s, "scalar")->n_dims, 0);
    assert_int_equal(safetensors_find(s, "scalar")->n_elems, 1);
    assert_int_equal(safetensors_find(s, "empty")->n_elems, 0);
    assert_string_equal(safetensors_meta(s, "note"), "gr\u00fc\u00dfe \"q\"");
    assert_null(safetensors_meta(s, "absent"));
    safetensors_close(s);
    safetensors_close(NULL);
}

static void shard_folder(void **state) {
    (void)state;
    struct safetensors *s = open_ok(FIXTURE "shards");
    assert_int_equal(safetensors_count(s), 3);
    float x[4] = {0};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(safetensors_at(s, i)->name[0], 'a' + (int)i);
        assert_int_equal(safetensors_to_f32(safetensors_at(s, i), 0, 3, x, NULL), 0);
        assert_true(x[2] == (float)(i + 1));
    }
    assert_string_equal(safetensors_meta(s, "format"), "pt");
    assert_string_equal(safetensors_at(s, 1)->path, FIXTURE "shards/model-00002-of-00002.safetensors");
    safetensors_close(s);
}

/* ---- damaged files ---- */

static const char GOOD[] =
    "{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
    "\"b\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[24,29]}}";

static void truncations(void **state) {
    (void)state;
    put_file(FILE_A, GOOD, strlen(GOOD), 29);
    safetensors_close(open_ok(FILE_A));
    size_t n;
    char *bytes = get(FILE_A, &n);
    for (size_t k = 0; k < n; k++) {
        put(FILE_A, bytes, k);
        refused(FILE_A, ERR_FORMAT, FILE_A ":");
    }
}

/* Every value of every byte of the header length and of a few header bytes: refused or read, never a fault (see make
 * asan). */
static void changed_bytes(void **state) {
    (void)state;
    put_file(FILE_A, GOOD, strlen(GOOD), 29);
    size_t n;
    char *bytes = get(FILE_A, &n);
    for (size_t k = 0; k < 8 + strlen(GOOD); k += k < 8 ? 1 : 3)
        for (int v = 0; v < 256; v += k < 8 ? 1 : 37) {
            char old = bytes[k];
            struct safetensors *s;
            struct err e;
            bytes[k] = (char)v;
            put(FILE_A, bytes, n);
            int rc = safetensors_open(&s, FILE_A, &e);
            assert_true(rc <= 0);
            for (size_t i = 0; !rc && i < safetensors_count(s); i++)
                (void)safetensors_check_finite(safetensors_at(s, i), &e);
            safetensors_close(s);
            bytes[k] = old;
        }
}

static void lying_lengths(void **state) {
    (void)state;
    const uint64_t n = strlen(GOOD);
    const uint64_t far[] = {100000000, 100000001, INT64_MAX, UINT64_MAX, UINT64_MAX - 7, 1000, n + 29 + 1, n + 29 + 8};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        put_file(FILE_A, GOOD, far[i], 29);
        refused(FILE_A, ERR_FORMAT, far[i] > 100000000 ? "header length: want at most" : "truncated: the header says");
    }
    for (uint64_t k = 0; k < n; k++) {
        put_file(FILE_A, GOOD, k, 29);
        refused(FILE_A, ERR_FORMAT, FILE_A);
    }
    put_file(FILE_A, GOOD, n + 1, 29); /* a data byte in the header */
    refused(FILE_A, ERR_FORMAT, "invalid JSON");
}

#define T(dtype, shape, offsets) "{\"a\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void bad_headers(void **state) {
    (void)state;
    static const struct {
        const char *json;
        int code;
        const char *part;
    } bad[] = {
        {"[]", ERR_FORMAT, "object"},
        {"{", ERR_FORMAT, "invalid JSON"},
        {"{\"a\":1}", ERR_FORMAT, "a: entry: want an object"},
        {"{\"a\":{}}", ERR_FORMAT, "a: dtype"},
        {"{\"__metadata__\":[]}", ERR_FORMAT, "__metadata__: want an object"},
        {"{\"__metadata__\":{\"k\":1}}", ERR_FORMAT, "__metadata__: k: want a text"},
        {"{\"a\\nb\":{}}", ERR_FORMAT, "control characters"},
        {"{\"a\\u0000b\":{}}", ERR_FORMAT, "invalid JSON"},
        {T("F8_E4M3", "[1]", "[0,1]"), ERR_UNSUPPORTED, "a: dtype: want BF16"},
        {T("F32", "[-1]", "[0,4]"), ERR_FORMAT, "a: shape: want"},
        {T("F32", "[1.0]", "[0,4]"), ERR_FORMAT, "a: shape: want"},
        {T("F32", "[\"1\"]", "[0,4]"), ERR_FORMAT, "a: shape: want"},
        {T("F32", "1", "[0,4]"), ERR_FORMAT, "a: shape: want"},
        {T("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), ERR_FORMAT, "at most 8"},
        {T("F32", "[4294967296,4294967296]", "[0,0]"), ERR_FORMAT, "overflows"},
        {T("F32", "[4294967296,4294967296,0]", "[0,0]"), ERR_FORMAT, "overflows"},
        {T("F32", "[9223372036854775807]", "[0,28]"), ERR_FORMAT, "overflows"},
        {T("F32", "[4611686018427387904,1]", "[0,0]"), ERR_FORMAT, "overflows"},
        {T("F32", "[9223372036854775808]", "[0,0]"), ERR_FORMAT, "a: shape: want"},
        {T("F32", "[1]", "[-4,0]"), ERR_FORMAT, "a: data_offsets: want two"},
        {T("F32", "[1]", "[0.0,4.0]"), ERR_FORMAT, "a: data_offsets: want two"},
        {T("F32", "[1]", "[0]"), ERR_FORMAT, "a: data_offsets: want two"},
        {T("F32", "[1]", "[0,4,8]"), ERR_FORMAT, "a: data_offsets: want two"},
        {T("F32", "[1]", "[8,4]"), ERR_FORMAT, "a: data_offsets: want within [0,29], got [8,4]"},
        {T("F32", "[1]", "[28,32]"), ERR_FORMAT, "a: data_offsets: want within [0,29], got [28,32]"},
        {T("F32", "[1]", "[9223372036854775803,9223372036854775807]"), ERR_FORMAT, "a: data_offsets: want within"},
        {T("F32", "[2]", "[0,4]"), ERR_FORMAT, "a: data_offsets: want 8 bytes for the shape, got 4"},
        {T("F32", "[1]", "[0,8]"), ERR_FORMAT, "a: data_offsets: want 4 bytes for the shape, got 8"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[0,9]},\"b\":{\"dtype\":\"U8\",\"shape\":[4],"
         "\"data_offsets\":[8,12]}}",
         ERR_FORMAT, "b: data_offsets: overlap those of a"},
        {"{\"in\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[4,6]},\"out\":{\"dtype\":\"U8\",\"shape\":[9],"
         "\"data_offsets\":[0,9]},\"none\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[5,5]}}",
         ERR_FORMAT, "in: data_offsets: overlap those of out"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\",\"shape\":[1],"
         "\"data_offsets\":[1,2]}}",
         ERR_FORMAT, "duplicate"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_file(FILE_A, bad[i].json, strlen(bad[i].json), 29);
        refused(FILE_A, bad[i].code, bad[i].part);
    }
    refused(TMP "/none.safetensors", ERR_IO, "cannot open");
    refused(TMP, ERR_IO, "neither model.safetensors nor");
    refused("/dev/null", ERR_IO, "want a file, got a device");
}

/* Odd but valid: gaps, blanks round the header, no tensors, tensors of no size, null metadata. */
static void odd_headers(void **state) {
    (void)state;
    static const struct {
        const char *json;
        size_t n;
    } good[] = {
        {"{}", 0},
        {"{}         ", 0},
        {"{\"__metadata__\":null}", 0},
        {T("U8", "[3]", "[20,23]"), 1},
        {T("F32", "[]", "[0,4]"), 1},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[9],\"data_offsets\":[0,9]},\"b\":{\"dtype\":\"U8\",\"shape\":[0],"
         "\"data_offsets\":[5,5]}}",
         2},
        {"{\"a\":{\"dtype\":\"F64\",\"shape\":[0,9],\"data_offsets\":[29,29]},\"b\":{\"dtype\":\"U8\",\"shape\":[0],"
         "\"data_offsets\":[29,29]}}",
         2},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        put_file(FILE_A, good[i].json, strlen(good[i].json), 29);
        struct safetensors *s = open_ok(FILE_A);
        assert_int_equal(safetensors_count(s), good[i].n);
        assert_null(safetensors_find(s, "absent"));
        safetensors_close(s);
    }
}

/* ---- shards ---- */

static void put_index(const char *map) {
    char json[1024];
    snprintf(json, sizeof json, "{\"weight_map\":%s}", map);
    put(TMP "/m/model.safetensors.index.json", json, strlen(json));
}

static void bad_shards(void **state) {
    (void)state;
    struct err e;
    assert_int_equal(outdir_make(TMP "/m", &e), 0);
    put_file(TMP "/m/1.safetensors", T("U8", "[1]", "[0,1]"), strlen(T("U8", "[1]", "[0,1]")), 1);
    put_file(TMP "/m/2.safetensors", T("U8", "[1]", "[0,1]"), strlen(T("U8", "[1]", "[0,1]")), 1);
    put_file(TMP "/m/3.safetensors", T("U8", "[2]", "[0,2]"), strlen(T("U8", "[2]", "[0,2]")), 1); /* one byte short */
    static const struct {
        const char *map;
        int code;
        const char *part;
    } bad[] = {
        {"[]", ERR_FORMAT, "weight_map: want an object"},
        {"{}", ERR_FORMAT, "weight_map: want an object"},
        {"{\"a\":1}", ERR_FORMAT, "index.json: a: want a plain file name"},
        {"{\"a\":\"\"}", ERR_FORMAT, "a: want a plain file name"},
        {"{\"a\":\"..\"}", ERR_FORMAT, "a: want a plain file name"},
        {"{\"a\":\"../m/1.safetensors\"}", ERR_FORMAT, "a: want a plain file name"},
        {"{\"a\":\"/etc/hosts\"}", ERR_FORMAT, "a: want a plain file name"},
        {"{\"a\":\"4.safetensors\"}", ERR_IO, "m/4.safetensors: cannot open"},
        {"{\"a\":\"3.safetensors\"}", ERR_FORMAT, "m/3.safetensors: a: data_offsets"},
        {"{\"a\":\"1.safetensors\",\"b\":\"1.safetensors\"}", ERR_FORMAT,
         "b: want in 1.safetensors, found in no shard"},
        {"{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}", ERR_FORMAT, "a: also in"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_index(bad[i].map);
        refused(TMP "/m", bad[i].code, bad[i].part);
    }
    put_index("{\"a\":\"1.safetensors\"}");
    safetensors_close(open_ok(TMP "/m"));
    const char *other = "{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}";
    put_file(TMP "/m/2.safetensors", other, strlen(other), 1);
    put_index("{\"a\":\"2.safetensors\",\"b\":\"1.safetensors\"}"); /* swapped */
    refused(TMP "/m", ERR_FORMAT, "a: want in 2.safetensors, found in 1.safetensors");
    put_index("{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}");
    safetensors_close(open_ok(TMP "/m"));
}

/* ---- asking ---- */

static void messages(void **state) {
    (void)state;
    struct safetensors *s = open_ok(FIXTURE "shards");
    struct err e;
    const struct safetensors_tensor *t = NULL;
    const int64_t any[2] = {ST_ANY, ST_ANY}, wide[2] = {ST_ANY, 5};
    assert_int_equal(safetensors_get(s, "a.weight", -1, 2, any, &t, &e), 0);
    assert_string_equal(t->name, "a.weight");
    assert_int_equal(safetensors_get(s, "a.weight", ST_F32, 2, wide, &t, &e), ERR_SHAPE);
    assert_string_equal(e.text, FIXTURE
                        "shards/model-00001-of-00002.safetensors: a.weight: bad shape: want F32 [*,5], got F32 [2,2]");
    assert_null(t);
    assert_int_equal(safetensors_get(s, "a.weight", ST_BF16, 2, any, &t, &e), ERR_SHAPE);
    assert_non_null(strstr(e.text, "want BF16 [*,*], got F32 [2,2]"));
    assert_int_equal(safetensors_get(s, "a.weight", -1, 1, any, &t, &e), ERR_SHAPE);
    assert_non_null(strstr(e.text, "want [*], got"));
    assert_int_equal(safetensors_get(s, "a.wieght", -1, 2, any, &t, &e), ERR_FORMAT);
    assert_string_equal(e.text, FIXTURE "shards: a.wieght: no such tensor");
    assert_string_equal(e.hint, "did you mean a.weight, b.weight, c.weight?");
    assert_int_equal(safetensors_get(s, "model.b.weight", -1, 2, any, &t, &e), ERR_FORMAT);
    assert_string_equal(e.hint, "did you mean b.weight?");
    assert_int_equal(safetensors_get(s, "W_enc", -1, 2, any, &t, &e), ERR_FORMAT);
    assert_string_equal(e.hint, "it holds a.weight, b.weight, c.weight");
    safetensors_close(s);

    char name[400]; /* a long name cannot be near, and cannot overrun the message */
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    s = open_ok(FIXTURE "python.safetensors");
    assert_int_equal(safetensors_get(s, name, -1, 2, any, &t, &e), ERR_FORMAT);
    assert_string_equal(e.hint, "it holds bf16, bool, empty, …");
    float x;
    assert_int_equal(safetensors_to_f32(safetensors_find(s, "i32"), 0, 1, &x, &e), ERR_SHAPE);
    assert_non_null(strstr(e.text, "i32: bad type: want BF16, F16, F32 or F64, got I32"));
    safetensors_close(s);
}

/* ---- numbers ---- */

static uint32_t bits(float x) {
    uint32_t u;
    memcpy(&u, &x, 4);
    return u;
}

/* All 65536 halves at once, at an odd address, against the definition (-1)^s 2^(e-15) (1 + m/1024). Exact, so no
 * tolerance. */
static void halves(void **state) {
    (void)state;
    enum { N = 65536 };
    static unsigned char raw[2 * N + 1];
    static float x[N];
    for (uint32_t h = 0; h < N; h++) raw[1 + 2 * h] = (unsigned char)h, raw[2 + 2 * h] = (unsigned char)(h >> 8);
    struct safetensors_tensor t = {
        .name = "h", .path = "p", .dtype = ST_F16, .data = raw + 1, .n_elems = N, .n_bytes = 2 * N};
    assert_int_equal(safetensors_to_f32(&t, 0, N, x, NULL), 0);
    for (int h = 0; h < N; h++) {
        int exponent = h >> 10 & 31, m = h & 1023;
        double want = exponent == 31 ? (m ? NAN : INFINITY) : exponent ? ldexp(1024 + m, exponent - 25) : ldexp(m, -24);
        if (h >> 15) want = -want;
        if (isnan(want))
            assert_true(isnan(x[h]));
        else
            assert_int_equal(bits(x[h]), bits((float)want));
    }
    t.dtype = ST_BF16;
    assert_int_equal(safetensors_to_f32(&t, 0, N, x, NULL), 0);
    for (uint32_t h = 0; h < N; h++) assert_int_equal(bits(x[h]), h << 16);
}

/* Rounding to bf16: the nearest, and of two equally near the even one; checked round every midpoint of neighbours. */
static void rounding(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 0x7f80; h++) {
        for (uint32_t sign = 0; sign < 2; sign++) {
            union {
                uint32_t u;
                float f;
            } mid = {(h << 16 | 0x8000) + (sign << 31)}, low = mid, high = mid;
            low.u--, high.u++;
            uint32_t down = h | sign << 15, up = down + 1, even = down & 1 ? up : down;
            assert_int_equal(bf16_of(low.f), down);
            assert_int_equal(bf16_of(mid.f), even);
            assert_int_equal(bf16_of(high.f), up);
            assert_int_equal(bf16_of(bf16_f32((uint16_t)down)), down);
        }
    }
    assert_true(isnan(bf16_f32(bf16_of(NAN))));
    assert_int_equal(bf16_of(INFINITY), 0x7f80);
    union {
        uint32_t u;
        float f;
    } quiet = {0x7f800001}; /* a NaN whose upper half is Inf's */
    assert_true(isnan(bf16_f32(bf16_of(quiet.f))));
}

/* A size that runs in parallel blocks with a rest, at an odd offset. */
static void large(void **state) {
    (void)state;
    enum { N = 65536 * 12 + 333 };
    struct err e;
    uint16_t *h = mem_array(N, 2, "h", &e);
    float *x = mem_array(N + 1, 4, "x", &e);
    assert_true(h && x);
    for (uint32_t i = 0; i < N; i++) h[i] = bf16_of((float)(i % 251));
    struct safetensors_tensor t = {
        .name = "x", .path = "p", .dtype = ST_BF16, .data = h, .n_elems = N, .n_bytes = 2 * N};
    x[N - 7] = 77;
    assert_int_equal(safetensors_to_f32(&t, 7, N - 7, x, &e), 0);
    for (uint32_t i = 7; i < N; i++) assert_true(x[i - 7] == (float)(i % 251));
    assert_true(x[N - 7] == 77);
    assert_int_equal(safetensors_check_finite(&t, &e), 0);
    h[65536 * 11 + 5] = 0x7f80, h[65536 * 9 + 70] = 0xff81, h[65536 * 9 + 71] = 0x7fff;
    assert_int_equal(safetensors_check_finite(&t, &e), ERR_NUMERIC);
    char want[64];
    snprintf(want, sizeof want, "p: x: NaN or Inf at element %d", 65536 * 9 + 70);
    assert_string_equal(e.text, want);
    free(h);
    free(x);
}

static void finite(void **state) {
    (void)state;
    static const struct {
        enum safetensors_dtype type;
        uint64_t top, bad;
    } kind[] = {{ST_BF16, 0x7f7f, 0xff80},
                {ST_F16, 0x7bff, 0x7c01},
                {ST_F32, 0x7f7fffff, 0xff800001},
                {ST_F64, 0x7fefffffffffffff, 0x7ff0000000000000}};
    for (size_t k = 0; k < 4; k++) {
        enum { N = 100 };
        unsigned char raw[N * 8 + 1];
        struct err e;
        size_t size = safetensors_dtype_bytes(kind[k].type);
        struct safetensors_tensor t = {
            .name = "x", .path = "p", .dtype = kind[k].type, .data = raw + 1, .n_elems = N, .n_bytes = N * size};
        for (size_t bad = 0; bad <= N; bad++) {
            for (size_t i = 0; i < N; i++) memcpy(raw + 1 + i * size, i == bad ? &kind[k].bad : &kind[k].top, size);
            assert_int_equal(safetensors_check_finite(&t, &e), bad < N ? ERR_NUMERIC : 0);
        }
        t.dtype = ST_U8;
        assert_int_equal(safetensors_check_finite(&t, &e), 0);
    }
}

/* ---- memory ---- */

static void no_memory(void **state) {
    (void)state;
    static const char *const path[] = {FIXTURE "python.safetensors", FIXTURE "shards"};
    for (int k = 0; k < 2; k++) {
        long n = 0;
        for (int rc = -1; rc; n++) {
            struct safetensors *s;
            struct err e = {0};
            mem_fail_after(n);
            rc = safetensors_open(&s, path[k], &e);
            mem_fail_after(-1);
            if (rc) assert_int_equal(rc, ERR_MEMORY);
            if (rc) assert_null(s);
            safetensors_close(s);
            assert_true(n < 100);
        }
        assert_true(n > 4);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(python_file),   cmocka_unit_test(shard_folder),  cmocka_unit_test(truncations),
        cmocka_unit_test(changed_bytes), cmocka_unit_test(lying_lengths), cmocka_unit_test(bad_headers),
        cmocka_unit_test(odd_headers),   cmocka_unit_test(bad_shards),    cmocka_unit_test(messages),
        cmocka_unit_test(halves),        cmocka_unit_test(rounding),      cmocka_unit_test(large),
        cmocka_unit_test(finite),        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, make_tmp, NULL);
}
