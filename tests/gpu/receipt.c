/* receipt.c - what a GPU says about the CUDA back end: every operation against its definition, gradients, 200 steps beside the CPU,
 * equal bytes, resume, then times.   receipt [--quick] JSON COMMIT
 *
 * Needs gcc, make and nvcc only: no test framework, no JSON library. Exit 0 when all checks pass. tests/cuda/ runs it (--quick) without
 * a GPU, so that the receipt itself is tested. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/sae/sae_cuda.h"
#include "lib/base/clock.h"
#include "lib/base/rng.h"
#include "lib/sae/trainer.h"
#include "tests/encode_cases.h"
#include "tests/gpu/receipt.h"
#include "tests/sae_kernel_cases.h"

enum { MOST = 200, TIMES = 15 };

struct line {
    char name[64], size[48], note[160];
    double value, limit; /* a check: error and tolerance; a time: milliseconds and goal (0: none) */
};
static struct line check[MOST], timing[MOST];
static size_t n_checks, n_timings, n_failed;

void stop(const struct err *e) {
    fprintf(stderr, "receipt: %s\n%s%s\n", e->text, e->hint[0] ? "hint: " : "", e->hint);
    exit(e->code == ERR_NO_DEVICE ? 77 : 1);
}

void checked(const char *name, const char *size, double value, double limit) {
    struct line *l = &check[n_checks++];
    CHECK(n_checks <= MOST);
    snprintf(l->name, sizeof l->name, "%s", name);
    snprintf(l->size, sizeof l->size, "%s", size);
    l->value = value, l->limit = limit;
    bool ok = value <= limit;
    n_failed += !ok;
    printf("%-4s %-44s %-28s %10.2e  limit %.1e\n", ok ? "ok" : "FAIL", name, size, value, limit);
    fflush(stdout);
}

void timed(const char *name, const char *size, double ms, double goal, const char *fmt, ...) {
    struct line *l = &timing[n_timings++];
    va_list ap;
    CHECK(n_timings <= MOST);
    snprintf(l->name, sizeof l->name, "%s", name);
    snprintf(l->size, sizeof l->size, "%s", size);
    l->value = ms, l->limit = goal;
    va_start(ap, fmt);
    vsnprintf(l->note, sizeof l->note, fmt, ap);
    va_end(ap);
    printf("%-36s %-30s %9.3f ms", name, size, ms);
    if (goal > 0) printf("  goal %.2f", goal);
    printf("  %s\n", l->note);
    fflush(stdout);
}

static const struct sae_kernels *table(const char *name) {
    const struct sae_kernels *k;
    struct err e;
    if (sae_kernels_open(name, &k, &e)) stop(&e);
    return k;
}

double far(const float *a, const float *b, size_t n) {
    double d = 0, m = 0;
    for (size_t i = 0; i < n; i++) {
        d += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        m += (double)b[i] * (double)b[i];
    }
    return isfinite(d) ? sqrt(d / (m > 0 ? m : 1)) : INFINITY;
}

float *normals(uint64_t seed, size_t n, double sd) {
    float *x = malloc(n * sizeof *x);
    CHECK(x);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) x[i] = (float)(sd * rng_normal(seed, 0, i));
    return x;
}

/* ---- trainers ---- */

/* The threshold above which a share of N(0, 1/D) lies. */
static double quantile(double share, size_t D) {
    double lo = -4, hi = 8;
    for (int i = 0; i < 60; i++) {
        double m = 0.5 * (lo + hi);
        if (0.5 * erfc(m / sqrt(2)) > share)
            lo = m;
        else
            hi = m;
    }
    return lo / sqrt((double)D);
}

struct shape {
    size_t D, F, B;
    double l0, epsilon;
    enum sae_arch arch;
    double beta1;
    double pre_act; /* of the penalty on features silent in one batch, with lazy Adam; 0: neither */
};

