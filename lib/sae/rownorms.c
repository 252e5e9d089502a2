/* rownorms.c - see rownorms.h. */
#include "lib/sae/rownorms.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/base/arena.h"

enum { BLOCK = 1024, WAVE = 64, PIECE = 16 }; /* rows of a sum; sums between ticks; rows converted at once */

struct part {
    double sq, norm;
    size_t bad; /* first row that is not finite, or SIZE_MAX */
};

static int block_sum(const struct safetensors_tensor *t, size_t row0, size_t rows, float *x, struct part *p,
                     struct err *e) {
    size_t D = (size_t)t->shape[1];
    *p = (struct part){.bad = SIZE_MAX};
    for (size_t r0 = 0; r0 < rows; r0 += PIECE) {
        size_t n = rows - r0 < PIECE ? rows - r0 : PIECE;
        int rc = safetensors_to_f32(t, (row0 + r0) * D, n * D, x, e);
        if (rc) return rc;
        for (size_t r = 0; r < n; r++) {
            double lane[4] = {0};
            for (size_t d = 0; d < D; d++) lane[d % 4] += (double)x[r * D + d] * (double)x[r * D + d];
            double sq = (lane[0] + lane[1]) + (lane[2] + lane[3]);
            if (!isfinite(sq) && p->bad == SIZE_MAX) p->bad = row0 + r0 + r;
            p->sq += sq, p->norm += sqrt(sq);
        }
    }
    return 0;
}

static int wave_sum(const struct safetensors_tensor *t, size_t row0, size_t rows, struct part part[WAVE],
                    struct err *e) {
    size_t blocks = (rows + BLOCK - 1) / BLOCK;
    int rc = 0;
#pragma omp parallel
    {
        float *x = mem_array(PIECE * (size_t)t->shape[1], sizeof *x, "normalise: rows", NULL);
        struct err own = {0};
        int failed = x ? 0 : err_set(&own, ERR_MEMORY, "%s: no memory for %d rows", t->path, PIECE);
#pragma omp for schedule(static)
        for (size_t k = 0; k < blocks; k++)
            if (!failed)
                failed = block_sum(t, row0 + k * BLOCK, rows - k * BLOCK < BLOCK ? rows - k * BLOCK : BLOCK, x,
                                   &part[k], &own);
        if (failed) {
#pragma omp critical(rownorms_error)
            {
                rc = failed;
                if (e) *e = own;
            }
        }
        free(x);
    }
    return rc;
}

int rownorms(const struct safetensors_tensor *t, struct rownorms *out, void (*tick)(void *context, size_t done),
             void *context, struct err *e) {
    size_t N = (size_t)t->shape[0], wave = (size_t)WAVE * BLOCK;
    struct part part[WAVE];
    double sq = 0, norm = 0;
    for (size_t row0 = 0; row0 < N; row0 += wave) {
        size_t rows = N - row0 < wave ? N - row0 : wave;
        int rc = wave_sum(t, row0, rows, part, e);
        if (rc) return rc;
        for (size_t k = 0; k * BLOCK < rows; k++) {
            if (part[k].bad != SIZE_MAX) {
                err_set(e, ERR_NUMERIC, "%s: %s: row %zu: want finite numbers, got NaN or Inf", t->path, t->name,
                        part[k].bad);
                return err_hint(
                    e, "collect the activations again; bf16 holds no more than 3.4e38, f16 no more than 65504");
            }
            sq += part[k].sq, norm += part[k].norm;
        }
        if (tick) tick(context, row0 + rows);
    }
    *out = (struct rownorms){sq / (double)N, norm / (double)N};
    return 0;
}
