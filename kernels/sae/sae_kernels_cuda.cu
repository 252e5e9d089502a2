/* sae_kernels_cuda.cu - what the GPU has of sae_kernels.h. */
#include "kernels/sae/sae_cuda.h"

/* Every scratch at its largest, and two batches as stored and as float32: encode_cuda.cu, adam_cuda.cu, gemm_cuda.cu, cuda_upload. */
static size_t scratch_bytes(size_t B, size_t D, size_t F) {
    const size_t dense_rows = 512,
                 copies = 2 * ((B * D > dense_rows * F ? B * D : dense_rows * F) + 3 * F * D + 2 * B * D);
    return copies + 4 * B * F + B * F / 8 + (128 + 3) * 4 * F + 96 * B + 512 * D + 16 * B * D;
}

void sae_kernels_cuda(struct sae_kernels *t) {
    t->sparse_share = 0.008; /* predicted, not yet measured: kernels/SPEED.md */
    t->memory = cuda_memory();
    t->host = cuda_host_memory();
    t->converts = true;
    t->memory_bytes = cuda_memory_bytes;
    t->scratch_bytes = scratch_bytes;
    t->upload = cuda_upload;
    t->arrived = cuda_arrived;
    t->finish = cuda_finish;
    t->zero = cuda_zero;
    t->gemm = gemm_cuda;
    t->encode = encode_cuda;
    t->residual = residual_cuda;
    t->sort = byfeature_sort_cuda;
    t->adam_sparse = adam_sparse_cuda;
    t->adam_dense = adam_dense_cuda;
    t->activate = dense_activate_cuda;
    t->dense_residual = dense_residual_cuda;
    t->gradient = dense_gradient_cuda;
    t->centre = batch_centre_cuda;
    t->mean = batch_mean_cuda;
    t->bounds = batch_bounds_cuda;
    t->spread = batch_spread_cuda;
    t->b_dec = batch_b_dec_cuda;
    t->total = batch_total_cuda;
    t->count = batch_count_cuda;
    t->idle = batch_idle_cuda;
    t->measure = measure_cuda;
}
