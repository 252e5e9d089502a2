/* rows.h - activation rows of a corpus: windows in batches through the model, rows into a file.
 *
 * Tensors written, rows in order of document and position: row_token, row_position (in the window, BOS = 0), row_doc,
 * row_group [N] i32, and one [N,width] tensor per site, named by the site as it was asked for. Metadata is the caller's
 * business. Tests: tests/test_rows.c */
#ifndef SAEMILL_ROWS_H
#define SAEMILL_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/progress.h"
#include "lib/lm/forward.h"
#include "lib/lm/tokens.h"

/* Windows window[first .. first+n) with `rows` positions together; their kept rows go to row `out` and on. */
struct rows_batch {
    size_t first, n, rows, kept, out;
};

struct rows_plan {
    struct window *window;
    struct rows_batch *batch;
    size_t n_windows, n_batches, most_rows, T; /* most positions of any batch, of any window */
    size_t n_tokens, n_rows;                   /* positions computed, rows kept */
    bool keep_bos;
};

/* Cut the corpus.
 *   T         most positions of a window, at least 2
 *   batch     fill batches up to this many positions (at least one window each); with a host's table it has no
 *             influence on the rows
 *   keep_bos  keep the rows of the BOS that begins each window (without a BOS in the tokens, all rows are kept)
 * Errors: ERR_MEMORY. rows_plan_free releases. */
int rows_plan(struct rows_plan *p, const struct tokens *t, size_t T, size_t batch, bool keep_bos, struct err *e);
void rows_plan_free(struct rows_plan *p);

struct rows_job {
    const struct lm_model *m;
    const struct lm_kernels *k;
    const struct tokens *t;
    const struct rows_plan *plan;
    const struct lm_site *sites;
    size_t n_sites;
    enum safetensors_dtype dtype; /* ST_BF16 (round to nearest even) or ST_F32 */
    struct progress *progress;    /* counts tokens; may be NULL */
};

/* Threads of rows_collect; bytes of the back end's memory of one of them, and bytes it writes; SIZE_MAX on overflow. */
size_t rows_threads(const struct rows_job *j);
size_t rows_thread_bytes(const struct rows_job *j);
size_t rows_output_bytes(const struct rows_job *j);

/* Declare the tensors in w, compute, write. The caller opened w, set its metadata, and commits or aborts it.
 * Threads: uses OpenMP, a batch per thread; call it from serial code. Same bytes for every number of threads and, on
 * the host, every batch size. Errors: ERR_MEMORY, ERR_IO, ERR_DEVICE, ERR_NUMERIC naming site, document and position of a row with
 * NaN or Inf. */
int rows_collect(const struct rows_job *j, struct stwriter *w, struct err *e);

#endif
