/* ranks.c - see ranks.h. */
#include "lib/analysis/ranks.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/arena.h"

struct place {
    double value;
    size_t at;
};

static int rising(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static void rank(size_t n, const double *v, struct place *p, double *out) {
    for (size_t i = 0; i < n; i++) p[i] = (struct place){v[i], i};
    qsort(p, n, sizeof *p, rising);
    for (size_t i = 0; i < n;) {
        size_t j = i;
        while (j < n && p[j].value == p[i].value) j++;
        for (size_t k = i; k < j; k++) out[p[k].at] = 0.5 * (double)(i + j - 1);
        i = j;
    }
}

int ranks_spearman(size_t n, const double *a, const double *b, double *rho, struct err *e) {
    struct place *p = mem_array(n, sizeof *p, "ranks", e);
    double *ra = p ? mem_array(n, 2 * sizeof *ra, "ranks", e) : NULL, *rb = ra + n;
    *rho = NAN;
    if (!ra) {
        free(p);
        return ERR_MEMORY;
    }
    rank(n, a, p, ra);
    rank(n, b, p, rb);
    double mean = 0.5 * ((double)n - 1), aa = 0, bb = 0, ab = 0;
    for (size_t i = 0; i < n; i++)
        aa += (ra[i] - mean) * (ra[i] - mean), bb += (rb[i] - mean) * (rb[i] - mean),
            ab += (ra[i] - mean) * (rb[i] - mean);
    if (aa > 0 && bb > 0) *rho = ab / sqrt(aa * bb);
    free(ra);
    free(p);
    return 0;
}

/* The k largest of v into at, largest first. */
static void top(size_t n, const double *v, size_t k, size_t *at) {
    size_t have = 0;
    for (size_t i = 0; i < n; i++) {
        size_t q = have < k ? have++ : k;
        while (q && v[at[q - 1]] < v[i]) {
            if (q < k) at[q] = at[q - 1];
            q--;
        }
        if (q < k) at[q] = i;
    }
}

size_t ranks_top_overlap(size_t n, const double *a, const double *b, size_t k) {
    size_t at[2][RANKS_TOP_MOST], common = 0;
    CHECK(k <= n && k <= RANKS_TOP_MOST);
    top(n, a, k, at[0]);
    top(n, b, k, at[1]);
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < k; j++) common += at[0][i] == at[1][j];
    return common;
}

static int larger_first(const void *a, const void *b) {
    const struct ranks_item *x = a, *y = b;
    if (x->value != y->value) return x->value > y->value ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

void ranks_sort(size_t n, struct ranks_item *item) { qsort(item, n, sizeof *item, larger_first); }
