/* gemm_cuda.cu - products by cuBLAS; see gemm.h and cuda.h. The library is loaded when a run asks for the GPU: it is half a gigabyte,
 * and every other run would pay for it at its start. */
#include "kernels/base/cuda.h"

#include <cublas_v2.h>
#include <dlfcn.h>
#include <stdio.h>

static struct {
    cublasHandle_t handle;
    decltype(&cublasCreate) create;
    decltype(&cublasSetStream) set_stream;
    decltype(&cublasSetMathMode) set_math_mode;
    decltype(&cublasSetWorkspace) set_workspace;
    cublasStatus_t (*gemm)(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int, int, const void *,
                           const void *, cudaDataType, int, const void *, cudaDataType, int, const void *, void *,
                           cudaDataType, int, cublasComputeType_t, cublasGemmAlgo_t);
} blas;

enum { WORKSPACE = 64 << 20 }; /* bytes; our own, so that cuBLAS picks the same way on every run */

#define STRING_OF(x) #x
#define STRING(x)    STRING_OF(x)

static void *library(void) {
    static const char *const name[] = {"libcublas.so." STRING(CUBLAS_VER_MAJOR), "libcublas.so",
                                       "/usr/local/cuda/lib64/libcublas.so." STRING(CUBLAS_VER_MAJOR),
                                       "/usr/local/cuda/lib64/libcublas.so"};
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        void *l = dlopen(name[i], RTLD_NOW | RTLD_LOCAL);
        if (l) return l;
    }
    return NULL;
}

int gemm_cuda_start(struct err *e) {
    void *work = NULL, *l = blas.handle ? NULL : library();
    if (blas.handle) return 0;
    if (l) {
        blas.create = (decltype(&cublasCreate))dlsym(l, STRING(cublasCreate));
        blas.set_stream = (decltype(&cublasSetStream))dlsym(l, STRING(cublasSetStream));
        blas.set_math_mode = (decltype(&cublasSetMathMode))dlsym(l, STRING(cublasSetMathMode));
        blas.set_workspace = (decltype(&cublasSetWorkspace))dlsym(l, STRING(cublasSetWorkspace));
        blas.gemm = (decltype(blas.gemm))dlsym(l, STRING(cublasGemmEx));
    }
    if (!l || !blas.create || !blas.set_stream || !blas.set_math_mode || !blas.set_workspace || !blas.gemm) {
        err_set(e, ERR_NO_DEVICE, "--backend cuda: cuBLAS %d cannot be loaded: %s", CUBLAS_VER_MAJOR,
                l ? "entries are missing" : dlerror());
        return err_hint(e, "it is a part of the CUDA toolkit; put its lib64 into LD_LIBRARY_PATH");
    }
    if (cudaMalloc(&work, WORKSPACE) != cudaSuccess || blas.create(&blas.handle) != CUBLAS_STATUS_SUCCESS ||
        blas.set_stream(blas.handle, cuda_stream()) != CUBLAS_STATUS_SUCCESS ||
        blas.set_workspace(blas.handle, work, WORKSPACE) != CUBLAS_STATUS_SUCCESS)
        return blas.handle = NULL, err_set(e, ERR_DEVICE, "--backend cuda: cuBLAS does not start");
    return 0;
}

/* Row-major C = op(A) op(B) is column-major C' = op(B)' op(A)'. */
static void product(bool ta, bool tb, size_t M, size_t N, size_t K, float alpha, const void *A, size_t lda,
                    const void *B, size_t ldb, cudaDataType in, float beta, void *C, size_t ldc, cudaDataType out) {
    const enum precision p = cuda_precision();
    static char what[64];
    /* Parts of a sum stay in float32 until they are one, also where the result is bf16. */
    blas.set_math_mode(blas.handle,
                       p == PRECISION_TF32
                           ? CUBLAS_TF32_TENSOR_OP_MATH
                           : (cublasMath_t)(CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION));
    cublasStatus_t rc = blas.gemm(blas.handle, tb ? CUBLAS_OP_T : CUBLAS_OP_N, ta ? CUBLAS_OP_T : CUBLAS_OP_N, (int)N,
                                  (int)M, (int)K, &alpha, B, in, (int)ldb, A, in, (int)lda, &beta, C, out, (int)ldc,
                                  p == PRECISION_TF32   ? CUBLAS_COMPUTE_32F_FAST_TF32
                                  : p == PRECISION_BF16 ? CUBLAS_COMPUTE_32F
                                                        : CUBLAS_COMPUTE_32F_PEDANTIC,
                                  CUBLAS_GEMM_DEFAULT);
    if (rc == CUBLAS_STATUS_SUCCESS) return;
    snprintf(what, sizeof what, "a product of cuBLAS: its status %d", (int)rc);
    cuda_note(cudaErrorUnknown, what);
}

void gemm_cuda(bool ta, bool tb, size_t M, size_t N, size_t K, float alpha, const float *A, size_t lda, const float *B,
               size_t ldb, float beta, float *C, size_t ldc) {
    const enum precision p = cuda_precision();
    const size_t rows_a = ta ? K : M, rows_b = tb ? N : K;
    const void *a = A, *b = B;
    cudaDataType type = CUDA_R_32F;
    if (!M || !N) return;
    if (p == PRECISION_BF16) {
        void *ah = cuda_scratch(CUDA_SCRATCH_A, rows_a * lda * 2), *bh = cuda_scratch(CUDA_SCRATCH_B, rows_b * ldb * 2);
        if (!ah || !bh) return;
        cuda_to_bf16(A, ah, (rows_a - 1) * lda + (ta ? M : K));
        cuda_to_bf16(B, bh, (rows_b - 1) * ldb + (tb ? K : N));
        a = ah, b = bh, type = CUDA_R_16BF;
    }
    product(ta, tb, M, N, K, alpha, a, lda, b, ldb, type, beta, C, ldc, CUDA_R_32F);
}

void gemm_cuda_held(bool ta, bool tb, size_t M, size_t N, size_t K, const void *A, size_t lda, const void *B,
                    size_t ldb, float beta, void *C, size_t ldc, bool wide) {
    const cudaDataType type = cuda_precision() == PRECISION_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    if (M && N) product(ta, tb, M, N, K, 1, A, lda, B, ldb, type, beta, C, ldc, wide ? CUDA_R_32F : type);
}
