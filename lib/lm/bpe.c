/* bpe.c - see bpe.h.
 * A word is a linked list of symbols; a binary heap holds (rank, position) of its pairs. An entry is stale, and
 * skipped, when the pair at its position has got another rank since. */
#include "lib/lm/bpe.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "lib/base/arena.h"

enum {
    CACHE_FIRST = 1 << 10, /* slots at first; full (half of them taken) it is emptied and made twice as large, up to: */
    CACHE_SLOTS = 1 << 16,
    CACHE_UNITS = 16,    /* 32-bit units a slot, in all for the bytes and ids of cached words */
    CACHE_LONGEST = 255, /* bytes; longer words seldom come twice */
    LIMIT = 1 << 30
};

/* Open addressing; at == 0 marks an empty slot (the pool begins at 1). */
struct cached {
    uint64_t hash;
    uint32_t at; /* in pool: ids, then the word's bytes */
    uint16_t n_bytes, n_ids;
};

struct pair {
    uint64_t key; /* left << 32 | right */
    int32_t rank; /* -1 marks an empty slot */
    int32_t joined;
};

struct entry { /* of the whole-word table; id -1 marks an empty slot */
    size_t at, n_bytes;
    int32_t id;
};

struct bpe {
    int32_t byte_id[256];
    struct pair *pair;
    size_t pair_mask;
    int32_t *joined; /* [n_merges] by rank */
    struct entry *entry;
    size_t entry_mask;
    char *entry_byte;
    struct cached *slot;
    uint32_t *pool;
    size_t n_slots, n_cached, n_pool;
    /* The word in work: symbol ids, links, rank of (i, next i); heap of rank << 32 | position. */
    int32_t *sym, *next, *prev, *rank;
    uint64_t *heap;
    size_t room;
};

int bpe_ids_append(struct bpe_ids *ids, const int32_t *id, size_t n, struct err *e) {
    if (n > ids->room - ids->n) {
        size_t want = ids->room < 1024 ? 1024 : ids->room;
        if (n > SIZE_MAX / 16 - ids->n) return err_set(e, ERR_MEMORY, "token ids: %zu more overflow", n);
        while (want < ids->n + n) want *= 2;
        int32_t *p = mem_array(want, sizeof *p, "token ids", e);
        if (!p) return ERR_MEMORY;
        if (ids->n) memcpy(p, ids->id, ids->n * sizeof *p);
        free(ids->id);
        ids->id = p;
        ids->room = want;
    }
    if (n) memcpy(ids->id + ids->n, id, n * sizeof *id);
    ids->n += n;
    return 0;
}

int bpe_ids_push(struct bpe_ids *ids, int32_t id, struct err *e) { return bpe_ids_append(ids, &id, 1, e); }

void bpe_ids_free(struct bpe_ids *ids) {
    free(ids->id);
    *ids = (struct bpe_ids){0};
}

static size_t pair_slot(const struct bpe *b, uint64_t key) {
    uint64_t h = key * UINT64_C(0x9E3779B97F4A7C15);
    size_t i = (size_t)(h >> 32) & b->pair_mask;
    while (b->pair[i].rank >= 0 && b->pair[i].key != key) i = (i + 1) & b->pair_mask;
    return i;
}

/* Rank of the merge of two ids, or -1. */
static int32_t pair_rank(const struct bpe *b, int32_t left, int32_t right) {
    return b->pair[pair_slot(b, (uint64_t)(uint32_t)left << 32 | (uint32_t)right)].rank;
}

static size_t table_size(size_t n) {
    size_t size = 16;
    while (size < 2 * n) size *= 2;
    return size;
}

static int build_pairs(struct bpe *b, const struct bpe_merge *merge, size_t n, struct err *e) {
    size_t size = table_size(n);
    b->pair = mem_array(size, sizeof *b->pair, "merges", e);
    b->joined = mem_array(n, sizeof *b->joined, "merges", e);
    if (!b->pair || !b->joined) return ERR_MEMORY;
    b->pair_mask = size - 1;
    for (size_t i = 0; i < size; i++) b->pair[i].rank = -1;
    for (size_t r = 0; r < n; r++) {
        uint64_t key = (uint64_t)(uint32_t)merge[r].left << 32 | (uint32_t)merge[r].right;
        b->pair[pair_slot(b, key)] = (struct pair){key, (int32_t)r, merge[r].joined};
        b->joined[r] = merge[r].joined;
    }
    return 0;
}

