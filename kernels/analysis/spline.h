/* spline.h - points onto a mesh and back, by cardinal B-splines of order 6 (degree 5).
 *
 * A point at grid place u has floor a = [u]; node a-5+s carries the weight M6(u - (a-5+s)), s = 0..5; the weights sum
 * to 1. d/du M6(u) = M5(u) - M5(u-1).   Essmann et al. 1995, "A smooth particle mesh Ewald method", equations 4.1
 * and 4.2. Same bytes at every level. Tests: tests/test_tsne.c (partition of unity, exact for polynomials of degree 1,
 * ref against cpu) */
#ifndef SAEMILL_SPLINE_H
#define SAEMILL_SPLINE_H

#include <stddef.h>
#include <stdint.h>

enum { SPLINE_ORDER = 6, SPLINE_WIDTH = 8, SPLINE_RECORD = 4 * SPLINE_WIDTH };

/* What a point does to the mesh: its first node on each axis, and four rows of 8 numbers (the last two 0): weights
 * along x, their derivatives in u, weights along y, their derivatives.
 *   x, y    [m] f32 coordinates
 *   x0, y0  the origin; inv_h  nodes per unit
 *   cell    [m,2] i32, overwritten: first node on x and y. u = (x - x0) inv_h + SPLINE_ORDER must be in [6, 2^23)
 *   record  [m,SPLINE_RECORD] f32, overwritten */
void spline_weights_ref(size_t m, const float *x, const float *y, float x0, float y0, float inv_h, int32_t *cell,
                        float *record);
void spline_weights_cpu(size_t m, const float *x, const float *y, float x0, float y0, float inv_h, int32_t *cell,
                        float *record);

/* Add unit charges of points who[0..m) to grid [rows,stride], x along rows; in this order. Touches SPLINE_ORDER rows
 * from the point's cell on, and SPLINE_WIDTH columns, the last two unchanged. */
void spline_spread_cpu(size_t m, const uint32_t *who, const int32_t *cell, const float *record, float *grid,
                       size_t stride);
void spline_spread_ref(size_t m, const uint32_t *who, const int32_t *cell, const float *record, float *grid,
                       size_t stride);

/* The grid's value and derivatives (per node spacing) at points who[0..m):
 *   value, gx, gy  [n] f32, entries who[.] overwritten */
void spline_gather_cpu(size_t m, const uint32_t *who, const int32_t *cell, const float *record, const float *grid,
                       size_t stride, float *value, float *gx, float *gy);
void spline_gather_ref(size_t m, const uint32_t *who, const int32_t *cell, const float *record, const float *grid,
                       size_t stride, float *value, float *gx, float *gy);

#endif
