/* lobe.c - see lobe.h. */
#include "lib/analysis/lobe.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/analysis/knn.h"
#include "lib/analysis/logreg.h"
#include "lib/analysis/spectral.h"
#include "lib/base/arena.h"
#include "lib/base/rng.h"

enum { NEIGHBOURS = 10, RESTARTS = 10 };
/* streams of the counter RNG, one a statistic */
enum { S_CHUNK = 1, S_AMI, S_ARI, S_NN1, S_NN10, S_LANGUAGE, S_ANGULAR, S_DIRECTION = 1 << 16 };
static const double TOL = 1e-4;     /* of the angular clustering's eigenvectors */
static const double FIT_TOL = 1e-4; /* of the logistic regression: scikit-learn's default, by the same rule */

int lobe_winners(const struct firing *m, const int32_t *label, size_t k, int32_t *winner, uint32_t *histogram,
                 size_t *ties, struct err *e) {
    size_t cells;
    if (!size_product(k, m->chunks, 1, &cells)) cells = SIZE_MAX;
    uint32_t *fired = mem_array(cells, sizeof *fired, "lobes", e); /* [chunks,k] */
    uint32_t *size = fired ? mem_array(k, sizeof *size, "lobes", e) : NULL;
    int rc = size ? 0 : ERR_MEMORY;
    for (size_t f = 0; !rc && f < m->F; f++) {
        if (label[f] < -1 || label[f] >= (int32_t)k)
            rc = err_set(e, ERR_RANGE, "lobes: feature %zu has label %d: want -1 to %zu", f, label[f], k - 1);
        else if (label[f] >= 0) {
            size[label[f]]++;
            for (size_t c = 0; c < m->chunks; c++) fired[c * k + (size_t)label[f]] += firing_get(m, f, c);
        }
    }
    *ties = 0;
    memset(histogram, 0, k * m->n_groups * sizeof *histogram);
    for (size_t c = 0; !rc && c < m->chunks; c++) {
        size_t best = k, tied = 0;
        for (size_t l = 0; l < k; l++) {
            if (!fired[c * k + l]) continue;
            uint64_t mine = best < k ? (uint64_t)fired[c * k + l] * size[best] : 1;
            uint64_t his = best < k ? (uint64_t)fired[c * k + best] * size[l] : 0;
            if (mine > his)
                best = l, tied = 0;
            else if (mine == his)
                tied = 1;
        }
        winner[c] = best < k ? (int32_t)best : -1;
        *ties += tied;
        if (best < k) histogram[best * m->n_groups + (size_t)m->group[c]]++;
    }
    free(fired);
    free(size);
    return rc;
}

size_t lobe_groups(const uint32_t *histogram, size_t k, size_t G, const uint32_t *chunks, int32_t *lobe_group) {
    size_t ties = 0;
    for (size_t l = 0; l < k; l++) {
        const uint32_t *h = histogram + l * G;
        size_t best = G, tied = 0;
        for (size_t g = 0; g < G; g++) {
            if (!h[g]) continue;
            uint64_t mine = best < G ? (uint64_t)h[g] * chunks[best] : 1,
                     his = best < G ? (uint64_t)h[best] * chunks[g] : 0;
            if (mine > his)
                best = g, tied = 0;
            else if (mine == his)
                tied = 1;
        }
        lobe_group[l] = best < G ? (int32_t)best : -1;
        ties += tied;
    }
    return ties;
}

size_t lobe_own(const uint32_t *histogram, const int32_t *lobe_group, size_t k, size_t G, double *own) {
    size_t without = 0;
    for (size_t g = 0; g < G; g++) {
        uint64_t all = 0, mine = 0;
        bool any = false;
        for (size_t l = 0; l < k; l++) {
            all += histogram[l * G + g];
            if (lobe_group[l] == (int32_t)g) mine += histogram[l * G + g], any = true;
        }
        own[g] = all ? (double)mine / (double)all : (double)NAN;
        without += !any;
    }
    return without;
}

int lobe_preferred(const struct firing *m, const int32_t *label, int32_t *preferred, size_t *ties, struct err *e) {
    uint32_t *fired = mem_array(2 * m->n_groups, sizeof *fired, "lobes", e), *chunks = fired + m->n_groups;
    *ties = 0;
    if (!fired) return ERR_MEMORY;
    for (size_t c = 0; c < m->chunks; c++) chunks[m->group[c]]++;
    for (size_t f = 0; f < m->F; f++) {
        memset(fired, 0, m->n_groups * sizeof *fired);
        for (size_t c = 0; c < m->chunks; c++) fired[m->group[c]] += firing_get(m, f, c);
        size_t tied = lobe_groups(fired, 1, m->n_groups, chunks, &preferred[f]);
        *ties += label[f] >= 0 ? tied : 0;
    }
    free(fired);
    return 0;
}

