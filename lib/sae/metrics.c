/* metrics.c - see metrics.h. */
#include "lib/sae/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/arena.h"

const unsigned metrics_percent[METRICS_QUANTILES] = {5, 25, 50, 75, 95};

enum { BLOCK = 64, SLICE = 32 }; /* rows summed by one thread; columns summed by one thread */

struct sums { /* over rows */
    double e2, e2_centred, x2, dev2, y2, xy, ratio, cosine, l2_ratio, l0, l1;
    uint64_t n_ratio, n_zero, n_l2;
};

struct group_sums {
    double e2, x2, dev2, l0;
    uint64_t n;
};

struct metrics {
    size_t D, F, G;
    uint64_t n_means, n; /* rows of the first and of the second pass */
    double *mean;        /* [D] of x */
    double *group_mean;  /* [G,D]; sums until metrics_means_end */
    double *e_mean;      /* [D] of e so far */
    uint64_t *group_n;   /* [G] rows of the first pass */
    uint64_t *count;     /* [F] rows in which the feature fired */
    uint64_t *l0_rows;   /* [F+1] rows with that many active features */
    struct sums sum;
    struct group_sums *group; /* [G] */
};

int metrics_init(struct metrics **out, size_t D, size_t F, size_t n_groups, struct err *e) {
    struct metrics *m = *out = mem_array(1, sizeof *m, "metrics", e);
    if (!m) return ERR_MEMORY;
    m->D = D, m->F = F, m->G = n_groups;
    size_t table;
    bool fits = size_product(n_groups, D, 1, &table);
    m->mean = mem_array(D, sizeof *m->mean, "metrics: means", e);
    m->e_mean = mem_array(D, sizeof *m->e_mean, "metrics: means", e);
    m->group_mean = mem_array(fits ? table : SIZE_MAX, sizeof *m->group_mean, "metrics: means of groups", e);
    m->group_n = mem_array(n_groups, sizeof *m->group_n, "metrics: groups", e);
    m->group = mem_array(n_groups, sizeof *m->group, "metrics: groups", e);
    m->count = mem_array(F, sizeof *m->count, "metrics: counts", e);
    m->l0_rows = mem_array(F + 1, sizeof *m->l0_rows, "metrics: counts", e);
    if (m->mean && m->e_mean && m->group_mean && m->group_n && m->group && m->count && m->l0_rows) return 0;
    metrics_free(m);
    *out = NULL;
    return ERR_MEMORY;
}

void metrics_free(struct metrics *m) {
    if (!m) return;
    void *owned[] = {m->mean, m->e_mean, m->group_mean, m->group_n, m->group, m->count, m->l0_rows};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) free(owned[i]);
    free(m);
}

static int check_groups(const struct metrics *m, size_t B, const int32_t *group) {
    for (size_t b = 0; group && b < B; b++)
        if (group[b] < 0 || (size_t)group[b] >= m->G) return ERR_RANGE;
    return 0;
}

/* Columns go to threads, rows of a column are added in order. */
int metrics_means(struct metrics *m, size_t B, const float *x, const int32_t *group) {
    int rc = check_groups(m, B, group);
    if (rc) return rc;
    size_t D = m->D, slices = (D + SLICE - 1) / SLICE;
#pragma omp parallel for schedule(static)
    for (size_t s = 0; s < slices; s++) {
        size_t d1 = (s + 1) * SLICE < D ? (s + 1) * SLICE : D;
        for (size_t b = 0; b < B; b++) {
            double *sum = m->group_mean + (group ? (size_t)group[b] : 0) * D;
            for (size_t d = s * SLICE; d < d1; d++) sum[d] += (double)x[b * D + d];
        }
    }
    for (size_t b = 0; b < B; b++) m->group_n[group ? group[b] : 0]++;
    m->n_means += B;
    return 0;
}

void metrics_means_end(struct metrics *m) {
    for (size_t d = 0; d < m->D; d++) {
        double all = 0;
        for (size_t g = 0; g < m->G; g++) {
            double *sum = m->group_mean + g * m->D + d;
            all += *sum;
            if (m->group_n[g]) *sum /= (double)m->group_n[g];
        }
        m->mean[d] = m->n_means ? all / (double)m->n_means : 0;
    }
}

static void row_add(struct sums *s, struct group_sums *g, const struct measure_row *r, size_t l0, const float *z) {
    s->e2 += r->e2, s->e2_centred += r->e2_centred, s->x2 += r->x2, s->dev2 += r->dev2, s->y2 += r->y2, s->xy += r->xy;
    if (r->dev2 > 0) s->ratio += 1 - r->e2 / r->dev2, s->n_ratio++;
    if (r->x2 > 0 && r->y2 > 0)
        s->cosine += r->xy / (sqrt(r->x2) * sqrt(r->y2));
    else
        s->n_zero++;
    if (r->x2 > 0) s->l2_ratio += sqrt(r->y2) / sqrt(r->x2), s->n_l2++;
    s->l0 += (double)l0;
    for (size_t i = 0; i < l0; i++) s->l1 += (double)z[i];
    g->e2 += r->e2, g->x2 += r->x2, g->dev2 += r->group_dev2, g->l0 += (double)l0, g->n++;
}

