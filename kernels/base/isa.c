/* isa.c - see isa.h. */
#include "kernels/base/isa.h"

enum isa isa_level;

enum isa isa_best(void) {
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return __builtin_cpu_supports("avx512vpopcntdq") ? ISA_VPOPCNT : ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return ISA_AVX2;
#endif
    return ISA_PLAIN;
}

__attribute__((constructor)) static void look(void) { isa_level = isa_best(); }
