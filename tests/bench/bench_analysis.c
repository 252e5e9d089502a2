/* bench_analysis.c - the analysis stages at the papers' size, F = 16384: seconds, memory and quality beside target and peer.
 *
 *   bench_analysis FOLDER [ROW]   the data of analysis_data; of FOLDER/peers.tsv, if it is there (analysis_peers.py), the peers'
 *                                 seconds; of FOLDER/<row>.f32 their maps, whose quality is measured here by the same ruler
 * Every row is a process of its own, so that its memory is its own; the median of as many runs as stand in the table. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/analysis/firing.h"
#include "lib/analysis/logreg.h"
#include "lib/analysis/spectral.h"
#include "lib/analysis/trust.h"
#include "lib/analysis/tsne_fit.h"
#include "lib/analysis/umap_fit.h"
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/chart/chart.h"
#include "lib/chart/pngfile.h"
#include "lib/file/safetensors.h"

enum { NOTE = 160, RUNS = 9 };

/* What a row gives back: seconds of each run, and what is worth saying. */
struct result {
    double s[RUNS];
    long peak_kb;
    char note[NOTE];
};

struct job {
    const char *key, *op; /* name in peers.tsv; name for people */
    void (*run)(const struct job *j, int runs, struct result *r);
    size_t n, m; /* rows and columns; or chunks and clusters */
    int kind;
    double target_s;
    int runs;
};

static const char *folder;

static void stop(const struct err *e) {
    fprintf(stderr, "bench_analysis: %s\n", e->text);
    if (e->hint[0]) fprintf(stderr, "hint: %s\n", e->hint);
    exit(1);
}

static void *need(size_t n, size_t elem_bytes) {
    struct err e;
    void *p = mem_array(n, elem_bytes, "bench", &e);
    if (!p) stop(&e);
    return p;
}

static struct firing read_chunks(size_t n) {
    struct firing m;
    struct err e;
    char path[4096];
    snprintf(path, sizeof path, "%s/chunks_%zu.safetensors", folder, n);
    if (firing_read(&m, path, NULL, &e)) stop(&e);
    return m;
}

static float *read_rows(size_t n, size_t D) {
    char path[4096];
    struct safetensors *s;
    struct err e;
    const struct safetensors_tensor *t;
    const int64_t shape[2] = {(int64_t)n, (int64_t)D};
    float *x = need(n * D, sizeof *x);
    snprintf(path, sizeof path, "%s/decoder_%zu_%zu.safetensors", folder, n, D);
    if (safetensors_open(&s, path, &e) || safetensors_get(s, "rows", ST_F32, 2, shape, &t, &e) ||
        safetensors_to_f32(t, 0, n * D, x, &e))
        stop(&e);
    safetensors_close(s);
    return x;
}

static void counts(const struct job *j, int runs, struct result *r) {
    struct firing m = read_chunks(j->n);
    uint32_t *n11 = need(m.F * m.F, sizeof *n11);
    memset(n11, 1, m.F * m.F * sizeof *n11); /* first touch is the allocator's cost, not ours */
    for (int i = 0; i < runs; i++) {
        double t = clock_s();
        firing_cofire(&m, n11);
        r->s[i] = clock_s() - t;
    }
}

/* From counts to weights, a block of rows at a time: nothing of F x F is added. */
static void affinity(const struct job *j, int runs, struct result *r) {
    struct firing m = read_chunks(j->n);
    uint32_t *n11 = need(m.F * m.F, sizeof *n11);
    size_t bad = 0;
    firing_cofire(&m, n11);
    for (int i = 0; i < runs; i++) {
        double t = clock_s();
#pragma omp parallel reduction(+ : bad)
        {
            float *out = need(64 * m.F, sizeof *out);
#pragma omp for schedule(static)
            for (size_t f = 0; f < m.F; f += 64) {
                affinity_tile((enum affinity)j->kind, 64, m.F, n11 + f * m.F, m.F, m.count + f, m.count, m.chunks, out,
                              m.F);
                bad += (size_t)!isfinite(out[f % 64 * m.F + f]);
            }
            free(out);
        }
        r->s[i] = clock_s() - t;
    }
    if (bad) snprintf(r->note, NOTE, "NOT FINITE");
}

