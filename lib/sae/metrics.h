/* metrics.h - how well an SAE reconstructs a data set and how sparse it is, as sums over the whole set in double.
 *
 * x_b the rows, y_b = x^_b their reconstructions, e_b = x_b - y_b, mu and e_ the means of x and e over the set, n rows
 * of D. Four definitions of explained variance are in circulation; all are given, none is "the" EV:
 *   uncentred           1 - sum |e|^2 / sum |x|^2             (openai/sparse_autoencoder, per token there)
 *   centred             1 - sum |e|^2 / sum |x - mu|^2        (1 - FVU of Gemma Scope; SAELens' evals since 2026)
 *   residual_centred    1 - sum |e - e_|^2 / sum |x - mu|^2   (dictionary_learning; a constant offset costs nothing)
 *   mean_of_row_ratios  mean_b (1 - |e_b|^2 / |x_b - mu|^2)   (SAELens "legacy"; Llama Scope's and SAEBench's papers)
 * The peers take mu, and some the ratio itself, per batch and average over batches; here both are of the set, so that
 * no number depends on a batch size. Also:
 *   fvu                          = sum |e|^2 / sum |x - mu|^2
 *   mse                          = sum |e|^2 / (n D)
 *   l0                           = mean_b #{f: z_f > 0}
 *   l1                           = mean_b sum_f z_f
 *   cosine                       = mean_b x.y / (|x| |y|)
 *   l2_ratio                     = mean_b |y| / |x|
 *   relative_reconstruction_bias = sum |y|^2 / sum x.y        (Rajamanoharan et al. 2024, Gated SAE, eq. 10)
 *
 * Use: metrics_means over every row (first pass), metrics_means_end, then metrics_add over every row (second pass, any
 * order of blocks as long as it is the same each time), metrics_end. The two passes keep sum |x - mu|^2 free of
 * cancellation. Blocks of rows are summed apart and joined in row order: the same bytes for any thread count.
 * Tests: tests/test_metrics.c */
#ifndef SAEMILL_METRICS_H
#define SAEMILL_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/sae/measure.h"
#include "lib/base/err.h"

struct metrics_group { /* the rows of one group (language); EV about the group's own mean */
    uint64_t n;
    double ev_uncentred, ev_centred, l0;
};

enum { METRICS_QUANTILES = 5 };
extern const unsigned metrics_percent[METRICS_QUANTILES]; /* 5 25 50 75 95 */

struct metrics_result { /* NaN where a definition divides by zero: constant rows, rows all zero */
    uint64_t n;
    double ev_uncentred, ev_centred, ev_residual_centred, ev_row_ratios;
    double fvu, mse, l0, l1, cosine, l2_ratio, bias;
    uint64_t l0_quantile[METRICS_QUANTILES]; /* nearest rank: the smallest L0 that at least so many per cent of rows
                                                keep to */
    uint64_t l0_max;
    uint64_t dead, above_1_percent,
        above_10_percent;  /* features that never fire; that fire in more than 1 %, 10 % of rows */
    uint64_t rows_at_mean; /* rows with |x - mu| = 0, left out of ev_row_ratios */
    uint64_t rows_zero;    /* rows with |x| = 0 or |y| = 0: cosine counts 0; left out of l2_ratio where |x| = 0 */
};

struct metrics; /* sums so far */

/*   D, F      width of rows, number of features
 *   n_groups  > 0; group numbers of rows lie in [0, n_groups)
 * Memory: (n_groups + 3) D doubles and F counters; metrics_free releases, NULL is fine. Errors: ERR_MEMORY. */
int metrics_init(struct metrics **out, size_t D, size_t F, size_t n_groups, struct err *e);
void metrics_free(struct metrics *m);

/* First pass: add B rows to the means.
 *   x      [B,D]  f32, finite; read only
 *   group  [B]    i32 group of each row, checked: ERR_RANGE; NULL = all in group 0 */
int metrics_means(struct metrics *m, size_t B, const float *x, const int32_t *group);
void metrics_means_end(struct metrics *m);

/* Second pass: add B rows. In rounding only, the result depends on how rows are cut into calls.
 *   row     [B]  of measure.h, with the means below
 *   e_mean  [D]  likewise
 *   a            active entries of the rows: a->row [B+1], a->feat, a->pre = z > 0
 *   group   [B]  as in the first pass
 * Errors: ERR_RANGE for a group, ERR_MEMORY. */
int metrics_add(struct metrics *m, size_t B, const struct measure_row *row, const double *e_mean,
                const struct active *a, const int32_t *group);

/* Means of x after metrics_means_end, for measure: [D], [n_groups,D]. Owned by m. */
const double *metrics_mean(const struct metrics *m);
const double *metrics_group_mean(const struct metrics *m);

/* The numbers; callable more than once. group [n_groups] may be NULL. */
void metrics_end(const struct metrics *m, struct metrics_result *r, struct metrics_group *group);

/* [F] u64: in how many rows each feature fired. Owned by m. */
const uint64_t *metrics_counts(const struct metrics *m);

#endif
