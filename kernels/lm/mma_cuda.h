/* mma_cuda.h - the matrix units of a warp, bf16 in and float32 out: PTX's mma.m16n8k16 and ldmatrix.x4, which sm_80 has and later cards
 * keep. Lane l holds of A [16,16] rows l/4 and l/4+8, of B [16,8] and of C [16,8] column, or columns, from l%4 on, as the PTX manual
 * draws them ("Matrix Fragments for mma.m16n8k16"). Inside kernels/<op>_cuda.cu only. */
#ifndef SAEMILL_MMA_CUDA_H
#define SAEMILL_MMA_CUDA_H

#include "kernels/lm/lm_cuda.h"

#ifdef SAEMILL_EMULATE
#define mma_add(c, a, b)         emulate_mma(c, a, b)
#define mma_load(r, row)         emulate_ldmatrix(r, row, 0)
#define mma_load_columns(r, row) emulate_ldmatrix(r, row, 1)
#else

/* C += A B */
__device__ static inline void mma_add(float c[4], const uint32_t a[4], const uint32_t b[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* Four 8 x 8 matrices from shared memory: lanes 8i .. 8i+7 say where the rows of matrix i are, 16-byte aligned. */
__device__ static inline void mma_load(uint32_t r[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
}
__device__ static inline void mma_load_columns(uint32_t r[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
}
#endif

#endif
