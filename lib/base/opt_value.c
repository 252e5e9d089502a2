/* opt_value.c - see opt_value.h. */
#include "lib/base/opt_value.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

bool opt_value_int(const char *v, int64_t *x) {
    char *end;
    errno = 0;
    *x = strtoll(v, &end, 10);
    return end != v && !*end && !errno;
}

bool opt_value_real(const char *v, double *x) {
    char *end;
    *x = strtod(v, &end);
    return end != v && !*end && isfinite(*x);
}
