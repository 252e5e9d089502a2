/* fuzz_json.c - any bytes as a JSON file (a model's config.json, an artifact): refused with a message, or every member
 * can be asked for as every type; what is written reads back equal, and written again gives the same bytes. */
#define _GNU_SOURCE /* memfd_create */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/err.h"
#include "lib/file/jsonfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void ask(const json_t *o, const char *key) {
    struct err e;
    int64_t i;
    double x, *xs = NULL;
    const char *text;
    json_t *a;
    size_t count;
    const json_t *v = json_object_get(o, key);
    int whole = jsonfile_int(o, "p", key, &i, &e);
    CHECK(jsonfile_int_or(o, "p", key, 3, &i, &e) == (!v || json_is_null(v) ? 0 : whole));
    CHECK(!jsonfile_real(o, "p", key, &x, &e) || whole);
    (void)jsonfile_real_or(o, "p", key, 0.5, &x, &e);
    (void)jsonfile_text(o, "p", key, &text, &e);
    if (!jsonfile_reals(o, "p", key, &xs, &count, &e))
        CHECK(!jsonfile_array(o, "p", key, &a, &e) && count == json_array_size(a));
    free(xs);
}

static void write_twice(const json_t *o) {
    struct err e;
    json_t *back;
    char *a, *b;
    size_t na, nb;
    CHECK(!jsonfile_dump(o, &a, &na, &e) && !jsonfile_parse(a, na, "p", 1, &back, &e) && json_equal(o, back));
    CHECK(!jsonfile_dump(back, &b, &nb, &e) && na == nb && !memcmp(a, b, na));
    json_decref(back);
    free(a);
    free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static int fd = -1;
    static char path[40];
    if (fd < 0) {
        fd = memfd_create("input.json", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, data, n, 0) != (ssize_t)n) abort();
    json_t *o, *v;
    const char *key;
    struct err e = {0};
    int rc = jsonfile_read(path, &o, &e);
    CHECK(rc <= 0);
    if (rc) {
        CHECK(!o && e.code == rc && *e.text);
        return 0;
    }
    json_object_foreach(o, key, v) { ask(o, key); }
    ask(o, "absent");
    write_twice(o);
    json_decref(o);
    return 0;
}
