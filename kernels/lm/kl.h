/* kl.h - how far the softmax of one row is from that of another; rows come piece by piece, as in lse.h.
 *
 *   KL(p || q) = sum_n p_n (log p_n - log q_n) = sum_n p_n (x_n - y_n) - lse(x) + lse(y),  p = softmax(x), q = softmax(y)
 * in nats, Kullback and Leibler 1951; each sum beside a running maximum, rescaled when that grows.
 * Tests: tests/lm_kernel_cases.h, tests/test_splice.c */
#ifndef SAEMILL_KL_H
#define SAEMILL_KL_H

#include <math.h>
#include <stddef.h>

/* Sums so far: of e^(x - top), of e^(x - top) (x - y), of e^(y - top_other). */
struct kl_row {
    double top, sum, cross, top_other, sum_other;
};

static inline struct kl_row kl_empty(void) {
    const struct kl_row r = {-INFINITY, 0, 0, -INFINITY, 0};
    return r;
}

/* Rounding may leave a value a little below 0; of x with itself it is 0. */
static inline double kl_value(const struct kl_row *r) {
    return r->cross / r->sum - (r->top + log(r->sum)) + (r->top_other + log(r->sum_other));
}

/* Add N further columns to M rows.
 *   x, y  [M,N] f32, rows ldx apart; read only; y may be x
 *   row   [M] from kl_empty on
 * Edge: NaN or +Inf makes the value NaN, and so does -Inf. A row's result depends on it and on where it is cut.
 * Single-threaded: disjoint rows may run at once. kl_cpu: exponentials in float32, all sums in double. */
void kl_ref(size_t M, size_t N, const float *x, const float *y, size_t ldx, struct kl_row *row);
void kl_cpu(size_t M, size_t N, const float *x, const float *y, size_t ldx, struct kl_row *row);

#endif
