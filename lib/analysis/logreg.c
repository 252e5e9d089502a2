/* logreg.c - see logreg.h. */
#include "lib/analysis/logreg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/analysis/rowdot.h"
#include "lib/base/arena.h"

enum { SLABS = 16, PAIRS = 10, STEPS = 1000, HALVINGS = 40 };

/* The problem and the scratch of one evaluation. */
struct problem {
    const float *x;
    const int32_t *y;
    size_t n, D, k, planes;
    double C;
    double *partial; /* [SLABS, planes*(D+1) + 1] gradient and loss of a slab */
    double *score;   /* [SLABS, planes] */
};

static size_t planes_of(size_t k) { return k == 2 ? 1 : k; }
static size_t stride(const struct problem *p) { return p->planes * (p->D + 1) + 1; }

static int problem_init(struct problem *p, struct err *e) {
    size_t elems;
    p->planes = planes_of(p->k);
    if (!size_product(p->planes, p->D + 1, SLABS, &elems) || elems > SIZE_MAX - SLABS) elems = SIZE_MAX - SLABS;
    p->partial = mem_array(elems + SLABS, sizeof *p->partial, "logistic regression", e);
    p->score = p->partial ? mem_array(SLABS * p->planes, sizeof *p->score, "logistic regression", e) : NULL;
    return p->score ? 0 : ERR_MEMORY;
}

static void problem_free(struct problem *p) { free(p->partial), free(p->score); }

/* log(1 + exp(-t)) without overflow. */
static double log1p_exp(double t) { return t > 0 ? log1p(exp(-t)) : -t + log1p(exp(t)); }

/* score := scores of one row; returns its loss and leaves dloss/dscore there. */
static double row_loss(const struct problem *p, size_t i, double *score) {
    if (p->planes == 1) {
        double s = p->y[i] == 1 ? 1 : -1, t = s * score[0];
        score[0] = -s / (1 + exp(t));
        return log1p_exp(t);
    }
    double top = -INFINITY, sum = 0, own = score[p->y[i]];
    for (size_t c = 0; c < p->k; c++) top = fmax(top, score[c]);
    for (size_t c = 0; c < p->k; c++) sum += exp(score[c] - top);
    for (size_t c = 0; c < p->k; c++) score[c] = exp(score[c] - top) / sum - (p->y[i] == (int32_t)c);
    return log(sum) + top - own;
}

static void slab(const struct problem *p, size_t s, const double *w) {
    size_t first = p->n * s / SLABS, last = p->n * (s + 1) / SLABS, W = p->D + 1;
    double *g = p->partial + s * stride(p), *score = p->score + s * p->planes;
    memset(g, 0, stride(p) * sizeof *g);
    for (size_t i = first; i < last; i++) {
        const float *x = p->x + i * p->D;
        for (size_t c = 0; c < p->planes; c++) score[c] = w[c * W + p->D] + rowdot_cpu(p->D, x, w + c * W);
        g[p->planes * W] += row_loss(p, i, score);
        for (size_t c = 0; c < p->planes; c++) {
            rowdot_add_cpu(p->D, score[c], x, g + c * W);
            g[c * W + p->D] += score[c];
        }
    }
}

static double evaluate(const struct problem *p, const double *w, double *g) {
    size_t W = p->D + 1, all = p->planes * W;
    double loss = 0, norm2 = 0;
#pragma omp parallel for schedule(dynamic)
    for (size_t s = 0; s < SLABS; s++) slab(p, s, w);
    for (size_t s = 0; s < SLABS; s++) loss += p->partial[s * stride(p) + all];
#pragma omp parallel for schedule(static) if (all > 4096)
    for (size_t i = 0; i < all; i++) {
        double sum = 0;
        for (size_t s = 0; s < SLABS; s++) sum += p->partial[s * stride(p) + i];
        g[i] = p->C * sum + ((i + 1) % W ? w[i] : 0);
    }
    for (size_t i = 0; i < all; i++)
        if ((i + 1) % W) norm2 += w[i] * w[i];
    return p->C * loss + norm2 / 2;
}

