/* attention.h - causal attention of one sequence, with grouped queries.
 *
 *   out_h[i] = sum_{j<=i} p_ij v_g[j],   p_i = softmax_j(scale q_h[i] . k_g[j]),   g = h / (H/G)
 * Vaswani et al. 2017, eq. 1; Ainslie et al. 2023 for the groups.
 * Tests: tests/test_lm_kernels.c */
#ifndef SAEMILL_ATTENTION_H
#define SAEMILL_ATTENTION_H

#include <stddef.h>

struct attention {
    size_t T, H, G, Dh;     /* positions; query heads; key/value heads, G divides H; width of a head */
    const float *q, *k, *v; /* [T, H*Dh], [T, G*Dh], [T, G*Dh] f32, rows ld apart */
    size_t ld;
    float scale; /* usually 1/sqrt(Dh) */
};

/* Bytes of scratch that either back end needs for sequences of at most T positions; SIZE_MAX when that overflows. */
size_t attention_work_bytes(size_t T, size_t Dh);

/*   a     the inputs; read only
 *   out   [T, H*Dh] f32, rows ldo apart; overwritten; must not overlap the inputs
 *   work  [attention_work_bytes(T, Dh)] scratch, 64-byte aligned
 * Single-threaded; sequences may run at once, each with its own scratch. The result depends on this sequence alone. */
void attention_ref(const struct attention *a, float *out, size_t ldo, void *work);
void attention_cpu(const struct attention *a, float *out, size_t ldo, void *work);

#endif
