/* bitmul.h - a bit matrix times a few dense vectors, both ways round, without ever unpacking the bits.
 *
 *   gather    y[f,b]  = sum_c bit(f,c) u[b,c]
 *   scatter   u[b,c] += sum_f bit(f,c) v[f,b]
 *
 * With these two the covariance of the columns acts on a vector at the cost of reading the bits twice (lib/analysis/spectral.h).
 * _ref is the definition (double sums). _cpu picks AVX-512, AVX2 or plain C at run time; all three add in one fixed order and
 * give the same bytes: gather in 16 float32 lanes (c mod 16), emptied into a double every 4096 columns; scatter in float32 over runs
 * of 256 features, emptied into a double. So the relative error of a sum is at most about 256 eps32 of the sum of magnitudes.
 * Tests: tests/test_spectral.c */
#ifndef SAEMILL_BITMUL_H
#define SAEMILL_BITMUL_H

#include <stddef.h>
#include <stdint.h>

enum { BITMUL_B = 4 }; /* vectors at a time */

/*   F, W               features (rows) and words of 64 columns; either may be 0
 *   bits  [F,ld]       u64, bit c of word c/64 is column c; read only
 *   u     [4,ldu]      f32 (gather: read only) or f64 (scatter: added to); ldu >= 64 W; columns past the last must be finite
 *   y     [F,4]        f64, overwritten
 *   v     [F,4]        f32, read only
 * Threads: calls on disjoint outputs may run at once; none are started here. */
void bitmul_gather_ref(size_t F, size_t W, const uint64_t *bits, size_t ld, const float *u, size_t ldu,
                       double *restrict y);
void bitmul_gather_cpu(size_t F, size_t W, const uint64_t *bits, size_t ld, const float *u, size_t ldu,
                       double *restrict y);
void bitmul_scatter_ref(size_t F, size_t W, const uint64_t *bits, size_t ld, const float *v, double *restrict u,
                        size_t ldu);
void bitmul_scatter_cpu(size_t F, size_t W, const uint64_t *bits, size_t ld, const float *v, double *restrict u,
                        size_t ldu);

#endif
