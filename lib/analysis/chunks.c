/* chunks.c - see chunks.h. */
#include "lib/analysis/chunks.h"

#include <stdlib.h>

#include "lib/base/arena.h"

void chunks_plan_free(struct chunks_plan *p) {
    free(p->found);
    free(p->chunk);
    *p = (struct chunks_plan){0};
}

/* Rows waiting for their chunk to fill, one queue a group. */
struct queues {
    size_t *row, *n; /* [G, tokens], [G] */
    int32_t *doc;    /* [G] */
};

/* Number the full chunks of each group from 0: chunk[row] is local to its group. */
static int number(const struct cooccur_rows *r, size_t tokens, bool within, struct queues *q, struct chunks_plan *p,
                  struct err *e) {
    for (size_t i = 0; i < r->N; i++) {
        p->chunk[i] = -1;
        if (r->group[i] < 0 || (size_t)r->group[i] >= r->G)
            return err_set(e, ERR_RANGE, "row_group: row %zu: want 0 to %zu, got %d", i, r->G - 1, r->group[i]);
        size_t g = (size_t)r->group[i];
        if (within && (!q->n[g] || r->doc[i] != q->doc[g])) q->n[g] = 0, q->doc[g] = r->doc[i];
        q->row[g * tokens + q->n[g]++] = i;
        if (q->n[g] < tokens) continue;
        if (p->found[g] >= INT32_MAX)
            return err_set(e, ERR_RANGE, "row_group: more than 2^31-1 chunks: want larger ones");
        for (size_t t = 0; t < tokens; t++) p->chunk[q->row[g * tokens + t]] = (int32_t)p->found[g];
        p->found[g]++;
        q->n[g] = 0;
    }
    return 0;
}

static int too_few(const struct cooccur_rows *r, const struct chunks_plan *p, size_t tokens, size_t per_group,
                   const char *const *names, struct err *e) {
    size_t least = SIZE_MAX;
    for (size_t g = 0; g < r->G; g++)
        if (p->found[g] < least) least = p->found[g];
    for (size_t g = 0; g < r->G; g++)
        if (p->found[g] < (per_group ? per_group : 1)) {
            err_set(e, ERR_RANGE, "group %s: want %zu chunks of %zu tokens, found %zu", names[g],
                    per_group ? per_group : 1, tokens, p->found[g]);
            if (least) return err_hint(e, "ask for at most %zu chunks a group, or collect more tokens", least);
            return err_hint(e, "use shorter chunks, or collect more tokens of that group");
        }
    return 0;
}

int chunks_plan(const struct cooccur_rows *rows, size_t tokens, size_t per_group, bool within, const char *const *names,
                struct chunks_plan *out, struct err *e) {
    struct queues q = {0};
    size_t cells;
    CHECK(tokens >= 1 && rows->G >= 1);
    *out = (struct chunks_plan){0};
    if (!size_product(rows->G, tokens, 1, &cells)) cells = SIZE_MAX;
    out->found = mem_array(rows->G, sizeof *out->found, "chunks", e);
    out->chunk = out->found ? mem_array(rows->N, sizeof *out->chunk, "chunks", e) : NULL;
    q.row = out->chunk ? mem_array(cells, sizeof *q.row, "chunks", e) : NULL;
    q.n = q.row ? mem_array(2 * rows->G, sizeof *q.n, "chunks", e) : NULL;
    q.doc = q.n ? mem_array(rows->G, sizeof *q.doc, "chunks", e) : NULL;
    int rc = q.doc ? number(rows, tokens, within, &q, out, e) : ERR_MEMORY;
    if (!rc) rc = too_few(rows, out, tokens, per_group, names, e);
    size_t *first = q.n ? q.n + rows->G : NULL; /* number of the first chunk of each group */
    for (size_t g = 0; !rc && g < rows->G; g++) {
        first[g] = out->chunks;
        out->chunks += per_group ? per_group : out->found[g];
    }
    if (!rc && out->chunks > INT32_MAX)
        rc = err_set(e, ERR_RANGE, "row_group: more than 2^31-1 chunks: want larger ones");
    for (size_t i = 0; !rc && i < rows->N; i++) {
        int32_t *c = &out->chunk[i];
        if (*c >= 0 && per_group && (size_t)*c >= per_group) *c = -1;
        if (*c >= 0) *c += (int32_t)first[rows->group[i]];
    }
    out->rows = out->chunks * tokens;
    free(q.row), free(q.n), free(q.doc);
    if (rc) chunks_plan_free(out);
    return rc;
}

void chunks_mark(const struct active *a, size_t B, const int32_t *chunk, struct firing *m) {
    for (size_t b = 0; b < B; b++)
        for (size_t i = a->row[b]; i < a->row[b + 1]; i++) firing_set(m, a->feat[i], (size_t)chunk[b]);
}
