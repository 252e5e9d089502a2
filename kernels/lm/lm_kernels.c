/* lm_kernels.c - see lm_kernels.h. */
#include "kernels/lm/lm_kernels.h"

#include <string.h>

#include "kernels/base/cuda.h"
#include "kernels/lm/gelu.h"
#include "kernels/lm/layernorm.h"
#include "kernels/lm/linear.h"
#include "kernels/lm/lse.h"
#include "kernels/lm/rmsnorm.h"
#include "kernels/lm/rope.h"
#include "kernels/lm/swiglu.h"

/* On the host, operations that look along a sequence take one at a time. */
static void rope_each(__typeof__(&rope_ref) one, const struct pass_place *p, size_t H, size_t Dh, float *x, size_t ldx,
                      const float *table) {
    for (size_t i = 0; i < p->n; i++) one(p->start[i + 1] - p->start[i], H, Dh, x + p->start[i] * ldx, ldx, table);
}
static void rope_each_ref(const struct pass_place *p, size_t H, size_t Dh, float *x, size_t ldx, const float *table) {
    rope_each(rope_ref, p, H, Dh, x, ldx, table);
}
static void rope_each_cpu(const struct pass_place *p, size_t H, size_t Dh, float *x, size_t ldx, const float *table) {
    rope_each(rope_cpu, p, H, Dh, x, ldx, table);
}

static void attend_each(__typeof__(&attention_ref) one, const struct pass_place *p, const struct attention *all,
                        float *out, size_t ldo, void *work) {
    for (size_t i = 0; i < p->n; i++) {
        struct attention a = *all;
        size_t first = p->start[i], skip = first * a.ld;
        a.T = p->start[i + 1] - first, a.q += skip, a.k += skip, a.v += skip;
        one(&a, out + first * ldo, ldo, work);
    }
}
static void attend_each_ref(const struct pass_place *p, const struct attention *a, float *out, size_t ldo, void *work) {
    attend_each(attention_ref, p, a, out, ldo, work);
}
static void attend_each_cpu(const struct pass_place *p, const struct attention *a, float *out, size_t ldo, void *work) {
    attend_each(attention_cpu, p, a, out, ldo, work);
}

/* tile_rows: the wide intermediate of so many rows stays in the second-level cache. */
#define HOST                                                                                                           \
    .memory = &memory_host, .host = &memory_host, .memory_bytes = mem_physical_bytes, .elem_bytes = sizeof(float),     \
    .tile_rows = 96, .slots = 1, .pack = linear_pack_rows, .place = pass_place_host, .add = pass_add_host,             \
    .fetch = pass_fetch_host, .sent = pass_sent_host, .await = pass_await_host

int lm_kernels_get(const char *backend, struct lm_kernels *t, struct err *e) {
    if (!strcmp(backend, "ref"))
        *t = (struct lm_kernels){.name = "ref",
                                 HOST,
                                 .linear = linear_ref,
                                 .rmsnorm = rmsnorm_ref,
                                 .rope = rope_each_ref,
                                 .attention = attend_each_ref,
                                 .swiglu = swiglu_ref,
                                 .layernorm = layernorm_ref,
                                 .gelu = gelu_ref,
                                 .lse = lse_ref};
    else if (!strcmp(backend, "cpu"))
        *t = (struct lm_kernels){.name = "cpu",
                                 HOST,
                                 .linear = linear_cpu,
                                 .rmsnorm = rmsnorm_cpu,
                                 .rope = rope_each_cpu,
                                 .attention = attend_each_cpu,
                                 .swiglu = swiglu_cpu,
                                 .layernorm = layernorm_cpu,
                                 .gelu = gelu_cpu,
                                 .lse = lse_cpu};
    else
        return cuda_lm_open(backend, t, e);
    return 0;
}
