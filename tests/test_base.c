/* test_base.c - random numbers, options, hashes, memory, atomic output. */
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/arena.h"
#include "lib/base/hash.h"
#include "lib/base/opt.h"
#include "lib/base/outdir.h"
#include "lib/base/outfile.h"
#include "lib/base/rng.h"
#include "lib/base/stage.h"

#define TMP "build/tmp/test_base"

/* Known answers of the Random123 distribution for philox4x32-10. */
static void philox_known_answers(void **state) {
    (void)state;
    const struct {
        uint64_t seed, stream, ctr;
        uint32_t want[4];
    } kat[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof kat / sizeof *kat; i++) {
        uint32_t out[4];
        rng_block(kat[i].seed, kat[i].stream, kat[i].ctr, out);
        assert_memory_equal(out, kat[i].want, sizeof out);
    }
}

static void distributions(void **state) {
    (void)state;
    enum { N = 100000 };
    double u = 0, u2 = 0, g = 0, g2 = 0;
    for (uint64_t i = 0; i < N; i++) {
        double a = rng_uniform(1, 2, i), b = rng_normal(1, 3, i);
        assert_true(a >= 0 && a < 1 && rng_below(1, 4, i, 7) < 7);
        u += a, u2 += a * a, g += b, g2 += b * b;
    }
    /* five standard errors of each mean: var u 1/12, var u^2 4/45, var g 1, var g^2 2 */
    assert_true(fabs(u / N - 0.5) < 5 * sqrt(1.0 / 12 / N) && fabs(u2 / N - 1.0 / 3) < 5 * sqrt(4.0 / 45 / N));
    assert_true(fabs(g / N) < 5 * sqrt(1.0 / N) && fabs(g2 / N - 1) < 5 * sqrt(2.0 / N));
}

static void permutations(void **state) {
    (void)state;
    const uint64_t sizes[] = {1, 2, 3, 4, 5, 17, 1000, 4097};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        uint64_t n = sizes[k], moved = 0;
        char *seen = calloc(n, 1);
        for (uint64_t i = 0; i < n; i++) {
            uint64_t j = rng_permute(5, 6, i, n);
            assert_true(j < n && !seen[j]);
            assert_int_equal(rng_permute_inverse(5, 6, j, n), i);
            seen[j] = 1, moved += j != i;
        }
        if (n >= 1000) assert_true(moved > n - 20); /* a random permutation has about one fixed point */
        free(seen);
    }
    uint64_t big = ((uint64_t)1 << 62) + 12345;
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(rng_permute_inverse(1, 1, rng_permute(1, 1, i * 977, big), big), i * 977);
}

struct all {
    const char *in, *out, *word;
    struct opt_list many;
    int64_t whole;
    double real;
    bool flag;
};

static int parse(struct all *a, struct err *e, const char *line, char **record) {
    static char copy[500];
    char *argv[40] = {"prog"};
    int argc = 1;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *w = strtok(copy, " "); w; w = strtok(NULL, " ")) argv[argc++] = w;
    *a = (struct all){0};
    const struct opt t[] = {
        {"in", OPT_INPUT, &a->in, "", 0, 0, NULL, NULL, "input", false},
        {"many", OPT_INPUTS, &a->many, "", 0, 0, NULL, NULL, "inputs", false},
        {"out", OPT_OUTPUT, &a->out, NULL, 0, 0, NULL, NULL, "output", false},
        {"word", OPT_TEXT, &a->word, "red", 0, 0, "red|green", NULL, "colour", false},
        {"whole", OPT_INT, &a->whole, "3", 1, 10, NULL, "steps", "number", false},
        {"real", OPT_REAL, &a->real, "0.1", -1, 1, NULL, NULL, "number", false},
        {"flag", OPT_FLAG, &a->flag, NULL, 0, 0, NULL, NULL, "switch", false},
    };
    a->in = "";
    int rc = opt_parse("prog", "test", t, 7, argc, argv, e);
    if (!rc && record) rc = opt_record("prog", t, 7, record, e);
    if (!rc) opt_free(t, 7);
    return rc;
}

