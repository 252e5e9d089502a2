/* tsne_fit.c - see tsne_fit.h. */
#include "lib/analysis/tsne_fit.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/analysis/attract.h"
#include "lib/analysis/pca.h"
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/rng.h"

/* Fixed blocks: the order of sums must not depend on threads. Below so many points, waking threads costs more than the
 * loop. */
enum { BLOCK = 1024, WORTH_THREADS = 8192, STREAM = 0x74736e65 };

int tsne_fit_start(const float *x, size_t n, size_t D, uint64_t seed, bool random, float *start, struct err *e) {
    struct pca pca = {0};
    if (!random) {
        int rc = pca_scores(x, n, D, 2, seed, start, &pca, e);
        if (rc) return rc;
    }
    double sd = sqrt(pca.variance[0]);
    if (!(sd > 0)) {
        for (size_t i = 0; i < 2 * n; i++) start[i] = (float)(TSNE_START_SPREAD * rng_normal(seed, STREAM, i));
        return 0;
    }
    for (size_t i = 0; i < 2 * n; i++) start[i] = (float)((double)start[i] / sd * TSNE_START_SPREAD);
    return 0;
}

int tsne_fit_force_init(struct tsne_force *f, size_t n, enum tsne_repulsion how, struct err *e) {
    *f = (struct tsne_force){.n = n};
    bool exact = how == TSNE_EXACT || (how == TSNE_AUTO && n < TSNE_EXACT_BELOW);
    f->x = mem_array(n, 6 * sizeof(float), "t-SNE: forces", e);
    if (!f->x) return ERR_MEMORY;
    f->y = f->x + n, f->fx = f->y + n, f->fy = f->fx + n, f->ax = f->fy + n, f->ay = f->ax + n;
    int rc = exact ? repulse_init(&f->pairs, n, e) : tsne_mesh_new(&f->mesh, n, TSNE_SPACING, e);
    if (rc) tsne_fit_force_free(f);
    return rc;
}

void tsne_fit_force_free(struct tsne_force *f) {
    repulse_free(&f->pairs);
    tsne_mesh_free(f->mesh);
    free(f->x);
    *f = (struct tsne_force){0};
}

/* fx, fy, ax, ay and Z at xy. */
static int forces(struct tsne_force *f, const struct edges *P, const float *xy, double *Z, struct err *e) {
    for (size_t i = 0; i < f->n; i++) f->x[i] = xy[2 * i], f->y[i] = xy[2 * i + 1];
    int rc = 0;
    if (f->mesh)
        rc = tsne_mesh_repulse(f->mesh, f->x, f->y, f->fx, f->fy, Z, e);
    else
        *Z = repulse_cpu(&f->pairs, f->x, f->y, f->fx, f->fy);
    if (rc) return rc;
    attract_cpu(f->n, P->row, P->col, P->p, xy, f->ax, f->ay);
    if (!(*Z > 0)) *Z = f->n > 1 ? *Z : 1;
    return *Z > 0 ? 0 : err_set(e, ERR_NUMERIC, "t-SNE: the normaliser is %g", *Z);
}

int tsne_fit_gradient(struct tsne_force *f, const struct edges *P, const float *xy, double exaggeration, float *g,
                      struct err *e) {
    double Z;
    int rc = forces(f, P, xy, &Z, e);
    if (rc) return rc;
    float a = (float)(4 * exaggeration), b = (float)(4 / Z);
#pragma omp parallel for schedule(static) if (f->n > WORTH_THREADS)
    for (size_t i = 0; i < f->n; i++) {
        g[2 * i] = a * f->ax[i] - b * f->fx[i];
        g[2 * i + 1] = a * f->ay[i] - b * f->fy[i];
    }
    return 0;
}

struct descent {
    size_t n, blocks;
    struct arena memory;
    float *g, *update, *gain; /* [n,2] */
    double *mean;             /* [blocks,2] sums */
};

