/* lobe.h - what the clusters of features ("lobes") do: which groups of text (languages) they fire on, and whether that agrees with
 * where their decoder directions point.
 *
 * Per chunk, the lobe with the highest share of its features firing is recorded; the histogram of these lobes over each group
 * of text says which group a lobe belongs to (AIAA 5047 report, section 4.2; Li et al. 2024, section 4).
 * Tests: tests/test_stats.c */
#ifndef SAEMILL_LOBE_H
#define SAEMILL_LOBE_H

#include "lib/analysis/firing.h"
#include "lib/analysis/stats.h"

/* Who wins each chunk.
 *   label      [F] i32, lobe of each feature in [0,k), -1 = left out
 *   winner     [chunks] i32, overwritten; ties go to the lower lobe; -1 if no lobe fires at all
 *   histogram  [k,G] u32, chunks won by lobe l in group g
 *   ties       chunks in which the highest share was shared
 * Shares are compared exactly, as fractions. ERR_RANGE if a label is not in [-1,k), ERR_MEMORY. */
int lobe_winners(const struct firing *m, const int32_t *label, size_t k, int32_t *winner, uint32_t *histogram,
                 size_t *ties, struct err *e);

/* The group of each lobe: the group of whose chunks it wins the largest share; ties go to the lower group; -1 if it wins none.
 *   chunks [G] chunks in each group
 * Returns the lobes whose group was decided by a tie. */
size_t lobe_groups(const uint32_t *histogram, size_t k, size_t G, const uint32_t *chunks, int32_t *lobe_group);

/* Of each group's chunks, the share that lobes of the group itself win.
 *   own  [G] f64, overwritten; NaN for a group of which no lobe wins a chunk
 * Returns the groups that have no lobe. */
size_t lobe_own(const uint32_t *histogram, const int32_t *lobe_group, size_t k, size_t G, double *own);

/* The group each feature prefers: the one in the largest share of whose chunks it fires; ties go to the lower group; -1 if it fires
 * nowhere.
 *   label      [F] i32, lobes; only to say which features are counted in *ties
 *   preferred  [F] i32, overwritten
 *   ties       features with a lobe whose preference was decided by a tie
 * ERR_MEMORY. */
int lobe_preferred(const struct firing *m, const int32_t *label, int32_t *preferred, size_t *ties, struct err *e);

/* The statistics, each against its permutation null. `feature_…` are over the features with a label >= 0. */
struct lobes_stats {
    struct stats_null chunk_purity;  /* share of chunks whose winning lobe belongs to their own group; null: groups of
                                        chunks shuffled and the lobes named anew, because the naming fits the data too */
    struct stats_null ami_preferred; /* lobe labels and preferred groups; null: preferred groups shuffled */
    struct stats_null ari_preferred;
    struct stats_null
        purity1; /* share of nearest neighbours by cosine in W_dec with the same lobe; null: labels shuffled */
    struct stats_null purity10; /* the same over the 10 nearest */
    struct stats_null
        language1; /* share of nearest neighbours with the same preferred group; null: preferred groups shuffled */
    struct stats_null
        ami_angular; /* lobe labels and k clusters by angular similarity of W_dec; null: labels shuffled */
    struct stats_null
        direction; /* balanced accuracy of logistic regression from unit decoder row to lobe, fitted on the first 80 % of
                                        the features, judged on the rest; null: Gaussian unit rows in place of the decoder's.
                                        Li et al. 2024 (arXiv 2410.19750), section 4 */
    bool directed;     /* direction was computed: it was asked for, and both parts hold two lobes */
    size_t neighbours; /* of purity10: 10, or fewer with few features */
    bool angular;      /* ami_angular was computed */
    struct err angular_failed, direction_failed; /* or why it has no value (then NaN): a code other than 0 */
};

struct lobes_input {
    const struct firing *m;
    const int32_t *label, *winner, *preferred;
    size_t k;
    const float *W_dec; /* [F,D] */
    size_t D;
    size_t permutations;
    uint64_t seed;
    bool angular; /* also cluster the directions (F^2 memory) */
    size_t draws; /* of direction's null; 0 leaves it out */
};

/* What cannot be computed on these features (clusters by angle, the regression) is NaN, with the reason; the rest stands.
 * Errors: ERR_NUMERIC for a decoder row of a labelled feature that is zero, NaN or Inf; ERR_RANGE with fewer than 2 labelled
 * features; ERR_MEMORY. Threads: its own; same bytes for any number of them. */
int lobe_statistics(const struct lobes_input *in, struct lobes_stats *out, struct err *e);

#endif
