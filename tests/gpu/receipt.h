/* receipt.h - between the parts of the receipt: receipt.c (training), receipt_lm.c (a language model's forward pass). */
#ifndef SAEMILL_RECEIPT_H
#define SAEMILL_RECEIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "tests/kernel_cases.h"

_Noreturn void stop(const struct err *e); /* status 77 where there is no GPU */

/* A line of the receipt: an error and what it may be (checked, tests/kernel_cases.h); milliseconds, a goal (0: none) and a remark. */
void timed(const char *name, const char *size, double ms, double goal, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

double far(const float *a, const float *b, size_t n); /* |a - b| / |b|; Inf when a holds NaN */
float *normals(uint64_t seed, size_t n, double sd);   /* malloc'd */

/* Median over 15 runs, after two, each waited for. */
double median_ms(void (*run)(void *), void *ctx, int (*finish)(struct err *));

void lm_checks(bool quick);
void lm_times(void);

#endif
