/* test_step.c - the SAE training step: against PyTorch, finite differences, dense against sparse, ref against cpu, threads. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/rng.h"
#include "lib/file/safetensors.h"
#include "lib/sae/encoder.h"
#include "lib/sae/trainer.h"
#include "tests/emulated.h"

#define FIXTURES "tests/fixtures/train/"

static double meta(const struct safetensors *s, const char *key) {
    const char *v = safetensors_meta(s, key);
    if (!v) fail_msg("fixture without %s", key);
    return strtod(v, NULL);
}

static double meta_or(const struct safetensors *s, const char *key, double otherwise) {
    return safetensors_meta(s, key) ? meta(s, key) : otherwise;
}

static void load(const struct safetensors *s, const char *name, float *out, size_t n) {
    struct err e;
    const struct safetensors_tensor *t = safetensors_find(s, name);
    if (!t || t->n_elems != n || safetensors_to_f32(t, 0, n, out, &e)) fail_msg("fixture: %s", name);
}

static void set_init(struct trainer *tr, const struct safetensors *s) {
    size_t n = tr->c.D * tr->c.F;
    load(s, "init.W_enc", tr->p.W_enc, n);
    load(s, "init.W_dec", tr->p.W_dec, n);
    load(s, "init.b_enc", tr->p.b_enc, tr->c.F);
    load(s, "init.b_dec", tr->p.b_dec, tr->c.D);
    load(s, "init.theta", tr->p.theta, tr->c.F);
}

/* max |a - b| over max |b|: an entry near zero may not be held to its own size. */
static double far(const float *a, const float *b, size_t n) {
    double d = 0, m = 1e-30;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(a[i])) return INFINITY;
        d = fmax(d, fabs((double)a[i] - (double)b[i])), m = fmax(m, fabs((double)b[i]));
    }
    return d / m;
}

static double param_far(const struct trainer *tr, const struct safetensors *s, const char *name, const float *got,
                        size_t n) {
    char full[64];
    float *want = calloc(n, sizeof *want);
    snprintf(full, sizeof full, "final.%s", name);
    load(s, full, want, n);
    double d = far(got, want, n);
    free(want);
    (void)tr;
    return d;
}

/* 200 steps from the same start on the same batches as an independent PyTorch run. sparse_share as given. */
static void pytorch_run(const char *file, enum sae_arch arch, const char *backend, double share) {
    struct err e;
    struct safetensors *s, *data;
    if (safetensors_open(&s, file, &e) || safetensors_open(&data, FIXTURES "data.safetensors", &e))
        fail_msg("%s", e.text);
    const struct safetensors_tensor *x = safetensors_find(data, "x"), *rows = safetensors_find(s, "batch");
    if (!rows) rows = safetensors_find(data, "batch");
    size_t D = (size_t)x->shape[1], B = (size_t)meta(s, "batch"), steps = (size_t)meta(s, "steps");
    size_t F = safetensors_find(s, "init.b_enc")->n_elems;
    struct trainer_config c = {.arch = arch,
                               .D = D,
                               .F = F,
                               .B = B,
                               .parameter[ACTIVATION_EPSILON] = (float)meta(s, "eps"),
                               .beta1 = 0,
                               .beta2 = meta_or(s, "beta2", 0.999),
                               .adam_eps = 1e-8,
                               .lazy = safetensors_meta(s, "optimizer") &&
                                       !strcmp(safetensors_meta(s, "optimizer"), "lazy-adam"),
                               .pre_act_loss = (float)meta_or(s, "pre_act_loss", 0),
                               .dead_window = (uint32_t)meta_or(s, "dead_window", 0)};
    struct schedule sc = {(int64_t)steps,
                          meta(s, "lr"),
                          (int64_t)meta(s, "lr_warmup"),
                          (int64_t)meta(s, "lr_decay"),
                          meta(s, "lambda"),
                          (int64_t)meta(s, "lambda_warmup")};
    const struct sae_kernels *table;
    if (sae_kernels_open(backend, &table, &e)) fail_msg("%s", e.text);
    struct sae_kernels k = *table;
    k.sparse_share = share;
    struct trainer tr;
    if (trainer_init(&tr, &c, &k, &e)) fail_msg("%s", e.text);
    if (share >= 1) tr.last_entries = 0; /* sparse from the first step */
    set_init(&tr, s);
    /* The emulated GPU runs its threads one after the other: most of these runs end early there, and compare the losses only. */
    bool early = !strncmp(backend, "cuda", 4) && k.host == &memory_host &&
                 (arch == SAE_RELU || share < 1 || strstr(file, "pre_act")); /* lazy has the penalty too, to the end */
    float *batch = calloc(B * D, 4), *rec = calloc(steps, 4), *sp = calloc(steps, 4), *l0 = calloc(steps, 4);
    load(s, "loss_rec", rec, steps), load(s, "loss_sparsity", sp, steps), load(s, "l0", l0, steps);
    double worst = 0;
    for (size_t t = 0; t < (early ? 25 : steps); t++) {
        struct trainer_report r;
        for (size_t b = 0; b < B; b++)
            memcpy(batch + b * D, (const float *)x->data + (size_t)((const int32_t *)rows->data)[t * B + b] * D,
                   D * sizeof *batch);
        if (trainer_step(&tr, batch, NULL, schedule_lr(&sc, (int64_t)t), schedule_lambda(&sc, (int64_t)t), &r, &e))
            fail_msg("%s", e.text);
        assert_int_equal(r.dense, share < 1);
        worst = fmax(worst, fabs(r.loss_reconstruction / (double)rec[t] - 1));
        worst = fmax(worst, fabs(r.loss_sparsity / (double)sp[t] - 1));
        worst = fmax(worst, fabs(r.l0 / (double)l0[t] - 1));
    }
    const double p[] = {param_far(&tr, s, "W_enc", tr.p.W_enc, D * F), param_far(&tr, s, "W_dec", tr.p.W_dec, D * F),
                        param_far(&tr, s, "b_enc", tr.p.b_enc, F), param_far(&tr, s, "b_dec", tr.p.b_dec, D),
                        arch == SAE_JUMPRELU ? param_far(&tr, s, "theta", tr.p.theta, F) : 0};
    print_message("%s %s %s: losses and L0 within %.1e, W_enc %.1e, W_dec %.1e, b_enc %.1e, b_dec %.1e, theta %.1e\n",
                  file, backend, share < 1 ? "dense" : "sparse", worst, p[0], p[1], p[2], p[3], p[4]);
    if (!(worst <= 1e-4)) fail_msg("losses differ by %g", worst);
    for (int i = 0; i < 5 && !early; i++)
        if (!(p[i] <= 1e-4)) fail_msg("parameter %d differs by %g", i, p[i]);
    trainer_free(&tr);
    free(batch), free(rec), free(sp), free(l0);
    safetensors_close(s), safetensors_close(data);
}

