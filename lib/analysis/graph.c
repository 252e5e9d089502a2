/* graph.c - see graph.h. Tasks are fixed pieces of the work (tiles; slabs of features by panels of chunks) and are summed in a fixed
 * order, so the number of threads changes nothing. */
#include "lib/analysis/graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/analysis/bitmul.h"
#include "kernels/base/gemm.h"
#include "kernels/analysis/popcount.h"
#include "kernels/analysis/symmul.h"
#include "lib/base/arena.h"

enum {
    B = GRAPH_B,
    T = SYMMUL_T,
    TILE_ELEMS = T * T,
    PANEL = 8,
    SLABS = 8,
    WORTH = 1 << 17
}; /* short loops stay in one thread */
_Static_assert((int)B == (int)BITMUL_B && (int)B == (int)SYMMUL_B, "all products take the same number of vectors");

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

void graph_free(struct graph *g) {
    free(g->degree), free(g->inv_root), free(g->tile), free(g->x), free(g->part);
    free(g->gain), free(g->q), free(g->diagonal), free(g->v), free(g->uf), free(g->u), free(g->y);
    *g = (struct graph){0};
}

static bool get(void *out, size_t n, size_t elem_bytes, struct err *e) {
    void *p = mem_array(n, elem_bytes, "affinity graph", e);
    memcpy(out, &p, sizeof p);
    return p != NULL;
}

static int common_init(struct graph *g, size_t n, struct err *e) {
    *g = (struct graph){.n = n};
    if (n < 2) return err_set(e, ERR_RANGE, "affinity graph: want at least 2 features, got %zu", n);
    return get(&g->degree, n, sizeof(double), e) && get(&g->inv_root, n, sizeof(double), e) ? 0 : ERR_MEMORY;
}

/* Degrees are known: below `floor` a node is isolated. */
static void finish(struct graph *g, double floor) {
    for (size_t i = 0; i < g->n; i++) {
        bool isolated = !(g->degree[i] > floor);
        if (isolated) g->degree[i] = 0, g->isolated++;
        g->inv_root[i] = isolated ? 0 : 1 / sqrt(g->degree[i]);
    }
}

/* ---- formed ---- */

static size_t n_tiles(const struct graph *g) { return g->blocks * (g->blocks + 1) / 2; }
static size_t tile_at(const struct graph *g, size_t I, size_t J) {
    return I * g->blocks - I * (I + 1) / 2 + J;
} /* I <= J */

static int formed_init(struct graph *g, size_t n, struct err *e) {
    int rc = common_init(g, n, e);
    if (rc) return rc;
    g->blocks = (n + T - 1) / T;
    size_t elems;
    if (!size_product(n_tiles(g), TILE_ELEMS, 1, &elems)) elems = SIZE_MAX;
    return get(&g->tile, elems, sizeof(float), e) && get(&g->x, B * T * g->blocks, sizeof(float), e) &&
                   get(&g->part, n_tiles(g) * 2 * B * T, sizeof(float), e)
               ? 0
               : ERR_MEMORY;
}

static void tile_sums(const float *a, double *row, double *col) {
    memset(col, 0, T * sizeof *col);
    for (size_t i = 0; i < T; i++) {
        double s[8] = {0};
        for (size_t j = 0; j < T; j += 8)
            for (size_t l = 0; l < 8; l++) s[l] += (double)a[i * T + j + l], col[j + l] += (double)a[i * T + j + l];
        row[i] = ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
    }
}

