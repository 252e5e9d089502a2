/* kmeans.c - see kmeans.h. Distances are computed for many points or many centres at once, each one summed over coordinates in
 * order, so vector width changes nothing. */
#include "lib/analysis/kmeans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/isa.h"
#include "lib/base/arena.h"
#include "lib/base/rng.h"

enum { LLOYD = 300, BLOCK = 256, STREAM = 0x4b4d0000 };

struct problem {
    const double *x, *xt; /* [n,D] and its transpose [D,n] */
    size_t n, D, k, kp;   /* kp: k rounded up to 8, the length of a row of centres */
    uint64_t seed;
};

/* One start's memory. Centres lie transposed, [D,kp], so that distances to all of them vectorise. */
struct run {
    double *centre, *sum, *half; /* [D,kp] [k,D] [k] half the distance to the nearest other centre */
    double *upper, *lower;       /* [n] bounds: own centre, second nearest */
    double *near, *trial, *acc;  /* [n] squared distance to the chosen centres; [n] to a candidate; [kp] */
    size_t *count;               /* [k] */
    int32_t *label;              /* [n] */
};

/* Squared distances of all points to one point c. */
ISA_INLINE void to_point_body(const double *xt, size_t D, size_t n, const double *c, double *out) {
    double t[BLOCK];
    for (size_t b = 0; b < n; b += BLOCK) {
        size_t m = n - b < BLOCK ? n - b : BLOCK;
        for (size_t i = 0; i < m; i++) t[i] = 0;
        for (size_t d = 0; d < D; d++)
#pragma omp simd
            for (size_t i = 0; i < m; i++) {
                double v = xt[d * n + b + i] - c[d];
                t[i] += v * v;
            }
        memcpy(out + b, t, m * sizeof *t);
    }
}

/* Squared distances of one point to all centres. */
ISA_INLINE void to_centres_body(const double *x, size_t D, const double *centre, size_t kp, double *out) {
    for (size_t j = 0; j < kp; j++) out[j] = 0;
    for (size_t d = 0; d < D; d++)
#pragma omp simd
        for (size_t j = 0; j < kp; j++) {
            double v = x[d] - centre[d * kp + j];
            out[j] += v * v;
        }
}

ISA_COPIES(void, to_point, (const double *xt, size_t D, size_t n, const double *c, double *out), (xt, D, n, c, out))
ISA_COPIES(void, to_centres, (const double *x, size_t D, const double *centre, size_t kp, double *out),
           (x, D, centre, kp, out))

static void to_point(const struct problem *p, const double *c, double *out) {
    ISA_PICK(to_point)(p->xt, p->D, p->n, c, out);
}

static void to_centres(const struct problem *p, const struct run *r, size_t i) {
    ISA_PICK(to_centres)(p->x + i * p->D, p->D, r->centre, p->kp, r->acc);
}

static int run_init(struct run *r, const struct problem *p, double **block, struct err *e) {
    size_t n = p->n, total = 4 * n + 2 * p->D * p->kp + 2 * p->kp;
    double *m = *block = mem_array(total, sizeof *m, "k-means", e);
    r->count = m ? mem_array(p->k, sizeof *r->count, "k-means", e) : NULL;
    r->label = r->count ? mem_array(n, sizeof *r->label, "k-means", e) : NULL;
    if (!r->label) return ERR_MEMORY;
    r->upper = m, r->lower = m + n, r->near = m + 2 * n, r->trial = m + 3 * n, m += 4 * n;
    r->centre = m, r->sum = m + p->D * p->kp, m += 2 * p->D * p->kp;
    r->half = m, r->acc = m + p->kp;
    return 0;
}

static void set_centre(const struct problem *p, struct run *r, size_t j, const double *c) {
    for (size_t d = 0; d < p->D; d++) r->centre[d * p->kp + j] = c[d];
}

/* Greedy k-means++: of several candidates drawn with probability proportional to `near`, the one that leaves the least. */
static void plus_plus(const struct problem *p, struct run *r, size_t start) {
    size_t n = p->n, trials = 2 + (size_t)log((double)p->k);
    uint64_t stream = STREAM + start, ctr = 0;
    size_t first = (size_t)rng_below(p->seed, stream, ctr++, n);
    set_centre(p, r, 0, p->x + first * p->D);
    to_point(p, p->x + first * p->D, r->near);
    for (size_t j = 1; j < p->k; j++) {
        double pot = 0, best_pot = INFINITY;
        size_t best = 0;
        for (size_t i = 0; i < n; i++) pot += r->near[i];
        for (size_t t = 0; t < trials; t++) {
            double aim = rng_uniform(p->seed, stream, ctr++) * pot, left = 0, sum = 0;
            size_t c = 0;
            while (c + 1 < n && !(sum + r->near[c] > aim)) sum += r->near[c++];
            to_point(p, p->x + c * p->D, r->trial);
            for (size_t i = 0; i < n; i++) left += r->trial[i] < r->near[i] ? r->trial[i] : r->near[i];
            if (left < best_pot) best_pot = left, best = c;
        }
        set_centre(p, r, j, p->x + best * p->D);
        to_point(p, p->x + best * p->D, r->trial);
        for (size_t i = 0; i < n; i++) r->near[i] = r->trial[i] < r->near[i] ? r->trial[i] : r->near[i];
    }
}