static void pytorch_jumprelu(void **state) {
    (void)state;
    pytorch_run(FIXTURES "jumprelu.safetensors", SAE_JUMPRELU, "cpu", 1);
    pytorch_run(FIXTURES "jumprelu.safetensors", SAE_JUMPRELU, "cpu", 0);
    pytorch_run(FIXTURES "jumprelu.safetensors", SAE_JUMPRELU, "ref", 1);
}

static void pytorch_relu(void **state) {
    (void)state;
    pytorch_run(FIXTURES "relu.safetensors", SAE_RELU, "cpu", 1);
    pytorch_run(FIXTURES "relu.safetensors", SAE_RELU, "cpu", 0);
    pytorch_run(FIXTURES "relu.safetensors", SAE_RELU, "ref", 1);
}

/* Features die, are pulled back and fire again; how often, the fixtures' metadata say. */
static void pytorch_dead_features(void **state) {
    (void)state;
    static const char *const files[] = {FIXTURES "pre_act.safetensors", FIXTURES "lazy.safetensors"};
    for (int i = 0; i < 2; i++) {
        pytorch_run(files[i], SAE_JUMPRELU, "cpu", 1);
        pytorch_run(files[i], SAE_JUMPRELU, "cpu", 0);
        pytorch_run(files[i], SAE_JUMPRELU, "ref", 1);
        pytorch_run(files[i], SAE_JUMPRELU, "ref", 0);
    }
}

/* --- gradients against finite differences of the objective in double, activation pattern held ------------------------ */

enum { GD = 7, GF = 12, GB = 9 };

struct point { /* parameters in double, one flat array: W_enc, W_dec, b_enc, b_dec */
    double v[2 * GF * GD + GF + GD];
};

static double *w_enc(struct point *p) { return p->v; }
static double *w_dec(struct point *p) { return p->v + GF * GD; }
static double *b_enc(struct point *p) { return p->v + 2 * GF * GD; }
static double *b_dec(struct point *p) { return p->v + 2 * GF * GD + GF; }

static double pre_of(struct point *p, const float *x, size_t b, size_t f) {
    double s = b_enc(p)[f];
    for (size_t d = 0; d < GD; d++) s += ((double)x[b * GD + d] - b_dec(p)[d]) * w_enc(p)[f * GD + d];
    return s;
}