static void options(void **state) {
    (void)state;
    struct all a;
    struct err e;
    char *r1, *r2;
    assert_int_equal(parse(&a, &e, "--out x --whole=7 --real -0.5 --flag", NULL), 0);
    assert_true(a.whole == 7 && a.real == -0.5 && a.flag && !strcmp(a.word, "red") && !strcmp(a.out, "x"));
    const char *const wrong[] = {"",
                                 "--out",
                                 "--out x --out y",
                                 "--out x --nope 1",
                                 "--out x word",
                                 "--out x --whole 11",
                                 "--out x --whole 2x",
                                 "--out x --real nan",
                                 "--out x --real 1e99",
                                 "--out x --word blue",
                                 "--out x --flag=1",
                                 "--out x --whole",
                                 "--out x -w 1",
                                 "--out x --whole 0"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        e.text[0] = 0;
        assert_int_equal(parse(&a, &e, wrong[i], NULL), ERR_USAGE);
        assert_int_equal(strncmp(e.text, "prog: ", 6), 0);
    }
    /* the record holds what decides the result, and no path */
    assert_int_equal(parse(&a, &e, "--out x --in tests/test_base.c --many Makefile", &r1), 0);
    assert_int_equal(parse(&a, &e, "--many ./Makefile --in ./tests/../tests/test_base.c --out y", &r2), 0);
    assert_string_equal(r1, r2);
    assert_null(strstr(r1, "Makefile"));
    assert_non_null(strstr(r1, "\"whole\":3"));
    free(r1), free(r2);
}

static void hashes(void **state) {
    (void)state;
    struct err e;
    char a[HASH_HEX], b[HASH_HEX], c[HASH_HEX];
    hash_bytes("", 0, a);
    assert_string_equal(a, "99aa06d3014798d86001c324468d497f"); /* XXH3_128bits of nothing, from xxHash's own tests */
    outdir_remove(TMP, NULL);
    assert_int_equal(outdir_make(TMP "/d/cas", &e), 0);
    assert_int_equal(outfile_text(TMP "/d/one", "1", 1, &e), 0);
    assert_int_equal(hash_content(TMP "/d", a, &e), 0);
    assert_int_equal(rename(TMP "/d/one", TMP "/d/two"), 0);
    assert_int_equal(hash_content(TMP "/d", b, &e), 0);
    assert_string_not_equal(a, b); /* names count */
    hash_bytes("1", 1, c);
    assert_int_equal(hash_content(TMP "/d/two", b, &e), 0);
    assert_string_equal(b, c);
    /* what a link into a store names must be what is there */
    char blob[PATH_MAX];
    snprintf(blob, sizeof blob, TMP "/d/cas/%s", c);
    assert_int_equal(outfile_text(blob, "1", 1, &e), 0);
    assert_int_equal(symlink(blob + strlen(TMP "/d/"), TMP "/d/link"), 0);
    assert_int_equal(hash_path(TMP "/d/link", b, &e), 0);
    assert_string_equal(b, c);
    assert_int_equal(outfile_text(blob, "2", 1, &e), 0);
    assert_int_equal(hash_path(TMP "/d/link", b, &e), ERR_FORMAT);
    assert_non_null(strstr(e.text, "damaged"));
    assert_int_equal(mkfifo(TMP "/d/pipe", 0600), 0);
    assert_int_equal(hash_content(TMP "/d/pipe", b, &e), ERR_IO); /* and does not wait for it */
    unlink(TMP "/d/pipe");
    assert_int_equal(hash_path(TMP "/d/none", b, &e), ERR_IO);
}

static void memory(void **state) {
    (void)state;
    struct err e;
    struct arena a;
    assert_null(mem_array(SIZE_MAX / 2, 4, "test", &e));
    assert_int_equal(e.code, ERR_MEMORY);
    assert_int_equal(arena_need(SIZE_MAX / 2, 4), SIZE_MAX);
    assert_int_equal(arena_init(&a, SIZE_MAX, "test", &e), ERR_MEMORY);
    assert_int_equal(arena_init(&a, arena_need(3, 4) + arena_need(1, 1), "test", &e), 0);
    char *p = arena_take(&a, 3, 4), *q = arena_take(&a, 1, 1);
    assert_true((uintptr_t)p % ARENA_ALIGN == 0 && q - p == ARENA_ALIGN);
    arena_free(&a);
    mem_fail_after(1);
    p = mem_array(1, 1, "test", &e);
    assert_non_null(p);
    assert_null(mem_array(1, 1, "test", &e));
    mem_fail_after(-1);
    free(p);
}