static struct trainer *start(const struct sae_kernels *base, struct sae_kernels *k, const struct shape *s, bool dense) {
    struct trainer *tr = malloc(sizeof *tr);
    struct err e;
    CHECK(tr);
    *k = *base;
    k->sparse_share = dense ? 0 : fmax(0.05, fmin(1, 8 * s->l0 / (double)s->F));
    const struct trainer_config c = {.arch = s->arch,
                                     .D = s->D,
                                     .F = s->F,
                                     .B = s->B,
                                     .parameter[ACTIVATION_EPSILON] = (float)s->epsilon,
                                     .beta1 = s->beta1,
                                     .beta2 = 0.999,
                                     .adam_eps = 1e-8,
                                     .seed = 3,
                                     .parameter[ACTIVATION_THETA_INIT] = (float)quantile(s->l0 / (double)s->F, s->D),
                                     .lazy = s->pre_act > 0,
                                     .pre_act_loss = (float)s->pre_act};
    if (trainer_init(tr, &c, k, &e)) stop(&e);
    if (!dense) tr->last_entries = 0;
    return tr;
}

static void end(struct trainer *tr) {
    trainer_free(tr);
    free(tr);
}

static struct trainer_report step(struct trainer *tr, const void *x, const void *next, double lr) {
    struct trainer_report r;
    struct err e;
    if (trainer_step(tr, x, next, lr, 1e-3, &r, &e)) stop(&e);
    return r;
}

/* ---- checks ---- */

/* Every operation of a step, by what one step leaves behind: entries, gradients, moments, parameters, sums. */
static void one_step(const char *backend, const char *against, const struct shape *s, bool dense, double limit) {
    struct sae_kernels ka, kb;
    char name[64], size[48];
    struct trainer *a = start(table(backend), &ka, s, dense), *b = start(table(against), &kb, s, dense);
    float *x = normals(11, s->B * s->D, 1 / sqrt((double)s->D));
    for (size_t d = 0; d < s->D; d++) a->p.b_dec[d] = b->p.b_dec[d] = 0.01f * (float)rng_normal(12, 0, d);
    struct trainer_report ra = step(a, x, NULL, 1e-3), rb = step(b, x, NULL, 1e-3);
    snprintf(size, sizeof size, "D %zu F %zu B %zu L0 %.0f", s->D, s->F, s->B, rb.l0);
    const size_t D = s->D, F = s->F;
    double worst = fmax(fabs(ra.loss_reconstruction / rb.loss_reconstruction - 1), fabs(ra.l0 / rb.l0 - 1));
    worst = fmax(worst, fmax(far(a->xc, b->xc, s->B * D), far(a->G, b->G, s->B * D)));
    if (dense && !s->pre_act)
        worst = fmax(worst, fmax(far(a->g.W_enc, b->g.W_enc, F * D), far(a->g.b_enc, b->g.b_enc, F)));
    /* Second moments are squares of gradients: twice the relative error. The first step's weights move by lr times the sign of the
     * gradient, so those are compared through the moments, and as a whole. */
    double moments = fmax(far(a->v.W_enc, b->v.W_enc, F * D), far(a->v.W_dec, b->v.W_dec, F * D));
    moments = fmax(moments, fmax(far(a->v.b_enc, b->v.b_enc, F), far(a->v.b_dec, b->v.b_dec, D)));
    snprintf(name, sizeof name, "%s, %s, %s: batch, losses, L0", backend, s->arch == SAE_RELU ? "ReLU" : "JumpReLU",
             dense ? "dense" : "sparse");
    checked(name, size, worst, limit);
    snprintf(name, sizeof name, "%s, %s, %s: second moments", backend, s->arch == SAE_RELU ? "ReLU" : "JumpReLU",
             dense ? "dense" : "sparse");
    checked(name, size, moments, 4 * limit);
    size_t moved = 0;
    for (size_t f = 0; f < F; f++) moved += a->steps_idle[f] != b->steps_idle[f];
    snprintf(name, sizeof name, "%s: features that fired", backend);
    checked(name, size, (double)moved, limit > 1e-3 ? 0.02 * (double)F : 1 + 1e-4 * (double)F);
    end(a), end(b);
    free(x);
}

