/* test_stwriter.c - writing safetensors: read back here and by Python (tests/fixtures/files/make_files.py --check),
 * equal bytes, nothing half-written when bytes are missing, memory fails or the disk is full. */
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
#include "lib/base/bf16.h"
#include "lib/base/outdir.h"
#include "lib/base/outfile.h"
#include "lib/file/safetensors.h"

#define TMP "build/tmp/test_stwriter"

static int make_tmp(void **state) {
    struct err e;
    (void)state;
    return outdir_make(TMP, &e);
}

static bool exists(const char *path) { return !access(path, F_OK); }

static char *get(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *buf = calloc(1, 1 << 16);
    *n = fread(buf, 1, 1 << 16, f);
    fclose(f);
    return buf;
}

/* One file with a bit of all; `turn` changes the order of metadata and of the pieces, not what the file says. */
static int write_mixed(const char *path, int turn, struct err *e) {
    struct stwriter *w;
    const int64_t seven[1] = {7}, three[1] = {3}, four[1] = {4}, rows[2] = {5, 3}, none[2] = {0, 4};
    uint16_t half[7];
    float x[15];
    const int32_t ints[3] = {-1, 0, 1};
    const int64_t longs[4] = {0, (int64_t)1 << 40, (int64_t)2 << 40, (int64_t)3 << 40};
    const uint8_t bytes[3] = {1, 2, 3};
    for (int i = 0; i < 7; i++) half[i] = bf16_of((float)i);
    for (int i = 0; i < 15; i++) x[i] = 0.25f * (float)i - 1;

    int rc = stwriter_open(&w, path, e);
    if (rc) return rc;
    for (int i = 0; !rc && i < 2; i++)
        rc = (i ^ turn) & 1 ? stwriter_meta(w, "a", "1", e)
                            : stwriter_meta(w, "zz", "tab\t, quote \", gr\u00fc\u00dfe", e);
    int h = -1, b = -1, n = -1, r = -1, i = -1, l = -1; /* the odd sizes first: the layout must still be aligned */
    if (rc || (rc = b = stwriter_declare(w, "bytes", ST_U8, 1, three, e)) < 0 ||
        (rc = h = stwriter_declare(w, "half", ST_BF16, 1, seven, e)) < 0 ||
        (rc = n = stwriter_declare(w, "empty", ST_F32, 2, none, e)) < 0 ||
        (rc = r = stwriter_declare(w, "rows", ST_F32, 2, rows, e)) < 0 ||
        (rc = i = stwriter_declare(w, "ints", ST_I32, 1, three, e)) < 0 ||
        (rc = l = stwriter_declare(w, "longs", ST_I64, 1, four, e)) < 0 ||
        (rc = stwriter_write(w, b, 0, bytes, 3, e)) ||
        (rc = stwriter_write(w, r, turn ? 24 : 0, turn ? x + 6 : x, turn ? 36 : 24, e)) ||
        (rc = stwriter_write(w, r, turn ? 0 : 24, turn ? x : x + 6, turn ? 24 : 36, e)) ||
        (rc = stwriter_write(w, l, 0, longs, 32, e)) || (rc = stwriter_write(w, h, 0, half, 14, e)) ||
        (rc = stwriter_write(w, n, 0, NULL, 0, e)) || (rc = stwriter_write(w, i, 0, ints, 12, e))) {
        stwriter_abort(w);
        return rc;
    }
    return stwriter_commit(w, e);
}

static void round_trip(void **state) {
    (void)state;
    struct err e;
    struct safetensors *s;
    float x[15];
    if (write_mixed(TMP "/mixed.safetensors", 0, &e) || safetensors_open(&s, TMP "/mixed.safetensors", &e))
        fail_msg("%s", e.text);
    assert_false(exists(TMP "/mixed.safetensors" OUTFILE_PART));
    assert_int_equal(safetensors_count(s), 6);
    for (size_t i = 0; i < 6; i++) /* aligned to the element, whatever the order of declaration */
        assert_int_equal((uintptr_t)safetensors_at(s, i)->data % safetensors_dtype_bytes(safetensors_at(s, i)->dtype),
                         0);
    assert_int_equal((uintptr_t)safetensors_find(s, "longs")->data % 64, 0);
    assert_int_equal(safetensors_to_f32(safetensors_find(s, "rows"), 0, 15, x, &e), 0);
    for (int i = 0; i < 15; i++) assert_true(x[i] == 0.25f * (float)i - 1);
    assert_int_equal(safetensors_to_f32(safetensors_find(s, "half"), 0, 7, x, &e), 0);
    for (int i = 0; i < 7; i++) assert_true(x[i] == (float)i);
    assert_int_equal(((const int64_t *)safetensors_find(s, "longs")->data)[3], (int64_t)3 << 40);
    assert_int_equal(((const int32_t *)safetensors_find(s, "ints")->data)[0], -1);
    assert_memory_equal(safetensors_find(s, "bytes")->data, "\1\2\3", 3);
    assert_int_equal(safetensors_find(s, "empty")->n_elems, 0);
    assert_string_equal(safetensors_meta(s, "zz"), "tab\t, quote \", gr\u00fc\u00dfe");
    safetensors_close(s);
}

