/* linear.h - products with weights that are used many times: packed once, then multiplied.
 *
 *   y[m,n] = bias[n] + sum_k x[m,k] W[n,k]                    x row-major, W as stored by torch.nn.Linear
 *
 * Unlike a library's sgemm (gemm.h), whose rounding of a row depends on where the row lies in the matrix, an element
 * here is always one chain of additions over k in ascending order that starts at the bias: a row's result depends on
 * that row and the weights alone, so activations do not depend on how sequences are batched. It is also faster, since
 * the packing is paid once.
 *
 * Packed form: panels of LINEAR_PANEL outputs; packed[(p*K + k)*LINEAR_PANEL + j] = W[p*LINEAR_PANEL + j, k], zero
 * beyond N. Tests: tests/test_lm_kernels.c */
#ifndef SAEMILL_LINEAR_H
#define SAEMILL_LINEAR_H

#include <stdbool.h>
#include <stddef.h>

enum { LINEAR_PANEL = 32 };

/* N rounded up to whole panels; the packed form has linear_padded(N) * K floats (the caller checks that product for
 * overflow). */
static inline size_t linear_padded(size_t N) { return (N + LINEAR_PANEL - 1) / LINEAR_PANEL * LINEAR_PANEL; }

/* Pack a matrix.
 *   transposed  false: W is stored [N,K]; true: [K,N]
 *   W           its first element; ldw: stride between stored rows, in elements
 *   packed      [linear_padded(N) * K] f32; overwritten
 * Pack in parts by calling it for rows p*LINEAR_PANEL and on, with packed + p*LINEAR_PANEL*K.   Threads: disjoint parts
 * at once. */
void linear_pack(bool transposed, size_t N, size_t K, const float *W, size_t ldw, float *packed);

/* Outputs first .. first+n-1 of a matrix, given as rows [n,K], to their places in its packed form, which must be zero
 * where no output has come yet.   Threads: disjoint outputs at once. */
void linear_pack_rows(size_t first, size_t n, size_t K, const float *W, float *packed);

/*   M, N, K  sizes of the product; any may be 0 (K = 0 gives the bias)
 *   x        [M,K] f32, rows ldx apart; read only
 *   packed   the packed W; `panel` elements from one panel to the next (LINEAR_PANEL*K of the packing; larger than
 *            LINEAR_PANEL*K here when only the first K of its columns are used)
 *   bias     [N] f32, or NULL for zero
 *   y        [M,N] f32, rows ldy apart; overwritten; must not overlap x
 * Single-threaded: callers give disjoint rows to their threads.
 * linear_ref: double accumulator, the definition. linear_cpu: AVX-512 or AVX2 with fused multiply-add where the
 * processor has them. */
void linear_ref(size_t M, size_t N, size_t K, const float *x, size_t ldx, const float *packed, size_t panel,
                const float *bias, float *y, size_t ldy);
void linear_cpu(size_t M, size_t N, size_t K, const float *x, size_t ldx, const float *packed, size_t panel,
                const float *bias, float *y, size_t ldy);

/* The same with a start for each element: y[m,n] += sum_k x[m,k] W[n,k], the chain beginning at what is in y. */
void linear_add_cpu(size_t M, size_t N, size_t K, const float *x, size_t ldx, const float *packed, size_t panel,
                    float *y, size_t ldy);

#endif
