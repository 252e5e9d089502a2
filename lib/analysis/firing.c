/* firing.c - see firing.h. */
#include "lib/analysis/firing.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/analysis/popcount.h"
#include "lib/base/arena.h"
#include "lib/file/safetensors.h"

enum { TILE = 128 };

int firing_init(struct firing *m, size_t F, size_t chunks, size_t n_groups, struct err *e) {
    *m = (struct firing){.F = F, .chunks = chunks, .n_groups = n_groups};
    if (!F || !chunks || chunks > UINT32_MAX)
        return err_set(e, ERR_RANGE, "firing matrix: want at least one feature and 1 to 2^32-1 chunks, got %zu and %zu",
                       F, chunks);
    m->words = (chunks + 511) / 512 * 8;
    size_t n;
    if (!size_product(F, m->words, 1, &n)) n = SIZE_MAX;
    m->bits = mem_array(n, sizeof *m->bits, "firing matrix", e);
    m->count = m->bits ? mem_array(F, sizeof *m->count, "firing counts", e) : NULL;
    m->group = m->count ? mem_array(chunks, sizeof *m->group, "chunk groups", e) : NULL;
    if (m->group) return 0;
    firing_free(m);
    return ERR_MEMORY;
}

void firing_free(struct firing *m) {
    free(m->bits);
    free(m->count);
    free(m->group);
    *m = (struct firing){0};
}

void firing_count(struct firing *m) {
#pragma omp parallel for schedule(static)
    for (size_t f = 0; f < m->F; f++) m->count[f] = (uint32_t)popcount_row(m->words, m->bits + f * m->words);
}

