/* fuzz_parallel.c - any bytes as a file of parallel sentences: every sentence has a text in every language, or there is a message. */
#define _GNU_SOURCE /* memfd_create */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/outdir.h"
#include "lib/file/parallel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char folder[64], path[96];
static void clean(void) { outdir_remove(folder, NULL); }

static int prepare(void) {
    char target[40];
    struct err e;
    int fd = memfd_create("parallel", MFD_CLOEXEC);
    snprintf(folder, sizeof folder, "build/tmp/fuzz_parallel.%ld", (long)getpid());
    snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
    snprintf(path, sizeof path, "%s/a.jsonl", folder);
    if (fd < 0 || outdir_make(folder, &e) || symlink(target, path)) abort();
    atexit(clean);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static int fd = -1;
    if (fd < 0) fd = prepare();
    if (ftruncate(fd, 0) || pwrite(fd, data, n, 0) != (ssize_t)n) abort();
    struct parallel p;
    struct err e = {0};
    int rc = parallel_read(&p, path, &e);
    CHECK(rc ? e.code == rc && e.text[0] : p.docs == p.n * p.G);
    for (size_t i = 0; !rc && i < p.n * p.G; i++) CHECK(p.text[i] && p.doc[i] >= 0 && (size_t)p.doc[i] < p.docs);
    parallel_free(&p);
    return 0;
}
