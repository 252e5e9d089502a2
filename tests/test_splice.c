/* test_splice.c - next-token loss and its change when a site is replaced: against losses written from the formulas in
 * PyTorch, the embedded models against their references, by itself to the byte, single rows against whole passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <omp.h>

#include "kernels/lm/linear.h"
#include "lib/lm/splice.h"
#include "tests/lm_cases.h"

#define GELU   "inputs/models/gelu-1l-zh-en"
#define QWEN   "inputs/models/qwen2-8l-zh-en"
#define HOOKED "tests/fixtures/lm/hooked"
#define PRE    "tests/fixtures/lm/hooked-pre"

struct setup {
    struct lm_model m;
    struct lm_kernels k;
    struct safetensors *reference; /* of the folder */
    size_t start[3];
    int32_t ids[256];
    struct lm_batch b; /* both of its sequences */
};

static void open_all(struct setup *u, const char *dir, const char *backend) {
    struct err e;
    char path[256];
    snprintf(path, sizeof path, "%s/reference.safetensors", dir);
    assert_int_equal(lm_open(&u->m, dir, &e), 0);
    assert_int_equal(lm_kernels_get(backend, &u->k, &e), 0);
    assert_int_equal(lm_load(&u->m, &u->k, u->m.c.L, u->m.c.max_T < 128 ? u->m.c.max_T : 128, &e), 0);
    assert_int_equal(lm_load_head(&u->m, &u->k, &e), 0);
    assert_int_equal(safetensors_open(&u->reference, path, &e), 0);
    u->start[0] = 0;
    for (size_t q = 0; q < 2; q++) {
        const struct safetensors_tensor *t = safetensors_find(u->reference, q ? "1.ids" : "0.ids");
        memcpy(u->ids + u->start[q], t->data, t->n_bytes);
        u->start[q + 1] = u->start[q] + t->n_elems;
    }
    u->b = (struct lm_batch){2, u->start, u->ids};
}
static void close_all(struct setup *u) {
    safetensors_close(u->reference);
    lm_close(&u->m);
}

static struct lm_site site_of(const struct setup *u, const char *name) {
    struct lm_site *list, one;
    struct err e;
    size_t n;
    assert_int_equal(lm_sites_parse(name, u->m.c.L, &list, &n, &e), 0);
    one = list[0];
    free(list);
    return one;
}

static double forward_loss(struct setup *u, double *nll) {
    struct lm_site end = {.layer = u->m.c.L - 1, .kind = LM_SITE_R};
    struct lm_scratch s;
    struct loss_scratch w;
    struct err e;
    double loss = NAN;
    assert_int_equal(lm_scratch_init(&s, &u->k, &u->m.c, &end, 1, u->start[2], u->m.T, &e), 0);
    assert_int_equal(loss_scratch_init(&w, &u->m.c, &e), 0);
    assert_int_equal(loss_forward(&u->m, &u->k, &u->b, &s, &w, nll, &loss, &e), 0);
    lm_scratch_free(&s), loss_scratch_free(&w);
    return loss;
}

/* The residual stream errs by 2 eps sqrt(mlp) sqrt(2 L) of its length (forward_cases.h), the head's norm and product
 * likewise by 2 eps sqrt(D); call both together rel. The norm makes rows of length sqrt(D), so they err by a vector of
 * length rel sqrt(D) in no particular direction, whose product with U_v has a deviation of rel |U_v|. nll is the
 * difference of two such logits (one of them an average): 4 deviations are 4 sqrt(2) rel max_v |U_v|, and the bias 1
 * more inside it. The sum of exponentials, in float pieces by vectors of 16, adds (26 + LOSS_COLUMNS / 16) u. */
static double tolerance(const struct lm_model *m) {
    double eps = FLT_EPSILON, D = (double)m->c.D, spread = 0,
           rel = 2 * eps * (sqrt((double)m->c.mlp) * sqrt(2.0 * (double)m->c.L) + sqrt(D));
    for (size_t v = 0; v < m->c.vocab; v++) {
        double s = 0;
        for (size_t d = 0; d < m->c.D; d++) {
            double x =
                (double)m->outside.at[LM_UNEMBED][(v / LINEAR_PANEL * m->c.D + d) * LINEAR_PANEL + v % LINEAR_PANEL];
            double w = m->outside.at[LM_FINAL_NORM] ? (double)m->outside.at[LM_FINAL_NORM][d] : 1;
            s += x * x * w * w;
        }
        if (s > spread) spread = s;
    }
    return 4 * sqrt(2) * rel * (sqrt(spread) + 1) + (26 + LOSS_COLUMNS / 16) * eps / 2;
}

