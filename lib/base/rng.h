/* rng.h - counter-based random numbers: a value depends on (seed, stream, counter) alone, never on call order or threads.
 *
 * Philox4x32-10, Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3. Known-answer test and
 * distribution tests: tests/test_base.c. */
#ifndef SAEMILL_RNG_H
#define SAEMILL_RNG_H

#include <stddef.h>
#include <stdint.h>

/* One Philox block: out[0..3] from counter (ctr, stream) and key seed. */
void rng_block(uint64_t seed, uint64_t stream, uint64_t ctr, uint32_t out[4]);

/* The number at one counter. uniform: [0,1) with 53 bits. normal: mean 0, variance 1 (Box-Muller on one block). */
double rng_uniform(uint64_t seed, uint64_t stream, uint64_t ctr);
double rng_normal(uint64_t seed, uint64_t stream, uint64_t ctr);

/* An integer in [0, n), n > 0, without bias worth naming (128-bit multiply of 64 random bits: bias < n / 2^64). */
uint64_t rng_below(uint64_t seed, uint64_t stream, uint64_t ctr, uint64_t n);

/* out[0..n) := a seeded permutation of 0..n-1 (Fisher-Yates). */
void rng_shuffle(uint64_t seed, uint64_t stream, uint32_t *out, size_t n);

/* A seeded permutation of [0,n) evaluated at one point, without a table: a 4-round Feistel network on the smallest even
 * number of bits covering n, walked until the value falls below n (Black and Rogaway 2002, "Ciphers with arbitrary finite
 * domains"). rng_permute_inverse undoes it. i < n. */
uint64_t rng_permute(uint64_t seed, uint64_t stream, uint64_t i, uint64_t n);
uint64_t rng_permute_inverse(uint64_t seed, uint64_t stream, uint64_t i, uint64_t n);

#endif
