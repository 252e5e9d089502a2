/* test_rows.c - rows of a corpus in a file: order, labels, BOS, and the same bytes however the work is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <omp.h>

#include "lib/base/arena.h"
#include "lib/base/bf16.h"
#include "lib/lm/rows.h"
#include "tests/lm_cases.h"

#define TOKENS "build/tmp/test_rows_tokens.safetensors"
#define OUT    "build/tmp/test_rows.safetensors"
#define MODEL  "tests/fixtures/lm/qwen2-old"

enum { DOCS = 24 };

/* Documents of 1 (BOS alone) to 70 tokens. */
static void write_corpus(void) {
    static int32_t ids[DOCS * 80];
    int64_t start[DOCS + 1] = {0};
    int32_t group[DOCS];
    size_t n = 0;
    for (size_t d = 0; d < DOCS; d++) {
        size_t length = d * d * 7 % 70;
        ids[n++] = 0;
        for (size_t i = 0; i < length; i++) ids[n++] = (int32_t)((d * 31 + i * 17) % 95 + 1);
        start[d + 1] = (int64_t)n;
        group[d] = (int32_t)(d % 2);
    }
    case_tokens(TOKENS, &(struct case_tokens){ids, n, start, group, DOCS, "0", "[\"en\",\"zh\"]"});
}

struct cut {
    size_t T, batch;
    bool keep_bos;
    enum safetensors_dtype dtype;
    int threads;
    const char *model, *backend;
    int (*await)(int slot, struct err *e); /* in the back end's place; NULL: its own */
};

/* The whole path; returns the error code, and the file's bytes in *bytes when there is none. */
static int collect(const struct cut *c, char **bytes, size_t *n, struct err *e) {
    struct tokens t = {0};
    struct lm_model m = {0};
    struct lm_kernels k;
    struct lm_site *sites = NULL;
    struct rows_plan plan = {0};
    struct stwriter *w = NULL;
    size_t n_sites;
    int before = omp_get_max_threads();
    assert_int_equal(tokens_open(&t, TOKENS, e), 0);
    assert_int_equal(lm_open(&m, c->model ? c->model : MODEL, e), 0);
    assert_int_equal(lm_kernels_get(c->backend ? c->backend : "cpu", &k, e), 0);
    if (c->await) k.await = c->await;
    assert_int_equal(lm_sites_parse("L1R,L0A,L0TC", 2, &sites, &n_sites, e), 0);
    assert_int_equal(rows_plan(&plan, &t, c->T, c->batch, c->keep_bos, e), 0);
    assert_int_equal(lm_load(&m, &k, 2, plan.T, e), 0);
    assert_int_equal(stwriter_open(&w, OUT, e), 0);
    struct rows_job j = {&m, &k, &t, &plan, sites, n_sites, c->dtype, NULL};
    assert_true(rows_output_bytes(&j) == plan.n_rows * (16 + 3 * 32 * safetensors_dtype_bytes(c->dtype)));
    omp_set_num_threads(c->threads);
    int rc = rows_collect(&j, w, e);
    omp_set_num_threads(before);
    if (rc)
        stwriter_abort(w);
    else {
        assert_int_equal(stwriter_commit(w, e), 0);
        if (bytes) *bytes = case_read(OUT, n);
    }
    rows_plan_free(&plan);
    free(sites);
    lm_close(&m);
    tokens_close(&t);
    return rc;
}

static void test_same_bytes(void **s) {
    (void)s;
    struct err e;
    for (int dtype = 0; dtype < 2; dtype++) {
        struct cut c = {.T = 24, .batch = 100, .dtype = dtype ? ST_F32 : ST_BF16, .threads = 1};
        char *want = NULL, *got = NULL;
        size_t n, n2;
        assert_int_equal(collect(&c, &want, &n, &e), 0);
        for (int threads = 1; threads <= 3; threads++)
            for (size_t batch = 1; batch < 5000; batch *= 7) {
                c.batch = batch, c.threads = threads;
                assert_int_equal(collect(&c, &got, &n2, &e), 0);
                assert_true(n == n2);
                assert_memory_equal(got, want, n);
                free(got);
            }
        free(want);
    }
}

