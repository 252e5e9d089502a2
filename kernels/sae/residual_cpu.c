/* residual_cpu.c - see residual.h. A row's decoder rows are read twice in a row, so the second time from cache. */
#include "kernels/sae/residual.h"

#include "kernels/base/isa.h"

ISA_INLINE void add_scaled_body(size_t D, float s, const float *restrict w, float *restrict r) {
    for (size_t d = 0; d < D; d++) r[d] += s * w[d];
}
ISA_FUNCTION(static, void, add_scaled, (size_t D, float s, const float *restrict w, float *restrict r), (D, s, w, r))

ISA_INLINE float dot_body(size_t D, const float *restrict v, const float *restrict w) {
    float s = 0;
#pragma omp simd reduction(+ : s)
    for (size_t d = 0; d < D; d++) s += v[d] * w[d];
    return s;
}
ISA_FUNCTION(static, float, dot, (size_t D, const float *restrict v, const float *restrict w), (D, v, w))

/* Returns |r|^2 and turns r into scale r. */
ISA_INLINE double square_and_scale_body(size_t D, float scale, float *restrict r) {
    double s = 0;
#pragma omp simd reduction(+ : s)
    for (size_t d = 0; d < D; d++) {
        s += (double)r[d] * (double)r[d];
        r[d] *= scale;
    }
    return s;
}
ISA_FUNCTION(static, double, square_and_scale, (size_t D, float scale, float *restrict r), (D, scale, r))

/* Row b of view v, before anything is added; and its share of the loss when all is. */
static float *view_begin(const struct residual *r, size_t b, size_t v) {
    float *G = r->G + (v * r->B + b) * r->D;
    for (size_t d = 0; d < r->D; d++) G[d] = r->b_dec[d] - r->x[b * r->D + d];
    return G;
}

static double view_close(const struct residual *r, size_t v, float *G) {
    const struct sae_view *view = &r->views.at[v];
    return (double)view->weight * square_and_scale(r->D, view_scale(view, r->B), G);
}

static void row(const struct residual *r, size_t b) {
    const size_t D = r->D, i0 = r->a.row[b], i1 = r->a.row[b + 1];
    struct sae_row_sums s = {0};
    size_t end[SAE_VIEWS];
    float *G = view_begin(r, b, 0);
    for (size_t i = i0; i < i1; i++) {
        const float z = activation_value(r->a.pre[i], r->theta[r->a.feat[i]]);
        r->z[i] = z;
        if (z == 0) continue;
        s.l0++;
        s.penalty += activation_penalty(&r->act, z);
        add_scaled(D, z, r->W_dec + r->a.feat[i] * D, G);
    }
    s.loss = view_close(r, 0, G);
    for (size_t v = 1; v < r->views.n; v++) {
        G = view_begin(r, b, v);
        end[v] = view_end(&r->views.at[v], r->F, r->a.feat, i0, i1);
        for (size_t i = i0; i < end[v]; i++)
            if (r->z[i] != 0) add_scaled(D, r->z[i], r->W_dec + r->a.feat[i] * D, G);
        s.loss += view_close(r, v, G);
    }
    for (size_t i = i0; i < i1; i++) {
        const float *w = r->W_dec + r->a.feat[i] * D;
        float g = dot(D, r->G + b * D, w);
        for (size_t v = 1; v < r->views.n; v++)
            if (i < end[v]) g += dot(D, r->G + (v * r->B + b) * D, w);
        activation_gradient(&r->act, r->a.pre[i], r->theta[r->a.feat[i]], g, &r->dpre[i], &r->dtheta[i]);
    }
    r->sums[b] = s;
}

void residual_cpu(const struct residual *r) {
#pragma omp parallel for schedule(dynamic, 16)
    for (size_t b = 0; b < r->B; b++) row(r, b);
}
