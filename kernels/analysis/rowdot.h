/* rowdot.h - a float32 row with a vector of doubles: inner product, and added to it.
 *
 *   rowdot      sum_d x[d] w[d]      ROWDOT_LANES partial sums (d mod 32), added as a tree
 *   rowdot_add  g[d] += a x[d]
 * Products and sums in double without fused operations, so _cpu equals _ref byte for byte on every processor.
 * Tests: tests/test_logreg.c */
#ifndef SAEMILL_ROWDOT_H
#define SAEMILL_ROWDOT_H

#include <stddef.h>

enum { ROWDOT_LANES = 32 };

/*   x  [D] f32    w, g  [D] f64; g is added to and must not overlap x */
double rowdot_ref(size_t D, const float *x, const double *w);
double rowdot_cpu(size_t D, const float *x, const double *w);
void rowdot_add_ref(size_t D, double a, const float *x, double *restrict g);
void rowdot_add_cpu(size_t D, double a, const float *x, double *restrict g);

#endif
