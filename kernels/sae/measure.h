/* measure.h - what evaluation takes from a batch: reconstructions, and of every row squared norms and products, in
 * double. lib/sae/metrics.h makes explained variance and the rest of them.
 *
 *   y[b] = b_dec + sum_i z[i] W_dec[feat[i]]   over the entries of row b;   e = x - y;   e_ = mean_b e[b]
 * Tests: tests/test_metrics.c */
#ifndef SAEMILL_MEASURE_H
#define SAEMILL_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/sae/encode.h"

struct measure_row {
    double e2, e2_centred, x2, y2, xy; /* |e|^2, |e - e_|^2, |x|^2, |y|^2, x.y */
    double dev2, group_dev2;           /* |x - mean|^2, |x - mean of the row's group|^2 */
};

/*   B, D        rows and width
 *   x           [B,D] f32; read only
 *   a           active entries of the rows, pre = z
 *   W_dec       [F,D] f32
 *   b_dec       [D] f32
 *   mean        [D] f64
 *   group_mean  [G,D] f64
 *   group       [B] i32 below G
 *   y           [B,D] f32; overwritten
 *   e_mean      [D] f64; overwritten
 *   row         [B]; overwritten
 * On a device started only; finish waits. Sums of a row go over its columns, those of e_ over the rows in order. */
void measure(size_t B, size_t D, const float *x, const struct active *a, const float *W_dec, const float *b_dec,
             const double *mean, const double *group_mean, const int32_t *group, float *y, double *e_mean,
             struct measure_row *row);

/* The same of reconstructions that are there already. */
void measure_rows(size_t B, size_t D, const float *x, const float *y, const double *mean, const double *group_mean,
                  const int32_t *group, double *e_mean, struct measure_row *row);

#endif