/* Fill every tile by `fill`, clear the diagonal, sum the degrees. */
static int formed_fill(struct graph *g,
                       void (*fill)(const void *ctx, size_t i0, size_t M, size_t j0, size_t N, float *out),
                       const void *ctx, struct err *e) {
    size_t nb = g->blocks;
    double *sums;
    if (!get(&sums, n_tiles(g) * 2 * T, sizeof(double), e)) return ERR_MEMORY;
#pragma omp parallel for schedule(dynamic)
    for (size_t I = 0; I < nb; I++)
        for (size_t J = I; J < nb; J++) {
            size_t t = tile_at(g, I, J);
            float *a = g->tile + t * TILE_ELEMS;
            fill(ctx, I * T, smaller(T, g->n - I * T), J * T, smaller(T, g->n - J * T), a);
            for (size_t i = 0; I == J && i < T; i++) a[i * T + i] = 0;
            tile_sums(a, sums + t * 2 * T, sums + (t * 2 + 1) * T);
        }
    for (size_t i = 0; i < g->n; i++) {
        size_t I = i / T, r = i % T;
        for (size_t J = 0; J < nb; J++)
            g->degree[i] += J >= I ? sums[tile_at(g, I, J) * 2 * T + r] : sums[(tile_at(g, J, I) * 2 + 1) * T + r];
    }
    free(sums);
    finish(g, 0);
    return 0;
}

static void formed_apply(struct graph *g, const double *x, double *y) {
    size_t nb = g->blocks, n = g->n;
#pragma omp parallel for schedule(static) if (n * B > WORTH)
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < B; b++) g->x[(i / T * B + b) * T + i % T] = (float)(x[b * n + i] * g->inv_root[i]);
#pragma omp parallel for schedule(dynamic)
    for (size_t I = 0; I < nb; I++)
        for (size_t J = I; J < nb; J++) {
            size_t t = tile_at(g, I, J);
            float *p = g->part + t * 2 * B * T;
            symmul_tile_cpu(g->tile + t * TILE_ELEMS, g->x + I * B * T, g->x + J * B * T, p, p + B * T);
        }
#pragma omp parallel for schedule(static) if (n * B * nb > WORTH)
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < B; b++) {
            size_t I = i / T, r = b * T + i % T;
            double s = 0;
            for (size_t J = 0; J < nb; J++)
                s += (double)(J >= I ? g->part[tile_at(g, I, J) * 2 * B * T + r]
                                     : g->part[(tile_at(g, J, I) * 2 + 1) * B * T + r]);
            y[b * n + i] = s * g->inv_root[i];
        }
}

struct from_firing {
    const struct firing *m;
    enum affinity kind;
};

static void fill_affinity(const void *ctx, size_t i0, size_t M, size_t j0, size_t N, float *out) {
    const struct from_firing *f = ctx;
    const struct firing *m = f->m;
    uint32_t n11[TILE_ELEMS];
    popcount_and_cpu(M, N, m->words, m->bits + i0 * m->words, m->words, m->bits + j0 * m->words, m->words, n11, T);
    affinity_tile(f->kind, M, N, n11, T, m->count + i0, m->count + j0, m->chunks, out, T);
    for (size_t i = 0; f->kind == AFFINITY_PHI && i < M; i++)
        for (size_t j = 0; j < N; j++) out[i * T + j] += 1;
}

struct from_rows {
    const float *x;
    size_t D;
};

static void fill_angles(const void *ctx, size_t i0, size_t M, size_t j0, size_t N, float *out) {
    const struct from_rows *f = ctx;
    gemm_tile(false, true, M, N, f->D, 1, f->x + i0 * f->D, f->D, f->x + j0 * f->D, f->D, 0, out, T);
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++) {
            float c = out[i * T + j];
            c = c > 1 ? 1 : c < -1 ? -1 : c;
            out[i * T + j] = 1 - acosf(c) * 0.318309886f;
        }
}

