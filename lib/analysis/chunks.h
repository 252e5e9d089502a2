/* chunks.h - rows of activations into chunks of text, and which features fire in them.
 *
 * A chunk is `tokens` consecutive rows of one group (language), taken in the order of the rows; a last chunk that is not full is
 * dropped (Li et al. 2024; the AIAA 5047 report takes 40 chunks of 256 tokens per language). A chunk may span documents of its
 * group: held-out documents are often shorter than a chunk. With `within` it may not: a document's last rows that do not fill
 * one are dropped, as Li et al. do. Rows of other groups in between do not end a chunk.
 * Tests: tests/test_cooccur.c */
#ifndef SAEMILL_CHUNKS_H
#define SAEMILL_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/sae/encode.h"
#include "lib/analysis/firing.h"
#include "lib/base/err.h"

struct chunks_plan {
    size_t chunks;  /* in all; those of group 0 come first, then group 1, … each in row order */
    size_t rows;    /* that lie in a chunk: chunks * tokens */
    size_t *found;  /* [G] full chunks that the rows of each group hold */
    int32_t *chunk; /* [N] chunk of each row, -1 = in none */
};

struct cooccur_rows {
    size_t N;
    const int32_t *group; /* [N] in [0,G) */
    const int32_t *doc;   /* [N] document; read only with `within`, may be NULL otherwise */
    size_t G;
};

/*   tokens     rows in a chunk, >= 1
 *   per_group  chunks wanted of each group; 0 = all there are
 *   names [G]  of the groups, for messages
 * Ownership: chunks_plan_free. Errors: ERR_RANGE naming found and wanted for a group with too few, or a group out of range; ERR_MEMORY. */
int chunks_plan(const struct cooccur_rows *rows, size_t tokens, size_t per_group, bool within, const char *const *names,
                struct chunks_plan *out, struct err *e);
void chunks_plan_free(struct chunks_plan *p);

/* Set the bit of every entry of the first B rows: the active features of row b fire in chunk chunk[b] (each >= 0). */
void chunks_mark(const struct active *a, size_t B, const int32_t *chunk, struct firing *m);

#endif