/* What the loss is of, besides the point. */
struct given {
    float x[GB * GD];
    char on[GB * GF]; /* the activation pattern, held */
    bool relu;
    double lambda;
    struct sae_views views;
};

/* mean sum_v weight_v |x - x^_v|^2 (+ ReLU: lambda mean sum z |W_dec|). */
static double objective(struct point *p, const struct given *q) {
    double total = 0;
    for (size_t b = 0; b < GB; b++)
        for (size_t v = 0; v < q->views.n; v++) {
            double r[GD];
            for (size_t d = 0; d < GD; d++) r[d] = b_dec(p)[d] - (double)q->x[b * GD + d];
            for (size_t f = 0; f < GF && f < q->views.at[v].features; f++) {
                if (!q->on[b * GF + f]) continue;
                double z = pre_of(p, q->x, b, f), norm2 = 0;
                for (size_t d = 0; d < GD; d++) {
                    double w = w_dec(p)[f * GD + d];
                    r[d] += z * w, norm2 += w * w;
                }
                if (q->relu && v == 0) total += q->lambda * z * sqrt(norm2);
            }
            for (size_t d = 0; d < GD; d++) total += (double)q->views.at[v].weight * r[d] * r[d];
        }
    return total / GB;
}

static double slope(struct point *p, size_t i, const struct given *q) {
    const double h = 1e-5;
    double was = p->v[i];
    p->v[i] = was + h;
    double up = objective(p, q);
    p->v[i] = was - h;
    double down = objective(p, q);
    p->v[i] = was;
    return (up - down) / (2 * h);
}

/* The threshold's gradient is that of the objective with the step smoothed over eps: H(u) -> clamp(u/eps + 1/2, 0, 1), linear in
 * the reconstruction (g sampled at the point) and the jump's height theta held. */
static double theta_slope(double pre, double theta, double eps, double g, double lambda_over_B) {
    const double h = 1e-7 * eps;
    double up = (pre - theta - h) / eps + 0.5, down = (pre - theta + h) / eps + 0.5;
    up = up < 0 ? 0 : up > 1 ? 1 : up, down = down < 0 ? 0 : down > 1 ? 1 : down;
    return (g * theta + lambda_over_B) * (up - down) / (2 * h);
}

static void gradients(enum sae_arch arch, struct sae_views views) {
    struct err e;
    struct sae_kernels k = *sae_kernels_get("cpu");
    k.sparse_share = 0; /* the dense path keeps its gradients where a test can look */
    struct trainer_config c = {.arch = arch,
                               .views = views,
                               .D = GD,
                               .F = GF,
                               .B = GB,
                               .parameter[ACTIVATION_EPSILON] = 0.3f,
                               .beta2 = 0.999,
                               .adam_eps = 1e-8,
                               .seed = 5,
                               .parameter[ACTIVATION_THETA_INIT] = 0.2f};
    struct trainer tr;
    struct point p;
    struct given q = {.relu = arch == SAE_RELU, .lambda = 0.05, .views = views};
    if (trainer_init(&tr, &c, &k, &e)) fail_msg("%s", e.text);
    for (size_t i = 0; i < GB * GD; i++) q.x[i] = (float)rng_normal(11, 0, i);
    for (size_t i = 0; i < GF; i++) tr.p.b_enc[i] = (float)(0.3 * rng_normal(11, 1, i));
    for (size_t i = 0; i < GD; i++) tr.p.b_dec[i] = (float)(0.3 * rng_normal(11, 2, i));
    for (size_t i = 0; i < GF * GD; i++) tr.p.W_enc[i] += (float)(0.2 * rng_normal(11, 3, i));
    for (size_t i = 0; i < GF * GD; i++) w_enc(&p)[i] = (double)tr.p.W_enc[i], w_dec(&p)[i] = (double)tr.p.W_dec[i];
    for (size_t i = 0; i < GF; i++) b_enc(&p)[i] = (double)tr.p.b_enc[i];
    for (size_t i = 0; i < GD; i++) b_dec(&p)[i] = (double)tr.p.b_dec[i];
    for (size_t b = 0; b < GB; b++)
        for (size_t f = 0; f < GF; f++) q.on[b * GF + f] = pre_of(&p, q.x, b, f) > (q.relu ? 0 : 0.2);
    struct trainer_report r;
    tr.last_entries = SIZE_MAX;
    if (trainer_step(&tr, q.x, NULL, 0, q.lambda, &r, &e)) fail_msg("%s", e.text);
    assert_true(r.dense);

    double worst = 0, slopes[GD];
    for (size_t f = 0; f < GF; f++) {
        for (size_t d = 0; d < GD; d++)
            worst = fmax(worst, fabs(slope(&p, f * GD + d, &q) - (double)tr.g.W_enc[f * GD + d]));
        double along = 0; /* the decoder's gradient loses its part along the row */
        for (size_t d = 0; d < GD; d++) {
            slopes[d] = slope(&p, GF * GD + f * GD + d, &q);
            along += slopes[d] * w_dec(&p)[f * GD + d];
        }
        for (size_t d = 0; d < GD; d++)
            worst = fmax(worst, fabs(slopes[d] - along * w_dec(&p)[f * GD + d] - (double)tr.g.W_dec[f * GD + d]));
        worst = fmax(worst, fabs(slope(&p, 2 * GF * GD + f, &q) - (double)tr.g.b_enc[f]));
    }
    for (size_t d = 0; d < GD; d++) worst = fmax(worst, fabs(slope(&p, 2 * GF * GD + GF + d, &q) - tr.gb_dec[d]));
    for (size_t f = 0; !q.relu && f < GF; f++) {
        double want = 0;
        for (size_t b = 0; b < GB; b++) {
            double g = 0;
            for (size_t v = 0; v < views.n; v++)
                for (size_t d = 0; d < GD && f < views.at[v].features; d++)
                    g += (double)tr.G[(v * GB + b) * GD + d] * w_dec(&p)[f * GD + d];
            want += theta_slope(pre_of(&p, q.x, b, f), (double)0.2f, (double)0.3f, g, q.lambda / GB);
        }
        worst = fmax(worst, fabs(want - (double)tr.g.theta[f]));
    }
    /* float32 sums of at most GB*GD + GF terms of size about 1: 100 * 6e-8; the difference quotient adds 1e-10 / h = 1e-5 */
    if (!(worst <= 3e-5)) fail_msg("gradients differ by %g", worst);
    trainer_free(&tr);
}

