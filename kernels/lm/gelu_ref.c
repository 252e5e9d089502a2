/* gelu_ref.c - see gelu.h. */
#include "kernels/lm/gelu.h"

#include <math.h>

void gelu_ref(size_t n, float *x) {
    const double sqrt2 = 1.41421356237309504880;
    for (size_t i = 0; i < n; i++) x[i] = (float)((double)x[i] * 0.5 * erfc(-(double)x[i] / sqrt2));
}
