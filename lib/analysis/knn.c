/* knn.c - see knn.h. */
#include "lib/analysis/knn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/analysis/pairscan.h"
#include "lib/analysis/pairs.h"
#include "lib/base/arena.h"

struct cand {
    float low; /* lower bound of the squared distance */
    int32_t j;
};

struct ranked {
    double d2;
    int32_t j;
};

/* A row's shortlist: cand[0..count), and the bound below which a pair may still be among the k nearest. */
struct search {
    const float *x;
    size_t n, D, k, cap;
    struct cand *cand; /* [n,cap] */
    uint32_t *count;   /* [n] */
    float *cut; /* [n] bound on a pair's `low`, less the row's own part: pairs with -2 g + low_j <= cut may be near */
    float *low; /* [n] (1-c) s_i: a row's part of the lower bound */
    float *square; /* [n] */
    float slack;   /* 2c: high = low + slack (s_i + s_j) */
};

/* Quickselect: afterwards v[k] is what sorting would put there. */
static float select_kth(float *v, size_t n, size_t k) {
    size_t l = 0, r = n - 1;
    while (l < r) {
        float p = v[l + (r - l) / 2];
        size_t a = l, b = r;
        while (a <= b) {
            while (v[a] < p) a++;
            while (v[b] > p) b--;
            if (a > b) break;
            float t = v[a];
            v[a++] = v[b];
            v[b] = t;
            if (!b--) break; /* b was 0: all that follows lies right of it */
        }
        if (b != SIZE_MAX && k <= b)
            r = b;
        else if (k >= a)
            l = a;
        else
            break;
    }
    return v[k];
}

static int by_distance(const void *a, const void *b) {
    const struct ranked *p = a, *q = b;
    if (p->d2 != q->d2) return p->d2 < q->d2 ? -1 : 1;
    return (p->j > q->j) - (p->j < q->j);
}

/* Rank m candidates of row i in double; r[0..m) sorted. */
static void rank(const struct search *s, size_t i, size_t m, struct ranked *r) {
    const struct cand *c = s->cand + i * s->cap;
    for (size_t q = 0; q < m; q++)
        r[q] = (struct ranked){pairscan_distance_cpu(s->D, s->x + i * s->D, s->x + (size_t)c[q].j * s->D), c[q].j};
    qsort(r, m, sizeof *r, by_distance);
}

/* Drop what cannot be among the k nearest of those seen; tighten the bound. `scratch` holds cap of struct ranked. */
static void shrink(struct search *s, size_t i, void *scratch) {
    struct cand *c = s->cand + i * s->cap;
    size_t n = s->count[i], kept = 0;
    float *high = scratch;
    if (n < s->k) return;
    for (size_t q = 0; q < n; q++) high[q] = c[q].low + s->slack * (s->square[i] + s->square[c[q].j]);
    float bound = select_kth(high, n, s->k - 1);
    for (size_t q = 0; q < n; q++)
        if (c[q].low <= bound) c[kept++] = c[q];
    s->count[i] = (uint32_t)kept;
    s->cut[i] = bound - s->low[i] + s->slack * s->square[i]; /* rounding up a little keeps the bound safe */
    if (kept <= s->cap / 2) return;
    /* Mostly ties: settle their order now. What falls out is beaten by k others for good. */
    struct ranked *r = scratch;
    rank(s, i, kept, r);
    for (size_t q = 0; q < s->k; q++)
        for (size_t p = 0; p < kept; p++)
            if (c[p].j == r[q].j) {
                struct cand t = c[q];
                c[q] = c[p];
                c[p] = t;
                break;
            }
    s->count[i] = (uint32_t)s->k;
}

static void push(struct search *s, size_t i, size_t j, float g, void *scratch) {
    if (!(-2 * g + s->low[j] <= s->cut[i])) return;
    s->cand[i * s->cap + s->count[i]++] = (struct cand){(-2 * g + s->low[j]) + s->low[i], (int32_t)j};
    if (s->count[i] == s->cap) shrink(s, i, scratch);
}

