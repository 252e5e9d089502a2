/* test_shuffle.c - the external permutation against its definition, for any memory and thread count; the norms of rows.
 */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/arena.h"
#include "lib/base/bf16.h"
#include "lib/base/outdir.h"
#include "lib/base/rng.h"
#include "lib/sae/rownorms.h"
#include "lib/sae/shuffle.h"

#define SCRATCH "build/tmp/shuffle"
#define OUT     SCRATCH "/out.safetensors"

struct seen {
    size_t last, calls, top;
};

static void tick(void *context, size_t done) {
    struct seen *s = context;
    assert_true(done >= s->last);
    s->last = done, s->calls++;
}

/* Permute n rows within memory_bytes; the whole output file, which the caller frees. */
static char *permuted(const void *rows, size_t n, size_t row_bytes, uint64_t seed, size_t memory_bytes, size_t *buckets,
                      size_t *file_bytes) {
    struct err e;
    struct stwriter *w;
    struct seen seen = {0};
    const int64_t shape[] = {(int64_t)n, (int64_t)row_bytes};
    struct shuffle_plan plan = shuffle_plan(n, row_bytes, memory_bytes);
    *buckets = plan.n_buckets;
    assert_true(plan.n_buckets * plan.bucket_rows >= n);
    assert_int_equal(outdir_make(SCRATCH, &e), 0);
    assert_int_equal(stwriter_open(&w, OUT, &e), 0);
    int h = stwriter_declare(w, "rows", ST_U8, 2, shape, &e);
    if (shuffle_rows(rows, n, row_bytes, seed, 1, &plan, w, h, tick, &seen, &e)) fail_msg("%s", e.text);
    assert_int_equal(seen.last, plan.n_buckets == 1 ? n : 2 * n);
    if (stwriter_commit(w, &e)) fail_msg("%s", e.text);
    FILE *f = fopen(OUT, "rb");
    assert_non_null(f);
    char *buf = malloc(n * row_bytes + 4096);
    *file_bytes = fread(buf, 1, n * row_bytes + 4096, f);
    fclose(f);
    return buf;
}

/* Row i of the input says i; the output row rng_permute(seed, 1, i, n) must be it. */
static void definition(void **state) {
    (void)state;
    const size_t ns[] = {1, 2, 31, 32, 33, 1000, 5003}, row_bytes[] = {1, 3, 64, 130};
    for (size_t a = 0; a < 7; a++)
        for (size_t b = 0; b < 4; b++) {
            size_t n = ns[a], rb = row_bytes[b], one, many, bytes, more_bytes;
            unsigned char *rows = malloc(n * rb + 1); /* one byte off alignment */
            for (size_t i = 0; i < n * rb; i++) rows[1 + i] = (unsigned char)(i / rb * 31 + i % rb + (i / rb >> 5));
            char *whole = permuted(rows + 1, n, rb, 77, SIZE_MAX / 2, &one, &bytes);
            assert_int_equal(one, 1);
            const unsigned char *data = (unsigned char *)whole + bytes - n * rb;
            for (size_t i = 0; i < n; i++)
                assert_memory_equal(data + rng_permute(77, 1, i, n) * rb, rows + 1 + i * rb, rb);
            const size_t memory[] = {0, rb, 7 * rb, n * rb / 2, n * rb - 1, n * rb};
            for (size_t m = 0; m < 6; m++) {
                char *pieces = permuted(rows + 1, n, rb, 77, memory[m], &many, &more_bytes);
                assert_true((many > 1) == (memory[m] < n * rb && n > 1));
                assert_int_equal(bytes, more_bytes);
                assert_memory_equal(whole, pieces, bytes);
                free(pieces);
            }
            free(whole), free(rows);
        }
}

static void threads_and_seeds(void **state) {
    (void)state;
    enum { N = 40000, RB = 8 };
    size_t buckets, bytes;
    uint64_t *rows = malloc(N * RB);
    for (size_t i = 0; i < N; i++) rows[i] = i;
    omp_set_num_threads(1);
    char *one = permuted(rows, N, RB, 3, N, &buckets, &bytes);
    omp_set_num_threads(4);
    char *four = permuted(rows, N, RB, 3, N, &buckets, &bytes), *other = permuted(rows, N, RB, 4, N, &buckets, &bytes);
    assert_true(buckets > 1);
    assert_memory_equal(one, four, bytes);
    assert_memory_not_equal(one, other, bytes);
    /* It mixes globally: the mean distance |place - i| of a random permutation is N/3, with deviation under N/(3 sqrt
     * N). */
    double sum = 0;
    const uint64_t *place = (const uint64_t *)(const void *)(one + bytes - N * RB);
    for (size_t p = 0; p < N; p++) sum += fabs((double)place[p] - (double)p);
    assert_true(fabs(sum / N / (N / 3.0) - 1) < 0.03);
    free(one), free(four), free(other), free(rows);
}

