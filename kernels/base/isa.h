/* isa.h - which vector instructions this processor has, asked at run time.
 *
 * The kernels that include it are written once, in GCC's vector extension with a fixed number of lanes and no fused
 * multiply-add, and compiled for each level; every level therefore gives the same bytes. */
#ifndef SAEMILL_ISA_H
#define SAEMILL_ISA_H

enum isa {
    ISA_PLAIN,
    ISA_AVX2,
    ISA_AVX512
}; /* ISA_AVX512: F, BW, DQ and VL, as on every server since Skylake and Zen 4 */

/* The highest level that this processor and the compiler's target know. */
static inline enum isa isa_best(void) {
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return ISA_AVX512;
    if (__builtin_cpu_supports("avx2")) return ISA_AVX2;
#endif
    return ISA_PLAIN;
}

#ifdef __x86_64__
#define ISA_TARGET_AVX2 __attribute__((target("avx2")))
#ifdef __clang__
#define ISA_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#else
#define ISA_TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")))
#endif
#else
#define ISA_TARGET_AVX2
#define ISA_TARGET_AVX512
#endif

/* For functions that take or return vectors: always inlined, so the warning that their calling convention depends on
 * the target does not concern them. Files that use it say: #pragma GCC diagnostic ignored "-Wpsabi" */
#define ISA_INLINE static inline __attribute__((always_inline))

#endif
