/* residual_ref.c - the definition; see residual.h. */
#include "kernels/sae/residual.h"

/* Row b as view v sees it; returns its squared norm. */
static double view_row(const struct residual *r, size_t b, size_t v) {
    const struct sae_view *view = &r->views.at[v];
    float *G = r->G + (v * r->B + b) * r->D;
    double norm2 = 0;
    for (size_t d = 0; d < r->D; d++) {
        double s = (double)r->b_dec[d] - (double)r->x[b * r->D + d];
        for (size_t i = r->a.row[b]; i < r->a.row[b + 1]; i++)
            if (r->a.feat[i] < view->features) s += (double)r->z[i] * (double)r->W_dec[r->a.feat[i] * r->D + d];
        norm2 += s * s;
        G[d] = (float)(2.0 * (double)view->weight / (double)r->B * s);
    }
    return norm2;
}

static void entry(const struct residual *r, size_t b, size_t i) {
    const size_t f = r->a.feat[i];
    double g = 0;
    for (size_t v = 0; v < r->views.n; v++)
        for (size_t d = 0; d < r->D && f < r->views.at[v].features; d++)
            g += (double)r->G[(v * r->B + b) * r->D + d] * (double)r->W_dec[f * r->D + d];
    activation_gradient(&r->act, r->a.pre[i], r->theta[f], (float)g, &r->dpre[i], &r->dtheta[i]);
}

void residual_ref(const struct residual *r) {
    for (size_t b = 0; b < r->B; b++) {
        struct sae_row_sums s = {0};
        for (size_t i = r->a.row[b]; i < r->a.row[b + 1]; i++) {
            r->z[i] = activation_value(r->a.pre[i], r->theta[r->a.feat[i]]);
            s.l0 += r->z[i] != 0;
            s.penalty += activation_penalty(&r->act, r->z[i]);
        }
        for (size_t v = 0; v < r->views.n; v++) s.loss += (double)r->views.at[v].weight * view_row(r, b, v);
        for (size_t i = r->a.row[b]; i < r->a.row[b + 1]; i++) entry(r, b, i);
        r->sums[b] = s;
    }
}
