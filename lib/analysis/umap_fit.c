/* umap_fit.c - see umap_fit.h. */
#include "lib/analysis/umap_fit.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/analysis/eigen.h"
#include "lib/analysis/pca.h"
#include "lib/base/arena.h"
#include "lib/base/rng.h"

enum { PUSHES = 5, CURVE = 300, FEW = 10000, BISECTIONS = 64 };
enum { STREAM_START = 0x756d6170, STREAM_PUSH = 0x75000000 };
static const double LEAST_SHARE = 1e-3; /* of the mean distance: the smallest sigma */

int umap_fit_neighbours(size_t neighbours, size_t n, size_t *k, struct err *e) {
    *k = 0;
    if (neighbours >= 2 && neighbours <= n) {
        *k = neighbours - 1;
        return 0;
    }
    err_set(e, ERR_RANGE, "neighbours: want 2 to %zu for %zu points, got %zu", n, n, neighbours);
    return err_hint(e, "the number counts the point itself; with --features live only features that fire count");
}

/* ---- graph ---- */

/* sigma of one row: distances d [k] ascending, rho the first above 0. */
static double bandwidth(size_t k, const double *d, double rho) {
    double target = log2((double)(k + 1)), lo = 0, hi = INFINITY, mid = 1;
    for (int t = 0; t < BISECTIONS; t++) {
        double sum = 0;
        for (size_t j = 0; j < k; j++) sum += d[j] > rho ? exp(-(d[j] - rho) / mid) : 1;
        if (fabs(sum - target) < 1e-5) break;
        if (sum > target)
            hi = mid, mid = (lo + hi) / 2;
        else
            lo = mid, mid = isinf(hi) ? 2 * mid : (lo + hi) / 2;
    }
    return mid;
}

static void row_weights(const struct knn *g, size_t i, double mean_of_all, double *d, float *w) {
    size_t k = g->k;
    double rho = 0, mean = 0;
    for (size_t j = 0; j < k; j++) {
        d[j] = sqrt((double)g->d2[i * k + j]);
        mean += d[j] / (double)(k + 1); /* the point itself counts, with distance 0 */
        if (!(rho > 0) && d[j] > 0) rho = d[j];
    }
    double sigma = bandwidth(k, d, rho), least = LEAST_SHARE * (rho > 0 ? mean : mean_of_all);
    if (sigma < least) sigma = least;
    for (size_t j = 0; j < k; j++) w[i * k + j] = d[j] > rho && sigma > 0 ? (float)exp(-(d[j] - rho) / sigma) : 1;
}

static double either(double a, double b, double ctx) {
    (void)ctx;
    return a + b - a * b;
}

int umap_fit_graph(const struct knn *g, struct edges *out, struct err *e) {
    double sum = 0;
    *out = (struct edges){0};
    float *w = mem_array(g->n, g->k * sizeof *w, "UMAP: weights", e);
    double *d = w ? mem_array(g->n, g->k * sizeof *d, "UMAP: distances", e) : NULL;
    if (!d) {
        free(w);
        return ERR_MEMORY;
    }
    for (size_t q = 0; q < g->n * g->k; q++) sum += sqrt((double)g->d2[q]);
    sum /= (double)g->n * (double)(g->k + 1);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < g->n; i++) row_weights(g, i, sum, d + i * g->k, w);
    int rc = edges_symmetric(g, w, either, 0, out, e);
    free(w);
    free(d);
    return rc;
}

/* ---- curve ---- */

/* Sum of squares at (a, b), and the normal equations of its linearisation. */
static double curve_error(const double *x, const double *y, double a, double b, double JJ[3], double Jr[2]) {
    double sum = 0;
    JJ[0] = JJ[1] = JJ[2] = Jr[0] = Jr[1] = 0;
    for (size_t i = 0; i < CURVE; i++) {
        double p = x[i] > 0 ? pow(x[i], 2 * b) : 0, v = 1 / (1 + a * p), r = v - y[i];
        double da = -v * v * p, db = x[i] > 0 ? -v * v * a * p * 2 * log(x[i]) : 0;
        sum += r * r;
        JJ[0] += da * da, JJ[1] += da * db, JJ[2] += db * db, Jr[0] += da * r, Jr[1] += db * r;
    }
    return sum;
}

