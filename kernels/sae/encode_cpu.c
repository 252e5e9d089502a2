/* encode_cpu.c - see encode.h.
 *
 * The rows of the batch are packed, not the weights: they are fewer, and a step changes all weights. A piece of the work is CHUNK
 * features on SLICE rows, multiplied (linear.h, the roles exchanged) into a buffer that stays in cache and scanned at once: the dense
 * [B,F] matrix never goes to memory. An element is one chain of additions, so it depends neither on threads nor on its place in the
 * batch. A piece has its entries by feature in a list of its own; when all are counted, they are dealt out to the rows. */
#include "kernels/sae/encode.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/linear.h"
#include "kernels/sae/select.h"
#include "lib/base/arena.h"

enum { CHUNK = 96, SLICE = 512 };

struct list { /* entries of one piece, by feature and row */
    uint32_t *row;
    float *pre;
    size_t n, cap;
    size_t end[CHUNK]; /* of each feature's */
};

static int list_room(struct list *l, size_t more) {
    if (l->n + more <= l->cap) return 0;
    size_t cap = 2 * l->cap + more + 4096;
    uint32_t *r = realloc(l->row, cap * sizeof *r);
    if (r) l->row = r;
    float *p = realloc(l->pre, cap * sizeof *p);
    if (p) l->pre = p;
    if (!r || !p) return ERR_MEMORY;
    l->cap = cap;
    return 0;
}

struct encode_work {
    size_t B, D, F, threads; /* what there is room for */
    size_t pieces;
    float *packed;     /* rows of the batch */
    float *tile;       /* [threads, CHUNK, SLICE] */
    uint32_t *at;      /* [chunks + 1, B] */
    struct list *list; /* [slices, chunks] */
};

/* What all pieces share: entries of row b from chunk c are counted in at[c*B + b], which later says where they go. */
struct job {
    size_t B, D, F, chunks, slices;
    const float *W_enc, *b_enc, *low;
    const struct encode_work *w;
};

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

void encode_work_free(struct encode_work *w) {
    if (!w) return;
    for (size_t p = 0; w->list && p < w->pieces; p++) free(w->list[p].row), free(w->list[p].pre);
    free(w->packed), free(w->tile), free(w->at), free(w->list);
    free(w);
}

/* The memory of the last call, or new: a step that takes and gives back some MB each time pays for clearing them. */
static struct encode_work *work_for(struct encode_work *old, const struct job *j, size_t threads) {
    if (old && j->B <= old->B && j->D == old->D && j->F == old->F && threads <= old->threads) return old;
    encode_work_free(old);
    struct encode_work *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    *w = (struct encode_work){.B = j->B, .D = j->D, .F = j->F, .threads = threads, .pieces = j->chunks * j->slices};
    w->packed = mem_array(linear_padded(j->B), j->D * sizeof *w->packed, "encode: rows", NULL);
    w->tile = mem_array(threads, CHUNK * SLICE * sizeof *w->tile, "encode: tiles", NULL);
    w->at = mem_array(j->chunks + 1, j->B * sizeof *w->at, "encode: counts", NULL);
    w->list = calloc(w->pieces + 1, sizeof *w->list);
    if (w->packed && w->tile && w->at && w->list) return w;
    encode_work_free(w);
    return NULL;
}

/* Piece p; buf [CHUNK, SLICE] is the thread's. */
static int piece_encode(const struct job *j, size_t p, float *buf) {
    const size_t f0 = p % j->chunks * CHUNK, b0 = p / j->chunks * SLICE, D = j->D;
    const size_t n = smaller(CHUNK, j->F - f0), rows = smaller(SLICE, j->B - b0);
    struct list *l = &j->w->list[p];
    uint32_t *count = j->w->at + p % j->chunks * j->B;
    for (size_t f = 0; f < n; f++)
        for (size_t b = 0; b < rows; b++) buf[f * SLICE + b] = j->b_enc[f0 + f];
    memset(count + b0, 0, rows * sizeof *count);
    l->n = 0;
    linear_add_cpu(n, rows, D, j->W_enc + f0 * D, D, j->w->packed + b0 * D, LINEAR_PANEL * D, buf, SLICE);
    for (size_t f = 0; f < n; f++) {
        if (list_room(l, rows)) return ERR_MEMORY;
        l->n += select_above(rows, buf + f * SLICE, j->low[f0 + f], (uint32_t)b0, l->row + l->n, l->pre + l->n);
        l->end[f] = l->n;
    }
    for (size_t i = 0; i < l->n; i++) count[l->row[i]]++;
    return 0;
}

/* Counts to places within the row, chunk after chunk; a->row. */
static void number(const struct job *j, struct active *a) {
    uint32_t *total = j->w->at + j->chunks * j->B;
    memset(total, 0, j->B * sizeof *total);
    for (size_t c = 0; c < j->chunks; c++)
        for (size_t b = 0; b < j->B; b++) {
            uint32_t n = j->w->at[c * j->B + b];
            j->w->at[c * j->B + b] = total[b];
            total[b] += n;
        }
    a->row[0] = 0;
    for (size_t b = 0; b < j->B; b++) a->row[b + 1] = a->row[b] + total[b];
    a->n = a->row[j->B];
}

static void piece_deal(const struct job *j, size_t p, struct active *a) {
    const struct list *l = &j->w->list[p];
    const size_t f0 = p % j->chunks * CHUNK, n = smaller(CHUNK, j->F - f0);
    uint32_t *at = j->w->at + p % j->chunks * j->B;
    for (size_t f = 0, i = 0; f < n; f++)
        for (; i < l->end[f]; i++) {
            const size_t b = l->row[i], to = a->row[b] + at[b]++;
            a->feat[to] = (uint32_t)(f0 + f), a->pre[to] = l->pre[i];
        }
}

int encode_cpu(size_t B, size_t D, size_t F, const float *x, const float *W_enc, const float *b_enc, const float *low,
               struct active *a) {
    struct job j = {B, D, F, (F + CHUNK - 1) / CHUNK, (B + SLICE - 1) / SLICE, W_enc, b_enc, low, NULL};
    const size_t pieces = j.chunks * j.slices;
    int rc = 0;
    j.w = a->work = work_for(a->work, &j, (size_t)omp_get_max_threads());
    if (!a->work) return ERR_MEMORY;
#pragma omp parallel
    {
        float *buf = j.w->tile + (size_t)omp_get_thread_num() * CHUNK * SLICE;
#pragma omp for schedule(static)
        for (size_t b = 0; b < B; b += LINEAR_PANEL)
            linear_pack(false, smaller(LINEAR_PANEL, B - b), D, x + b * D, D, j.w->packed + b * D);
#pragma omp for schedule(dynamic)
        for (size_t p = 0; p < pieces; p++)
            if (piece_encode(&j, p, buf)) {
#pragma omp atomic write
                rc = ERR_MEMORY;
            }
#pragma omp single
        if (!rc) {
            number(&j, a);
            if (a->n > a->cap) rc = ERR_RANGE;
        }
        if (!rc) {
#pragma omp for schedule(static)
            for (size_t c = 0; c < j.chunks; c++) /* the slices of a chunk share its counts */
                for (size_t s = 0; s < j.slices; s++) piece_deal(&j, s * j.chunks + c, a);
        }
    }
    if (rc) encode_work_free(a->work), a->work = NULL; /* lists of far too many entries are not kept */
    return rc;
}
