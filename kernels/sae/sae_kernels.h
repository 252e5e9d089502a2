/* sae_kernels.h - the table of operations that one SAE step, and every stage that encodes, is written against.
 *
 * Contracts stand in the header of each operation; pointers are memory of the back end and are not looked into by lib/sae. */
#ifndef SAEMILL_SAE_KERNELS_H
#define SAEMILL_SAE_KERNELS_H

#include "kernels/base/backends.h"
#include "kernels/base/gemm.h"
#include "kernels/sae/adam.h"
#include "kernels/sae/batch.h"
#include "kernels/sae/byfeature.h"
#include "kernels/sae/dense.h"
#include "kernels/sae/encode.h"
#include "kernels/sae/measure.h"
#include "kernels/sae/residual.h"

/* What lies around the operations; on the host there is nothing to bring or to wait for. */

/* The host's batch, n numbers times scale, as f32 where the operations can read it; `slot` 0 or 1 by turns. It may still be on its way
 * when this returns, and must stay as it is until the step that uses it is over. Without `converts`: x itself, f32. */
const float *sae_upload(int slot, const void *x, bool bf16, float scale, size_t n);
void sae_arrived(int slot);    /* what is started from here on sees the batch of that upload */
int sae_finish(struct err *e); /* wait for what was started; 0, or what went wrong since the last call */
void sae_zero(void *at, size_t bytes);
size_t sae_scratch_bytes(size_t B, size_t D, size_t F); /* what the operations take for themselves */

/* Every operation: its name in the table, and its definition. */
#define SAE_OPERATIONS(X)                                                                                              \
    X(memory_bytes, mem_physical_bytes)                                                                                \
    X(scratch_bytes, sae_scratch_bytes)                                                                                \
    X(upload, sae_upload)                                                                                              \
    X(arrived, sae_arrived)                                                                                            \
    X(finish, sae_finish)                                                                                              \
    X(zero, sae_zero)                                                                                                  \
    X(gemm, gemm_ref)                                                                                                  \
    X(encode, encode_ref)                                                                                              \
    X(residual, residual_ref)                                                                                          \
    X(sort, byfeature_sort)                                                                                            \
    X(adam_sparse, adam_sparse_ref)                                                                                    \
    X(adam_dense, adam_dense_ref)                                                                                      \
    X(activate, dense_activate)                                                                                        \
    X(dense_residual, dense_residual)                                                                                  \
    X(gradient, dense_gradient)                                                                                        \
    X(centre, batch_centre)                                                                                            \
    X(mean, batch_mean)                                                                                                \
    X(bounds, batch_bounds)                                                                                            \
    X(spread, batch_spread)                                                                                            \
    X(b_dec, batch_b_dec)                                                                                              \
    X(total, batch_total)                                                                                              \
    X(count, batch_count)                                                                                              \
    X(idle, batch_idle)                                                                                                \
    X(measure, measure)

struct sae_kernels {
    const char *name;
    /* Largest share of entries (of B*F) for which the sparse path is the faster one: measured, see kernels/SPEED.md. */
    double sparse_share;
    const struct memory *memory; /* of every array handed to the operations, but for the batch x: see upload */
    const struct memory *host;   /* for the batches that the host fills: can be copied while something is computed */
    bool converts;               /* upload takes bf16 and a scale */
#define SAE_OPERATION(name, definition) __typeof__(&definition) name;
    SAE_OPERATIONS(SAE_OPERATION)
#undef SAE_OPERATION
};

/* The table of a back end (backends.h): the definitions, or nothing for a device, and over them what it has.
 * Errors: ERR_UNSUPPORTED that names an operation which is nowhere. */
int sae_kernels_make(const struct backend *b, struct sae_kernels *t, struct err *e);

/* The table of --backend, made ready. Lives as long as the program.   Errors: as backends_open. */
int sae_kernels_open(const char *backend, const struct sae_kernels **out, struct err *e);

/* The same of "ref" or "cpu"; NULL for a back end that cannot be opened. */
const struct sae_kernels *sae_kernels_get(const char *backend);

#endif
