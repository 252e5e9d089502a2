/* bpe.h - byte-pair encoding of one pre-token: merges by rank, with a cache of words already seen.
 * Sennrich, Haddow, Birch 2016, "Neural machine translation of rare words with subword units", section 3.2, over bytes as in
 * Radford et al. 2019 (GPT-2), section 2.2. The lowest rank is merged first, the leftmost of equal ones, as Hugging Face does.
 * It knows ids and bytes alone; tokfile.h reads them from tokenizer.json.
 * Tests: tests/test_tokenizer.c; fuzz target tests/fuzz/fuzz_tokenizer.c */
#ifndef SAEMILL_BPE_H
#define SAEMILL_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct bpe;

/* Merge number r (its rank) joins `left` and `right` into `joined`; all are token ids. */
struct bpe_merge {
    int32_t left, right, joined;
};

/* A vocabulary entry as the bytes it stands for. */
struct bpe_word {
    const char *byte;
    size_t n_bytes;
    int32_t id;
};

/* Token ids that grow. Begin with {0}; free with bpe_ids_free. */
struct bpe_ids {
    int32_t *id;
    size_t n, room;
};

int bpe_ids_push(struct bpe_ids *ids, int32_t id, struct err *e);
int bpe_ids_append(struct bpe_ids *ids, const int32_t *id, size_t n, struct err *e);
void bpe_ids_free(struct bpe_ids *ids);

/* Build the tables.
 *   byte_id  [256]       id of each single byte; -1 for bytes that no text holds
 *   merge    [n_merges]  by rank; of two merges of the same pair the later counts; copied
 *   whole    [n_whole]   with ignore_merges: entries that a word equal to them becomes at once; else n_whole = 0; copied
 * Errors: ERR_MEMORY; ERR_RANGE for more than 2^30 merges or entries. */
int bpe_open(struct bpe **out, const int32_t byte_id[256], const struct bpe_merge *merge, size_t n_merges,
             const struct bpe_word *whole, size_t n_whole, struct err *e);
void bpe_close(struct bpe *b); /* NULL is fine */

/* Append the ids of one pre-token. O(n log n) in its length; known short words are looked up.
 *   b                the cache inside is changed: one thread at a time
 *   word [n_bytes]   none of them with byte_id -1
 *   out              appended to
 * Errors: ERR_MEMORY; ERR_RANGE for a word of 2^30 bytes or more. The result never depends on the cache. */
int bpe_encode(struct bpe *b, const char *word, size_t n_bytes, struct bpe_ids *out, struct err *e);

#endif
