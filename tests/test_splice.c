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

/* The model as it is, from tokens to the head without a stop. */
struct ending {
    const struct setup *u;
    struct loss_scratch w;
    int32_t target[256];
    double *nll;
};
static int at_end(void *ctx, size_t site, const float *rows, size_t M, struct err *e) {
    struct ending *t = ctx;
    (void)site;
    return loss_rows(&t->u->m, &t->u->k, M, rows, t->target, &t->w, t->nll, e);
}

static double forward_loss(struct setup *u, double *nll) {
    struct lm_site end = {.layer = u->m.c.L - 1, .kind = LM_SITE_R};
    struct ending t = {.u = u, .nll = nll};
    struct lm_hook hook = {&t, at_end};
    struct lm_scratch s;
    struct err e;
    double loss = NAN;
    assert_int_equal(lm_scratch_init(&s, &u->k, &u->m.c, &end, 1, u->start[2], u->m.T, &e), 0);
    assert_int_equal(loss_scratch_init(&t.w, &u->k, &u->m.c, 50, 1, &e), 0);
    loss_targets(&u->b, t.target);
    assert_int_equal(lm_forward(&u->m, &u->k, &u->b, &end, 1, &s, &hook, &e), 0);
    assert_int_equal(loss_mean(u->start[2], t.target, nll, &loss, &e), 0);
    lm_scratch_free(&s), loss_scratch_free(&t.w);
    return loss;
}

/* The residual stream errs by 2 eps sqrt(mlp) sqrt(2 L) of its length (forward_cases.h), the head's norm and product
 * likewise by 2 eps sqrt(D); call both together rel. The norm makes rows of length sqrt(D), so they err by a vector of
 * length rel sqrt(D) in no particular direction, whose product with U_v has a deviation of rel |U_v|. nll is the
 * difference of two such logits (one of them an average): 4 deviations are 4 sqrt(2) rel max_v |U_v|, and the bias 1
 * more inside it. The sum of exponentials, in float pieces by vectors of 16, adds (26 + LOSS_COLUMNS / 16) u. */
static double tolerance_of(const char *dir, double rel) {
    struct lm_model m;
    struct err e;
    double spread = 0;
    assert_int_equal(lm_open(&m, dir, &e), 0);
    assert_int_equal(lm_load_head(&m, case_kernels(), &e), 0);
    const float *U = m.outside.at[LM_UNEMBED], *w = m.outside.at[LM_FINAL_NORM];
    for (size_t v = 0; v < m.c.vocab; v++) {
        double s = 0;
        for (size_t d = 0; d < m.c.D; d++) {
            double x = (double)U[(v / LINEAR_PANEL * m.c.D + d) * LINEAR_PANEL + v % LINEAR_PANEL];
            s += x * x * (w ? (double)w[d] * (double)w[d] : 1);
        }
        if (s > spread) spread = s;
    }
    lm_close(&m);
    return 4 * sqrt(2) * rel * (sqrt(spread) + 1) + (26 + LOSS_COLUMNS / 16) * (double)FLT_EPSILON / 2;
}

/* In bf16 each of the 2 L halves rounds what it reads and gives by 2^-9 of it, the head once more. */
static double tolerance(const struct setup *u, const char *dir) {
    double eps = FLT_EPSILON, L = (double)u->m.c.L, D = (double)u->m.c.D, mlp = (double)u->m.c.mlp;
    return tolerance_of(dir, u->k.elem_bytes == 2 ? 2 * 0x1p-9 * (sqrt(2 * L) + 1)
                                                  : 2 * eps * (sqrt(mlp) * sqrt(2 * L) + sqrt(D)));
}

