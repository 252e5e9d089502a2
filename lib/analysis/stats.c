/* stats.c - see stats.h. */
#include "lib/analysis/stats.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/rng.h"

/* The objects that count and their table. */
struct table {
    size_t ka, kb, n;
    int32_t *a, *b;    /* [n] labels, both >= 0 */
    uint64_t *na, *nb; /* margins */
};

static void table_free(struct table *t) {
    free(t->a), free(t->b), free(t->na), free(t->nb);
    *t = (struct table){0};
}

static int table_init(struct table *t, const int32_t *a, size_t ka, const int32_t *b, size_t kb, size_t n,
                      struct err *e) {
    *t = (struct table){.ka = ka, .kb = kb};
    t->a = mem_array(n, sizeof *t->a, "statistics", e);
    t->b = t->a ? mem_array(n, sizeof *t->b, "statistics", e) : NULL;
    t->na = t->b ? mem_array(ka, sizeof *t->na, "statistics", e) : NULL;
    t->nb = t->na ? mem_array(kb, sizeof *t->nb, "statistics", e) : NULL;
    int rc = t->nb ? 0 : ERR_MEMORY;
    for (size_t i = 0; !rc && i < n; i++) {
        if (a[i] < 0 || b[i] < 0) continue;
        if ((size_t)a[i] >= ka || (size_t)b[i] >= kb)
            rc = err_set(e, ERR_RANGE, "statistics: object %zu has labels %d and %d, want below %zu and %zu", i, a[i],
                         b[i], ka, kb);
        else {
            t->a[t->n] = a[i], t->b[t->n++] = b[i];
            t->na[a[i]]++, t->nb[b[i]]++;
        }
    }
    if (rc) table_free(t);
    return rc;
}

static size_t filled(const uint64_t *margin, size_t k) {
    size_t m = 0;
    for (size_t i = 0; i < k; i++) m += margin[i] > 0;
    return m;
}

static double entropy(const uint64_t *margin, size_t k, double n) {
    double h = 0;
    for (size_t i = 0; i < k; i++)
        if (margin[i]) h -= (double)margin[i] / n * log((double)margin[i] / n);
    return h;
}

static double mutual(const struct table *t, const uint64_t *n_ab) {
    double n = (double)t->n, mi = 0;
    for (size_t i = 0; i < t->ka; i++)
        for (size_t j = 0; j < t->kb; j++) {
            double m = (double)n_ab[i * t->kb + j];
            if (m > 0) mi += m / n * (log(m) + log(n) - log((double)t->na[i]) - log((double)t->nb[j]));
        }
    return mi > 0 ? mi : 0;
}

/* E[MI] over all tables with these margins. The hypergeometric weights of a cell follow one another by recurrence, as logarithms, so that
 * no factorial overflows. */
static double expected_mutual(const struct table *t) {
    double n = (double)t->n, emi = 0;
    for (size_t i = 0; i < t->ka; i++)
        for (size_t j = 0; j < t->kb; j++) {
            double a = (double)t->na[i], b = (double)t->nb[j];
            if (!(a > 0 && b > 0)) continue;
            double lo = a + b - n > 1 ? a + b - n : 1, hi = a < b ? a : b;
            double lg = lgamma(a + 1) + lgamma(b + 1) + lgamma(n - a + 1) + lgamma(n - b + 1) - lgamma(n + 1) -
                        lgamma(lo + 1) - lgamma(a - lo + 1) - lgamma(b - lo + 1) - lgamma(n - a - b + lo + 1);
            for (double m = lo; m <= hi; m++) {
                emi += m / n * log(n * m / (a * b)) * exp(lg);
                lg += log(a - m) + log(b - m) - log(m + 1) - log(n - a - b + m + 1); /* -inf past hi: not used */
            }
        }
    return emi;
}

struct ami_frame {
    double emi, above_chance; /* E[MI]; mean entropy less E[MI] */
    int fixed;                /* the value is `constant` whatever the table */
    double constant;
};

static void ami_prepare(const struct table *t, struct ami_frame *f) {
    size_t fa = filled(t->na, t->ka), fb = filled(t->nb, t->kb);
    *f = (struct ami_frame){0};
    if (fa <= 1 || fb <= 1) {
        f->fixed = 1, f->constant = fa == fb;
        return;
    }
    f->emi = expected_mutual(t);
    f->above_chance = (entropy(t->na, t->ka, (double)t->n) + entropy(t->nb, t->kb, (double)t->n)) / 2 - f->emi;
    f->above_chance = f->above_chance < 0 ? fmin(f->above_chance, -DBL_EPSILON) : fmax(f->above_chance, DBL_EPSILON);
}

static double ami_of(const struct table *t, const struct ami_frame *f, const uint64_t *n_ab) {
    double over = mutual(t, n_ab) - f->emi;
    if (f->fixed) return f->constant;
    return (over < 0 ? fmin(over, -DBL_EPSILON) : fmax(over, DBL_EPSILON)) / f->above_chance;
}

static double pairs2(uint64_t m) { return (double)m * ((double)m - 1) / 2; }

static double ari_of(const struct table *t, const uint64_t *n_ab) {
    double both = 0, a = 0, b = 0, all = pairs2(t->n);
    for (size_t i = 0; i < t->ka * t->kb; i++) both += pairs2(n_ab[i]);
    for (size_t i = 0; i < t->ka; i++) a += pairs2(t->na[i]);
    for (size_t i = 0; i < t->kb; i++) b += pairs2(t->nb[i]);
    double expected = all > 0 ? a * b / all : 0, most = (a + b) / 2;
    return most - expected > 0 ? (both - expected) / (most - expected) : 1; /* both trivial in the same way */
}

