/* report.h - figures with their captions and claims: judged, and written as one HTML page that works without
 * JavaScript. Tests: tests/test_report.c */
#ifndef SAEMILL_REPORT_H
#define SAEMILL_REPORT_H

#include <jansson.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>

#include "lib/base/err.h"
#include "lib/page/claim.h"
#include "lib/page/convergence.h"
#include "lib/page/tsv.h"

struct report_figure {
    const char *path;                           /* of its JSON */
    char id[64], png[PATH_MAX], json[PATH_MAX]; /* "fig2"; links from the page, percent-escaped */
    json_t *plot;                               /* what plot wrote */
};

struct report {
    struct tsv claims;            /* id figure section claim check condition */
    struct tsv captions;          /* figure title caption */
    struct report_figure *figure; /* [n_figures], in page order */
    size_t n_figures;
    struct claim_verdict *verdict; /* [claims.n_rows] at the end; malloc'd by report_judge, freed by the caller */
    size_t count[CLAIM_OUTCOMES];  /* claims of each, moving ones as such */
    struct converge training;      /* zeroed: nothing is said of training */
    struct tsv reported;           /* figure what reported path source; zeroed: none */
};

/* Judge every claim by its figure's numbers; a claim on a figure that is not here is CLAIM_NOT_MEASURED.
 *   claims_path, captions_path   for messages
 * Errors: ERR_FORMAT for a figure without a caption, a claim on a figure without one, a condition that does not parse.
 */
int report_judge(struct report *r, const char *claims_path, const char *captions_path, struct err *e);

/* Hold the claims against r->training: those that move there are CLAIM_MOVING from here on. After report_judge.
 * Errors: ERR_FORMAT for a claim in `path` that is not in the table of claims. */
int report_training(struct report *r, const char *path, struct err *e);

/* Check the paper's own numbers, r->reported. ERR_FORMAT for a figure without a caption, or a path that is none. */
int report_reported(const struct report *r, const char *path, struct err *e);

/* Write the page. Every text from a file is escaped. scale may be NULL. */
void report_html(const struct report *r, const char *title, const char *scale, FILE *f);

#endif
