/* bench_forward.c - the language model's forward pass on the shipped model, its kernels, and this machine's sgemm
 * beside them. Prints: operation, size, ms (median), GFLOP/s, share of sgemm measured in the same run (rounds of all
 * rows in turn, so that a busy machine disturbs them alike). */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/base/gemm.h"
#include "kernels/base/linear.h"
#include "lib/base/clock.h"
#include "lib/base/rng.h"
#include "lib/lm/forward.h"

#define MODEL "inputs/models/qwen2-8l-zh-en"
enum { ROUNDS = 7, N = 2048, T = 512, WINDOWS = 16, D = 256, MLP = 704, REPEAT = 64 };

struct line {
    const char *op, *size;
    double flop, ms[ROUNDS];
};

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static float *normals(uint64_t stream, size_t n) {
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (float)rng_normal(1, stream, i);
    return x;
}

static int nothing(void *ctx, size_t site, const float *rows, size_t M, struct err *e) {
    (void)ctx, (void)site, (void)rows, (void)M, (void)e;
    return 0;
}

struct bench {
    struct lm_model m;
    struct lm_kernels k;
    struct lm_site *sites;
    struct lm_scratch *s; /* per thread */
    size_t n_sites;
    float *x, *w, *y, *qkv; /* operands */
    int32_t *ids;
};

static void forward(struct bench *b) {
    const size_t start[2] = {0, T};
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < WINDOWS; i++) {
        struct lm_batch batch = {1, start, b->ids};
        struct lm_hook hook = {NULL, nothing};
        lm_forward(&b->m, &b->k, &batch, b->sites, b->n_sites, &b->s[omp_get_thread_num()], &hook, NULL);
    }
}

static void linear(struct bench *b, size_t out, size_t in) {
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < REPEAT; i++)
        linear_cpu(96, out, in, b->x, in, b->w, LINEAR_PANEL * in, NULL, b->y + (size_t)i * 96 * MLP, out);
}

static void attention(struct bench *b) {
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < WINDOWS; i++) {
        struct attention a = {T, 8, 2, 32, b->qkv, b->qkv + 256, b->qkv + 320, 384, 0.17f};
        struct lm_scratch *s = &b->s[omp_get_thread_num()];
        attention_cpu(&a, s->att, 256, s->work);
    }
}

static int bench_open(struct bench *b) {
    struct err e;
    size_t threads = (size_t)omp_get_max_threads();
    b->s = calloc(threads, sizeof *b->s);
    if (lm_open(&b->m, MODEL, &e) || lm_kernels_get("cpu", &b->k, &e) ||
        lm_sites_parse("L6R", b->m.c.L, &b->sites, &b->n_sites, &e) || lm_load(&b->m, &b->k, 7, T, &e))
        return fprintf(stderr, "%s\n", e.text), 1;
    for (size_t i = 0; i < threads; i++)
        if (lm_scratch_init(&b->s[i], &b->k, &b->m.c, b->sites, b->n_sites, T, T, &e)) return 1;
    b->x = normals(1, N * N), b->w = normals(2, N * N), b->y = normals(3, N * N + REPEAT * 96 * MLP),
    b->qkv = normals(4, T * 384);
    b->ids = malloc(T * sizeof *b->ids);
    for (size_t i = 0; i < T; i++) b->ids[i] = (int32_t)rng_below(1, 5, i, b->m.c.vocab);
    return 0;
}

static double timed(struct bench *b, int row) {
    double t = clock_s();
    if (row == 0) gemm_cpu(false, true, N, N, N, 1, b->x, N, b->w, N, 0, b->y, N);
    if (row == 1) forward(b);
    if (row == 2) linear(b, 384, D);
    if (row == 3) linear(b, MLP, D);
    if (row == 4) linear(b, D, MLP);
    if (row == 5) attention(b);
    return 1e3 * (clock_s() - t);
}

int main(void) {
    static struct bench b;
    if (bench_open(&b)) return 1;
    struct line lines[] = {
        {"sgemm (gemm_cpu)", "2048 x 2048 x 2048", 2.0 * N * N * N, {0}},
        {"forward to L6R", "16 x 512 tokens", WINDOWS * lm_flops(&b.m.c, b.sites, b.n_sites, T), {0}},
        {"linear q,k,v", "96 x 384 x 256", 2.0 * REPEAT * 96 * 384 * D, {0}},
        {"linear gate", "96 x 704 x 256", 2.0 * REPEAT * 96 * MLP * D, {0}},
        {"linear down", "96 x 256 x 704", 2.0 * REPEAT * 96 * MLP * D, {0}},
        {"attention, causal", "T 512, 8 heads of 32", 4.0 * WINDOWS * 256 * T * (T + 1) / 2, {0}},
    };
    enum { LINES = sizeof lines / sizeof *lines };
    for (int r = -1; r < ROUNDS; r++)
        for (int i = 0; i < LINES; i++) {
            double ms = timed(&b, i);
            if (r >= 0) lines[i].ms[r] = ms;
        }
    printf("%-20s %-22s %9s %9s %s\n", "operation", "size", "ms", "GFLOP/s", "of sgemm");
    for (int i = 0; i < LINES; i++) {
        qsort(lines[i].ms, ROUNDS, sizeof *lines[i].ms, by_value);
        double rate = 1e-6 * lines[i].flop / lines[i].ms[ROUNDS / 2],
               peak = 1e-6 * lines[0].flop / lines[0].ms[ROUNDS / 2];
        printf("%-20s %-22s %9.2f %9.1f %5.0f %%\n", lines[i].op, lines[i].size, lines[i].ms[ROUNDS / 2], rate,
               100 * rate / peak);
    }
    return 0;
}
