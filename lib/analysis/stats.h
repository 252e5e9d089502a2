/* stats.h - agreement of two labellings, and what chance alone would give.
 *
 *   contingency n_ab, margins n_a, n_b, n objects; H entropy, MI mutual information (nats)
 *   AMI = (MI - E[MI]) / ((H(a)+H(b))/2 - E[MI])        Vinh, Epps and Bailey 2010, equation 4, hypergeometric E[MI] equation 24a
 *   ARI = (sum C(n_ab,2) - E) / ((sum C(n_a,2) + sum C(n_b,2))/2 - E)               Hubert and Arabie 1985
 * as scikit-learn's adjusted_mutual_info_score (arithmetic) and adjusted_rand_score, edge cases included.
 * Tests: tests/test_stats.c (scikit-learn fixtures, brute-force expectation) */
#ifndef SAEMILL_STATS_H
#define SAEMILL_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

/* A statistic against its permutation null. */
struct stats_null {
    double value, null_mean, null_std, z; /* std of the population of draws; z = (value-mean)/std, NaN when std is 0 */
    size_t n_permutations;
};

/* Two labellings of the same n objects. Objects with a negative label in either do not count.
 *   a [n] in [0,ka), b [n] in [0,kb)
 * One label on each side (or no objects): AMI and ARI 1; one on one side only: AMI 0 (ARI 0). ERR_RANGE, ERR_MEMORY. */
int stats_ami(const int32_t *a, size_t ka, const int32_t *b, size_t kb, size_t n, double *ami, struct err *e);
int stats_ari(const int32_t *a, size_t ka, const int32_t *b, size_t kb, size_t n, double *ari, struct err *e);

/* The same with the null in which b is shuffled among the objects that count (the margins stay, so E[MI] does).
 * Permutation p uses stream (stream, p) of the counter RNG.  Threads: its own; same bytes for any number of them. */
int stats_ami_null(const int32_t *a, size_t ka, const int32_t *b, size_t kb, size_t n, size_t permutations,
                   uint64_t seed, uint32_t stream, struct stats_null *out, struct err *e);
int stats_ari_null(const int32_t *a, size_t ka, const int32_t *b, size_t kb, size_t n, size_t permutations,
                   uint64_t seed, uint32_t stream, struct stats_null *out, struct err *e);

/* Purity of neighbours: the share of the n*k pairs (object, neighbour) whose labels are equal. Null: labels shuffled.
 *   neighbour [n,stride]  indices of objects; the first k of each row are used
 *   label     [n]         0 or more */
int stats_neighbour_null(const int32_t *label, size_t n, const int32_t *neighbour, size_t stride, size_t k,
                         size_t permutations, uint64_t seed, uint32_t stream, struct stats_null *out, struct err *e);

/* Any statistic: draw 0 is the value (order NULL), the others see object i with the label of object order[i].
 *   statistic      called from several threads at once; scratch [scratch_bytes] is the thread's own and zero at first */
struct stats_job {
    double (*statistic)(const void *ctx, const uint32_t *order, void *scratch);
    const void *ctx;
    size_t n, scratch_bytes, permutations;
    uint64_t seed;
    uint32_t stream;
};
int stats_permute(const struct stats_job *j, struct stats_null *out, struct err *e);

/* Mean, population std and z of value against draws[n]. */
void stats_against(double value, const double *draws, size_t n, struct stats_null *out);

#endif
