/* adam_ref.c - the definition; see adam.h. */
#include "kernels/sae/adam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"

static void update(const struct adam *o, double b2, double g, float *p, float *m, float *v) {
    double b1 = (double)o->beta1, first = g;
    if (m) {
        first = b1 * (double)*m + (double)o->rest1 * g;
        *m = (float)first;
    }
    double second = b2 * (double)*v + (double)o->rest2 * g * g;
    *v = (float)second;
    *p = (float)((double)*p - (double)o->rate * first / (sqrt(second) + (double)o->guard));
}

static void enc_row(const struct adam_state *s, size_t f, double beta2, const double *g_enc, double g_b) {
    for (size_t d = 0; d < s->D; d++) {
        const size_t i = f * s->D + d;
        s->gb_dec[d] -= g_b * (double)s->p.W_enc[i];
        update(&s->o, beta2, g_enc[d], s->p.W_enc + i, s->m.W_enc ? s->m.W_enc + i : NULL, s->v.W_enc + i);
    }
}

static void dec_row(const struct adam_state *s, size_t f, double beta2, const double *g_dec) {
    const size_t D = s->D;
    float *wd = s->p.W_dec + f * D;
    double along = 0, norm2 = 0;
    for (size_t d = 0; d < D; d++) along += g_dec[d] * (double)wd[d];
    for (size_t d = 0; d < D; d++) {
        const size_t i = f * D + d;
        const double g = g_dec[d] - along * (double)wd[d];
        update(&s->o, beta2, g, s->p.W_dec + i, s->m.W_dec ? s->m.W_dec + i : NULL, s->v.W_dec + i);
    }
    for (size_t d = 0; d < D; d++) norm2 += (double)wd[d] * (double)wd[d];
    for (size_t d = 0; d < D; d++) wd[d] = (float)((double)wd[d] / sqrt(norm2));
}

/* g_enc is spoiled. */
static void feature(const struct adam_state *s, size_t f, double *g_enc, const double *g_dec, double g_b,
                    double g_theta, int fired) {
    const struct adam *o = &s->o;
    const double beta2 = (double)o->beta2;
    const struct adam_turn turn = adam_turn(o, s->m.W_enc, fired, s->steps_idle[f]);
    if (turn.dead) {
        for (size_t d = 0; d < s->D; d++) g_enc[d] -= (double)o->pre_act * (double)o->mean[d];
        g_b -= (double)o->pre_act, g_theta += (double)o->pre_theta;
    }
    if (turn.enc) enc_row(s, f, pow(beta2, (double)turn.idle_enc + 1), g_enc, g_b);
    if (turn.dec) dec_row(s, f, pow(beta2, (double)turn.idle_dec + 1), g_dec);
    if (!o->lazy || turn.enc) update(o, beta2, g_b, s->p.b_enc + f, s->m.b_enc ? s->m.b_enc + f : NULL, s->v.b_enc + f);
    if (!o->lazy || g_theta != 0)
        update(o, beta2, g_theta, s->p.theta + f, s->m.theta ? s->m.theta + f : NULL, s->v.theta + f);
    s->steps_idle[f] = fired ? 0 : s->steps_idle[f] + 1;
}

void adam_sparse_ref(const struct adam_state *s, const struct adam_entries *e) {
    const size_t D = s->D;
    double *g = mem_array(2 * D, sizeof *g, "adam", NULL);
    CHECK(g);
    memset(s->gb_dec, 0, D * sizeof *s->gb_dec);
    for (size_t f = 0; f < s->F; f++) {
        double g_b = 0, g_theta = 0;
        int fired = 0;
        memset(g, 0, 2 * D * sizeof *g);
        for (size_t i = e->by.first[f]; i < e->by.first[f + 1]; i++) {
            const size_t b = e->by.row[i], n = e->by.entry[i];
            g_b += (double)e->dpre[n], g_theta += (double)e->dtheta[n], fired |= e->z[n] != 0;
            for (size_t d = 0; d < D; d++) g[d] += (double)e->dpre[n] * (double)e->xc[b * D + d];
            for (size_t v = 0; v < e->views.n; v++)
                for (size_t d = 0; d < D && f < e->views.at[v].features; d++)
                    g[D + d] += (double)e->z[n] * (double)e->G[(v * e->B + b) * D + d];
        }
        feature(s, f, g, g + D, g_b, g_theta, fired);
    }
    free(g);
}

void adam_dense_ref(const struct adam_state *s, const struct sae_arrays *g, const uint32_t *fired) {
    const size_t D = s->D;
    double *row = mem_array(2 * D, sizeof *row, "adam", NULL);
    CHECK(row);
    memset(s->gb_dec, 0, D * sizeof *s->gb_dec);
    for (size_t f = 0; f < s->F; f++) {
        for (size_t d = 0; d < D; d++) row[d] = (double)g->W_enc[f * D + d], row[D + d] = (double)g->W_dec[f * D + d];
        feature(s, f, row, row + D, (double)g->b_enc[f], (double)g->theta[f], fired[f] > 0);
    }
    free(row);
}