/* Nearest centre of point i, ties to the lower number; bounds set to the exact distances. */
static void assign(const struct problem *p, struct run *r, size_t i) {
    size_t a = 0;
    double d1 = INFINITY, d2 = INFINITY;
    to_centres(p, r, i);
    for (size_t j = 0; j < p->k; j++) {
        double d = r->acc[j];
        if (d < d1)
            d2 = d1, d1 = d, a = j;
        else if (d < d2)
            d2 = d;
    }
    r->label[i] = (int32_t)a;
    r->upper[i] = sqrt(d1);
    r->lower[i] = sqrt(d2);
}

static void sums(const struct problem *p, struct run *r) {
    memset(r->sum, 0, p->k * p->D * sizeof *r->sum);
    memset(r->count, 0, p->k * sizeof *r->count);
    for (size_t i = 0; i < p->n; i++) {
        double *s = r->sum + (size_t)r->label[i] * p->D;
        for (size_t d = 0; d < p->D; d++) s[d] += p->x[i * p->D + d];
        r->count[r->label[i]]++;
    }
}

/* Own squared distance of point i, to the centres as they stand. */
static double own(const struct problem *p, const struct run *r, size_t i) {
    double s = 0;
    for (size_t d = 0; d < p->D; d++) s += pow(p->x[i * p->D + d] - r->centre[d * p->kp + (size_t)r->label[i]], 2);
    return s;
}

/* Give each empty cluster the point farthest from its centre; true if any moved. */
static int refill(const struct problem *p, struct run *r) {
    int moved = 0;
    for (size_t j = 0; j < p->k; j++) {
        size_t far = 0;
        double most = 0;
        if (r->count[j]) continue;
        for (size_t i = 0; i < p->n; i++) {
            double d = r->count[r->label[i]] > 1 ? own(p, r, i) : 0;
            if (d > most) most = d, far = i;
        }
        if (!(most > 0)) continue;
        r->count[r->label[far]]--, r->count[j]++;
        r->label[far] = (int32_t)j;
        set_centre(p, r, j, p->x + far * p->D);
        moved = 1;
    }
    if (moved) sums(p, r);
    return moved;
}

/* Centres to the means of their points; bounds follow by the triangle inequality. */
static void move_centres(const struct problem *p, struct run *r, int reset) {
    double most = 0, second = 0;
    size_t who = p->k;
    for (size_t j = 0; j < p->k; j++) {
        double shift = 0;
        for (size_t d = 0; d < p->D && r->count[j]; d++) {
            double c = r->sum[j * p->D + d] / (double)r->count[j], v = c - r->centre[d * p->kp + j];
            r->centre[d * p->kp + j] = c;
            shift += v * v;
        }
        r->half[j] = sqrt(shift); /* borrowed until nearest_others */
        if (r->half[j] > most)
            second = most, most = r->half[j], who = j;
        else if (r->half[j] > second)
            second = r->half[j];
    }
    for (size_t i = 0; i < p->n; i++) {
        r->upper[i] = reset ? INFINITY : r->upper[i] + r->half[r->label[i]];
        r->lower[i] = reset ? 0 : r->lower[i] - ((size_t)r->label[i] == who ? second : most);
    }
}

static void nearest_others(const struct problem *p, struct run *r) {
    for (size_t j = 0; j < p->k; j++) {
        double least = INFINITY;
        for (size_t o = 0; o < p->k; o++) {
            double s = 0;
            for (size_t d = 0; d < p->D; d++) s += pow(r->centre[d * p->kp + j] - r->centre[d * p->kp + o], 2);
            if (o != j && s < least) least = s;
        }
        r->half[j] = sqrt(least) / 2;
    }
}