int logreg_objective(const float *x, const int32_t *y, size_t n, size_t D, size_t k, double C, const double *w,
                     double *loss, double *g, struct err *e) {
    struct problem p = {.x = x, .y = y, .n = n, .D = D, .k = k, .C = C};
    int rc = problem_init(&p, e);
    if (!rc) *loss = evaluate(&p, w, g);
    problem_free(&p);
    return rc;
}

/* ---- L-BFGS ---- */

struct descent {
    size_t n, pairs;               /* unknowns; pairs kept, the newest at (pairs-1) % PAIRS */
    double *w, *g, *next, *g_next; /* [n] */
    double *direction, *s, *y;     /* [n], [PAIRS,n] */
    double rho[PAIRS];
};

static double dot(size_t n, const double *a, const double *b) {
    double s = 0;
    for (size_t i = 0; i < n; i++) s += a[i] * b[i];
    return s;
}

static void set_direction(struct descent *d) {
    double alpha[PAIRS];
    size_t n = d->n, kept = d->pairs < PAIRS ? d->pairs : PAIRS;
    for (size_t i = 0; i < n; i++) d->direction[i] = -d->g[i];
    for (size_t j = 0; j < kept; j++) {
        size_t at = (d->pairs - 1 - j) % PAIRS;
        alpha[at] = d->rho[at] * dot(n, d->s + at * n, d->direction);
        for (size_t i = 0; i < n; i++) d->direction[i] -= alpha[at] * d->y[at * n + i];
    }
    double scale = 1 / (1 + sqrt(dot(n, d->g, d->g)));
    if (kept) {
        const double *y = d->y + (d->pairs - 1) % PAIRS * n;
        scale = 1 / (d->rho[(d->pairs - 1) % PAIRS] * dot(n, y, y));
    }
    for (size_t i = 0; i < n; i++) d->direction[i] *= scale;
    for (size_t j = kept; j-- > 0;) {
        size_t at = (d->pairs - 1 - j) % PAIRS;
        double beta = d->rho[at] * dot(n, d->y + at * n, d->direction);
        for (size_t i = 0; i < n; i++) d->direction[i] += (alpha[at] - beta) * d->s[at * n + i];
    }
}

static void remember(struct descent *d) {
    size_t n = d->n, at = d->pairs % PAIRS;
    double *s = d->s + at * n, *y = d->y + at * n;
    for (size_t i = 0; i < n; i++) s[i] = d->next[i] - d->w[i], y[i] = d->g_next[i] - d->g[i];
    double sy = dot(n, s, y);
    if (!(sy > 1e-300)) return; /* no curvature seen along this step */
    d->rho[at] = 1 / sy;
    d->pairs++;
}

static double steepest(const struct descent *d) {
    double top = 0;
    for (size_t i = 0; i < d->n; i++)
        if (!(fabs(d->g[i]) <= top)) top = fabs(d->g[i]);
    return top;
}

/* One step that lowers the loss by the rule of Armijo or, where the loss is flat to rounding, the gradient; false when neither can be. */
static bool step(struct descent *d, const struct problem *p, double *loss, size_t *evaluations) {
    set_direction(d);
    double slope = dot(d->n, d->g, d->direction), t = 1;
    for (int h = 0; h < HALVINGS; h++, t /= 2) {
        for (size_t i = 0; i < d->n; i++) d->next[i] = d->w[i] + t * d->direction[i];
        double now = evaluate(p, d->next, d->g_next);
        ++*evaluations;
        bool flat = fabs(now - *loss) <= 1e-14 * *loss && dot(d->n, d->g_next, d->g_next) < dot(d->n, d->g, d->g);
        if (!(now <= *loss + 1e-4 * t * slope) && !flat) continue;
        remember(d);
        *loss = now;
        double *swap = d->w;
        d->w = d->next, d->next = swap;
        swap = d->g, d->g = d->g_next, d->g_next = swap;
        return true;
    }
    return false;
}

