/* pca.c - see pca.h. */
#include "lib/analysis/pca.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/gemm.h"
#include "lib/base/arena.h"
#include "lib/base/rng.h"

enum { WIDTH = 8, MAX_BASIS = 256, STREAM = 0x706361 };

struct krylov {
    const float *x;
    size_t n, D, want, limit, m; /* components wanted; limit of the basis; its size now */
    struct arena memory;
    float *mean;              /* [D] */
    double *V, *W;            /* [limit,D] orthonormal basis, and C times it */
    float *block;             /* [WIDTH,D] */
    float *proj;              /* [n,WIDTH] */
    double *T, *theta, *ritz; /* [limit,limit], [limit], [want,D] */
};

static double dot(size_t D, const double *a, const double *b) {
    double s[4] = {0};
    size_t d = 0;
    for (; d + 4 <= D; d += 4)
        for (size_t l = 0; l < 4; l++) s[l] += a[d + l] * b[d + l];
    for (; d < D; d++) s[0] += a[d] * b[d];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

static int krylov_init(struct krylov *k, struct err *e) {
    size_t L = k->limit = k->D < MAX_BASIS ? k->D : MAX_BASIS;
    size_t need[] = {arena_need(k->D, sizeof(float)),         arena_need(L * k->D, sizeof(double)),
                     arena_need(L * k->D, sizeof(double)),    arena_need(WIDTH * k->D, sizeof(float)),
                     arena_need(k->n, WIDTH * sizeof(float)), arena_need(L * L, sizeof(double)),
                     arena_need(L, sizeof(double)),           arena_need(k->want * k->D, sizeof(double))};
    size_t bytes = 0;
    for (size_t q = 0; q < sizeof need / sizeof *need; q++)
        bytes = need[q] > SIZE_MAX - bytes ? SIZE_MAX : bytes + need[q];
    if (arena_init(&k->memory, bytes, "PCA", e)) return ERR_MEMORY;
    k->mean = arena_take(&k->memory, k->D, sizeof(float));
    k->V = arena_take(&k->memory, L * k->D, sizeof(double));
    k->W = arena_take(&k->memory, L * k->D, sizeof(double));
    k->block = arena_take(&k->memory, WIDTH * k->D, sizeof(float));
    k->proj = arena_take(&k->memory, k->n, WIDTH * sizeof(float));
    k->T = arena_take(&k->memory, L * L, sizeof(double));
    k->theta = arena_take(&k->memory, L, sizeof(double));
    k->ritz = arena_take(&k->memory, k->want * k->D, sizeof(double));
    double *sum = k->W; /* free until the first product */
    for (size_t i = 0; i < k->n; i++)
        for (size_t d = 0; d < k->D; d++) sum[d] += (double)k->x[i * k->D + d];
    for (size_t d = 0; d < k->D; d++) k->mean[d] = (float)(sum[d] / (double)k->n);
    return 0;
}

static double total_variance(const struct krylov *k) {
    double all = 0;
    for (size_t i = 0; i < k->n; i++) {
        double row = 0;
        for (size_t d = 0; d < k->D; d++) {
            double c = (double)k->x[i * k->D + d] - (double)k->mean[d];
            row += c * c;
        }
        all += row;
    }
    return all / (double)k->n;
}

/* Make v orthogonal to the basis and of length 1, and take it in; false if nothing of it is left. */
static bool take_vector(struct krylov *k, double *v) {
    double before = sqrt(dot(k->D, v, v));
    for (int twice = 0; twice < 2; twice++)
        for (size_t q = 0; q < k->m; q++) {
            double c = dot(k->D, v, k->V + q * k->D);
            for (size_t d = 0; d < k->D; d++) v[d] -= c * k->V[q * k->D + d];
        }
    double after = sqrt(dot(k->D, v, v));
    if (!(after > 1e-7 * before) || k->m == k->limit) return false;
    for (size_t d = 0; d < k->D; d++) k->V[k->m * k->D + d] = v[d] / after;
    k->m++;
    return true;
}

/* proj [n,b] := (x - mean) block^T */
static void project(struct krylov *k, size_t b) {
    gemm_cpu(false, true, k->n, b, k->D, 1, k->x, k->D, k->block, k->D, 0, k->proj, b);
    for (size_t q = 0; q < b; q++) {
        double at_mean = 0;
        for (size_t d = 0; d < k->D; d++) at_mean += (double)k->mean[d] * k->block[q * k->D + d];
        for (size_t i = 0; i < k->n; i++) k->proj[i * b + q] -= (float)at_mean;
    }
}

/* W := C V for the basis vectors first .. m-1 (at most WIDTH); their rows of T. */
static void multiply(struct krylov *k, size_t first) {
    size_t b = k->m - first, D = k->D;
    for (size_t t = 0; t < b * D; t++) k->block[t] = (float)k->V[first * D + t];
    project(k, b);
    gemm_cpu(true, false, b, D, k->n, 1, k->proj, b, k->x, D, 0, k->block, D);
    for (size_t q = 0; q < b; q++) {
        double sum = 0; /* of centred numbers: only rounding, but times the mean it would show */
        for (size_t i = 0; i < k->n; i++) sum += (double)k->proj[i * b + q];
        double *w = k->W + (first + q) * D;
        for (size_t d = 0; d < D; d++) w[d] = ((double)k->block[q * D + d] - sum * k->mean[d]) / (double)k->n;
    }
}

/* Rayleigh-Ritz on the basis: the largest pairs into out, ritz, and their residuals. */
static int rayleigh_ritz(struct krylov *k, struct pca *out, struct err *e) {
    size_t m = k->m, D = k->D;
    for (size_t p = 0; p < m; p++)
        for (size_t q = 0; q <= p; q++) {
            double a = dot(D, k->V + p * D, k->W + q * D), b = dot(D, k->V + q * D, k->W + p * D);
            k->T[p * m + q] = k->T[q * m + p] = (a + b) / 2;
        }
    if (LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'L', (lapack_int)m, k->T, (lapack_int)m, k->theta))
        return err_set(e, ERR_NUMERIC, "PCA: dsyev did not converge on a %zu x %zu matrix", m, m);
    for (size_t c = 0; c < k->want; c++) {
        double *u = k->ritz + c * D, r2 = 0;
        memset(u, 0, D * sizeof *u);
        out->variance[c] = c < m && k->theta[m - 1 - c] > 0 ? k->theta[m - 1 - c] : 0;
        out->residual[c] = 0;
        if (c >= m) continue;
        const double *s = k->T + (m - 1 - c);
        for (size_t d = 0; d < D; d++) {
            double w = 0;
            for (size_t p = 0; p < m; p++) u[d] += s[p * m] * k->V[p * D + d], w += s[p * m] * k->W[p * D + d];
            r2 += (w - out->variance[c] * u[d]) * (w - out->variance[c] * u[d]);
        }
        out->residual[c] = sqrt(r2);
    }
    return 0;
}

