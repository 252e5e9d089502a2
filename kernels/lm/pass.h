/* pass.h - the small operations of a language model's forward pass, between the large ones; as batch.h is for training.
 *
 * Two kinds of numbers are in a pass. The residual stream, the norms' weights, biases and tables are float32 with every
 * back end. What products read and write, and their packed weights, is of elem_bytes each (lm_kernels.h): float32 on
 * the host, on a GPU perhaps bf16. Those are typed float * all the same; lib/lm moves about in them with lm_at and
 * never looks into them. Tests: tests/test_forward.c, tests/test_rows.c */
#ifndef SAEMILL_PASS_H
#define SAEMILL_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum { PASS_TILE = 64 };

/* Up to PASS_TILE neighbouring rows of one sequence, for a device. */
struct pass_tile {
    uint32_t first, T, row; /* the sequence's first row in the batch, its length, the tile's first position in it */
};

/* Where the sequences of a batch lie: rows start[i] .. start[i+1]-1 are sequence i. */
struct pass_place {
    size_t n, rows;
    const size_t *start;  /* [n+1] of the host */
    const int32_t *token; /* [rows]; this and what follows: a device's memory, NULL with a host's table */
    const int32_t *position;
    const struct pass_tile *tile; /* [n_tiles] */
    size_t n_tiles;
};

/* p := the place of n sequences; good until the second next call on a device.   start [n+1], token [start[n]] or NULL */
void pass_place_host(size_t n, const size_t *start, const int32_t *token, struct pass_place *p);

/* x[i] += delta[i].   x [n] f32; delta [n] of elem_bytes */
void pass_add_host(size_t n, float *x, const float *delta);

/* out[i] := x[i] for the host.
 *   wide  x is f32, else of elem_bytes
 *   bf16  out is bf16, to nearest even, else f32
 *   out   host memory; on a device it may be filled later: see sent */
void pass_fetch_host(size_t n, const float *x, bool wide, bool bf16, void *out);

/* x[i] := from[i], the way back.
 *   from  [n] f32 of the host; not looked at any more when the call returns
 *   wide  x is f32, else of elem_bytes
 * On a device it is as a place's call: a place is good until the second next of either. */
void pass_put_host(size_t n, const float *from, bool wide, float *x);

/* out[r] := x[r, column[r] - first] where that column is one of these N; the others are left.
 *   x [M,N] f32, rows ldx apart; column [M] i32, out [M] f32, of the back end's memory */
void pass_pick_host(size_t M, size_t N, const float *x, size_t ldx, size_t first, const int32_t *column, float *out);

/* A device notes in `slot` (0 or 1) what was started so far; pass_await waits for that and tells what went wrong. */
void pass_sent_host(int slot);
int pass_await_host(int slot, struct err *e);

#endif
