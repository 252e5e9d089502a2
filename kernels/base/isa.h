/* isa.h - which vector instructions this processor has, and functions compiled for each.
 *
 * A function is written once as `f_body`, in plain C (loops with `#pragma omp simd`, or GCC's vector extension), and ISA_FUNCTION
 * compiles it for every level and makes f, which calls the copy that fits. Where intrinsics are wanted, f_plain, f_avx2 and f_avx512
 * are written out and called by ISA_PICK(f). Nothing is fused unless the code says so (-ffp-contract=off), so a loop without
 * reductions, or with a fixed number of lanes, gives the same bytes on every level. Tests: each kernel's, at each level */
#ifndef SAEMILL_ISA_H
#define SAEMILL_ISA_H

enum isa {
    ISA_PLAIN,
    ISA_AVX2,    /* and FMA */
    ISA_AVX512,  /* F, BW, DQ and VL, as on every server since Skylake and Zen 4 */
    ISA_VPOPCNT, /* and VPOPCNTDQ: Ice Lake, Zen 4 */
    ISA_LEVELS
};

/* The highest level that this processor and the compiler's target know; the level in use, which is that unless a test lowers it. */
enum isa isa_best(void);
extern enum isa isa_level;

#define ISA_INLINE static inline __attribute__((always_inline))

#ifdef __x86_64__
#define ISA_AVX2_CODE    __attribute__((target("avx2,fma")))
#define ISA_AVX512_CODE  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))
#define ISA_VPOPCNT_CODE __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq")))
#define ISA_PICK(f)      (isa_level >= ISA_AVX512 ? f##_avx512 : isa_level >= ISA_AVX2 ? f##_avx2 : f##_plain)
#define ISA_COPIES(returns, f, parameters, arguments)                                                                  \
    static returns f##_plain parameters { return f##_body arguments; }                                                 \
    ISA_AVX2_CODE static returns f##_avx2 parameters { return f##_body arguments; }                                    \
    ISA_AVX512_CODE static returns f##_avx512 parameters { return f##_body arguments; }
#else
#define ISA_PICK(f) f##_plain
#define ISA_COPIES(returns, f, parameters, arguments)                                                                  \
    static returns f##_plain parameters { return f##_body arguments; }
#endif

/*   linkage     static or nothing      returns  the type
 *   parameters  in parentheses, as those of f_body, which is ISA_INLINE      arguments  their names, in parentheses */
#define ISA_FUNCTION(linkage, returns, f, parameters, arguments)                                                       \
    ISA_COPIES(returns, f, parameters, arguments)                                                                      \
    linkage returns f parameters { return ISA_PICK(f) arguments; }

#endif
