/* bench_step.c - one SAE training step at the papers' small batches, then the sparse path against the dense one by activity; beside this
 * machine's sgemm. Prints: operation, size, ms (median and, of small batches, the fastest), rows/s or GFLOP/s. The PyTorch yardstick
 * for the same steps is tests/bench/step_torch.py. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/rng.h"
#include "lib/sae/trainer.h"

enum { D = 256, F = 4096, B = 4096, RUNS = 9, SMALL_RUNS = 60 };

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v, int n) {
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

static float *normals(uint64_t stream, size_t n, double scale) {
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (float)(scale * rng_normal(1, stream, i));
    return x;
}

static double sgemm_peak(void) {
    enum { N = 2048 };
    double ms[RUNS];
    float *a = normals(1, N * N, 1), *b = normals(2, N * N, 1), *c = calloc(N * N, sizeof *c);
    for (int r = -1; r < RUNS; r++) {
        double t = clock_s();
        gemm_cpu(false, true, N, N, N, 1, a, N, b, N, 0, c, N);
        if (r >= 0) ms[r] = 1e3 * (clock_s() - t);
    }
    free(a), free(b), free(c);
    return 2e-6 * N * N * N / median(ms, RUNS);
}

static double copy_peak(void) {
    size_t n = (size_t)64 << 20;
    double ms[RUNS];
    float *a = calloc(n, 1), *b = calloc(n, 1);
    for (int r = -1; r < RUNS; r++) {
        double t = clock_s();
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < n / 4; i++) b[i] = a[i] + 1;
        if (r >= 0) ms[r] = 1e3 * (clock_s() - t);
    }
    free(a), free(b);
    return 2e-6 * (double)n / median(ms, RUNS);
}

static void row(const char *op, const char *size, double ms, double gflop, double gbyte, double peak_f, double peak_b) {
    printf("%-28s %-26s %9.2f", op, size, ms);
    if (gflop > 0) printf(" %9.1f GFLOP/s %5.0f %%", 1e3 * gflop / ms, 1e5 * gflop / ms / peak_f);
    if (gbyte > 0) printf(" %9.1f GB/s    %5.0f %%", 1e3 * gbyte / ms, 1e5 * gbyte / ms / peak_b);
    puts("");
}

/* The threshold above which a share p of N(0, 1/d) lies, by bisection on erfc. */
static double threshold(double p, double d) {
    double lo = -4, hi = 6;
    for (int i = 0; i < 60; i++) {
        double m = 0.5 * (lo + hi);
        if (0.5 * erfc(m / sqrt(2)) > p)
            lo = m;
        else
            hi = m;
    }
    return lo / sqrt(d);
}

/* Steps that change the weights, a little; four batches by turns. */
static void small_batch(enum sae_arch arch, size_t d, size_t f, size_t b, double l0) {
    enum { BATCHES = 4 };
    struct err e;
    struct sae_kernels k = *sae_kernels_get("cpu");
    k.sparse_share = 1;
    struct trainer_config c = {.arch = arch,
                               .D = d,
                               .F = f,
                               .B = b,
                               .parameter[ACTIVATION_EPSILON] = 0.02f,
                               .beta2 = 0.999,
                               .adam_eps = 1e-8,
                               .seed = 3,
                               .parameter[ACTIVATION_THETA_INIT] = (float)threshold(l0 / (double)f, (double)d)};
    struct trainer tr;
    if (trainer_init(&tr, &c, &k, &e)) {
        fprintf(stderr, "%s\n", e.text);
        exit(1);
    }
    float *x = normals(8, BATCHES * b * d, 1 / sqrt((double)d));
    for (size_t i = 0; arch == SAE_RELU && i < f; i++) tr.p.b_enc[i] = -c.parameter[ACTIVATION_THETA_INIT];
    double ms[SMALL_RUNS];
    struct trainer_report r = {0};
    tr.last_entries = 0;
    for (int i = -4; i < SMALL_RUNS; i++) {
        double t = clock_s();
        if (trainer_step(&tr, x + (size_t)(i + 4) % BATCHES * b * d, NULL, 1e-6, 1e-3, &r, &e)) exit(1);
        if (i >= 0) ms[i] = 1e3 * (clock_s() - t);
    }
    char op[64], size[64];
    double mid = median(ms, SMALL_RUNS);
    snprintf(op, sizeof op, "step %s, L0 %.0f", arch == SAE_RELU ? "ReLU" : "JumpReLU", r.l0);
    snprintf(size, sizeof size, "D %zu F %zu B %zu", d, f, b);
    printf("%-28s %-26s %9.2f %9.0f rows/s (fastest %.2f ms, %.0f rows/s)\n", op, size, mid, 1e3 * (double)b / mid,
           ms[0], 1e3 * (double)b / ms[0]);
    trainer_free(&tr);
    free(x);
}

/* Time steps with thresholds set so that about `l0` features are active; lr 0 keeps it there. */
static double time_step(double l0, double share, double *got_l0, double *entries, const float *x) {
    struct err e;
    struct sae_kernels k = *sae_kernels_get("cpu");
    k.sparse_share = share;
    struct trainer_config c = {.arch = SAE_JUMPRELU,
                               .D = D,
                               .F = F,
                               .B = B,
                               .parameter[ACTIVATION_EPSILON] = 0.02f,
                               .beta2 = 0.999,
                               .adam_eps = 1e-8,
                               .seed = 3,
                               .parameter[ACTIVATION_THETA_INIT] = (float)threshold(l0 / F, D)};
    struct trainer tr;
    if (trainer_init(&tr, &c, &k, &e)) {
        fprintf(stderr, "%s\n", e.text);
        exit(1);
    }
    double ms[RUNS];
    struct trainer_report r = {0};
    for (int i = -2; i < RUNS; i++) {
        if (share >= 1 && i == -2) tr.last_entries = 0;
        double t = clock_s();
        if (trainer_step(&tr, x, NULL, 0, 1e-3, &r, &e)) exit(1);
        if (i >= 0) ms[i] = 1e3 * (clock_s() - t);
    }
    *got_l0 = r.l0, *entries = (double)tr.last_entries;
    trainer_free(&tr);
    return median(ms, RUNS);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    double peak_f = sgemm_peak(), peak_b = copy_peak(), l0, n;
    float *x = normals(7, (size_t)B * D, 1.0 / 16);
    char size[64];
    printf("machine: sgemm %.0f GFLOP/s, read and write %.1f GB/s\n", peak_f, peak_b);
    printf("%-28s %-26s %9s %9s %19s\n", "operation", "size", "ms", "rate", "share of peak");
    small_batch(SAE_JUMPRELU, 256, 4096, 256, 60);
    small_batch(SAE_JUMPRELU, 256, 4096, 512, 60);
    small_batch(SAE_RELU, 1024, 8192, 640, 60);
    snprintf(size, sizeof size, "D %d F %d B %d", D, F, B);
    double gemm = 2e-9 * B * (double)D * F;
    const double at[] = {16, 50, 100, 200, 400, 800, 1600};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        char op[64];
        double sparse = time_step(at[i], 1, &l0, &n, x);
        snprintf(op, sizeof op, "step sparse, L0 %.0f", l0);
        row(op, size, sparse, gemm + 8e-9 * n * D, 0, peak_f, peak_b);
        double dense = time_step(at[i], 0, &l0, &n, x);
        snprintf(op, sizeof op, "step dense,  L0 %.0f (%.2f)", l0, n / B / F);
        row(op, size, dense, 5 * gemm, 0, peak_f, peak_b);
    }
    free(x);
    return 0;
}
