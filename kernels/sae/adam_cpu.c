/* adam_cpu.c - see adam.h. Features are cut into fixed blocks; a block's share of gb_dec is summed apart and the blocks are
 * added in order, so the bytes do not depend on the thread count. */
#include "kernels/sae/adam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/isa.h"
#include "lib/base/arena.h"

enum { BLOCK = 64 };

ISA_INLINE void add_two_body(size_t D, float s, const float *restrict a, float *restrict ga, float t,
                             const float *restrict b, float *restrict gb) {
    for (size_t d = 0; d < D; d++) {
        ga[d] += s * a[d];
        gb[d] += t * b[d];
    }
}
ISA_FUNCTION(static, void, add_two,
             (size_t D, float s, const float *restrict a, float *restrict ga, float t, const float *restrict b,
              float *restrict gb),
             (D, s, a, ga, t, b, gb))

ISA_INLINE void add_scaled_body(size_t D, float s, const float *restrict a, float *restrict g) {
    for (size_t d = 0; d < D; d++) g[d] += s * a[d];
}
ISA_FUNCTION(static, void, add_scaled, (size_t D, float s, const float *restrict a, float *restrict g), (D, s, a, g))

ISA_INLINE void project_body(size_t D, const float *restrict w, float *restrict g) {
    float s = 0;
#pragma omp simd reduction(+ : s)
    for (size_t d = 0; d < D; d++) s += w[d] * g[d];
    for (size_t d = 0; d < D; d++) g[d] -= s * w[d];
}
ISA_FUNCTION(static, void, project, (size_t D, const float *restrict w, float *restrict g), (D, w, g))

ISA_INLINE void adam_row_body(size_t D, const struct adam *o, float b2, const float *restrict g, float *restrict p,
                              float *restrict v) {
    const float rest2 = o->rest2, rate = o->rate, guard = o->guard;
    for (size_t d = 0; d < D; d++) {
        v[d] = b2 * v[d] + rest2 * g[d] * g[d];
        p[d] -= rate * g[d] / (__builtin_sqrtf(v[d]) + guard);
    }
}
ISA_FUNCTION(static, void, adam_row,
             (size_t D, const struct adam *o, float b2, const float *restrict g, float *restrict p, float *restrict v),
             (D, o, b2, g, p, v))

ISA_INLINE void adam_row_momentum_body(size_t D, const struct adam *o, const float *restrict g, float *restrict p,
                                       float *restrict v, float *restrict m) {
    const float b2 = o->beta2, rest2 = o->rest2, b1 = o->beta1, rest1 = o->rest1, rate = o->rate, guard = o->guard;
    for (size_t d = 0; d < D; d++) {
        m[d] = b1 * m[d] + rest1 * g[d];
        v[d] = b2 * v[d] + rest2 * g[d] * g[d];
        p[d] -= rate * m[d] / (__builtin_sqrtf(v[d]) + guard);
    }
}
ISA_FUNCTION(static, void, adam_row_momentum,
             (size_t D, const struct adam *o, const float *restrict g, float *restrict p, float *restrict v,
              float *restrict m),
             (D, o, g, p, v, m))

ISA_INLINE void unit_norm_body(size_t D, float *restrict w) {
    float s = 0;
#pragma omp simd reduction(+ : s)
    for (size_t d = 0; d < D; d++) s += w[d] * w[d];
    float r = 1.0f / __builtin_sqrtf(s);
    for (size_t d = 0; d < D; d++) w[d] *= r;
}
ISA_FUNCTION(static, void, unit_norm, (size_t D, float *restrict w), (D, w))

ISA_INLINE void sub_scaled_f64_body(size_t D, double s, const float *restrict w, double *restrict out) {
    for (size_t d = 0; d < D; d++) out[d] -= s * (double)w[d];
}
ISA_FUNCTION(static, void, sub_scaled_f64, (size_t D, double s, const float *restrict w, double *restrict out),
             (D, s, w, out))

