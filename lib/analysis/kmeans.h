/* kmeans.h - k-means with seeded restarts, and cluster_qr.
 *
 *   minimise  sum_i |x_i - c_label(i)|^2
 * Starts: greedy k-means++ (Arthur and Vassilvitskii 2007; 2 + log k candidates a step, as scikit-learn), and, where given, one
 * more from labels. Lloyd's iteration with Hamerly's bounds (2010, "Making k-means even faster"). An empty cluster takes the point
 * farthest from its centre, unless that distance is 0: with fewer distinct points than k, clusters stay empty.
 * Everything in double and in a fixed order.
 * Tests: tests/test_spectral.c */
#ifndef SAEMILL_KMEANS_H
#define SAEMILL_KMEANS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct kmeans_report {
    double inertia; /* the minimum found */
    int start;      /* which start found it: 0 to restarts-1, or restarts for the given labels */
};

/*   x       [n,D] f64, row-major; read only; finite
 *   k       1 <= k <= n
 *   restarts  seeded starts, >= 0; with `given` at least one start in all
 *   given   [n] i32 labels in [0,k) to start from as well, or NULL
 *   label   [n] i32, overwritten: 0 for the largest cluster, and so on down; equal sizes by their lowest member
 * Threads: its own, over restarts; the lowest inertia wins, ties go to the earlier start.
 * Errors: ERR_RANGE, ERR_NUMERIC (NaN or Inf in x), ERR_MEMORY. */
int kmeans_run(const double *x, size_t n, size_t D, size_t k, size_t restarts, uint64_t seed, const int32_t *given,
               int32_t *label, struct kmeans_report *report, struct err *e);

/* Labels from k leading eigenvectors without iterations or seed: column-pivoted QR picks k rows, the orthogonal factor of their
 * polar decomposition turns the basis, each row goes to its largest coordinate (Damle, Minden and Ying 2019, arXiv 1609.08251).
 *   x      [n,k] f64, row-major; read only
 *   label  [n] i32, overwritten, in [0,k) */
int kmeans_cluster_qr(const double *x, size_t n, size_t k, int32_t *label, struct err *e);

/* Renumber labels in [0,k) by size, largest first, equal sizes by lowest member; -1 stays. ERR_MEMORY.
 *   size [k] overwritten with the sizes in the new order */
int kmeans_by_size(int32_t *label, size_t n, size_t k, size_t *size, struct err *e);

#endif
