/* encode_cpu.c - see encode.h.
 *
 * The weights are packed once a call (linear.h). A slice of SLICE rows is multiplied into a buffer that stays in cache, SPAN
 * features at a time, and scanned at once: the dense [B,F] matrix never goes to memory. An element is one chain of additions, so it
 * depends neither on threads nor on its place in the batch; entries of a slice go to a list of their own and are joined in row
 * order afterwards. */
#include "kernels/encode.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/linear.h"
#include "kernels/select.h"
#include "lib/base/arena.h"

enum { SLICE = 128, SPAN = 1024 };

struct list { /* entries of one slice, by span, row and feature */
    uint32_t *feat;
    float *pre;
    size_t n, cap;
};

static int list_room(struct list *l, size_t more) {
    if (l->n + more <= l->cap) return 0;
    size_t cap = 2 * l->cap + more + 4096;
    uint32_t *f = realloc(l->feat, cap * sizeof *f);
    if (f) l->feat = f;
    float *p = realloc(l->pre, cap * sizeof *p);
    if (p) l->pre = p;
    if (!f || !p) return ERR_MEMORY;
    l->cap = cap;
    return 0;
}

/* One slice: fills l and counts[span][row]. buf holds SLICE*SPAN floats. */
static int slice_encode(size_t rows, size_t D, size_t F, const float *x, const float *packed, const float *b_enc,
                        const float *low, float *buf, struct list *l, uint32_t *counts) {
    for (size_t f0 = 0, s = 0; f0 < F; f0 += SPAN, s++) {
        size_t n = F - f0 < SPAN ? F - f0 : SPAN;
        linear_cpu(rows, n, D, x, D, packed + f0 * D, LINEAR_PANEL * D, b_enc + f0, buf, SPAN);
        for (size_t r = 0; r < rows; r++) {
            if (list_room(l, n)) return ERR_MEMORY;
            size_t got = select_above(n, buf + r * SPAN, low + f0, (uint32_t)f0, l->feat + l->n, l->pre + l->n);
            counts[s * SLICE + r] = (uint32_t)got;
            l->n += got;
        }
    }
    return 0;
}

/* Entries lie by (span, row); rows want them by (row, span). */
static void slice_join(size_t rows, size_t spans, const struct list *l, const uint32_t *counts, const size_t *row,
                       struct active *a) {
    size_t at[SLICE], from = 0;
    for (size_t r = 0; r < rows; r++) at[r] = row[r];
    for (size_t s = 0; s < spans; s++)
        for (size_t r = 0; r < rows; r++) {
            size_t n = counts[s * SLICE + r];
            memcpy(a->feat + at[r], l->feat + from, n * sizeof *a->feat);
            memcpy(a->pre + at[r], l->pre + from, n * sizeof *a->pre);
            at[r] += n, from += n;
        }
}

int encode_cpu(size_t B, size_t D, size_t F, const float *x, const float *W_enc, const float *b_enc, const float *low,
               struct active *a) {
    size_t slices = (B + SLICE - 1) / SLICE, spans = (F + SPAN - 1) / SPAN;
    struct list *l = calloc(slices ? slices : 1, sizeof *l);
    uint32_t *counts = mem_array(slices * spans, SLICE * sizeof *counts, "encode: counts", NULL);
    float *packed = mem_array(linear_padded(F), D * sizeof *packed, "encode: weights", NULL);
    int rc = l && counts && packed ? 0 : ERR_MEMORY;
    const size_t slices_now = rc ? 0 : slices, features_now = rc ? 0 : F;
#pragma omp parallel
    {
#pragma omp for schedule(static)
        for (size_t f = 0; f < features_now; f += LINEAR_PANEL)
            linear_pack(false, F - f < LINEAR_PANEL ? F - f : LINEAR_PANEL, D, W_enc + f * D, D, packed + f * D);
        float *buf = mem_array(SLICE, SPAN * sizeof *buf, "encode: tile", NULL);
#pragma omp for schedule(dynamic)
        for (size_t s = 0; s < slices_now; s++) {
            size_t b0 = s * SLICE, rows = B - b0 < SLICE ? B - b0 : SLICE;
            int bad = !buf ||
                      slice_encode(rows, D, F, x + b0 * D, packed, b_enc, low, buf, &l[s], counts + s * spans * SLICE);
            if (bad) {
#pragma omp atomic write
                rc = ERR_MEMORY;
            }
        }
        free(buf);
    }
    if (!rc) {
        a->row[0] = 0;
        for (size_t b = 0; b < B; b++) {
            size_t n = 0;
            for (size_t s = 0; s < spans; s++) n += counts[(b / SLICE * spans + s) * SLICE + b % SLICE];
            a->row[b + 1] = a->row[b] + n;
        }
        a->n = a->row[B];
        if (a->n > a->cap) rc = ERR_RANGE;
    }
    if (!rc) {
#pragma omp parallel for schedule(static)
        for (size_t s = 0; s < slices; s++) {
            size_t b0 = s * SLICE, rows = B - b0 < SLICE ? B - b0 : SLICE;
            slice_join(rows, spans, &l[s], counts + s * spans * SLICE, a->row + b0, a);
        }
    }
    for (size_t s = 0; l && s < slices; s++) free(l[s].feat), free(l[s].pre);
    free(l);
    free(counts);
    free(packed);
    return rc;
}
