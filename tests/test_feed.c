/* test_feed.c - the reading thread, the schedules, the curve, and checkpoints: a resumed run gives the same bytes. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/outdir.h"
#include "lib/base/rng.h"
#include "lib/file/jsonfile.h"
#include "lib/sae/checkpoint.h"
#include "lib/sae/feed.h"

#define TMP "build/tmp/test_feed"
enum { N = 100, D = 6 };

static struct safetensors *rows_file(const char *name, const char *scale, size_t nan_at) {
    struct err e;
    struct stwriter *w;
    struct safetensors *s;
    char path[200];
    const int64_t shape[2] = {N, D};
    float x[N * D];
    for (size_t i = 0; i < N * D; i++) x[i] = i == nan_at ? NAN : (float)i;
    snprintf(path, sizeof path, TMP "/%s.safetensors", name);
    if (outdir_make(TMP, &e) || stwriter_open(&w, path, &e)) fail_msg("%s", e.text);
    if (scale && stwriter_meta(w, "scale", scale, &e)) fail();
    int h = stwriter_declare(w, "rows", ST_F32, 2, shape, &e);
    if (h < 0 || stwriter_write(w, h, 0, x, sizeof x, &e) || stwriter_commit(w, &e) || safetensors_open(&s, path, &e))
        fail_msg("%s", e.text);
    return s;
}

static void batches_in_order(void **state) {
    (void)state;
    struct err e;
    struct safetensors *s = rows_file("order", "0.5", SIZE_MAX);
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
    safetensors_close(s);
}

/* As stored, for a back end that scales; and a batch stays while the next one is out. */
static void raw_batches_are_the_rows_of_the_file(void **state) {
    (void)state;
    struct err e;
    struct safetensors *s = rows_file("raw", "0.5", SIZE_MAX);
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
    safetensors_close(s);
}

