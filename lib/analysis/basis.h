/* basis.h - tall thin orthonormal bases: products over fixed blocks of rows, so that sums do not depend on the threads.
 * All matrices are f64, column-major with the vector length n as leading dimension: vector j is x + j n. Serves eigen.c.
 * Tests: tests/test_spectral.c */
#ifndef SAEMILL_BASIS_H
#define SAEMILL_BASIS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct basis {
    size_t n, cap;   /* vector length; most vectors in one product */
    double *partial; /* sums by row block */
    double *coef;    /* [cap, cap] */
    uint64_t seed, fills;
};

int basis_init(struct basis *s, size_t n, size_t cap, uint64_t seed, struct err *e);
void basis_free(struct basis *s);

/* c [m,b] column-major := V^T W, V of m and W of b vectors; m, b <= cap. */
void basis_inner(const struct basis *s, const double *V, size_t m, const double *W, size_t b, double *c);

/* out of p vectors := V q, q [m,p] column-major with leading dimension ldq; out must not overlap V. */
void basis_rotate(const struct basis *s, const double *V, size_t m, const double *q, size_t ldq, size_t p, double *out);

/* W -= V (V^T W), twice (Giraud et al. 2005: twice is enough). */
void basis_project_out(struct basis *s, const double *V, size_t m, double *W, size_t b);

/* Fill one vector with seeded normal numbers, different at every call. */
void basis_random(struct basis *s, double *w);

/* Make the b vectors W orthonormal among themselves and to V1 (m1) and V2 (m2). One with little left (less than 1e-6 of what
 * it was) is projected again, one with nothing left (1e-12) replaced by a random one. ERR_NUMERIC on NaN. */
int basis_orthonormalise(struct basis *s, const double *V1, size_t m1, const double *V2, size_t m2, double *W, size_t b,
                         struct err *e);

double basis_norm(const struct basis *s, const double *w);

#endif
