/* test_outdir.c - folders as outputs: whole or absent, and never in place of what somebody else put there. */
#define _XOPEN_SOURCE 700
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/outdir.h"

#define TMP "build/tmp/test_outdir"
static const char *const files[] = {"a.json", "b.bin", NULL};

static int setup(void **state) {
    (void)state;
    return outdir_remove(TMP, NULL) || outdir_make(TMP, NULL);
}

static void put(const char *path, const char *text) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static const char *get(const char *path) {
    static char text[64];
    FILE *f = fopen(path, "rb");
    if (!f) return "";
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

static bool exists(const char *path) {
    struct stat s;
    return !lstat(path, &s);
}

/* Write a folder whose files say text; the answer of the first call that fails. */
static int write_as(const char *maker, const char *path, const char *text, struct err *e) {
    struct outdir o;
    char file[PATH_MAX];
    int rc = outdir_open(&o, path, maker, files, e);
    for (size_t i = 0; !rc && files[i]; i++) {
        snprintf(file, sizeof file, "%.4000s/%s", o.part, files[i]);
        rc = outfile_text(file, text, strlen(text), e);
    }
    if (!rc) return outdir_commit(&o, e);
    outdir_abort(&o);
    return rc;
}

static void own_output_is_replaced(void **state) {
    (void)state;
    struct err e;
    assert_int_equal(write_as("train", TMP "/d/", "one", &e), 0); /* nothing there */
    assert_int_equal(write_as("train", TMP "/d", "two", &e), 0);  /* its own */
    assert_string_equal(get(TMP "/d/b.bin"), "two");
    assert_false(exists(TMP "/d.saemill-part"));
    assert_int_equal(mkdir(TMP "/empty", 0755), 0);
    assert_int_equal(write_as("train", TMP "/empty", "one", &e), 0);
    assert_string_equal(get(TMP "/empty/a.json"), "one");
}

static void refused(const char *maker, const char *path, const char *why) {
    struct err e;
    assert_int_equal(outdir_check(path, maker, files, &e), ERR_IO);
    assert_non_null(strstr(e.text, why));
    e.text[0] = 0;
    assert_int_equal(write_as(maker, path, "new", &e), ERR_IO);
    if (!strstr(e.text, why)) fail_msg("%s", e.text);
    assert_true(e.hint[0]);
}

static void what_is_not_its_own_stays(void **state) {
    (void)state;
    struct err e;
    /* somebody's folder, also when its files have the names that would be written */
    assert_int_equal(mkdir(TMP "/thesis", 0755), 0);
    put(TMP "/thesis/a.json", "years of work");
    refused("train", TMP "/thesis", "no marker");
    assert_string_equal(get(TMP "/thesis/a.json"), "years of work");
    /* its own folder with something added, something changed, or of another program */
    assert_int_equal(write_as("train", TMP "/d", "one", &e), 0);
    refused("plot", TMP "/d", "no marker of an earlier plot");
    put(TMP "/d/notes.txt", "mine");
    refused("train", TMP "/d", "notes.txt, which train did not write");
    assert_int_equal(unlink(TMP "/d/notes.txt"), 0);
    put(TMP "/d/a.json", "corrected by hand");
    refused("train", TMP "/d", "a.json in it was changed");
    assert_string_equal(get(TMP "/d/a.json"), "corrected by hand");
    put(TMP "/d/a.json", "one");
    assert_int_equal(mkdir(TMP "/d/sub", 0755), 0);
    refused("train", TMP "/d", "sub, which train did not write");
    assert_int_equal(rmdir(TMP "/d/sub"), 0);
    assert_int_equal(unlink(TMP "/d/a.json"), 0);
    assert_int_equal(symlink("../thesis/a.json", TMP "/d/a.json"), 0);
    refused("train", TMP "/d", "a.json in it was changed");
    assert_string_equal(get(TMP "/thesis/a.json"), "years of work");
}

static void what_is_no_folder_stays(void **state) {
    (void)state;
    char path[PATH_MAX];
    put(TMP "/file", "text");
    assert_int_equal(mkfifo(TMP "/pipe", 0600), 0);
    assert_int_equal(mkdir(TMP "/there", 0755), 0);
    assert_int_equal(symlink("there", TMP "/link"), 0);
    assert_int_equal(symlink("nowhere", TMP "/dangling"), 0);
    refused("train", TMP "/file", "exists and is no folder");
    refused("train", TMP "/pipe", "exists and is no folder");
    refused("train", TMP "/link", "is a link");
    refused("train", TMP "/dangling", "is a link");
    refused("train", TMP "/there/.", "stands in");
    refused("train", TMP "/there/..", "stands in");
    refused("train", ".", "stands in");
    assert_true(exists(TMP "/there") && exists(TMP "/link") && exists(TMP "/dangling") && exists(TMP "/pipe"));
    assert_string_equal(get(TMP "/file"), "text");
    assert_non_null(getcwd(path, sizeof path));
}

static void leftovers_are_taken_over_and_strangers_are_not(void **state) {
    (void)state;
    struct err e;
    struct outdir o;
    assert_int_equal(outdir_open(&o, TMP "/d", "train", files, &e), 0);
    put(TMP "/d.saemill-part/a.json.saemill-part", "half");
    close(o.fd); /* as a kill leaves it: the lock goes, the folder stays */
    assert_int_equal(write_as("train", TMP "/d", "one", &e), 0);
    assert_false(exists(TMP "/d/a.json.saemill-part"));
    assert_int_equal(mkdir(TMP "/d.saemill-part", 0755), 0); /* killed before it wrote its marker */
    assert_int_equal(write_as("train", TMP "/d", "two", &e), 0);
    assert_int_equal(mkdir(TMP "/d.saemill-part", 0755), 0);
    put(TMP "/d.saemill-part/a.json", "mine");
    refused("train", TMP "/d", "no marker");
    assert_string_equal(get(TMP "/d.saemill-part/a.json"), "mine");
    assert_string_equal(get(TMP "/d/a.json"), "two");
    assert_int_equal(unlink(TMP "/d.saemill-part/a.json"), 0);
    assert_int_equal(outdir_open(&o, TMP "/d", "train", files, &e), 0);
    put(TMP "/d.saemill-part/mine", "mine");
    outdir_abort(&o);
    assert_string_equal(get(TMP "/d.saemill-part/mine"), "mine");
}

static void old_output_stays_until_the_new_one_is_there(void **state) {
    (void)state;
    struct err e;
    struct outdir o;
    assert_int_equal(write_as("train", TMP "/d", "one", &e), 0);
    assert_int_equal(outdir_open(&o, TMP "/d", "train", files, &e), 0);
    assert_string_equal(get(TMP "/d/a.json"), "one");
    assert_int_equal(outdir_commit(&o, &e), ERR_IO); /* its files were never written */
    assert_string_equal(get(TMP "/d/a.json"), "one");
    assert_false(exists(TMP "/d.saemill-part"));
    /* a file that comes while it is written: found after the exchange, and all goes back */
    assert_int_equal(outdir_open(&o, TMP "/d", "train", files, &e), 0);
    put(TMP "/d.saemill-part/a.json", "two");
    put(TMP "/d.saemill-part/b.bin", "two");
    put(TMP "/d/notes", "mine");
    assert_int_equal(outdir_commit(&o, &e), ERR_IO);
    assert_non_null(strstr(e.text, "notes"));
    assert_string_equal(get(TMP "/d/notes"), "mine");
    assert_string_equal(get(TMP "/d/a.json"), "one");
    assert_false(exists(TMP "/d.saemill-part"));
    /* as a kill between the two renames leaves it where folders cannot be exchanged */
    assert_int_equal(unlink(TMP "/d/notes"), 0);
    assert_int_equal(rename(TMP "/d", TMP "/d.saemill-old"), 0);
    assert_int_equal(outdir_open(&o, TMP "/d", "train", files, &e), 0);
    assert_string_equal(get(TMP "/d/a.json"), "one");
    outdir_abort(&o);
}

static void one_writer(void **state) {
    (void)state;
    struct err e;
    struct outdir first, second;
    assert_int_equal(outdir_open(&first, TMP "/both", "train", files, &e), 0);
    put(TMP "/both.saemill-part/a.json", "1");
    assert_int_equal(outdir_open(&second, TMP "/both", "train", files, &e), ERR_IO);
    assert_non_null(strstr(e.text, "another program"));
    outdir_abort(&second); /* must not take the first one's files */
    assert_string_equal(get(TMP "/both.saemill-part/a.json"), "1");
    outdir_abort(&first);
    assert_false(exists(TMP "/both.saemill-part"));
    struct outdir never = {0};
    outdir_abort(&never);
    assert_int_not_equal(fcntl(0, F_GETFD), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(own_output_is_replaced, setup),
        cmocka_unit_test_setup(what_is_not_its_own_stays, setup),
        cmocka_unit_test_setup(what_is_no_folder_stays, setup),
        cmocka_unit_test_setup(leftovers_are_taken_over_and_strangers_are_not, setup),
        cmocka_unit_test_setup(old_output_stays_until_the_new_one_is_there, setup),
        cmocka_unit_test_setup(one_writer, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