/* Lloyd's iteration from the centres (given == NULL) or from the labels; returns the inertia. */
static double lloyd(const struct problem *p, struct run *r, const int32_t *given) {
    double inertia = 0;
    if (given)
        memcpy(r->label, given, p->n * sizeof *given);
    else
        for (size_t i = 0; i < p->n; i++) assign(p, r, i);
    for (int it = 0; it < LLOYD; it++) {
        size_t changed = 0;
        sums(p, r);
        if (given && !it) move_centres(p, r, 1); /* refill needs centres to measure from */
        int moved = refill(p, r);
        move_centres(p, r, moved || (given && !it));
        nearest_others(p, r);
        for (size_t i = 0; i < p->n; i++) {
            int32_t a = r->label[i];
            double bound = r->half[a] > r->lower[i] ? r->half[a] : r->lower[i];
            if (r->upper[i] <= bound) continue;
            r->upper[i] = sqrt(own(p, r, i));
            if (r->upper[i] <= bound) continue;
            assign(p, r, i);
            changed += r->label[i] != a;
        }
        if (!changed && !moved) break;
    }
    for (size_t i = 0; i < p->n; i++) inertia += own(p, r, i);
    return inertia;
}

int kmeans_by_size(int32_t *label, size_t n, size_t k, size_t *size, struct err *e) {
    size_t *first = mem_array(3 * k, sizeof *first, "k-means", e), *count = first + k, *rank = first + 2 * k;
    if (!first) return ERR_MEMORY;
    for (size_t i = n; i-- > 0;)
        if (label[i] >= 0) first[label[i]] = i, count[label[i]]++;
    for (size_t j = 0; j < k; j++) { /* rank = clusters that come before */
        for (size_t o = 0; o < k; o++)
            rank[j] +=
                count[o] > count[j] || (count[o] == count[j] && o != j && (count[j] ? first[o] < first[j] : o < j));
        size[rank[j]] = count[j];
    }
    for (size_t i = 0; i < n; i++)
        if (label[i] >= 0) label[i] = (int32_t)rank[label[i]];
    free(first);
    return 0;
}

/* All starts; best[] keeps each one's labels until the winner is known. */
static int all_starts(const struct problem *p, size_t restarts, const int32_t *given, int32_t *best, double *inertia,
                      struct err *e) {
    size_t starts = restarts + (given != NULL);
    int rc = 0;
#pragma omp parallel for schedule(dynamic)
    for (size_t s = 0; s < starts; s++) {
        struct run r = {0};
        double *block = NULL;
        struct err mine = {0};
        if (run_init(&r, p, &block, &mine)) {
#pragma omp critical
            {
                rc = ERR_MEMORY;
                if (e) *e = mine;
            }
        } else {
            if (s < restarts) plus_plus(p, &r, s);
            inertia[s] = lloyd(p, &r, s < restarts ? NULL : given);
            memcpy(best + s * p->n, r.label, p->n * sizeof *best);
        }
        free(block), free(r.count), free(r.label);
    }
    return rc;
}

int kmeans_run(const double *x, size_t n, size_t D, size_t k, size_t restarts, uint64_t seed, const int32_t *given,
               int32_t *label, struct kmeans_report *report, struct err *e) {
    struct problem p = {.x = x, .n = n, .D = D, .k = k, .kp = (k + 7) / 8 * 8, .seed = seed};
    size_t starts = restarts + (given != NULL), win = 0, all;
    if (k < 1 || k > n) return err_set(e, ERR_RANGE, "k-means: want 1 to %zu clusters, got %zu", n, k);
    CHECK(starts > 0);
    for (size_t i = 0; i < n * D; i++)
        if (!isfinite(x[i])) return err_set(e, ERR_NUMERIC, "k-means: point %zu has NaN or Inf", i / D);
    if (!size_product(starts, n, 1, &all)) all = SIZE_MAX;
    double *xt = mem_array(n * D, sizeof *xt, "k-means", e);
    p.xt = xt;
    for (size_t i = 0; xt && i < n; i++)
        for (size_t d = 0; d < D; d++) xt[d * n + i] = x[i * D + d];
    int32_t *best = xt ? mem_array(all, sizeof *best, "k-means", e) : NULL;
    double *inertia = best ? mem_array(starts, sizeof *inertia, "k-means", e) : NULL;
    size_t *size = inertia ? mem_array(k, sizeof *size, "k-means", e) : NULL;
    int rc = size ? all_starts(&p, restarts, given, best, inertia, e) : ERR_MEMORY;
    if (!rc) {
        for (size_t s = 1; s < starts; s++)
            if (inertia[s] < inertia[win]) win = s;
        memcpy(label, best + win * n, n * sizeof *label);
        rc = kmeans_by_size(label, n, k, size, e);
        *report = (struct kmeans_report){inertia[win], (int)win};
    }
    free(xt), free(best), free(inertia), free(size);
    return rc;
}
