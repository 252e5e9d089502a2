/* stage.h - what a stage's main() says, and how it ends. Texts of files and paths come out escaped. Tests: tests/test_base.c */
#ifndef SAEMILL_STAGE_H
#define SAEMILL_STAGE_H

#include "lib/base/err.h"

enum { STAGE_OK = 0, STAGE_FAILED = 1, STAGE_USAGE = 2, STAGE_CANNOT_RUN = 77 };

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