/* Reconstructions and the sums of evaluation, entries drawn by chance. */
static void measures(const char *backend, size_t D, size_t F, size_t B, size_t per_row) {
    enum { GROUPS = 3 };
    const struct sae_kernels *k = table(backend), *cpu = table("cpu");
    const size_t n = B * per_row;
    struct arena m, host;
    struct active a[2];
    float *x[2], *W[2], *b_dec[2], *y[2];
    double *mean[2], *own[2], *e_mean[2], worst = 0;
    int32_t *group[2];
    struct measure_row *row[2];
    struct err e;
    char name[64], size[48];
    const size_t need = active_need(B, n) + 2 * arena_need(B * D, 4) + arena_need(F * D, 4) + arena_need(D, 4) +
                        2 * arena_need(D, 8) + arena_need(GROUPS * D, 8) + arena_need(B, 4) +
                        arena_need(B, sizeof **row);
    if (arena_init_in(&m, k->memory, need, "receipt", &e) || arena_init(&host, need, "receipt", &e)) stop(&e);
    for (int i = 0; i < 2; i++) {
        struct arena *from = i ? &host : &m;
        active_take(&a[i], B, n, from);
        x[i] = arena_take(from, B * D, 4), y[i] = arena_take(from, B * D, 4), W[i] = arena_take(from, F * D, 4);
        b_dec[i] = arena_take(from, D, 4), mean[i] = arena_take(from, D, 8), e_mean[i] = arena_take(from, D, 8);
        own[i] = arena_take(from, GROUPS * D, 8), group[i] = arena_take(from, B, 4),
        row[i] = arena_take(from, B, sizeof **row);
        for (size_t j = 0; j < B * D; j++) x[i][j] = (float)rng_normal(61, 0, j);
        for (size_t j = 0; j < F * D; j++) W[i][j] = (float)rng_normal(62, 0, j) / 8;
        for (size_t j = 0; j < D; j++) b_dec[i][j] = (float)rng_normal(63, 0, j), mean[i][j] = rng_normal(64, 0, j);
        for (size_t j = 0; j < GROUPS * D; j++) own[i][j] = rng_normal(65, 0, j);
        for (size_t b = 0; b < B; b++)
            group[i][b] = (int32_t)(b % GROUPS), a[i].row[b + 1] = (b + 1) * per_row - b % per_row * (b + 1 < B);
        for (size_t j = 0; j < n; j++)
            a[i].feat[j] = (uint32_t)(rng_uniform(66, 0, j) * (double)F), a[i].pre[j] = (float)rng_uniform(67, 0, j);
    }
    const struct sae_kernels *by[2] = {k, cpu};
    for (int i = 0; i < 2; i++) {
        by[i]->measure(B, D, x[i], &a[i], W[i], b_dec[i], mean[i], own[i], group[i], y[i], e_mean[i], row[i]);
        if (by[i]->finish(&e)) stop(&e);
    }
    for (size_t b = 0; b < B; b++) {
        const double got[] = {row[0][b].e2, row[0][b].e2_centred, row[0][b].x2,
                              row[0][b].y2, row[0][b].dev2,       row[0][b].group_dev2};
        const double want[] = {row[1][b].e2, row[1][b].e2_centred, row[1][b].x2,
                               row[1][b].y2, row[1][b].dev2,       row[1][b].group_dev2};
        for (int j = 0; j < 6; j++) worst = fmax(worst, fabs(got[j] / want[j] - 1));
        worst = fmax(worst, fabs(row[0][b].xy - row[1][b].xy) / (row[1][b].x2 + row[1][b].y2));
    }
    for (size_t d = 0; d < D; d++) worst = fmax(worst, fabs(e_mean[0][d] - e_mean[1][d]));
    snprintf(name, sizeof name, "%s: evaluation's sums", backend);
    snprintf(size, sizeof size, "D %zu F %zu B %zu", D, F, B);
    checked(name, size, fmax(worst, far(y[0], y[1], B * D)), 1e-5);
    arena_free(&m), arena_free(&host);
}