static void visit(void *ctx, const struct pairs_tile *t) {
    struct search *s = ctx;
    uint32_t hit[PAIRS_BLOCK];
    void *scratch = t->scratch; /* one tile is more than cap entries: see knn_exact */
    for (size_t a = 0; a < t->ni; a++) {
        size_t i = t->i0 + a;
        const float *g = t->g + a * PAIRS_BLOCK;
        bool self = t->i0 == t->j0;
        /* A block with itself holds (a,b) and (b,a): its columns need no bound of their own. */
        size_t first = self ? a + 1 : 0;
        size_t m = pairscan_near_cpu(t->nj - first, g + first, s->low + t->j0 + first, s->cut + t->j0 + first,
                                     s->low[i], s->cut[i], hit);
        for (size_t h = 0; h < m; h++) {
            size_t j = t->j0 + first + hit[h];
            push(s, i, j, g[first + hit[h]], scratch);
            push(s, j, i, g[first + hit[h]], scratch);
        }
    }
}

static void finish(struct search *s, size_t i, struct knn *out, void *scratch) {
    shrink(s, i, scratch);
    struct ranked *r = scratch;
    rank(s, i, s->count[i], r);
    for (size_t q = 0; q < s->k; q++) {
        out->index[i * s->k + q] = r[q].j;
        out->d2[i * s->k + q] = (float)r[q].d2;
    }
}

static int search_init(struct search *s, struct err *e) {
    s->cand = mem_array(s->n, s->cap * sizeof *s->cand, "kNN: shortlists", e);
    s->count = mem_array(s->n, sizeof *s->count, "kNN", e);
    s->cut = mem_array(s->n, sizeof *s->cut, "kNN", e);
    s->low = mem_array(s->n, sizeof *s->low, "kNN", e);
    s->square = mem_array(s->n, sizeof *s->square, "kNN", e);
    if (!s->cand || !s->count || !s->cut || !s->low || !s->square) return ERR_MEMORY;
    int rc = pairs_squares(s->x, s->n, s->D, s->square, e);
    if (rc) return rc;
    double c =
        ((double)s->D + 16) * 0x1p-24; /* 8 for the product as above, 8 for the float32 sums of three terms here */
    s->slack = (float)(2 * c);
    for (size_t i = 0; i < s->n; i++) {
        s->low[i] = (float)((1 - c) * s->square[i]);
        s->cut[i] = INFINITY;
    }
    return 0;
}

static void search_free(struct search *s) {
    free(s->cand);
    free(s->count);
    free(s->cut);
    free(s->low);
    free(s->square);
}

static int finish_all(struct search *s, struct knn *out, struct err *e) {
    int failed = 0;
#pragma omp parallel
    {
        struct ranked *scratch = malloc(s->cap * sizeof *scratch);
        if (!scratch) {
#pragma omp atomic write
            failed = 1;
        }
#pragma omp for schedule(dynamic, 64)
        for (size_t i = 0; i < s->n; i++)
            if (scratch) finish(s, i, out, scratch);
        free(scratch);
    }
    return failed ? err_set(e, ERR_MEMORY, "kNN: cannot have scratch memory for a thread") : 0;
}

int knn_exact(const float *x, size_t n, size_t D, size_t k, struct knn *out, struct err *e) {
    *out = (struct knn){.n = n, .k = k};
    if (n > INT32_MAX || !k || k >= n) {
        err_set(e, ERR_RANGE, "kNN: want 1 <= k < n <= 2^31-1, got k = %zu, n = %zu", k, n);
        return err_hint(e, "each row has n-1 other rows to be near to");
    }
    struct search s = {.x = x, .n = n, .D = D, .k = k, .cap = 4 * k > k + 64 ? 4 * k : k + 64};
    int rc = 0;
    if (s.cap * sizeof(struct ranked) > sizeof(float) * PAIRS_BLOCK * PAIRS_BLOCK)
        rc = err_set(e, ERR_RANGE, "kNN: want k at most 16000, got %zu", k);
    if (!rc) rc = search_init(&s, e);
    out->index = rc ? NULL : mem_array(n, k * sizeof *out->index, "kNN: neighbours", e);
    out->d2 = rc ? NULL : mem_array(n, k * sizeof *out->d2, "kNN: neighbours", e);
    if (!rc && (!out->index || !out->d2)) rc = ERR_MEMORY;
    if (!rc) rc = pairs_each(x, n, D, visit, &s, e);
    if (!rc) rc = finish_all(&s, out, e);
    search_free(&s);
    if (rc) knn_free(out);
    return rc;
}

void knn_free(struct knn *g) {
    free(g->index);
    free(g->d2);
    *g = (struct knn){0};
}
