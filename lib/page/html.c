/* html.c - see html.h. */
#include "lib/page/html.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

void html_text(FILE *f, const char *s) {
    for (; s && *s; s++) switch (*s) {
        case '&':
            fputs("&amp;", f);
            break;
        case '<':
            fputs("&lt;", f);
            break;
        case '>':
            fputs("&gt;", f);
            break;
        case '"':
            fputs("&quot;", f);
            break;
        case '\'':
            fputs("&#39;", f);
            break;
        default:
            fputc(*s, f);
        }
}

/* The next part of a path at *s, without empty and "." parts; *s moves behind it. Length 0 at the end. */
static size_t next_part(const char **s, const char **part) {
    for (;;) {
        *s += strspn(*s, "/");
        *part = *s;
        size_t n = strcspn(*s, "/");
        *s += n;
        if (n != 1 || **part != '.') return n;
    }
}

static int append(char *out, size_t out_bytes, size_t *at, const char *part, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)part[i];
        char one[4];
        int plain = (isalnum(c) && c < 128) || strchr("-._~/", c);
        int len = snprintf(one, sizeof one, plain ? "%c" : "%%%02X", c);
        if (*at + (size_t)len >= out_bytes) return -1;
        memcpy(out + *at, one, (size_t)len);
        *at += (size_t)len;
    }
    out[*at] = 0;
    return 0;
}

int html_link(const char *from, const char *to, char *out, size_t out_bytes, struct err *e) {
    if ((*from == '/') != (*to == '/') && *from)
        return err_set(e, ERR_RANGE, "%s: cannot be named relative to %s: one path is absolute, the other is not", to,
                       from);
    const char *a = from, *b = to, *pa, *pb, *b_rest = to;
    size_t na, nb, at = 0;
    int full = 0;
    do { /* the parts that both have */
        b_rest = b;
        na = next_part(&a, &pa), nb = next_part(&b, &pb);
    } while (na && na == nb && !memcmp(pa, pb, na));
    out[0] = 0;
    for (; na; na = next_part(&a, &pa)) {
        if (na == 2 && !memcmp(pa, "..", 2)) return err_set(e, ERR_RANGE, "%s: must not hold '..'", from);
        full |= append(out, out_bytes, &at, "../", 3);
    }
    b = b_rest;
    for (int first = 1; (nb = next_part(&b, &pb)); first = 0) {
        if (!first) full |= append(out, out_bytes, &at, "/", 1);
        full |= append(out, out_bytes, &at, pb, nb);
    }
    return full ? err_set(e, ERR_RANGE, "%s: path too long", to) : 0;
}