/* The labelled features, packed: their labels, preferred groups, unit decoder rows. */
struct packed {
    size_t n;
    int32_t *label, *preferred;
    float *unit; /* [n,D] */
};

static void packed_free(struct packed *p) {
    free(p->label), free(p->preferred), free(p->unit);
    *p = (struct packed){0};
}

static int packed_init(struct packed *p, const struct lobes_input *in, struct err *e) {
    size_t F = in->m->F, elems;
    *p = (struct packed){0};
    for (size_t f = 0; f < F; f++) p->n += in->label[f] >= 0;
    if (p->n < 2) return err_set(e, ERR_RANGE, "lobes: want at least 2 features with a lobe, got %zu", p->n);
    if (!size_product(p->n, in->D, 1, &elems)) elems = SIZE_MAX;
    p->label = mem_array(p->n, sizeof *p->label, "lobes", e);
    p->preferred = p->label ? mem_array(p->n, sizeof *p->preferred, "lobes", e) : NULL;
    p->unit = p->preferred ? mem_array(elems, sizeof *p->unit, "lobes", e) : NULL;
    int rc = p->unit ? 0 : ERR_MEMORY;
    for (size_t f = 0, i = 0; !rc && f < F; f++) {
        const float *w = in->W_dec + f * in->D;
        double s = 0;
        if (in->label[f] < 0) continue;
        for (size_t d = 0; d < in->D; d++) s += (double)w[d] * (double)w[d];
        if (!(s > 0 && isfinite(s)))
            rc = err_set(e, ERR_NUMERIC, "W_dec: row %zu is zero, NaN or Inf: it has no direction", f);
        for (size_t d = 0; d < in->D; d++) p->unit[i * in->D + d] = (float)((double)w[d] / sqrt(s));
        p->label[i] = in->label[f];
        p->preferred[i++] = in->preferred[f];
    }
    if (rc) packed_free(p);
    return rc;
}

struct chunk_job {
    const struct firing *m;
    const int32_t *winner;
    size_t k;
    const uint32_t *chunks; /* [G] */
};

static double chunk_purity(const void *ctx, const uint32_t *order, void *scratch) {
    const struct chunk_job *j = ctx;
    size_t G = j->m->n_groups, C = j->m->chunks, own = 0;
    uint32_t *histogram = scratch;
    int32_t *lobe_group = (int32_t *)(histogram + j->k * G);
    memset(histogram, 0, j->k * G * sizeof *histogram);
    for (size_t c = 0; c < C; c++)
        if (j->winner[c] >= 0) histogram[(size_t)j->winner[c] * G + (size_t)j->m->group[order ? order[c] : c]]++;
    lobe_groups(histogram, j->k, G, j->chunks, lobe_group);
    for (size_t l = 0; l < j->k; l++) own += lobe_group[l] < 0 ? 0 : histogram[l * G + (size_t)lobe_group[l]];
    return (double)own / (double)C;
}

static int by_chunks(const struct lobes_input *in, struct lobes_stats *out, struct err *e) {
    const struct firing *m = in->m;
    uint32_t *chunks = mem_array(m->n_groups, sizeof *chunks, "lobes", e);
    size_t bytes;
    if (!chunks) return ERR_MEMORY;
    for (size_t c = 0; c < m->chunks; c++) chunks[m->group[c]]++;
    if (!size_product(in->k, m->n_groups + 1, sizeof(uint32_t), &bytes)) bytes = SIZE_MAX;
    const struct chunk_job job = {m, in->winner, in->k, chunks};
    int rc =
        stats_permute(&(struct stats_job){chunk_purity, &job, m->chunks, bytes, in->permutations, in->seed, S_CHUNK},
                      &out->chunk_purity, e);
    free(chunks);
    return rc;
}

/* On unit rows the Euclidean neighbours are those by cosine. */
static int by_neighbours(const struct lobes_input *in, const struct packed *p, struct lobes_stats *out, struct err *e) {
    struct knn g;
    size_t P = in->permutations, k = p->n - 1 < NEIGHBOURS ? p->n - 1 : NEIGHBOURS;
    int rc = knn_exact(p->unit, p->n, in->D, k, &g, e);
    if (rc) return rc;
    out->neighbours = k;
    rc = stats_neighbour_null(p->label, p->n, g.index, k, 1, P, in->seed, S_NN1, &out->purity1, e);
    if (!rc) rc = stats_neighbour_null(p->label, p->n, g.index, k, k, P, in->seed, S_NN10, &out->purity10, e);
    if (!rc) rc = stats_neighbour_null(p->preferred, p->n, g.index, k, 1, P, in->seed, S_LANGUAGE, &out->language1, e);
    knn_free(&g);
    return rc;
}

