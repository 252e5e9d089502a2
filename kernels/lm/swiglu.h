/* swiglu.h - the gate of a gated feed-forward layer.
 *
 *   g[i] := silu(g[i]) u[i],   silu(a) = a / (1 + e^-a)                     Shazeer 2020, "GLU variants", eq. 6
 * Tests: tests/test_lm_kernels.c */
#ifndef SAEMILL_SWIGLU_H
#define SAEMILL_SWIGLU_H

#include <stddef.h>

/*   n  number of elements
 *   g  [n] f32, the gate's pre-activation; overwritten with the product
 *   u  [n] f32, read only; must not overlap g
 * Edge: large negative g gives -0 or a subnormal, never NaN; NaN stays NaN. Single-threaded. */
void swiglu_ref(size_t n, float *g, const float *u);
void swiglu_cpu(size_t n, float *g, const float *u);

#endif