static void equal_bytes(void **state) {
    (void)state;
    struct err e;
    size_t na, nb;
    assert_int_equal(write_mixed(TMP "/1.safetensors", 0, &e), 0);
    assert_int_equal(write_mixed(TMP "/2.safetensors", 1, &e), 0);
    char *a = get(TMP "/1.safetensors", &na), *b = get(TMP "/2.safetensors", &nb);
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    free(a);
    free(b);
}

static void empty_file(void **state) {
    (void)state;
    struct err e;
    struct stwriter *w;
    struct safetensors *s;
    if (stwriter_open(&w, TMP "/e.safetensors", &e) || stwriter_commit(w, &e) ||
        safetensors_open(&s, TMP "/e.safetensors", &e))
        fail_msg("%s", e.text);
    assert_int_equal(safetensors_count(s), 0);
    const struct safetensors_tensor *t;
    assert_int_equal(safetensors_get(s, "a", -1, 0, NULL, &t, &e), ERR_FORMAT);
    assert_string_equal(e.hint, "the file holds no tensor at all");
    safetensors_close(s);
}

static void refusals(void **state) {
    (void)state;
    struct err e;
    struct stwriter *w;
    const int64_t one[1] = {1}, negative[1] = {-1}, huge[2] = {(int64_t)1 << 31, (int64_t)1 << 31},
                  over[2] = {INT64_MAX, 3};
    assert_int_equal(stwriter_open(&w, TMP "/no/such/folder.safetensors", &e), ERR_IO);
    assert_null(w);
    assert_int_equal(stwriter_open(&w, TMP "/r.safetensors", &e), 0);
    assert_int_equal(stwriter_meta(w, "k", "\xff", &e), ERR_FORMAT);
    assert_int_equal(stwriter_meta(w, "\xff", "v", &e), ERR_FORMAT);
    assert_int_equal(stwriter_declare(w, "a", ST_F32, 1, one, &e), 0);
    assert_int_equal(stwriter_declare(w, "a", ST_U8, 1, one, &e), ERR_FORMAT);
    assert_string_equal(e.text, TMP "/r.safetensors: a: declared twice");
    assert_int_equal(stwriter_declare(w, "", ST_U8, 1, one, &e), ERR_FORMAT);
    assert_int_equal(stwriter_declare(w, "a\nb", ST_U8, 1, one, &e), ERR_FORMAT);
    assert_int_equal(stwriter_declare(w, "\xff", ST_U8, 1, one, &e), ERR_FORMAT);
    assert_int_equal(stwriter_declare(w, "__metadata__", ST_U8, 1, one, &e), ERR_FORMAT);
    assert_int_equal(stwriter_declare(w, "b", ST_U8, 1, negative, &e), ERR_RANGE);
    assert_int_equal(stwriter_declare(w, "b", ST_U8, 2, over, &e), ERR_RANGE);
    assert_int_equal(stwriter_declare(w, "b", ST_U8, 2, huge, &e), 1); /* 2^62 bytes: two of them are one too many */
    assert_int_equal(stwriter_declare(w, "c", ST_U8, 2, huge, &e), ERR_RANGE);
    stwriter_abort(w);
    stwriter_abort(NULL);
    assert_false(exists(TMP "/r.safetensors") || exists(TMP "/r.safetensors" OUTFILE_PART));
}

static void incomplete(void **state) {
    (void)state;
    struct err e;
    struct stwriter *w;
    const int64_t shape[1] = {4};
    const float x[4] = {0};
    for (size_t n = 0; n <= 16; n++) {
        unlink(TMP "/i.safetensors");
        assert_int_equal(stwriter_open(&w, TMP "/i.safetensors", &e), 0);
        int a = stwriter_declare(w, "a", ST_F32, 1, shape, &e), b = stwriter_declare(w, "b", ST_F32, 1, shape, &e);
        assert_int_equal(stwriter_write(w, a, 0, x, 16, &e), 0);
        assert_int_equal(stwriter_write(w, b, 0, x, n, &e), 0);
        int rc = stwriter_commit(w, &e);
        assert_int_equal(rc, n == 16 ? 0 : ERR_FORMAT);
        assert_int_equal(exists(TMP "/i.safetensors"), n == 16);
        assert_false(exists(TMP "/i.safetensors" OUTFILE_PART));
        if (rc) assert_non_null(strstr(e.text, "i.safetensors: b: written: want 16 bytes"));
    }
}

