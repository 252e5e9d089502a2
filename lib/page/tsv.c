/* tsv.c - see tsv.h. */
#include "lib/page/tsv.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/infile.h"

static int slurp(const char *path, char **out, struct err *e) {
    enum { MOST = 1 << 20 };
    *out = mem_array(MOST + 1, 1, "a table", e);
    if (!*out) return ERR_MEMORY;
    FILE *f;
    int rc = infile_stream(path, &f, e);
    if (rc) return rc;
    size_t n = fread(*out, 1, MOST + 1, f);
    rc = ferror(f) ? err_errno(e, "%s: cannot read", path) : 0;
    fclose(f);
    if (!rc && n > MOST) rc = err_set(e, ERR_RANGE, "%s: longer than 1 MiB", path);
    if (rc) return rc;
    (*out)[n] = 0;
    json_t *utf8 = memchr(*out, 0, n) ? NULL : json_stringn(*out, n);
    if (!utf8) return err_set(e, ERR_FORMAT, "%s: want UTF-8 text", path);
    json_decref(utf8);
    return 0;
}

/* Cut a line at its tabs. Returns the number of fields, which may exceed TSV_COLUMNS. */
static size_t cut(char *line, struct tsv_row *r) {
    size_t n = 0;
    for (char *next; line; line = next, n++) {
        next = strchr(line, '\t');
        if (next) *next++ = 0;
        if (n < TSV_COLUMNS) r->field[n] = line;
    }
    return n;
}

static int check_head(const char *path, const char *columns, const struct tsv_row *r, size_t n, struct tsv *t,
                      struct err *e) {
    const char *want = columns;
    t->n_columns = 0;
    bool same = true;
    while (*want) {
        size_t len = strcspn(want, " "), i = t->n_columns++;
        same &= i < n && i < TSV_COLUMNS && strlen(r->field[i]) == len && !memcmp(r->field[i], want, len);
        want += len + strspn(want + len, " ");
    }
    if (same && n == t->n_columns) return 0;
    return err_set(e, ERR_FORMAT, "%s:%zu: want the columns %s (between tabs), got %zu others", path, r->line, columns,
                   n);
}

int tsv_read(const char *path, const char *columns, struct tsv *t, struct err *e) {
    *t = (struct tsv){0};
    int rc = slurp(path, &t->bytes, e);
    if (rc) return rc;
    size_t lines = 1, line = 0;
    for (const char *s = t->bytes; *s; s++) lines += *s == '\n';
    t->row = mem_array(lines, sizeof *t->row, "a table", e);
    if (!t->row) return ERR_MEMORY;
    bool head = true;
    for (char *s = t->bytes, *next; !rc && s; s = next) {
        next = strchr(s, '\n');
        if (next) *next++ = 0;
        line++;
        size_t len = strlen(s);
        if (len && s[len - 1] == '\r') s[--len] = 0;
        if (!len || *s == '#') continue;
        struct tsv_row r = {.line = line};
        size_t n = cut(s, &r);
        if (head)
            rc = check_head(path, columns, &r, n, t, e);
        else if (n != t->n_columns)
            rc = err_set(e, ERR_FORMAT, "%s:%zu: want %zu fields between tabs, got %zu", path, line, t->n_columns, n);
        else
            t->row[t->n_rows++] = r;
        head = false;
    }
    if (!rc && head)
        rc = err_set(e, ERR_FORMAT, "%s: want the columns %s in its first line, got an empty file", path, columns);
    return rc;
}

void tsv_free(struct tsv *t) {
    free(t->bytes);
    free(t->row);
    *t = (struct tsv){0};
}
