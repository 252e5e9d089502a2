/* fuzz_receipt.c - any bytes as a receipt, with and without a sum that fits: refused with a message, or its text reads back as the
 * same receipt and its lineage can be told. */
#define _GNU_SOURCE /* memfd_create */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/store/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int fd = -1;
static char path[40];

static void put(const void *bytes, size_t n) {
    if (fd < 0) {
        fd = memfd_create("receipt", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, bytes, n, 0) != (ssize_t)n) abort();
}

static void try(const void *bytes, size_t n) {
    struct record r, back;
    struct err e = {0};
    char *lineage, *text, *again, bad[PATH_MAX];
    put(bytes, n);
    int rc = record_read(path, &r, &e);
    CHECK(rc <= 0);
    if (rc) {
        CHECK(e.code == rc && *e.text && !r.stage && !r.n_words);
        record_free(&r);
        return;
    }
    CHECK(r.stage && r.program && strlen(r.key) == HASH_HEX - 1 && strlen(r.out) == HASH_HEX - 1);
    for (size_t i = 0; i < r.n_words; i++) {
        CHECK(!*r.word[i].hash || strlen(r.word[i].hash) == HASH_HEX - 1);
        CHECK(record_word_ok(r.word[i].text));
    }
    text = record_text(&r);
    put(text, strlen(text));
    CHECK(!record_read(path, &back, &e) && back.n_words == r.n_words);
    again = record_text(&back);
    CHECK(!strcmp(text, again));
    rc = record_lineage(&r, &lineage, bad, &e);
    CHECK(rc ? e.code == rc && *e.text : lineage != NULL);
    record_free(&r);
    record_free(&back);
    free(lineage);
    free(text);
    free(again);
}

/* As it is; and under a sum that fits, so that what is behind the sum is reached. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    char *summed = malloc(n + HASH_HEX + 8), sum[HASH_HEX];
    if (!summed) abort();
    try(data, n);
    if (n) memcpy(summed, data, n);
    hash_bytes(data, n, sum);
    int m = sprintf(summed + n, "sum %s\n", sum);
    try(summed, n + (size_t)m);
    free(summed);
    return 0;
}
