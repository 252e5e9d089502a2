/* emulated_device.c - kernels/base/cuda_device.cu and gemm_cuda.cu for the emulation: the device is this process, cuBLAS is gemm_ref on
 * rounded operands. */
#include <stdlib.h>
#include <string.h>

#include "kernels/base/cuda.h"
#include "lib/base/bf16.h"

static enum precision precision;

int cuda_start(enum precision p, struct err *e) {
    (void)e;
    precision = p;
    return 0;
}
enum precision cuda_precision(void) { return precision; }
static void *take(size_t bytes) { return memory_host.take(bytes); }
static void give(void *p) {
    cuda_halves_forget();
    memory_host.give(p);
}
const struct memory *cuda_memory(void) {
    static const struct memory emulated = {take, give};
    return &emulated;
}
const struct memory *cuda_host_memory(void) { return &memory_host; }
size_t cuda_memory_bytes(void) { return mem_physical_bytes(); }
void cuda_arrived(int slot) { (void)slot; }
void cuda_zero(void *at, size_t bytes) { memset(at, 0, bytes); }
bool cuda_read(void *host, const void *at, size_t bytes) {
    memcpy(host, at, bytes);
    return true;
}
int cuda_finish(struct err *e) {
    (void)e;
    return 0;
}

void *cuda_scratch(int which, size_t bytes) {
    static void *kept[CUDA_SCRATCHES];
    free(kept[which]);
    kept[which] = malloc(bytes);
    if (kept[which]) memset(kept[which], 0xff, bytes); /* what is read was written */
    return kept[which];
}

void cuda_to_bf16(const float *x, void *out, size_t n) {
    for (size_t i = 0; i < n; i++) ((uint16_t *)out)[i] = bf16_of(x[i]);
}

const float *cuda_upload(int slot, const void *x, bool bf16, float scale, size_t n) {
    static float *batch[2];
    free(batch[slot]);
    batch[slot] = malloc(n * sizeof(float));
    CHECK(batch[slot]);
    for (size_t i = 0; i < n; i++) {
        batch[slot][i] = (bf16 ? bf16_f32(((const uint16_t *)x)[i]) : ((const float *)x)[i]) * scale;
    }
    return batch[slot];
}

/* TF32 keeps ten bits of the fraction; the nearest, ties away from zero, as cvt.rna.tf32 does. */
static float tf32(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    u = (u + 0x1000u) & ~0x1fffu;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* x as the matrix units take it. */
static float operand(float x) {
    return precision == PRECISION_BF16 ? bf16_f32(bf16_of(x)) : precision == PRECISION_TF32 ? tf32(x) : x;
}

static float *copy_of(const float *x, size_t n) {
    float *y = malloc(n * sizeof *y);
    CHECK(y);
    for (size_t i = 0; i < n; i++) y[i] = operand(x[i]);
    return y;
}

void gemm_cuda(bool ta, bool tb, size_t M, size_t N, size_t K, float alpha, const float *A, size_t lda, const float *B,
               size_t ldb, float beta, float *C, size_t ldc) {
    float *a = copy_of(A, ((ta ? K : M) - 1) * lda + (ta ? M : K)),
          *b = copy_of(B, ((tb ? N : K) - 1) * ldb + (tb ? K : N));
    gemm_ref(ta, tb, M, N, K, alpha, a, lda, b, ldb, beta, C, ldc);
    free(a);
    free(b);
}

/* The held numbers as float32. */
static float *wide(const void *x, size_t n) {
    float *y = malloc(n * sizeof *y);
    CHECK(y);
    for (size_t i = 0; i < n; i++)
        y[i] = precision == PRECISION_BF16 ? bf16_f32(((const uint16_t *)x)[i]) : operand(((const float *)x)[i]);
    return y;
}

void gemm_cuda_held(bool ta, bool tb, size_t M, size_t N, size_t K, const void *A, size_t lda, const void *B,
                    size_t ldb, float beta, void *C, size_t ldc, bool wide_out) {
    if (!M || !N) return;
    const size_t n_c = (M - 1) * ldc + N;
    float *a = wide(A, ((ta ? K : M) - 1) * lda + (ta ? M : K)), *b = wide(B, ((tb ? N : K) - 1) * ldb + (tb ? K : N)),
          *c = malloc(n_c * sizeof *c);
    const bool half = precision == PRECISION_BF16 && !wide_out;
    CHECK(c);
    for (size_t i = 0; i < n_c; i++) c[i] = half ? bf16_f32(((uint16_t *)C)[i]) : ((float *)C)[i];
    gemm_ref(ta, tb, M, N, K, 1, a, lda, b, ldb, beta, c, ldc);
    for (size_t m = 0; m < M; m++)
        for (size_t i = m * ldc; i < m * ldc + N; i++)
            if (half)
                ((uint16_t *)C)[i] = bf16_of(c[i]);
            else
                ((float *)C)[i] = c[i];
    free(a), free(b), free(c);
}

static char *staging[2];
static int staged;
void *cuda_staging(size_t bytes) {
    staged = !staged;
    free(staging[staged]);
    return staging[staged] = malloc(bytes ? bytes : 1);
}
const void *cuda_send(void) { return staging[staged]; }
void cuda_fetch(void *host, const void *at, size_t bytes) { memcpy(host, at, bytes); }
void cuda_sent(int slot) { (void)slot; }
int cuda_await(int slot, struct err *e) {
    (void)slot, (void)e;
    return 0;
}

void cuda_copy(void *to, const void *from, size_t bytes) { memcpy(to, from, bytes); }
void cuda_describe(char out[256]) { strcpy(out, "no GPU: emulated on the CPU, times mean nothing"); }
