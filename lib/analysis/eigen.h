/* eigen.h - the largest eigenvalues of a symmetric operator that is given only by its products with vectors.
 *
 * Block Krylov with full reorthogonalisation, Rayleigh-Ritz and thick restart (Wu and Simon 2000, "Thick-restart Lanczos method for
 * large symmetric eigenvalue problems"; in blocks of four, because a product with four vectors costs little more than one). Before
 * it believes itself it starts once more from random vectors orthogonal to what it found, so that copies of a multiple eigenvalue
 * beyond the block size are not lost. Operators of at most EIGEN_DIRECT rows are written out and given to LAPACK.
 * Leaves out: interior or smallest eigenvalues, preconditioning.
 * Tests: tests/test_spectral.c (residual and orthogonality; LAPACK; multiple eigenvalues; threads) */
#ifndef SAEMILL_EIGEN_H
#define SAEMILL_EIGEN_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum { EIGEN_B = 4, EIGEN_DIRECT = 320 };

/* y[b] := A x[b] for EIGEN_B vectors, each contiguous: x, y [EIGEN_B, n] f64. Must not depend on the number of threads. */
struct eigen_op {
    size_t n;
    void (*apply)(void *ctx, const double *x, double *y);
    void *ctx;
};

struct eigen_want {
    size_t n_all;   /* pairs wanted, 1 <= n_all <= n - n_lock; those beyond n_tight only to 1 % of their own size */
    size_t n_tight; /* of these, the first so many to `tol`; n_tight <= n_all */
    double tol;     /* residual norm relative to |lambda of the last tight pair| (never to |A|) */
    uint64_t seed;
    const double
        *lock; /* [n_lock, n] orthonormal vectors known already: pairs are sought orthogonal to them; may be NULL */
    size_t n_lock;
    double norm; /* a bound of |A|, or 0: eigenvalues below 1e-6 of it, or of the largest found, count as zero */
};

struct eigen_report {
    size_t products; /* vectors multiplied */
    double residual; /* largest |A v - lambda v| of the tight pairs, relative as in tol */
};

/*   value    [n_all]     f64, descending
 *   vector   [n_all, n]  f64, row i the unit vector of value[i], its entry of largest magnitude positive
 *   residual [n_all]     f64, |A v - lambda v|, absolute
 * Memory: about 3 (2 n_all + 40) n doubles.  Threads: its own; same bytes for any number of them.
 * Errors: ERR_NUMERIC if A gives NaN or the residual does not come down; ERR_MEMORY. */
int eigen_leading(const struct eigen_op *op, const struct eigen_want *want, double *value, double *vector,
                  double *residual, struct eigen_report *report, struct err *e);

#endif
