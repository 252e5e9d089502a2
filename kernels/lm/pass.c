/* pass.c - see pass.h: on the host. */
#include "kernels/lm/pass.h"

#include <string.h>

#include "lib/base/bf16.h"

void pass_place_host(size_t n, const size_t *start, const int32_t *token, struct pass_place *p) {
    (void)token;
    *p = (struct pass_place){.n = n, .rows = start[n], .start = start};
}

void pass_add_host(size_t n, float *restrict x, const float *restrict delta) {
#pragma omp simd
    for (size_t i = 0; i < n; i++) x[i] += delta[i];
}

void pass_fetch_host(size_t n, const float *restrict x, bool wide, bool bf16, void *out) {
    uint16_t *restrict h = out;
    (void)wide;
    if (!bf16) {
        memcpy(out, x, n * sizeof *x);
        return;
    }
#pragma omp simd
    for (size_t i = 0; i < n; i++) h[i] = bf16_of(x[i]);
}

void pass_put_host(size_t n, const float *from, bool wide, float *x) {
    (void)wide;
    memcpy(x, from, n * sizeof *x);
}

void pass_pick_host(size_t M, size_t N, const float *x, size_t ldx, size_t first, const int32_t *column, float *out) {
    for (size_t r = 0; r < M; r++)
        if (column[r] >= 0 && (size_t)column[r] - first < N) out[r] = x[r * ldx + (size_t)column[r] - first];
}

void pass_sent_host(int slot) { (void)slot; }

int pass_await_host(int slot, struct err *e) {
    (void)slot, (void)e;
    return 0;
}