static void spectral(const struct job *j, int runs, struct result *r) {
    struct firing m = read_chunks(j->n);
    bool formed = j->kind != AFFINITY_PHI && j->kind != AFFINITY_SMC;
    for (int i = 0; i < runs; i++) {
        struct graph g;
        struct spectral s;
        struct err e;
        double t = clock_s();
        if (graph_from_firing(&g, &m, (enum affinity)j->kind, formed, &e) ||
            spectral_cluster(&g, j->m, 10, 42, 1e-4, &s, &e))
            stop(&e);
        r->s[i] = clock_s() - t;
        size_t small = 0;
        for (size_t c = 0; c < j->m; c++) small += s.size[c] <= 2;
        snprintf(r->note, NOTE, "residual %.0e of lambda_k, %zu products; largest cluster %zu, %zu of one or two",
                 s.worst, s.products, s.size[0], small);
        spectral_free(&s), graph_free(&g);
    }
}

static void neighbours(const struct job *j, int runs, struct result *r) {
    float *x = read_rows(j->n, j->m);
    for (int i = 0; i < runs; i++) {
        struct knn g;
        struct err e;
        double t = clock_s();
        if (knn_exact(x, j->n, j->m, 90, &g, &e)) stop(&e);
        r->s[i] = clock_s() - t;
        knn_free(&g);
    }
    snprintf(r->note, NOTE, "recall 1");
}

/* The peer's map by the same ruler. */
static void judge_peer(const struct job *j, const float *x, const struct knn *g, const struct edges *P,
                       struct result *r) {
    char path[4096];
    struct trust trust;
    struct err e;
    double kl;
    size_t used = strlen(r->note);
    snprintf(path, sizeof path, "%s/%s.f32", folder, j->key);
    FILE *f = fopen(path, "rb");
    if (!f) return;
    float *xy = need(2 * j->n, sizeof *xy);
    if (fread(xy, sizeof *xy, 2 * j->n, f) == 2 * j->n) {
        if (tsne_fit_divergence(P, xy, &kl, &e) || trust_measure(x, j->n, j->m, xy, g, 10, &trust, &e)) stop(&e);
        snprintf(r->note + used, NOTE - used, "; peer's %.3f, %.3f", kl, trust.trustworthiness);
    }
    fclose(f), free(xy);
}

static void tsne(const struct job *j, int runs, struct result *r) {
    const struct tsne_options o = {.iterations = 1000, .exaggeration = 12, .repulsion = TSNE_AUTO};
    float *x = read_rows(j->n, j->m), *xy = need(2 * j->n, sizeof *xy);
    for (int i = 0; i < runs; i++) {
        struct knn g;
        struct edges P;
        struct trust trust;
        struct err e;
        double kl = 0, t = clock_s();
        if (knn_exact(x, j->n, j->m, 90, &g, &e) || perplexity_edges(&g, 30, &P, NULL, &e) ||
            tsne_fit_start(x, j->n, j->m, 0, false, xy, &e) || tsne_fit_descend(&P, &o, xy, &e))
            stop(&e);
        r->s[i] = clock_s() - t;
        if (i + 1 == runs) {
            if (tsne_fit_divergence(&P, xy, &kl, &e) || trust_measure(x, j->n, j->m, xy, &g, 10, &trust, &e)) stop(&e);
            snprintf(r->note, NOTE, "exact KL %.3f, trustworthiness %.3f", kl, trust.trustworthiness);
            judge_peer(j, x, &g, &P, r);
        }
        edges_free(&P), knn_free(&g);
    }
}

