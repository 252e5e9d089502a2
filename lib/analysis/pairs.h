/* pairs.h - every unordered pair of rows once, as tiles of inner products.
 *
 * The rows are cut into blocks of PAIRS_BLOCK. Two blocks make a tile g[a][b] = <x_(i0+a), x_(j0+b)>, one
 * single-threaded product with rows packed once (kernels/base/linear.h; n*D floats more, and twice the rate of OpenBLAS here). Tiles come in rounds (a tournament of blocks, circle method); no two tiles of a round
 * share a block, so a visitor may write to per-row state of both its blocks without locks, and each row meets its tiles
 * in the same order whatever the number of threads. Tests: tests/test_knn.c */
#ifndef SAEMILL_PAIRS_H
#define SAEMILL_PAIRS_H

#include <stddef.h>

#include "lib/base/err.h"

enum { PAIRS_BLOCK = 512 };

struct pairs_tile {
    size_t i0, ni, j0,
        nj;         /* rows and their numbers; i0 == j0 for a block with itself, which holds both (a,b) and (b,a) */
    const float *g; /* [ni, PAIRS_BLOCK], the first nj of each row used */
    float *scratch; /* [PAIRS_BLOCK, PAIRS_BLOCK] f32 for the visitor, one per thread */
};

/* Visit all tiles.
 *   x      [n,D] f32, row-major; read only
 *   visit  called from several threads at once, never for tiles that share a block
 * Errors: ERR_MEMORY. */
int pairs_each(const float *x, size_t n, size_t D, void (*visit)(void *ctx, const struct pairs_tile *t), void *ctx,
               struct err *e);

/* ERR_NUMERIC naming the first row that holds NaN or Inf or whose squared norm overflows float32 / 4; else 0 and
 * square[n] := squared norms (double sums, rounded once). */
int pairs_squares(const float *x, size_t n, size_t D, float *square, struct err *e);

#endif