static const void *data_of(const struct safetensors *st, const char *name, size_t *n) {
    const struct safetensors_tensor *t = safetensors_find(st, name);
    assert_non_null(t);
    if (n) *n = (size_t)t->shape[0];
    return t->data;
}

/* Labels against a walk over the windows; a document's first window against transformers' way of running it: positions
 * from 0. */
static void test_labels(void **s) {
    (void)s;
    struct err e;
    for (int keep = 0; keep < 2; keep++) {
        struct tokens t;
        struct window *w;
        struct safetensors *st;
        size_t n_windows, n, r = 0;
        int32_t ids[24];
        assert_int_equal(collect(&(struct cut){.T = 24, .batch = 60, .keep_bos = keep, .dtype = ST_F32, .threads = 2},
                                 NULL, NULL, &e),
                         0);
        assert_int_equal(tokens_open(&t, TOKENS, &e), 0);
        assert_int_equal(tokens_windows(&t, 24, &w, &n_windows, &e), 0);
        assert_int_equal(safetensors_open(&st, OUT, &e), 0);
        const int32_t *token = data_of(st, "row_token", &n), *position = data_of(st, "row_position", NULL),
                      *doc = data_of(st, "row_doc", NULL), *group = data_of(st, "row_group", NULL);
        for (size_t i = 0; i < n_windows; i++) {
            tokens_window_ids(&t, &w[i], ids);
            for (uint32_t p = keep ? 0 : 1; p < w[i].T; p++, r++) {
                assert_true(r < n && token[r] == ids[p] && position[r] == (int32_t)p && doc[r] == (int32_t)w[i].doc);
                assert_true(group[r] == tokens_group(&t, w[i].doc) && (token[r] == 0) == (p == 0));
            }
        }
        assert_true(r == n);
        free(w);
        safetensors_close(st);
        tokens_close(&t);
    }
}

/* Dropping BOS leaves the other rows as they are; bf16 is the rounded f32. */
static void test_drop_and_round(void **s) {
    (void)s;
    struct err e;
    struct safetensors *keep, *drop, *half;
    struct cut c = {.T = 24, .batch = 60, .keep_bos = true, .dtype = ST_F32, .threads = 2};
    assert_int_equal(collect(&c, NULL, NULL, &e), 0);
    assert_int_equal(rename(OUT, OUT ".keep"), 0);
    c.keep_bos = false;
    assert_int_equal(collect(&c, NULL, NULL, &e), 0);
    assert_int_equal(rename(OUT, OUT ".drop"), 0);
    c.dtype = ST_BF16;
    assert_int_equal(collect(&c, NULL, NULL, &e), 0);
    assert_true(!safetensors_open(&keep, OUT ".keep", &e) && !safetensors_open(&drop, OUT ".drop", &e) &&
                !safetensors_open(&half, OUT, &e));
    size_t n, all, r = 0;
    const int32_t *position = data_of(keep, "row_position", &all);
    const float *a = data_of(keep, "L1R", NULL), *b = data_of(drop, "L1R", &n);
    const uint16_t *h = data_of(half, "L1R", NULL);
    for (size_t i = 0; i < all; i++)
        if (position[i]) assert_memory_equal(a + i * 32, b + r++ * 32, 32 * sizeof *a);
    assert_true(r == n && n < all);
    for (size_t i = 0; i < n * 32; i++) assert_true(h[i] == bf16_of(b[i]));
    safetensors_close(keep), safetensors_close(drop), safetensors_close(half);
}

/* Finite weights, infinite activations: named by site and document, and no file appears. */
static void test_overflow(void **s) {
    (void)s;
    struct err e = {0};
    remove(OUT);
    case_model(MODEL, "build/tmp/test_rows_model",
               &(struct case_edit){.poison = "model.layers.1.mlp.down_proj.weight", .value = 3e38f});
    struct cut c = {.T = 24, .batch = 60, .dtype = ST_F32, .threads = 2, .model = "build/tmp/test_rows_model"};
    for (int i = 0; i < 2; i++, c.backend = "ref") {
        assert_int_equal(collect(&c, NULL, NULL, &e), ERR_NUMERIC);
        assert_non_null(strstr(e.text, "L1R: document "));
        assert_null(fopen(OUT, "rb"));
        assert_null(fopen(OUT ".saemill-part", "rb"));
    }
}