/* nll of both sequences against "0.nll" and "1.nll". */
static void as_it_is(const char *dir, const char *backend) {
    struct setup u;
    double nll[256], worst = 0, sum = 0, tol;
    open_all(&u, dir, backend);
    double loss = forward_loss(&u, nll);
    tol = tolerance(&u.m);
    for (size_t q = 0; q < 2; q++) {
        const struct safetensors_tensor *t = safetensors_find(u.reference, q ? "1.nll" : "0.nll");
        assert_true(t->n_elems + 1 == u.start[q + 1] - u.start[q]);
        for (size_t r = 0; r < t->n_elems; r++) {
            double want = (double)((const float *)t->data)[r], off = fabs(nll[u.start[q] + r] - want);
            if (!(off <= tol + FLT_EPSILON * want))
                fail_msg("row %zu: nll %.8f, want %.8f", r, nll[u.start[q] + r], want);
            if (off > worst) worst = off;
            sum += want;
        }
        assert_true(nll[u.start[q + 1] - 1] == 0);
    }
    assert_true(fabs(loss - sum / (double)(u.start[2] - 2)) <= tol);
    print_message("%s %s: loss %.5f, nll off by at most %.1e of %.1e\n", dir, backend, loss, worst, tol);
    close_all(&u);
}
static void test_as_it_is(void **s) {
    (void)s;
    as_it_is(HOOKED, "ref"), as_it_is(HOOKED, "cpu"), as_it_is(PRE, "ref"), as_it_is(PRE, "cpu");
    as_it_is(GELU, "cpu"), as_it_is(QWEN, "cpu");
}

static void change(void *ctx, size_t n_rows, size_t D, float *rows) {
    (void)ctx;
    for (size_t i = 0; i < n_rows * D; i++) rows[i] = 0.5f * rows[i] + 0.1f * fabsf(rows[i]);
}
static void nothing(void *ctx, size_t n_rows, size_t D, float *rows) { (void)ctx, (void)n_rows, (void)D, (void)rows; }
static void poison(void *ctx, size_t n_rows, size_t D, float *rows) {
    (void)n_rows;
    rows[*(size_t *)ctx * D + 3] = NAN;
}

/* Each site replaced by 0.5 a + 0.1 |a|, as make_gelu.py does it. */
static void replaced(const char *dir, const char *backend, const char *const *sites, size_t n) {
    struct setup u;
    struct err e;
    double worst = 0, tol;
    open_all(&u, dir, backend);
    tol = tolerance(&u.m);
    for (size_t i = 0; i < n; i++) {
        struct lm_site site = site_of(&u, sites[i]);
        struct splice s;
        struct splice_work w;
        char name[64];
        double loss;
        assert_int_equal(splice_init(&s, &u.m, &u.k, &u.b, &site, &e), 0);
        assert_int_equal(splice_work_init(&w, &s, &e), 0);
        assert_int_equal(splice_loss(&s, &w, &(struct splice_edit){NULL, change}, &loss, &e), 0);
        snprintf(name, sizeof name, "loss.%s", sites[i]);
        double want = *(const double *)safetensors_find(u.reference, name)->data,
               plain = *(const double *)safetensors_find(u.reference, "loss")->data;
        assert_true(fabs(want - plain) > 20 * tol); /* the edit is seen */
        assert_true(fabs(loss - want) <= tol);
        snprintf(name, sizeof name, "nll.%s", sites[i]);
        const double *nll = safetensors_find(u.reference, name)->data;
        for (size_t r = 0, k = 0; r < s.M; r++) {
            if (s.target[r] < 0) continue;
            double off = fabs(w.nll[r] - nll[k]);
            if (!(off <= tol)) fail_msg("%s row %zu: nll %.8f, want %.8f", sites[i], r, w.nll[r], nll[k]);
            if (off > worst) worst = off;
            k++;
        }
        splice_work_free(&w), splice_free(&s);
    }
    print_message("%s %s: nll off by at most %.1e of %.1e\n", dir, backend, worst, tol);
    close_all(&u);
}
static void test_replaced(void **s) {
    (void)s;
    const char *const two[] = {"L0Z", "L0A", "L0TC", "L0mlp_post", "L0M", "L0R",
                               "L1Z", "L1A", "L1TC", "L1mlp_post", "L1M", "L1R"};
    for (int i = 0; i < 2; i++) replaced(HOOKED, i ? "cpu" : "ref", two, 12), replaced(PRE, i ? "cpu" : "ref", two, 6);
}

