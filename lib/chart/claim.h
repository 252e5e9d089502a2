/* claim.h - is a claim borne out by a figure's numbers?
 *
 * A condition is one or more clauses joined by "and". A clause is a path into plot.json, a comparison and a number:
 *     statistics.series.*.l0_final <= 80 and statistics.n_series >= 3
 * Steps of a path are keys, numbers (of array entries, from 0) or '*' (every entry). Tests: tests/test_report.c */
#ifndef SAEMILL_CLAIM_H
#define SAEMILL_CLAIM_H

#include <jansson.h>
#include <stddef.h>

#include "lib/base/err.h"

enum claim_outcome {
    CLAIM_HOLDS,       /* every value of every clause does */
    CLAIM_PARTLY,      /* every clause has a value that does, and one has one that does not */
    CLAIM_FAILS,       /* some clause has none */
    CLAIM_NOT_MEASURED /* a path leads nowhere, or to no number */
};

enum { CLAIM_FOUND = 1024 };

struct claim_verdict {
    enum claim_outcome outcome;
    char found[CLAIM_FOUND]; /* "early_over_first: Layer 0 = 0.21, Layer 3 = 0.25"; cut where too long */
};

/* Judge one condition.
 *   condition  as above
 *   where      "claims.tsv:4", for messages
 *   figure     plot.json, read only; NULL: CLAIM_NOT_MEASURED, the condition is still checked
 * Errors: ERR_FORMAT for a condition that does not parse. */
int claim_judge(const char *condition, const char *where, const json_t *figure, struct claim_verdict *v, struct err *e);

/* "holds", "holds in part", "does not hold", "not measured". */
const char *claim_word(enum claim_outcome o);

#endif