/* nll of both sequences against "0.nll" and "1.nll". */
static void as_it_is(const char *dir, const char *backend) {
    struct setup u;
    double nll[256], worst = 0, sum = 0, tol;
    open_all(&u, dir, backend);
    double loss = forward_loss(&u, nll);
    tol = tolerance(&u, dir);
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

static float *changed(size_t n, const float *rows) {
    float *to = malloc(n * sizeof *to);
    for (size_t i = 0; i < n; i++) to[i] = 0.5f * rows[i] + 0.1f * fabsf(rows[i]);
    return to;
}

/* A splice of the whole batch, for at most n replacements. */
static void splice_for(struct splice *s, struct setup *u, const char *site, size_t n) {
    const struct lm_site at = site_of(u, site);
    struct err e;
    assert_int_equal(splice_init(s, &u->m, &u->k, &at, u->start[2], u->m.T, n, &e), 0);
    assert_int_equal(splice_load(s, &u->b, &e), 0);
}
static double loss_of(const struct splice *s, size_t i) {
    double loss = NAN;
    struct err e;
    assert_int_equal(loss_mean(s->M, s->target, s->nll + i * s->room, &loss, &e), 0);
    return loss;
}

/* Rows that have a target against a reference's, which has no others. */
static double worst_of(const struct splice *s, const char *name, const double *got, const double *want, double tol) {
    double worst = 0;
    for (size_t r = 0, k = 0; r < s->M; r++) {
        if (s->target[r] < 0) {
            assert_true(got[r] == 0);
            continue;
        }
        double off = fabs(got[r] - want[k]);
        if (!(off <= tol)) fail_msg("%s row %zu: %.8f, want %.8f", name, r, got[r], want[k]);
        if (off > worst) worst = off;
        k++;
    }
    return worst;
}

/* Each site replaced by 0.5 a + 0.1 |a|, as make_gelu.py does it; beside it the model as it is. A divergence is a mean of
 * differences of logits and the difference of two log sums, so it may be off by 4 errors of a logit. */
static void replaced(const char *dir, const char *backend, const char *const *sites, size_t n) {
    struct setup u;
    struct err e;
    double worst = 0, worst_kl = 0, tol, largest = 0;
    open_all(&u, dir, backend);
    tol = tolerance(&u, dir);
    for (size_t i = 0; i < n; i++) {
        struct splice s;
        char name[64];
        splice_for(&s, &u, sites[i], 2);
        float *edit = changed(s.M * s.width, s.rows);
        assert_int_equal(splice_run(&s, 2, (const float *const[]){NULL, edit}, &e), 0);
        snprintf(name, sizeof name, "loss.%s", sites[i]);
        double want = *(const double *)safetensors_find(u.reference, name)->data,
               plain = *(const double *)safetensors_find(u.reference, "loss")->data;
        if (u.k.elem_bytes > 2) assert_true(fabs(want - plain) > 20 * tol); /* the edit is seen */
        assert_true(fabs(loss_of(&s, 0) - plain) <= tol && fabs(loss_of(&s, 1) - want) <= tol);
        snprintf(name, sizeof name, "nll.%s", sites[i]);
        worst = fmax(worst, worst_of(&s, name, s.nll + s.room, safetensors_find(u.reference, name)->data, tol));
        snprintf(name, sizeof name, "kl.%s", sites[i]);
        const double *kl = safetensors_find(u.reference, name)->data;
        worst_kl = fmax(worst_kl, worst_of(&s, name, s.kl + s.room, kl, 4 * tol));
        for (size_t r = 0; r + 2 < s.M; r++) largest = fmax(largest, kl[r]);
        for (size_t r = 0; r < s.M; r++) assert_true(s.kl[r] == 0);
        free(edit), splice_free(&s);
    }
    if (u.k.elem_bytes > 2) assert_true(largest > 100 * tol);
    print_message("%s %s: nll off by at most %.1e, kl by %.1e, of %.1e; largest kl %.2f\n", dir, backend, worst,
                  worst_kl, tol, largest);
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
    double plain[256];
    open_all(&u, dir, "cpu");
    swap_sequences(&u);
    assert_int_equal(lm_sites_parse(sites, u.m.c.L, &list, &n, &e), 0);
    double want = forward_loss(&u, plain);
    for (size_t i = 0; i < n; i++) {
        struct splice s;
        splice_for(&s, &u, list[i].name, 3);
        float *edit = changed(s.M * s.width, s.rows);
        assert_int_equal(splice_run(&s, 3, (const float *const[]){NULL, edit, s.rows}, &e), 0);
        assert_memory_equal(s.nll, plain, s.M * sizeof *plain);
        assert_memory_equal(s.nll + 2 * s.room, plain, s.M * sizeof *plain);
        for (size_t r = 0; r < s.M; r++) assert_true(s.kl[2 * s.room + r] == 0);
        assert_true(loss_of(&s, 0) == want && loss_of(&s, 1) != want);
        free(edit), splice_free(&s);
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
    double *nll = malloc(700 * sizeof *nll);
    size_t row[700];
    open_all(&u, GELU, "cpu");
    splice_for(&s, &u, "mlp_post", 1);
    assert_int_equal(splice_work_init(&w, &s, LOSS_ROWS, 1, &e), 0);
    assert_true(s.width == 1024 && s.M == 192);
    float *all = changed(s.M * s.width, s.rows), *rows = malloc(700 * s.width * sizeof *rows);
    assert_int_equal(splice_run(&s, 1, (const float *const[]){all}, &e), 0);
    for (size_t i = 0; i < 700; i++) {
        row[i] = i * 83 % s.M;
        memcpy(rows + i * s.width, all + row[i] * s.width, s.width * sizeof *rows);
    }
    assert_int_equal(splice_rows(&s, &w, 700, row, rows, nll, &e), 0);
    for (size_t i = 0; i < 700; i++) assert_memory_equal(&nll[i], &s.nll[row[i]], sizeof *nll);
    assert_int_equal(splice_rows(&s, &w, 1, row + 5, rows + 5 * s.width, nll, &e), 0);
    assert_true(nll[0] == s.nll[row[5]]);
    assert_int_equal(splice_rows(&s, &w, 0, NULL, NULL, nll, &e), 0);
    free(all), free(rows), free(nll);
    splice_work_free(&w), splice_free(&s);
    close_all(&u);
}

/* One thread and both sequences together, four threads and each sequence by itself: the same bytes. */
static void test_threads(void **unused) {
    (void)unused;
    struct setup u;
    struct err e;
    struct splice s;
    double nll[2][2 * 256], kl[2][2 * 256];
    int most = omp_get_max_threads();
    open_all(&u, HOOKED, "cpu");
    for (size_t t = 0; t < 2; t++) {
        omp_set_num_threads(t ? 4 : 1);
        splice_for(&s, &u, "L0mlp_post", 2);
        for (size_t q = 0; q <= t; q++) {
            const size_t start[2] = {0, u.start[q + 1] - u.start[q]}, at = t ? u.start[q] : 0;
            const struct lm_batch one = {1, start, u.ids + at};
            if (t) assert_int_equal(splice_load(&s, &one, &e), 0);
            float *edit = changed(s.M * s.width, s.rows);
            assert_int_equal(splice_run(&s, 2, (const float *const[]){NULL, edit}, &e), 0);
            for (size_t i = 0; i < 2; i++) {
                memcpy(nll[t] + i * 256 + at, s.nll + i * s.room, s.M * sizeof **nll);
                memcpy(kl[t] + i * 256 + at, s.kl + i * s.room, s.M * sizeof **kl);
            }
            free(edit);
        }
        splice_free(&s);
    }
    omp_set_num_threads(most);
    for (size_t i = 0; i < 2; i++) {
        assert_memory_equal(nll[0] + i * 256, nll[1] + i * 256, u.start[2] * sizeof **nll);
        assert_memory_equal(kl[0] + i * 256, kl[1] + i * 256, u.start[2] * sizeof **kl);
    }
    close_all(&u);
}

/* On a GPU; in test_splice_emulated, its kernels on the CPU. */
static void test_cuda(void **unused) {
    (void)unused;
    const char *const two[] = {"L0Z", "L0A", "L0TC", "L0mlp_post", "L0M", "L0R", "L1Z", "L1mlp_post", "L1R"};
    case_need("cuda-f32");
    for (int i = 0; i < 2; i++) {
        const char *backend = i ? "cuda" : "cuda-f32";
        as_it_is(HOOKED, backend), as_it_is(PRE, backend);
        replaced(HOOKED, backend, two, 9), replaced(PRE, backend, two, 6);
    }
}

static void test_refused(void **unused) {
    (void)unused;
    struct setup u;
    struct err e;
    struct splice s;
    double loss;
    open_all(&u, PRE, "cpu");
    splice_for(&s, &u, "mlp_post", 1);
    for (size_t i = 0; i < 2; i++) { /* a row that nothing follows decides nothing */
        const size_t bad = i ? s.M - 1 : 17;
        float *edit = changed(s.M * s.width, s.rows);
        edit[bad * s.width + 3] = NAN;
        assert_int_equal(splice_run(&s, 1, (const float *const[]){edit}, &e), 0);
        assert_int_equal(loss_mean(s.M, s.target, s.nll, &loss, &e), i ? 0 : ERR_NUMERIC);
        if (!i) assert_string_equal(e.text, "loss: row 17: NaN or Inf");
        free(edit);
    }
    const size_t ones[4] = {0, 1, 1, 2}, longer[3] = {0, 3, 52};
    const struct lm_batch b = {3, ones, u.ids}, far = {2, longer, u.ids};
    assert_int_equal(splice_load(&s, &b, &e), 0);
    assert_int_equal(splice_run(&s, 1, (const float *const[]){NULL}, &e), 0);
    assert_int_equal(loss_mean(s.M, s.target, s.nll, &loss, &e), ERR_RANGE);
    assert_non_null(strstr(e.text, "no token has a next one"));
    assert_int_equal(splice_load(&s, &far, &e), ERR_RANGE);
    assert_string_equal(e.text, "splice: sequence 1: has 49 tokens, want at most 48 (n_ctx 48)");
    splice_free(&s);
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
    for (; rc && n < 90; n++) {
        struct splice s;
        struct splice_work w;
        mem_fail_after(n);
        if (!(rc = splice_init(&s, &u.m, &u.k, &site, 57, 40, 2, &e))) {
            if (!(rc = splice_work_init(&w, &s, 40, 1, &e))) splice_work_free(&w);
            splice_free(&s);
        }
        mem_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_MEMORY);
    }
    assert_true(!rc && n > 4);
    close_all(&u);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_it_is), cmocka_unit_test(test_replaced), cmocka_unit_test(test_by_itself),
        cmocka_unit_test(test_rows),     cmocka_unit_test(test_threads),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_head),     cmocka_unit_test(test_memory),   cmocka_unit_test(test_cuda),
    };
    case_emulated(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
