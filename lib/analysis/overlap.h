/* overlap.h - do two sets of directions have the same neighbours, and does a projection keep them near?
 *
 * A_i^q and B_i^q are the q nearest rows of row i in two neighbour graphs over the same n rows. Row i itself is in
 * neither, so N = n - 1 rows are to be had.
 *   share_q   = mean_i |A_i^q n B_i^q| / q
 *   jaccard   = mean_i |A_i^k n B_i^k| / |A_i^k u B_i^k|
 * Chance: B_i a set of q rows drawn at random, without regard to A_i. Then m = |A n B| is hypergeometric,
 *   P(m) = C(q,m) C(N-q,q-m) / C(N,q),   E share_q = q/N,   E jaccard = sum_m P(m) m / (2q - m)
 * Tests: tests/test_overlap.c (against sets compared one by one, and chance against random graphs) */
#ifndef SAEMILL_OVERLAP_H
#define SAEMILL_OVERLAP_H

#include <stddef.h>
#include <stdint.h>

#include "lib/analysis/knn.h"
#include "lib/base/err.h"

struct overlap {
    double jaccard, jaccard_chance;
    double share_sd; /* of share_k over rows under chance: sd of m / k; the mean over n rows has sd share_sd / sqrt n */
};

/* Entries common to two lists of k different numbers each. */
size_t overlap_common(const int32_t *a, const int32_t *b, size_t k);

/*   a, b     graphs of the same n and k (CHECK), k < n
 *   share    [k] f64, overwritten: share_q at index q - 1
 *   common   [k+1] u64, overwritten: rows by |A_i^k n B_i^k|; may be NULL
 * Exact counts, so the same bytes for any number of threads. Allocates nothing. */
void overlap_measure(const struct knn *a, const struct knn *b, double *share, uint64_t *common, struct overlap *out);

/* How near a row's neighbours lie in a projection: the mean, over rows i and their k neighbours j, of the share of the
 * n - 2 other rows that are strictly nearer to i in the projection than j is (half of those at equal distance). 0: no
 * row comes between; 1/2: chance, for neighbours drawn at random from the n - 1 other rows.
 *   score  [n,stride] f32, finite; read only; the first `dims` columns are the projection, 1 <= dims <= stride (CHECK)
 *   g      neighbours; n > 2 (CHECK)
 * Threads: its own; sums of whole numbers, so the same bytes for any number. */
double overlap_between(const float *score, size_t stride, size_t dims, const struct knn *g);

#endif
