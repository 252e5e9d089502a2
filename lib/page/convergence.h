/* convergence.h - the values behind the claims against training: have they come to rest?
 *
 * Figures are drawn for S seeds and, of each seed's run, at H rising shares of its steps; the last share is 1, one is 1/2.
 * x[s,h] is a value of a claim (claim.h) in the figure of seed s at share h, and m[h] its mean over the seeds:
 *     spread = max_s x[s,H-1] - min_s x[s,H-1]        moved = m[H-1] - m[half]
 * The value is moving when |moved| > spread, the second half of training having changed it by more than seeds differ, and when that
 * touches a verdict: it meets a bound at 1/2 and not at the end or the other way round, or once more as large a change would make it
 * so. A value that lies far inside its bounds may still drift; no claim hangs on it. With one seed the spread is not known, and
 * counts as 0. A value that is missing at 1/2 or at the end of any seed is not moving.
 * A claim is moving when one of its values is. The rule is our own, and is about one doubling of the steps: it cannot say what
 * ten times as many would do. Tests: tests/test_converge.c */
#ifndef SAEMILL_CONVERGENCE_H
#define SAEMILL_CONVERGENCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/opt.h"
#include "lib/page/tsv.h"

enum { CONVERGE_BOUNDS = 8 };

struct converge_bound {
    char op[3]; /* as in a condition */
    double at;
};

struct convergence_rest {
    double spread, moved; /* NaN: not known */
    bool moving;
};

/* Mean over the seeds at share h; NaN where one is missing.
 *   x  [S,H]  f64, NaN: missing; read only */
double convergence_mean(const double *x, size_t S, size_t H, size_t h);

/* The rule above for one value.
 *   x     [S,H]  as above
 *   half         index of the share 1/2, below H
 *   b     [n]    its bounds */
struct convergence_rest convergence_rest(const double *x, size_t S, size_t H, size_t half,
                                         const struct converge_bound *b, size_t n);

/* ---- making it: begin, add every plot, end ---- */

/* What is compared. */
struct converge_of {
    struct opt_list shares, seeds, figures; /* words: "1/8" "1/4" "1/2" "1"; any; "fig2" "fig3" */
    size_t half;                            /* index of 1/2 among the shares */
    bool half_is_run;                       /* at 1/2 stands a run of its own, half as long, and not a snapshot */
    struct tsv claims;                      /* id figure section claim check condition */
    const char *claims_path;                /* for messages */
};

/* Cut "a,b,c" at its commas. out->item is one malloc'd block, text and all; the caller free()s it.
 *   option  "--seeds", for messages
 * Errors: ERR_USAGE for an empty word or the same one twice; ERR_MEMORY. */
int convergence_words(const char *text, const char *option, struct opt_list *out, struct err *e);

/* Find 1/2 in the shares. ERR_USAGE for what is no share ("1/8" or "0.125", in (0,1]), for shares that do not rise, that do
 * not end with 1, or without 1/2. */
int convergence_shares(const struct opt_list *shares, size_t *half, struct err *e);

/* A new document: {"shares":[…],"seeds":[…],"claims":[{"id","figure","claim","moving","outcomes":[],"values":[]}]}, every
 * claim on one of the figures. ERR_FORMAT where there is none; ERR_MEMORY. The caller json_decref()s *out. */
int convergence_begin(const struct converge_of *of, json_t **out, struct err *e);

/* Add the i-th plot: of seed i / (figures * shares), share i / figures % shares, figure i % figures. In this order.
 *   path  of its plot.json, for messages
 *   plot  read only; nothing of it is kept
 * Errors: ERR_FORMAT for a condition that does not parse; ERR_SHAPE "…/plot.json: claim 'separation': …" for other entries
 * than in the first plot of the figure, and for more than CONVERGE_BOUNDS bounds on one value. */
int convergence_add(const struct converge_of *of, size_t i, const char *path, const json_t *plot, json_t *doc,
                    struct err *e);

/* After the last: what moves is written into the document, and what a figure draws: "share_names", and for each value "mean",
 * "least" and "greatest" of the seeds at each share. *n_moving: claims that move. */
int convergence_end(const struct converge_of *of, json_t *doc, size_t *n_moving, struct err *e);

/* ---- reading it ---- */

struct converge_value {
    const char *name, *entry; /* "purity.excess"; "Layer 6", "" without */
    struct converge_bound bound[CONVERGE_BOUNDS];
    size_t n_bounds; /* at least 1 */
    const double *x; /* [S,H], NaN: missing */
    struct convergence_rest rest;
};

struct converge_claim {
    const char *id, *figure;
    bool moving;
    const struct converge_value *value; /* [n_values] */
    size_t n_values;
};

struct converge {
    size_t S, H, n_claims;
    bool half_is_run;
    const json_t *shares;         /* texts; see convergence_share */
    struct converge_claim *claim; /* [n_claims] */
    struct converge_value *value; /* of all claims, one behind the other */
    double *x;                    /* of all values */
};

/* Check a document and lay its numbers out. The texts are borrowed from doc, which must outlive *c; the caller
 * convergence_free()s, also after an error. Errors: ERR_FORMAT, ERR_SHAPE naming path and key; ERR_MEMORY. */
int convergence_read(const json_t *doc, const char *path, struct converge *c, struct err *e);
void convergence_free(struct converge *c);

/* The share in words: "1/8", "1/2*" where that is one of its own, and "end" for the last. */
const char *convergence_share(const struct converge *c, size_t h);

#endif
