/* sae_kernels.c - see sae_kernels.h. */
#include "kernels/sae/sae_kernels.h"

#include <string.h>

#include "kernels/base/cuda.h"

/* The encoder's: rows of the batch, and lists with as many entries as a step may keep, half empty. */
static size_t scratch_bytes(size_t B, size_t D, size_t F) { return 4 * (B * D + B * F); }
static const float *upload(int slot, const void *x, bool bf16, float scale, size_t n) {
    (void)slot, (void)n;
    CHECK(!bf16 && scale == 1);
    return x;
}
static void arrived(int slot) { (void)slot; }
static int finish(struct err *e) {
    (void)e;
    return 0;
}
static void zero(void *at, size_t bytes) { memset(at, 0, bytes); }

#define HOST                                                                                                           \
    .sparse_share = 0.22, .memory = &memory_host, .memory_bytes = mem_physical_bytes, .host = &memory_host,            \
    .scratch_bytes = scratch_bytes, .upload = upload, .arrived = arrived, .finish = finish, .zero = zero,              \
    .sort = byfeature_sort, .activate = dense_activate, .dense_residual = dense_residual, .gradient = dense_gradient,  \
    .centre = batch_centre, .mean = batch_mean, .bounds = batch_bounds, .spread = batch_spread, .b_dec = batch_b_dec,  \
    .total = batch_total, .count = batch_count, .idle = batch_idle, .measure = measure

static const struct sae_kernels ref = {.name = "ref",
                                       HOST,
                                       .gemm = gemm_ref,
                                       .encode = encode_ref,
                                       .residual = residual_ref,
                                       .adam_sparse = adam_sparse_ref,
                                       .adam_dense = adam_dense_ref};

static const struct sae_kernels cpu = {.name = "cpu",
                                       HOST,
                                       .gemm = gemm_cpu,
                                       .encode = encode_cpu,
                                       .residual = residual_cpu,
                                       .adam_sparse = adam_sparse_cpu,
                                       .adam_dense = adam_dense_cpu};

const struct sae_kernels *sae_kernels_get(const char *backend) {
    if (!strcmp(backend, "ref")) return &ref;
    if (!strcmp(backend, "cpu")) return &cpu;
    return NULL;
}

int sae_kernels_open(const char *backend, const struct sae_kernels **out, struct err *e) {
    *out = sae_kernels_get(backend);
    return *out ? 0 : cuda_open(backend, out, e);
}