/* d loss / d parameter by central differences of the back end's own loss, for ReLU with lambda 0 where nothing jumps. */
static void gradients(const char *backend) {
    const struct shape s = {24, 96, 32, 30, 0.1, SAE_RELU, 0, 0};
    struct sae_kernels k;
    struct trainer *tr = start(table(backend), &k, &s, true);
    struct err e;
    float *x = normals(21, s.B * s.D, 0.3);
    struct trainer_report r;
    double worst = 0, size = 0;
    const float h = 2e-3f;
    if (trainer_step(tr, x, NULL, 0, 0, &r, &e)) stop(&e);
    float g[40], *at[40];
    for (size_t i = 0; i < 40; i++) {
        size_t p = (size_t)(rng_uniform(5, 1, i) * (double)(s.F * s.D));
        at[i] = i < 20 ? tr->p.W_enc + p : tr->p.b_enc + p % s.F;
        g[i] = i < 20 ? tr->g.W_enc[p] : tr->g.b_enc[p % s.F];
    }
    for (size_t i = 0; i < 40; i++) {
        double loss[2];
        const float was = *at[i];
        for (int up = 0; up < 2; up++) {
            *at[i] = up ? was + h : was - h;
            if (trainer_step(tr, x, NULL, 0, 0, &r, &e)) stop(&e);
            loss[up] = r.loss_reconstruction;
        }
        *at[i] = was;
        worst = fmax(worst, fabs((loss[1] - loss[0]) / (2 * (double)h) - (double)g[i])),
        size = fmax(size, fabs((double)g[i]));
    }
    checked("gradients: central differences", "D 24 F 96 B 32", worst / size,
            0.03); /* a pre-activation may cross 0 within h */
    end(tr);
    free(x);
}

static void run_steps(struct trainer *tr, const float *x, size_t batches, size_t from, size_t to, double *losses) {
    const size_t n = tr->c.B * tr->c.D;
    for (size_t t = from; t < to; t++) {
        struct trainer_report r = step(tr, x + t % batches * n, t + 1 < to ? x + (t + 1) % batches * n : NULL, 1e-3);
        if (losses) losses[t] = r.loss_reconstruction;
    }
}

static void training(const struct shape *s, size_t steps, const char *backend, double limit) {
    enum { BATCHES = 8 };
    struct sae_kernels ka, kb;
    char name[64], size[48];
    float *x = normals(31, BATCHES * s->B * s->D, 1 / sqrt((double)s->D));
    double *la = calloc(2 * steps, sizeof *la), *lb = la + steps, worst = 0;
    struct trainer *a = start(table(backend), &ka, s, false), *b = start(table("cpu"), &kb, s, false);
    run_steps(a, x, BATCHES, 0, steps, la), run_steps(b, x, BATCHES, 0, steps, lb);
    for (size_t t = 0; t < steps; t++) worst = fmax(worst, fabs(la[t] / lb[t] - 1));
    snprintf(size, sizeof size, "D %zu F %zu B %zu", s->D, s->F, s->B);
    snprintf(name, sizeof name, "%s: loss of %zu steps beside the CPU's", backend, steps);
    checked(name, size, worst, limit);
    end(b);

    struct trainer *c = start(table(backend), &ka, s, false); /* a second run, stopped half way and resumed */
    run_steps(c, x, BATCHES, 0, steps / 2, NULL);
    struct trainer *d = start(table(backend), &ka, s, false);
    memcpy(d->state.base, c->state.base, c->state.used_bytes);
    d->t = c->t, d->last_entries = c->last_entries;
    end(c);
    run_steps(d, x, BATCHES, steps / 2, steps, NULL);
    snprintf(name, sizeof name, "%s: bytes of two runs, one resumed", backend);
    checked(name, size, memcmp(a->state.base, d->state.base, a->state.used_bytes) ? 1 : 0, 0);
    end(a), end(d);
    free(x), free(la);
}

/* ---- times ---- */

