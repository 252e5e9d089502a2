/* opt.h - one table per program: it makes the strict parser, --help, the range checks and the provenance record. */
#ifndef SAEMILL_OPT_H
#define SAEMILL_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/err.h"

enum opt_type {
    OPT_INPUT,  /* const char *      path of a file or folder that is read; recorded by content hash */
    OPT_INPUTS, /* struct opt_list   one or more such paths: --corpus A B C, or repeated */
    OPT_OUTPUT, /* const char *      path that is written; not recorded */
    OPT_TEXT,   /* const char *      free text, or one of `choices` */
    OPT_INT,    /* int64_t           whole number in [lo, hi]; "threads" also sets OpenMP's */
    OPT_REAL,   /* double            finite number in [lo, hi] */
    OPT_FLAG    /* bool              given or not */
};

struct opt_list {
    const char **item;
    size_t n;
};

struct opt {
    const char *name; /* without the dashes: "max-tokens" */
    enum opt_type type;
    void *dst;           /* where the value goes; its C type is fixed by `type` */
    const char *preset;  /* default as text; NULL = must be given; "" = may be absent (dst keeps its value) */
    double lo, hi;       /* closed range of OPT_INT and OPT_REAL; lo == hi means no bound */
    const char *choices; /* "a|b|c" for OPT_TEXT, else NULL */
    const char *unit;    /* "tokens", "ms", "1" */
    const char *help;    /* one line */
    bool unrecorded;     /* true for what cannot change the result: threads, checkpoint folders, progress */
};

#define OPT_TABLE(t) (t), sizeof(t) / sizeof *(t)

/* Parse argv into the table's destinations.
 *   prog      name for messages
 *   purpose   one line, printed by --help
 *   t [n]     the table
 * Returns 0; 1 when --help was asked for and printed on stdout (main then returns 0); ERR_USAGE with a line that names
 * the option, the value and what is allowed; also when an output is the very file that an input is. Long options only: "--name value" or "--name=value"; no abbreviations, no
 * positional words, nothing given twice (but OPT_INPUTS). */
int opt_parse(const char *prog, const char *purpose, const struct opt *t, size_t n, int argc, char **argv,
              struct err *e);

void opt_help(FILE *f, const char *prog, const char *purpose, const struct opt *t, size_t n);

/* The provenance record, a JSON object in one line: {"stage":"train","lr":"0.001",…,"in":"<32 digits>"}: every recorded
 * option with its effective value, inputs by content hash (hash_path). No date, host or path, so equal inputs and options
 * give equal bytes. *json is malloc'd; the caller frees it. */
int opt_record(const char *prog, const struct opt *t, size_t n, char **json, struct err *e);

/* Release what opt_parse allocated for the OPT_INPUTS lists. */
void opt_free(const struct opt *t, size_t n);

#endif
