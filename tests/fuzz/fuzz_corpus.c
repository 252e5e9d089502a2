/* fuzz_corpus.c - the first byte chooses the packing and the kind, the rest is the file: every document can be read to
 * its last byte, or there is a message. Files lie in memory; links with the right endings lead to them. */
#define _GNU_SOURCE /* memfd_create */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/outdir.h"
#include "lib/file/corpus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *const ENDING[] = {"jsonl", "txt", "jsonl.zst", "txt.zst", "jsonl.gz", "txt.gz"};
enum { KINDS = 6 };
static char folder[64], path[KINDS][96];

static void clean(void) { outdir_remove(folder, NULL); }

static int prepare(void) {
    char target[40];
    struct err e;
    int fd = memfd_create("corpus", MFD_CLOEXEC);
    snprintf(folder, sizeof folder, "build/tmp/fuzz_corpus.%ld", (long)getpid());
    snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
    if (fd < 0 || outdir_make(folder, &e)) abort();
    for (int k = 0; k < KINDS; k++) {
        snprintf(path[k], sizeof path[k], "%s/a.%s", folder, ENDING[k]);
        if (symlink(target, path[k])) abort();
    }
    atexit(clean);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static int fd = -1;
    if (fd < 0) fd = prepare();
    if (!n) return 0;
    int kind = *data % KINDS, rc;
    if (ftruncate(fd, 0) || pwrite(fd, data + 1, n - 1, 0) != (ssize_t)n - 1) abort();
    struct corpus *c;
    struct corpus_doc d;
    struct err e = {0};
    size_t line = 0;
    uint8_t sum = 0;
    rc = corpus_open(&c, path[kind], &e);
    CHECK(rc ? !c && e.code == rc && *e.text : c != NULL);
    if (rc) return 0;
    while ((rc = corpus_next(c, &d, &e)) > 0) {
        CHECK(rc == 1 && !d.text[d.n_bytes] && d.line > line);
        CHECK(!*d.split || !strcmp(d.split, "train") || !strcmp(d.split, "heldout"));
        line = d.line;
        for (size_t i = 0; i < d.n_bytes; i += 1 + d.n_bytes / 4096) sum = (uint8_t)(sum + (uint8_t)d.text[i]);
        sum = (uint8_t)(sum + strlen(d.id));
    }
    CHECK(rc == 0 || (e.code == rc && *e.text));
    if (!rc) CHECK(corpus_next(c, &d, &e) == 0);
    corpus_close(c);
    return 0;
}
