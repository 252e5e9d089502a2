/* tsv.h - small tables written by people: one row a line, fields between tabs, '#' begins a comment line, empty lines
 * are skipped. The first row names the columns and must be the wanted one. Tests: tests/test_report.c */
#ifndef SAEMILL_TSV_H
#define SAEMILL_TSV_H

#include <stddef.h>

#include "lib/base/err.h"

enum { TSV_COLUMNS = 8 };

struct tsv_row {
    size_t line; /* 1-based */
    const char *field[TSV_COLUMNS];
};

struct tsv {
    char *bytes; /* owned; the fields point into it */
    struct tsv_row *row;
    size_t n_rows, n_columns;
};

/* Read a file of at most 1 MiB. `columns`: the wanted names, separated by blanks.
 * Errors: ERR_IO; ERR_FORMAT "path:3: want 6 fields …, got 5", also for text that is not UTF-8. tsv_free may follow in
 * any case. */
int tsv_read(const char *path, const char *columns, struct tsv *t, struct err *e);
void tsv_free(struct tsv *t);

#endif
