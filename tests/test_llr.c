/* test_llr.c - log-likelihood ratios: a small case by hand, sums over batches against plain loops; rows of a file
 * encoded batch by batch. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/analysis/llr.h"
#include "lib/base/arena.h"
#include "lib/base/outdir.h"
#include "lib/base/rng.h"
#include "lib/sae/latents.h"

#define TMP "build/tmp/test_llr"

static int make_tmp(void **state) {
    struct err e;
    (void)state;
    return outdir_make(TMP, &e);
}

static bool near(double a, double b) { return fabs(a - b) <= 1e-14 * (1 + fabs(b)); }

/* Six rows of language 0 (token 0 four times, token 1 twice), three of language 1 (token 1 once, token 3 twice), and
 * one of another language. p_0 = (4/6 + 0)/2 = 1/3, p_1 = (2/6 + 1/3)/2 = 1/3, p_3 = (0 + 2/3)/2 = 1/3. */
static void a_small_case_by_hand(void **state) {
    (void)state;
    const int32_t token[10] = {0, 0, 0, 0, 1, 1, 1, 3, 3, 2}, group[10] = {0, 0, 0, 0, 0, 0, 1, 1, 1, -1};
    struct llr l;
    struct err e;
    assert_int_equal(llr_init(&l, 10, token, group, 2, &e), 0);
    assert_int_equal(l.V, 4);
    assert_int_equal(l.n_rows, 9);
    assert_true(near(l.row[0], 4.5 / 6) && near(l.row[1], 4.5 / 3));
    assert_true(near(l.token[0 * 2 + 0], log((4 + 1. / 3) / 7 * 3)));
    assert_true(near(l.token[0 * 2 + 1], log((0 + 1. / 3) / 4 * 3)));
    assert_true(near(l.token[1 * 2 + 0], log((2 + 1. / 3) / 7 * 3)));
    assert_true(near(l.token[1 * 2 + 1], log((1 + 1. / 3) / 4 * 3)));
    assert_true(near(l.token[3 * 2 + 1], log((2 + 1. / 3) / 4 * 3)));
    assert_true(l.token[2 * 2] == 0 && l.token[2 * 2 + 1] == 0); /* only in another language */
    /* one feature: z = 2 on row 0, 1 on row 6, 5 on the last row, which does not count */
    size_t row[11] = {0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3};
    uint32_t feat[3] = {0, 0, 0};
    float pre[3] = {2, 1, 5};
    const struct active a = {.B = 10, .cap = 3, .row = row, .feat = feat, .pre = pre};
    struct llr_sums s;
    assert_int_equal(llr_sums_init(&s, 1, 2, &e), 0);
    llr_sums_add(&s, &l, 10, &a, token, group);
    double u0 = 0.75 * 2, u1 = 1.5 * 1;
    assert_int_equal(s.fired[0], 2);
    assert_true(near(llr_by_token(&s, 0, 0), (u0 * l.token[0] + u1 * l.token[2]) / (u0 + u1)));
    assert_true(near(llr_by_token(&s, 0, 1), (u0 * l.token[1] + u1 * l.token[3]) / (u0 + u1)));
    assert_true(near(llr_by_share(&s, 0, 0), 0)); /* half of the activation each: (2 * 1/2 + 1/2) / 3 * 2 = 1 */
    assert_true(near(llr_share(3, 1, 2), log(7. / 4)) && near(llr_share(3, 0, 2), log(1. / 4)) &&
                llr_share(0, 0, 2) == 0);
    assert_true(llr_share(1e12, 1, 3) <= log(3));
    llr_sums_free(&s);
    llr_free(&l);
    assert_int_equal(llr_init(&l, 6, token, group, 2, &e), ERR_RANGE); /* the first six rows are of one language */
    llr_free(&l);
    const int32_t bad[1] = {-1};
    assert_int_equal(llr_init(&l, 1, bad, group, 1, &e), ERR_RANGE);
    llr_free(&l);
}

enum { N = 5000, D = 12, F = 300, G = 3 };

struct made {
    float *x;
    int32_t token[N], group[N];
    struct sae sae;
    struct safetensors *file;
};

