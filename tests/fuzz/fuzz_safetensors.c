/* fuzz_safetensors.c - any bytes as a .safetensors file: refused with a message, or every tensor can be read to its
 * last byte. */
#define _GNU_SOURCE /* memfd_create */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/file/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_tensor(const struct safetensors *s, const struct safetensors_tensor *t) {
    struct err e;
    const struct safetensors_tensor *same;
    float x[16];
    uint8_t sum = 0;
    CHECK(safetensors_find(s, t->name) == t);
    CHECK(!safetensors_get(s, t->name, (int)t->dtype, t->n_dims, t->shape, &same, &e) && same == t);
    CHECK(t->n_bytes == t->n_elems * safetensors_dtype_bytes(t->dtype));
    for (size_t i = 0; i < t->n_bytes; i++) sum = (uint8_t)(sum + ((const uint8_t *)t->data)[i]);
    int bad = safetensors_check_finite(t, &e), finite = 1;
    for (size_t i = 0; i < t->n_elems; i += 16) {
        size_t m = t->n_elems - i < 16 ? t->n_elems - i : 16;
        if (safetensors_to_f32(t, i, m, x, &e)) return;
        for (size_t k = 0; k < m; k++) finite = finite && isfinite(x[k]);
    }
    CHECK(t->dtype == ST_F64 || finite == !bad); /* a finite double may be an infinite float */
    (void)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static int fd = -1;
    static char path[40];
    if (fd < 0) {
        fd = memfd_create("input.safetensors", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, data, n, 0) != (ssize_t)n) abort();
    struct safetensors *s;
    struct err e = {0};
    int rc = safetensors_open(&s, path, &e);
    CHECK(rc <= 0);
    if (rc) {
        CHECK(!s && e.code == rc && *e.text);
        return 0;
    }
    for (size_t i = 0; i < safetensors_count(s); i++) {
        CHECK(!i || strcmp(safetensors_at(s, i - 1)->name, safetensors_at(s, i)->name) < 0);
        read_tensor(s, safetensors_at(s, i));
    }
    const struct safetensors_tensor *t;
    if (!safetensors_find(s, "W_enc")) CHECK(safetensors_get(s, "W_enc", -1, 0, NULL, &t, &e) == ERR_FORMAT && *e.hint);
    (void)safetensors_meta(s, "record");
    safetensors_close(s);
    return 0;
}
