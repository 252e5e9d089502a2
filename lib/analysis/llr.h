/* llr.h - how specific a feature is to a language: log-likelihood ratios on held-out rows.
 *
 * Bricken et al. 2023, "Towards Monosemanticity", measure a string s by log(P(s|concept) / P(s)), the concept given by
 * a proxy. Here the concept is a language g of G, known for every held-out row from its document. C_g rows are in g,
 * c_gt of them hold token t. Languages count equally, however many rows each has: P = mean over g of P(.|g). Two
 * proxies:
 *
 *   token   s is the row's token:  llr_g(t) = log[ (c_gt + p_t) / (C_g + 1)  /  p_t ],   p_t = mean_g c_gt / C_g
 *           One row spread like P is added to each language, so that a token never seen in it stays finite.
 *   share   s is "a row of this set"; by Bayes, P(s|g)/P(s) = P(g|s)/P(g), the language's share of the set over 1/G.
 *           Of m rows with share w_g in the language, each row weighted by 1/C_g:
 *           llr_share = log[ (m w_g + 1/G) / (m + 1)  *  G ]      one row at the base rate is added
 *
 * Both are at most log G: no set can be more in a language than wholly.
 * A feature's score: by token, the mean of llr_g over the rows it fires on, weighted by activation z and by row,
 *   sum_b u_b z_b llr_g(t_b) / sum_b u_b z_b,   u_b = mean_h C_h / C_g(b)
 * and by share, that of its m rows with w_g = (sum of u z over those in g) / (sum of u z over all).
 * Tests: tests/test_llr.c (a small case by hand, sums against plain loops) */
#ifndef SAEMILL_LLR_H
#define SAEMILL_LLR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/sae/encode.h"
#include "lib/base/err.h"

struct llr {
    size_t G, V;   /* languages; tokens that occur are below V */
    double *token; /* [V,G] llr_g(t); 0 for a token that does not occur in any */
    double *row;   /* [G] u: weight of a row of the language */
    size_t n_rows; /* rows in some language */
};

/* Count.
 *   token  [N]  ids, >= 0
 *   group  [N]  language of each row, below G; -1: another, such rows do not count
 * Errors: ERR_RANGE for a negative token or a language without rows; ERR_MEMORY. llr_free may follow in any case. */
int llr_init(struct llr *l, size_t N, const int32_t *token, const int32_t *group, size_t G, struct err *e);
void llr_free(struct llr *l);

/* By share: m rows with the share w in the language. */
static inline double llr_share(double m, double w, size_t G) { return log((m * w * (double)G + 1) / (m + 1)); }

/* Sums over rows, for every feature. */
struct llr_sums {
    size_t F, G;
    uint64_t *fired; /* [F] rows in some language */
    double *z;       /* [F] sum of u z */
    double *z_group; /* [F,G] of rows in the language */
    double *z_token; /* [F,G] sum of u z llr_g(t) */
};

/* Errors: ERR_MEMORY. llr_sums_free may follow in any case. */
int llr_sums_init(struct llr_sums *s, size_t F, size_t G, struct err *e);
/* Add the rows of one batch, in order: the same sums however rows are cut into batches.
 *   token, group  [B] of the batch's rows, as in llr_init */
void llr_sums_add(struct llr_sums *s, const struct llr *l, size_t B, const struct active *a, const int32_t *token,
                  const int32_t *group);
void llr_sums_free(struct llr_sums *s);

/* The two scores of a feature that fired (fired[f] > 0 and z[f] > 0). */
double llr_by_token(const struct llr_sums *s, size_t f, size_t g);
double llr_by_share(const struct llr_sums *s, size_t f, size_t g);

#endif
