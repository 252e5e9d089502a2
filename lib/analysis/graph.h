/* graph.h - a weighted graph of features and its normalised adjacency as an operator.
 *
 *   W = affinity with zero diagonal (phi + 1, so that no weight is negative; Li et al. 2024, cluster_phi.py), d_i = sum_j W_ij
 *   A = D^-1/2 W D^-1/2        largest eigenvalue 1, eigenvector sqrt(d)         as sklearn.manifold.spectral_embedding
 * A node whose weights are all zero is isolated: its row of A is zero.
 *
 * Two forms. Factored (phi, smc): W is never formed; with the bit matrix X [T,n], p = n_i/T and the centred columns Xc = X - 1 p^T,
 *   phi + 1 = T S Xc^T Xc S + 1 1^T, S = diag(1/sqrt(n_i (T-n_i)))
 *   smc     = (2/T) Xc^T Xc + 1/2 1 1^T + 1/2 (1-2p)(1-2p)^T
 * so that a product reads the bits twice. Formed (any affinity): the upper tiles of W in float32, half of F x F, read once a product.
 * Tests: tests/test_spectral.c */
#ifndef SAEMILL_GRAPH_H
#define SAEMILL_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/analysis/affinity.h"
#include "lib/analysis/firing.h"
#include "lib/base/err.h"

enum { GRAPH_B = 4 }; /* vectors in a product */

struct graph {
    size_t n, isolated;
    double *degree;   /* [n] d_i */
    double *inv_root; /* [n] 1/sqrt(d_i), 0 for isolated nodes */
    /* formed */
    size_t blocks;   /* of 256 nodes */
    float *tile;     /* upper tiles, row by row of blocks, [256,256] each, zero past n */
    float *x, *part; /* scratch: vectors [4, 256 blocks], products of each tile [tiles, 2, 4, 256] */
    /* factored */
    const struct firing *fire;
    double alpha;                /* of the centred product */
    double rank1[2];             /* weights of 1 1^T and of q q^T */
    double *gain, *q, *diagonal; /* [n] column scale of Xc; 1-2p; diagonal of the unmodified W */
    size_t slab, slabs;          /* features in a slab of partial sums; their number */
    float *v, *uf;               /* scratch [n,4], [4, 64 words] */
    double *u, *y;               /* scratch [slabs, 4, 64 words], [n,4] */
};

/* The graph of the features of `m` (all of them: leave out beforehand what should not take part).
 *   formed   false: factored, for phi and smc (else ERR_UNSUPPORTED); m must outlive the graph. true: formed.
 * Memory: formed, 2 n^2 bytes; factored, little beyond the bits.  Threads: its own; same bytes for any number.
 * Errors: ERR_MEMORY, ERR_RANGE (n < 2). */
int graph_from_firing(struct graph *g, const struct firing *m, enum affinity kind, bool formed, struct err *e);

/* The graph of directions by angular similarity 1 - arccos(cos)/pi (Li et al. 2024), formed.
 *   x  [n,D] f32, rows of any non-zero length; read only. ERR_NUMERIC for a row of zeros, NaN or Inf. */
int graph_from_rows(struct graph *g, const float *x, size_t n, size_t D, struct err *e);

/* y := A x for 4 vectors, x and y [4,n] f64. `graph` is a struct graph; its scratch is used, so one call at a time.
 * Precision: float32 products, sums of at most 256 of them, then double: about 1e-6 of |A| |x|. */
void graph_apply(void *graph, const double *x, double *y);

void graph_free(struct graph *g);

#endif
