/* sae_cuda.h - the SAE's operations on the GPU; contracts as those of the definitions. */
#ifndef SAEMILL_SAE_CUDA_H
#define SAEMILL_SAE_CUDA_H

#include "kernels/base/cuda.h"

BEGIN_C
#include "kernels/sae/sae_kernels.h"

void sae_kernels_cuda(struct sae_kernels *t);

__typeof__(encode_ref) encode_cuda;
__typeof__(residual_ref) residual_cuda;
__typeof__(byfeature_sort) byfeature_sort_cuda;
__typeof__(adam_sparse_ref) adam_sparse_cuda;
__typeof__(adam_dense_ref) adam_dense_cuda;
__typeof__(dense_activate) dense_activate_cuda;
__typeof__(dense_gradient) dense_gradient_cuda;
__typeof__(dense_residual) dense_residual_cuda;
__typeof__(batch_centre) batch_centre_cuda;
__typeof__(batch_mean) batch_mean_cuda;
__typeof__(batch_bounds) batch_bounds_cuda;
__typeof__(batch_spread) batch_spread_cuda;
__typeof__(batch_b_dec) batch_b_dec_cuda;
__typeof__(batch_total) batch_total_cuda;
__typeof__(batch_count) batch_count_cuda;
__typeof__(batch_idle) batch_idle_cuda;
__typeof__(measure) measure_cuda;
END_C

#endif
