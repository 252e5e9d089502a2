/* added.c - see added.h. */
#include "lib/lm/added.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"

static int by_bytes(const void *a, const void *b) {
    const struct added_token *x = a, *y = b;
    int c = memcmp(x->byte, y->byte, x->n_bytes < y->n_bytes ? x->n_bytes : y->n_bytes);
    return c ? c : (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
}

int added_build(struct added *a, const struct added_token *token, size_t n, const char *where, struct err *e) {
    *a = (struct added){0};
    if (!n) return 0;
    a->token = mem_array(n, sizeof *token, "added tokens", e);
    if (!a->token) return ERR_MEMORY;
    memcpy(a->token, token, n * sizeof *token);
    a->n = n;
    qsort(a->token, n, sizeof *token, by_bytes);
    for (size_t i = 0; i < n; i++) {
        const struct added_token *t = &a->token[i];
        CHECK(t->n_bytes);
        if (i && !by_bytes(t - 1, t)) {
            err_set(e, ERR_FORMAT, "%s: '%.*s' is there twice: ids %d and %d", where, (int)t->n_bytes, t->byte,
                    t[-1].id, t->id);
            added_free(a);
            return ERR_FORMAT;
        }
        for (size_t b = (size_t)(unsigned char)t->byte[0] + 1; b < 257; b++) a->first[b]++;
    }
    return 0;
}

void added_free(struct added *a) {
    free(a->token);
    *a = (struct added){0};
}

/* The longest token at the start of text, or NULL. [lo,hi) are the tokens that share its first `depth` bytes. */
static const struct added_token *longest(const struct added *a, const char *text, size_t n) {
    const struct added_token *best = NULL;
    size_t lo = a->first[(unsigned char)text[0]], hi = a->first[(unsigned char)text[0] + 1];
    for (size_t depth = 1; lo < hi; depth++) {
        if (a->token[lo].n_bytes == depth) best = &a->token[lo++];
        if (depth == n) break;
        unsigned char c = (unsigned char)text[depth];
        while (lo < hi && (unsigned char)a->token[lo].byte[depth] < c) lo++;
        while (lo < hi && (unsigned char)a->token[hi - 1].byte[depth] > c) hi--;
    }
    return best;
}

bool added_find(const struct added *a, const char *text, size_t n_bytes, size_t at, size_t *start,
                const struct added_token **hit) {
    if (!a->n) return false;
    for (size_t i = at; i < n_bytes; i++) {
        size_t b = (unsigned char)text[i];
        if (a->first[b] == a->first[b + 1]) continue;
        *hit = longest(a, text + i, n_bytes - i);
        *start = i;
        if (*hit) return true;
    }
    return false;
}
