/* test_infile.c - inputs that are no regular files: every reader refuses them at once, with what they are. */
#define _DEFAULT_SOURCE /* mknod, makedev */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/infile.h"
#include "lib/base/outdir.h"
#include "lib/store/progid.h"
#include "lib/page/tsv.h"
#include "lib/file/corpus.h"
#include "lib/file/jsonfile.h"
#include "lib/file/safetensors.h"

#define TMP "build/tmp/test_infile"

static int make_tmp(void **state) {
    struct err e;
    (void)state;
    outdir_remove(TMP, &e);
    return outdir_make(TMP, &e);
}

static int read_corpus(const char *path, struct err *e) {
    char link_[64];
    struct corpus *c;
    snprintf(link_, sizeof link_, "%s/link.txt", TMP);
    unlink(link_);
    assert_int_equal(symlink(*path == '/' ? path : strrchr(path, '/') + 1, link_), 0);
    return corpus_open(&c, link_, e);
}
static int read_json(const char *path, struct err *e) {
    json_t *o;
    return jsonfile_read(path, &o, e);
}
static int read_tensors(const char *path, struct err *e) {
    struct safetensors *s;
    return safetensors_open(&s, path, e);
}
static int read_table(const char *path, struct err *e) {
    struct tsv t;
    int rc = tsv_read(path, "a b", &t, e);
    tsv_free(&t);
    return rc;
}
static int read_program(const char *path, struct err *e) {
    char hex[HASH_HEX];
    return progid(path, "", hex, e);
}
static int open_it(const char *path, struct err *e) {
    int fd;
    return infile_open(path, &fd, NULL, e);
}
static int (*const reader[])(const char *, struct err *) = {read_corpus, read_json,    read_tensors,
                                                            read_table,  read_program, open_it};
enum { READERS = sizeof reader / sizeof *reader };

/* A folder is a model's to safetensors_open, so that one is left out there. */
static void all_refuse(const char *path, const char *kind, size_t but) {
    for (size_t i = 0; i < READERS; i++) {
        struct err e = {0};
        char want[64];
        if (i == but) continue;
        alarm(20); /* a reader that waits ends the test */
        int rc = reader[i](path, &e);
        alarm(0);
        snprintf(want, sizeof want, ": want a file, got %s", kind);
        if (rc != ERR_IO || !strstr(e.text, want) || !*e.hint) fail_msg("reader %zu: %d: %s", i, rc, e.text);
    }
}

static void pipes(void **state) {
    (void)state;
    assert_int_equal(mkfifo(TMP "/pipe", 0600), 0);
    all_refuse(TMP "/pipe", "a pipe", READERS);
    int end[2];
    char path[32];
    assert_int_equal(pipe(end), 0); /* what a shell's <(…) names */
    snprintf(path, sizeof path, "/dev/fd/%d", end[0]);
    all_refuse(path, "a pipe", READERS);
    close(end[0]), close(end[1]);
}

static void devices(void **state) {
    (void)state;
    all_refuse("/dev/zero", "a device", READERS);
    if (mknod(TMP "/zero", S_IFCHR | 0600, makedev(1, 5))) {
        print_message("no right to make a device here\n");
        return;
    }
    all_refuse(TMP "/zero", "a device", READERS);
}

static void sockets(void **state) {
    (void)state;
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = TMP "/socket"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    all_refuse(TMP "/socket", "a socket", READERS);
    close(fd);
}

static void folders(void **state) {
    struct err e;
    (void)state;
    assert_int_equal(outdir_make(TMP "/folder", &e), 0);
    all_refuse(TMP "/folder", "a folder", 2);
}

static void files_and_links(void **state) {
    struct err e;
    struct stat s;
    int fd;
    FILE *f;
    char text[8] = "";
    (void)state;
    assert_int_equal(outfile_text(TMP "/a", "abc", 3, &e), 0);
    assert_int_equal(symlink("a", TMP "/link"), 0);
    assert_int_equal(infile_open(TMP "/link", &fd, &s, &e), 0);
    assert_int_equal(s.st_size, 3);
    assert_int_equal(read(fd, text, 8), 3);
    close(fd);
    assert_int_equal(infile_stream(TMP "/a", &f, &e), 0);
    assert_int_equal(fread(text, 1, 8, f), 3);
    assert_string_equal(text, "abc");
    fclose(f);
    assert_int_equal(infile_open(TMP "/none", &fd, NULL, &e), ERR_IO);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(fd, -1);
    assert_string_equal(e.text, TMP "/none: cannot open: No such file or directory");
    assert_int_equal(infile_stream(TMP "/none", &f, &e), ERR_IO);
    assert_null(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pipes), cmocka_unit_test(devices), cmocka_unit_test(sockets),
                                       cmocka_unit_test(folders), cmocka_unit_test(files_and_links)};
    return cmocka_run_group_tests(tests, make_tmp, NULL);
}