static int descent_init(struct descent *d, size_t n, struct err *e) {
    *d = (struct descent){.n = n, .blocks = (n + BLOCK - 1) / BLOCK};
    size_t each = arena_need(n, 2 * sizeof(float)), sums = arena_need(d->blocks, 2 * sizeof(double)), bytes;
    if (!size_product(each, 3, 1, &bytes) || bytes > SIZE_MAX - sums)
        bytes = SIZE_MAX;
    else
        bytes += sums;
    if (arena_init(&d->memory, bytes, "t-SNE: optimiser", e)) return ERR_MEMORY;
    d->g = arena_take(&d->memory, n, 2 * sizeof(float));
    d->update = arena_take(&d->memory, n, 2 * sizeof(float));
    d->gain = arena_take(&d->memory, n, 2 * sizeof(float));
    d->mean = arena_take(&d->memory, d->blocks, 2 * sizeof(double));
    return 0;
}

static void afresh(struct descent *d) {
    for (size_t i = 0; i < 2 * d->n; i++) d->update[i] = 0, d->gain[i] = 1;
}

/* Coordinates [i0,i1) of one block move; their sums into mean. */
static void move_block(struct descent *d, size_t i0, size_t i1, float rate, float momentum, float *xy, double *mean) {
    float *g = d->g, *u = d->update, *gain = d->gain;
    for (size_t i = i0; i < i1; i++) {
        float up = gain[i] + 0.2f, down = gain[i] * 0.8f, k = g[i] * u[i] < 0 ? up : down;
        gain[i] = k < 0.01f ? 0.01f : k;
        u[i] = momentum * u[i] - rate * gain[i] * g[i];
        xy[i] += u[i];
    }
    double sx = 0, sy = 0;
    for (size_t i = i0; i < i1; i += 2) sx += (double)xy[i], sy += (double)xy[i + 1];
    mean[0] = sx;
    mean[1] = sy;
}

/* One step of all points; false when they are no longer finite. */
static bool step(struct descent *d, float rate, float momentum, float *xy) {
#pragma omp parallel for schedule(static) if (d->n > WORTH_THREADS)
    for (size_t b = 0; b < d->blocks; b++) {
        size_t i1 = (b + 1) * BLOCK < d->n ? (b + 1) * BLOCK : d->n;
        move_block(d, 2 * b * BLOCK, 2 * i1, rate, momentum, xy, d->mean + 2 * b);
    }
    double sx = 0, sy = 0;
    for (size_t b = 0; b < d->blocks; b++) sx += d->mean[2 * b], sy += d->mean[2 * b + 1];
    if (!isfinite(sx) || !isfinite(sy)) return false;
    float mx = (float)(sx / (double)d->n), my = (float)(sy / (double)d->n);
    for (size_t i = 0; i < d->n; i++) xy[2 * i] -= mx, xy[2 * i + 1] -= my;
    return true;
}

/* Where no neighbour is much nearer than the rest, exaggerated attraction shrinks the whole map geometrically, and the other 750
 * steps would be spent on growing back from 1e-12. As long as the map is tiny the dynamics are linear, so its scale means nothing:
 * give it the start's spread again. */
static void restore_spread(size_t n, float *xy) {
    double sum = 0;
    for (size_t i = 0; i < 2 * n; i++) sum += (double)xy[i] * (double)xy[i];
    double rms = sqrt(sum / (double)(2 * n));
    if (!(rms > 0 && rms < TSNE_START_SPREAD)) return;
    for (size_t i = 0; i < 2 * n; i++) xy[i] = (float)(xy[i] * (TSNE_START_SPREAD / rms));
}

/* How many threads to use: a step has some ten barriers, so on a machine that others use too (make runs several
 * programs at once) waiting for a thread that is not running can cost ten times what it saves. Since the bytes do not
 * depend on it, the number is found by timing: every CYCLE steps, TRIAL steps with it against TRIAL steps with half or
 * twice as many. */
