/* test_feed.c - the reading thread, the schedules, the curve, and checkpoints: a resumed run gives the same bytes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/outdir.h"
#include "lib/base/rng.h"
#include "lib/sae/checkpoint.h"
#include "lib/sae/feed.h"

#define TMP "build/tmp/test_feed"
enum { N = 100, D = 6 };

static struct st *rows_file(const char *name, const char *scale, size_t nan_at) {
    struct err e;
    struct st_writer *w;
    struct st *s;
    char path[200];
    const int64_t shape[2] = {N, D};
    float x[N * D];
    for (size_t i = 0; i < N * D; i++) x[i] = i == nan_at ? NAN : (float)i;
    snprintf(path, sizeof path, TMP "/%s.safetensors", name);
    if (outdir_make(TMP, &e) || stw_open(&w, path, &e)) fail_msg("%s", e.text);
    if (scale && stw_meta(w, "scale", scale, &e)) fail();
    int h = stw_declare(w, "rows", ST_F32, 2, shape, &e);
    if (h < 0 || stw_write(w, h, 0, x, sizeof x, &e) || stw_commit(w, &e) || st_open(&s, path, &e))
        fail_msg("%s", e.text);
    return s;
}

static void batches_in_order(void **state) {
    (void)state;
    struct err e;
    struct st *s = rows_file("order", "0.5", SIZE_MAX);
    const int64_t firsts[] = {0, 3, 1000001};
    for (int k = 0; k < 3; k++) {
        struct feed *f;
        if (feed_open(&f, s, 7, firsts[k], firsts[k] + 40, &memory_host, false, &e)) fail_msg("%s", e.text);
        for (int64_t t = firsts[k]; t < firsts[k] + 40; t++) {
            const void *batch;
            if (feed_next(f, &batch, &e)) fail_msg("%s", e.text);
            const float *x = batch;
            for (size_t b = 0; b < 7; b++)
                for (size_t d = 0; d < D; d++) {
                    size_t row = ((size_t)t * 7 + b) % N;
                    assert_true(x[b * D + d] == 0.5f * (float)(row * D + d));
                }
        }
        feed_close(f);
    }
    st_close(s);
}

/* As stored, for a back end that scales; and a batch stays while the next one is out. */
static void raw_batches_are_the_rows_of_the_file(void **state) {
    (void)state;
    struct err e;
    struct st *s = rows_file("raw", "0.5", SIZE_MAX);
    struct feed *f;
    const void *before = NULL, *now;
    assert_int_equal(feed_open(&f, s, 7, 0, 30, &memory_host, true, &e), 0);
    assert_true(feed_raw(f) && !feed_bf16(f));
    for (size_t t = 0; t < 30; t++) {
        assert_int_equal(feed_next(f, &now, &e), 0);
        for (size_t i = 0; i < 7 * D; i++) {
            assert_true(((const float *)now)[i] == (float)((t * 7 * D + i) % (N * D)));
            if (before) assert_true(((const float *)before)[i] == (float)(((t - 1) * 7 * D + i) % (N * D)));
        }
        before = now;
    }
    feed_close(f);
    st_close(s);
}

static void feed_errors(void **state) {
    (void)state;
    struct err e;
    struct feed *f;
    const void *x;
    struct st *s = rows_file("noscale", NULL, SIZE_MAX);
    assert_int_equal(feed_open(&f, s, 7, 0, 1, &memory_host, false, &e), ERR_FORMAT);
    st_close(s);
    s = rows_file("badscale", "-1", SIZE_MAX);
    assert_int_equal(feed_open(&f, s, 7, 0, 1, &memory_host, false, &e), ERR_FORMAT);
    st_close(s);
    s = rows_file("nan", "1", 20 * D + 2);
    assert_int_equal(feed_open(&f, s, N + 1, 0, 1, &memory_host, false, &e), ERR_RANGE);
    assert_int_equal(feed_open(&f, s, 10, 0, 5, &memory_host, false, &e), 0);
    assert_int_equal(feed_next(f, &x, &e), 0);
    assert_int_equal(feed_next(f, &x, &e), 0);
    assert_int_equal(feed_next(f, &x, &e), ERR_NUMERIC);
    assert_non_null(strstr(e.text, "row 20"));
    feed_close(f);
    assert_int_equal(feed_open(&f, s, 10, 0, 1000, &memory_host, false, &e),
                     0); /* closing while the reader works must not hang */
    feed_close(f);
    st_close(s);
}