int graph_from_rows(struct graph *g, const float *x, size_t n, size_t D, struct err *e) {
    float *unit = NULL;
    int rc = formed_init(g, n, e);
    if (!rc && !get(&unit, n * D, sizeof(float), e)) rc = ERR_MEMORY;
    for (size_t i = 0; !rc && i < n; i++) {
        double s = 0;
        for (size_t d = 0; d < D; d++) s += (double)x[i * D + d] * (double)x[i * D + d];
        if (!(s > 0 && isfinite(s))) rc = err_set(e, ERR_NUMERIC, "angular similarity: row %zu is zero, NaN or Inf", i);
        for (size_t d = 0; d < D; d++) unit[i * D + d] = (float)((double)x[i * D + d] / sqrt(s));
    }
    if (!rc) rc = formed_fill(g, fill_angles, &(struct from_rows){unit, D}, e);
    free(unit);
    if (rc) graph_free(g);
    return rc;
}

/* ---- factored ---- */

static int factored_init(struct graph *g, const struct firing *m, enum affinity kind, struct err *e) {
    int rc = common_init(g, m->F, e);
    size_t n = m->F, C = 64 * m->words, u;
    if (rc) return rc;
    g->fire = m;
    g->slab = ((n + SLABS - 1) / SLABS + 255) / 256 * 256;
    g->slabs = (n + g->slab - 1) / g->slab;
    if (!size_product(g->slabs, B, C, &u)) u = SIZE_MAX;
    if (!(get(&g->gain, n, sizeof(double), e) && get(&g->q, n, sizeof(double), e) &&
          get(&g->diagonal, n, sizeof(double), e) && get(&g->v, n * B, sizeof(float), e) &&
          get(&g->uf, B * C, sizeof(float), e) && get(&g->u, u, sizeof(double), e) &&
          get(&g->y, n * B, sizeof(double), e)))
        return ERR_MEMORY;
    double t = (double)m->chunks;
    bool phi = kind == AFFINITY_PHI;
    g->alpha = phi ? t : 2 / t;
    g->rank1[0] = phi ? 1 : 0.5;
    g->rank1[1] = phi ? 0 : 0.5;
    for (size_t i = 0; i < n; i++) {
        double c = (double)m->count[i], variance = c * (t - c);
        g->gain[i] = !phi ? 1 : variance > 0 ? 1 / sqrt(variance) : 0;
        g->q[i] = 1 - 2 * c / t;
        g->diagonal[i] = !phi ? 1 : variance > 0 ? 2 : 1;
    }
    return 0;
}

/* d = W 1 in double, by walking the set bits. */
static int factored_degrees(struct graph *g, struct err *e) {
    const struct firing *m = g->fire;
    size_t n = g->n, W = m->words;
    double *u, mean = 0, sum_u = 0, sum_q = 0, t = (double)m->chunks;
    if (!get(&u, 64 * W, sizeof *u, e)) return ERR_MEMORY;
#pragma omp parallel for schedule(dynamic)
    for (size_t w0 = 0; w0 < W; w0 += PANEL)
        for (size_t f = 0; f < n; f++)
            for (size_t w = w0; w < w0 + PANEL; w++)
                for (uint64_t x = m->bits[f * W + w]; x; x &= x - 1)
                    u[64 * w + (size_t)__builtin_ctzll(x)] += g->gain[f];
    for (size_t f = 0; f < n; f++) mean += (double)m->count[f] / t * g->gain[f], sum_q += g->q[f];
    for (size_t c = 0; c < m->chunks; c++) u[c] -= mean, sum_u += u[c];
#pragma omp parallel for schedule(static)
    for (size_t f = 0; f < n; f++) {
        double s = 0;
        for (size_t w = 0; w < W; w++)
            for (uint64_t x = m->bits[f * W + w]; x; x &= x - 1) s += u[64 * w + (size_t)__builtin_ctzll(x)];
        s -= (double)m->count[f] / t * sum_u;
        g->degree[f] =
            g->alpha * g->gain[f] * s + g->rank1[0] * (double)n + g->rank1[1] * g->q[f] * sum_q - g->diagonal[f];
    }
    free(u);
    finish(g, 1e-9);
    return 0;
}