static void plan_fits(void **state) {
    (void)state;
    const size_t n = 1 << 20, rb = 512, memory[] = {1 << 20, 16 << 20, 64 << 20, 400 << 20};
    for (size_t i = 0; i < 4; i++) {
        struct shuffle_plan p = shuffle_plan(n, rb, memory[i]);
        assert_true(p.n_buckets > 1 && p.bucket_rows * p.n_buckets >= n && (p.n_buckets - 1) * p.bucket_rows < n);
        assert_true(p.memory_bytes <= memory[i] || p.buffer_rows == 1);
        if (i) assert_true(p.memory_bytes <= memory[i]);
    }
    assert_int_equal(shuffle_plan(n, rb, n * rb).n_buckets, 1);
    assert_int_equal(shuffle_plan(n, rb, n * rb - 1).n_buckets > 1, 1);
}

static void no_memory(void **state) {
    (void)state;
    struct err e;
    char rows[64 * 4] = {0};
    const int64_t shape[] = {64, 4};
    for (size_t buckets = 0; buckets < 2; buckets++)
        for (long n = 0; n < (buckets ? 7 : 1); n++) {
            struct stwriter *w;
            struct shuffle_plan plan = shuffle_plan(64, 4, buckets ? 100 : 1000);
            assert_int_equal(outdir_make(SCRATCH, &e), 0);
            assert_int_equal(stwriter_open(&w, OUT, &e), 0);
            int h = stwriter_declare(w, "rows", ST_U8, 2, shape, &e);
            mem_fail_after(n);
            int rc = shuffle_rows(rows, 64, 4, 1, 1, &plan, w, h, NULL, NULL, &e);
            mem_fail_after(-1);
            assert_int_equal(rc, ERR_MEMORY);
            stwriter_abort(w);
        }
}

/* --- norms --- */

static struct safetensors *rows_file(enum safetensors_dtype type, size_t N, size_t D, const void *data) {
    struct err e;
    struct stwriter *w;
    struct safetensors *s;
    const int64_t shape[] = {(int64_t)N, (int64_t)D};
    assert_int_equal(outdir_make(SCRATCH, &e), 0);
    assert_int_equal(stwriter_open(&w, SCRATCH "/in.safetensors", &e), 0);
    int h = stwriter_declare(w, "L3R", type, 2, shape, &e);
    assert_int_equal(stwriter_write(w, h, 0, data, N * D * safetensors_dtype_bytes(type), &e), 0);
    assert_int_equal(stwriter_commit(w, &e), 0);
    assert_int_equal(safetensors_open(&s, SCRATCH "/in.safetensors", &e), 0);
    return s;
}

static void norms(void **state) {
    (void)state;
    const size_t size[][2] = {{1, 1}, {3, 5}, {1023, 7}, {1025, 33}, {5000, 4}};
    for (size_t k = 0; k < 5; k++) {
        struct err e;
        size_t N = size[k][0], D = size[k][1];
        struct rownorms one, four;
        float *x = malloc(N * D * sizeof *x);
        uint16_t *h = malloc(N * D * sizeof *h);
        for (size_t i = 0; i < N * D; i++) h[i] = bf16_of((float)rng_normal(1, 2, i) * 3), x[i] = bf16_f32(h[i]);
        long double sq = 0, norm = 0;
        for (size_t n = 0; n < N; n++) {
            long double s = 0;
            for (size_t d = 0; d < D; d++) s += (long double)x[n * D + d] * (long double)x[n * D + d];
            sq += s, norm += sqrtl(s);
        }
        for (int type = 0; type < 2; type++) {
            struct safetensors *s = rows_file(type ? ST_BF16 : ST_F32, N, D, type ? (void *)h : (void *)x);
            omp_set_num_threads(1);
            assert_int_equal(rownorms(safetensors_find(s, "L3R"), &one, NULL, NULL, &e), 0);
            omp_set_num_threads(4);
            assert_int_equal(rownorms(safetensors_find(s, "L3R"), &four, NULL, NULL, &e), 0);
            assert_memory_equal(&one, &four, sizeof one);
            /* N D terms, all positive, in double: (N D) 2^-53 relative at most. */
            double tol = (double)(N * D + 2) * 0x1p-53;
            assert_true(fabs(one.mean_sq_norm * (double)N / (double)sq - 1) <= tol);
            assert_true(fabs(one.mean_norm * (double)N / (double)norm - 1) <= tol);
            safetensors_close(s);
        }
        free(x), free(h);
    }
}

static void norms_refuse(void **state) {
    (void)state;
    enum { N = 3000, D = 6 };
    const float bad[] = {NAN, INFINITY, -INFINITY};
    float *x = calloc(N * D, sizeof *x);
    for (size_t k = 0; k < 3; k++) {
        struct err e;
        struct rownorms r;
        x[2500 * D + k] = x[2900 * D] = bad[k]; /* the first one is named */
        struct safetensors *s = rows_file(ST_F32, N, D, x);
        assert_int_equal(rownorms(safetensors_find(s, "L3R"), &r, NULL, NULL, &e), ERR_NUMERIC);
        assert_non_null(strstr(e.text, "L3R: row 2500"));
        safetensors_close(s);
        x[2500 * D + k] = 0;
    }
    free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(definition), cmocka_unit_test(threads_and_seeds),
                                       cmocka_unit_test(plan_fits),  cmocka_unit_test(no_memory),
                                       cmocka_unit_test(norms),      cmocka_unit_test(norms_refuse)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