static int minimise(const struct problem *p, double tol, struct logreg *m, struct err *e) {
    struct descent d = {.n = p->planes * (p->D + 1)};
    size_t elems;
    if (!size_product(d.n, 5 + 2 * PAIRS, 1, &elems)) elems = SIZE_MAX;
    double *all = mem_array(elems, sizeof *all, "logistic regression", e), scale = p->C * (double)p->n;
    if (!all) return ERR_MEMORY;
    d.w = all, d.g = all + d.n, d.next = d.g + d.n, d.g_next = d.next + d.n, d.direction = d.g_next + d.n;
    d.s = d.direction + d.n, d.y = d.s + PAIRS * d.n;
    m->loss = evaluate(p, d.w, d.g);
    m->evaluations = 1;
    int rc = 0;
    for (size_t i = 0; !rc && isfinite(m->loss) && steepest(&d) > tol * scale; i++) {
        bool better = i < STEPS && step(&d, p, &m->loss, &m->evaluations);
        if (better || (i < STEPS && steepest(&d) <= 1e3 * tol * scale)) {
            if (better) continue;
            break; /* the loss is flat to rounding: as good as it gets */
        }
        rc = err_set(e, ERR_NUMERIC,
                     "logistic regression: no convergence: want a derivative of %.1e, got %.1e after %zu evaluations",
                     tol, steepest(&d) / scale, m->evaluations);
        err_hint(e, "a lower C (now %g) makes the problem easier", p->C);
    }
    if (!rc && !isfinite(m->loss)) rc = err_set(e, ERR_NUMERIC, "logistic regression: the rows hold NaN or Inf");
    m->gradient = steepest(&d) / scale;
    if (!rc) memcpy(m->w, d.w, d.n * sizeof *m->w);
    free(all);
    return rc;
}

int logreg_fit(const float *x, const int32_t *y, size_t n, size_t D, size_t k, double C, double tol, struct logreg *out,
               struct err *e) {
    struct problem p = {.x = x, .y = y, .n = n, .D = D, .k = k, .C = C};
    *out = (struct logreg){.k = k, .D = D, .planes = planes_of(k)};
    size_t others = 0;
    for (size_t i = 0; i < n; i++) {
        if (y[i] < 0 || (size_t)y[i] >= k)
            return err_set(e, ERR_RANGE, "logistic regression: row %zu has class %d: want 0 to %zu", i, y[i], k - 1);
        others += y[i] != y[0];
    }
    if (!others) {
        err_set(e, ERR_RANGE, "logistic regression: want rows of at least two classes, got %zu rows of one", n);
        return err_hint(e, "there is nothing to tell apart");
    }
    int rc = problem_init(&p, e);
    out->w = rc ? NULL : mem_array(p.planes * (D + 1), sizeof *out->w, "logistic regression", e);
    if (!rc && !out->w) rc = ERR_MEMORY;
    if (!rc) rc = minimise(&p, tol, out, e);
    problem_free(&p);
    if (rc) logreg_free(out);
    return rc;
}

void logreg_free(struct logreg *m) {
    free(m->w);
    *m = (struct logreg){0};
}

int32_t logreg_predict(const struct logreg *m, const float *x) {
    size_t W = m->D + 1, best = 0;
    double top = -INFINITY;
    for (size_t c = 0; c < m->planes; c++) {
        double score = m->w[c * W + m->D] + rowdot_cpu(m->D, x, m->w + c * W);
        if (m->planes == 1) return score > 0;
        if (score > top) top = score, best = c;
    }
    return (int32_t)best;
}

int logreg_balanced(const struct logreg *m, const float *x, const int32_t *y, size_t n, double *accuracy,
                    struct err *e) {
    size_t *right = mem_array(2 * m->k, sizeof *right, "logistic regression", e), *rows = right + m->k, present = 0;
    double sum = 0;
    if (!right) return ERR_MEMORY;
    for (size_t i = 0; i < n; i++) rows[y[i]]++, right[y[i]] += logreg_predict(m, x + i * m->D) == y[i];
    for (size_t c = 0; c < m->k; c++)
        if (rows[c]) sum += (double)right[c] / (double)rows[c], present++;
    *accuracy = sum / (double)present;
    free(right);
    return 0;
}
