/* shuffle.h - rows in one seeded global permutation, also when they exceed memory.
 *
 *   out[rng_permute(seed, stream, i, n)] = in[i]         i = 0 .. n-1
 * The permutation is evaluated point by point (lib/base/rng.h), so there is no table, and each row's place is known
 * before any other row is read. If everything fits in memory, rows are placed there and written once. Otherwise, two
 * passes (a bucket sort on disk; cf. Sanders 1998, "Random permutations on distributed, external and hierarchical
 * memory"): the output is cut into ranges ("buckets") that fit in memory; rows are read in order and appended to the
 * range they belong to; then each range is read, put in order and written back. So the data is read once in order, and
 * written, read back and written once more. The bytes do not depend on the memory given nor on threads.
 * Tests: tests/test_shuffle.c */
#ifndef SAEMILL_SHUFFLE_H
#define SAEMILL_SHUFFLE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/file/safetensors.h"

struct shuffle_plan {
    size_t bucket_rows, n_buckets; /* rows of one range; 1 range: everything in memory */
    size_t buffer_rows;            /* rows gathered per range before they are written */
    size_t memory_bytes;           /* what this plan allocates */
};

/* How n rows of row_bytes are done within memory_bytes. When memory_bytes cannot hold even the smallest plan (a few
 * rows and one buffered row per range), the plan takes what it needs and says so in memory_bytes. */
struct shuffle_plan shuffle_plan(size_t n, size_t row_bytes, size_t memory_bytes);

/*   rows [n,row_bytes]  input, e.g. a mapped tensor; any alignment; read only
 *   seed, stream        of the permutation
 *   plan                from shuffle_plan with the same n and row_bytes
 *   w, handle           an open writer and a declared tensor of n*row_bytes bytes, written whole
 *   tick, context       called with the rows done, out of 2n (n when in memory); may be NULL
 * Errors: ERR_IO, ERR_MEMORY. Threads: OpenMP inside; one call per writer. */
int shuffle_rows(const void *rows, size_t n, size_t row_bytes, uint64_t seed, uint64_t stream,
                 const struct shuffle_plan *plan, struct stwriter *w, int handle,
                 void (*tick)(void *context, size_t done), void *context, struct err *e);

#endif