/* Everything one feature's gradients change, but b_dec. g_enc and g_dec are spoiled; gb_dec [D] is the block's share. */
static void feature_update(const struct adam_state *s, size_t f, float *g_enc, float *g_dec, float g_b, float g_theta,
                           int fired, double *gb_dec) {
    const size_t D = s->D;
    const struct adam *o = &s->o;
    const struct adam_turn turn = adam_turn(o, s->m.W_enc, fired, s->steps_idle[f]);
    float *we = s->p.W_enc + f * D, *wd = s->p.W_dec + f * D, beta2 = o->beta2;
    if (turn.dead) {
        for (size_t d = 0; d < D; d++) g_enc[d] -= o->pre_act * o->mean[d];
        g_b -= o->pre_act, g_theta += o->pre_theta;
    }
    if (turn.enc) {
        beta2 = adam_beta2(o, turn.idle_enc);
        sub_scaled_f64(D, (double)g_b, we, gb_dec);
        if (s->m.W_enc)
            adam_row_momentum(D, o, g_enc, we, s->v.W_enc + f * D, s->m.W_enc + f * D);
        else
            adam_row(D, o, beta2, g_enc, we, s->v.W_enc + f * D);
    }
    if (turn.dec) {
        if (turn.idle_dec != turn.idle_enc) beta2 = adam_beta2(o, turn.idle_dec);
        project(D, wd, g_dec);
        if (s->m.W_enc)
            adam_row_momentum(D, o, g_dec, wd, s->v.W_dec + f * D, s->m.W_dec + f * D);
        else
            adam_row(D, o, beta2, g_dec, wd, s->v.W_dec + f * D);
        unit_norm(D, wd);
    }
    if (!o->lazy || turn.enc)
        adam_scalar(o, o->beta2, g_b, s->p.b_enc + f, s->m.b_enc ? s->m.b_enc + f : NULL, s->v.b_enc + f);
    if (!o->lazy || g_theta != 0)
        adam_scalar(o, o->beta2, g_theta, s->p.theta + f, s->m.theta ? s->m.theta + f : NULL, s->v.theta + f);
    s->steps_idle[f] = fired ? 0 : s->steps_idle[f] + 1;
}

/* A feature from its entries; g [2,D] is scratch. */
static void feature_sparse(const struct adam_state *s, const struct adam_entries *e, size_t f, float *g,
                           double *gb_dec) {
    const size_t D = s->D;
    float *g_enc = g, *g_dec = g + D, g_b = 0, g_theta = 0;
    int fired = 0;
    memset(g, 0, 2 * D * sizeof *g);
    for (size_t i = e->by.first[f]; i < e->by.first[f + 1]; i++) {
        const size_t b = e->by.row[i], n = e->by.entry[i];
        g_theta += e->dtheta[n];
        if (e->z[n] == 0) continue;
        fired = 1;
        g_b += e->dpre[n];
        add_two(D, e->dpre[n], e->xc + b * D, g_enc, e->z[n], e->G + b * D, g_dec);
        for (size_t v = 1; v < e->views.n; v++)
            if (f < e->views.at[v].features) add_scaled(D, e->z[n], e->G + (v * e->B + b) * D, g_dec);
    }
    feature_update(s, f, g_enc, g_dec, g_b, g_theta, fired, gb_dec);
}

static void add_blocks(const struct adam_state *s, size_t blocks, const double *part) {
    memset(s->gb_dec, 0, s->D * sizeof *s->gb_dec);
    for (size_t k = 0; k < blocks; k++)
        for (size_t d = 0; d < s->D; d++) s->gb_dec[d] += part[k * s->D + d];
}

void adam_sparse_cpu(const struct adam_state *s, const struct adam_entries *e) {
    const size_t blocks = (s->F + BLOCK - 1) / BLOCK;
    double *part = mem_array(blocks * s->D, sizeof *part, "adam", NULL);
    CHECK(part);
#pragma omp parallel
    {
        float *g = mem_array(2 * s->D, sizeof *g, "adam", NULL);
        CHECK(g);
#pragma omp for schedule(dynamic)
        for (size_t k = 0; k < blocks; k++)
            for (size_t f = k * BLOCK; f < s->F && f < (k + 1) * BLOCK; f++)
                feature_sparse(s, e, f, g, part + k * s->D);
        free(g);
    }
    add_blocks(s, blocks, part);
    free(part);
}

void adam_dense_cpu(const struct adam_state *s, const struct sae_arrays *g, const uint32_t *fired) {
    const size_t D = s->D, blocks = (s->F + BLOCK - 1) / BLOCK;
    double *part = mem_array(blocks * D, sizeof *part, "adam", NULL);
    CHECK(part);
#pragma omp parallel for schedule(dynamic)
    for (size_t k = 0; k < blocks; k++)
        for (size_t f = k * BLOCK; f < s->F && f < (k + 1) * BLOCK; f++)
            feature_update(s, f, g->W_enc + f * D, g->W_dec + f * D, g->b_enc[f], g->theta[f], fired[f] > 0,
                           part + k * D);
    add_blocks(s, blocks, part);
    free(part);
}
