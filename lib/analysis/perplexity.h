/* perplexity.h - from nearest neighbours to t-SNE's symmetric weights P.
 *
 *   p_(j|i) = exp(-beta_i d_ij^2) / sum_l exp(-beta_i d_il^2)   over the k neighbours of i, beta_i such that
 *   entropy  H_i = -sum_j p_(j|i) log p_(j|i) = log perplexity
 *   p_ij = (p_(j|i) + p_(i|j)) / (2n)   van der Maaten 2014, "Accelerating t-SNE", equations 6 and 7, k = 3 perplexity
 * Tests: tests/test_tsne.c (entropy of every row; sums; symmetry; ties) */
#ifndef SAEMILL_PERPLEXITY_H
#define SAEMILL_PERPLEXITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/analysis/edges.h"
#include "lib/base/err.h"

/* k := floor(3 perplexity), the neighbours that t-SNE needs of n points.
 * Errors: ERR_RANGE naming n and the largest perplexity that n allows, (n-1)/3. */
int perplexity_neighbours(double perplexity, size_t n, size_t *k, struct err *e);

/* One row: p[k] (overwritten) from squared distances d2[k], ascending. Bracketed Newton steps in double until
 * |H - log perplexity| <= 1e-10. Adding a constant to all d2 changes nothing; scaling them all neither.
 * Returns false where no beta exists: at least `perplexity` of the neighbours are equally the nearest. Then p is the
 * limit of large beta, equal weights for these. */
bool perplexity_row(size_t k, const float *d2, double perplexity, double *p);

/* All rows, symmetrised.
 *   unreached   how many rows had no solution (duplicate points); may be NULL
 * The weights sum to 1. edges_free releases. Errors: ERR_MEMORY. */
int perplexity_edges(const struct knn *g, double perplexity, struct edges *out, size_t *unreached, struct err *e);

#endif
