/* sae_kernels.h - the table of operations that one SAE step, and every stage that encodes, is written against.
 *
 * A back end starts as the reference and overrides what it has (as BLIS does): an unfinished one is correct, only slower.
 * Contracts stand in the header of each operation; pointers are memory of the back end and are not looked into by lib/sae. */
#ifndef SAEMILL_SAE_KERNELS_H
#define SAEMILL_SAE_KERNELS_H

#include "kernels/adam.h"
#include "kernels/byfeature.h"
#include "kernels/dense.h"
#include "kernels/encode.h"
#include "kernels/gemm.h"
#include "kernels/residual.h"

struct sae_kernels {
    const char *name;
    /* Largest share of entries (of B*F) for which the sparse path is the faster one: measured, see kernels/SPEED.md. */
    double sparse_share;
    __typeof__(&gemm_ref) gemm;
    __typeof__(&encode_ref) encode;
    __typeof__(&residual_ref) residual;
    __typeof__(&byfeature_sort) sort;
    __typeof__(&adam_sparse_ref) adam_sparse;
    __typeof__(&adam_dense_ref) adam_dense;
    __typeof__(&dense_activate) activate;
    __typeof__(&dense_residual) dense_residual;
    __typeof__(&dense_gradient) gradient;
};

/* The table of "ref", "cpu" (or NULL for another name). Lives as long as the program. */
const struct sae_kernels *sae_kernels_get(const char *backend);

/* For --backend: the names this build has, "ref|cpu". */
#define SAE_BACKENDS "ref|cpu"

#endif
