/* byfeature.h - the entries of a batch in feature order (CSR to CSC by counting sort), rows ascending within a feature.
 * Tests: tests/test_step.c */
#ifndef SAEMILL_BYFEATURE_H
#define SAEMILL_BYFEATURE_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/sae/encode.h"

enum { BYFEATURE_SLICES = 8 }; /* fixed, so that the work is cut the same way for any thread count */

struct byfeature {
    size_t F, cap;
    size_t *first;   /* [F+1] entries of feature f are first[f] .. first[f+1]-1 */
    uint32_t *row;   /* [cap] the batch row of the entry */
    uint32_t *entry; /* [cap] its place in the struct active */
    uint32_t *place; /* [BYFEATURE_SLICES,F] scratch */
};

/* A part of an arena, which frees it; byfeature_need: the bytes. */
void byfeature_take(struct byfeature *s, size_t F, size_t cap, struct arena *from);
size_t byfeature_need(size_t F, size_t cap);

/* Sort a's entries; their number is at most s->cap (and below 2^32). */
void byfeature_sort(struct byfeature *s, const struct active *a);

#endif
