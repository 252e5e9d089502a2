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

static void enc_row(size_t D, size_t f, double beta2, const double *g_enc, double g_b, const struct adam *o,
                    struct sae_arrays *p, struct sae_arrays *v, struct sae_arrays *m, double *gb_dec) {
    for (size_t d = 0; d < D; d++) {
        size_t i = f * D + d;
        gb_dec[d] -= g_b * (double)p->W_enc[i];
        update(o, beta2, g_enc[d], p->W_enc + i, m->W_enc ? m->W_enc + i : NULL, v->W_enc + i);
    }
}

static void dec_row(size_t D, size_t f, double beta2, const double *g_dec, const struct adam *o, struct sae_arrays *p,
                    struct sae_arrays *v, struct sae_arrays *m) {
    float *wd = p->W_dec + f * D;
    double along = 0, norm2 = 0;
    for (size_t d = 0; d < D; d++) along += g_dec[d] * (double)wd[d];
    for (size_t d = 0; d < D; d++) {
        size_t i = f * D + d;
        double g = g_dec[d] - along * (double)wd[d];
        update(o, beta2, g, p->W_dec + i, m->W_dec ? m->W_dec + i : NULL, v->W_dec + i);
    }
    for (size_t d = 0; d < D; d++) norm2 += (double)wd[d] * (double)wd[d];
    for (size_t d = 0; d < D; d++) wd[d] = (float)((double)wd[d] / sqrt(norm2));
}

/* g_enc is spoiled. */
static void feature(size_t D, size_t f, double *g_enc, const double *g_dec, double g_b, double g_theta, int fired,
                    const struct adam *o, struct sae_arrays *p, struct sae_arrays *v, struct sae_arrays *m,
                    double *gb_dec, uint32_t *steps_idle) {
    const double beta2 = (double)o->beta2;
    const struct adam_turn turn = adam_turn(o, m->W_enc, fired, steps_idle[f]);
    if (turn.dead) {
        for (size_t d = 0; d < D; d++) g_enc[d] -= (double)o->pre_act * (double)o->mean[d];
        g_b -= (double)o->pre_act, g_theta += (double)o->pre_theta;
    }
    if (turn.enc) enc_row(D, f, pow(beta2, (double)turn.idle_enc + 1), g_enc, g_b, o, p, v, m, gb_dec);
    if (turn.dec) dec_row(D, f, pow(beta2, (double)turn.idle_dec + 1), g_dec, o, p, v, m);
    if (!o->lazy || turn.enc) update(o, beta2, g_b, p->b_enc + f, m->b_enc ? m->b_enc + f : NULL, v->b_enc + f);
    if (!o->lazy || g_theta != 0) update(o, beta2, g_theta, p->theta + f, m->theta ? m->theta + f : NULL, v->theta + f);
    steps_idle[f] = fired ? 0 : steps_idle[f] + 1;
}

void adam_sparse_ref(size_t D, size_t F, size_t B, const float *xc, const float *G, const struct byfeature *by,
                     const float *z, const float *dpre, const float *dtheta, const struct adam *o, struct sae_arrays *p,
                     struct sae_arrays *v, struct sae_arrays *m, double *gb_dec, uint32_t *steps_idle) {
    (void)B;
    double *g = mem_array(2 * D, sizeof *g, "adam", NULL);
    CHECK(g);
    memset(gb_dec, 0, D * sizeof *gb_dec);
    for (size_t f = 0; f < F; f++) {
        double g_b = 0, g_theta = 0;
        int fired = 0;
        memset(g, 0, 2 * D * sizeof *g);
        for (size_t i = by->first[f]; i < by->first[f + 1]; i++) {
            size_t b = by->row[i], n = by->entry[i];
            g_b += (double)dpre[n], g_theta += (double)dtheta[n], fired |= z[n] != 0;
            for (size_t d = 0; d < D; d++) {
                g[d] += (double)dpre[n] * (double)xc[b * D + d];
                g[D + d] += (double)z[n] * (double)G[b * D + d];
            }
        }
        feature(D, f, g, g + D, g_b, g_theta, fired, o, p, v, m, gb_dec, steps_idle);
    }
    free(g);
}

void adam_dense_ref(size_t D, size_t F, struct sae_arrays *g, const uint32_t *fired, const struct adam *o,
                    struct sae_arrays *p, struct sae_arrays *v, struct sae_arrays *m, double *gb_dec,
                    uint32_t *steps_idle) {
    double *row = mem_array(2 * D, sizeof *row, "adam", NULL);
    CHECK(row);
    memset(gb_dec, 0, D * sizeof *gb_dec);
    for (size_t f = 0; f < F; f++) {
        for (size_t d = 0; d < D; d++) row[d] = (double)g->W_enc[f * D + d], row[D + d] = (double)g->W_dec[f * D + d];
        feature(D, f, row, row + D, (double)g->b_enc[f], (double)g->theta[f], fired[f] > 0, o, p, v, m, gb_dec,
                steps_idle);
    }
    free(row);
}
