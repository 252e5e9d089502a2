/* swiglu_ref.c - see swiglu.h. */
#include "kernels/lm/swiglu.h"

#include <math.h>

void swiglu_ref(size_t n, float *g, const float *u) {
    for (size_t i = 0; i < n; i++) g[i] = (float)((double)g[i] / (1 + exp(-(double)g[i])) * (double)u[i]);
}
