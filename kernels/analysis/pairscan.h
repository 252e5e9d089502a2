/* pairscan.h - the inner loops over a tile of all-pairs products: which pairs are near enough to look at, how many are
 * nearer than a bound, and the squared distance of one pair in double.
 *
 *   |x_i - x_j|^2 = s_i + s_j - 2 g_ij,   g_ij = <x_i, x_j>,  s_i = <x_i, x_i>
 * pairscan_*_ref are the definitions. Tests: tests/test_knn.c */
#ifndef SAEMILL_PAIRSCAN_H
#define SAEMILL_PAIRSCAN_H

#include <stddef.h>
#include <stdint.h>

/* Places j of a row of products where the pair may be near for either side:
 *   -2 g[j] + low_j[j] <= cut_i   or   -2 g[j] + low_i <= cut_j[j]           (float32, in this order)
 *   g      [m] f32 products of row i with m others
 *   low_j  [m] f32 what to add for the other side's own square; low_i the same for i
 *   cut_j  [m] f32 bound of the other side, +Inf while it has none; cut_i the bound of i
 *   hit    [m] places, ascending; overwritten
 * Returns their number. NaN is never near. The bytes are the same at every level. */
size_t pairscan_near_ref(size_t m, const float *g, const float *low_j, const float *cut_j, float low_i, float cut_i,
                         uint32_t *hit);
size_t pairscan_near_cpu(size_t m, const float *g, const float *low_j, const float *cut_j, float low_i, float cut_i,
                         uint32_t *hit);

/* For each of n_cut bounds, how many j have s[j] - 2 g[j] < cut[c]; added to count[c].
 *   g, s   [m] f32     cut [n_cut] f32     count [n_cut] u32, added to */
void pairscan_below_ref(size_t m, const float *g, const float *s, size_t n_cut, const float *cut, uint32_t *count);
void pairscan_below_cpu(size_t m, const float *g, const float *s, size_t n_cut, const float *cut, uint32_t *count);

/* sum over d of (a[d] - b[d])^2 in double, eight partial sums (d mod 8) added as a tree; 0 exactly for equal rows.
 *   a, b   [D] f32
 * cpu equals ref byte for byte, at every level. */
double pairscan_distance_ref(size_t D, const float *a, const float *b);
double pairscan_distance_cpu(size_t D, const float *a, const float *b);

#endif