static void schedules(void **state) {
    (void)state;
    const struct schedule s = {100, 2.0, 10, 20, 3.0, 50};
    assert_true(fabs(schedule_lr(&s, 0) - 0.2) < 1e-12);
    assert_true(fabs(schedule_lr(&s, 5) - 2 * 0.55) < 1e-12); /* half way up the cosine */
    assert_true(schedule_lr(&s, 10) == 2.0 && schedule_lr(&s, 79) == 2.0 && schedule_lr(&s, 80) == 2.0);
    assert_true(fabs(schedule_lr(&s, 90) - 1.0) < 1e-12 && fabs(schedule_lr(&s, 99) - 0.1) < 1e-12);
    assert_true(fabs(schedule_lambda(&s, 0) - 0.06) < 1e-12 && schedule_lambda(&s, 49) == 3.0 &&
                schedule_lambda(&s, 99) == 3.0);
    const struct schedule flat = {100, 2.0, 0, 0, 3.0, 0};
    assert_true(schedule_lr(&flat, 0) == 2.0 && schedule_lr(&flat, 99) == 2.0 && schedule_lambda(&flat, 0) == 3.0);
}

enum { B = 40, F = 64, STEPS = 16 };

static void fresh(struct trainer *tr, struct curve *c, double beta1) {
    struct err e;
    const struct step_config sc = {.arch = SAE_JUMPRELU,
                                   .D = D,
                                   .F = F,
                                   .B = B,
                                   .epsilon = 0.1f,
                                   .beta1 = beta1,
                                   .beta2 = 0.999,
                                   .adam_eps = 1e-8,
                                   .seed = 4,
                                   .theta_init = 0.3f};
    if (trainer_init(tr, &sc, sae_kernels_get("cpu"), &e) || curve_init(c, STEPS, &e)) fail_msg("%s", e.text);
}

static void run(struct trainer *tr, struct curve *c, int64_t to) {
    float x[B * D];
    struct step_report r;
    struct err e;
    while (tr->t < to) {
        for (size_t i = 0; i < B * D; i++) x[i] = (float)(0.4 * rng_normal(31, (uint64_t)tr->t, i));
        if (trainer_step(tr, x, NULL, 1e-2, 1e-3, &r, &e)) fail_msg("%s", e.text);
        c->value[CURVE_L0][tr->t - 1] = (float)r.l0;
    }
}

static void resume(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct trainer whole, first, second;
        struct curve cw, c1, c2;
        struct err e = {0};
        outdir_remove(TMP "/ckpt", NULL);
        fresh(&whole, &cw, k * 0.9), run(&whole, &cw, STEPS);
        fresh(&first, &c1, k * 0.9), run(&first, &c1, 7);
        fresh(&second, &c2, k * 0.9);
        assert_int_equal(checkpoint_read(&second, &c2, TMP "/ckpt", "r", &e), 0); /* none yet */
        if (checkpoint_write(&first, &c1, TMP "/ckpt", "r", &e)) fail_msg("%s", e.text);
        assert_int_equal(checkpoint_read(&second, &c2, TMP "/ckpt", "other", &e), ERR_FORMAT);
        if (checkpoint_read(&second, &c2, TMP "/ckpt", "r", &e) != 1) fail_msg("%s", e.text);
        assert_int_equal(second.t, 7);
        run(&second, &c2, STEPS);
        assert_memory_equal(whole.state.base, second.state.base, whole.state.used_bytes);
        assert_memory_equal(cw.memory.base, c2.memory.base, cw.memory.used_bytes);
        trainer_free(&whole), trainer_free(&first), trainer_free(&second);
        curve_free(&cw), curve_free(&c1), curve_free(&c2);
    }
}

static void damaged_checkpoint(void **state) {
    (void)state;
    struct trainer tr;
    struct curve c;
    struct err e = {0};
    outdir_remove(TMP "/bad", NULL);
    fresh(&tr, &c, 0), run(&tr, &c, 3);
    if (checkpoint_write(&tr, &c, TMP "/bad", "r", &e)) fail_msg("%s", e.text);
    assert_int_equal(truncate(TMP "/bad/state.safetensors", 3000), 0);
    assert_int_equal(checkpoint_read(&tr, &c, TMP "/bad", "r", &e), ERR_FORMAT);
    assert_non_null(strstr(e.hint, "delete it"));
    trainer_free(&tr), curve_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_in_order), cmocka_unit_test(raw_batches_are_the_rows_of_the_file),
        cmocka_unit_test(feed_errors),      cmocka_unit_test(schedules),
        cmocka_unit_test(resume),           cmocka_unit_test(damaged_checkpoint)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
