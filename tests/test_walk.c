/* test_walk.c - random walks and ablation on a small SAE: by brute force in double, a theorem on distances, threads,
 * and what must not change. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/rng.h"
#include "lib/sae/ablation.h"
#include "lib/sae/random_walk.h"

enum { D = 24, F = 60, W = 300, T = 40, R = 7 };

static void sae_of(struct sae *s) {
    struct err e;
    if (sae_init(s, SAE_JUMPRELU, D, F, &e)) fail_msg("%s", e.text);
    for (size_t f = 0; f < F; f++) {
        double n2 = 0;
        for (size_t d = 0; d < D; d++) {
            s->W_enc[f * D + d] = (float)rng_normal(1, 0, f * D + d);
            s->W_dec[f * D + d] = (float)rng_normal(1, 1, f * D + d);
            n2 += pow((double)s->W_dec[f * D + d], 2);
        }
        for (size_t d = 0; d < D; d++) s->W_dec[f * D + d] /= (float)sqrt(n2);
        s->b_enc[f] = (float)rng_normal(1, 2, f), s->theta[f] = 0.5f;
    }
    for (size_t d = 0; d < D; d++) s->b_dec[d] = (float)rng_normal(1, 3, d);
}

static float *starts(size_t n) {
    float *x = malloc(n * D * sizeof *x);
    for (size_t i = 0; i < n * D; i++) x[i] = (float)rng_normal(2, 0, i);
    return x;
}

/* Latents of one row, in double. */
static void latents(const struct sae *s, const double *x, double *z) {
    for (size_t f = 0; f < F; f++) {
        double pre = (double)s->b_enc[f];
        for (size_t d = 0; d < D; d++) pre += (double)s->W_enc[f * D + d] * x[d];
        z[f] = pre > (double)s->theta[f] ? pre : 0;
    }
}

static void decode(const struct sae *s, const double *z, double *y) {
    for (size_t d = 0; d < D; d++) {
        y[d] = (double)s->b_dec[d];
        for (size_t f = 0; f < F; f++) y[d] += z[f] * (double)s->W_dec[f * D + d];
    }
}

static void walked(const struct sae *s, const float *x, bool features, int threads, struct walk *out) {
    struct walk_options o = {W, T, 0.3, features, 5};
    struct encoder n;
    struct err e;
    omp_set_num_threads(threads);
    if (encoder_open(&n, s, "cpu", W, &e) || random_walk_run(&n, x, &o, out, &e)) fail_msg("%s", e.text);
    encoder_close(&n);
}

/* E |x_t - x_0|^2 = t s^2; the mean over W walks is off by its standard error, here at most 4 of them. */
static void distances_grow_as_the_root_of_the_steps(void **state) {
    (void)state;
    struct sae s;
    float *x = starts(W);
    sae_of(&s);
    for (int features = 0; features < 2; features++) {
        struct walk w;
        walked(&s, x, features, 2, &w);
        for (size_t t = 0; t <= T; t++) {
            double mean = 0, var = 0, want = (double)t * 0.09;
            for (size_t i = 0; i < W; i++) mean += pow(w.distance[t * W + i], 2) / W;
            for (size_t i = 0; i < W; i++) var += pow(pow(w.distance[t * W + i], 2) - mean, 2) / (W - 1);
            if (!(fabs(mean - want) <= 4 * sqrt(var / W) + 1e-5)) fail_msg("step %zu: %g, want %g", t, mean, want);
        }
        random_walk_free(&w);
    }
    sae_free(&s);
    free(x);
}

static void measures_equal_brute_force(void **state) {
    (void)state;
    struct sae s;
    struct walk w;
    float *x = starts(W);
    sae_of(&s);
    walked(&s, x, false, 2, &w);
    for (size_t t = 0; t <= T; t += 8) {
        double z[F], y[D], xd[D], loss = 0, far = 0, xy = 0, xx = 0, x0 = 0;
        for (size_t d = 0; d < D; d++) xd[d] = (double)w.path[t * D + d];
        latents(&s, xd, z), decode(&s, z, y);
        for (size_t d = 0; d < D; d++) {
            double v0 = (double)x[d];
            loss += pow(xd[d] - y[d], 2), far += pow(xd[d] - v0, 2), xy += xd[d] * v0, xx += xd[d] * xd[d],
                x0 += v0 * v0;
        }
        assert_true(fabs(w.loss[t * W] / loss - 1) <= 1e-4); /* float32 sums of 60 latents of size 5 */
        assert_true(fabs(w.distance[t * W] - sqrt(far)) <= 1e-12 &&
                    fabs(w.cosine[t * W] - xy / sqrt(xx * x0)) <= 1e-12);
        if (t) assert_true(w.distance[t * W] > 0);
    }
    assert_true(w.distance[0] == 0 && fabs(w.cosine[0] - 1) <= 1e-12);
    random_walk_free(&w);
    sae_free(&s);
    free(x);
}

