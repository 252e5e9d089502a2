/* tokens.h - the file that the stage tokenize writes, checked, and its cut into sequences.
 *
 *   ids [N] i32; doc_start [n_docs+1] i64; doc_group [n_docs] i32; metadata "groups" (JSON array of names), "bos_id"
 *
 * A document is cut into windows of at most T tokens. Every window begins with the BOS id: the first with the
 * document's own, the others with one put before them, since models lean on it; so a window holds T-1 tokens of the
 * document, and BOS is always position 0. Where the tokenizer has no BOS (bos_id -1), windows are plain pieces of T
 * tokens. Tests: tests/test_tokens.c */
#ifndef SAEMILL_TOKENS_H
#define SAEMILL_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/file/safetensors.h"

struct tokens {
    struct safetensors *st;
    const struct safetensors_tensor *ids, *doc_start, *doc_group;
    size_t N, n_docs;
    int32_t bos;        /* -1: none */
    const char *groups; /* the JSON text, as it is in the file */
};

/* Open and check: shapes, doc_start ascending from 0 to N, groups in range, a BOS id that is a number, at least one
 * document token besides BOS. Errors: those of safetensors_open, ERR_FORMAT, ERR_SHAPE, ERR_RANGE. After an error there is
 * nothing to close. */
int tokens_open(struct tokens *t, const char *path, struct err *e);
void tokens_close(struct tokens *t);

/* ERR_RANGE naming the first id (or the BOS id) outside [0, vocab). */
int tokens_check_vocab(const struct tokens *t, size_t vocab, struct err *e);

int32_t tokens_id(const struct tokens *t, size_t i);    /* i < N */
int32_t tokens_group(const struct tokens *t, size_t d); /* d < n_docs */

struct window {
    size_t first; /* index into ids of its first token, BOS aside */
    uint32_t T;   /* positions, BOS included; at least one is no BOS */
    uint32_t doc;
};

/* All windows, in order of document and position; windows of BOS alone are left out.
 *   T  most positions, at least 2
 *   w  malloc'd array of *n entries; the caller frees it
 * Errors: ERR_MEMORY. */
int tokens_windows(const struct tokens *t, size_t T, struct window **w, size_t *n, struct err *e);

/* Windows spread evenly over the file, which is ordered by group: a share of about most/(all positions) of them, or all
 * where that is not less. Arguments and errors otherwise as tokens_windows.
 *   most  positions, at least 1 */
int tokens_sample(const struct tokens *t, size_t T, size_t most, struct window **w, size_t *n, struct err *e);

/* The ids of a window, BOS first.  out [w->T] */
void tokens_window_ids(const struct tokens *t, const struct window *w, int32_t *out);

#endif
