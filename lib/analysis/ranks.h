/* ranks.h - do two measures order the same things alike?
 *
 *   Spearman 1904: the correlation of ranks, equal values sharing the mean of theirs
 *   top-k overlap: how many of the k largest by one measure are among the k largest by the other; by chance k^2 / n on average
 * Tests: tests/test_ranks.c (scipy's values; brute force; ties) */
#ifndef SAEMILL_RANKS_H
#define SAEMILL_RANKS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

/*   a, b  [n] f64, finite
 *   *rho  NaN where n < 2 or a measure is constant
 * Errors: ERR_MEMORY. */
int ranks_spearman(size_t n, const double *a, const double *b, double *rho, struct err *e);

/* Of equal values the earlier counts as larger. k <= n, k <= RANKS_TOP_MOST (CHECK). Cost n k. */
enum { RANKS_TOP_MOST = 64 };
size_t ranks_top_overlap(size_t n, const double *a, const double *b, size_t k);

/* A number and what it belongs to.   ranks_sort: the largest first, of equal ones the smaller index; no NaN. */
struct ranks_item {
    double value;
    uint32_t index;
};
void ranks_sort(size_t n, struct ranks_item *item);

#endif
