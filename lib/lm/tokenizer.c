/* tokenizer.c - see tokenizer.h. */
#include "lib/lm/tokenizer.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/lm/pretoken.h"
#include "lib/lm/unitext.h"

struct tokenizer {
    struct bpe *bpe;
    struct pretoken *split;
    struct added raw, normalized;
    char *added_byte; /* the bytes of the tokens in raw and normalized */
    bool nfc, prefix_space;
    int32_t bos, n_ids;
    struct unitext_buf repaired, composed, prefixed;
};

/* Copy the tokens with their bytes, so that the file can go; those that are looked for after normalisation are
 * normalised too. at   in added_byte, moved on */
static int take_added(struct tokenizer *t, struct added *set, const struct added_token *token, size_t n, bool nfc,
                      size_t *at, const char *where, struct err *e) {
    struct added_token *copy = n ? mem_array(n, sizeof *copy, "added tokens", e) : NULL;
    int rc = n && !copy ? ERR_MEMORY : 0;
    for (size_t i = 0; !rc && i < n; i++) {
        const char *text = token[i].byte;
        size_t n_bytes = token[i].n_bytes;
        if (nfc) rc = unitext_nfc(token[i].byte, token[i].n_bytes, &t->composed, &text, &n_bytes, e);
        if (rc) break;
        char *p = memcpy(t->added_byte + *at, text, n_bytes);
        copy[i] = (struct added_token){p, n_bytes, token[i].id};
        *at += n_bytes;
    }
    if (!rc) rc = added_build(set, copy, n, where, e);
    free(copy);
    return rc;
}

int tokenizer_build(struct tokenizer **out, const struct tokfile *f, const char *path, struct err *e) {
    char where[PATH_MAX + 32];
    size_t n_bytes = 0, at = 0;
    *out = NULL;
    struct tokenizer *t = mem_array(1, sizeof *t, "tokenizer", e);
    if (!t) return ERR_MEMORY;
    t->nfc = f->nfc;
    t->prefix_space = f->prefix_space;
    t->bos = f->bos;
    t->n_ids = f->largest + 1;
    /* NFC is at most three times as long as what it comes from (Unicode Annex 15, section 14). */
    for (size_t i = 0; i < f->n_raw; i++) n_bytes += f->raw[i].n_bytes;
    for (size_t i = 0; i < f->n_normalized; i++) n_bytes += 3 * f->normalized[i].n_bytes;
    t->added_byte = mem_array(n_bytes, 1, "added tokens", e);
    int rc = t->added_byte ? 0 : ERR_MEMORY;
    snprintf(where, sizeof where, "%s: added_tokens", path);
    if (!rc) rc = take_added(t, &t->raw, f->raw, f->n_raw, false, &at, where, e);
    if (!rc) rc = take_added(t, &t->normalized, f->normalized, f->n_normalized, f->nfc, &at, where, e);
    snprintf(where, sizeof where, "%s: pre_tokenizer", path);
    if (!rc) rc = pretoken_open(&t->split, f->pattern, where, e);
    if (!rc) rc = bpe_open(&t->bpe, f->byte_id, f->merge, f->n_merges, f->whole, f->n_whole, e);
    if (rc)
        tokenizer_close(t);
    else
        *out = t;
    return rc;
}

int tokenizer_open(struct tokenizer **out, const char *dir, struct err *e) {
    struct tokfile f;
    char path[PATH_MAX];
    *out = NULL;
    int rc = tokfile_read(&f, dir, e);
    if (!rc) {
        snprintf(path, sizeof path, "%s/tokenizer.json", dir);
        rc = tokenizer_build(out, &f, path, e);
    }
    tokfile_free(&f);
    return rc;
}

void tokenizer_close(struct tokenizer *t) {
    if (!t) return;
    bpe_close(t->bpe);
    pretoken_close(t->split);
    added_free(&t->raw);
    added_free(&t->normalized);
    free(t->added_byte);
    unitext_free(&t->repaired);
    unitext_free(&t->composed);
    unitext_free(&t->prefixed);
    free(t);
}

int32_t tokenizer_bos(const struct tokenizer *t) { return t->bos; }

int32_t tokenizer_n_ids(const struct tokenizer *t) { return t->n_ids; }

/* Text without added tokens, normalised: pre-tokens, then merges. */
static int encode_plain(struct tokenizer *t, const char *text, size_t n, struct bpe_ids *out, struct err *e) {
    int rc = 0;
    if (n && t->prefix_space && text[0] != ' ') {
        t->prefixed.n = 0;
        rc = unitext_append(&t->prefixed, " ", 1, e);
        if (!rc) rc = unitext_append(&t->prefixed, text, n, e);
        text = t->prefixed.byte;
        n = t->prefixed.n;
    }
    for (size_t at = 0, end; !rc && at < n; at = end) {
        rc = pretoken_next(t->split, text, n, at, &end, e);
        if (!rc) rc = bpe_encode(t->bpe, text + at, end - at, out, e);
    }
    return rc;
}

/* Text without raw added tokens: NFC, then the added tokens that are looked for behind it. */
static int encode_piece(struct tokenizer *t, const char *text, size_t n, struct bpe_ids *out, struct err *e) {
    const struct added_token *hit;
    size_t at = 0, start;
    int rc = t->nfc ? unitext_nfc(text, n, &t->composed, &text, &n, e) : 0;
    while (!rc && added_find(&t->normalized, text, n, at, &start, &hit)) {
        rc = encode_plain(t, text + at, start - at, out, e);
        if (!rc) rc = bpe_ids_push(out, hit->id, e);
        at = start + hit->n_bytes;
    }
    return rc ? rc : encode_plain(t, text + at, n - at, out, e);
}

int tokenizer_encode(struct tokenizer *t, const char *text, size_t n_bytes, struct bpe_ids *out, struct err *e) {
    const struct added_token *hit;
    size_t at = 0, start;
    int rc = unitext_repair(text, n_bytes, &t->repaired, &text, &n_bytes, e);
    while (!rc && added_find(&t->raw, text, n_bytes, at, &start, &hit)) {
        rc = encode_piece(t, text + at, start - at, out, e);
        if (!rc) rc = bpe_ids_push(out, hit->id, e);
        at = start + hit->n_bytes;
    }
    return rc ? rc : encode_piece(t, text + at, n_bytes - at, out, e);
}