static int rising(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median_ms(void (*run)(void *), void *ctx, int (*finish)(struct err *)) {
    double ms[TIMES];
    struct err e;
    for (int i = -2; i < TIMES; i++) {
        double t = clock_s();
        run(ctx);
        if (finish(&e)) stop(&e);
        if (i >= 0) ms[i] = 1e3 * (clock_s() - t);
    }
    qsort(ms, TIMES, sizeof *ms, rising);
    return ms[TIMES / 2];
}

/* One part of a step, run alone on what a whole step has left. */
struct part {
    struct trainer *tr;
    const float *x;
    int which;
};
enum { ENCODE, RESIDUAL, SORT, ADAM, BIAS, SEND, SPARSE_STEP };

static void run_part(void *ctx) {
    struct part *p = ctx;
    struct trainer *tr = p->tr;
    const struct trainer_config *c = &tr->c;
    const struct sae_kernels *k = tr->k;
    const struct activation act = trainer_activation(tr, 1e-3);
    const struct residual residual = trainer_residual(tr, tr->xc, &act);
    const struct adam_entries entries = trainer_entries(tr);
    const struct adam_state adam = trainer_adam(tr, 0);
    switch (p->which) {
    case ENCODE:
        k->encode(c->B, c->D, c->F, tr->xc, tr->p.W_enc, tr->p.b_enc, tr->low, &tr->active);
        break;
    case RESIDUAL:
        k->residual(&residual);
        break;
    case SORT:
        k->sort(&tr->by, &tr->active);
        break;
    case ADAM:
        k->adam_sparse(&adam, &entries);
        break;
    case BIAS:
        k->b_dec(c->B, tr->G, &adam);
        break;
    case SEND:
        k->upload(0, p->x, false, 1, c->B * c->D);
        k->arrived(0);
        break;
    default:
        step(tr, p->x, p->x, 0);
    }
}

static double part_ms(struct part *p, int which) {
    p->which = which;
    return median_ms(run_part, p, p->tr->k->finish);
}

static double rate_of_product(const struct shape *s) {
    const struct sae_kernels *k = table("cuda");
    float *a = k->memory->take(s->B * s->D * 4), *b = k->memory->take(s->F * s->D * 4),
          *c = k->memory->take(s->B * s->F * 4);
    double best = INFINITY;
    struct err e;
    CHECK(a && b && c);
    float *x = normals(1, s->F * s->D, 0.02);
    memcpy(b, x, s->F * s->D * 4), memcpy(a, x, s->B * s->D * 4);
    for (int i = 0; i < 5; i++) {
        double t = clock_s();
        k->gemm(false, true, s->B, s->F, s->D, 1, a, s->D, b, s->D, 0, c, s->F);
        if (k->finish(&e)) stop(&e);
        best = fmin(best, clock_s() - t);
    }
    k->memory->give(a), k->memory->give(b), k->memory->give(c);
    free(x);
    return best;
}

static double copy_rate(void) {
    const struct sae_kernels *k = table("cuda");
    const size_t bytes = (size_t)1 << 28;
    char *a = k->memory->take(bytes), *b = k->memory->take(bytes);
    double best = INFINITY;
    struct err e;
    CHECK(a && b);
    for (int i = 0; i < 5; i++) {
        double t = clock_s();
        cuda_copy(b, a, bytes);
        if (k->finish(&e)) stop(&e);
        best = fmin(best, clock_s() - t);
    }
    k->memory->give(a), k->memory->give(b);
    return 2e-9 * (double)bytes / best;
}

static void times(const struct shape *s, double goal_ms) {
    struct sae_kernels k;
    char size[48];
    snprintf(size, sizeof size, "D %zu F %zu B %zu", s->D, s->F, s->B);
    double product = rate_of_product(s), D = (double)s->D, F = (double)s->F, B = (double)s->B;
    timed("encoder product and rounding to bf16", size, 1e3 * product, 0, "%.0f TFLOP/s", 2e-12 * B * F * D / product);
    struct trainer *tr = start(table("cuda"), &k, s, false);
    float *x = k.host->take(s->B * s->D * sizeof *x), *y = normals(41, s->B * s->D, 1 / sqrt(D));
    CHECK(x);
    memcpy(x, y, s->B * s->D * sizeof *x);
    struct part p = {.tr = tr, .x = x};
    struct trainer_report r = step(tr, x, NULL, 0);
    double whole = part_ms(&p, SPARSE_STEP), n = (double)tr->active.n;
    timed("step, sparse, batch sent while computing", size, whole, goal_ms, "L0 %.0f, %.0f rows/s", r.l0,
          1e3 * B / whole);
    double ms = part_ms(&p, ENCODE);
    timed("  encode and select", size, ms, 0, "%.0f TFLOP/s", 2e-9 * B * F * D / ms);
    ms = part_ms(&p, RESIDUAL);
    timed("  decode, residual, sampled gradient", size, ms, 0, "%.0f GB/s gathered",
          1e-6 * (4 * n * D + 12 * F * D / 2 + 16 * B * D) / ms);
    timed("  sort to feature order", size, part_ms(&p, SORT), 0, "%.0f entries", n);
    ms = part_ms(&p, ADAM);
    timed("  gradients, Adam, projection", size, ms, 0, "%.0f GB/s", 1e-6 * (4 * n * D + 36 * F * D) / ms);
    ms = part_ms(&p, SEND);
    timed("  (batch sent as float32, when nothing computes)", size, ms, 0, "%.0f GB/s, %s", 4e-6 * B * D / ms,
          ms < whole ? "hidden behind the step" : "longer than the step: the link bounds training");
    timed("  bias of the decoder", size, part_ms(&p, BIAS), 0, "%zu columns", s->D);
    k.host->give(x);
    free(y);
    end(tr);
}

/* The activity from which the dense path is the faster one. */
static void crossing(const struct shape *base) {
    double before = 0;
    char size[48];
    for (double l0 = 32; l0 <= 1024; l0 *= 2) {
        struct sae_kernels ks, kd;
        struct shape s = *base;
        s.l0 = l0;
        struct trainer *sparse = start(table("cuda"), &ks, &s, false), *dense = start(table("cuda"), &kd, &s, true);
        float *x = normals(51, s.B * s.D, 1 / sqrt((double)s.D));
        struct part a = {.tr = sparse, .x = x}, b = {.tr = dense, .x = x};
        step(sparse, x, NULL, 0), step(dense, x, NULL, 0);
        double ms_a = part_ms(&a, SPARSE_STEP), ms_b = part_ms(&b, SPARSE_STEP);
        double share = (double)sparse->active.n / ((double)s.B * (double)s.F);
        snprintf(size, sizeof size, "D %zu F %zu L0 %.0f", s.D, s.F, l0);
        timed("step, sparse", size, ms_a, 0, "%.2f %% of the entries kept; dense %.3f ms", 100 * share, ms_b);
        if (ms_a > ms_b && !before) before = share;
        end(sparse), end(dense);
        free(x);
        if (before) break;
    }
    printf("crossing: %s%.2f %% of the entries; the table in kernels/sae/sae_kernels_cuda.cu has %.2f %%\n",
           before ? "" : "above ", 100 * before, 100 * table("cuda")->sparse_share);
}

/* ---- the record ---- */

static void lines(FILE *f, const char *key, const struct line *l, size_t n, const char *value, const char *limit) {
    fprintf(f, "  \"%s\": [\n", key);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "    {\"name\": \"%s\", \"size\": \"%s\", \"%s\": %.6g, \"%s\": %.6g, \"note\": \"%s\"}%s\n",
                l[i].name, l[i].size, value, isfinite(l[i].value) ? l[i].value : 1e300, limit, l[i].limit, l[i].note,
                i + 1 < n ? "," : "");
    fprintf(f, "  ]");
}

