/* encode.h - the SAE's encoder and the set of entries that matter, as a sparse matrix.
 *
 *   pre[b,f] = sum_d x[b,d] W_enc[f,d] + b_enc[f]       kept where pre[b,f] > low[f] (strict)
 *
 * JumpReLU (Rajamanoharan et al. 2024, eq. 4): low = theta gives the active features, z = pre. In training low = theta - eps/2, so
 * that the straight-through band |pre - theta| < eps/2 is kept too. ReLU: low = 0.
 * Tests: tests/test_encode.c */
#ifndef SAEMILL_ENCODE_H
#define SAEMILL_ENCODE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/err.h"

/* Entries by row (CSR): those of row b are at row[b] .. row[b+1]-1, features ascending. */
struct active {
    size_t B, cap;            /* rows, room for entries */
    size_t n;                 /* entries: row[B] of the last encode */
    size_t *row;              /* [B+1] */
    uint32_t *feat;           /* [cap] feature of the entry */
    float *pre;               /* [cap] its pre-activation */
    struct encode_work *work; /* what encode_cpu keeps for its next call */
};

/* Room for B rows and cap entries; active_free releases. ERR_MEMORY. */
int active_init(struct active *a, size_t B, size_t cap, struct err *e);
void active_free(struct active *a);

/* The same as a part of an arena, which frees it, but for what encode_cpu keeps: active_drop. active_need: the bytes. */
void active_take(struct active *a, size_t B, size_t cap, struct arena *from);
void active_drop(struct active *a);
size_t active_need(size_t B, size_t cap);

/* Of encode_cpu's memory; NULL is no error. */
void encode_work_free(struct encode_work *w);

/*   x      [B,D] f32, row-major; read only
 *   W_enc  [F,D] f32, a feature's weights contiguous; read only
 *   b_enc  [F]   f32
 *   low    [F]   f32, see above; -INFINITY keeps all
 *   a            a->row [0..B] and a->n overwritten with the true counts in every case; a->feat, a->pre filled
 * Returns 0, ERR_RANGE if the entries (a->row[B]) exceed a->cap: grow and call again, or take the dense path; ERR_MEMORY.
 * NaN in x or W_enc compares false: such entries are dropped, so callers check rows for NaN first.
 * Same bytes for any thread count. */
int encode_ref(size_t B, size_t D, size_t F, const float *x, const float *W_enc, const float *b_enc, const float *low,
               struct active *a);
int encode_cpu(size_t B, size_t D, size_t F, const float *x, const float *W_enc, const float *b_enc, const float *low,
               struct active *a);

#endif
