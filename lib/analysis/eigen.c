/* eigen.c - see eigen.h. The basis V and its products AV are both kept, so residuals are explicit and the basis may be extended by
 * any vectors, random ones included. */
#include "lib/analysis/eigen.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/analysis/basis.h"
#include "lib/base/arena.h"

enum { CYCLES = 300, CONFIRM_BLOCKS = 4 };
static const double LOOSE = 1e-2; /* residual of the pairs that are only reported, relative to themselves */

struct krylov {
    struct basis s;
    size_t n, cap, m;        /* vector length; room and vectors in the basis */
    double *V, *AV, *spare;  /* [cap, n] */
    double *next;            /* [EIGEN_B, n] orthonormal, orthogonal to V: multiplied next */
    double *H;               /* [cap, cap] column-major: V^T A V */
    double *Q, *theta, *old; /* [cap, cap] Ritz rotation, [cap] Ritz values, and those before the confirmation */
    double *all;             /* what free() takes */
    const struct eigen_want *want;
    struct eigen_report *report;
};

static int krylov_init(struct krylov *k, size_t n, const struct eigen_want *want, struct eigen_report *report,
                       struct err *e) {
    size_t extra = want->n_all > 32 ? want->n_all : 32, size, total;
    *k = (struct krylov){.n = n, .want = want, .report = report};
    k->cap = want->n_all + extra + EIGEN_B;
    if (k->cap > n - want->n_lock) k->cap = n - want->n_lock;
    int rc = basis_init(&k->s, n, k->cap + want->n_lock, want->seed, e);
    if (rc) return rc;
    if (!size_product(n, 3 * k->cap + EIGEN_B, 1, &size) || !size_product(k->cap, 2 * k->cap + 2, 1, &total) ||
        __builtin_add_overflow(size, total, &total))
        total = SIZE_MAX;
    double *p = k->all = mem_array(total, sizeof(double), "eigenvectors", e);
    if (!p) {
        basis_free(&k->s);
        return ERR_MEMORY;
    }
    k->V = p, k->AV = k->V + k->cap * n, k->spare = k->AV + k->cap * n, k->next = k->spare + k->cap * n;
    k->H = k->next + EIGEN_B * n, k->Q = k->H + k->cap * k->cap, k->theta = k->Q + k->cap * k->cap;
    k->old = k->theta + k->cap;
    return 0;
}

static void krylov_free(struct krylov *k) {
    free(k->all);
    basis_free(&k->s);
}

static int start(struct krylov *k, struct err *e) {
    for (size_t b = 0; b < EIGEN_B; b++) basis_random(&k->s, k->next + b * k->n);
    return basis_orthonormalise(&k->s, k->want->lock, k->want->n_lock, k->V, k->m, k->next, EIGEN_B, e);
}

/* Append `next`, multiply it, and make the following block from the products. */
static int extend(struct krylov *k, const struct eigen_op *op, struct err *e) {
    size_t m = k->m, n = k->n;
    memcpy(k->V + m * n, k->next, EIGEN_B * n * sizeof(double));
    op->apply(op->ctx, k->next, k->AV + m * n);
    k->m += EIGEN_B;
    k->report->products += EIGEN_B;
    basis_inner(&k->s, k->V, k->m, k->AV + m * n, EIGEN_B, k->H + m * k->cap); /* columns, packed with k->m rows */
    for (size_t b = EIGEN_B; b-- > 0;) /* spread to the leading dimension, last first */
        memmove(k->H + (m + b) * k->cap, k->H + m * k->cap + b * k->m, k->m * sizeof(double));
    for (size_t b = 0; b < EIGEN_B; b++)
        for (size_t i = 0; i < m; i++) k->H[i * k->cap + m + b] = k->H[(m + b) * k->cap + i];
    memcpy(k->next, k->AV + m * n, EIGEN_B * n * sizeof(double));
    return basis_orthonormalise(&k->s, k->want->lock, k->want->n_lock, k->V, k->m, k->next, EIGEN_B, e);
}