/* From neighbours to the map, as umap-learn's row is timed. */
static void umap(const struct job *j, int runs, struct result *r) {
    float *x = read_rows(j->n, j->m), *xy = need(2 * j->n, sizeof *xy), *theirs = need(2 * j->n, sizeof *theirs);
    struct knn near;
    struct trust ours, peer = {0};
    struct err e;
    char path[4096];
    enum umap_fit_start used = UMAP_SPECTRAL;
    if (knn_exact(x, j->n, j->m, 14, &near, &e)) stop(&e);
    for (int i = 0; i < runs; i++) {
        struct umap_options o = {0};
        struct edges w;
        double t = clock_s();
        if (umap_fit_curve(0.1, 1, &o.a, &o.b, &e) || umap_fit_graph(&near, &w, &e) ||
            umap_fit_start(&w, x, j->n, j->m, UMAP_SPECTRAL, 0, xy, &used, &e) || umap_fit_descend(&w, &o, xy, &e))
            stop(&e);
        r->s[i] = clock_s() - t;
        edges_free(&w);
    }
    snprintf(path, sizeof path, "%s/umap.f32", folder);
    FILE *f = fopen(path, "rb");
    bool read = f && fread(theirs, sizeof *theirs, 2 * j->n, f) == 2 * j->n;
    if (f) fclose(f);
    if (trust_measure(x, j->n, j->m, xy, &near, 10, &ours, &e) ||
        (read && trust_measure(x, j->n, j->m, theirs, &near, 10, &peer, &e)))
        stop(&e);
    snprintf(r->note, NOTE, "trustworthiness %.3f; peer's %.3f; %s start", ours.trustworthiness, peer.trustworthiness,
             used == UMAP_SPECTRAL ? "spectral" : "other");
}

/* One fit of the first 80 % of the rows to two planted halves: C = 1, as lobes does. */
static void logistic(const struct job *j, int runs, struct result *r) {
    float *x = read_rows(16384, j->m);
    int32_t *y = need(j->n, sizeof *y);
    for (size_t i = 0; i < j->n; i++) y[i] = x[i * j->m] + x[i * j->m + 1] > 0;
    for (int i = 0; i < runs; i++) {
        struct logreg m;
        struct err e;
        double t = clock_s();
        if (logreg_fit(x, y, j->n, j->m, 2, 1, 1e-4, &m, &e)) stop(&e);
        r->s[i] = clock_s() - t;
        snprintf(r->note, NOTE, "objective %.4f, %zu evaluations", m.loss, m.evaluations);
        logreg_free(&m);
    }
}

/* Twenty series of translucent points, as a lobe figure has them, from numbers to the file. */
static void scatter(const struct job *j, int runs, struct result *r) {
    enum { SERIES = 20 };
    float *x = read_rows(j->n, j->m);
    for (int i = 0; i < runs; i++) {
        struct chart c = {0};
        struct canvas *canvas;
        struct err e;
        char path[4096];
        size_t stride, per = j->n / SERIES;
        double t = clock_s();
        if (chart_init(&c, 1, 1, &e)) stop(&e);
        c.aspect = 1600.0 / 2200;
        for (size_t k = 0; k < SERIES; k++) {
            struct chart_series *s = chart_add(c.panel, CHART_POINTS, "", chart_colour(k), per, &e);
            if (!s) stop(&e);
            for (size_t p = 0; p < per; p++)
                s->x[p] = (double)x[(k * per + p) * j->m], s->y[p] = (double)x[(k * per + p) * j->m + 1];
        }
        snprintf(path, sizeof path, "%s/scatter.png", folder);
        if (chart_draw(&c, CANVAS_PIXELS, 2200, &canvas, &e)) stop(&e);
        const uint32_t *pixels = canvas_pixels(canvas, &stride);
        if (pngfile_write(path, pixels, stride, 2200, 1600, NULL, 0, &e)) stop(&e);
        r->s[i] = clock_s() - t;
        canvas_close(canvas), chart_free(&c);
    }
}

