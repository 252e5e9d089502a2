/* stage.h - how a stage's main() ends. */
#ifndef SAEMILL_STAGE_H
#define SAEMILL_STAGE_H

#include "lib/base/err.h"

enum { STAGE_OK = 0, STAGE_FAILED = 1, STAGE_USAGE = 2, STAGE_CANNOT_RUN = 77 };

/* Print "prog: text" (the prefix only where the text lacks it) and "hint: …" on stderr; return the exit status that fits
 * e->code: 2 for ERR_USAGE, 77 for ERR_NO_DEVICE, else 1. */
int stage_fail(const char *prog, const struct err *e);

/* The closing line of a stage, on stderr: "prog: …". */
void stage_done(const char *prog, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
