/* cuda.h - what the CUDA back end's files share. Inside kernels/ only; its operations: sae_cuda.h, lm_cuda.h.
 *
 * kernels/<op>_cuda.cu are compiled by nvcc where it is, and left out elsewhere. They keep to what C and CUDA have in common, so that
 * tests/cuda/ can compile the same files as C, its own words for CUDA's given on the command line, and run every launch on the CPU: what a block,
 * a barrier, a shuffle and an index do is checked on machines without a GPU; speed and cuBLAS are not.
 *
 * No atomics anywhere: every sum has one order, so a run gives the same bytes each time. Arrays are managed memory that prefers the
 * device; kernels run in one stream, batches are copied in another. The first error is kept until cuda_finish is asked. */
#ifndef SAEMILL_CUDA_H
#define SAEMILL_CUDA_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined __CUDACC__
#define _Noreturn [[noreturn]]
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#define BEGIN_C extern "C" {
#define END_C   }
#define LAUNCH(kernel, blocks, threads, shared_bytes, ...)                                                             \
    do {                                                                                                               \
        if ((blocks) > 0 && cuda_room((const void *)(kernel), shared_bytes)) {                                         \
            (kernel)<<<(unsigned)(blocks), (unsigned)(threads), (shared_bytes), cuda_stream()>>>(__VA_ARGS__);         \
            cuda_note(cudaGetLastError(), #kernel);                                                                    \
        }                                                                                                              \
    } while (0)
#define SHARED_DYNAMIC(type, name)                                                                                     \
    extern __shared__ __align__(16) unsigned long long shared_bytes_of_the_block[];                                    \
    type *name = (type *)shared_bytes_of_the_block
#endif

#ifndef BEGIN_C
#define BEGIN_C
#define END_C
#endif

BEGIN_C
#include "kernels/base/backends.h"
#include "kernels/base/gemm.h"
#include "kernels/base/linear.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"

/* Threads of a block, and of the one block that scans. The emulation takes fewer: it runs them one after the other. */
#ifdef SAEMILL_EMULATE
enum { CUDA_THREADS = 64, CUDA_SCAN_THREADS = 96 };
#else
enum { CUDA_THREADS = 256, CUDA_SCAN_THREADS = 1024 };
#endif

/* ---- cuda_device.cu ---- */

/* Device, streams and cuBLAS made ready, for products of that precision from here on.
 * Errors: ERR_NO_DEVICE when there is no GPU, or cuBLAS cannot be loaded; ERR_DEVICE when the GPU fails, here and in whatever waits
 * for it. */
int cuda_start(enum precision p, struct err *e);
enum precision cuda_precision(void);
const struct memory *cuda_memory(void);      /* managed */
const struct memory *cuda_host_memory(void); /* pinned */
size_t cuda_memory_bytes(void);
const float *cuda_upload(int slot, const void *x, bool bf16, float scale, size_t n);
void cuda_arrived(int slot);
void cuda_zero(void *at, size_t bytes);
int cuda_finish(struct err *e);
bool cuda_read(void *host, const void *at, size_t bytes); /* after what was started; waits; false after an error */

/* Small things of a batch: filled in by the host, sent in order. Room for `bytes`, of two by turns (waits if what was sent from it is
 * still on its way); cuda_send copies it and gives where it is on the device. NULL when there is no memory: the error is noted. */
void *cuda_staging(size_t bytes);
const void *cuda_send(void);

/* A copy to pinned host memory; started. What is started is over when cuda_await of the slot it was marked with returns. */
void cuda_fetch(void *host, const void *at, size_t bytes);
void cuda_sent(int slot);
int cuda_await(int slot, struct err *e);

void cuda_copy(void *to, const void *from, size_t bytes); /* on the device; started */
void cuda_describe(char out[256]); /* "NVIDIA H200, 139.8 GiB, compute 9.0, driver 13.0, runtime 13.0" */

/* Scratch number `which`, at least `bytes`, kept for the next call; NULL (and the error noted) when there is none. */
enum {
    CUDA_SCRATCH_A,
    CUDA_SCRATCH_B,
    CUDA_SCRATCH_PRE,
    CUDA_SCRATCH_COUNTS,
    CUDA_SCRATCH_SLICES,
    CUDA_SCRATCH_SUMS,
    CUDA_SCRATCH_FEATURE,
    CUDA_SCRATCH_X,
    CUDA_SCRATCH_W_ENC,
    CUDA_SCRATCH_W_DEC,
    CUDA_SCRATCHES
};
void *cuda_scratch(int which, size_t bytes);

int gemm_cuda_start(struct err *e);

/* gemm.h by cuBLAS. Operands are float32; for PRECISION_BF16 they are rounded to bf16 first. */
__typeof__(gemm_ref) gemm_cuda;

/* linear.h by the same; the packed form is plain rows. */
__typeof__(linear_pack_rows) linear_pack_cuda;
__typeof__(linear_ref) linear_cuda;
__typeof__(linear_ref) linear_wide_cuda;

/* The same with operands that are bf16 already in PRECISION_BF16, float32 otherwise; the result is so too, or float32 if `wide`. */
void gemm_cuda_held(bool ta, bool tb, size_t M, size_t N, size_t K, const void *A, size_t lda, const void *B,
                    size_t ldb, float beta, void *C, size_t ldc, bool wide);

/* out[i] := bf16(x[i]), to nearest, ties to even.   out: scratch, 2 bytes each */
void cuda_to_bf16(const float *x, void *out, size_t n);

/* The bf16 copy of an SAE's weights W [n]: made when it is not there, and kept, so that evaluation makes it once. Who changes the weights
 * on the device changes the copy (cuda_half_to_write: the whole of it must be written); who changes them on the host does so before
 * their first use. Memory given back takes the copies with it. NULL when there is no memory. */
enum { CUDA_W_ENC, CUDA_W_DEC };
const void *cuda_half(int which, const float *W, size_t n);
void *cuda_half_to_write(int which, const float *W, size_t n);
void cuda_halves_forget(void);

#if defined __CUDACC__
cudaStream_t cuda_stream(void);
void cuda_note(cudaError_t status, const char *what);
int cuda_room(const void *kernel, size_t shared_bytes); /* more than 48 KB of shared memory must be asked for */
#endif
END_C

#if defined __CUDACC__ || defined SAEMILL_EMULATE
static inline size_t cuda_blocks(size_t n, size_t per) { return (n + per - 1) / per; }

/* Four elements per thread, i the first of them. */
#define EACH4(i, n)                                                                                                    \
    for (size_t i = 4 * ((size_t)blockIdx.x * blockDim.x + threadIdx.x); i < (n);                                      \
         i += 4 * (size_t)gridDim.x * blockDim.x)

/* One element per thread, all of them once. */
#define EACH(i, n)                                                                                                     \
    for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += (size_t)gridDim.x * blockDim.x)