void stats_against(double value, const double *draws, size_t n, struct stats_null *out) {
    double mean = 0, var = 0;
    for (size_t i = 0; i < n; i++) mean += draws[i] / (double)n;
    for (size_t i = 0; i < n; i++) var += (draws[i] - mean) * (draws[i] - mean) / (double)n;
    double std = sqrt(var);
    *out = (struct stats_null){value, n ? mean : NAN, n ? std : NAN, std > 1e-12 ? (value - mean) / std : NAN, n};
}

int stats_permute(const struct stats_job *j, struct stats_null *out, struct err *e) {
    size_t P = j->permutations;
    double *draws = mem_array(P + 1, sizeof *draws, "permutations", e);
    int rc = draws ? 0 : ERR_MEMORY;
#pragma omp parallel if (P > 0)
    {
        struct err mine = {0};
        uint32_t *order = mem_array(j->n, sizeof *order, "permutations", &mine);
        void *scratch = order ? mem_array(j->scratch_bytes, 1, "permutations", &mine) : NULL;
        if (!scratch)
#pragma omp critical
        {
            rc = ERR_MEMORY;
            if (e) *e = mine;
        }
#pragma omp barrier
#pragma omp for schedule(dynamic)
        for (size_t p = 0; p <= P; p++) {
            if (rc) continue;
            if (p) rng_shuffle(j->seed, (uint64_t)j->stream << 32 | (uint64_t)p, order, j->n);
            draws[p] = j->statistic(j->ctx, p ? order : NULL, scratch);
        }
        free(order);
        free(scratch);
    }
    if (!rc) stats_against(draws[0], draws + 1, P, out);
    free(draws);
    return rc;
}

struct table_job {
    const struct table *t;
    struct ami_frame frame;
    int ari;
};

static double table_statistic(const void *ctx, const uint32_t *order, void *scratch) {
    const struct table_job *j = ctx;
    const struct table *t = j->t;
    uint64_t *n_ab = scratch;
    memset(n_ab, 0, t->ka * t->kb * sizeof *n_ab);
    for (size_t i = 0; i < t->n; i++) n_ab[(size_t)t->a[i] * t->kb + (size_t)t->b[order ? order[i] : i]]++;
    return j->ari ? ari_of(t, n_ab) : ami_of(t, &j->frame, n_ab);
}

static int table_null(const int32_t *a, size_t ka, const int32_t *b, size_t kb, size_t n, int ari, size_t permutations,
                      uint64_t seed, uint32_t stream, struct stats_null *out, struct err *e) {
    struct table t;
    size_t bytes;
    int rc = table_init(&t, a, ka, b, kb, n, e);
    if (rc) return rc;
    if (!size_product(ka, kb, sizeof(uint64_t), &bytes)) bytes = SIZE_MAX;
    struct table_job job = {.t = &t, .ari = ari};
    if (!ari) ami_prepare(&t, &job.frame);
    rc = stats_permute(&(struct stats_job){table_statistic, &job, t.n, bytes, permutations, seed, stream}, out, e);
    table_free(&t);
    return rc;
}

int stats_ami_null(const int32_t *a, size_t ka, const int32_t *b, size_t kb, size_t n, size_t permutations,
                   uint64_t seed, uint32_t stream, struct stats_null *out, struct err *e) {
    return table_null(a, ka, b, kb, n, 0, permutations, seed, stream, out, e);
}

int stats_ari_null(const int32_t *a, size_t ka, const int32_t *b, size_t kb, size_t n, size_t permutations,
                   uint64_t seed, uint32_t stream, struct stats_null *out, struct err *e) {
    return table_null(a, ka, b, kb, n, 1, permutations, seed, stream, out, e);
}

int stats_ami(const int32_t *a, size_t ka, const int32_t *b, size_t kb, size_t n, double *ami, struct err *e) {
    struct stats_null s;
    int rc = table_null(a, ka, b, kb, n, 0, 0, 0, 0, &s, e);
    if (!rc) *ami = s.value;
    return rc;
}

int stats_ari(const int32_t *a, size_t ka, const int32_t *b, size_t kb, size_t n, double *ari, struct err *e) {
    struct stats_null s;
    int rc = table_null(a, ka, b, kb, n, 1, 0, 0, 0, &s, e);
    if (!rc) *ari = s.value;
    return rc;
}

struct neighbour_job {
    const int32_t *label, *neighbour;
    size_t n, stride, k;
};

static double neighbour_statistic(const void *ctx, const uint32_t *order, void *scratch) {
    const struct neighbour_job *j = ctx;
    int32_t *l = scratch;
    size_t same = 0;
    for (size_t i = 0; i < j->n; i++) l[i] = j->label[order ? order[i] : i];
    for (size_t i = 0; i < j->n; i++)
        for (size_t m = 0; m < j->k; m++) same += l[i] == l[j->neighbour[i * j->stride + m]];
    return (double)same / ((double)j->n * (double)j->k);
}

int stats_neighbour_null(const int32_t *label, size_t n, const int32_t *neighbour, size_t stride, size_t k,
                         size_t permutations, uint64_t seed, uint32_t stream, struct stats_null *out, struct err *e) {
    CHECK(n > 0 && k > 0 && k <= stride);
    const struct neighbour_job job = {label, neighbour, n, stride, k};
    return stats_permute(
        &(struct stats_job){neighbour_statistic, &job, n, n * sizeof(int32_t), permutations, seed, stream}, out, e);
}
