/* err.c - see err.h. */
#include "lib/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int err_set(struct err *e, int code, const char *fmt, ...) {
    if (!e) return code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    e->code = code;
    e->hint[0] = 0;
    return code;
}

int err_hint(struct err *e, const char *fmt, ...) {
    if (!e) return ERR_FORMAT;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->hint, sizeof e->hint, fmt, ap);
    va_end(ap);
    return e->code;
}

int err_errno(struct err *e, const char *fmt, ...) {
    int saved = errno;
    if (!e) return ERR_IO;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    size_t n = strlen(e->text);
    snprintf(e->text + n, sizeof e->text - n, ": %s", strerror(saved));
    e->code = ERR_IO;
    e->hint[0] = 0;
    if (saved == ENOSPC || saved == EDQUOT) err_hint(e, "the disk is full: free some space (make gc) and run again");
    if (saved == EFBIG) err_hint(e, "files may not be that large here: raise the limit (ulimit -f) and run again");
    if (saved == EMFILE)
        err_hint(e, "this program may not open so many files: raise the limit (ulimit -n) and run again");
    return ERR_IO;
}

void err_check_failed(const char *cond, const char *file, const char *function) {
    fprintf(stderr, "%s: %s: internal check failed: %s\nhint: this is a defect of saemill; please report it\n", file,
            function, cond);
    abort();
}