int umap_fit_curve(double min_dist, double spread, double *a, double *b, struct err *e) {
    double x[CURVE], y[CURVE], JJ[3], Jr[2], damp = 1e-3;
    if (!(spread > 0 && min_dist >= 0 && min_dist <= spread && spread < 1e6)) {
        err_set(e, ERR_RANGE, "min-dist and spread: want 0 <= min-dist <= spread, got %g and %g", min_dist, spread);
        return err_hint(e, "0.1 and 1 are usual");
    }
    for (size_t i = 0; i < CURVE; i++) {
        x[i] = 3 * spread * (double)i / (CURVE - 1);
        y[i] = x[i] < min_dist ? 1 : exp(-(x[i] - min_dist) / spread);
    }
    *a = *b = 1;
    double error = curve_error(x, y, *a, *b, JJ, Jr);
    for (int t = 0; t < 500 && damp < 1e12; t++) {
        double p = JJ[0] * (1 + damp), q = JJ[1], s = JJ[2] * (1 + damp), det = p * s - q * q, kept[5];
        double a1 = *a - (s * Jr[0] - q * Jr[1]) / det, b1 = *b - (p * Jr[1] - q * Jr[0]) / det;
        double now = a1 > 0 && b1 > 0 ? curve_error(x, y, a1, b1, kept, kept + 3) : INFINITY;
        if (now < error) {
            error = now, *a = a1, *b = b1, damp = fmax(damp / 10, 1e-12);
            memcpy(JJ, kept, sizeof JJ), memcpy(Jr, kept + 3, sizeof Jr);
        } else
            damp *= 10;
    }
    return 0;
}

/* ---- start ---- */

struct normalised {
    const struct edges *w;
    double *inv_root; /* [n] */
};

static void apply(void *ctx, const double *x, double *y) {
    const struct normalised *g = ctx;
    size_t n = g->w->n;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        double s[EIGEN_B] = {0};
        for (size_t q = g->w->row[i]; q < g->w->row[i + 1]; q++) {
            size_t j = (size_t)g->w->col[q];
            double v = (double)g->w->p[q] * g->inv_root[j];
            for (size_t b = 0; b < EIGEN_B; b++) s[b] += v * x[b * n + j];
        }
        for (size_t b = 0; b < EIGEN_B; b++) y[b * n + i] = s[b] * g->inv_root[i];
    }
}

/* Two eigenvectors below the trivial one into xy. *whole: the graph is in one piece, as far as the eigenvalue tells. */
static int eigenvectors(const struct edges *w, uint64_t seed, float *xy, bool *whole, struct err *e) {
    size_t n = w->n;
    double *all = mem_array(4 * n, sizeof *all, "UMAP: start", e), *trivial = all + n, *vector = all + 2 * n, value[2],
           residual[2], sum = 0;
    struct eigen_report report;
    *whole = false;
    if (!all) return ERR_MEMORY;
    struct normalised g = {w, all};
    for (size_t i = 0; i < n; i++) {
        double d = 0;
        for (size_t q = w->row[i]; q < w->row[i + 1]; q++) d += (double)w->p[q];
        g.inv_root[i] = d > 0 ? 1 / sqrt(d) : 0, trivial[i] = sqrt(d), sum += d;
    }
    for (size_t i = 0; i < n; i++) trivial[i] /= sqrt(sum);
    const struct eigen_op op = {n, apply, &g};
    /* A start needs no accuracy: 1 % of the eigenvalue, which is what the solver gives pairs beyond n_tight. */
    const struct eigen_want want = {.n_all = 2, .n_tight = 2, .tol = 1e-2, .seed = seed, .lock = trivial, .n_lock = 1};
    int rc = n > 4 ? eigen_leading(&op, &want, value, vector, residual, &report, e) : 0;
    *whole = n > 4 && !rc && value[0] < 1 - 1e-7;
    for (size_t i = 0; *whole && i < 2 * n; i++) xy[i] = (float)(vector[i % 2 * n + i / 2] * g.inv_root[i / 2]);
    free(all);
    return rc == ERR_NUMERIC ? 0 : rc; /* no convergence: then not this start */
}

/* Each coordinate to 0…10; a coordinate without extent gets seeded numbers. */
static void stretch(float *xy, size_t n, uint64_t seed, double noise) {
    for (size_t c = 0; c < 2; c++) {
        double lo = INFINITY, hi = -INFINITY;
        for (size_t i = 0; i < n; i++) lo = fmin(lo, (double)xy[2 * i + c]), hi = fmax(hi, (double)xy[2 * i + c]);
        bool flat = !(hi - lo > 0 && isfinite(hi - lo));
        for (size_t i = 0; i < n; i++) {
            double u = rng_uniform(seed, STREAM_START + c, i);
            xy[2 * i + c] = (float)(flat ? 10 * u : 10 * ((double)xy[2 * i + c] - lo) / (hi - lo) + noise * (u - 0.5));
        }
    }
}

