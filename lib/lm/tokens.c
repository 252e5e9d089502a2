/* tokens.c - see tokens.h. */
#include "lib/lm/tokens.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"

static int64_t start_of(const struct tokens *t, size_t d) {
    int64_t v;
    memcpy(&v, (const char *)t->doc_start->data + d * sizeof v, sizeof v); /* a map need not be aligned */
    return v;
}

int32_t tokens_id(const struct tokens *t, size_t i) {
    int32_t v;
    memcpy(&v, (const char *)t->ids->data + i * sizeof v, sizeof v);
    return v;
}

int32_t tokens_group(const struct tokens *t, size_t d) {
    int32_t v;
    memcpy(&v, (const char *)t->doc_group->data + d * sizeof v, sizeof v);
    return v;
}

/* Tokens of document d without its BOS: [*first, *end). */
static void body(const struct tokens *t, size_t d, size_t *first, size_t *end) {
    *first = (size_t)start_of(t, d);
    *end = (size_t)start_of(t, d + 1);
    if (t->bos >= 0 && *first < *end && tokens_id(t, *first) == t->bos) ++*first;
}

static int read_meta(struct tokens *t, const char *path, size_t *n_groups, struct err *e) {
    const char *bos = safetensors_meta(t->st, "bos_id");
    json_t *groups;
    char *end;
    t->groups = safetensors_meta(t->st, "groups");
    if (!bos || !t->groups) {
        err_set(e, ERR_FORMAT, "%s: metadata '%s': is missing", path, bos ? "groups" : "bos_id");
        return err_hint(e, "want a file of the stage tokenize");
    }
    errno = 0;
    long v = strtol(bos, &end, 10);
    if (errno || !*bos || *end || v < -1 || v > INT32_MAX)
        return err_set(e, ERR_FORMAT, "%s: metadata 'bos_id': want a token id or -1, got '%.40s'", path, bos);
    t->bos = (int32_t)v;
    groups = json_loads(t->groups, 0, NULL);
    *n_groups = json_is_array(groups) ? json_array_size(groups) : 0;
    for (size_t i = 0; i < *n_groups; i++)
        if (!json_is_string(json_array_get(groups, i))) *n_groups = 0;
    json_decref(groups);
    if (!*n_groups)
        return err_set(e, ERR_FORMAT, "%s: metadata 'groups': want a JSON array of names, got '%.40s'", path,
                       t->groups);
    return 0;
}

static int check_docs(const struct tokens *t, const char *path, size_t n_groups, struct err *e) {
    size_t words = 0;
    if (start_of(t, 0) != 0)
        return err_set(e, ERR_FORMAT, "%s: doc_start: want 0 first, got %lld", path, (long long)start_of(t, 0));
    for (size_t d = 0; d < t->n_docs; d++) {
        int64_t a = start_of(t, d), b = start_of(t, d + 1);
        size_t first, end;
        if (b < a || (uint64_t)b > t->N)
            return err_set(e, ERR_FORMAT, "%s: doc_start: document %zu: want %lld to %zu, got %lld", path, d,
                           (long long)a, t->N, (long long)b);
        if (tokens_group(t, d) < 0 || (size_t)tokens_group(t, d) >= n_groups)
            return err_set(e, ERR_FORMAT, "%s: doc_group: document %zu: want 0 to %zu, got %d", path, d, n_groups - 1,
                           (int)tokens_group(t, d));
        body(t, d, &first, &end);
        words += end - first;
    }
    if ((uint64_t)start_of(t, t->n_docs) != t->N)
        return err_set(e, ERR_FORMAT, "%s: doc_start: want %zu (the number of ids) last, got %lld", path, t->N,
                       (long long)start_of(t, t->n_docs));
    if (words) return 0;
    err_set(e, ERR_RANGE, "%s: ids: no tokens besides BOS", path);
    return err_hint(e, "the corpus or the split that was tokenized is empty");
}