static void finite_differences(void **state) {
    (void)state;
    const struct sae_views one = {1, {{1, GF}}}, nested = {3, {{1, GF}, {0.5f, GF / 2}, {2, 3}}};
    for (int arch = 0; arch < SAE_ARCHS; arch++)
        gradients((enum sae_arch)arch, one), gradients((enum sae_arch)arch, nested);
}

/* --- the same bytes for any thread count; unit rows; momentum, lazy, with a penalty on dead features ------------------ */

struct setting {
    enum sae_arch arch;
    double beta1, beta2;
    bool lazy;
    float pre_act;
    bool nested; /* also prefixes of the features, as views */
};

static const struct setting plain = {SAE_JUMPRELU, 0, 0.999, false, 0, false};
static const struct setting settings[] = {
    {SAE_JUMPRELU, 0.9, 0.999, false, 0, false},   {SAE_JUMPRELU, 0, 0.9, false, 4e-3f, false},
    {SAE_JUMPRELU, 0.9, 0.9, false, 4e-3f, false}, {SAE_JUMPRELU, 0, 0.9, true, 4e-3f, true},
    {SAE_JUMPRELU, 0.9, 0.9, true, 4e-3f, false},  {SAE_JUMPRELU, 0, 0.9, true, 0, false},
    {SAE_RELU, 0, 0.9, true, 4e-3f, false},        {SAE_RELU, 0.9, 0.9, false, 0, true}};
/* bf16's limit is for this beta2 */
static const struct setting gentle = {SAE_JUMPRELU, 0, 0.999, true, 4e-3f, false};
static const struct setting nested = {SAE_JUMPRELU, 0, 0.999, false, 0, true};
enum { SETTINGS = sizeof settings / sizeof *settings };

/* Numbers of the trainer's state are as in a copy of it. */
static bool as_in(const char *copy, const struct trainer *tr, const float *at, size_t n) {
    return !memcmp(at, copy + ((const char *)at - (const char *)tr->state.base), n * sizeof *at);
}

/* Lazy: what has no gradient in a step, values and moments, is as it was before it. */
static void silent_rest(const char *before, const struct trainer *tr) {
    const struct sae_arrays *const sets[] = {&tr->p, &tr->v, &tr->m};
    const size_t D = tr->c.D;
    for (size_t f = 0; f < tr->c.F; f++)
        for (int i = 0; i < 3 && tr->steps_idle[f]; i++) {
            const struct sae_arrays *a = sets[i];
            if (!a->W_dec) continue;
            assert_true(as_in(before, tr, a->W_dec + f * D, D));
            if (tr->c.pre_act_loss > 0 && tr->steps_idle[f] > tr->c.dead_window) continue;
            assert_true(as_in(before, tr, a->W_enc + f * D, D) && as_in(before, tr, a->b_enc + f, 1));
        }
}