/* Sum over a block in a fixed tree; the result is with every thread. Ends with a barrier, so that `room` [32] can be used again. */
__device__ static inline double cuda_block_sum(double v, double *room) {
    unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = (blockDim.x + 31) / 32;
    for (unsigned d = 16; d > 0; d /= 2) v += __shfl_down_sync(0xffffffffu, v, d);
    if (lane == 0) room[warp] = v;
    __syncthreads();
    double sum = 0;
    for (unsigned w = 0; w < warps; w++) sum += room[w];
    __syncthreads();
    return sum;
}

/* The same of a warp; the result is with every lane. */
__device__ static inline float cuda_warp_sum(float v) {
    for (unsigned d = 16; d > 0; d /= 2) v += __shfl_down_sync(0xffffffffu, v, d);
    return __shfl_sync(0xffffffffu, v, 0);
}

/* A GPU stops at a vector access that is not aligned; the emulation looks. */
#ifdef SAEMILL_EMULATE
#define CUDA_ALIGNED(p, bytes) CHECK((uintptr_t)(p) % (bytes) == 0)
#else
#define CUDA_ALIGNED(p, bytes) ((void)0)
#endif

/* Two bf16 numbers in one word. */
__device__ static inline float cuda_low(uint32_t two) { return __uint_as_float(two << 16); }
__device__ static inline float cuda_high(uint32_t two) { return __uint_as_float(two & 0xffff0000u); }
__device__ static inline uint32_t cuda_pair(float low, float high) {
    return (uint32_t)__bfloat16_as_ushort(__float2bfloat16_rn(low)) |
           (uint32_t)__bfloat16_as_ushort(__float2bfloat16_rn(high)) << 16;
}

/* Element i of an array that is bf16 or float32; `half` is a constant where it is called, so that no test is left. */
__device__ static inline float cuda_load(const void *x, size_t i, int half) {
    return half ? __bfloat162float(((const __nv_bfloat16 *)x)[i]) : ((const float *)x)[i];
}
__device__ static inline void cuda_store(void *x, size_t i, float v, int half) {
    if (half)
        ((__nv_bfloat16 *)x)[i] = __float2bfloat16_rn(v);
    else
        ((float *)x)[i] = v;
}

/* Where the next of several arrays of n numbers begins, for loads of four: at a multiple of four. */
#define cuda_padded(n) (((n) + 3) / 4 * 4)

/* Elements i .. i+3, in one transaction where i and the array's end allow it: i is a multiple of 4 as seen from a start that is
 * aligned as cudaMalloc's, and `left` elements follow from i on. What is not there is 0, and is not stored. */
__device__ static inline void cuda_load4(float v[4], const void *x, size_t i, size_t left, int half) {
    if (left >= 4 && i % 4 == 0) {
        CUDA_ALIGNED(x, half ? 8 : 16);
        if (half) {
            const uint2 u = *(const uint2 *)((const __nv_bfloat16 *)x + i);
            v[0] = cuda_low(u.x), v[1] = cuda_high(u.x), v[2] = cuda_low(u.y), v[3] = cuda_high(u.y);
        } else {
            const float4 u = *(const float4 *)((const float *)x + i);
            v[0] = u.x, v[1] = u.y, v[2] = u.z, v[3] = u.w;
        }
    } else {
        for (size_t j = 0; j < 4; j++) v[j] = j < left ? cuda_load(x, i + j, half) : 0.0f;
    }
}
__device__ static inline void cuda_store4(void *x, size_t i, size_t left, const float v[4], int half) {
    if (left >= 4 && i % 4 == 0) {
        CUDA_ALIGNED(x, half ? 8 : 16);
        if (half) {
            uint2 u;
            u.x = cuda_pair(v[0], v[1]), u.y = cuda_pair(v[2], v[3]);
            *(uint2 *)((__nv_bfloat16 *)x + i) = u;
        } else {
            float4 u;
            u.x = v[0], u.y = v[1], u.z = v[2], u.w = v[3];
            *(float4 *)((float *)x + i) = u;
        }
    } else {
        for (size_t j = 0; j < 4 && j < left; j++) cuda_store(x, i + j, v[j], half);
    }
}
#endif

#endif
