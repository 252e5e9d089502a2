/* clones.h - SIMD_CLONES before a plain C function: compiled for AVX-512, AVX2 and the base processor, chosen when the program is
 * loaded (GCC's target_clones). For loops without fused multiply-add; simd.h is the tool where that matters. Under sanitizers and
 * other compilers only the base version exists. */
#ifndef SAEMILL_CLONES_H
#define SAEMILL_CLONES_H

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) &&               \
    !defined(__SANITIZE_THREAD__)
#define SIMD_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define SIMD_CLONES
#endif

#endif