/* The shorter sequence first: then no tile of the longest sequence's rows happens to be one. */
static void swap_sequences(struct setup *u) {
    int32_t ids[256];
    size_t first = u->start[1], second = u->start[2] - first;
    memcpy(ids, u->ids + first, second * sizeof *ids);
    memcpy(ids + second, u->ids, first * sizeof *ids);
    memcpy(u->ids, ids, u->start[2] * sizeof *ids);
    u->start[1] = second;
}

/* Replacing by itself, and replacing nothing, is the model as it is: the same bytes, at every kind of site. */
static void by_itself(const char *dir, const char *sites) {
    struct setup u;
    struct err e;
    struct lm_site *list;
    size_t n;
    double plain[256], loss, same, twice;
    open_all(&u, dir, "cpu");
    swap_sequences(&u);
    assert_int_equal(lm_sites_parse(sites, u.m.c.L, &list, &n, &e), 0);
    double want = forward_loss(&u, plain);
    for (size_t i = 0; i < n; i++) {
        struct splice s;
        struct splice_work w;
        assert_int_equal(splice_init(&s, &u.m, &u.k, &u.b, &list[i], &e), 0);
        assert_int_equal(splice_work_init(&w, &s, &e), 0);
        assert_int_equal(splice_loss(&s, &w, &(struct splice_edit){NULL, change}, &twice, &e), 0);
        assert_int_equal(splice_loss(&s, &w, NULL, &loss, &e), 0);
        assert_memory_equal(w.nll, plain, s.M * sizeof *plain);
        assert_int_equal(splice_loss(&s, &w, &(struct splice_edit){NULL, nothing}, &same, &e), 0);
        assert_memory_equal(w.nll, plain, s.M * sizeof *plain);
        assert_true(loss == want && same == want && twice != want);
        splice_work_free(&w), splice_free(&s);
    }
    free(list);
    close_all(&u);
}
static void test_by_itself(void **s) {
    (void)s;
    by_itself(HOOKED, "L0Z,L0A,L0TC,L0mlp_post,L0M,L0R,L1Z,L1A,L1TC,L1mlp_post,L1M,L1R");
    by_itself(GELU, "L0Z,L0A,mlp_post,L0M");
    by_itself(QWEN, "L6Z,L5mlp_post,L7Z,L7TC,L7mlp_post");
}

/* Rows one by one, in any order and many times over, are those of a whole evaluation, to the byte. */
static void test_rows(void **unused) {
    (void)unused;
    struct setup u;
    struct err e;
    struct splice s;
    struct splice_work w;
    double loss, *nll = malloc(700 * sizeof *nll);
    size_t row[700];
    open_all(&u, GELU, "cpu");
    struct lm_site site = site_of(&u, "mlp_post");
    assert_int_equal(splice_init(&s, &u.m, &u.k, &u.b, &site, &e), 0);
    assert_int_equal(splice_work_init(&w, &s, &e), 0);
    assert_true(s.width == 1024 && s.M == 192);
    assert_int_equal(splice_loss(&s, &w, &(struct splice_edit){NULL, change}, &loss, &e), 0);
    float *rows = malloc(700 * s.width * sizeof *rows);
    double *want = malloc(s.M * sizeof *want);
    memcpy(want, w.nll, s.M * sizeof *want);
    for (size_t i = 0; i < 700; i++) {
        row[i] = i * 83 % s.M;
        memcpy(rows + i * s.width, s.rows + row[i] * s.width, s.width * sizeof *rows);
    }
    change(NULL, 700, s.width, rows);
    splice_rows(&s, &w, 700, row, rows, nll);
    for (size_t i = 0; i < 700; i++) assert_memory_equal(&nll[i], &want[row[i]], sizeof *nll);
    splice_rows(&s, &w, 1, row + 5, rows + 5 * s.width, nll);
    assert_true(nll[0] == want[row[5]]);
    splice_rows(&s, &w, 0, NULL, NULL, nll);
    free(rows), free(want), free(nll);
    splice_work_free(&w), splice_free(&s);
    close_all(&u);
}