static size_t entry_slot(const struct bpe *b, const char *word, size_t n) {
    size_t i = (size_t)XXH3_64bits(word, n) & b->entry_mask;
    for (; b->entry[i].id >= 0; i = (i + 1) & b->entry_mask)
        if (b->entry[i].n_bytes == n && !memcmp(b->entry_byte + b->entry[i].at, word, n)) break;
    return i;
}

static int build_entries(struct bpe *b, const struct bpe_word *whole, size_t n, struct err *e) {
    size_t size = table_size(n), bytes = 0, at = 0;
    for (size_t i = 0; i < n; i++) bytes += whole[i].n_bytes;
    b->entry = mem_array(size, sizeof *b->entry, "vocabulary", e);
    b->entry_byte = mem_array(bytes, 1, "vocabulary", e);
    if (!b->entry || !b->entry_byte) return ERR_MEMORY;
    b->entry_mask = size - 1;
    for (size_t i = 0; i < size; i++) b->entry[i].id = -1;
    for (size_t i = 0; i < n; i++) {
        size_t k = entry_slot(b, whole[i].byte, whole[i].n_bytes);
        memcpy(b->entry_byte + at, whole[i].byte, whole[i].n_bytes);
        b->entry[k] = (struct entry){at, whole[i].n_bytes, whole[i].id};
        at += whole[i].n_bytes;
    }
    return 0;
}

/* An empty cache in the place of what is there, which stays when there is no memory. */
static int cache_make(struct bpe *b, size_t n_slots, struct err *e) {
    struct cached *slot = mem_array(n_slots, sizeof *slot, "word cache", e);
    uint32_t *pool = slot ? mem_array(n_slots, CACHE_UNITS * sizeof *pool, "word cache", e) : NULL;
    if (!pool) {
        free(slot);
        return ERR_MEMORY;
    }
    free(b->slot);
    free(b->pool);
    b->slot = slot, b->pool = pool;
    b->n_slots = n_slots, b->n_cached = 0, b->n_pool = 1;
    return 0;
}

int bpe_open(struct bpe **out, const int32_t byte_id[256], const struct bpe_merge *merge, size_t n_merges,
             const struct bpe_word *whole, size_t n_whole, struct err *e) {
    *out = NULL;
    if (n_merges > LIMIT || n_whole > LIMIT)
        return err_set(e, ERR_RANGE, "tokenizer: %zu merges, %zu entries: want at most 2^30", n_merges, n_whole);
    struct bpe *b = mem_array(1, sizeof *b, "tokenizer", e);
    if (!b) return ERR_MEMORY;
    memcpy(b->byte_id, byte_id, sizeof b->byte_id);
    int rc = build_pairs(b, merge, n_merges, e);
    if (!rc && n_whole) rc = build_entries(b, whole, n_whole, e);
    if (!rc) rc = cache_make(b, CACHE_FIRST, e);
    if (rc)
        bpe_close(b);
    else
        *out = b;
    return rc;
}

static void free_work(struct bpe *b) {
    free(b->sym);
    free(b->next);
    free(b->prev);
    free(b->rank);
    free(b->heap);
    b->sym = b->next = b->prev = b->rank = NULL;
    b->heap = NULL;
    b->room = 0;
}

void bpe_close(struct bpe *b) {
    if (!b) return;
    free_work(b);
    free(b->pair);
    free(b->joined);
    free(b->entry);
    free(b->entry_byte);
    free(b->slot);
    free(b->pool);
    free(b);
}

static int reserve_work(struct bpe *b, size_t n, struct err *e) {
    if (n <= b->room) return 0;
    free_work(b);
    size_t room = 256;
    while (room < n) room *= 2;
    b->sym = mem_array(room, sizeof *b->sym, "a word", e);
    b->next = mem_array(room, sizeof *b->next, "a word", e);
    b->prev = mem_array(room, sizeof *b->prev, "a word", e);
    b->rank = mem_array(room, sizeof *b->rank, "a word", e);
    /* at most n - 1 pairs at first, and each of at most n - 1 merges takes one entry out and puts two in */
    b->heap = mem_array(2 * room, sizeof *b->heap, "a word", e);
    if (!b->sym || !b->next || !b->prev || !b->rank || !b->heap) {
        free_work(b);
        return ERR_MEMORY;
    }
    b->room = room;
    return 0;
}

