/* tsne_fit.h - t-SNE: points in the plane whose neighbour weights Q match P.
 *
 *   KL(P||Q) = sum p_ij log(p_ij / q_ij),   q_ij = 1 / (Z (1 + |y_i - y_j|^2))
 *   dKL/dy_i = 4 sum_j (e p_ij - q_ij) (y_i - y_j) / (1 + |y_i - y_j|^2)   van der Maaten and Hinton 2008, equation 5
 * Gradient descent with momentum and per-coordinate gains: gain += 0.2 where gradient and update disagree in sign, else
 * times 0.8, at least 0.01. The first 250 steps multiply P by the exaggeration e (12) with momentum 0.5, the rest have
 * 0.8; update and gains start afresh at the switch. Learning rate max(n / e / 4, 50): all as scikit-learn 1.9. Ours: a
 * map that the exaggeration has shrunk below the spread of the start (rms 1e-4) gets that spread again at the switch.
 * Attraction: kernels/analysis/attract.h. Repulsion: all pairs (kernels/analysis/repulse.h) for few points, tsne_mesh.h for many. The
 * same bytes for any number of threads. Tests: tests/test_tsne.c */
#ifndef SAEMILL_TSNE_FIT_H
#define SAEMILL_TSNE_FIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/analysis/repulse.h"
#include "lib/analysis/perplexity.h"
#include "lib/analysis/tsne_mesh.h"
#include "lib/base/err.h"

enum tsne_repulsion { TSNE_AUTO, TSNE_EXACT, TSNE_MESH };
enum { TSNE_EXACT_BELOW = 7000, TSNE_EXAGGERATED = 250 }; /* points where the mesh becomes faster (measured); steps */
#define TSNE_START_SPREAD 1e-4                            /* of a start's first coordinate, standard deviation */
#define TSNE_SPACING      0.3f                            /* mesh nodes of this size: force error 0.2 % */

struct tsne_options {
    size_t iterations;   /* steps in all; the first min(250, iterations) exaggerated */
    double exaggeration; /* >= 1 */
    enum tsne_repulsion repulsion;
    void (*tick)(void *ctx, size_t done); /* after each step; may be NULL */
    void *ctx;
};

/* Start: the first two principal components, scaled so that the first has standard deviation 1e-4; or, with random,
 * normal numbers of that size from the seed (which rows without variance get too).
 *   x [n,D] f32, finite;  start [n,2] f32, overwritten
 * Errors: those of pca_scores. */
int tsne_fit_start(const float *x, size_t n, size_t D, uint64_t seed, bool random, float *start, struct err *e);

/* Move the points.
 *   P    weights of n points, n >= 1
 *   xy   [n,2] f32: start; on return the embedding, its mean 0
 * Threads: up to omp_get_max_threads(), fewer where that proves faster; the bytes do not depend on it.
 * Errors: ERR_MEMORY; ERR_NUMERIC when a coordinate is no longer finite. */
int tsne_fit_descend(const struct edges *P, const struct tsne_options *o, float *xy, struct err *e);

/* Exact KL(P||Q), Z over all pairs, sums in double. Edges of weight 0 count nothing. ERR_MEMORY. */
int tsne_fit_divergence(const struct edges *P, const float *xy, double *kl, struct err *e);

/* The gradient, as a descent sees it. */
struct tsne_force {
    size_t n;
    struct repulse pairs; /* used when mesh is NULL */
    struct tsne_mesh *mesh;
    float *x, *y, *fx, *fy, *ax, *ay; /* [n] */
};
int tsne_fit_force_init(struct tsne_force *f, size_t n, enum tsne_repulsion how, struct err *e);
void tsne_fit_force_free(struct tsne_force *f);
/*   xy [n,2]; g [n,2] overwritten: 4 (e attraction - repulsion / Z). n = 1 gives 0. */
int tsne_fit_gradient(struct tsne_force *f, const struct edges *P, const float *xy, double exaggeration, float *g,
                      struct err *e);

#endif