static void make(struct made *m, const char *path, bool nan) {
    struct err e;
    const int64_t shape[] = {N, D};
    struct stwriter *w;
    m->x = malloc(N * D * sizeof *m->x);
    for (size_t t = 0; t < N * D; t++) m->x[t] = (float)rng_normal(1, 0, t);
    if (nan) m->x[4321 * D + 5] = NAN;
    for (size_t i = 0; i < N; i++) {
        m->token[i] = (int32_t)rng_below(1, 1, i, 40);
        m->group[i] = (int32_t)rng_below(1, 2, i, G + 1) - 1;
    }
    assert_int_equal(sae_init(&m->sae, SAE_RELU, D, F, &e), 0);
    for (size_t t = 0; t < F * D; t++) m->sae.W_enc[t] = (float)rng_normal(1, 3, t);
    assert_int_equal(stwriter_open(&w, path, &e), 0);
    int h = stwriter_declare(w, "L0R", ST_F32, 2, shape, &e);
    assert_int_equal(stwriter_write(w, h, 0, m->x, N * D * sizeof *m->x, &e), 0);
    assert_int_equal(stwriter_commit(w, &e), 0);
    assert_int_equal(safetensors_open(&m->file, path, &e), 0);
}

static void made_free(struct made *m) {
    free(m->x);
    sae_free(&m->sae);
    safetensors_close(m->file);
}

/* About half of 300 features fire on a row, so the 128 that there is room for at first do not suffice. */
static void sums_over_batches_equal_plain_loops(void **state) {
    (void)state;
    static struct made m;
    struct latents l;
    struct llr r;
    struct llr_sums s;
    struct err e;
    make(&m, TMP "/rows.safetensors", false);
    if (latents_open(&l, &m.sae, m.file, "rows", "L0R", "cpu", &e)) fail_msg("%s", e.text);
    assert_int_equal(l.N, N);
    assert_int_equal(llr_init(&r, N, m.token, m.group, G, &e), 0);
    assert_int_equal(llr_sums_init(&s, F, G, &e), 0);
    for (size_t b0 = 0; b0 < N; b0 += LATENTS_BATCH) {
        size_t B = N - b0 < LATENTS_BATCH ? N - b0 : LATENTS_BATCH;
        if (latents_read(&l, b0, B, &e)) fail_msg("%s", e.text);
        llr_sums_add(&s, &r, B, l.active, m.token + b0, m.group + b0);
    }
    for (size_t f = 0; f < F; f += 37) {
        double z_all = 0, z_in[G] = {0}, z_token[G] = {0};
        uint64_t fired = 0;
        for (size_t i = 0; i < N; i++) {
            double z = 0;
            for (size_t d = 0; d < D; d++) z += (double)m.x[i * D + d] * (double)m.sae.W_enc[f * D + d];
            if (!(z > 0) || m.group[i] < 0) continue;
            fired++;
            z *= r.row[m.group[i]];
            z_all += z, z_in[m.group[i]] += z;
            for (size_t g = 0; g < G; g++) z_token[g] += z * r.token[(size_t)m.token[i] * G + g];
        }
        assert_int_equal(s.fired[f], fired);
        for (size_t g = 0; g < G; g++) {
            /* z in float32: 12 eps of each; scores are ratios of sums of them, and the logarithm's slope is at most 3
             * here */
            assert_true(fabs(llr_by_token(&s, f, g) - z_token[g] / z_all) <= 1e-5);
            assert_true(fabs(llr_by_share(&s, f, g) - llr_share((double)fired, z_in[g] / z_all, G)) <= 1e-5);
        }
    }
    llr_sums_free(&s);
    llr_free(&r);
    latents_close(&l);
    made_free(&m);
}

static void bad_rows_are_refused(void **state) {
    (void)state;
    static struct made m;
    struct latents l;
    struct err e;
    make(&m, TMP "/bad.safetensors", true);
    assert_int_equal(latents_open(&l, &m.sae, m.file, "bad", "L1R", "cpu", &e), ERR_FORMAT);
    latents_close(&l);
    m.sae.D = D - 1;
    assert_int_equal(latents_open(&l, &m.sae, m.file, "bad", "L0R", "cpu", &e), ERR_SHAPE);
    latents_close(&l);
    m.sae.D = D;
    assert_int_equal(latents_open(&l, &m.sae, m.file, "bad", "L0R", "ref", &e), 0);
    assert_int_equal(latents_read(&l, 0, 2000, &e), 0);
    assert_int_equal(latents_read(&l, 4000, 1000, &e), ERR_NUMERIC);
    assert_non_null(strstr(e.text, "row 4321"));
    latents_close(&l);
    int rc = ERR_MEMORY;
    for (long k = 0; rc == ERR_MEMORY && k < 100; k++) { /* every allocation fails once */
        mem_fail_after(k);
        rc = latents_open(&l, &m.sae, m.file, "bad", "L0R", "cpu", &e);
        mem_fail_after(-1);
        assert_true(rc == 0 || (rc == ERR_MEMORY && k < 99));
        latents_close(&l);
    }
    made_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_case_by_hand),
        cmocka_unit_test(sums_over_batches_equal_plain_loops),
        cmocka_unit_test(bad_rows_are_refused),
    };
    return cmocka_run_group_tests(tests, make_tmp, NULL);
}
