/* claim.h - is a claim borne out by a figure's numbers?
 *
 * A condition is one or more clauses joined by "and". A clause is a path into plot.json, a comparison and a number:
 *     statistics.series.*.l0_final <= 80 and statistics.n_series >= 3
 * Steps of a path are keys, numbers (of array entries, from 0) or '*' (every entry). Tests: tests/test_report.c */
#ifndef SAEMILL_CLAIM_H
#define SAEMILL_CLAIM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

enum claim_outcome {
    CLAIM_HOLDS,        /* every value of every clause does */
    CLAIM_PARTLY,       /* every clause has a value that does, and one has one that does not */
    CLAIM_FAILS,        /* some clause has none */
    CLAIM_MOVING,       /* a value has not come to rest when training ends (converge.h); claim_judge never says so */
    CLAIM_NOT_MEASURED, /* a path leads nowhere, or to no number */
    CLAIM_OUTCOMES
};

enum { CLAIM_FOUND = 1024, CLAIM_PATH = 256 };

/* One value that a path leads to. */
struct claim_value {
    const char *label; /* label or title of the last entry that '*' stood for, "" without; borrowed from the figure */
    double value;      /* NaN: nothing there, or no number */
};

struct claim_clause {
    char path[CLAIM_PATH], op[3];
    double bound;
    struct claim_value *value; /* [n] */
    size_t n;                  /* at least 1: a '*' without entries is one value that is missing */
};

/* The clauses of a condition with the values that their paths lead to.
 *   condition  as above
 *   where      "claims.tsv:4", for messages
 *   figure     plot.json, read only, outlives *out; NULL: all values are missing
 *   out        [*n]  in order of the condition; the caller claim_clauses_free()s, not after an error
 * Errors: ERR_FORMAT for a condition that does not parse; ERR_MEMORY. */
int claim_clauses(const char *condition, const char *where, const json_t *figure, struct claim_clause **out, size_t *n,
                  struct err *e);
void claim_clauses_free(struct claim_clause *c, size_t n);

/* The values of a path that stands alone: *out [*n], malloc'd. ERR_FORMAT for no path, ERR_MEMORY. */
int claim_path(const char *path, const char *where, const json_t *figure, struct claim_value **out, size_t *n,
               struct err *e);

/* What tells a value apart: the path behind the last '*', or behind "statistics"; inside path. */
const char *claim_name(const char *path);

/* Is x, no NaN, on the side of the bound that op ("<", "<=", "=", ">=", ">") says? */
bool claim_meets(double x, const char *op, double bound);

/* Append "Layer 0 = 0.21, Layer 3 = none" to the text in out[out_bytes]; cut where too long. */
void claim_list(const struct claim_value *v, size_t n, char *out, size_t out_bytes);

struct claim_verdict {
    enum claim_outcome outcome;
    char found[CLAIM_FOUND]; /* "early_over_first: Layer 0 = 0.21, Layer 3 = 0.25"; cut where too long */
};

/* Judge one condition. Arguments and errors as claim_clauses; without a figure CLAIM_NOT_MEASURED, and the condition is
 * still checked. */
int claim_judge(const char *condition, const char *where, const json_t *figure, struct claim_verdict *v, struct err *e);

/* "holds", "holds in part", "does not hold", "still moving", "not measured". */
const char *claim_word(enum claim_outcome o);

#endif
