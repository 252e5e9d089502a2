/* bf16.h - bfloat16, the upper half of a float32. Tests: tests/test_safetensors.c */
#ifndef SAEMILL_BF16_H
#define SAEMILL_BF16_H

#include <stdint.h>

static inline float bf16_f32(uint16_t h) {
    union {
        uint32_t u;
        float f;
    } v = {(uint32_t)h << 16};
    return v.f;
}

/* To nearest, ties to even; NaN stays NaN. */
static inline uint16_t bf16_of(float x) {
    union {
        float f;
        uint32_t u;
    } v = {x};
    if ((v.u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((v.u >> 16) | 0x40);
    return (uint16_t)((v.u + 0x7fffu + ((v.u >> 16) & 1)) >> 16);
}

#endif