static void read_rows(const struct cut *c, const char *keep, struct safetensors **st) {
    struct err e;
    assert_int_equal(collect(c, NULL, NULL, &e), 0);
    assert_int_equal(rename(OUT, keep), 0);
    assert_int_equal(safetensors_open(st, keep, &e), 0);
}

/* On a GPU a batch is written while the next one is computed: the same rows in the same places as the CPU's, the same
 * bytes on every run, and an overflow is still named. */
static void test_cuda(void **s) {
    (void)s;
    struct err e = {0};
    case_need("cuda-f32");
    for (size_t batch = 1; batch < 5000; batch *= 40) {
        struct cut c = {.T = 24, .batch = batch, .dtype = ST_F32, .threads = 2};
        struct safetensors *cpu, *gpu, *again;
        size_t n;
        read_rows(&c, OUT ".cpu", &cpu);
        c.backend = "cuda-f32";
        read_rows(&c, OUT ".gpu", &gpu), read_rows(&c, OUT ".again", &again);
        const char *site[] = {"L1R", "L0A", "L0TC"};
        for (int i = 0; i < 3; i++) {
            const float *a = data_of(cpu, site[i], &n), *b = data_of(gpu, site[i], NULL);
            assert_memory_equal(b, data_of(again, site[i], NULL), n * 32 * sizeof *b);
            double d = 0, w = 0;
            for (size_t j = 0; j < n * 32; j++) d += pow((double)a[j] - (double)b[j], 2), w += pow((double)a[j], 2);
            assert_true(d <= 1e-10 * w); /* two float32 roundings of the same sums */
        }
        assert_memory_equal(data_of(cpu, "row_token", &n), data_of(gpu, "row_token", NULL), n * sizeof(int32_t));
        safetensors_close(cpu), safetensors_close(gpu), safetensors_close(again);
    }
    case_model(MODEL, "build/tmp/test_rows_model",
               &(struct case_edit){.poison = "model.layers.1.mlp.down_proj.weight", .value = 3e38f});
    struct cut c = {.T = 24, .batch = 60, .dtype = ST_F32, .threads = 2, .model = "build/tmp/test_rows_model"};
    c.backend = "cuda-f32";
    assert_int_equal(collect(&c, NULL, NULL, &e), ERR_NUMERIC);
    assert_non_null(strstr(e.text, "L1R: document "));
}

/* A device that fails while a batch is on its way: its error, and no file. */
static int fails(int slot, struct err *e) { return err_set(e, ERR_DEVICE, "batch in slot %d: gone", slot); }
static void test_device_fails(void **s) {
    (void)s;
    struct err e = {0};
    struct cut c = {.T = 24, .batch = 60, .dtype = ST_F32, .threads = 2, .await = fails};
    remove(OUT);
    assert_int_equal(collect(&c, NULL, NULL, &e), ERR_DEVICE);
    assert_non_null(strstr(e.text, "gone"));
    assert_null(fopen(OUT, "rb"));
}

static void test_memory(void **s) {
    (void)s;
    struct tokens t;
    struct rows_plan p;
    struct err e;
    assert_int_equal(tokens_open(&t, TOKENS, &e), 0);
    for (long n = 0; n < 2; n++) {
        mem_fail_after(n);
        assert_int_equal(rows_plan(&p, &t, 24, 60, false, &e), ERR_MEMORY);
        mem_fail_after(-1);
    }
    tokens_close(&t);
}

static int setup(void **s) {
    (void)s;
    write_corpus();
    return 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bytes), cmocka_unit_test(test_labels),       cmocka_unit_test(test_drop_and_round),
        cmocka_unit_test(test_overflow),   cmocka_unit_test(test_device_fails), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_cuda),
    };
    case_emulated(argc, argv);
    return cmocka_run_group_tests(tests, setup, NULL);
}
