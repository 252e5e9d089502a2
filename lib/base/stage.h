/* stage.h - what every stage's main() does alike: how it starts, what it says, how it ends. Texts of files and paths come out escaped.
 *
 *     const struct opt table[] = {{"in", …}, STAGE_THREADS(&s.threads), STAGE_OUT(&s.out, "JSON file to write")};
 *     const struct stage me = {PROG, "what it does", OPT_TABLE(table)};
 *     int rc = stage_start(&me, argc, argv, &e);
 *     if (!rc) rc = …                                     the recipe, a step a line
 *     if (!rc) stage_done(PROG, "%s: …", s.out);
 *     run_free(&r);
 *     return stage_end(&me, rc, &e);
 *
 * Tests: tests/test_base.c, tests/cli */
#ifndef SAEMILL_STAGE_H
#define SAEMILL_STAGE_H

#include "lib/base/err.h"
#include "lib/base/opt.h"

enum { STAGE_OK = 0, STAGE_FAILED = 1, STAGE_USAGE = 2, STAGE_CANNOT_RUN = 77 };

struct stage {
    const char *name, *purpose; /* first word of its messages; one line for --help */
    const struct opt *table;
    size_t n;
};

/* Options that many stages have. */
#define STAGE_THREADS(dst)                                                                                             \
    { "threads", OPT_INT, dst, "0", 0, 4096, NULL, "threads", "0: all cores", true }
#define STAGE_BACKEND(dst) /* with kernels/base/backends.h */                                                          \
    { "backend", OPT_TEXT, dst, "cpu", 0, 0, backends_choices(), NULL, backends_help(), false }
#define STAGE_OUT(dst, what)                                                                                           \
    { "out", OPT_OUTPUT, dst, NULL, 0, 0, NULL, NULL, what, false }

/* Parse the command line and have --threads. 0; 1 after --help, so that the recipe is passed over; or opt_parse's error. */
int stage_start(const struct stage *s, int argc, char **argv, struct err *e);

/* opt_record of the stage. *json is malloc'd. */
int stage_record(const struct stage *s, char **json, struct err *e);

/* Release the options, report an error, flush stdout; rc of the recipe, or of stage_start, becomes main's exit status. */
int stage_end(const struct stage *s, int rc, const struct err *e);

/* Print "prog: text" (the prefix only where the text lacks it) and "hint: …" on stderr; return the exit status that fits
 * e->code: 2 for ERR_USAGE, 77 for ERR_NO_DEVICE, else 1. */
int stage_fail(const char *prog, const struct err *e);

/* A line of a stage, mostly its last, on stderr: "prog: …". */
void stage_done(const char *prog, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Flush stdout, for programs whose answer it carries. ERR_IO when it cannot be written; a reader that has left is no error. */
int stage_flush_stdout(struct err *e);

/* The same as the last word of main: returns status, or 1 with a line on stderr when status was 0 and the answer is lost. */
int stage_close_stdout(const char *prog, int status);

#endif
