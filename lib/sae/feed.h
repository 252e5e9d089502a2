/* feed.h - training batches, read ahead of the trainer by a thread of its own.
 *
 * Rows come from the tensor "rows" [N,D] of normalise (bf16 or f32, already in one global permutation), in file order, again from
 * the start when the end is reached: batch t holds rows (tB .. tB+B-1) mod N, times the scale of the file. So the position is a
 * function of t alone, and a resumed run reads what the killed one would have read.
 * Tests: tests/test_feed.c */
#ifndef SAEMILL_FEED_H
#define SAEMILL_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/file/safetensors.h"

struct feed;

/* Start the thread.
 *   s       the open file; must outlive the feed
 *   B       rows of a batch, at most N (ERR_RANGE)
 *   m       where its batches lie
 *   raw     hand out rows as stored (bf16 or f32), not scaled and not looked at: for a back end that converts
 *   first   number of the first batch wanted;  last: one past the last
 * Errors: ERR_FORMAT without "rows" or a usable "scale"; ERR_MEMORY. */
int feed_open(struct feed **out, const struct safetensors *s, size_t B, int64_t first, int64_t last,
              const struct memory *m, bool raw, struct err *e);

/* The next batch, [B,D] f32, normalised (or as stored); valid until the call after the next, so that one can be on its way while
 * another is used.
 * Errors: ERR_NUMERIC naming the row of the first NaN or Inf; not for raw rows. */
int feed_next(struct feed *f, const void **x, struct err *e);

/* Whether the batches are raw (asked for, and stored as bf16 or f32), and then whether bf16. */
bool feed_raw(const struct feed *f);
bool feed_bf16(const struct feed *f);

/* Seconds that feed_next has waited for data so far. */
double feed_waited_s(const struct feed *f);

/* Stops the thread and frees; NULL is fine. */
void feed_close(struct feed *f);

/* Rows, width and scale of such a file, checked. */
int feed_shape(const struct safetensors *s, size_t *N, size_t *D, double *scale, struct err *e);

#endif
