/* stage.c - see stage.h. */
#include "lib/base/stage.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int stage_start(const struct stage *s, int argc, char **argv, struct err *e) {
    return opt_parse(s->name, s->purpose, s->table, s->n, argc, argv, e);
}

int stage_record(const struct stage *s, char **json, struct err *e) {
    return opt_record(s->name, s->table, s->n, json, e);
}

int stage_end(const struct stage *s, int rc, const struct err *e) {
    opt_free(s->table, s->n);
    return stage_close_stdout(s->name, rc < 0 ? stage_fail(s->name, e) : STAGE_OK);
}

int stage_fail(const char *prog, const struct err *e) {
    size_t n = strlen(prog);
    int prefixed = !strncmp(e->text, prog, n) && e->text[n] == ':';
    if (!prefixed) fprintf(stderr, "%s: ", prog);
    err_put(stderr, e->text);
    fputc('\n', stderr);
    if (e->hint[0]) {
        fputs("hint: ", stderr);
        err_put(stderr, e->hint);
        fputc('\n', stderr);
    }
    return e->code == ERR_USAGE ? STAGE_USAGE : e->code == ERR_NO_DEVICE ? STAGE_CANNOT_RUN : STAGE_FAILED;
}

void stage_done(const char *prog, const char *fmt, ...) {
    char text[8192]; /* a path and numbers */
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fprintf(stderr, "%s: ", prog);
    err_put(stderr, text);
    fputc('\n', stderr);
}

int stage_flush_stdout(struct err *e) {
    bool failed = ferror(stdout);
    errno = 0;
    if (!fflush(stdout) && !failed) return 0;
    if (errno == EPIPE) return 0;
    if (!errno) errno = EIO; /* an earlier write failed, and its reason is gone */
    return err_errno(e, "standard output: cannot write");
}

int stage_close_stdout(const char *prog, int status) {
    struct err e;
    return stage_flush_stdout(&e) && status == STAGE_OK ? stage_fail(prog, &e) : status;
}
