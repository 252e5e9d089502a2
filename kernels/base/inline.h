/* inline.h - a formula that C, CUDA's host side and CUDA's device side all use. */
#ifndef SAEMILL_INLINE_H
#define SAEMILL_INLINE_H

#ifdef __CUDACC__
#define SHARED_INLINE static __host__ __device__ inline
#else
#define SHARED_INLINE static inline
#endif

#endif
