/* umap_fit.h - UMAP: points in the plane whose neighbour graph is like that of the rows.
 *
 *   w_(i->j) = exp(-max(0, d_ij - rho_i) / sigma_i),  rho_i the smallest distance above 0, sum_j w_(i->j) = log2 k
 *   w_ij = w_(i->j) + w_(j->i) - w_(i->j) w_(j->i)
 *   in the plane  v(d) = 1 / (1 + a d^(2b)), with a, b fitted to exp(-(d - min_dist) / spread)
 *   every edge pulls w_ij / max w times an epoch, and each pull brings pushes from 5 random points
 * McInnes, Healy and Melville 2018 (arXiv 1802.03426), sections 3 and 4, algorithms 1 to 5; constants as umap-learn 0.5
 * (k counts the point itself, 500 epochs to n = 10 000 and 200 above, step size falling from 1 to 0, each coordinate of
 * a gradient cut to 4).
 *
 * Different from umap-learn: (1) an edge moves the point it starts from, as algorithm 5 of the paper says, and each
 * edge is there from both ends; umap-learn moves the other end too, which doubles the pull: trustworthiness 0.823
 * instead of 0.840 on the decoder of make bench. (2) Within an epoch a point moves by its edges one after the other and
 * sees other points where they were when the epoch began, so points can be shared among threads and the bytes do not
 * depend on how (umap-learn lets threads race, or uses one).
 * Tests: tests/test_umap.c (umap-learn's graph and curve; trustworthiness; threads) */
#ifndef SAEMILL_UMAP_FIT_H
#define SAEMILL_UMAP_FIT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/analysis/edges.h"
#include "lib/base/err.h"

/* Neighbours that knn_exact must find for `neighbours` (which counts the point itself) of n points.
 * ERR_RANGE: want 2 <= neighbours <= n. */
int umap_fit_neighbours(size_t neighbours, size_t n, size_t *k, struct err *e);

/* The weighted graph. Rows whose neighbours are all at distance 0 have weights 1.  edges_free releases. ERR_MEMORY. */
int umap_fit_graph(const struct knn *g, struct edges *out, struct err *e);

/* a and b of the curve, by least squares on 300 distances from 0 to 3 spread (Gauss-Newton, damped).
 * ERR_RANGE: want spread > 0 and 0 <= min_dist <= spread. */
int umap_fit_curve(double min_dist, double spread, double *a, double *b, struct err *e);

enum umap_fit_start { UMAP_SPECTRAL, UMAP_PCA, UMAP_RANDOM };

/* Where points start, each coordinate from 0 to 10.
 *   how      spectral: the second and third eigenvectors of the normalised graph, and noise of 1e-4 of their size;
 *            where the graph is in several parts, these eigenvectors tell the parts apart only, and the start is that
 *            of pca.
 *            pca: the first two principal components.
 *            random: uniform from the seed, which rows without variance get too
 *   x [n,D]  the rows;   xy [n,2] f32 overwritten;   *used: what was done
 * Errors: ERR_MEMORY, and those of pca_scores. */
int umap_fit_start(const struct edges *w, const float *x, size_t n, size_t D, enum umap_fit_start how, uint64_t seed,
                   float *xy, enum umap_fit_start *used, struct err *e);

struct umap_options {
    double a, b;
    size_t epochs;                                    /* 0: 500 to n = 10 000, 200 above */
    uint64_t seed;                                    /* of the random points */
    void (*tick)(void *ctx, size_t done, size_t all); /* after each epoch; may be NULL */
    void *ctx;
};

/* Move the points; on return their mean is 0.
 *   xy  [n,2] f32
 * Threads: its own; same bytes for any number.
 * Errors: ERR_MEMORY; ERR_NUMERIC when a coordinate is no longer finite. */
int umap_fit_descend(const struct edges *w, const struct umap_options *o, float *xy, struct err *e);

#endif