static void whole_or_absent(void **state) {
    (void)state;
    struct err e;
    struct outfile o;
    char big[5000] = {0};
    assert_int_equal(outdir_make(TMP, &e), 0);
    assert_int_equal(outfile_text(TMP "/kept", "old", 3, &e), 0);
    /* a disk that fills up: a limit on the file's size gives the same kind of error without one */
    struct rlimit was, small = {4096, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &was);
    small.rlim_max = was.rlim_max;
    setrlimit(RLIMIT_FSIZE, &small);
    int rc = outfile_text(TMP "/kept", big, sizeof big, &e);
    setrlimit(RLIMIT_FSIZE, &was);
    assert_int_equal(rc, ERR_IO);
    assert_int_equal(access(TMP "/kept" OUTFILE_PART, F_OK), -1);
    char b[4] = "";
    int fd = open(TMP "/kept", O_RDONLY);
    assert_int_equal(read(fd, b, 3), 3);
    close(fd);
    assert_string_equal(b, "old"); /* the old one is untouched */
    assert_int_equal(outfile_open(&o, TMP "/absent/x", &e), ERR_IO);
    assert_non_null(strstr(e.hint, "mkdir"));
    assert_int_equal(outfile_open(&o, "/dev/null", &e), ERR_IO);
    assert_int_equal(outfile_check(TMP "/absent/x", &e), ERR_IO);
    assert_int_equal(outfile_check(TMP "/new/", &e), 0);
}

static void one_writer(void **state) {
    (void)state;
    struct err e;
    struct outfile first, second;
    assert_int_equal(outdir_make(TMP, &e), 0);
    assert_int_equal(outfile_open(&first, TMP "/both", &e), 0);
    assert_int_equal(outfile_open(&second, TMP "/both", &e), ERR_IO);
    assert_non_null(strstr(e.text, "another program"));
    outfile_abort(&second); /* must not take the first one's file */
    assert_int_equal(outfile_commit(&first, &e), 0);
    assert_int_equal(outfile_open(&second, TMP "/both", &e), 0);
    outfile_abort(&second);
    struct outfile never = {0};
    outfile_abort(&never);
    assert_int_not_equal(fcntl(0, F_GETFD), -1);
}

static void texts_of_files_are_shown_escaped(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"plain 'text' \\ é 模型 🙂", "plain 'text' \\ é 模型 🙂"},
        {"a\nb\r\tc\x7f", "a\\nb\\x0d\\x09c\\x7f"},
        {"\x1b[2J", "\\x1b[2J"},
        {"\xc2\x9b"
         "2J \xc2\x80 \xc2\xa0",
         "\\xc2\\x9b2J \\xc2\\x80 \xc2\xa0"},                    /* C1: U+009B, U+0080; U+00A0 is none */
        {"\x9b\xff", "\\x9b\\xff"},                              /* bytes alone */
        {"\xc0\x8a \xe0\x80\x8a", "\\xc0\\x8a \\xe0\\x80\\x8a"}, /* a newline in too many bytes */
        {"\xed\xa0\x80 \xf4\x90\x80\x80", "\\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80"}, /* a surrogate; beyond U+10FFFF */
        {"\xe2\x80\xae \xe2\x80\xa8", "\\xe2\\x80\\xae \\xe2\\x80\\xa8"},          /* right to left; a line separator */
        {"cut \xe6\xa8", "cut \\xe6\\xa8"},
        {"", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *got;
        size_t n;
        FILE *f = open_memstream(&got, &n);
        err_put(f, cases[i][0]);
        fclose(f);
        assert_string_equal(got, cases[i][1]);
        free(got);
    }
}

/* Exit status of a program that answers on this stdout. */
static int answers_on(const char *path, int fd, int status) {
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        signal(SIGPIPE, SIG_IGN);
        if (!freopen("/dev/null", "w", stderr) || dup2(fd >= 0 ? fd : open(path, O_WRONLY), 1) < 0) _exit(99);
        puts("the answer");
        _exit(stage_close_stdout("prog", status));
    }
    int raw;
    waitpid(pid, &raw, 0);
    return WIFEXITED(raw) ? WEXITSTATUS(raw) : -1;
}

static void an_answer_that_is_lost(void **state) {
    (void)state;
    int end[2];
    assert_int_equal(answers_on("/dev/null", -1, 0), 0);
    assert_int_equal(answers_on("/dev/full", -1, 0), 1);
    assert_int_equal(answers_on("/dev/full", -1, 77), 77);
    assert_int_equal(pipe(end), 0);
    close(end[0]);
    assert_int_equal(answers_on("", end[1], 0), 0); /* its reader has seen enough */
    close(end[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(distributions),
        cmocka_unit_test(permutations),
        cmocka_unit_test(options),
        cmocka_unit_test(hashes),
        cmocka_unit_test(memory),
        cmocka_unit_test(whole_or_absent),
        cmocka_unit_test(one_writer),
        cmocka_unit_test(texts_of_files_are_shown_escaped),
        cmocka_unit_test(an_answer_that_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