static void walks_do_not_depend_on_threads(void **state) {
    (void)state;
    struct sae s;
    float *x = starts(W);
    int cores = omp_get_max_threads();
    sae_of(&s);
    for (int features = 0; features < 2; features++) {
        struct walk a, b;
        walked(&s, x, features, 1, &a), walked(&s, x, features, 3, &b);
        assert_memory_equal(a.loss, b.loss, (T + 1) * W * sizeof *a.loss);
        assert_memory_equal(a.path, b.path, (T + 1) * D * sizeof *a.path);
        random_walk_free(&a), random_walk_free(&b);
    }
    omp_set_num_threads(cores);
    sae_free(&s);
    free(x);
}

static void steps_of_no_length_are_refused(void **state) {
    (void)state;
    const double bad[] = {0, -1, INFINITY, NAN};
    struct sae s;
    struct encoder n;
    struct err e;
    float *x = starts(W);
    sae_of(&s);
    assert_int_equal(encoder_open(&n, &s, "cpu", W, &e), 0);
    for (int i = 0; i < 4; i++) {
        struct walk_options o = {W, T, bad[i], false, 5};
        struct walk w;
        assert_int_equal(random_walk_run(&n, x, &o, &w, &e), ERR_RANGE);
        random_walk_free(&w);
    }
    encoder_close(&n);
    sae_free(&s);
    free(x);
}

/* ---- ablation ---- */

static void ablation_equals_brute_force(void **state) {
    (void)state;
    struct sae s;
    struct encoder n;
    struct ablation_base base;
    struct err e;
    float *x = starts(R);
    sae_of(&s);
    assert_int_equal(encoder_open(&n, &s, "cpu", R, &e), 0);
    memcpy(n.x, x, R * D * sizeof *x);
    if (ablation_start(&n, R, &base, &e)) fail_msg("%s", e.text);
    const size_t f = 11;
    for (int how = 0; how < 2; how++) {
        struct ablation a;
        if (ablation_feature(&n, &base, f, (enum ablate_how)how, 0.7, 9, &a, &e)) fail_msg("%s", e.text);
        double mse = 0, difference[F] = {0};
        for (size_t r = 0; r < R; r++) {
            double xd[D], z[F], y[D], before[F], after[F], y2[D];
            for (size_t d = 0; d < D; d++) xd[d] = (double)x[r * D + d];
            latents(&s, xd, z), decode(&s, z, y), latents(&s, y, before);
            if (how == ABLATE_CLAMP)
                z[f] = 0;
            else { /* the noise, read off the result, must be the same number along the whole direction */
                double along = 0;
                for (size_t d = 0; d < D; d++) along += ((double)n.x[r * D + d] - y[d]) * (double)s.W_dec[f * D + d];
                z[f] += along;
            }
            decode(&s, z, y2), latents(&s, y2, after);
            for (size_t d = 0; d < D; d++) mse += pow(y2[d] - y[d], 2) / (R * D);
            for (size_t g = 0; g < F; g++) {
                difference[g] += fabs(after[g] - before[g]) / R;
                assert_true(fabs((double)a.after[r * F + g] - after[g]) <=
                            1e-3); /* float32 of sums of 60 x 24 terms up to 30 */
            }
        }
        assert_true(fabs(a.mse - mse) <= 1e-4 * (mse + 1e-6));
        for (size_t g = 0; g < F; g++) assert_true(fabs(a.difference[g] - difference[g]) <= 1e-3);
        assert_true(a.changed > 0 && a.cosine < 1 && a.own > 0);
        ablation_free(&a);
    }
    ablation_base_free(&base);
    encoder_close(&n);
    sae_free(&s);
    free(x);
}

static void a_silent_feature_changes_nothing(void **state) {
    (void)state;
    struct sae s;
    struct encoder n;
    struct ablation_base base;
    struct ablation a;
    struct err e;
    float *x = starts(R);
    sae_of(&s);
    s.theta[3] = 1e9f;
    assert_int_equal(encoder_open(&n, &s, "cpu", R, &e), 0);
    memcpy(n.x, x, R * D * sizeof *x);
    assert_int_equal(ablation_start(&n, R, &base, &e), 0);
    assert_int_equal(ablation_feature(&n, &base, 3, ABLATE_CLAMP, 0, 0, &a, &e), 0);
    assert_memory_equal(a.after, base.before, R * F * sizeof *a.after);
    assert_int_equal(a.changed, 0);
    assert_true(fabs(a.cosine - 1) <= 1e-12 && a.mse == 0 && a.own == 0);
    ablation_free(&a);
    ablation_base_free(&base);
    encoder_close(&n);
    sae_free(&s);
    free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_grow_as_the_root_of_the_steps),
        cmocka_unit_test(measures_equal_brute_force),
        cmocka_unit_test(walks_do_not_depend_on_threads),
        cmocka_unit_test(steps_of_no_length_are_refused),
        cmocka_unit_test(ablation_equals_brute_force),
        cmocka_unit_test(a_silent_feature_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
