/* pass_cuda.cu - the small operations of a forward pass; see pass.h. */
#include "kernels/lm/lm_cuda.h"

#include <string.h>

/* Tokens, positions and tiles in one piece, sent in one copy. */
void pass_place_cuda(size_t n, const size_t *start, const int32_t *token, struct pass_place *p) {
    const size_t rows = start[n], tiles = rows / PASS_TILE + n, tiles_at = 2 * rows * sizeof(int32_t);
    char *at = (char *)cuda_staging(tiles_at + tiles * sizeof(struct pass_tile));
    memset(p, 0, sizeof *p);
    if (!at) return;
    int32_t *position = (int32_t *)at + rows;
    struct pass_tile *tile = (struct pass_tile *)(at + tiles_at);
    if (token) memcpy(at, token, rows * sizeof *token);
    for (size_t i = 0; i < n; i++) {
        const size_t T = start[i + 1] - start[i];
        for (size_t t = 0; t < T; t++) position[start[i] + t] = (int32_t)t;
        for (size_t t = 0; t < T; t += PASS_TILE) {
            tile->first = (uint32_t)start[i], tile->T = (uint32_t)T, tile->row = (uint32_t)t;
            tile++, p->n_tiles++;
        }
    }
    const char *there = (const char *)cuda_send();
    p->n = n, p->rows = rows, p->start = start;
    p->token = (const int32_t *)there, p->position = p->token + rows;
    p->tile = (const struct pass_tile *)(there + tiles_at);
}

__global__ static void embed(size_t rows, size_t D, const int32_t *token, const int32_t *position, const void *table,
                             const float *pos, float *x, int half) {
    EACH(i, rows * D) {
        const size_t r = i / D, d = i % D;
        x[i] = cuda_load(table, (size_t)token[r] * D + d, half) + (pos ? pos[(size_t)position[r] * D + d] : 0.0f);
    }
}

__global__ static void add(size_t n, float *x, const void *delta, int half) {
    EACH4(i, n) {
        float a[4], b[4];
        cuda_load4(a, x, i, n - i, 0);
        cuda_load4(b, delta, i, n - i, half);
        for (int j = 0; j < 4; j++) a[j] += b[j];
        cuda_store4(x, i, n - i, a, 0);
    }
}

__global__ static void convert(size_t n, const void *x, int from_half, void *out, int to_half) {
    EACH(i, n) cuda_store(out, i, cuda_load(x, i, from_half), to_half);
}

void pass_embed_cuda(const struct pass_place *p, size_t D, const float *table, const float *pos, float *x) {
    LAUNCH(embed, cuda_blocks(p->rows * D, 4 * CUDA_THREADS), CUDA_THREADS, 0, p->rows, D, p->token, p->position,
           (const void *)table, pos, x, cuda_precision() == PRECISION_BF16);
}

void pass_add_cuda(size_t n, float *x, const float *delta) {
    LAUNCH(add, cuda_blocks(n, 4 * CUDA_THREADS), CUDA_THREADS, 0, n, x, (const void *)delta,
           cuda_precision() == PRECISION_BF16);
}

/* What comes in its type already is copied as it is. */
void pass_fetch_cuda(size_t n, const float *x, bool wide, bool bf16, void *out) {
    const bool half = !wide && cuda_precision() == PRECISION_BF16;
    const void *from = x;
    if (half != bf16) {
        void *y = cuda_scratch(CUDA_SCRATCH_X, n * (bf16 ? 2 : 4));
        if (!y) return;
        LAUNCH(convert, cuda_blocks(n, 4 * CUDA_THREADS), CUDA_THREADS, 0, n, from, half, y, bf16);
        from = y;
    }
    cuda_fetch(out, from, n * (bf16 ? 2 : 4));
}

void pass_put_cuda(size_t n, const float *from, bool wide, float *x) {
    void *at = cuda_staging(n * sizeof *from);
    if (!at) return;
    memcpy(at, from, n * sizeof *from);
    const void *there = cuda_send();
    LAUNCH(convert, cuda_blocks(n, 4 * CUDA_THREADS), CUDA_THREADS, 0, n, there, 0, (void *)x,
           !wide && cuda_precision() == PRECISION_BF16);
}

__global__ static void pick(size_t M, size_t N, const float *x, size_t ldx, size_t first, const int32_t *column,
                            float *out) {
    EACH(r, M) {
        if (column[r] >= 0 && (size_t)column[r] - first < N) out[r] = x[r * ldx + (size_t)column[r] - first];
    }
}

void pass_pick_cuda(size_t M, size_t N, const float *x, size_t ldx, size_t first, const int32_t *column, float *out) {
    LAUNCH(pick, cuda_blocks(M, CUDA_THREADS), CUDA_THREADS, 0, M, N, x, ldx, first, column, out);
}
