/* popcount_ref.c - see popcount.h. */
#include "kernels/analysis/popcount.h"

void popcount_and_ref(size_t M, size_t N, size_t W, const uint64_t *a, size_t lda, const uint64_t *b, size_t ldb,
                      uint32_t *restrict out, size_t ldo) {
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++) {
            uint64_t n = 0;
            for (size_t w = 0; w < W; w++)
                for (uint64_t x = a[i * lda + w] & b[j * ldb + w]; x; x &= x - 1) n++;
            out[i * ldo + j] = (uint32_t)n;
        }
}
