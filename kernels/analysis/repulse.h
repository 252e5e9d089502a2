/* repulse.h - the repulsive part of the t-SNE gradient, over all pairs of points.
 *
 *   q_ij = 1 / (1 + |y_i - y_j|^2)       Z = sum over i != j of q_ij
 *   f_i  = sum over j of q_ij^2 (y_i - y_j)
 * van der Maaten and Hinton 2008, equations 4 and 5; the gradient's repulsion is -4 f_i / Z.
 *
 * repulse_ref is the definition (double throughout). repulse_cpu works in float32 on each unordered pair once: the
 * points are cut into blocks of 256; the force that block J exerts on a point is one number, written once, and added
 * over J in ascending order. So neither the number of threads nor the instruction set changes a byte. Accuracy: a
 * point's force from one block sums at most 256 terms in 16 lanes, so its error is below 20 eps times the sum of the
 * terms' sizes; Z likewise, with double sums above that. Tests: tests/test_tsne.c (sizes 1, 2, 15 … 1000, coinciding
 * and far points, every instruction set, 1 and 2 threads) */
#ifndef SAEMILL_REPULSE_H
#define SAEMILL_REPULSE_H

#include <stddef.h>

#include "lib/base/err.h"

/* Scratch for up to n points; n_blocks^2 * 256 * 8 bytes and a little (8 MB at n = 16384). */
struct repulse {
    size_t n, n_blocks;
    float *x, *y;   /* [256 n_blocks] the points, and beyond n some far away from all */
    float *px, *py; /* [n_blocks][256 n_blocks] force of block J on point i */
    double *z;      /* [n_blocks][n_blocks] */
};

/* Reserve for exactly n > 0 points. ERR_MEMORY. repulse_free releases (a zeroed struct is fine). */
int repulse_init(struct repulse *r, size_t n, struct err *e);
void repulse_free(struct repulse *r);

/* Fill the forces.
 *   x, y    [n] f32 coordinates; finite, |value| < 1e15
 *   fx, fy  [n] f32 force on each point; overwritten
 * Returns Z. Coinciding points have q = 1 and no force; n = 1 gives Z = 0. Call from serial code: it starts the
 * threads. */
double repulse_cpu(struct repulse *r, const float *x, const float *y, float *fx, float *fy);
double repulse_ref(size_t n, const float *x, const float *y, double *fx, double *fy);

/* Z alone, in double from float32 coordinates: for the exact KL divergence. Fixed-order sums over threads. */
double repulse_z_ref(size_t n, const float *x, const float *y);
int repulse_z_cpu(size_t n, const float *x, const float *y, double *Z, struct err *e);

#endif
