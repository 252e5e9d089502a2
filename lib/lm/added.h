/* added.h - added tokens (special or not): exact strings found in text before anything else is done with it.
 * Leftmost match first, the longest of those that begin there, as the reference's automaton (LeftmostLongest).
 * Tests: tests/test_tokenizer.c */
#ifndef SAEMILL_ADDED_H
#define SAEMILL_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct added_token {
    const char *byte; /* not zero-terminated; owned by whoever filled it */
    size_t n_bytes;
    int32_t id;
};

/* A set of tokens; begin with {0}. */
struct added {
    struct added_token *token; /* sorted by bytes */
    size_t n;
    size_t first[257]; /* tokens that begin with byte b: [first[b], first[b+1]) */
};

/* Take n tokens, none empty; the array is copied, the bytes are not. Free with added_free.
 * Errors: ERR_FORMAT when two have the same bytes; ERR_MEMORY. */
int added_build(struct added *a, const struct added_token *token, size_t n, const char *where, struct err *e);
void added_free(struct added *a);

/* The first token in text[at, n_bytes): true, and *start and *hit; false if there is none. */
bool added_find(const struct added *a, const char *text, size_t n_bytes, size_t at, size_t *start,
                const struct added_token **hit);

#endif