static const struct job jobs[] = {
    {"counts_80", "co-firing counts, 80 chunks", counts, 80, 0, 0, 0.6, 5},
    {"counts_2000", "co-firing counts, 2000 chunks", counts, 2000, 0, 0, 0.8, 5},
    {"counts_20000", "co-firing counts, 20 000 chunks", counts, 20000, 0, 0, 3.5, 3},
    {"phi", "affinity phi", affinity, 2000, 0, AFFINITY_PHI, 0.3, 5},
    {"smc", "affinity smc", affinity, 2000, 0, AFFINITY_SMC, 0.3, 5},
    {"jaccard", "affinity jaccard", affinity, 2000, 0, AFFINITY_JACCARD, 0.3, 5},
    {"dice", "affinity dice", affinity, 2000, 0, AFFINITY_DICE, 0.3, 5},
    {"overlap", "affinity overlap", affinity, 2000, 0, AFFINITY_OVERLAP, 0.3, 5},
    {"spectral_phi_8", "spectral phi, k 8", spectral, 2000, 8, AFFINITY_PHI, 0.4, 5},
    {"spectral_smc_8", "spectral smc, k 8", spectral, 2000, 8, AFFINITY_SMC, 0.4, 5},
    {"spectral_phi_64", "spectral phi, k 64", spectral, 2000, 64, AFFINITY_PHI, 3.5, 3},
    {"spectral_jaccard_8", "spectral jaccard, k 8", spectral, 2000, 8, AFFINITY_JACCARD, 2, 3},
    {"spectral_jaccard_64", "spectral jaccard, k 64", spectral, 2000, 64, AFFINITY_JACCARD, 8, 3},
    {"knn_256", "exact neighbours, k 90, D 256", neighbours, 16384, 256, 0, 0, 5},
    {"knn_3584", "exact neighbours, k 90, D 3584", neighbours, 16384, 3584, 0, 8.5, 3},
    {"tsne_4096_256", "t-SNE n 4096, D 256", tsne, 4096, 256, 0, 2.5, 3},
    {"tsne_4096_3584", "t-SNE n 4096, D 3584", tsne, 4096, 3584, 0, 3, 3},
    {"tsne_16384_256", "t-SNE n 16384, D 256", tsne, 16384, 256, 0, 8, 3},
    {"tsne_16384_3584", "t-SNE n 16384, D 3584", tsne, 16384, 3584, 0, 16, 1},
    {"umap", "UMAP n 16384, after neighbours", umap, 16384, 256, 0, 3, 3},
    {"logistic_256", "logistic regression, D 256", logistic, 13107, 256, 0, 0, 5},
    {"logistic_3584", "logistic regression, D 3584", logistic, 13107, 3584, 0, 0, 5},
    {"scatter", "scatter PNG, 16384 points", scatter, 16384, 256, 0, 0.15, 5},
};

static int rising(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The best peer's seconds and name; absent: NaN. */
static double peer_seconds(const char *key, char name[64]) {
    char path[4096], line[512], k[64], who[64];
    double best = NAN, s;
    snprintf(path, sizeof path, "%s/peers.tsv", folder);
    snprintf(name, 64, "absent");
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "%63[^\t]\t%63[^\t]\t%lf", k, who, &s) == 3 && !strcmp(k, key) && !(s >= best))
            best = s, snprintf(name, 64, "%s", who);
    if (f) fclose(f);
    return best;
}

static void show(const struct job *j) {
    struct result r = {0};
    char who[64], ratio[32] = "", target[32] = "", theirs[32] = "";
    int ends[2], status;
    if (pipe(ends)) exit(1);
    fflush(stdout);
    pid_t child = fork(); /* before any thread was started here */
    if (!child) {
        struct rusage use;
        j->run(j, j->runs, &r);
        getrusage(RUSAGE_SELF, &use);
        r.peak_kb = use.ru_maxrss;
        _exit(write(ends[1], &r, sizeof r) == (ssize_t)sizeof r ? 0 : 1);
    }
    close(ends[1]);
    if (child < 0 || read(ends[0], &r, sizeof r) != (ssize_t)sizeof r || waitpid(child, &status, 0) != child) exit(1);
    close(ends[0]);
    qsort(r.s, (size_t)j->runs, sizeof *r.s, rising);
    double s = r.s[j->runs / 2], peer = peer_seconds(j->key, who);
    if (j->target_s > 0) snprintf(target, sizeof target, "%.2f", j->target_s);
    if (peer > 0) snprintf(theirs, sizeof theirs, "%.2f", peer), snprintf(ratio, sizeof ratio, "%.1f x", peer / s);
    printf("%-32s %8.3f %7s %6.2f   %8s %8s  %-14s %s\n", j->op, s, target, (double)r.peak_kb / 1e6, theirs, ratio, who,
           r.note);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "bench_analysis FOLDER [ROW…]: want the folder that analysis_data has filled\n");
        return 2;
    }
    folder = argv[1];
    printf("%-32s %8s %7s %6s   %8s %8s  %-14s %s\n", "operation (F 16384)", "s", "goal s", "GB", "peer s", "", "peer",
           "");
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        int wanted = argc == 2;
        for (int a = 2; a < argc; a++) wanted |= !strcmp(argv[a], jobs[i].key);
        if (wanted) show(&jobs[i]);
    }
    return 0;
}
