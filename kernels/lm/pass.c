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

void pass_sent_host(int slot) { (void)slot; }

int pass_await_host(int slot, struct err *e) {
    (void)slot, (void)e;
    return 0;
}
