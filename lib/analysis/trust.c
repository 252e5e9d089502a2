/* trust.c - see trust.h. */
#include "lib/analysis/trust.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/analysis/pairscan.h"
#include "lib/analysis/pairs.h"
#include "lib/base/arena.h"
#include "lib/file/jsonfile.h"

enum { USUAL = 10 };

/* Pairs whose rank the neighbour lists do not tell: for row i, places far[i*k .. i*k+n_far[i]). */
struct count {
    size_t n, k;
    float *square;   /* [n] */
    uint32_t *n_far; /* [n] */
    int32_t *far;    /* [n,k] j */
    float *cut;      /* [n,k] |x_i - x_j|^2 - s_i, the bound on s_l - 2 g_il */
    uint32_t *less;  /* [n,k] how many l, neither i nor j, are nearer */
};

/* Row i against rows [l0, l0+m). What rounding makes of i and j themselves must not count. */
static void count_row(struct count *c, size_t i, size_t l0, size_t m, const float *g) {
    const float *cut = c->cut + i * c->k, *square = c->square + l0;
    uint32_t *less = c->less + i * c->k;
    pairscan_below_cpu(m, g, square, c->n_far[i], cut, less);
    for (size_t q = 0; q < c->n_far[i]; q++) {
        size_t j = (size_t)c->far[i * c->k + q] - l0, self = i - l0; /* below l0: wraps to beyond m */
        if (j < m && square[j] - 2 * g[j] < cut[q]) less[q]--;
        if (self < m && square[self] - 2 * g[self] < cut[q]) less[q]--;
    }
}

static void visit(void *ctx, const struct pairs_tile *t) {
    struct count *c = ctx;
    for (size_t a = 0; a < t->ni; a++) count_row(c, t->i0 + a, t->j0, t->nj, t->g + a * PAIRS_BLOCK);
    if (t->i0 == t->j0) return;
    for (size_t a0 = 0; a0 < t->ni; a0 += 16) /* the other side: transposed, in strips that stay in cache */
        for (size_t b = 0; b < t->nj; b++)
            for (size_t a = a0; a < t->ni && a < a0 + 16; a++)
                t->scratch[b * PAIRS_BLOCK + a] = t->g[a * PAIRS_BLOCK + b];
    for (size_t b = 0; b < t->nj; b++) count_row(c, t->j0 + b, t->i0, t->ni, t->scratch + b * PAIRS_BLOCK);
}

/* Rank of j among i's listed neighbours, from 1; 0 if it is not listed. */
static size_t listed_rank(const struct knn *near, size_t i, int32_t j) {
    for (size_t q = 0; q < near->k; q++)
        if (near->index[i * near->k + q] == j) return q + 1;
    return 0;
}

/* What the lists tell is added to penalty and kept; the rest goes to the count. */
static size_t sort_out(struct count *c, const float *x, size_t D, const struct knn *near, const struct knn *seen,
                       double *penalty, size_t *kept) {
    size_t far = 0;
    for (size_t i = 0; i < c->n; i++)
        for (size_t q = 0; q < c->k; q++) {
            size_t j = (size_t)seen->index[i * c->k + q], r = listed_rank(near, i, (int32_t)j);
            if (r) {
                *kept += r <= c->k;
                *penalty += r > c->k ? (double)(r - c->k) : 0;
                continue;
            }
            double d2 = pairscan_distance_cpu(D, x + i * D, x + j * D);
            size_t at = i * c->k + c->n_far[i]++;
            c->cut[at] = (float)(d2 - (double)c->square[i]);
            c->far[at] = (int32_t)j;
            far++;
        }
    return far;
}

static int count_far(struct count *c, const float *x, size_t D, const struct knn *near, double *penalty, size_t *kept,
                     struct err *e) {
    int rc = pairs_each(x, c->n, D, visit, c, e);
    if (rc) return rc;
    for (size_t i = 0; i < c->n; i++)
        for (size_t q = 0; q < c->n_far[i]; q++) {
            size_t rank = c->less[i * c->k + q] + 1;
            if (rank <= near->k) rank = near->k + 1; /* all listed ones are nearer */
            *kept += rank <= c->k;
            *penalty += rank > c->k ? (double)(rank - c->k) : 0;
        }
    return 0;
}

int trust_measure(const float *x, size_t n, size_t D, const float *xy, const struct knn *near, size_t k,
                  struct trust *out, struct err *e) {
    *out = (struct trust){.k = k};
    if (!k || k >= n || 2 * n <= 3 * k + 1)
        return err_set(e, ERR_RANGE, "trustworthiness: want k < 2n/3, got k = %zu, n = %zu", k, n);
    struct knn seen = {0};
    struct count c = {.n = n, .k = k};
    double penalty = 0;
    size_t kept = 0;
    c.square = mem_array(n, sizeof *c.square, "trustworthiness", e);
    c.n_far = mem_array(n, sizeof *c.n_far, "trustworthiness", e);
    c.far = mem_array(n, k * sizeof *c.far, "trustworthiness", e);
    c.cut = mem_array(n, k * sizeof *c.cut, "trustworthiness", e);
    c.less = mem_array(n, k * sizeof *c.less, "trustworthiness", e);
    int rc = c.square && c.n_far && c.far && c.cut && c.less ? pairs_squares(x, n, D, c.square, e) : ERR_MEMORY;
    if (!rc) rc = knn_exact(xy, n, 2, k, &seen, e);
    if (!rc && sort_out(&c, x, D, near, &seen, &penalty, &kept)) rc = count_far(&c, x, D, near, &penalty, &kept, e);
    if (!rc) {
        double pairs = (double)n * (double)k;
        out->trustworthiness = 1 - 2 * penalty / (pairs * (2 * (double)n - 3 * (double)k - 1));
        out->preservation = (double)kept / pairs;
    }
    knn_free(&seen);
    free(c.square);
    free(c.n_far);
    free(c.far);
    free(c.cut);
    free(c.less);
    return rc;
}

size_t trust_neighbours(size_t n) { return n > 2 * USUAL ? USUAL : n > 2 ? (n - 1) / 2 : 1; }

json_t *trust_json(const struct trust *t, json_t *o) {
    return jsonfile_with(o, "trustworthiness=%.17g preservation=%.17g measured_neighbours=%zu", t->trustworthiness,
                         t->preservation, t->k);
}
