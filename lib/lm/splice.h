/* splice.h - the loss of a language model when the activations at one site are replaced.
 *
 * splice_init runs the model up to the site once and keeps its rows and the residual stream beside them; every
 * evaluation then runs only what comes after the site. Replacing rows by themselves gives the loss of loss.h's
 * loss_forward to the byte. In the last layer nothing after a site looks at another row (gelu-1l: all but the
 * attention's inside), so there the effect of changing a few rows needs those rows alone: splice_rows, whose cost is
 * that of the rows that an ablated feature fires on. Tests: tests/test_splice.c */
#ifndef SAEMILL_SPLICE_H
#define SAEMILL_SPLICE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/lm/loss.h"

/* The state before the site; read only after splice_init. */
struct splice {
    const struct lm_model *m;
    const struct lm_kernels *k;
    struct lm_site site;
    size_t n, M, T, width; /* sequences, rows, longest sequence; width of a row at the site */
    size_t *start;         /* [n+1] first rows of the sequences */
    int32_t *target;       /* [M] of loss_targets */
    float *x;              /* [M, D] residual stream beside the site */
    float *rows;           /* [M, width] what the site gives */
    struct arena mem;
};

/*   m     loaded for all layers and the longest sequence, with its head; must outlive s, as k must
 *   b     ids below vocab; may go away afterwards
 *   site  of lm_sites_parse
 * Errors: ERR_MEMORY; ERR_RANGE naming a sequence that is longer than the positions loaded, or if no token has a next
 * one; ERR_NUMERIC. After an error there is nothing to free. Threads: single-threaded. */
int splice_init(struct splice *s, const struct lm_model *m, const struct lm_kernels *k, const struct lm_batch *b,
                const struct lm_site *site, struct err *e);
void splice_free(struct splice *s);

/* Working memory of one thread. */
struct splice_work {
    struct lm_scratch lm;
    struct loss_scratch loss;
    size_t tile;     /* rows that go through the rest of the network together, in the last layer */
    float *rows;     /* [M, width] what the replacement works on */
    float *x;        /* [tile, D] */
    int32_t *target; /* [tile] */
    double *nll;     /* [M] of the last splice_loss */
    struct arena mem;
};
int splice_work_init(struct splice_work *w, const struct splice *s, struct err *e);
void splice_work_free(struct splice_work *w);

/* Called once per evaluation with a copy of the site's rows, which it changes in place.
 *   rows  [n_rows, D] f32, all rows of all sequences in order; D is the site's width */
struct splice_edit {
    void *ctx;
    void (*replace)(void *ctx, size_t n_rows, size_t D, float *rows);
};

/* Mean next-token loss with the site's rows replaced; their nll in w->nll.
 *   edit  NULL leaves the model as it is
 * Errors: those of loss_mean.   Threads: single-threaded; evaluations may run at once, each with its own work. The
 * bytes depend on the rows alone. */
int splice_loss(const struct splice *s, struct splice_work *w, const struct splice_edit *edit, double *loss,
                struct err *e);

/* The nll of single rows with other activations; s->site must be in the last layer.
 *   n     rows, any number; it pays to put the rows of many edits into one call, since each call reads U once or more
 *   row   [n] rows of s, each below M; a row may come many times
 *   rows  [n, width] f32, what stands in the site's place
 *   nll   [n] overwritten: as splice_loss would leave it; 0 where the row has no target; NaN where activations overflow
 * Threads: as splice_loss. */
void splice_rows(const struct splice *s, struct splice_work *w, size_t n, const size_t *row, const float *rows,
                 double *nll);

#endif
