/* pca.h - the first principal components of rows, up to three.
 *
 *   C = (1/n) sum_i (x_i - mean)(x_i - mean)^T,   C u_k = variance_k u_k
 * by block Krylov (Rayleigh-Ritz on span{V, CV, C^2 V, …}, the basis kept orthonormal in double), products in float32.
 * The share of the rows' variance that component k explains is variance_k / total, total = (1/n) sum_i |x_i - mean|^2.
 * Tests: tests/test_tsne.c (against numpy's SVD fixture; residual; one column; equal rows), tests/test_overlap.c (three
 * components of rows with known axes) */
#ifndef SAEMILL_PCA_H
#define SAEMILL_PCA_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum { PCA_MOST = 3 };

struct pca {
    double variance[PCA_MOST];
    double residual[PCA_MOST]; /* |C u - variance u|; at most 1e-5 variance[0] unless the basis reached its limit of 256
                                  vectors */
    double total;              /* of all components */
};

/*   x       [n,D] f32, row-major; read only; finite
 *   k       components wanted, 1 to PCA_MOST (CHECK)
 *   seed    of the starting block: changes nothing but rounding
 *   score   [n,k] f32, overwritten: <x_i - mean, u_k>; u_k's entry of largest size (the first of equals) is positive
 * A component without variance (fewer columns, or equal rows) has scores 0.
 * Threads: its own; same bytes for any number. Errors: ERR_MEMORY; ERR_NUMERIC when the eigensolver fails. */
int pca_scores(const float *x, size_t n, size_t D, size_t k, uint64_t seed, float *score, struct pca *out,
               struct err *e);

#endif
