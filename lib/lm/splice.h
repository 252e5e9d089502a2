/* splice.h - a language model with the activations at one site replaced: next-token losses, and how far its predictions
 * are from those of the model as it is.
 *
 * splice_load runs the model up to the site once and keeps its rows, and the residual stream beside them, on the host;
 * splice_run then runs only what comes after the site, for several replacements at once. The rows themselves give the
 * loss of a whole pass (on the host to the byte). In the last layer nothing after a site looks at another row (gelu-1l: all
 * but the attention's inside), so there the effect of changing a few rows needs those rows alone: splice_rows, whose cost
 * is that of the rows that an ablated feature fires on. Tests: tests/test_splice.c */
#ifndef SAEMILL_SPLICE_H
#define SAEMILL_SPLICE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/lm/loss.h"

/* Working memory of one thread. */
struct splice_work {
    struct lm_scratch lm;
    struct loss_scratch loss;
    size_t rows;     /* that go through the rest of the network together */
    float *x;        /* [rows, D] */
    int32_t *target; /* [rows] */
    struct arena mem;
};

struct splice {
    const struct lm_model *m;
    const struct lm_kernels *k;
    struct lm_site site;
    size_t room, T, most, width; /* rows of a batch; positions of a sequence; replacements at once; width of the site */
    size_t n, M;                 /* of the batch: sequences, rows */
    size_t *start;               /* [n+1] first rows of the sequences */
    int32_t *target;             /* [M] of loss_targets */
    float *x;                    /* [M, D] residual stream beside the site */
    float *rows;                 /* [M, width] what the site gives */
    double *nll, *kl;            /* [most][room] of splice_run: nll[i * room + row] */
    size_t workers;
    struct splice_work *work; /* [workers] */
    struct arena mem;
};

/*   m     loaded for all layers and T positions, with its head; must outlive s, as k must
 *   site  of lm_sites_parse
 *   rows, T, most   see struct splice; each at least 1
 * Errors: ERR_MEMORY. After an error there is nothing to free. */
int splice_init(struct splice *s, const struct lm_model *m, const struct lm_kernels *k, const struct lm_site *site,
                size_t rows, size_t T, size_t most, struct err *e);
void splice_free(struct splice *s);

/* A batch up to the site.
 *   b  at most s->room rows, ids below vocab; may go away afterwards
 * Errors: ERR_RANGE naming a sequence of more than s->T positions; ERR_IO, ERR_DEVICE.
 * Threads: uses OpenMP on the host, a sequence a thread; call it from serial code. */
int splice_load(struct splice *s, const struct lm_batch *b, struct err *e);

/* The rest of the network for n replacements.
 *   rows  [n] each [M, width] f32 of the host, or NULL for the site's own; kl compares with rows[0]
 * Errors: ERR_DEVICE. NaN or Inf in nll is for loss_mean to see.   Threads: as splice_load; the bytes do not depend on how
 * many, nor, on the host, on the batch. */
int splice_run(struct splice *s, size_t n, const float *const *rows, struct err *e);

/* One thread's memory for splice_rows; the splice has its own. */
int splice_work_init(struct splice_work *w, const struct splice *s, size_t rows, size_t most, struct err *e);
void splice_work_free(struct splice_work *w);

/* The nll of single rows with other activations; s->site must be in the last layer.
 *   w     its own for each thread
 *   n     rows, any number; it pays to put the rows of many edits into one call, since each call reads U once or more
 *   row   [n] rows of s, each below M; a row may come many times
 *   rows  [n, width] f32, what stands in the site's place
 *   nll   [n] overwritten: as splice_run would leave it; 0 where the row has no target; NaN where activations overflow
 * Errors: ERR_DEVICE.  Threads: single-threaded; calls may run at once, on the host. */
int splice_rows(const struct splice *s, struct splice_work *w, size_t n, const size_t *row, const float *rows,
                double *nll, struct err *e);

#endif
