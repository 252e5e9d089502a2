/* sae_kernels.h - the table of operations that one SAE step, and every stage that encodes, is written against.
 *
 * A back end starts as the reference and overrides what it has (as BLIS does): an unfinished one is correct, only slower.
 * Contracts stand in the header of each operation; pointers are memory of the back end and are not looked into by lib/sae. */
#ifndef SAEMILL_SAE_KERNELS_H
#define SAEMILL_SAE_KERNELS_H

#include "kernels/sae/adam.h"
#include "kernels/sae/batch.h"
#include "kernels/sae/byfeature.h"
#include "kernels/sae/dense.h"
#include "kernels/sae/encode.h"
#include "kernels/base/gemm.h"
#include "kernels/sae/measure.h"
#include "kernels/sae/residual.h"

struct sae_kernels {
    const char *name;
    /* Largest share of entries (of B*F) for which the sparse path is the faster one: measured, see kernels/SPEED.md. */
    double sparse_share;
    const struct memory *memory;  /* of every array handed to the operations, but for the batch x: see upload */
    size_t (*memory_bytes)(void); /* how much there is of it; 0: not known */
    size_t (*scratch_bytes)(size_t B, size_t D, size_t F); /* what the operations take for themselves */
    const struct memory
        *host;     /* for the batches that the host fills: memory that can be copied while something is computed */
    bool converts; /* upload takes bf16 and a scale */
    /* The host's batch, n numbers times scale, as f32 where the operations can read it; `slot` 0 or 1 by turns. It may still be on
     * its way when this returns, and must stay as it is until the step that uses it is over. Without `converts`: x itself, f32. */
    const float *(*upload)(int slot, const void *x, bool bf16, float scale, size_t n);
    void (*arrived)(int slot); /* what is started from here on sees the batch of that upload */
    /* Wait for what was started; 0, or what went wrong since the last call. */
    int (*finish)(struct err *e);
    void (*zero)(void *at, size_t bytes);
    __typeof__(&gemm_ref) gemm;
    __typeof__(&encode_ref) encode;
    __typeof__(&residual_ref) residual;
    __typeof__(&byfeature_sort) sort;
    __typeof__(&adam_sparse_ref) adam_sparse;
    __typeof__(&adam_dense_ref) adam_dense;
    __typeof__(&dense_activate) activate;
    __typeof__(&dense_residual) dense_residual;
    __typeof__(&dense_gradient) gradient;
    __typeof__(&batch_centre) centre;
    __typeof__(&batch_mean) mean;
    __typeof__(&batch_bounds) bounds;
    __typeof__(&batch_spread) spread;
    __typeof__(&batch_b_dec) b_dec;
    __typeof__(&batch_total) total;
    __typeof__(&batch_count) count;
    __typeof__(&batch_idle) idle;
    __typeof__(&measure) measure;
};

/* The table of "ref" or "cpu", or NULL for another name. Lives as long as the program. */
const struct sae_kernels *sae_kernels_get(const char *backend);

/* The table of any back end, made ready: "ref", "cpu"; where nvcc was there at build time also "cuda" (products in bf16, sums in
 * float32), "cuda-tf32" and "cuda-f32". Lives as long as the program.
 * Errors: ERR_NO_DEVICE when this build has no CUDA, or no GPU is here that can run it. */
int sae_kernels_open(const char *backend, const struct sae_kernels **out, struct err *e);

/* For --backend. */
#define SAE_BACKENDS "ref|cpu|cuda|cuda-tf32|cuda-f32"

#endif
