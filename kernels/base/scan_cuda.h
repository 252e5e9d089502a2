/* scan_cuda.h - running sums on the GPU.   out[i] = in[0] + … + in[i-1],  i = 0 … n.   Tests: tests/test_cuda.c */
#ifndef SAEMILL_SCAN_CUDA_H
#define SAEMILL_SCAN_CUDA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C"
#endif
    /* in [n] u32, out [n+1]; both on the device. One block: for some ten thousand numbers. */
    void
    scan_cuda(size_t n, const uint32_t *in, size_t *out);

#endif