/* u := Xc (gain * inv_root * x) in double, by slabs of features and panels of chunks; then rounded into uf. */
static void to_chunks(struct graph *g, const double *x, double *sum_u) {
    const struct firing *m = g->fire;
    size_t n = g->n, W = m->words, C = 64 * W, panels = W / PANEL;
    double mean[B] = {0};
#pragma omp parallel for schedule(static) if (n * B > WORTH)
    for (size_t f = 0; f < n; f++)
        for (size_t b = 0; b < B; b++) g->v[f * B + b] = (float)(g->gain[f] * g->inv_root[f] * x[b * n + f]);
#pragma omp parallel for schedule(dynamic) if (n * W > WORTH)
    for (size_t t = 0; t < g->slabs * panels; t++) {
        size_t s = t / panels, w = t % panels * PANEL, f = s * g->slab;
        double *u = g->u + s * B * C + 64 * w;
        for (size_t b = 0; b < B; b++) memset(u + b * C, 0, 64 * PANEL * sizeof *u);
        bitmul_scatter_cpu(smaller(g->slab, n - f), PANEL, m->bits + f * W + w, W, g->v + f * B, u, C);
    }
    for (size_t f = 0; f < n; f++)
        for (size_t b = 0; b < B; b++) mean[b] += (double)m->count[f] / (double)m->chunks * (double)g->v[f * B + b];
#pragma omp parallel for schedule(static) if (m->chunks * g->slabs * B > WORTH)
    for (size_t b = 0; b < B; b++) {
        sum_u[b] = 0;
        for (size_t c = 0; c < m->chunks; c++) {
            double s = -mean[b];
            for (size_t k = 0; k < g->slabs; k++) s += g->u[(k * B + b) * C + c];
            g->uf[b * C + c] = (float)s;
            sum_u[b] += (double)g->uf[b * C + c];
        }
    }
}

static void factored_apply(struct graph *g, const double *x, double *y) {
    const struct firing *m = g->fire;
    size_t n = g->n, W = m->words, C = 64 * W;
    double sum_u[B], ones[B] = {0}, along_q[B] = {0};
    to_chunks(g, x, sum_u);
    for (size_t b = 0; b < B; b++)
        for (size_t i = 0; i < n; i++) {
            double z = g->inv_root[i] * x[b * n + i];
            ones[b] += z, along_q[b] += z * g->q[i];
        }
#pragma omp parallel for schedule(static) if (n * W > WORTH)
    for (size_t f0 = 0; f0 < n; f0 += 64) {
        bitmul_gather_cpu(smaller(64, n - f0), W, m->bits + f0 * W, W, g->uf, C, g->y + f0 * B);
        for (size_t f = f0; f < n && f < f0 + 64; f++)
            for (size_t b = 0; b < B; b++) {
                double centred = g->y[f * B + b] - (double)m->count[f] / (double)m->chunks * sum_u[b];
                double z = g->alpha * g->gain[f] * centred + g->rank1[0] * ones[b] + g->rank1[1] * g->q[f] * along_q[b];
                y[b * n + f] = g->inv_root[f] * (z - g->diagonal[f] * g->inv_root[f] * x[b * n + f]);
            }
    }
}

int graph_from_firing(struct graph *g, const struct firing *m, enum affinity kind, bool formed, struct err *e) {
    int rc;
    *g = (struct graph){0};
    if (!formed && kind != AFFINITY_PHI && kind != AFFINITY_SMC)
        return err_set(e, ERR_UNSUPPORTED, "affinity graph: %s has no factored form", affinity_name(kind));
    if (formed) {
        rc = formed_init(g, m->F, e);
        if (!rc) rc = formed_fill(g, fill_affinity, &(struct from_firing){m, kind}, e);
    } else {
        rc = factored_init(g, m, kind, e);
        if (!rc) rc = factored_degrees(g, e);
    }
    if (rc) graph_free(g);
    return rc;
}

void graph_apply(void *graph, const double *x, double *y) {
    struct graph *g = graph;
    if (g->fire)
        factored_apply(g, x, y);
    else
        formed_apply(g, x, y);
}