/* Ritz values descending in theta, rotation in Q; V and AV become the `keep` leading Ritz vectors and their products. */
static int rayleigh_ritz(struct krylov *k, size_t keep, struct err *e) {
    size_t m = k->m, cap = k->cap;
    for (size_t j = 0; j < m; j++)
        for (size_t i = 0; i < m; i++) {
            double h = (k->H[j * cap + i] + k->H[i * cap + j]) / 2;
            if (!isfinite(h)) return err_set(e, ERR_NUMERIC, "eigenvectors: a product gave NaN or Inf");
            k->Q[j * m + i] = -h; /* minus: LAPACK sorts upwards */
        }
    if (LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'U', (lapack_int)m, k->Q, (lapack_int)m, k->theta))
        return err_set(e, ERR_NUMERIC, "eigenvectors: LAPACK dsyevd did not converge on %zu rows", m);
    for (size_t i = 0; i < m; i++) k->theta[i] = -k->theta[i];
    double *t;
    basis_rotate(&k->s, k->V, m, k->Q, m, keep, k->spare);
    t = k->V, k->V = k->spare, k->spare = t;
    basis_rotate(&k->s, k->AV, m, k->Q, m, keep, k->spare);
    t = k->AV, k->AV = k->spare, k->spare = t;
    memset(k->H, 0, cap * cap * sizeof(double));
    for (size_t i = 0; i < keep; i++) k->H[i * cap + i] = k->theta[i];
    k->m = keep;
    return 0;
}

/* |A v - theta v - its part along the locked vectors| of the leading Ritz pairs. */
static void residuals(struct krylov *k, double *residual) {
    size_t n = k->n, nw = k->want->n_all;
    for (size_t i = 0; i < nw; i++)
        for (size_t r = 0; r < n; r++) k->spare[i * n + r] = k->AV[i * n + r] - k->theta[i] * k->V[i * n + r];
    basis_project_out(&k->s, k->want->lock, k->want->n_lock, k->spare, nw);
    for (size_t i = 0; i < nw; i++) residual[i] = basis_norm(&k->s, k->spare + i * n);
}

/* What counts as zero: 1e-6 of the largest eigenvalue or of |A|. */
static double zero_level(const struct eigen_want *w, const double *theta) {
    return 1e-6 * fmax(fabs(theta[0]), w->norm);
}

/* What a residual is measured by: the last tight eigenvalue, if that is not zero. */
static double tight_scale(const struct eigen_want *w, const double *theta) {
    double last = w->n_tight ? fabs(theta[w->n_tight - 1]) : 0;
    return fmax(last, zero_level(w, theta));
}

static int converged(const struct eigen_want *w, const double *theta, const double *residual, double *worst) {
    double scale = tight_scale(w, theta), least = fmax(1e-2 * scale, zero_level(w, theta));
    int ok = 1;
    *worst = 0;
    for (size_t i = 0; i < w->n_all; i++) {
        if (i < w->n_tight && !(residual[i] <= *worst)) *worst = residual[i];
        if (!(residual[i] <= (i < w->n_tight ? w->tol * scale : LOOSE * fmax(fabs(theta[i]), least)))) ok = 0;
    }
    if (scale > 0) *worst /= scale;
    return ok;
}

/* Did the random restart bring up anything that belongs among the tight pairs? */
static int unchanged(const struct eigen_want *w, const double *now, const double *before) {
    double scale = tight_scale(w, before);
    for (size_t i = 0; i < w->n_tight; i++)
        if (!(fabs(now[i] - before[i]) <= w->tol * scale)) return 0;
    return 1;
}

static int iterate(struct krylov *k, const struct eigen_op *op, double *residual, struct err *e) {
    const struct eigen_want *w = k->want;
    size_t keep = w->n_all + (w->n_all / 4 > 4 ? w->n_all / 4 : 4);
    int rc = start(k, e), confirming = 0;
    double worst = 0;
    for (size_t cycle = 0; !rc && cycle < CYCLES; cycle++) {
        for (size_t b = 0; !rc && k->m + EIGEN_B <= k->cap && !(confirming && b == CONFIRM_BLOCKS); b++)
            rc = extend(k, op, e);
        if (!rc) rc = rayleigh_ritz(k, keep < k->m ? keep : k->m, e);
        if (rc) return rc;
        residuals(k, residual);
        int ok = converged(w, k->theta, residual, &worst);
        k->report->residual = worst;
        if (ok && confirming && unchanged(w, k->theta, k->old)) return 0;
        confirming = ok;
        if (ok) {
            memcpy(k->old, k->theta, w->n_all * sizeof(double));
            rc = start(k, e);
        }
    }
    if (rc) return rc;
    err_set(e, ERR_NUMERIC,
            "eigenvectors: no convergence: want a residual of %.1e of eigenvalue %zu, got %.1e after %zu products",
            w->tol, w->n_tight, worst, k->report->products);
    return err_hint(e, "eigenvalue %zu may be zero to rounding: ask for fewer clusters", w->n_tight);
}

/* ---- few rows: LAPACK on the matrix itself, the locked vectors moved below everything else ---- */

