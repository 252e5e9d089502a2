/* spectral.h - spectral clustering of a graph of features, after scikit-learn's SpectralClustering(affinity="precomputed").
 *
 *   the k leading eigenvectors of D^-1/2 W D^-1/2, each divided by sqrt(d), are the features' coordinates; k-means there
 *   (Shi and Malik 2000; von Luxburg 2007, "A tutorial on spectral clustering", algorithm 2)
 * The leading pair, 1 and sqrt(d), is known and taken out first, so that the tolerance is relative to the eigenvalues that carry the
 * clusters: those of phi + 1 are 1, 0.05, 0.005 ..., and a tolerance relative to 1 gives random labels.
 * Isolated nodes lie at the origin, as there. A graph in several parts has as many eigenvalues 1.
 * Tests: tests/test_spectral.c */
#ifndef SAEMILL_SPECTRAL_H
#define SAEMILL_SPECTRAL_H

#include "lib/analysis/graph.h"

enum { SPECTRAL_MORE = 8, SPECTRAL_LEAST = 16 }; /* eigenvalues reported: the first max(k + 8, 16), or all */

struct spectral {
    size_t n, k, n_values;
    double *value;    /* [n_values] descending; the first k to `tol`, the rest to about 1e-4 of themselves */
    double *residual; /* [n_values] |A v - lambda v| */
    double *vector;   /* [n_values, n] unit eigenvectors of A */
    double *embed;    /* [n,k] coordinates */
    int32_t *label;   /* [n] 0 = largest cluster */
    size_t *size;     /* [k]; 0 where there are fewer distinct coordinates than k */
    double worst;     /* largest residual of the first k, relative to |value[k-1]| */
    size_t products;  /* vectors multiplied */
    int start;        /* k-means start that won; `restarts` = the one from cluster_qr */
    double inertia;
};

/*   k         clusters, 2 <= k <= n
 *   restarts  seeded starts of k-means beside the one from cluster_qr
 *   tol       see eigen.h; 1e-4 moves labels less than another seed of k-means does
 * Ownership: spectral_free releases.  Threads: its own; same bytes for any number of them.
 * Errors: ERR_RANGE (k), ERR_NUMERIC (no weight at all, no convergence), ERR_MEMORY. */
int spectral_cluster(struct graph *g, size_t k, size_t restarts, uint64_t seed, double tol, struct spectral *out,
                     struct err *e);
void spectral_free(struct spectral *s);

/* Where to cut: the i >= 2 (clusters) with the largest gap (value[i-1] - value[i]) / value[1]; 0 if fewer than 3 values. The gap after
 * the first value is left out: the + 1 of phi + 1 alone makes it the largest. */
size_t spectral_eigengap(const double *value, size_t n_values);

#endif
