/* affinity.h - affinities between SAE features from co-firing counts, tile by tile.
 *
 * T chunks; n_i, n_j chunks in which i, j fire; n_ij in which both do:
 *   phi      (T n_ij - n_i n_j) / sqrt(n_i (T-n_i) n_j (T-n_j))      Yule 1912; Li et al. 2024, section 4       in [-1,1]
 *   smc      (T - n_i - n_j + 2 n_ij) / T     simple matching                                                   in [0,1]
 *   jaccard  n_ij / (n_i + n_j - n_ij)        Jaccard 1901                                                      in [0,1]
 *   dice     2 n_ij / (n_i + n_j)             Dice 1945                                                         in [0,1]
 *   overlap  n_ij / min(n_i, n_j)             Szymkiewicz-Simpson                                               in [0,1]
 * 0/0 is 0: a feature that never fires has jaccard, dice and overlap 0 with everything; one that never or always fires has no
 * variance and phi 0. Never NaN.
 * Tests: tests/test_affinity.c */
#ifndef SAEMILL_AFFINITY_H
#define SAEMILL_AFFINITY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum affinity { AFFINITY_PHI, AFFINITY_SMC, AFFINITY_JACCARD, AFFINITY_DICE, AFFINITY_OVERLAP, AFFINITIES };

#define AFFINITY_CHOICES "phi|smc|jaccard|dice|overlap"

/* The name ("phi"), and back: the enum, or ERR_RANGE for another word. */
const char *affinity_name(enum affinity kind);
int affinity_parse(const char *name);

/* Fill one tile.
 *   M, N           rows and columns of the tile
 *   n11  [M,ld11]  u32, chunks in which both fire; read only
 *   ni   [M]       u32, counts of the row features, <= T
 *   nj   [N]       u32, counts of the column features, <= T
 *   T              chunks, 1 <= T < 2^32
 *   out  [M,ldo]   f32, row-major, dimensionless; overwritten in its first N columns; may be n11 itself (in place)
 * Precision: counts are exact, products are formed in double and rounded once: within 2 eps32, plus T 2^-53 for phi where counts
 *   come close to T (so at T = 10^9 still below 2^-22, absolute).
 * Memory: the caller owns all; allocates nothing.      Threads: disjoint tiles may run at once.
 * Returns: 0, or ERR_RANGE if kind or T is out of range. */
int affinity_tile(enum affinity kind, size_t M, size_t N, const uint32_t *n11, size_t ld11, const uint32_t *ni,
                  const uint32_t *nj, size_t T, float *out, size_t ldo);

#endif
