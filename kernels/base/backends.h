/* backends.h - who computes: the back ends behind --backend, one row each.
 *
 * A table of operations (sae_kernels.h, lm_kernels.h) starts as the definitions and a back end puts its own in place of them, as in
 * BLIS: an unfinished one is correct, only slower. Definitions cannot look into a device's memory, so a device's tables start empty,
 * and an operation that it lacks is refused by name when the table is made.
 *
 * A further back end is a row in backends.c and files of its own: the device, the kernels, and for each kind of table a function that
 * puts them in. Tests: tests/test_backends.c */
#ifndef SAEMILL_BACKENDS_H
#define SAEMILL_BACKENDS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

/* How products take their operands; sums are in float32 at least. */
enum precision { PRECISION_BF16, PRECISION_TF32, PRECISION_F32 };

struct sae_kernels;
struct lm_kernels;

struct backend {
    const char *name, *help;
    enum precision precision;
    bool device;                                  /* it has memory of its own */
    int (*open)(enum precision p, struct err *e); /* makes it ready; NULL: there is nothing to do */
    void (*sae)(struct sae_kernels *t);           /* puts its operations in; NULL: it has none */
    void (*lm)(struct lm_kernels *t);
    const char *absent; /* why this build lacks it, or NULL */
};

/* The row of that name, made ready. It lives as long as the program.
 * Errors: ERR_UNSUPPORTED that says what there is; ERR_NO_DEVICE when this build lacks it or no device is here. */
int backends_open(const char *name, const struct backend **out, struct err *e);

/* Which row it is, below BACKENDS_MOST. */
enum { BACKENDS_MOST = 16 };
size_t backends_place(const struct backend *b);

/* ERR_UNSUPPORTED when `operation`, the first that a table lacks, is not NULL. */
int backends_whole(const struct backend *b, const char *operation, struct err *e);

/* For an option: "ref|cpu|…", and what each is. They live as long as the program. */
const char *backends_choices(void);
const char *backends_help(void);

#endif
