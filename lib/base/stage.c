/* stage.c - see stage.h. */
#include "lib/base/stage.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int stage_fail(const char *prog, const struct err *e) {
    size_t n = strlen(prog);
    int prefixed = !strncmp(e->text, prog, n) && e->text[n] == ':';
    fprintf(stderr, "%s%s%s\n", prefixed ? "" : prog, prefixed ? "" : ": ", e->text);
    if (e->hint[0]) fprintf(stderr, "hint: %s\n", e->hint);
    return e->code == ERR_USAGE ? STAGE_USAGE : e->code == ERR_NO_DEVICE ? STAGE_CANNOT_RUN : STAGE_FAILED;
}

void stage_done(const char *prog, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "%s: ", prog);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}