static void read_back(void **state) {
    (void)state;
    struct err e;
    struct stwriter *w;
    const int64_t shape[1] = {4};
    const float x[4] = {1, 2, 3, 4};
    float y[2] = {0};
    assert_int_equal(stwriter_open(&w, TMP "/b.safetensors", &e), 0);
    int a = stwriter_declare(w, "a", ST_F32, 1, shape, &e), b = stwriter_declare(w, "b", ST_F32, 1, shape, &e);
    assert_int_equal(stwriter_write(w, a, 0, x, 16, &e), 0);
    assert_int_equal(stwriter_read(w, a, 4, y, 8, &e), 0);
    assert_true(y[0] == 2 && y[1] == 3);
    assert_int_equal(stwriter_read(w, b, 0, y, 8, &e), ERR_FORMAT);
    assert_non_null(strstr(e.text, "b: read back before it was written"));
    stwriter_abort(w);
}

/* Pieces from several threads, the first of which writes the header. */
static void threads(void **state) {
    (void)state;
    enum { N = 4096, PIECE = 8 };
    struct err e;
    struct stwriter *w;
    struct safetensors *s;
    const int64_t shape[1] = {N};
    assert_int_equal(stwriter_open(&w, TMP "/t.safetensors", &e), 0);
    int a = stwriter_declare(w, "a", ST_I32, 1, shape, &e), failures = 0;
#pragma omp parallel for num_threads(4) schedule(dynamic, 1) reduction(+ : failures)
    for (int p = 0; p < N / PIECE; p++) {
        struct err mine;
        int32_t x[PIECE];
        for (int i = 0; i < PIECE; i++) x[i] = p * PIECE + i;
        failures += stwriter_write(w, a, (uint64_t)p * sizeof x, x, sizeof x, &mine) != 0;
    }
    assert_int_equal(failures, 0);
    if (stwriter_commit(w, &e) || safetensors_open(&s, TMP "/t.safetensors", &e)) fail_msg("%s", e.text);
    for (int32_t i = 0; i < N; i++) assert_int_equal(((const int32_t *)safetensors_find(s, "a")->data)[i], i);
    safetensors_close(s);
}

/* The limit on a file's size stands for a full disk: both make a write come back short, then fail. */
static void full_disk(void **state) {
    (void)state;
    struct rlimit old, small;
    struct err e, later;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    small = old;
    for (rlim_t limit = 0; limit < 900; limit += 50) {
        struct stwriter *w;
        const int64_t shape[1] = {500};
        const char x[500] = {0};
        small.rlim_cur = limit;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        int rc = stwriter_open(&w, TMP "/full.safetensors", &e), h = stwriter_declare(w, "a", ST_U8, 1, shape, &e);
        if (!rc) rc = stwriter_write(w, h, 0, x, 250, &e);
        if (!rc) rc = stwriter_write(w, h, 250, x, 250, &e);
        if (rc) {
            assert_int_equal(stwriter_write(w, h, 0, x, 250, &later), ERR_IO);
            assert_int_equal(stwriter_read(w, h, 0, (char[1]){0}, 1, &later), ERR_IO);
            assert_int_equal(stwriter_commit(w, &later), ERR_IO);
            assert_string_equal(later.text, TMP "/full.safetensors: an earlier write failed");
        } else
            stwriter_abort(w);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(rc, limit < 628 ? ERR_IO : 0); /* 128 bytes of header, 500 of data */
        if (rc) assert_non_null(strstr(e.text, TMP "/full.safetensors: cannot write"));
        assert_false(exists(TMP "/full.safetensors") || exists(TMP "/full.safetensors" OUTFILE_PART));
    }
    signal(SIGXFSZ, handler);
}

static void no_memory(void **state) {
    (void)state;
    long n = 0;
    for (int rc = -1; rc; n++) {
        struct err e = {0};
        unlink(TMP "/m.safetensors");
        mem_fail_after(n);
        rc = write_mixed(TMP "/m.safetensors", 0, &e);
        mem_fail_after(-1);
        if (rc) assert_int_equal(rc, ERR_MEMORY);
        assert_int_equal(exists(TMP "/m.safetensors"), !rc);
        assert_false(exists(TMP "/m.safetensors" OUTFILE_PART));
        assert_true(n < 100);
    }
    assert_true(n > 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(equal_bytes), cmocka_unit_test(empty_file),
        cmocka_unit_test(refusals),   cmocka_unit_test(incomplete),  cmocka_unit_test(read_back),
        cmocka_unit_test(threads),    cmocka_unit_test(full_disk),   cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, make_tmp, NULL);
}
