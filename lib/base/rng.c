/* rng.c - see rng.h. */
#include "lib/base/rng.h"

#include <math.h>

void rng_block(uint64_t seed, uint64_t stream, uint64_t ctr, uint32_t out[4]) {
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)ctr, c1 = (uint32_t)(ctr >> 32), c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    for (int r = 0; r < 10; r++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1, c3 = (uint32_t)p0, c0 = n0, c2 = n2;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

static uint64_t bits64(const uint32_t b[4], int i) { return (uint64_t)b[i] << 32 | b[i + 1]; }

double rng_uniform(uint64_t seed, uint64_t stream, uint64_t ctr) {
    uint32_t b[4];
    rng_block(seed, stream, ctr, b);
    return (double)(bits64(b, 0) >> 11) * 0x1p-53;
}

double rng_normal(uint64_t seed, uint64_t stream, uint64_t ctr) {
    uint32_t b[4];
    rng_block(seed, stream, ctr, b);
    double u = ((double)(bits64(b, 0) >> 11) + 1.0) * 0x1p-53, v = (double)(bits64(b, 2) >> 11) * 0x1p-53;
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586477 * v);
}

uint64_t rng_below(uint64_t seed, uint64_t stream, uint64_t ctr, uint64_t n) {
    uint32_t b[4];
    rng_block(seed, stream, ctr, b);
    return (uint64_t)(((unsigned __int128)bits64(b, 0) * n) >> 64);
}

void rng_shuffle(uint64_t seed, uint64_t stream, uint32_t *out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = (uint32_t)i;
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(seed, stream, i, i);
        uint32_t t = out[i - 1];
        out[i - 1] = out[j], out[j] = t;
    }
}

enum { FEISTEL_ROUNDS = 4 };

static int half_bits(uint64_t n) {
    int h = 1;
    while (h < 32 && ((uint64_t)1 << (2 * h)) < n) h++;
    return h;
}

static uint64_t round_fn(uint64_t seed, uint64_t stream, int r, uint64_t x, uint64_t mask) {
    uint32_t b[4];
    rng_block(seed, stream ^ 0x5045524d00000000u, x << 3 | (uint64_t)r, b);
    return b[0] & mask;
}

uint64_t rng_permute(uint64_t seed, uint64_t stream, uint64_t i, uint64_t n) {
    int h = half_bits(n);
    uint64_t mask = ((uint64_t)1 << h) - 1;
    do {
        uint64_t l = i >> h, r = i & mask;
        for (int k = 0; k < FEISTEL_ROUNDS; k++) {
            uint64_t t = l ^ round_fn(seed, stream, k, r, mask);
            l = r, r = t;
        }
        i = l << h | r;
    } while (i >= n);
    return i;
}

uint64_t rng_permute_inverse(uint64_t seed, uint64_t stream, uint64_t i, uint64_t n) {
    int h = half_bits(n);
    uint64_t mask = ((uint64_t)1 << h) - 1;
    do {
        uint64_t l = i >> h, r = i & mask;
        for (int k = FEISTEL_ROUNDS - 1; k >= 0; k--) {
            uint64_t t = r ^ round_fn(seed, stream, k, l, mask);
            r = l, l = t;
        }
        i = l << h | r;
    } while (i >= n);
    return i;
}
