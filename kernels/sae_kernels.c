/* sae_kernels.c - see sae_kernels.h. */
#include "kernels/sae_kernels.h"

#include <string.h>

#define REFERENCE                                                                                                        \
    .sparse_share = 0.22, .gemm = gemm_ref, .encode = encode_ref, .residual = residual_ref, .sort = byfeature_sort,       \
    .adam_sparse = adam_sparse_ref, .adam_dense = adam_dense_ref, .activate = dense_activate,                             \
    .dense_residual = dense_residual, .gradient = dense_gradient

static const struct sae_kernels ref = {.name = "ref", REFERENCE};

static const struct sae_kernels cpu = {.name = "cpu",
                                       .sparse_share = 0.22,
                                       .gemm = gemm_cpu,
                                       .encode = encode_cpu,
                                       .residual = residual_cpu,
                                       .sort = byfeature_sort,
                                       .adam_sparse = adam_sparse_cpu,
                                       .adam_dense = adam_dense_cpu,
                                       .activate = dense_activate,
                                       .dense_residual = dense_residual,
                                       .gradient = dense_gradient};

const struct sae_kernels *sae_kernels_get(const char *backend) {
    if (!strcmp(backend, "ref")) return &ref;
    if (!strcmp(backend, "cpu")) return &cpu;
    return NULL;
}
