/* knn.h - exact nearest neighbours in Euclidean distance, by brute force.
 *
 *   neighbours of i: the k rows j != i with the smallest (|x_i - x_j|^2, j),
 * the distance as pairscan_distance computes it in double, so ties (duplicate rows) go to the lower index and equal
 * rows have distance 0. A float32 product finds a shortlist: a pair is kept while its distance less the product's error
 * bound,
 *   |g - <x_i,x_j>| <= (D+8) 2^-24 |x_i||x_j|                Higham 2002, "Accuracy and Stability", equation 3.5
 * is within the k-th smallest distance plus bound. So no true neighbour is lost (recall 1.0), and the shortlist, ranked
 * again in double, is hardly longer than k. Reducing the dimension first would lose most neighbours of SAE decoders
 * (recall 0.3 with 50 principal components), so nothing here does. Tests: tests/test_knn.c */
#ifndef SAEMILL_KNN_H
#define SAEMILL_KNN_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct knn {
    size_t n, k;
    int32_t *index; /* [n,k] nearest first */
    float *d2;      /* [n,k] squared distances */
};

/*   x   [n,D] f32, row-major; read only; finite
 *   k   1 <= k <= n-1
 * Ownership: knn_free releases. Memory: n * 4k * 8 bytes of scratch. Threads: its own; the result does not depend on
 * them. Errors: ERR_RANGE (k, or n beyond 2^31-1), ERR_NUMERIC (a row with NaN or Inf), ERR_MEMORY. */
int knn_exact(const float *x, size_t n, size_t D, size_t k, struct knn *out, struct err *e);
void knn_free(struct knn *g);

#endif