enum { CYCLE = 128, TRIAL = 3 };

struct pace {
    int most, now, other;
    bool down; /* try fewer next */
    double spent_s[2], start_s;
};

static void pace_start(struct pace *p, size_t it) {
    size_t at = it % CYCLE;
    if (at == 0) {
        p->down = p->now == p->most || (p->down && p->now > 1);
        p->other = p->down ? (p->now + 1) / 2 : 2 * p->now < p->most ? 2 * p->now : p->most;
        p->spent_s[0] = p->spent_s[1] = 0;
    }
    omp_set_num_threads(at >= TRIAL && at < 2 * TRIAL ? p->other : p->now);
    p->start_s = clock_s();
}

static void pace_end(struct pace *p, size_t it) {
    size_t at = it % CYCLE;
    if (at < 2 * TRIAL) p->spent_s[at / TRIAL] += clock_s() - p->start_s;
    if (at != 2 * TRIAL - 1) return;
    if (p->spent_s[1] < p->spent_s[0])
        p->now = p->other;
    else
        p->down = !p->down;
}

int tsne_fit_descend(const struct edges *P, const struct tsne_options *o, float *xy, struct err *e) {
    struct tsne_force f;
    struct descent d;
    struct pace pace = {.most = omp_get_max_threads(), .now = omp_get_max_threads(), .down = true};
    int rc = tsne_fit_force_init(&f, P->n, o->repulsion, e);
    if (rc) return rc;
    rc = descent_init(&d, P->n, e);
    double rate = (double)P->n / o->exaggeration / 4;
    if (rate < 50) rate = 50;
    for (size_t it = 0; !rc && it < o->iterations; it++) {
        bool early = it < TSNE_EXAGGERATED;
        pace_start(&pace, it);
        if (it == TSNE_EXAGGERATED) restore_spread(P->n, xy);
        if (it == 0 || it == TSNE_EXAGGERATED) afresh(&d);
        rc = tsne_fit_gradient(&f, P, xy, early ? o->exaggeration : 1, d.g, e);
        if (!rc && !step(&d, (float)rate, early ? 0.5f : 0.8f, xy)) {
            rc = err_set(e, ERR_NUMERIC, "t-SNE: a coordinate is not finite after step %zu", it + 1);
            err_hint(e, "a large --exaggeration makes steps too long; 12 is usual");
        }
        pace_end(&pace, it);
        if (!rc && o->tick) o->tick(o->ctx, it + 1);
    }
    omp_set_num_threads(pace.most);
    arena_free(&d.memory);
    tsne_fit_force_free(&f);
    return rc;
}

int tsne_fit_divergence(const struct edges *P, const float *xy, double *kl, struct err *e) {
    size_t n = P->n;
    float *x = mem_array(n, 2 * sizeof *x, "t-SNE: divergence", e);
    double *part = mem_array(n, sizeof *part, "t-SNE: divergence", e), Z = 0;
    int rc = x && part ? 0 : ERR_MEMORY;
    for (size_t i = 0; !rc && i < n; i++) x[i] = xy[2 * i], x[n + i] = xy[2 * i + 1];
    if (!rc) rc = repulse_z_cpu(n, x, x + n, &Z, e);
    if (!rc) {
        double log_z = log(Z);
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < n; i++) {
            double s = 0;
            for (size_t k = P->row[i]; k < P->row[i + 1]; k++) {
                if (!(P->p[k] > 0)) continue;
                size_t j = (size_t)P->col[k];
                double dx = (double)xy[2 * i] - xy[2 * j], dy = (double)xy[2 * i + 1] - xy[2 * j + 1];
                s += (double)P->p[k] * (log((double)P->p[k]) + log1p(dx * dx + dy * dy) + log_z);
            }
            part[i] = s;
        }
        *kl = 0;
        for (size_t i = 0; i < n; i++) *kl += part[i];
    }
    free(x);
    free(part);
    return rc;
}