/* Where there is no such number, the reason takes its place, and the other statistics go on. */
static int or_nan(int rc, struct stats_null *x, struct err *failed, struct err *e) {
    if (rc != ERR_NUMERIC) return rc;
    *x = (struct stats_null){.value = NAN, .null_mean = NAN, .null_std = NAN, .z = NAN};
    *failed = *e;
    return 0;
}

static int by_angles(const struct lobes_input *in, const struct packed *p, struct lobes_stats *out, struct err *e) {
    struct graph g;
    struct spectral s;
    if (p->n < in->k || in->k < 2) return 0;
    int rc = graph_from_rows(&g, p->unit, p->n, in->D, e);
    if (rc) return rc;
    rc = spectral_cluster(&g, in->k, RESTARTS, in->seed, TOL, &s, e);
    graph_free(&g);
    if (rc) return rc;
    rc = stats_ami_null(s.label, in->k, p->label, in->k, p->n, in->permutations, in->seed, S_ANGULAR, &out->ami_angular,
                        e);
    out->angular = !rc;
    spectral_free(&s);
    return rc;
}

/* Accuracy of the first 80 % of rows of x on the rest. ERR_RANGE when the first part has one lobe only. */
static int direction_accuracy(const struct packed *p, size_t D, size_t k, const float *x, double *accuracy,
                              struct err *e) {
    struct logreg m;
    size_t cut = p->n * 8 / 10;
    int rc = logreg_fit(x, p->label, cut, D, k, 1, FIT_TOL, &m, e);
    if (!rc) rc = logreg_balanced(&m, x + cut * D, p->label + cut, p->n - cut, accuracy, e);
    logreg_free(&m);
    return rc;
}

static void gaussian_rows(float *x, size_t n, size_t D, uint64_t seed, uint64_t stream) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        double s = 0;
        for (size_t d = 0; d < D; d++) {
            double v = rng_normal(seed, stream, i * D + d);
            x[i * D + d] = (float)v, s += v * v;
        }
        for (size_t d = 0; d < D; d++) x[i * D + d] = (float)((double)x[i * D + d] / sqrt(s));
    }
}

/* Small problems share the threads by draws, large ones (whose rows would not fit so many times) within a draw: the same numbers. */
static int by_direction(const struct lobes_input *in, const struct packed *p, struct lobes_stats *out, struct err *e) {
    size_t cut = p->n * 8 / 10, n = p->n * in->D;
    int first = 0, second = 0, failed = 0;
    double value, *draw = mem_array(in->draws, sizeof *draw, "lobes", e);
    for (size_t i = 0; i < p->n; i++) *(i < cut ? &first : &second) |= p->label[i] != p->label[i < cut ? 0 : cut];
    if (!draw) return ERR_MEMORY;
    int rc = first && second ? direction_accuracy(p, in->D, in->k, p->unit, &value, e) : 0;
    bool go = first && second && !rc;
#pragma omp parallel for schedule(dynamic) if (n < (size_t)1 << 24)
    for (size_t i = 0; i < (go ? in->draws : 0); i++) {
        struct err here = {0};
        float *x = mem_array(n, sizeof *x, "lobes: Gaussian rows", &here);
        if (x) gaussian_rows(x, p->n, in->D, in->seed, S_DIRECTION + i);
        if (!x || direction_accuracy(p, in->D, in->k, x, &draw[i], &here)) {
#pragma omp critical
            if (!failed) failed = here.code, *e = here;
        }
        free(x);
    }
    if (go && !failed) stats_against(value, draw, in->draws, &out->direction);
    out->directed = go && !failed;
    free(draw);
    return rc ? rc : failed;
}

int lobe_statistics(const struct lobes_input *in, struct lobes_stats *out, struct err *e) {
    size_t P = in->permutations, G = in->m->n_groups;
    struct packed p;
    *out = (struct lobes_stats){0};
    int rc = by_chunks(in, out, e);
    if (!rc) rc = packed_init(&p, in, e);
    if (rc) return rc;
    rc = stats_ami_null(p.label, in->k, p.preferred, G, p.n, P, in->seed, S_AMI, &out->ami_preferred, e);
    if (!rc) rc = stats_ari_null(p.label, in->k, p.preferred, G, p.n, P, in->seed, S_ARI, &out->ari_preferred, e);
    if (!rc) rc = by_neighbours(in, &p, out, e);
    if (!rc && in->angular) rc = or_nan(by_angles(in, &p, out, e), &out->ami_angular, &out->angular_failed, e);
    if (!rc && in->draws) rc = or_nan(by_direction(in, &p, out, e), &out->direction, &out->direction_failed, e);
    packed_free(&p);
    return rc;
}
