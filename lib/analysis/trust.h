/* trust.h - how far the neighbours in a picture are neighbours in the data.
 *
 *   trustworthiness = 1 - 2 / (n k (2n - 3k - 1)) sum_i sum over j among i's k nearest in the picture of
 *                     max(0, r(i,j) - k)
 * with r(i,j) the rank of j by distance from i in the data, from 1: Venna and Kaski 2001, "Neighborhood preservation in
 * nonlinear projection methods", equation 1.
 *   preservation    = share of these j with r(i,j) <= k.
 * Tests: tests/test_tsne.c (against scikit-learn's value for a fixed embedding, and by brute force) */
#ifndef SAEMILL_TRUST_H
#define SAEMILL_TRUST_H

#include <jansson.h>
#include <stddef.h>

#include "lib/analysis/knn.h"
#include "lib/base/err.h"

struct trust {
    size_t k;
    double trustworthiness, preservation;
};

/* Neighbours to measure n points with: 10 as is usual, or as many as the formula allows. */
size_t trust_neighbours(size_t n);

/*   x     [n,D] f32, the data;  xy [n,2] f32, the picture; both finite
 *   near  neighbours in the data as knn_exact gives them (k of its own, any): ranks up to that are exact. Farther ones
 *         are counted on float32 products, so a rank may be off by the few pairs within rounding of each other.
 *   k     1 <= k, 2n - 3k - 1 > 0 and k < n
 * Threads: its own; same bytes for any number. Cost: one product of all pairs. Errors: ERR_RANGE, ERR_MEMORY. */
int trust_measure(const float *x, size_t n, size_t D, const float *xy, const struct knn *near, size_t k,
                  struct trust *out, struct err *e);

/* Its numbers into o: trustworthiness, preservation, measured_neighbours. */
json_t *trust_json(const struct trust *t, json_t *o);

#endif
