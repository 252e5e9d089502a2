/* err.c - see err.h. */
#include "lib/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
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

void err_put(FILE *f, const char *text) {
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

void err_check_failed(const char *cond, const char *file, const char *function) {
    fprintf(stderr, "%s: %s: internal check failed: %s\nhint: this is a defect of saemill; please report it\n", file,
            function, cond);
    abort();
}
