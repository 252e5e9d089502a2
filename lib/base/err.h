/* err.h - what went wrong, as one line a person can act on.
 *
 * Functions that meet files or user values return 0 or a negative enum err_code and fill a struct err. lib/ and kernels/
 * never print and never exit; a stage's main() reports with stage_fail (base/stage.h). */
#ifndef SAEMILL_ERR_H
#define SAEMILL_ERR_H

#include <stddef.h>
#include <stdio.h>

enum err_code {
    ERR_OK = 0,
    ERR_IO = -1,          /* the operating system refused: open, read, write, rename, disk full */
    ERR_FORMAT = -2,      /* bytes that are not what the format says */
    ERR_SHAPE = -3,       /* a tensor or table of another shape or type than needed */
    ERR_RANGE = -4,       /* a value outside what is allowed */
    ERR_MEMORY = -5,      /* an allocation that cannot be had, or a size that overflows */
    ERR_NUMERIC = -6,     /* NaN, Inf, no convergence */
    ERR_UNSUPPORTED = -7, /* valid, but nothing here can do it */
    ERR_USAGE = -8,       /* the command line is wrong: exit status 2 */
    ERR_NO_DEVICE = -9,   /* needs hardware that is not here: exit status 77 */
    ERR_DEVICE = -10      /* a device that is here failed */
};

struct err {
    int code;
    char text[768]; /* "acts.safetensors: L0R: bad shape: want [*,256], got [4096,512]" */
    char hint[512]; /* what to do about it; may be empty */
};

/* Fill *e and return code, so that a function can end with `return err_set(e, ERR_SHAPE, "%s: ...", path)`.
 *   e     [1]  overwritten, its hint emptied; may be NULL (the caller wants only the code)
 *   code       a negative enum err_code
 *   fmt        printf format; by convention "path: tensor: what: want …, got …" */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Add the hint to an error already set; returns e->code, so that it can be the last call too. */
int err_hint(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As err_set with ERR_IO, and ": " strerror(errno) added. Call it before anything else can change errno. */
int err_errno(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Write text so that it stays one line and a terminal shows it as it is: \n, \xNN for control characters (those of U+0080 to U+009F too),
 * for marks that turn the direction of writing, and for bytes that are not UTF-8. */
void err_put(FILE *f, const char *text);

/* A broken contract of our own (never a bad file, flag or number): message on stderr and abort. On in release. It names the
 * function, not the line: a comment must not change the program's bytes, which are its identity in the store of results. */
#define CHECK(cond) ((cond) ? (void)0 : err_check_failed(#cond, __FILE__, __func__))
_Noreturn void err_check_failed(const char *cond, const char *file, const char *function);

#endif
