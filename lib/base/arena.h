/* arena.h - memory by lifetime: one block, handed out in 64-byte aligned pieces, freed as a whole. */
#ifndef SAEMILL_ARENA_H
#define SAEMILL_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

enum { ARENA_ALIGN = 64 };

/* Where memory comes from: the process itself, or a device whose memory the host can read and write as well. */
struct memory {
    void *(*take)(size_t bytes); /* zeroed, 64-byte aligned; NULL when there is none */
    void (*give)(void *p);
};
extern const struct memory memory_host;

struct arena {
    char *base;
    size_t size_bytes, used_bytes;
    const struct memory *from;
};

/* a*b*c with overflow refused. Returns true and sets *out, or false. */
bool size_product(size_t a, size_t b, size_t c, size_t *out);

/* Reserve a block. The memory is zero.
 *   name   of what, for the message ("train: parameters")
 * Errors: ERR_MEMORY with the amount asked for. */
int arena_init(struct arena *a, size_t size_bytes, const char *name, struct err *e);

/* The same from a given memory. */
int arena_init_in(struct arena *a, const struct memory *from, size_t size_bytes, const char *name, struct err *e);

/* The next n*elem_bytes bytes, zeroed and 64-byte aligned. The arena was sized by the caller: running out is a CHECK. */
void *arena_take(struct arena *a, size_t n, size_t elem_bytes);

/* Bytes that arena_take(n, elem_bytes) uses; sum these to size the arena. Saturates at SIZE_MAX on overflow. */
size_t arena_need(size_t n, size_t elem_bytes);

void arena_free(struct arena *a);

/* One zeroed, 64-byte aligned array outside any arena; free() releases it. NULL and *e filled when it cannot be had.
 * Tests may make the nth following call fail: see mem_fail_after. */
void *mem_array(size_t n, size_t elem_bytes, const char *name, struct err *e);

/* For tests: let `n` more allocations of this header succeed, then fail all; n < 0 turns it off. */
void mem_fail_after(long n);

/* Physical memory of this machine in bytes (0 if unknown), or ulimit -v where that is less: for "this run cannot fit" messages. */
size_t mem_physical_bytes(void);

#endif
