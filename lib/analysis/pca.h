/* pca.h - the first two principal components of rows.
 *
 *   C = (1/n) sum_i (x_i - mean)(x_i - mean)^T,   C u_k = variance_k u_k
 * by block Krylov (Rayleigh-Ritz on span{V, CV, C^2 V, …}, the basis kept orthonormal in double), products in float32.
 * Tests: tests/test_tsne.c (against numpy's SVD fixture; residual; one column; equal rows) */
#ifndef SAEMILL_PCA_H
#define SAEMILL_PCA_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct pca {
    double variance[2];
    double residual[2]; /* |C u - variance u|; at most 1e-5 variance[0] unless the basis reached its limit of 256
                           vectors */
};

/*   x       [n,D] f32, row-major; read only; finite
 *   seed    of the starting block: changes nothing but rounding
 *   score   [n,2] f32, overwritten: <x_i - mean, u_k>; u_k's entry of largest size (the first of equals) is positive
 * A component without variance (fewer columns, or equal rows) has scores 0.
 * Threads: its own; same bytes for any number. Errors: ERR_MEMORY; ERR_NUMERIC when the eigensolver fails. */
int pca_scores(const float *x, size_t n, size_t D, uint64_t seed, float *score, struct pca *out, struct err *e);

#endif
