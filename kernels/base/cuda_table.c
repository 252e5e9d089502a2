/* cuda_table.c - the kernel table of the GPU; see cuda.h. Compiled where nvcc is, and in the emulation of the tests. */
#include "kernels/base/cuda.h"

#include <string.h>

#if defined SAEMILL_CUDA || defined SAEMILL_EMULATE

/* Share of entries up to which the sparse path wins. Predicted, not yet measured: kernels/SPEED.md. */
#define CUDA_TABLE                                                                                                     \
    .sparse_share = 0.008, .converts = true, .upload = cuda_upload, .arrived = cuda_arrived, .finish = cuda_finish,    \
    .zero = cuda_zero, .scratch_bytes = scratch_bytes, .memory_bytes = cuda_memory_bytes, .gemm = gemm_cuda,           \
    .encode = encode_cuda, .residual = residual_cuda, .sort = byfeature_sort_cuda, .adam_sparse = adam_sparse_cuda,    \
    .adam_dense = adam_dense_cuda, .activate = dense_activate_cuda, .dense_residual = dense_residual_cuda,             \
    .gradient = dense_gradient_cuda, .centre = batch_centre_cuda, .mean = batch_mean_cuda,                             \
    .bounds = batch_bounds_cuda, .spread = batch_spread_cuda, .b_dec = batch_b_dec_cuda, .total = batch_total_cuda,    \
    .count = batch_count_cuda, .idle = batch_idle_cuda, .measure = measure_cuda

/* Every scratch at its largest, and two batches as stored and as float32: encode_cuda.cu, adam_cuda.cu, gemm_cuda.cu, cuda_upload. */
static size_t scratch_bytes(size_t B, size_t D, size_t F) {
    const size_t dense_rows = 512,
                 copies = 2 * ((B * D > dense_rows * F ? B * D : dense_rows * F) + 3 * F * D + 2 * B * D);
    return copies + 4 * B * F + B * F / 8 + (128 + 3) * 4 * F + 96 * B + 512 * D + 16 * B * D;
}

/* Device, stream and cuBLAS, for products of that precision; the back end's name for good. */
static int begin(const char *backend, const char **name, struct err *e) {
    static const char *const names[] = {[CUDA_BF16] = "cuda", [CUDA_TF32] = "cuda-tf32", [CUDA_F32] = "cuda-f32"};
    for (int p = CUDA_BF16; p <= CUDA_F32; p++)
        if (!strcmp(backend, names[p])) {
            int rc = cuda_start((enum cuda_precision)p, e);
            *name = names[p];
            return rc ? rc : gemm_cuda_start(e);
        }
    err_set(e, ERR_UNSUPPORTED, "--backend: '%s': want " SAE_BACKENDS, backend);
    return err_hint(e, "ref is the slow definition, cpu the fast one, cuda a GPU");
}

int cuda_open(const char *backend, const struct sae_kernels **out, struct err *e) {
    static struct sae_kernels table = {CUDA_TABLE};
    *out = NULL;
    int rc = begin(backend, &table.name, e);
    if (rc) return rc;
    table.memory = cuda_memory(), table.host = cuda_host_memory();
    *out = &table;
    return 0;
}

int cuda_lm_open(const char *backend, struct lm_kernels *out, struct err *e) {
    const char *name = NULL;
    int rc = begin(backend, &name, e);
    if (rc) return rc;
    *out = (struct lm_kernels){.name = name,
                               .memory = cuda_memory(),
                               .host = cuda_host_memory(),
                               .memory_bytes = cuda_memory_bytes,
                               .elem_bytes = cuda_precision() == CUDA_BF16 ? 2 : sizeof(float),
                               .tile_rows = SIZE_MAX,
                               .slots = 2,
                               .batch_matters = true,
                               .pack = linear_pack_cuda,
                               .place = pass_place_cuda,
                               .embed = pass_embed_cuda,
                               .linear = linear_cuda,
                               .rmsnorm = rmsnorm_cuda,
                               .rope = rope_cuda,
                               .attention = attention_cuda,
                               .swiglu = swiglu_cuda,
                               .layernorm = layernorm_cuda,
                               .gelu = gelu_cuda,
                               .add = pass_add_cuda,
                               .fetch = pass_fetch_cuda,
                               .sent = cuda_sent,
                               .await = cuda_await};
    return 0;
}

#else

static int without(const char *backend, struct err *e) {
    if (strcmp(backend, "cuda") && strcmp(backend, "cuda-tf32") && strcmp(backend, "cuda-f32")) {
        err_set(e, ERR_UNSUPPORTED, "--backend: '%s': want " SAE_BACKENDS, backend);
        return err_hint(e, "ref is the slow definition, cpu the fast one, cuda a GPU");
    }
    err_set(e, ERR_NO_DEVICE, "--backend %s: this build has no CUDA: nvcc was not found when it was made", backend);
    return err_hint(e, "install the CUDA toolkit and make again, or use --backend cpu");
}

int cuda_open(const char *backend, const struct sae_kernels **out, struct err *e) {
    *out = NULL;
    return without(backend, e);
}

int cuda_lm_open(const char *backend, struct lm_kernels *out, struct err *e) {
    (void)out;
    return without(backend, e);
}

#endif