static void short_run(struct trainer *tr, int threads, double share, const char *backend, const struct setting *s) {
    struct err e;
    static struct sae_kernels k; /* outlives the trainer */
    const struct sae_kernels *table;
    if (sae_kernels_open(backend, &table, &e)) fail_msg("%s", e.text);
    k = *table;
    k.sparse_share = share;
    struct trainer_config c = {.arch = s->arch,
                               .D = 33,
                               .F = 300,
                               .B = 257,
                               .parameter[ACTIVATION_EPSILON] = 0.1f,
                               .beta1 = s->beta1,
                               .beta2 = s->beta2,
                               .adam_eps = 1e-8,
                               .seed = 9,
                               .parameter[ACTIVATION_THETA_INIT] = 0.1f,
                               .lazy = s->lazy,
                               .pre_act_loss = s->pre_act,
                               .dead_window = 2};
    if (s->nested) c.views = (struct sae_views){3, {{1, 300}, {0.5f, 150}, {0.25f, 7}}};
    const bool rare = s->lazy || s->pre_act > 0;
    omp_set_num_threads(threads);
    if (trainer_init(tr, &c, &k, &e)) fail_msg("%s", e.text);
    if (share >= 1) tr->last_entries = 0;
    for (size_t f = 0; f < c.F && rare; f++) /* fires in nearly every, every second, hardly any batch */
        tr->p.b_enc[f] = -0.2f * (float)(f % 4);
    float *x = calloc(c.B * c.D, sizeof *x);
    char *before = malloc(tr->state.used_bytes);
    for (int t = 0; t < 12; t++) {
        struct trainer_report r;
        for (size_t i = 0; i < c.B * c.D; i++) x[i] = (float)(0.17 * rng_normal(13, (uint64_t)t, i));
        memcpy(before, tr->state.base, tr->state.used_bytes);
        if (trainer_step(tr, x, NULL, 1e-3, 1e-3, &r, &e)) fail_msg("%s", e.text);
        if (s->lazy) silent_rest(before, tr);
    }
    free(x), free(before);
    if (rare) assert_in_range(trainer_idle(tr, 3), 20, 120);
    for (size_t f = 0; f < c.F && s->arch == SAE_RELU; f++) assert_true(tr->p.theta[f] == 0);
}

static void same_bytes(void **state) {
    (void)state;
    for (int i = 0; i < 2 * (1 + SETTINGS); i++) {
        const struct setting *s = i < 2 ? &plain : &settings[i / 2 - 1];
        struct trainer a, b;
        short_run(&a, 1, i % 2 ? 0 : 1, "cpu", s);
        short_run(&b, 3, i % 2 ? 0 : 1, "cpu", s);
        assert_int_equal(a.state.used_bytes, b.state.used_bytes);
        assert_memory_equal(a.state.base, b.state.base, a.state.used_bytes);
        for (size_t f = 0; f < a.c.F; f++) {
            double n2 = 0;
            for (size_t d = 0; d < a.c.D; d++) n2 += pow((double)a.p.W_dec[f * a.c.D + d], 2);
            if (!(fabs(n2 - 1) <= 33 * 6e-8 * 4)) fail_msg("decoder row %zu has squared norm %g", f, n2);
        }
        trainer_free(&a), trainer_free(&b);
    }
}

static double trainers_far(const struct trainer *a, const struct trainer *b) {
    const size_t F = a->c.F, D = a->c.D;
    double d = fmax(far(a->p.W_enc, b->p.W_enc, D * F), far(a->p.W_dec, b->p.W_dec, D * F));
    d = fmax(d, fmax(far(a->p.b_enc, b->p.b_enc, F), far(a->p.b_dec, b->p.b_dec, D)));
    return a->c.arch == SAE_RELU ? d : fmax(d, far(a->p.theta, b->p.theta, F));
}

/* Every setting through both paths: the back end against the reference, and the paths against each other. */
static void settings_against_ref(const char *backend) {
    for (int i = 0; i < SETTINGS; i++) {
        struct trainer a[2], b;
        short_run(&b, 2, 1, "ref", &settings[i]);
        for (int dense = 0; dense < 2; dense++) {
            short_run(&a[dense], 2, !dense, backend, &settings[i]);
            double d = trainers_far(&a[dense], &b);
            if (!(d <= 1e-5)) /* 12 steps, each a float32 rounding of sums of 257 terms */
                fail_msg("setting %d: %s, %s, and ref differ by %g", i, backend, dense ? "dense" : "sparse", d);
            assert_memory_equal(a[dense].steps_idle, b.steps_idle, 300 * sizeof *b.steps_idle);
            assert_int_equal(trainer_idle(&a[dense], 1), trainer_idle(&b, 1));
            trainer_free(&a[dense]);
        }
        trainer_free(&b);
    }
}