static void feed_errors(void **state) {
    (void)state;
    struct err e;
    struct feed *f;
    const void *x;
    struct safetensors *s = rows_file("noscale", NULL, SIZE_MAX);
    assert_int_equal(feed_open(&f, s, 7, 0, 1, &memory_host, false, &e), ERR_FORMAT);
    safetensors_close(s);
    s = rows_file("badscale", "-1", SIZE_MAX);
    assert_int_equal(feed_open(&f, s, 7, 0, 1, &memory_host, false, &e), ERR_FORMAT);
    safetensors_close(s);
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
    safetensors_close(s);
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

static void fresh_with(struct trainer *tr, struct curve *c, struct snapshots *snap, double beta1, bool lazy,
                       float pre_act) {
    struct err e;
    const struct trainer_config sc = {.arch = SAE_JUMPRELU,
                                      .D = D,
                                      .F = F,
                                      .B = B,
                                      .parameter[ACTIVATION_EPSILON] = 0.1f,
                                      .beta1 = beta1,
                                      .beta2 = 0.999,
                                      .adam_eps = 1e-8,
                                      .seed = 4,
                                      .parameter[ACTIVATION_THETA_INIT] =
                                          pre_act > 0 ? 0.9f : 0.3f, /* with it, a third dies now and then */
                                      .lazy = lazy,
                                      .pre_act_loss = pre_act,
                                      .dead_window = 2};
    if (trainer_init(tr, &sc, sae_kernels_get("cpu"), &e) || curve_init(c, STEPS, &e) ||
        snapshots_init(snap, SNAPSHOTS, STEPS, &sc, &e))
        fail_msg("%s", e.text);
}

static void fresh(struct trainer *tr, struct curve *c, struct snapshots *snap, double beta1) {
    fresh_with(tr, c, snap, beta1, false, 0);
}

static void run(struct trainer *tr, struct curve *c, struct snapshots *snap, int64_t to) {
    float x[B * D];
    struct trainer_report r;
    struct err e;
    while (tr->t < to) {
        for (size_t i = 0; i < B * D; i++) x[i] = (float)(0.4 * rng_normal(31, (uint64_t)tr->t, i));
        if (trainer_step(tr, x, NULL, 1e-2, 1e-3, &r, &e)) fail_msg("%s", e.text);
        c->value[CURVE_L0][tr->t - 1] = (float)r.l0;
        snapshots_take(snap, tr);
    }
}

static void same_snapshots(const struct snapshots *a, const struct snapshots *b) {
    assert_int_equal(a->n, b->n);
    for (int i = 0; i < a->n; i++) {
        assert_int_equal(a->step[i], b->step[i]);
        assert_memory_equal(a->sae[i].memory.base, b->sae[i].memory.base, a->sae[i].memory.used_bytes);
    }
}

/* A snapshot is the SAE of that step, and later steps leave it alone. */
static void snapshots_are_of_their_step(void **state) {
    (void)state;
    struct trainer tr;
    struct curve c;
    struct snapshots s;
    struct sae now;
    struct err e = {0};
    assert_int_equal(snapshots_called("quarter"), 1);
    assert_int_equal(snapshots_called("third"), -1);
    fresh(&tr, &c, &s, 0);
    double share;
    assert_true(!trainer_unturned(&tr.c, tr.p.W_dec, &share, &e) && share == 1);
    for (size_t i = 0; i < F / 4 * D; i++) tr.p.W_dec[i] = -tr.p.W_dec[i]; /* a quarter turned round */
    assert_true(!trainer_unturned(&tr.c, tr.p.W_dec, &share, &e) && share == 0.75);
    assert_true(s.step[0] == 8 && s.step[1] == 4 && s.step[2] == 2);
    if (sae_init(&now, SAE_JUMPRELU, D, F, &e)) fail_msg("%s", e.text);
    run(&tr, &c, &s, 4);
    trainer_export(&tr, &now);
    run(&tr, &c, &s, STEPS);
    assert_memory_equal(now.memory.base, s.sae[1].memory.base, now.memory.used_bytes);
    trainer_export(&tr, &now);
    assert_memory_not_equal(now.memory.base, s.sae[0].memory.base, now.memory.used_bytes);
    struct snapshots few;
    assert_int_equal(snapshots_init(&few, 3, 7, &tr.c, &e), ERR_RANGE);
    snapshots_free(&few), snapshots_free(&s), sae_free(&now), trainer_free(&tr), curve_free(&c);
}

static void is_near(const json_t *o, const char *key, double want) {
    double got = json_number_value(json_object_get(o, key));
    if (!(fabs(got - want) < 1e-7)) fail_msg("%s: want %g, got %g", key, want, got);
}

/* 400 steps: means over 5. One low step of 0.1 among 0.2 makes the least mean 0.18; the first step and the largest L0 stand alone. */
static void statistics_of_a_curve(void **state) {
    (void)state;
    struct curve c;
    struct err e = {0};
    json_t *o = json_object(), *file;
    if (curve_init(&c, 400, &e)) fail_msg("%s", e.text);
    for (int t = 0; t < 400; t++) {
        c.value[CURVE_RECONSTRUCTION][t] = t == 0 ? 1 : t == 10 ? 0.1f : t < 200 ? 0.2f : 0.3f;
        c.value[CURVE_SPARSITY][t] = t < 200 ? 0.5f : 0.125f;
        c.value[CURVE_L0][t] = t == 3 ? 512 : 16;
    }
    assert_non_null(o = curve_summary(&c, 256, o));
    const json_t *s = json_object_get(o, "curve");
    is_near(s, "steps", 399), is_near(s, "reconstruction_early_min", 0.18), is_near(s, "early_over_first", 0.18);
    is_near(s, "final_over_early", 0.3 / 0.18), is_near(s, "sparsity_final_over_max", 0.25);
    is_near(s, "l0_max_over_d_in", 2), is_near(s, "l0_final", 16);
    assert_int_equal(curve_write(&c, TMP "/curve.json", &e), 0);
    assert_int_equal(jsonfile_read(TMP "/curve.json", &file, &e), 0);
    const json_t *mean = json_object_get(file, "mean"), *rec = json_object_get(mean, "loss_reconstruction");
    assert_int_equal(json_integer_value(json_object_get(mean, "window")), 5);
    assert_int_equal(json_array_size(rec), 400);
    assert_true(fabs(json_number_value(json_array_get(rec, 12)) - 0.18) < 1e-7);
    assert_true(fabs(json_number_value(json_array_get(rec, 0)) - 1.4 / 3) < 1e-7); /* cut at the end */
    json_decref(file), json_decref(o);
    curve_free(&c);
}

/* Written, cut and read back; the fall of the loss counts the penalty at the last lambda. */
static void curve_on_disk(void **state) {
    (void)state;
    struct curve c, back;
    struct err e = {0};
    if (curve_init(&c, 40, &e)) fail_msg("%s", e.text);
    for (int t = 0; t < 40; t++) {
        c.value[CURVE_RECONSTRUCTION][t] = t < 36 ? 0.3f : 0.1f;
        c.value[CURVE_LAMBDA][t] = t < 36 ? 0.5f : 1;
        c.value[CURVE_SPARSITY][t] = t < 36 ? 0.1f : 0.2f; /* 0.2 at the last lambda */
    }
    assert_true(fabs(curve_fall(&c) - (0.5 / 0.3 - 1)) < 1e-6);
    if (curve_write(&c, TMP "/curve.json", &e) || curve_read(&back, TMP "/curve.json", 37, &e)) fail_msg("%s", e.text);
    assert_int_equal(back.steps, 37);
    for (int s = 0; s < CURVE_SERIES; s++) assert_memory_equal(c.value[s], back.value[s], 37 * sizeof(float));
    curve_free(&back);
    assert_int_equal(curve_read(&back, TMP "/curve.json", 41, &e), ERR_SHAPE);
    curve_free(&c);
    if (curve_init(&c, 19, &e)) fail_msg("%s", e.text);
    assert_true(isnan(curve_fall(&c)));
    curve_free(&c);
}

static struct err lost[CHECKPOINT_STATES];

static int read_back(struct trainer *tr, struct curve *c, struct snapshots *snap, const char *record, struct err *e) {
    return checkpoint_read(tr, c, snap, TMP "/ckpt", record, lost, e);
}

static void resume(void **state) {
    (void)state;
    static const struct {
        double beta1;
        bool lazy;
        float pre_act;
    } set[] = {{0, false, 0}, {0.9, false, 0}, {0, false, 4e-3f}, {0, true, 4e-3f}, {0.9, true, 4e-3f}};
    for (size_t k = 0; k < sizeof set / sizeof *set; k++) {
        struct trainer whole, first, second;
        struct curve cw, c1, c2;
        struct snapshots sw, s1, s2;
        struct err e = {0};
        outdir_remove(TMP "/ckpt", NULL);
        fresh_with(&whole, &cw, &sw, set[k].beta1, set[k].lazy, set[k].pre_act), run(&whole, &cw, &sw, STEPS);
        fresh_with(&first, &c1, &s1, set[k].beta1, set[k].lazy, set[k].pre_act), run(&first, &c1, &s1, 7);
        fresh_with(&second, &c2, &s2, set[k].beta1, set[k].lazy, set[k].pre_act);
        assert_int_equal(read_back(&second, &c2, &s2, "r", &e), 0); /* none yet */
        if (checkpoint_write(&first, &c1, &s1, TMP "/ckpt", "r", &e)) fail_msg("%s", e.text);
        assert_int_equal(read_back(&second, &c2, &s2, "other", &e), ERR_FORMAT);
        if (read_back(&second, &c2, &s2, "r", &e) != 1) fail_msg("%s", e.text);
        assert_int_equal(second.t, 7);
        assert_true((trainer_idle(&second, 3) > 10) == (set[k].pre_act > 0));
        run(&second, &c2, &s2, STEPS);
        assert_memory_equal(whole.state.base, second.state.base, whole.state.used_bytes);
        assert_memory_equal(cw.memory.base, c2.memory.base, cw.memory.used_bytes);
        same_snapshots(&sw, &s2);
        trainer_free(&whole), trainer_free(&first), trainer_free(&second);
        curve_free(&cw), curve_free(&c1), curve_free(&c2);
        snapshots_free(&sw), snapshots_free(&s1), snapshots_free(&s2);
    }
}

/* ---- damage: the folder as two saves left it, its files as bytes ---- */

#define NEWEST TMP "/ckpt/state.safetensors"
#define BEFORE TMP "/ckpt/before.safetensors"

static struct trainer at[8], scratch; /* the undisturbed run after 0, 5 and 7 steps */
static struct curve curve_at[8], curve_scratch;
static struct snapshots snap_at[8], snap_scratch;
static char *newest, *before;
static size_t n_newest, n_before;

static char *slurp(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    char *p = malloc(1 << 20);
    assert_true(f && p);
    *n = fread(p, 1, 1 << 20, f);
    assert_true(*n > 0 && *n < 1 << 20);
    fclose(f);
    return p;
}

static void spill(const char *path, const char *p, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_true(f && fwrite(p, 1, n, f) == n && !fclose(f));
}

static int two_saves(void **state) {
    (void)state;
    struct err e = {0};
    outdir_remove(TMP "/ckpt", NULL);
    for (int t = 0; t < 8; t += t ? 2 : 5) {
        fresh(&at[t], &curve_at[t], &snap_at[t], 0.9), run(&at[t], &curve_at[t], &snap_at[t], t);
        if (t && checkpoint_write(&at[t], &curve_at[t], &snap_at[t], TMP "/ckpt", "r", &e)) fail_msg("%s", e.text);
    }
    fresh(&scratch, &curve_scratch, &snap_scratch, 0.9);
    newest = slurp(NEWEST, &n_newest), before = slurp(BEFORE, &n_before);
    return 0;
}

static int forget(void **state) {
    (void)state;
    for (int t = 0; t < 8; t += t ? 2 : 5) trainer_free(&at[t]), curve_free(&curve_at[t]), snapshots_free(&snap_at[t]);
    trainer_free(&scratch), curve_free(&curve_scratch), snapshots_free(&snap_scratch);
    free(newest), free(before);
    return 0;
}

/* Read with these files: what comes back is, to the byte, the undisturbed run at some step, so it ends in the same bytes. */
static int64_t resumed_at(const char *a, size_t n_a, const char *b, size_t n_b) {
    struct trainer tr = scratch; /* its arrays */
    struct curve c = curve_scratch;
    struct snapshots snap = snap_scratch;
    struct err e = {0};
    unlink(NEWEST), unlink(BEFORE);
    memcpy(tr.state.base, at[0].state.base, tr.state.used_bytes);
    memcpy(c.memory.base, curve_at[0].memory.base, c.memory.used_bytes);
    for (int i = 0; i < SNAPSHOTS; i++) memset(snap.sae[i].memory.base, 0, snap.sae[i].memory.used_bytes);
    if (a) spill(NEWEST, a, n_a);
    if (b) spill(BEFORE, b, n_b);
    int rc = read_back(&tr, &c, &snap, "r", &e);
    if (rc < 0) fail_msg("%s", e.text);
    assert_int_equal(rc, tr.t > 0);
    assert_true(tr.t == 0 || tr.t == 5 || tr.t == 7);
    assert_memory_equal(tr.state.base, at[tr.t].state.base, tr.state.used_bytes);
    assert_memory_equal(c.memory.base, curve_at[tr.t].memory.base, c.memory.used_bytes);
    assert_int_equal(tr.last_entries, at[tr.t].last_entries);
    same_snapshots(&snap, &snap_at[tr.t]);
    return tr.t;
}

/* Two bits of each byte of the header, one of each seventh byte of the tensors; cut short at many places. */
static void damaged_checkpoint(void **state) {
    (void)state;
    size_t header = 8 + (size_t)(unsigned char)newest[0] + 256 * (size_t)(unsigned char)newest[1], harmless = 0;
    for (size_t k = 0; k < 2 * header + (n_newest - header) / 7; k++) {
        size_t i = k < 2 * header ? k / 2 : header + 7 * (k - 2 * header);
        char bit = (char)(1 << (k < 2 * header ? k % 2 * 4 + i % 4 : i % 8));
        newest[i] ^= bit;
        int64_t t = resumed_at(newest, n_newest, before, n_before);
        newest[i] ^= bit;
        if (t == 7) harmless++; /* a blank that became another */
        assert_true(t == 5 || i < header);
        if (t == 5) assert_non_null(strstr(lost[0].text, "state.safetensors"));
    }
    assert_in_range(harmless, 0, 64);
    for (size_t n = 0; n < n_newest; n += n < 4000 ? 41 : 977)
        assert_int_equal(resumed_at(newest, n, before, n_before), 5);
}

static void which_state_is_taken(void **state) {
    (void)state;
    assert_int_equal(resumed_at(newest, n_newest, before, n_before), 7);
    assert_int_equal(resumed_at(NULL, 0, before, n_before), 5); /* killed between the renames */
    assert_int_equal(resumed_at(before, n_before, newest, n_newest), 5);
    assert_int_equal(resumed_at(newest, 3000, before, 2000), 0);
    assert_true(lost[0].text[0] && lost[1].text[0]);
    assert_int_equal(resumed_at(newest, 3000, NULL, 0), 0);
    assert_int_equal(resumed_at(NULL, 0, NULL, 0), 0);
    assert_false(lost[0].text[0] || lost[1].text[0]);

    char *v = newest; /* "version":"1" -> "2" */
    while (memcmp(v, "\"version\":\"1\"", 13)) assert_true(++v < newest + n_newest - 13);
    v[11] = '2';
    assert_int_equal(resumed_at(newest, n_newest, before, n_before), 5);
    assert_non_null(strstr(lost[0].text, "want version 1, got 2"));
    v[11] = '1';
}

/* A damaged newest state must not take the place of the good one before it. */
static void a_save_after_damage(void **state) {
    (void)state;
    struct err e = {0};
    assert_int_equal(resumed_at(newest, 3000, before, n_before), 5);
    if (checkpoint_write(&at[7], &curve_at[7], &snap_at[7], TMP "/ckpt", "r", &e)) fail_msg("%s", e.text);
    size_t n;
    char *p = slurp(BEFORE, &n);
    assert_true(n == n_before && !memcmp(p, before, n));
    free(p);
    p = slurp(NEWEST, &n);
    assert_true(n == n_newest && !memcmp(p, newest, n));
    free(p);
}

/* Whole, but of a run of another size or name: refused, whichever file it is. */
static void checkpoint_of_another_run(void **state) {
    (void)state;
    struct trainer tr;
    struct curve c;
    struct snapshots snap;
    struct err e = {0};
    spill(NEWEST, newest, 3000), spill(BEFORE, before, n_before);
    fresh(&tr, &c, &snap, 0); /* no first moments: other tensors */
    assert_int_equal(read_back(&tr, &c, &snap, "other", &e), ERR_FORMAT);
    assert_non_null(strstr(e.text, "before.safetensors: the checkpoint belongs to another run"));
    assert_true(lost[0].text[0] && !lost[1].text[0]);
    trainer_free(&tr), curve_free(&c), snapshots_free(&snap);
}

/* Killed at any moment of a save: a state is there and none is damaged. */
static void killed_while_saving(void **state) {
    (void)state;
    spill(NEWEST, newest, n_newest), spill(BEFORE, before, n_before);
    for (int k = 0; k < 30; k++) {
        pid_t pid = fork();
        struct err e;
        if (!pid)
            for (int t = 5;; t = 12 - t)
                if (checkpoint_write(&at[t], &curve_at[t], &snap_at[t], TMP "/ckpt", "r", &e)) _exit(1);
        const struct timespec wait = {.tv_nsec = 500000 + 194001 * k};
        nanosleep(&wait, NULL);
        int status;
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        assert_true(WIFSIGNALED(status));
        struct trainer tr;
        struct curve c;
        struct snapshots snap;
        fresh(&tr, &c, &snap, 0.9);
        if (read_back(&tr, &c, &snap, "r", &e) != 1) fail_msg("%s", e.text);
        assert_false(lost[0].text[0] || lost[1].text[0]);
        assert_memory_equal(tr.state.base, at[tr.t].state.base, tr.state.used_bytes);
        trainer_free(&tr), curve_free(&c), snapshots_free(&snap);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(batches_in_order),
                                       cmocka_unit_test(raw_batches_are_the_rows_of_the_file),
                                       cmocka_unit_test(feed_errors),
                                       cmocka_unit_test(schedules),
                                       cmocka_unit_test(snapshots_are_of_their_step),
                                       cmocka_unit_test(curve_on_disk),
                                       cmocka_unit_test(statistics_of_a_curve),
                                       cmocka_unit_test(resume),
                                       cmocka_unit_test_setup_teardown(damaged_checkpoint, two_saves, forget),
                                       cmocka_unit_test_setup_teardown(which_state_is_taken, two_saves, forget),
                                       cmocka_unit_test_setup_teardown(a_save_after_damage, two_saves, forget),
                                       cmocka_unit_test_setup_teardown(checkpoint_of_another_run, two_saves, forget),
                                       cmocka_unit_test_setup_teardown(killed_while_saving, two_saves, forget)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
