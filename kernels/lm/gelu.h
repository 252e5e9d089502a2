/* gelu.h - the Gaussian error linear unit, exact.
 *
 *   x[i] := x[i] Phi(x[i]),   Phi(a) = (1 + erf(a / sqrt 2)) / 2      Hendrycks and Gimpel 2016, section 2; no tanh
 * Tests: tests/test_lm_kernels.c */
#ifndef SAEMILL_GELU_H
#define SAEMILL_GELU_H

#include <stddef.h>

/*   n  number of elements
 *   x  [n] f32; changed in place
 * Edge: large negative x gives -0 or a subnormal (below about -14.4 always 0); NaN stays NaN; +-Inf become NaN in
 * gelu_cpu (+Inf stays in gelu_ref). An element's result depends on it alone.
 * Single-threaded.
 * Error of gelu_cpu: below 10 units of roundoff of the true value, on the negative side too, where 1 + erf cancels. */
void gelu_ref(size_t n, float *x);
void gelu_cpu(size_t n, float *x);

#endif