int firing_select(struct firing *out, const struct firing *m, const uint32_t *keep, size_t n, struct err *e) {
    int rc = firing_init(out, n, m->chunks, m->n_groups, e);
    if (rc) return rc;
    memcpy(out->group, m->group, m->chunks * sizeof *m->group);
    for (size_t i = 0; i < n; i++) {
        CHECK(keep[i] < m->F);
        memcpy(out->bits + i * out->words, m->bits + keep[i] * m->words, m->words * sizeof *m->bits);
        out->count[i] = m->count[keep[i]];
    }
    return 0;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

void firing_cofire(const struct firing *m, uint32_t *n11) {
    size_t F = m->F, W = m->words, nb = (F + TILE - 1) / TILE;
#pragma omp parallel for schedule(dynamic)
    for (size_t t = 0; t < nb; t++) { /* a row of tiles right of the diagonal; each tile writes itself and its mirror */
        size_t i0 = t * TILE, ni = smaller(TILE, F - i0);
        for (size_t j0 = i0; j0 < F; j0 += TILE) {
            size_t nj = smaller(TILE, F - j0);
            popcount_and_cpu(ni, nj, W, m->bits + i0 * W, W, m->bits + j0 * W, W, n11 + i0 * F + j0, F);
            for (size_t j = 0; j < nj && j0 != i0; j++)
                for (size_t i = 0; i < ni; i++) n11[(j0 + j) * F + i0 + i] = n11[(i0 + i) * F + j0 + j];
        }
    }
}

static size_t disk_words(const struct firing *m) { return (m->chunks + 63) / 64; }

int firing_write(const struct firing *m, const char *path, const char *groups, const char *record, size_t tokens,
                 struct err *e) {
    struct stwriter *w = NULL;
    char n_chunks[32], n_tokens[32];
    size_t words = disk_words(m);
    const int64_t shape[2] = {(int64_t)m->F, (int64_t)words}, one[1] = {(int64_t)m->F}, per[1] = {(int64_t)m->chunks};
    snprintf(n_chunks, sizeof n_chunks, "%zu", m->chunks);
    snprintf(n_tokens, sizeof n_tokens, "%zu", tokens);
    int rc = stwriter_open(&w, path, e);
    if (!rc) rc = stwriter_meta(w, "record", record, e);
    if (!rc) rc = stwriter_meta(w, "groups", groups, e);
    if (!rc) rc = stwriter_meta(w, "n_chunks", n_chunks, e);
    if (!rc) rc = stwriter_meta(w, "chunk_tokens", n_tokens, e);
    int fired = rc ? rc : stwriter_declare(w, "fired", ST_U64, 2, shape, e);
    int count = fired < 0 ? fired : stwriter_declare(w, "count", ST_U32, 1, one, e);
    int group = count < 0 ? count : stwriter_declare(w, "chunk_group", ST_I32, 1, per, e);
    if (group < 0) rc = group;
    for (size_t f = 0; !rc && f < m->F; f++)
        rc = stwriter_write(w, fired, f * words * 8, m->bits + f * m->words, words * 8, e);
    if (!rc) rc = stwriter_write(w, count, 0, m->count, m->F * sizeof *m->count, e);
    if (!rc) rc = stwriter_write(w, group, 0, m->group, m->chunks * sizeof *m->group, e);
    if (!rc) return stwriter_commit(w, e);
    stwriter_abort(w);
    return rc;
}

static int read_groups(const struct safetensors *s, const char *path, size_t *n, char **text, struct err *e) {
    const char *groups = safetensors_meta(s, "groups");
    json_t *names = groups ? json_loads(groups, 0, NULL) : NULL;
    *n = json_is_array(names) ? json_array_size(names) : 0;
    json_decref(names);
    if (!*n)
        return err_set(e, ERR_FORMAT, "%s: metadata groups: want a JSON array of names, got %s", path,
                       groups ? groups : "none");
    if (!text) return 0;
    size_t len = strlen(groups) + 1;
    *text = malloc(len);
    if (!*text) return err_set(e, ERR_MEMORY, "%s: no memory for the group names", path);
    memcpy(*text, groups, len);
    return 0;
}

/* What the file says about itself must be so. */
static int verify(const struct firing *m, const char *path, struct err *e) {
    size_t words = disk_words(m);
    uint64_t past = m->chunks % 64 ? ~(uint64_t)0 << (m->chunks % 64) : 0;
    for (size_t f = 0; f < m->F; f++) {
        uint64_t n = popcount_row(m->words, m->bits + f * m->words);
        if (m->bits[f * m->words + words - 1] & past)
            return err_set(e, ERR_FORMAT, "%s: fired: feature %zu has a bit past the last of %zu chunks", path, f,
                           m->chunks);
        if (n != m->count[f])
            return err_set(e, ERR_FORMAT, "%s: count: feature %zu: want %llu (its bits), got %u", path, f,
                           (unsigned long long)n, m->count[f]);
    }
    for (size_t c = 0; c < m->chunks; c++)
        if (m->group[c] < 0 || (size_t)m->group[c] >= m->n_groups)
            return err_set(e, ERR_FORMAT, "%s: chunk_group: chunk %zu: want 0 to %zu, got %d", path, c, m->n_groups - 1,
                           m->group[c]);
    return 0;
}

static int load(struct firing *m, const struct safetensors *s, const char *path, char **groups, struct err *e) {
    const struct safetensors_tensor *fired, *count, *group;
    const int64_t any2[2] = {ST_ANY, ST_ANY}, any1[1] = {ST_ANY};
    size_t n_groups = 0;
    int rc;
    rc = safetensors_get(s, "fired", ST_U64, 2, any2, &fired, e);
    if (!rc) rc = safetensors_get(s, "count", ST_U32, 1, fired->shape, &count, e);
    if (!rc) rc = safetensors_get(s, "chunk_group", ST_I32, 1, any1, &group, e);
    if (!rc) rc = read_groups(s, path, &n_groups, groups, e);
    if (rc) return rc;
    size_t F = (size_t)fired->shape[0], chunks = (size_t)group->shape[0], words = (size_t)fired->shape[1];
    if (words != (chunks + 63) / 64)
        return err_set(e, ERR_SHAPE, "%s: fired: bad shape: want [%zu,%zu] for %zu chunks, got [%zu,%zu]", path, F,
                       (chunks + 63) / 64, chunks, F, words);
    rc = firing_init(m, F, chunks, n_groups, e);
    if (rc) return rc;
    for (size_t f = 0; f < F; f++) memcpy(m->bits + f * m->words, (const char *)fired->data + f * words * 8, words * 8);
    memcpy(m->count, count->data, F * sizeof *m->count);
    memcpy(m->group, group->data, chunks * sizeof *m->group);
    return verify(m, path, e);
}

int firing_read(struct firing *m, const char *path, char **groups, struct err *e) {
    struct safetensors *s;
    int rc = safetensors_open(&s, path, e);
    *m = (struct firing){0};
    if (groups) *groups = NULL;
    if (rc) return rc;
    rc = load(m, s, path, groups, e);
    safetensors_close(s);
    if (rc) {
        firing_free(m);
        if (groups) free(*groups), *groups = NULL;
    }
    return rc;
}
