/* attract.h - the attractive part of the t-SNE gradient, over the edges of the neighbour graph.
 *
 *   a_i = sum over edges (i,j) of p_ij q_ij (y_i - y_j),   q_ij = 1 / (1 + |y_i - y_j|^2)
 * van der Maaten and Hinton 2008, equation 5; the gradient's attraction is +4 a_i.
 * attract_ref is the definition; attract_cpu is float32 in 16 lanes: edge e of a row goes to lane e mod 16.
 * Tests: tests/test_tsne.c */
#ifndef SAEMILL_ATTRACT_H
#define SAEMILL_ATTRACT_H

#include <stddef.h>
#include <stdint.h>

enum { ATTRACT_LANES = 16 };

/*   row    [n+1] edges of point i are row[i] .. row[i+1]-1; each a multiple of ATTRACT_LANES: rows are filled up with
 *          edges of weight 0 to the point itself
 *   col    [row[n]] j of each edge
 *   p      [row[n]] f32 weight of each edge
 *   xy     [n,2] f32 points
 *   ax,ay  [n] f32 (ref: f64), overwritten
 * Threads: starts its own; every point's sum belongs to one thread, so the bytes do not depend on their number, nor on
 * level. */
void attract_ref(size_t n, const size_t *row, const int32_t *col, const float *p, const float *xy, double *ax,
                 double *ay);
void attract_cpu(size_t n, const size_t *row, const int32_t *col, const float *p, const float *xy, float *ax,
                 float *ay);

#endif