static int record(const char *path, const char *commit, const char *device, double seconds) {
    FILE *f = fopen(path, "w");
    if (!f) {
        perror(path);
        return 1;
    }
    fprintf(f, "{\n  \"device\": \"%s\",\n  \"commit\": \"%s\",\n  \"seconds\": %.1f,\n  \"failed\": %zu,\n", device,
            commit, seconds, n_failed);
    lines(f, "checks", check, n_checks, "error", "limit");
    fprintf(f, ",\n");
    lines(f, "times", timing, n_timings, "ms", "goal_ms");
    fprintf(f, "\n}\n");
    return fclose(f) ? 1 : 0;
}

int main(int argc, char **argv) {
    const bool quick = argc > 1 && !strcmp(argv[1], "--quick");
    if (argc != 3 + quick) {
        fprintf(stderr, "receipt: want [--quick] JSON COMMIT\n");
        return 2;
    }
    double start_s = clock_s();
    char device[256];
    table("cuda");
    cuda_describe(device);
    printf("%s; commit %s\n", device, argv[2 + quick]);
    const struct shape odd = {33, 300, 57, 20, 0.1, SAE_JUMPRELU, 0, 0}, odder = {7, 41, 3, 10, 0.1, SAE_RELU, 0.9, 0};
    const struct shape long_row = {8, 2500, 9, 40, 0.1, SAE_JUMPRELU, 0, 0};
    /* A block of the counting sort gets several rows. */
    const struct shape many_rows = {33, 60, 300, 12, 0.1, SAE_JUMPRELU, 0, 0};
    /* Of the features a third are silent in a batch. */
    const struct shape rare = {33, 300, 57, 5, 0.1, SAE_JUMPRELU, 0, 4e-3};
    const struct shape real = {3584, 16384, 96, 64, 0.002, SAE_JUMPRELU, 0, 0},
                       wide = {4096, 32768, 33, 64, 0.002, SAE_JUMPRELU, 0, 0};
    encode_cases(table("cuda-f32")), encode_cases(table("cuda-tf32")), encode_cases(table("cuda"));
    sae_kernel_cases(table("cuda-f32"), !quick);
    sae_kernel_cases(table("cuda"), !quick);
    for (int dense = 0; dense < 2; dense++) {
        one_step("cuda-f32", "ref", &odd, dense, 1e-4);
        one_step("cuda-f32", "ref", &odder, dense, 1e-4);
        one_step("cuda-tf32", "ref", &odd, dense, 0.1); /* operands cut to 11 bits may cross a few thresholds too */
        one_step("cuda", "ref", &odd, dense, 0.1); /* bf16: 2^-8 an operand; thresholds that are crossed add to it */
        one_step("cuda-f32", "ref", &rare, dense, 1e-4);
        one_step("cuda", "ref", &rare, dense, 0.1);
        if (!dense) one_step("cuda-f32", "ref", &long_row, dense, 1e-4);
        if (!quick) one_step("cuda-f32", "cpu", &real, dense, 1e-3);
        if (!quick) one_step("cuda", "cpu", &wide, dense, 0.1);
    }
    measures("cuda-f32", 33, 300, 57, 20), measures("cuda", 37, 50, 130, 7);
    if (!quick) measures("cuda", 3584, 16384, 200, 64);
    lm_checks(quick);
    gradients("cuda-f32");
    const struct shape small = {256, 4096, 1024, 50, 0.02, SAE_JUMPRELU, 0, 0};
    training(quick ? &many_rows : &small, quick ? 6 : 200, "cuda-f32", 1e-2);
    training(quick ? &many_rows : &small, quick ? 6 : 200, "cuda", 5e-2);
    training(&rare, 12, "cuda", 5e-2);
    if (!quick) {
        const struct shape qwen = {3584, 16384, 4096, 64, 0.002, SAE_JUMPRELU, 0, 0},
                           llama = {4096, 32768, 4096, 64, 0.002, SAE_JUMPRELU, 0, 0};
        printf("copy on the device: %.0f GB/s, read and written\n", copy_rate());
        times(&qwen, 2.2);
        times(&llama, 5.0);
        crossing(&qwen);
        lm_times();
    }
    printf("%zu checks, %zu failed, %.0f s\n", n_checks, n_failed, clock_s() - start_s);
    return record(argv[1 + quick], argv[2 + quick], device, clock_s() - start_s) || n_failed ? 1 : 0;
}