static int iterate(struct krylov *k, uint64_t seed, struct pca *out, struct err *e) {
    for (size_t q = 0; q < WIDTH; q++) {
        double *v = k->W + q * k->D;
        for (size_t d = 0; d < k->D; d++) v[d] = rng_normal(seed, STREAM, q * k->D + d);
        take_vector(k, v);
    }
    for (size_t first = 0;;) {
        size_t last = k->m;
        multiply(k, first);
        int rc = rayleigh_ritz(k, out, e);
        if (rc) return rc;
        bool done = true;
        for (size_t c = 0; c < k->want; c++) done &= out->residual[c] <= 1e-5 * out->variance[0];
        if (done || k->m == k->limit) return 0;
        for (size_t q = first; q < last; q++) {
            double *v = k->ritz; /* scratch until the next Rayleigh-Ritz */
            memcpy(v, k->W + q * k->D, k->D * sizeof *v);
            take_vector(k, v);
        }
        if (k->m == last) return rayleigh_ritz(k, out, e); /* the space is invariant */
        first = last;
    }
}

/* Components from ritz to scores. */
static void write_scores(struct krylov *k, const struct pca *out, float *score) {
    for (size_t c = 0; c < k->want; c++) {
        size_t top = 0;
        const double *u = k->ritz + c * k->D;
        for (size_t d = 0; d < k->D; d++)
            if (fabs(u[d]) > fabs(u[top])) top = d;
        bool none = !(out->variance[c] > 1e-12 * out->variance[0]);
        for (size_t d = 0; d < k->D; d++) k->block[c * k->D + d] = none ? 0 : (float)(u[top] < 0 ? -u[d] : u[d]);
    }
    project(k, k->want);
    memcpy(score, k->proj, k->want * k->n * sizeof *score);
}

/* The mean square of the rows about their mean below float32 rounding of the rows: no variance at all. */
static bool all_equal(const struct krylov *k) {
    for (size_t i = 1; i < k->n; i++)
        if (memcmp(k->x, k->x + i * k->D, k->D * sizeof *k->x)) return false;
    return true;
}

int pca_scores(const float *x, size_t n, size_t D, size_t k, uint64_t seed, float *score, struct pca *out,
               struct err *e) {
    struct krylov s = {.x = x, .n = n, .D = D, .want = k};
    CHECK(k >= 1 && k <= PCA_MOST);
    *out = (struct pca){0};
    memset(score, 0, k * n * sizeof *score);
    if (!n || !D || all_equal(&s)) return 0;
    int rc = krylov_init(&s, e);
    if (!rc) out->total = total_variance(&s);
    if (!rc) rc = iterate(&s, seed, out, e);
    if (!rc) write_scores(&s, out, score);
    arena_free(&s.memory);
    return rc;
}