static void cpu_against_ref(void **state) {
    (void)state;
    settings_against_ref("cpu");
}

/* --- features that are silent for some steps: as if Adam had been at every weight in every step ----------------------- */

enum { WD = 6, WF = 50, WB = 3, WSTEPS = 40 };

struct eager { /* Adam as published (Kingma and Ba 2015, Algorithm 1) with beta1 = 0, in double */
    double p[WF * WD], v[WF * WD];
};

/* unit: the decoder, whose gradient loses its part along the row.   rests [WF]: rows that are left out, or NULL */
static void eager_step(struct eager *a, const double *g, int t, double lr, bool unit, const bool *rests) {
    for (size_t f = 0; f < WF; f++) {
        if (rests && rests[f]) continue;
        double norm2 = 0, along = 0, *p = a->p + f * WD, *v = a->v + f * WD;
        for (size_t d = 0; d < WD && unit; d++) along += g[f * WD + d] * p[d];
        for (size_t d = 0; d < WD; d++) {
            double gd = g[f * WD + d] - (unit ? along * p[d] : 0);
            v[d] = 0.9 * v[d] + (1 - 0.9) * gd * gd;
            p[d] -= lr * gd / (sqrt(v[d] / (1 - pow(0.9, t))) + 1e-8);
            norm2 += p[d] * p[d];
        }
        for (size_t d = 0; d < WD && unit; d++) p[d] /= sqrt(norm2);
    }
}

static double eager_far(const struct eager *a, const float *p) {
    double d = 0;
    for (size_t i = 0; i < WF * WD; i++) d = fmax(d, fabs(a->p[i] - (double)p[i]));
    return d;
}

/* The gradients that a dense step leaves, and those of the penalty in place of W_enc's where the feature is dead.
 *   idle [WF] before the step; rests[0] [WF] has no gradient of W_enc, rests[1] none of W_dec
 * Returns how many were dead. */
static size_t eager_gradients(const struct trainer *tr, const uint32_t *idle, double *enc, double *dec,
                              bool rests[2][WF]) {
    size_t n = 0;
    for (size_t f = 0; f < WF; f++) {
        bool fired = !tr->steps_idle[f], dead = tr->c.pre_act_loss > 0 && !fired && idle[f] >= tr->c.dead_window;
        rests[0][f] = !fired && !dead, rests[1][f] = !fired;
        for (size_t d = 0; d < WD; d++) {
            double mean = 0;
            for (size_t b = 0; b < WB; b++) mean += (double)tr->xc[b * WD + d] / WB;
            enc[f * WD + d] = dead ? -(double)tr->c.pre_act_loss * mean : (double)tr->g.W_enc[f * WD + d];
            dec[f * WD + d] = (double)tr->g.W_dec[f * WD + d];
        }
        n += dead;
    }
    return n;
}

