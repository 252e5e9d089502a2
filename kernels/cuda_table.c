/* cuda_table.c - the kernel table of the GPU; see cuda.h. Compiled where nvcc is, and in the emulation of the tests. */
#include "kernels/cuda.h"

#include <string.h>

#if defined SAEMILL_CUDA || defined SAEMILL_EMULATE

/* Share of entries up to which the sparse path wins. Predicted, not yet measured: kernels/SPEED.md. */
#define CUDA_TABLE                                                                                                          \
    .sparse_share = 0.008, .converts = true, .upload = cuda_upload, .arrived = cuda_arrived, .finish = cuda_finish,          \
    .zero = cuda_zero, .scratch_bytes = scratch_bytes, .memory_bytes = cuda_memory_bytes, .gemm = gemm_cuda, .encode = encode_cuda, .residual = residual_cuda, \
    .sort = byfeature_sort_cuda, .adam_sparse = adam_sparse_cuda, .adam_dense = adam_dense_cuda,                             \
    .activate = dense_activate_cuda, .dense_residual = dense_residual_cuda, .gradient = dense_gradient_cuda,                 \
    .centre = batch_centre_cuda, .bounds = batch_bounds_cuda, .spread = batch_spread_cuda, .b_dec = batch_b_dec_cuda,        \
    .total = batch_total_cuda, .count = batch_count_cuda, .idle = batch_idle_cuda

/* Every scratch at its largest, and two batches as stored and as float32: encode_cuda.cu, adam_cuda.cu, gemm_cuda.cu, cuda_upload. */
static size_t scratch_bytes(size_t B, size_t D, size_t F) {
    const size_t dense_rows = 512, copies = 2 * ((B * D > dense_rows * F ? B * D : dense_rows * F) + F * D + 2 * B * D);
    return copies + 4 * B * F + (128 + 3) * 4 * F + 96 * B + 512 * D + 16 * B * D;
}

int cuda_open(const char *backend, const struct sae_kernels **out, struct err *e) {
    static struct sae_kernels table = {CUDA_TABLE};
    const bool tf32 = !strcmp(backend, "cuda-tf32"), f32 = !strcmp(backend, "cuda-f32");
    *out = NULL;
    if (!tf32 && !f32 && strcmp(backend, "cuda")) return err_set(e, ERR_UNSUPPORTED, "--backend: '%s': want " SAE_BACKENDS, backend);
    int rc = cuda_start(f32 ? CUDA_F32 : tf32 ? CUDA_TF32 : CUDA_BF16, e);
    if (!rc) rc = gemm_cuda_start(e);
    if (rc) return rc;
    table.name = f32 ? "cuda-f32" : tf32 ? "cuda-tf32" : "cuda";
    table.memory = cuda_memory(), table.host = cuda_host_memory();
    *out = &table;
    return 0;
}

#else

int cuda_open(const char *backend, const struct sae_kernels **out, struct err *e) {
    *out = NULL;
    err_set(e, ERR_NO_DEVICE, "--backend %s: this build has no CUDA: nvcc was not found when it was made", backend);
    return err_hint(e, "install the CUDA toolkit and make again, or use --backend cpu");
}

#endif
