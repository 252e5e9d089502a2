/* emulate.h - enough of CUDA to run kernels/<op>_cuda.cu on the CPU, compiled as C: every block one after the other, its threads as
 * coroutines that take turns at barriers and shuffles, in an order that differs from launch to launch and with some warps held back, so
 * that a missing barrier shows as a wrong or a changing result (taken out one by one, 13 of the kernels' 14 do). What it checks:
 * indices, orders, barriers (a thread that misses one stops the program with a message), the operations against their definitions.
 * What it cannot: speed, memory faults inside a block's arrays, two threads at one memory cell in the same instant, cuBLAS, copies. */
#ifndef SAEMILL_EMULATE_H
#define SAEMILL_EMULATE_H

#include <stddef.h>
#include <stdint.h>

struct emulate_index {
    unsigned x, y, z;
};
extern struct emulate_index threadIdx, blockIdx, blockDim, gridDim;
extern unsigned long long emulate_shared[] __attribute__((aligned(64)));

#define __global__
#define __device__
#define __host__
#define __shared__ static

typedef struct {
    uint16_t bits;
} __nv_bfloat16;
float __bfloat162float(__nv_bfloat16 x);

typedef struct {
    uint32_t x, y;
} uint2;
typedef struct {
    uint32_t x, y, z, w;
} uint4;
typedef struct {
    float x, y, z, w;
} float4;
__nv_bfloat16 __float2bfloat16_rn(float x);
float __uint_as_float(uint32_t u);
#define __bfloat16_as_ushort(x) ((x).bits)

void emulate_barrier(void);
void emulate_mma(float c[4], const uint32_t a[4], const uint32_t b[2]);
void emulate_ldmatrix(uint32_t r[4], const void *row, int transposed);
double emulate_shuffle(double v, unsigned source_lane);
unsigned emulate_ballot(int on);
void emulate_launch(void (*thread)(void), size_t blocks, size_t threads, size_t shared_bytes);

#define __syncthreads()            emulate_barrier()
#define __shfl_down_sync(m, v, d)  ((__typeof__(v))emulate_shuffle((double)(v), threadIdx.x % 32 + (d)))
#define __shfl_sync(m, v, lane)    ((__typeof__(v))emulate_shuffle((double)(v), (lane)))
#define __shfl_xor_sync(m, v, d)   ((__typeof__(v))emulate_shuffle((double)(v), threadIdx.x % 32 ^ (d)))
#define __ballot_sync(m, on)       emulate_ballot(on)
#define __ffs(x)                   __builtin_ffs(x)
#define __popc(x)                  __builtin_popcount(x)
#define SHARED_DYNAMIC(type, name) type *name = (type *)emulate_shared

#define LAUNCH(kernel, blocks, threads, shared_bytes, ...)                                                             \
    do {                                                                                                               \
        void one_thread(void) { kernel(__VA_ARGS__); }                                                                 \
        emulate_launch(one_thread, (blocks), (threads), (shared_bytes));                                               \
    } while (0)

#endif
