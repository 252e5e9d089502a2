/* symmul.h - one square tile of a symmetric matrix times four vectors, from both sides in one reading of the tile.
 *
 *   yr[b,i] = sum_j a[i,j] xc[b,j]        yc[b,j] = sum_i a[i,j] xr[b,i]
 *
 * A symmetric matrix kept as its upper tiles is so read once for a whole product: half the bytes. The product is bound by memory,
 * four vectors cost little more than one. _ref is the definition (double sums); _cpu picks AVX-512, AVX2 with FMA, or plain C at run
 * time: |error| <= 64 eps32 sum|a x| (256 terms in 16 or 8 lanes, or in order). Tests: tests/test_spectral.c */
#ifndef SAEMILL_SYMMUL_H
#define SAEMILL_SYMMUL_H

#include <stddef.h>

enum { SYMMUL_T = 256, SYMMUL_B = 4 }; /* rows and columns of a tile; vectors */

/*   a        [256,256] f32, row-major, 64-byte aligned; read only
 *   xr, xc   [4,256]   f32, the vectors at the tile's rows and columns; read only
 *   yr, yc   [4,256]   f32, overwritten; must not overlap the rest
 * Threads: calls on disjoint outputs may run at once. */
void symmul_tile_ref(const float *a, const float *xr, const float *xc, float *restrict yr, float *restrict yc);
void symmul_tile_cpu(const float *a, const float *xr, const float *xc, float *restrict yr, float *restrict yc);

#endif
