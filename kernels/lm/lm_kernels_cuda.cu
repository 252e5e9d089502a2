/* lm_kernels_cuda.cu - what the GPU has of lm_kernels.h: intermediates and weights in bf16, or in float32 for the other precisions. */
#include "kernels/lm/lm_cuda.h"

void lm_kernels_cuda(struct lm_kernels *t) {
    t->memory = cuda_memory();
    t->host = cuda_host_memory();
    t->memory_bytes = cuda_memory_bytes;
    t->elem_bytes = cuda_precision() == PRECISION_BF16 ? 2 : sizeof(float);
    t->tile_rows = SIZE_MAX;
    t->slots = 2;
    t->batch_matters = true;
    t->pack = linear_pack_cuda;
    t->place = pass_place_cuda;
    t->embed = pass_embed_cuda;
    t->linear = linear_cuda;
    t->logits = linear_wide_cuda;
    t->lse = lse_cuda;
    t->kl = kl_cuda;
    t->pick = pass_pick_cuda;
    t->rmsnorm = rmsnorm_cuda;
    t->layernorm = layernorm_cuda;
    t->rope = rope_cuda;
    t->attention = attention_cuda;
    t->swiglu = swiglu_cuda;
    t->gelu = gelu_cuda;
    t->add = pass_add_cuda;
    t->fetch = pass_fetch_cuda;
    t->put = pass_put_cuda;
    t->sent = cuda_sent;
    t->await = cuda_await;
}
