/* adam.h - gradients of a feature's weights, fused with Adam, projection and renormalisation.
 *
 *   gW_dec[f] = sum_b z_bf sum_v G_vb   gW_enc[f] = sum_b dpre_bf xc_b          gb_enc[f] = sum_b dpre_bf
 *   gtheta[f] = sum_b dtheta_bf         gb_dec = sum_vb G_vb - sum_f gb_enc[f] W_enc[f]     (the pre-encoder bias: xc = x - b_dec)
 *   gW_dec[f] loses its part along W_dec[f]; Adam (Kingma and Ba 2015, Algorithm 1); W_dec[f] back to unit norm.
 * v: the views that see f (view.h); for one of all features G is [B,D].
 * Gradients live in registers and cache, a feature at a time; with beta1 = 0 there is no first moment (m pointers NULL), and the rows of
 * a feature that was silent in the batch stay as they are: their gradients are zero. Their second moments wait too, and lose beta2 for
 * each silent step (steps_idle) when the feature is next active.
 * lazy: a parameter and its moments change only in steps in which it has a gradient, and lose beta2 (and beta1) in those alone, as in
 * torch.optim.SparseAdam and TensorFlow Addons' LazyAdam; as there, t is the number of all steps. W_enc[f], W_dec[f], b_enc[f]: the steps
 * in which f is active, or pulled (below); theta[f]: those in which gtheta[f] is not 0; b_dec: all. Without it the second moment of a
 * feature that fires in one step of k is a mean of its squared gradient and k - 1 zeros: each time, its weights move by sqrt(k) lr.
 * pre_act: the penalty pre_act * mean_b sum_{f dead} relu(theta_f - pre_bf) |W_dec[f]| pulls dead features back (Conerly et al. 2025,
 * "Dictionary Learning Optimization Techniques"; for dead features only: SAELens, calculate_pre_act_loss). Dead: silent in this batch
 * and in `window` steps before it, so that no row is above the threshold and the gradient is closed:
 *   gb_enc[f] -= pre_act        gW_enc[f] -= pre_act mean_b xc_b        gtheta[f] += pre_theta (pre_act; 0 where there is no threshold)
 * and the formula of gb_dec holds. W_dec[f] it pulls along itself only. SAELens starts one step later, and goes on in the step in which
 * the feature fires, on the rows in which it does not.
 * ReLU's penalty also pulls W_dec[f] along itself; the projection removes exactly that, so it is never added.
 * Tests: tests/test_step.c */
#ifndef SAEMILL_ADAM_H
#define SAEMILL_ADAM_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/base/inline.h"
#include "kernels/sae/byfeature.h"
#include "kernels/sae/view.h"

/* One array per parameter: the parameters themselves, or a moment of each. */
struct sae_arrays {
    float *W_enc; /* [F,D] */
    float *W_dec; /* [F,D] */
    float *b_enc; /* [F] */
    float *b_dec; /* [D] */
    float *theta; /* [F] */
};

struct adam {
    float rate, guard; /* lr sqrt(1 - beta2^t) / (1 - beta1^t) and eps sqrt(1 - beta2^t) at step t = 1, 2, … */
    float beta1, beta2, rest1, rest2; /* rest = 1 - beta, rounded from double */
    bool lazy;
    float pre_act, pre_theta; /* 0: no penalty */
    uint32_t window;          /* steps */
    const float *mean;        /* [D] mean_b xc_b; not read when pre_act = 0 */
};

/* What a step does to the rows of one feature. */
struct adam_turn {
    bool dead;                   /* the penalty pulls it */
    bool enc, dec;               /* the row, and b_enc's element with W_enc's when lazy, is updated */
    uint32_t idle_enc, idle_dec; /* steps for which its second moment waited */
};

/*   momentum  there is a first moment
 *   fired     in this batch
 *   idle      its steps_idle. A dead feature has a gradient in each step from the `window`-th on, so that only W_dec waits for longer. */
SHARED_INLINE struct adam_turn adam_turn(const struct adam *o, bool momentum, bool fired, uint32_t idle) {
    const bool penalty = o->pre_act > 0, waits = !momentum && !o->lazy;
    struct adam_turn t;
    t.dead = penalty && !fired && idle >= o->window;
    t.dec = fired || (momentum && !o->lazy);
    t.enc = t.dec || t.dead;
    t.idle_enc = waits && !(penalty && idle > o->window) ? idle : 0;
    t.idle_dec = waits ? idle : 0;
    return t;
}

/* One scalar's update: p -= lr m^ / (sqrt(v^) + eps) with m^ = m / (1 - beta1^t), v^ = v / (1 - beta2^t), multiplied out so that one
 * division is left. m may be NULL when beta1 = 0. beta2 apart: see adam_beta2. */
SHARED_INLINE void adam_scalar(const struct adam *o, float beta2, float g, float *p, float *m, float *v) {
    float first = g;
    if (m) first = *m = o->beta1 * *m + o->rest1 * g;
    *v = beta2 * *v + o->rest2 * g * g;
    *p -= o->rate * first / (sqrtf(*v) + o->guard);
}

/* What a moment that waited for `idle` steps is multiplied by in the next. */
SHARED_INLINE float adam_beta2(const struct adam *o, uint32_t idle) {
    return idle ? (float)pow((double)o->beta2, (double)idle + 1) : o->beta2;
}

/* What an update reads and changes, whichever way the gradients come. */
struct adam_state {
    size_t D, F;
    struct adam o;
    struct sae_arrays p, v,
        m; /* parameters and moments, updated in place (b_dec is not touched here); m.W_enc NULL when beta1 = 0 */
    double *gb_dec;       /* [D] out: - sum_f gb_enc[f] W_enc[f] with the old W_enc */
    uint32_t *steps_idle; /* [F] steps since the feature was last active; read and updated */
};

/* The sparse entries of a batch, and what their gradients are made of. */
struct adam_entries {
    size_t B;
    struct sae_views views;         /* a feature's entries see the rows of G of the views that see the feature */
    const float *xc;                /* [B,D] x - b_dec */
    const float *G;                 /* [V*B,D] (2/B) weight (x^ - x), view after view */
    struct byfeature by;            /* entries by feature */
    const float *z, *dpre, *dtheta; /* [entries] in the order of the struct active */
};

/* Update every feature from the sparse entries of a batch. */
void adam_sparse_ref(const struct adam_state *s, const struct adam_entries *e);
void adam_sparse_cpu(const struct adam_state *s, const struct adam_entries *e);

/* The same from gradients that were formed densely.
 *   g          gradients [F,D], [F,D], [F], -, [F]; may be changed in place: projected, the penalty's added
 *   fired [F]  u32, rows in which the feature was active */
void adam_dense_ref(const struct adam_state *s, const struct sae_arrays *g, const uint32_t *fired);
void adam_dense_cpu(const struct adam_state *s, const struct sae_arrays *g, const uint32_t *fired);

#endif