/* The dense path leaves the gradients of a step, which the eager run repeats. */
static void silent_run(const char *backend, bool lazy, float pre_act) {
    const double tol = 5e-6; /* weights of size 1, each step off by a rounding or two: 40 * 2 * 6e-8 */
    struct err e;
    const struct sae_kernels *table;
    if (sae_kernels_open(backend, &table, &e)) fail_msg("%s", e.text);
    struct sae_kernels k = *table;
    k.sparse_share = 0;
    struct trainer_config c = {.arch = SAE_JUMPRELU,
                               .D = WD,
                               .F = WF,
                               .B = WB,
                               .parameter[ACTIVATION_EPSILON] = 0.1f,
                               .beta2 = 0.9,
                               .adam_eps = 1e-8,
                               .seed = 6,
                               .parameter[ACTIVATION_THETA_INIT] = 0.6f,
                               .lazy = lazy,
                               .pre_act_loss = pre_act,
                               .dead_window = 3};
    static struct eager enc, dec;
    static double g_enc[WF * WD], g_dec[WF * WD];
    bool rests[2][WF];
    struct trainer tr;
    size_t woken = 0, pulled = 0;
    if (trainer_init(&tr, &c, &k, &e)) fail_msg("%s", e.text);
    memset(enc.v, 0, sizeof enc.v), memset(dec.v, 0, sizeof dec.v);
    for (size_t i = 0; i < WF * WD; i++) enc.p[i] = (double)tr.p.W_enc[i], dec.p[i] = (double)tr.p.W_dec[i];
    for (int t = 0; t < WSTEPS; t++) {
        struct trainer_report r;
        float x[WB * WD];
        uint32_t idle[WF];
        for (size_t i = 0; i < WB * WD; i++) x[i] = (float)(0.4 * rng_normal(17, (uint64_t)t, i));
        memcpy(idle, tr.steps_idle, sizeof idle);
        tr.last_entries = SIZE_MAX;
        if (trainer_step(&tr, x, NULL, 1e-2, 1e-3, &r, &e)) fail_msg("%s", e.text);
        pulled += eager_gradients(&tr, idle, g_enc, g_dec, rests);
        eager_step(&enc, g_enc, t + 1, 1e-2, false, lazy ? rests[0] : NULL);
        eager_step(&dec, g_dec, t + 1, 1e-2, true, lazy ? rests[1] : NULL);
        for (size_t f = 0; f < WF; f++) woken += idle[f] > 3 && !tr.steps_idle[f];
    }
    double d = fmax(eager_far(&enc, tr.p.W_enc), eager_far(&dec, tr.p.W_dec));
    print_message("%s%s: %zu times a feature woke, %zu times one was pulled; weights within %.1e\n", backend,
                  lazy ? ", lazy" : "", woken, pulled, d);
    assert_true(woken > 50 && (pulled > 50) == (pre_act > 0));
    if (!(d <= tol)) fail_msg("%s differs from Adam at every step by %g", backend, d);
    trainer_free(&tr);
}

static void silent_runs(const char *backend) {
    for (int lazy = 0; lazy < 2; lazy++) silent_run(backend, lazy, 0), silent_run(backend, lazy, 4e-3f);
}

static void silent_features_wait(void **state) {
    (void)state;
    silent_runs("ref");
    silent_runs("cpu");
}

static void need(const char *backend);

static void cuda_silent_features_wait(void **state) {
    (void)state;
    need("cuda-f32");
    silent_runs("cuda-f32");
}

/* --- the GPU, where there is one; in test_step_emulated, its kernels on the CPU ------------------------------------- */

static void need(const char *backend) {
    const struct sae_kernels *k;
    struct err e;
    if (!sae_kernels_open(backend, &k, &e)) return;
    print_message("SKIP: %s\n", e.text);
    skip();
}

static void cuda_pytorch(void **state) {
    (void)state;
    need("cuda-f32");
    pytorch_run(FIXTURES "jumprelu.safetensors", SAE_JUMPRELU, "cuda-f32", 1);
    pytorch_run(FIXTURES "jumprelu.safetensors", SAE_JUMPRELU, "cuda-f32", 0);
    pytorch_run(FIXTURES "relu.safetensors", SAE_RELU, "cuda-f32", 1);
    pytorch_run(FIXTURES "relu.safetensors", SAE_RELU, "cuda-f32", 0);
}

static void cuda_pytorch_dead_features(void **state) {
    (void)state;
    need("cuda-f32");
    pytorch_run(FIXTURES "pre_act.safetensors", SAE_JUMPRELU, "cuda-f32", 1);
    pytorch_run(FIXTURES "pre_act.safetensors", SAE_JUMPRELU, "cuda-f32", 0);
    pytorch_run(FIXTURES "lazy.safetensors", SAE_JUMPRELU, "cuda-f32", 1);
    pytorch_run(FIXTURES "lazy.safetensors", SAE_JUMPRELU, "cuda-f32", 0);
}

static void cuda_against_ref(void **state) {
    (void)state;
    need("cuda-f32");
    settings_against_ref("cuda-f32");
}

/* Products in bf16: each operand is off by 2^-9 at most, so a step's gradients by about as much of their size, and 12 steps of
 * lr 1e-3 with Adam by some of those; a wrong index would be off by the whole size. */
static void cuda_bf16_stays_near(void **state) {
    (void)state;
    need("cuda");
    const struct setting *const set[] = {&plain, &gentle, &nested};
    for (int i = 0; i < 3; i++) {
        struct trainer a, b;
        short_run(&a, 2, 1, "cuda", set[i]);
        short_run(&b, 2, 1, "cpu", set[i]);
        double d = fmax(far(a.p.W_enc, b.p.W_enc, 33 * 300), far(a.p.W_dec, b.p.W_dec, 33 * 300));
        if (!(d <= 0.02)) fail_msg("cuda and cpu differ by %g", d);
        trainer_free(&a), trainer_free(&b);
    }
}

