/* edges.h - a sparse symmetric matrix of weights, made from directed nearest neighbours. Serves t-SNE and UMAP.
 * Tests: tests/test_tsne.c, tests/test_umap.c */
#ifndef SAEMILL_EDGES_H
#define SAEMILL_EDGES_H

#include <stddef.h>
#include <stdint.h>

#include "lib/analysis/knn.h"
#include "lib/base/err.h"

/* A sparse symmetric matrix by rows. Rows are filled up to a multiple of ATTRACT_LANES (kernels/analysis/attract.h) with entries
 * of weight 0 on the point itself. */
struct edges {
    size_t n;
    size_t *row;  /* [n+1] */
    int32_t *col; /* [row[n]] ascending within a row, fill at the end */
    float *p;     /* [row[n]] */
};

/* w_ij := mix(w of i -> j, w of j -> i, ctx), 0 where a direction is missing.
 *   g    neighbours; index is read only
 *   w    [n,k] f32 weight of each
 *   mix  symmetric in a and b
 * edges_free releases. ERR_MEMORY. */
int edges_symmetric(const struct knn *g, const float *w, double (*mix)(double a, double b, double ctx), double ctx,
                    struct edges *out, struct err *e);
void edges_free(struct edges *s);

#endif
