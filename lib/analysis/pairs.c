/* pairs.c - see pairs.h. */
#include "lib/analysis/pairs.h"

#include <float.h>
#include <omp.h>
#include <stdlib.h>

#include "kernels/base/linear.h"
#include "lib/base/arena.h"

struct work {
    const float *x;
    size_t n, D;
    float *packed; /* the rows as linear.h wants its weights: PAIRS_BLOCK is a whole number of panels */
    float *memory; /* two tiles a thread */
    void (*visit)(void *, const struct pairs_tile *);
    void *ctx;
};

static size_t block_rows(size_t n, size_t block) {
    size_t i0 = block * PAIRS_BLOCK;
    return n - i0 < PAIRS_BLOCK ? n - i0 : PAIRS_BLOCK;
}

static void one_tile(const struct work *w, size_t I, size_t J) {
    enum { TILE = PAIRS_BLOCK * PAIRS_BLOCK };
    float *g = w->memory + 2 * TILE * (size_t)omp_get_thread_num();
    size_t i0 = I * PAIRS_BLOCK, j0 = J * PAIRS_BLOCK, ni = block_rows(w->n, I), nj = block_rows(w->n, J);
    linear_cpu(ni, nj, w->D, w->x + i0 * w->D, w->D, w->packed + j0 * w->D, LINEAR_PANEL * w->D, NULL, g, PAIRS_BLOCK);
    struct pairs_tile t = {.i0 = i0, .ni = ni, .j0 = j0, .nj = nj, .g = g, .scratch = g + TILE};
    w->visit(w->ctx, &t);
}

/* Circle method for m teams, m even: team m-1 stays; in round r it meets r, and r+k meets r-k (mod m-1). */
static void opponents(size_t m, size_t round, size_t k, size_t *a, size_t *b) {
    *a = k ? (round + k) % (m - 1) : m - 1;
    *b = k ? (round + (m - 1) - k) % (m - 1) : round;
}

int pairs_each(const float *x, size_t n, size_t D, void (*visit)(void *, const struct pairs_tile *), void *ctx,
               struct err *e) {
    size_t blocks = (n + PAIRS_BLOCK - 1) / PAIRS_BLOCK, m = blocks + blocks % 2;
    struct work w = {.x = x, .n = n, .D = D, .visit = visit, .ctx = ctx};
    w.memory =
        mem_array((size_t)omp_get_max_threads(), 2 * sizeof(float) * PAIRS_BLOCK * PAIRS_BLOCK, "pairs: tiles", e);
    w.packed = w.memory ? mem_array(linear_padded(n), D * sizeof(float), "pairs: packed rows", e) : NULL;
    if (!w.packed) {
        free(w.memory);
        return ERR_MEMORY;
    }
#pragma omp parallel
    {
#pragma omp for schedule(static)
        for (size_t i = 0; i < n; i += LINEAR_PANEL)
            linear_pack(false, n - i < LINEAR_PANEL ? n - i : LINEAR_PANEL, D, x + i * D, D, w.packed + i * D);
#pragma omp for schedule(dynamic)
        for (size_t I = 0; I < blocks; I++) one_tile(&w, I, I);
        for (size_t round = 0; round + 1 < m; round++) {
#pragma omp for schedule(dynamic)
            for (size_t k = 0; k < m / 2; k++) {
                size_t a, b;
                opponents(m, round, k, &a, &b);
                if (a < blocks && b < blocks) one_tile(&w, a < b ? a : b, a < b ? b : a);
            }
        }
    }
    free(w.packed);
    free(w.memory);
    return 0;
}

int pairs_squares(const float *x, size_t n, size_t D, float *square, struct err *e) {
    for (size_t i = 0; i < n; i++) {
        double s = 0;
        for (size_t d = 0; d < D; d++) s += (double)x[i * D + d] * x[i * D + d];
        if (!(s <= FLT_MAX / 4)) {
            err_set(e, ERR_NUMERIC, "row %zu holds NaN, Inf or numbers too large for squared distances", i);
            return err_hint(e, "distances need finite rows; look at row %zu of the input (counted from 0)", i);
        }
        square[i] = (float)s;
    }
    return 0;
}