static int direct(const struct eigen_op *op, const struct eigen_want *w, double *value, double *vector, struct err *e) {
    size_t n = op->n;
    double *A = mem_array((n + EIGEN_B) * n, sizeof *A, "eigenvectors", e);
    double *x = A ? mem_array((EIGEN_B + 1) * n, sizeof *x, "eigenvectors", e) : NULL, *t = x ? x + EIGEN_B * n : NULL;
    int rc = x ? 0 : ERR_MEMORY;
    for (size_t j = 0; !rc && j < n; j += EIGEN_B) {
        memset(x, 0, EIGEN_B * n * sizeof *x);
        for (size_t b = 0; b < EIGEN_B && j + b < n; b++) x[b * n + j + b] = 1;
        op->apply(op->ctx, x, A + j * n); /* the matrix has room for the surplus columns of the last block */
    }
    double low = 1;
    for (size_t i = 0; !rc && i < n * n; i++) low += A[i] * A[i];
    if (!rc && !isfinite(low)) rc = err_set(e, ERR_NUMERIC, "eigenvectors: a product gave NaN or Inf");
    for (size_t l = 0; !rc && l < w->n_lock; l++) { /* A := P A P - low q q^T for each locked q */
        const double *q = w->lock + l * n;
        double qAq = 0;
        for (size_t i = 0; i < n; i++) {
            t[i] = 0;
            for (size_t j = 0; j < n; j++) t[i] += (A[i * n + j] + A[j * n + i]) / 2 * q[j];
            qAq += t[i] * q[i];
        }
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) A[i * n + j] += -q[i] * t[j] - t[i] * q[j] + (qAq - low) * q[i] * q[j];
    }
    for (size_t i = 0; !rc && i < n; i++)
        for (size_t j = 0; j <= i; j++) A[i * n + j] = A[j * n + i] = -(A[i * n + j] + A[j * n + i]) / 2;
    if (!rc && LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'U', (lapack_int)n, A, (lapack_int)n, x))
        rc = err_set(e, ERR_NUMERIC, "eigenvectors: LAPACK dsyevd did not converge on %zu rows", n);
    for (size_t i = 0; !rc && i < w->n_all; i++) value[i] = -x[i];
    if (!rc) memcpy(vector, A, w->n_all * n * sizeof *A);
    free(A);
    free(x);
    return rc;
}

static int direct_residuals(const struct eigen_op *op, const struct eigen_want *w, const double *value,
                            const double *vector, double *residual, struct err *e) {
    size_t n = op->n;
    double *x = mem_array(2 * EIGEN_B * n, sizeof *x, "eigenvectors", e), *y = x ? x + EIGEN_B * n : NULL;
    if (!x) return ERR_MEMORY;
    for (size_t i = 0; i < w->n_all; i += EIGEN_B) {
        size_t nb = w->n_all - i < EIGEN_B ? w->n_all - i : EIGEN_B;
        memcpy(x, vector + i * n, nb * n * sizeof *x);
        op->apply(op->ctx, x, y);
        for (size_t b = 0; b < nb; b++) {
            double s = 0;
            for (size_t r = 0; r < n; r++) s += pow(y[b * n + r] - value[i + b] * x[b * n + r], 2);
            residual[i + b] = sqrt(s);
        }
    }
    free(x);
    return 0;
}

static void fix_sign(double *v, size_t n) {
    size_t top = 0;
    for (size_t i = 1; i < n; i++)
        if (fabs(v[i]) > fabs(v[top])) top = i;
    if (v[top] < 0)
        for (size_t i = 0; i < n; i++) v[i] = -v[i];
}

int eigen_leading(const struct eigen_op *op, const struct eigen_want *want, double *value, double *vector,
                  double *residual, struct eigen_report *report, struct err *e) {
    struct krylov k;
    size_t n = op->n;
    int rc;
    CHECK(want->n_all >= 1 && want->n_lock < n && want->n_all <= n - want->n_lock && want->n_tight <= want->n_all);
    *report = (struct eigen_report){0};
    if (n <= EIGEN_DIRECT || n < 4 * (want->n_all + want->n_lock)) {
        rc = direct(op, want, value, vector, e);
        if (!rc) rc = direct_residuals(op, want, value, vector, residual, e);
        if (rc) return rc;
        report->products = n;
        converged(want, value, residual, &report->residual);
    } else {
        rc = krylov_init(&k, n, want, report, e);
        if (rc) return rc;
        rc = iterate(&k, op, residual, e);
        if (!rc) memcpy(value, k.theta, want->n_all * sizeof *value);
        if (!rc) memcpy(vector, k.V, want->n_all * n * sizeof *vector);
        krylov_free(&k);
    }
    for (size_t i = 0; !rc && i < want->n_all; i++) fix_sign(vector + i * n, n);
    return rc;
}