static void cuda_same_bytes(void **state) {
    (void)state;
    need("cuda");
    for (int i = 0; i < 4; i++) {
        const struct setting *s = i < 2 ? &plain : &settings[1];
        struct trainer a, b;
        short_run(&a, 1, i % 2, "cuda", s);
        short_run(&b, 3, i % 2, "cuda", s);
        assert_memory_equal(a.state.base, b.state.base, a.state.used_bytes);
        trainer_free(&a), trainer_free(&b);
    }
}

/* A trained SAE's encoder: the same features as the reference, also when the room for them has to grow. */
static void cuda_encodes_as_ref(void **state) {
    (void)state;
    need("cuda-f32");
    enum { B = 37, D = 19, F = 700 };
    struct encoder a, b;
    struct sae s;
    struct err e;
    if (sae_init(&s, SAE_JUMPRELU, D, F, &e)) fail_msg("%s", e.text);
    for (size_t i = 0; i < F * D; i++) s.W_enc[i] = (float)rng_normal(5, 0, i);
    for (size_t f = 0; f < F; f++) s.theta[f] = f % 3 ? -100 : 1, s.b_enc[f] = (float)rng_normal(5, 1, f);
    if (encoder_open(&a, &s, "cuda-f32", B, &e) || encoder_open(&b, &s, "ref", B, &e)) fail_msg("%s", e.text);
    for (size_t n = B; n >= 1; n /= 3) {
        for (size_t i = 0; i < n * D; i++) a.x[i] = b.x[i] = (float)rng_normal(5, 2 + n, i);
        if (encoder_run(&a, n, &e) || encoder_run(&b, n, &e)) fail_msg("%s", e.text);
        assert_int_equal(a.active.n, b.active.n);
        assert_memory_equal(a.active.row, b.active.row, (n + 1) * sizeof *a.active.row);
        assert_memory_equal(a.active.feat, b.active.feat, a.active.n * sizeof *a.active.feat);
        assert_true(far(a.active.pre, b.active.pre, a.active.n) <= 1e-5);
    }
    encoder_close(&a), encoder_close(&b);
    sae_free(&s);
}

/* bf16 rows and a scale are what their float32 values would be. */
static void cuda_converts_batches(void **state) {
    (void)state;
    need("cuda-f32");
    enum { B = 17, D = 9 };
    const struct sae_kernels *k;
    struct trainer_config c = {.arch = SAE_RELU, .D = D, .F = 40, .B = B, .beta2 = 0.999, .adam_eps = 1e-8, .seed = 3};
    struct trainer_report full, half;
    struct trainer tr;
    struct err e;
    float x[B * D];
    uint16_t h[B * D];
    for (size_t i = 0; i < B * D; i++) {
        uint32_t u;
        float v = (float)rng_normal(2, 2, i);
        memcpy(&u, &v, 4);
        h[i] = (uint16_t)(u >> 16), u = (uint32_t)h[i] << 16;
        memcpy(&x[i], &u, 4), x[i] *= 0.25f;
    }
    for (int raw = 0; raw < 2; raw++) {
        if (sae_kernels_open("cuda-f32", &k, &e) || trainer_init(&tr, &c, k, &e)) fail_msg("%s", e.text);
        if (raw) trainer_rows(&tr, true, 0.25f);
        const void *batch = raw ? (const void *)h : x;
        if (trainer_step(&tr, batch, batch, 1e-3, 1e-3, raw ? &half : &full, &e)) fail_msg("%s", e.text);
        if (trainer_step(&tr, batch, NULL, 1e-3, 1e-3, raw ? &half : &full, &e))
            fail_msg("%s", e.text); /* the copy sent ahead */
        trainer_free(&tr);
    }
    assert_true(full.loss_reconstruction == half.loss_reconstruction && full.l0 == half.l0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pytorch_jumprelu),         cmocka_unit_test(pytorch_relu),
        cmocka_unit_test(pytorch_dead_features),    cmocka_unit_test(silent_features_wait),
        cmocka_unit_test(finite_differences),       cmocka_unit_test(same_bytes),
        cmocka_unit_test(cpu_against_ref),          cmocka_unit_test(cuda_pytorch),
        cmocka_unit_test(cuda_against_ref),         cmocka_unit_test(cuda_pytorch_dead_features),
        cmocka_unit_test(cuda_bf16_stays_near),     cmocka_unit_test(cuda_same_bytes),
        cmocka_unit_test(cuda_converts_batches),    cmocka_unit_test(cuda_encodes_as_ref),
        cmocka_unit_test(cuda_silent_features_wait)};
    case_emulated(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