int umap_fit_start(const struct edges *w, const float *x, size_t n, size_t D, enum umap_fit_start how, uint64_t seed,
                   float *xy, enum umap_fit_start *used, struct err *e) {
    struct pca pca = {0};
    bool whole = false;
    int rc = how == UMAP_SPECTRAL ? eigenvectors(w, seed, xy, &whole, e) : 0;
    *used = how != UMAP_SPECTRAL ? how : whole ? UMAP_SPECTRAL : UMAP_PCA;
    if (!rc && *used == UMAP_PCA) rc = pca_scores(x, n, D, 2, seed, xy, &pca, e);
    if (!rc && *used == UMAP_PCA && !(pca.variance[0] > 0)) *used = UMAP_RANDOM;
    if (*used == UMAP_RANDOM) memset(xy, 0, 2 * n * sizeof *xy);
    if (!rc) stretch(xy, n, seed, 1e-3);
    return rc;
}

/* ---- descent ---- */

static float cut(float x) { return x > 4 ? 4 : x < -4 ? -4 : x; }

/* Pull y towards p. */
static void pull(const struct umap_options *o, float step, const float *p, float y[2]) {
    float dx = y[0] - p[0], dy = y[1] - p[1], d2 = dx * dx + dy * dy, a = (float)o->a, b = (float)o->b;
    if (!(d2 > 0)) return;
    float t = powf(d2, b), c = -2 * a * b * t / d2 / (1 + a * t);
    y[0] += step * cut(c * dx), y[1] += step * cut(c * dy);
}

static void push(const struct umap_options *o, float step, const float *p, float y[2]) {
    float dx = y[0] - p[0], dy = y[1] - p[1], d2 = dx * dx + dy * dy, a = (float)o->a, b = (float)o->b;
    if (!(d2 > 0)) return;
    float c = 2 * b / ((0.001f + d2) * (1 + a * powf(d2, b)));
    y[0] += step * cut(c * dx), y[1] += step * cut(c * dy);
}

/* Random points that push i at its edge q in this epoch: two blocks of the counter RNG. */
static void pushes(const struct umap_options *o, size_t n, size_t epoch, size_t q, size_t i, float step,
                   const float *from, float y[2]) {
    uint32_t r[8];
    rng_block(o->seed, STREAM_PUSH + epoch, 2 * q, r);
    rng_block(o->seed, STREAM_PUSH + epoch, 2 * q + 1, r + 4);
    for (int k = 0; k < PUSHES; k++) {
        size_t j = (size_t)((uint64_t)r[k] * n >> 32);
        if (j != i) push(o, step, from + 2 * j, y);
    }
}

/* An edge of weight w is due in epoch t = 1, 2, … when floor(t w / top) rises. */
static bool due(float w, float top, size_t t) {
    double rate = (double)w / (double)top;
    return floor((double)t * rate) > floor((double)(t - 1) * rate);
}

static void one_point(const struct edges *w, const struct umap_options *o, size_t i, size_t epoch, float top,
                      float step, const float *from, float *to) {
    float y[2] = {from[2 * i], from[2 * i + 1]};
    for (size_t q = w->row[i]; q < w->row[i + 1]; q++) {
        size_t j = (size_t)w->col[q];
        if (j == i || !due(w->p[q], top, epoch)) continue;
        pull(o, step, from + 2 * j, y);
        pushes(o, w->n, epoch, q, i, step, from, y);
    }
    to[2 * i] = y[0], to[2 * i + 1] = y[1];
}

static int centre(float *xy, size_t n, struct err *e) {
    double mean[2] = {0};
    for (size_t i = 0; i < 2 * n; i++) mean[i % 2] += (double)xy[i] / (double)n;
    if (!isfinite(mean[0]) || !isfinite(mean[1]))
        return err_set(e, ERR_NUMERIC, "UMAP: a coordinate is no longer finite");
    for (size_t i = 0; i < 2 * n; i++) xy[i] = (float)((double)xy[i] - mean[i % 2]);
    return 0;
}

int umap_fit_descend(const struct edges *w, const struct umap_options *o, float *xy, struct err *e) {
    size_t n = w->n, epochs = o->epochs ? o->epochs : n <= FEW ? 500 : 200;
    float top = 0, *spare = mem_array(2 * n, sizeof *spare, "UMAP: points", e), *from = xy, *to = spare;
    if (!spare) return ERR_MEMORY;
    for (size_t q = 0; q < w->row[n]; q++) top = w->p[q] > top ? w->p[q] : top;
    for (size_t t = 1; top > 0 && t <= epochs; t++) {
        float step = 1 - (float)(t - 1) / (float)epochs;
#pragma omp parallel for schedule(dynamic, 256)
        for (size_t i = 0; i < n; i++) one_point(w, o, i, t, top, step, from, to);
        float *swap = from;
        from = to, to = swap;
        if (o->tick) o->tick(o->ctx, t, epochs);
    }
    if (from != xy) memcpy(xy, from, 2 * n * sizeof *xy);
    free(spare);
    return centre(xy, n, e);
}