/* Evaluations at once, each with its own work: the bytes of one after the other. */
static void test_threads(void **unused) {
    (void)unused;
    struct setup u;
    struct err e;
    struct splice s;
    double loss[8], want;
    int failed = 0;
    open_all(&u, HOOKED, "cpu");
    struct lm_site site = site_of(&u, "L0mlp_post");
    assert_int_equal(splice_init(&s, &u.m, &u.k, &u.b, &site, &e), 0);
#pragma omp parallel for num_threads(4) reduction(| : failed)
    for (int i = 0; i < 8; i++) {
        struct splice_work w;
        failed |= splice_work_init(&w, &s, NULL);
        failed |= splice_loss(&s, &w, &(struct splice_edit){NULL, change}, &loss[i], NULL);
        splice_work_free(&w);
    }
    assert_int_equal(failed, 0);
    want = loss[0];
    for (int i = 0; i < 8; i++) assert_true(loss[i] == want);
    splice_free(&s);
    close_all(&u);
}

static void test_refused(void **unused) {
    (void)unused;
    struct setup u;
    struct err e;
    struct splice s;
    struct splice_work w;
    size_t bad = 17, ones[4] = {0, 1, 1, 2}, longer[3] = {0, 3, 52};
    double loss;
    open_all(&u, PRE, "cpu");
    struct lm_site site = site_of(&u, "mlp_post");
    assert_int_equal(splice_init(&s, &u.m, &u.k, &u.b, &site, &e), 0);
    assert_int_equal(splice_work_init(&w, &s, &e), 0);
    assert_int_equal(splice_loss(&s, &w, &(struct splice_edit){&bad, poison}, &loss, &e), ERR_NUMERIC);
    assert_string_equal(e.text, "loss: row 17: NaN or Inf");
    bad = u.start[2] - 1; /* a row that nothing follows decides nothing */
    assert_int_equal(splice_loss(&s, &w, &(struct splice_edit){&bad, poison}, &loss, &e), 0);
    splice_work_free(&w), splice_free(&s);
    struct lm_batch b = {3, ones, u.ids}, far = {2, longer, u.ids};
    assert_int_equal(splice_init(&s, &u.m, &u.k, &b, &site, &e), ERR_RANGE);
    assert_non_null(strstr(e.text, "no token has a next one"));
    assert_int_equal(splice_init(&s, &u.m, &u.k, &far, &site, &e), ERR_RANGE);
    assert_string_equal(e.text, "splice: sequence 1: has 49 tokens, the model was loaded for 48 (n_ctx 48)");
    close_all(&u);
}

/* The untied head of the gated family is lm_head. */
static void test_head(void **s) {
    (void)s;
    struct lm_model m;
    struct err e;
    assert_int_equal(lm_open(&m, "tests/fixtures/lm/llama-f32", &e), 0);
    assert_int_equal(lm_load_head(&m, case_kernels(), &e), 0);
    const float *w = safetensors_find(m.st, "lm_head.weight")->data;
    for (size_t v = 0; v < 96; v++)
        for (size_t d = 0; d < 32; d++)
            assert_true(w[v * 32 + d] ==
                        m.outside.at[LM_UNEMBED][(v / LINEAR_PANEL * 32 + d) * LINEAR_PANEL + v % LINEAR_PANEL]);
    lm_close(&m);
}

/* Every failing allocation is reported and leaves nothing behind. */
static void test_memory(void **unused) {
    (void)unused;
    struct setup u;
    struct err e;
    long n = 0;
    int rc = ERR_MEMORY;
    open_all(&u, PRE, "cpu");
    struct lm_site site = site_of(&u, "mlp_post");
    for (; rc && n < 50; n++) {
        struct splice s;
        struct splice_work w;
        mem_fail_after(n);
        if (!(rc = splice_init(&s, &u.m, &u.k, &u.b, &site, &e))) {
            if (!(rc = splice_work_init(&w, &s, &e))) splice_work_free(&w);
            splice_free(&s);
        }
        mem_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_MEMORY);
    }
    assert_true(!rc && n > 4);
    close_all(&u);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_it_is), cmocka_unit_test(test_replaced), cmocka_unit_test(test_by_itself),
        cmocka_unit_test(test_rows),     cmocka_unit_test(test_threads),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_head),     cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
