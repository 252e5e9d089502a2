/* stage.c - see stage.h. */
#include "lib/base/stage.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Length of the UTF-8 sequence at s (RFC 3629: shortest form, no surrogates), 0 if there is none; its code point in *c. */
static size_t sequence(const unsigned char *s, uint32_t *c) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = *s < 0x80 ? 1 : *s < 0xc0 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : *s < 0xf8 ? 4 : 0;
    *c = n < 2 ? *s : *s & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        *c = *c << 6 | (s[i] & 0x3fu);
    }
    return n && *c >= least[n] && *c <= 0x10ffff && !(*c >= 0xd800 && *c < 0xe000) ? n : 0;
}

static bool shows_as_it_is(uint32_t c) {
    return c >= ' ' && !(c >= 0x7f && c < 0xa0) && !(c >= 0x200b && c < 0x2010) && !(c >= 0x2028 && c < 0x202f) &&
           !(c >= 0x2060 && c < 0x2070) && c != 0xfeff;
}

void stage_put(FILE *f, const char *text) {
    uint32_t c;
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = sequence(s, &c);
        if (n && shows_as_it_is(c))
            fwrite(s, 1, n, f);
        else if (*s == '\n')
            fputs("\\n", f);
        else
            for (size_t i = 0; i < (n ? n : 1); i++) fprintf(f, "\\x%02x", s[i]);
        s += n ? n : 1;
    }
}

int stage_fail(const char *prog, const struct err *e) {
    size_t n = strlen(prog);
    int prefixed = !strncmp(e->text, prog, n) && e->text[n] == ':';
    if (!prefixed) fprintf(stderr, "%s: ", prog);
    stage_put(stderr, e->text);
    fputc('\n', stderr);
    if (e->hint[0]) {
        fputs("hint: ", stderr);
        stage_put(stderr, e->hint);
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
    stage_put(stderr, text);
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
