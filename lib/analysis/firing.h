/* firing.h - which features fire in which chunks, as a bit matrix, one row per feature.
 *
 * A feature fires in a chunk of consecutive tokens if it is active at any of them (Li et al. 2024, section 4). On disk, as stage
 * cooccur writes it (safetensors):
 *   fired        [F, ceil(chunks/64)] u64   bit c of word c/64 = fires in chunk c; bits past the last chunk are zero
 *   count        [F] u32                    chunks in which the feature fires
 *   chunk_group  [chunks] i32               index into metadata "groups" (a JSON array of names)
 * Tests: tests/test_cooccur.c */
#ifndef SAEMILL_FIRING_H
#define SAEMILL_FIRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct firing {
    size_t F, chunks;
    size_t words;    /* of a row in memory: ceil(chunks/64) rounded up to 8 (64 bytes); the rest is zero */
    uint64_t *bits;  /* [F, words] */
    uint32_t *count; /* [F]; what firing_count found */
    int32_t *group;  /* [chunks] */
    size_t n_groups;
};

/* All zero. F and chunks at least 1, chunks below 2^32 so that a count fits 32 bits: else ERR_RANGE; ERR_MEMORY. */
int firing_init(struct firing *m, size_t F, size_t chunks, size_t n_groups, struct err *e);
void firing_free(struct firing *m);

static inline bool firing_get(const struct firing *m, size_t f, size_t c) {
    return m->bits[f * m->words + c / 64] >> (c % 64) & 1;
}
static inline void firing_set(struct firing *m, size_t f, size_t c) {
    m->bits[f * m->words + c / 64] |= (uint64_t)1 << (c % 64);
}

/* Fill m->count from the bits. */
void firing_count(struct firing *m);

/* out := the rows named in keep[n] (each < m->F), in that order, with counts; groups are copied. firing_free releases. */
int firing_select(struct firing *out, const struct firing *m, const uint32_t *keep, size_t n, struct err *e);

/* Co-firing counts of all pairs.  n11 [F,F] u32, row-major, overwritten; the diagonal is the count.
 * Threads: its own; exact, so always the same bytes. */
void firing_cofire(const struct firing *m, uint32_t *n11);

/* Write the artifact.
 *   groups   JSON array of names, as it came with the rows
 *   record   provenance (opt_record)
 *   tokens   of a chunk, for the metadata */
int firing_write(const struct firing *m, const char *path, const char *groups, const char *record, size_t tokens,
                 struct err *e);

/* Read it, checked: types, shapes, counts equal to the bits, no bit past the last chunk, groups in range.
 *   groups   *groups := a malloc'd copy of the JSON array of names; may be NULL
 * Errors: those of safetensors_open and safetensors_get; ERR_FORMAT where the content contradicts itself. */
int firing_read(struct firing *m, const char *path, char **groups, struct err *e);

#endif
