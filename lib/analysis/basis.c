/* basis.c - see basis.h. */
#include "lib/analysis/basis.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/rng.h"

enum { ROWS = 2048, STREAM = 0x45494745, WORTH = 1 << 21 }; /* products worth a parallel region */

static size_t blocks(size_t n) { return (n + ROWS - 1) / ROWS; }
static size_t rows_of(size_t n, size_t k) { return n - k * ROWS < ROWS ? n - k * ROWS : ROWS; }

int basis_init(struct basis *s, size_t n, size_t cap, uint64_t seed, struct err *e) {
    *s = (struct basis){.n = n, .cap = cap, .seed = seed};
    size_t square, all;
    if (!size_product(cap, cap, 1, &square)) square = SIZE_MAX;
    if (!size_product(blocks(n), square, 1, &all)) all = SIZE_MAX;
    s->partial = mem_array(all, sizeof(double), "eigenvectors", e);
    s->coef = s->partial ? mem_array(square, sizeof(double), "eigenvectors", e) : NULL;
    openblas_set_num_threads(1); /* the threads here are ours */
    if (s->coef) return 0;
    basis_free(s);
    return ERR_MEMORY;
}

void basis_free(struct basis *s) {
    free(s->partial);
    free(s->coef);
    *s = (struct basis){0};
}

void basis_inner(const struct basis *s, const double *V, size_t m, const double *W, size_t b, double *c) {
    size_t n = s->n, nb = blocks(n);
    CHECK(m <= s->cap && b <= s->cap);
    if (!m || !b) return;
#pragma omp parallel for schedule(static) if (n * m * b > WORTH)
    for (size_t k = 0; k < nb; k++)
        cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, (blasint)m, (blasint)b, (blasint)rows_of(n, k), 1,
                    V + k * ROWS, (blasint)n, W + k * ROWS, (blasint)n, 0, s->partial + k * m * b, (blasint)m);
    memcpy(c, s->partial, m * b * sizeof *c);
    for (size_t k = 1; k < nb; k++)
        for (size_t i = 0; i < m * b; i++) c[i] += s->partial[k * m * b + i];
}

void basis_rotate(const struct basis *s, const double *V, size_t m, const double *q, size_t ldq, size_t p,
                  double *out) {
    size_t n = s->n;
#pragma omp parallel for schedule(static) if (n * m * p > WORTH)
    for (size_t k = 0; k < blocks(n); k++)
        cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, (blasint)rows_of(n, k), (blasint)p, (blasint)m, 1,
                    V + k * ROWS, (blasint)n, q, (blasint)ldq, 0, out + k * ROWS, (blasint)n);
}

static void subtract(const struct basis *s, const double *V, size_t m, const double *c, double *W, size_t b) {
    size_t n = s->n;
#pragma omp parallel for schedule(static) if (n * m * b > WORTH)
    for (size_t k = 0; k < blocks(n); k++)
        cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, (blasint)rows_of(n, k), (blasint)b, (blasint)m, -1,
                    V + k * ROWS, (blasint)n, c, (blasint)m, 1, W + k * ROWS, (blasint)n);
}

void basis_project_out(struct basis *s, const double *V, size_t m, double *W, size_t b) {
    for (int pass = 0; pass < 2 && m && b; pass++) {
        basis_inner(s, V, m, W, b, s->coef);
        subtract(s, V, m, s->coef, W, b);
    }
}

void basis_random(struct basis *s, double *w) {
    uint64_t stream = STREAM + s->fills++;
#pragma omp parallel for schedule(static) if (s->n > WORTH / 64)
    for (size_t i = 0; i < s->n; i++) w[i] = rng_normal(s->seed, stream, i);
}

double basis_norm(const struct basis *s, const double *w) {
    double c;
    basis_inner(s, w, 1, w, 1, &c);
    return sqrt(c);
}

int basis_orthonormalise(struct basis *s, const double *V1, size_t m1, const double *V2, size_t m2, double *W, size_t b,
                         struct err *e) {
    double before[64];
    CHECK(b <= 64);
    for (size_t j = 0; j < b; j++) before[j] = basis_norm(s, W + j * s->n);
    /* V1 after V2: what V2's vectors have of V1 comes along with them, and where much cancels it would grow from block to block. */
    basis_project_out(s, V2, m2, W, b);
    basis_project_out(s, V1, m1, W, b);
    for (size_t j = 0; j < b; j++) {
        double *w = W + j * s->n, norm;
        basis_project_out(s, W, j, w, 1);
        norm = basis_norm(s, w);
        if (!isfinite(norm)) return err_set(e, ERR_NUMERIC, "eigenvectors: a product gave NaN or Inf");
        /* Where so much cancels, what is left is part rounding, which lies along V1 and V2 too: once more, at full length. */
        for (int fill = 0; norm <= 1e-6 * before[j]; fill++) {
            if (fill == 8) return err_set(e, ERR_NUMERIC, "eigenvectors: no independent direction is left");
            if (norm <= 1e-12 * before[j]) basis_random(s, w), norm = basis_norm(s, w);
            for (size_t i = 0; i < s->n; i++) w[i] /= norm;
            before[j] = 1;
            basis_project_out(s, V2, m2, w, 1);
            basis_project_out(s, V1, m1, w, 1);
            basis_project_out(s, W, j, w, 1);
            norm = basis_norm(s, w);
        }
        for (size_t i = 0; i < s->n; i++) w[i] /= norm;
    }
    return 0;
}