static int check_file(struct tokens *t, const char *path, struct err *e) {
    const int64_t any = ST_ANY;
    size_t n_groups;
    int rc = safetensors_get(t->st, "ids", ST_I32, 1, &any, &t->ids, e);
    if (!rc) rc = safetensors_get(t->st, "doc_start", ST_I64, 1, &any, &t->doc_start, e);
    if (!rc) rc = safetensors_get(t->st, "doc_group", ST_I32, 1, &any, &t->doc_group, e);
    if (rc) return rc;
    t->N = t->ids->n_elems;
    t->n_docs = t->doc_group->n_elems;
    if (t->doc_start->n_elems != t->n_docs + 1 || t->n_docs >= INT32_MAX)
        return err_set(e, ERR_SHAPE, "%s: doc_start: bad shape: want [%zu], got [%zu]", path, t->n_docs + 1,
                       t->doc_start->n_elems);
    rc = read_meta(t, path, &n_groups, e);
    if (rc) return rc;
    return check_docs(t, path, n_groups, e);
}

int tokens_open(struct tokens *t, const char *path, struct err *e) {
    *t = (struct tokens){0};
    int rc = safetensors_open(&t->st, path, e);
    if (!rc) rc = check_file(t, path, e);
    if (rc) tokens_close(t);
    if (rc && e && !e->hint[0]) err_hint(e, "want a whole file that the stage tokenize wrote");
    return rc;
}

void tokens_close(struct tokens *t) {
    safetensors_close(t->st);
    *t = (struct tokens){0};
}

int tokens_check_vocab(const struct tokens *t, size_t vocab, struct err *e) {
    const char *path = t->ids->path;
    for (size_t i = 0; i < t->N; i++) {
        int32_t id = tokens_id(t, i);
        if (id >= 0 && (size_t)id < vocab) continue;
        err_set(e, ERR_RANGE, "%s: ids: token %zu: want 0 to %zu (the model's vocabulary), got %d", path, i, vocab - 1,
                (int)id);
        return err_hint(e, "tokenize with the tokenizer.json of this model");
    }
    if (t->bos < 0 || (size_t)t->bos < vocab) return 0;
    err_set(e, ERR_RANGE, "%s: metadata 'bos_id': want less than %zu (the model's vocabulary), got %d", path, vocab,
            (int)t->bos);
    return err_hint(e, "tokenize with the tokenizer.json of this model");
}

int tokens_windows(const struct tokens *t, size_t T, struct window **w, size_t *n, struct err *e) {
    size_t bos = t->bos >= 0, step = T - bos, count = 0, first, end;
    CHECK(T >= 2 && T <= UINT32_MAX);
    for (size_t d = 0; d < t->n_docs; d++) {
        body(t, d, &first, &end);
        count += (end - first) / step + ((end - first) % step != 0);
    }
    *n = 0;
    *w = mem_array(count, sizeof **w, "windows", e);
    if (!*w) return ERR_MEMORY;
    for (size_t d = 0; d < t->n_docs; d++) {
        body(t, d, &first, &end);
        for (; first < end; first += step) {
            size_t words = end - first < step ? end - first : step;
            (*w)[(*n)++] = (struct window){first, (uint32_t)(words + bos), (uint32_t)d};
            if (words < step) break;
        }
    }
    return 0;
}

int tokens_sample(const struct tokens *t, size_t T, size_t most, struct window **w, size_t *n, struct err *e) {
    size_t all = 0, total = 0;
    int rc = tokens_windows(t, T, w, &all, e);
    if (rc) return rc;
    for (size_t i = 0; i < all; i++) total += (*w)[i].T;
    size_t every = total / most + (total % most > 0);
    *n = 0;
    for (size_t i = every / 2; i < all; i += every) (*w)[(*n)++] = (*w)[i];
    if (!*n) (*w)[(*n)++] = (*w)[all / 2];
    return 0;
}

void tokens_window_ids(const struct tokens *t, const struct window *w, int32_t *out) {
    size_t bos = t->bos >= 0;
    if (bos) out[0] = t->bos;
    for (size_t i = bos; i < w->T; i++) out[i] = tokens_id(t, w->first + i - bos);
}
