/* popcount.h - co-firing counts: how many bits two rows of a bit matrix have in common.
 *
 *   out[i,j] = sum_w popcount(a[i,w] & b[j,w])
 *
 * popcount_and_ref is the definition. popcount_and_cpu picks, at run time, the widest of AVX-512 VPOPCNTDQ, AVX2 and plain C
 * that this processor has; all give the same integers. Sums are kept in 64 bits inside and are exact while a row has fewer
 * than 2^32 bits. Tests: tests/test_affinity.c */
#ifndef SAEMILL_POPCOUNT_H
#define SAEMILL_POPCOUNT_H

#include <stddef.h>
#include <stdint.h>

/*   M, N        rows of a and of b; 0 is fine
 *   W           words of 64 bits in a row, < 2^26; 0 gives zeros
 *   a  [M,lda]  u64, bit c of word c/64 is column c; read only, any alignment (64 bytes is fastest)
 *   b  [N,ldb]  u64, the same; may be a
 *   lda, ldb    stride between rows in words, >= W
 *   out [M,ldo] u32, overwritten in its first N columns
 * Threads: disjoint outputs may be filled at once; starts no threads itself. */
void popcount_and_ref(size_t M, size_t N, size_t W, const uint64_t *a, size_t lda, const uint64_t *b, size_t ldb,
                      uint32_t *restrict out, size_t ldo);
void popcount_and_cpu(size_t M, size_t N, size_t W, const uint64_t *a, size_t lda, const uint64_t *b, size_t ldb,
                      uint32_t *restrict out, size_t ldo);

/* Bits set in W words. */
uint64_t popcount_row(size_t W, const uint64_t *a);

#endif
