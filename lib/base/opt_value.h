/* opt_value.h - words of the command line as numbers. Apart from opt.c, whose messages do not count in the keys of results: these do.
 * Tests: tests/test_base.c */
#ifndef SAEMILL_OPT_VALUE_H
#define SAEMILL_OPT_VALUE_H

#include <stdbool.h>
#include <stdint.h>

/* All of v is a whole number that an int64_t holds, or a finite number: true, and *x is it. */
bool opt_value_int(const char *v, int64_t *x);
bool opt_value_real(const char *v, double *x);

#endif