static void sums_join(struct sums *a, const struct sums *b) {
    a->e2 += b->e2, a->x2 += b->x2, a->dev2 += b->dev2, a->y2 += b->y2, a->xy += b->xy, a->ratio += b->ratio;
    a->e2_centred += b->e2_centred, a->cosine += b->cosine, a->l2_ratio += b->l2_ratio, a->l0 += b->l0, a->l1 += b->l1;
    a->n_ratio += b->n_ratio, a->n_zero += b->n_zero, a->n_l2 += b->n_l2;
}

static void group_join(struct group_sums *a, const struct group_sums *b) {
    a->e2 += b->e2, a->x2 += b->x2, a->dev2 += b->dev2, a->l0 += b->l0, a->n += b->n;
}

/* Two sets of residuals, each summed about its own mean, become one (Chan, Golub and LeVeque 1983, eq. 2.1). */
static void residual_join(struct metrics *m, size_t B, const double *e_mean) {
    double na = (double)m->n, nb = (double)B, apart = 0;
    for (size_t d = 0; d < m->D; d++) {
        double delta = e_mean[d] - m->e_mean[d];
        apart += delta * delta;
        m->e_mean[d] += delta * nb / (na + nb);
    }
    m->sum.e2_centred += apart * na * nb / (na + nb);
}

const double *metrics_mean(const struct metrics *m) { return m->mean; }
const double *metrics_group_mean(const struct metrics *m) { return m->group_mean; }

int metrics_add(struct metrics *m, size_t B, const struct measure_row *row, const double *e_mean,
                const struct active *a, const int32_t *group) {
    if (!B) return 0;
    size_t blocks = (B + BLOCK - 1) / BLOCK, table, G = m->G;
    int rc = check_groups(m, B, group);
    if (rc) return rc;
    if (!size_product(blocks, G, 1, &table)) return ERR_MEMORY;
    struct sums *part = mem_array(blocks, sizeof *part, "metrics: blocks", NULL);
    struct group_sums *gpart = mem_array(table, sizeof *gpart, "metrics: blocks", NULL);
    rc = part && gpart ? 0 : ERR_MEMORY;
    if (!rc) {
#pragma omp parallel for schedule(static)
        for (size_t k = 0; k < blocks; k++)
            for (size_t b = k * BLOCK; b < (k + 1) * BLOCK && b < B; b++) {
                size_t g = group ? (size_t)group[b] : 0;
                row_add(&part[k], &gpart[k * G + g], &row[b], a->row[b + 1] - a->row[b], a->pre + a->row[b]);
            }
        for (size_t k = 0; k < blocks; k++) {
            sums_join(&m->sum, &part[k]);
            for (size_t g = 0; g < G; g++) group_join(&m->group[g], &gpart[k * G + g]);
        }
        residual_join(m, B, e_mean);
        for (size_t b = 0; b < B; b++) m->l0_rows[a->row[b + 1] - a->row[b]]++;
        for (size_t i = a->row[0]; i < a->row[B]; i++) m->count[a->feat[i]]++;
        m->n += B;
    }
    free(part);
    free(gpart);
    return rc;
}

static double ratio(double a, double b) { return b > 0 ? a / b : NAN; }

static void features_end(const struct metrics *m, struct metrics_result *r) {
    for (size_t f = 0; f < m->F; f++) {
        uint64_t c = m->count[f];
        r->dead += !c, r->above_1_percent += c * 100 > m->n, r->above_10_percent += c * 10 > m->n;
    }
    uint64_t seen = 0;
    int q = 0;
    for (size_t v = 0; v <= m->F; v++) {
        if (!m->l0_rows[v]) continue;
        seen += m->l0_rows[v];
        r->l0_max = v;
        while (q < METRICS_QUANTILES && seen * 100 >= metrics_percent[q] * m->n) r->l0_quantile[q++] = v;
    }
}

void metrics_end(const struct metrics *m, struct metrics_result *r, struct metrics_group *group) {
    const struct sums *s = &m->sum;
    double n = (double)m->n;
    *r = (struct metrics_result){.n = m->n, .rows_zero = s->n_zero, .rows_at_mean = m->n - s->n_ratio};
    r->fvu = ratio(s->e2, s->dev2);
    r->ev_uncentred = 1 - ratio(s->e2, s->x2);
    r->ev_centred = 1 - r->fvu;
    r->ev_residual_centred = 1 - ratio(s->e2_centred, s->dev2);
    r->ev_row_ratios = ratio(s->ratio, (double)s->n_ratio);
    r->mse = ratio(s->e2, n * (double)m->D);
    r->l0 = ratio(s->l0, n), r->l1 = ratio(s->l1, n);
    r->cosine = ratio(s->cosine, n), r->l2_ratio = ratio(s->l2_ratio, (double)s->n_l2);
    r->bias = s->xy != 0 ? s->y2 / s->xy : NAN;
    features_end(m, r);
    for (size_t g = 0; group && g < m->G; g++) {
        const struct group_sums *p = &m->group[g];
        group[g] = (struct metrics_group){p->n, 1 - ratio(p->e2, p->x2), 1 - ratio(p->e2, p->dev2),
                                          ratio(p->l0, (double)p->n)};
    }
}

const uint64_t *metrics_counts(const struct metrics *m) { return m->count; }
