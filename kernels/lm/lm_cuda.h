/* lm_cuda.h - a language model's operations on the GPU; contracts as those of the definitions. */
#ifndef SAEMILL_LM_CUDA_H
#define SAEMILL_LM_CUDA_H

#include "kernels/base/cuda.h"

BEGIN_C
#include "kernels/lm/lm_kernels.h"

void lm_kernels_cuda(struct lm_kernels *t);

__typeof__(lse_ref) lse_cuda;
__typeof__(kl_ref) kl_cuda;
__typeof__(rmsnorm_ref) rmsnorm_cuda;
__typeof__(layernorm_ref) layernorm_cuda;
__typeof__(lm_rope_ref) rope_cuda;
__typeof__(lm_attention_ref) attention_cuda;
__typeof__(swiglu_ref) swiglu_cuda;
__typeof__(gelu_ref) gelu_cuda;
__typeof__(pass_place_host) pass_place_cuda;
__typeof__(pass_add_host) pass_add_cuda;
__typeof__(pass_fetch_host) pass_fetch_cuda;
__typeof__(pass_put_host) pass_put_cuda;
__typeof__(pass_pick_host) pass_pick_cuda;
void pass_embed_cuda(const struct pass_place *p, size_t D, const float *table, const float *pos, float *x);
END_C

#endif