static void heap_push(uint64_t *heap, size_t *n, uint64_t x) {
    size_t i = (*n)++;
    for (; i && heap[(i - 1) / 2] > x; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = x;
}

static uint64_t heap_pop(uint64_t *heap, size_t *n) {
    uint64_t top = heap[0], x = heap[--*n];
    size_t i = 0;
    for (size_t c = 1; c < *n; c = 2 * i + 1) {
        if (c + 1 < *n && heap[c + 1] < heap[c]) c++;
        if (heap[c] >= x) break;
        heap[i] = heap[c];
        i = c;
    }
    heap[i] = x;
    return top;
}

/* Look up the pair that begins at symbol i and queue it. */
static void queue_pair(struct bpe *b, size_t *n_heap, int32_t i) {
    int32_t j = b->next[i];
    b->rank[i] = j < 0 ? -1 : pair_rank(b, b->sym[i], b->sym[j]);
    if (b->rank[i] >= 0) heap_push(b->heap, n_heap, (uint64_t)(uint32_t)b->rank[i] << 32 | (uint32_t)i);
}

/* Merge until no pair is left; the symbols that remain are linked from 0. */
static void merge_word(struct bpe *b, const char *word, size_t n) {
    size_t n_heap = 0;
    for (size_t i = 0; i < n; i++) {
        b->sym[i] = b->byte_id[(unsigned char)word[i]];
        b->prev[i] = (int32_t)i - 1;
        b->next[i] = i + 1 < n ? (int32_t)i + 1 : -1;
    }
    for (size_t i = 0; i < n; i++) queue_pair(b, &n_heap, (int32_t)i);
    while (n_heap) {
        uint64_t top = heap_pop(b->heap, &n_heap);
        int32_t i = (int32_t)(uint32_t)top, rank = (int32_t)(top >> 32);
        if (b->rank[i] != rank) continue;
        int32_t gone = b->next[i];
        b->sym[i] = b->joined[rank];
        b->next[i] = b->next[gone];
        b->rank[gone] = -1;
        if (b->next[i] >= 0) b->prev[b->next[i]] = i;
        if (b->prev[i] >= 0) queue_pair(b, &n_heap, b->prev[i]);
        queue_pair(b, &n_heap, i);
    }
}

static void cache_empty(struct bpe *b) {
    if (b->n_slots < CACHE_SLOTS && !cache_make(b, 2 * b->n_slots, NULL)) return;
    memset(b->slot, 0, b->n_slots * sizeof *b->slot);
    b->n_cached = 0, b->n_pool = 1;
}

static struct cached *cache_slot(struct bpe *b, uint64_t hash, const char *word, size_t n) {
    size_t i = (size_t)hash & (b->n_slots - 1);
    for (; b->slot[i].at; i = (i + 1) & (b->n_slots - 1)) {
        const struct cached *c = &b->slot[i];
        if (c->hash == hash && c->n_bytes == n && !memcmp(b->pool + c->at + c->n_ids, word, n)) break;
    }
    return &b->slot[i];
}

static void cache_put(struct bpe *b, uint64_t hash, const char *word, size_t n, const int32_t *id, size_t n_ids) {
    size_t need = n_ids + (n + 3) / 4;
    if (b->n_cached == b->n_slots / 2 || need > b->n_slots * CACHE_UNITS - b->n_pool) cache_empty(b);
    struct cached *c = cache_slot(b, hash, word, n);
    *c = (struct cached){hash, (uint32_t)b->n_pool, (uint16_t)n, (uint16_t)n_ids};
    memcpy(b->pool + b->n_pool, id, n_ids * sizeof *id);
    memcpy(b->pool + b->n_pool + n_ids, word, n);
    b->n_pool += need;
    b->n_cached++;
}

int bpe_encode(struct bpe *b, const char *word, size_t n_bytes, struct bpe_ids *out, struct err *e) {
    if (!n_bytes) return 0;
    if (n_bytes >= LIMIT) return err_set(e, ERR_RANGE, "text: a word of %zu bytes: want fewer than 2^30", n_bytes);
    uint64_t hash = 0;
    if (n_bytes <= CACHE_LONGEST) {
        hash = XXH3_64bits(word, n_bytes);
        const struct cached *c = cache_slot(b, hash, word, n_bytes);
        if (c->at) return bpe_ids_append(out, (const int32_t *)(b->pool + c->at), c->n_ids, e);
    }
    if (b->entry) {
        const struct entry *w = &b->entry[entry_slot(b, word, n_bytes)];
        if (w->id >= 0) return bpe_ids_push(out, w->id, e);
    }
    int rc = reserve_work(b, n_bytes, e);
    if (rc) return rc;
    merge_word(b, word, n_bytes);
    size_t first = out->n;
    for (int32_t i = 0; !rc && i >= 0; i = b->next[i]) rc = bpe_ids_push(out, b->sym[i], e);
    if (!rc && n_bytes <= CACHE_LONGEST) cache_put(b, hash, word, n_bytes, out->id + first, out->n - first);
    return rc;
}
