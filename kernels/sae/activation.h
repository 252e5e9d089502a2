/* activation.h - the activations an SAE can have and the penalties they are trained with: the one place that knows them.
 *
 *   JumpReLU  z = pre [pre > theta],   penalty |z|_0
 *             dpre = g [pre > theta],  dtheta = -(1/eps) [|pre - theta| < eps/2] (theta g + lambda/B)
 *             (Rajamanoharan et al. 2024, eq. 4, 11 and 12; the penalty's pseudo-derivative acts on the pre-activation)
 *   ReLU      z = max(pre, 0),         penalty sum_f z_f |W_dec[f]|, where |W_dec[f]| = 1;   theta = 0
 *             dpre = (g + lambda/B) [pre > 0]
 * with g the gradient of the reconstruction at an entry (residual.h), B rows in the batch.
 *
 * What is words is in the table of activation.c: the option's name, the figures' label, SAELens' name. What is computed is here, inline,
 * so that every back end compiles the same text. A new activation is an enumerator, a row of the table and its case in the formulas.
 *
 * Selection is which of a batch's entries may be non-zero. Above a bound of the feature: encode finds those while the product is in
 * cache. The K largest of a row, or the K B largest of a batch, by pre or by pre |W_dec[f]|, would be one more enumerator and one file,
 * kernels/sae/topk.h, that drops all others from a struct active in place (and sets them to 0 in rows of the dense path); it is called
 * where lib/sae/trainer.c and lib/sae/encoder.c have encoded with bounds that let a few more through. What follows sees entries only.
 * Tests: tests/test_step.c, tests/test_saefile.c */
#ifndef SAEMILL_ACTIVATION_H
#define SAEMILL_ACTIVATION_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/base/inline.h"

enum sae_arch { SAE_JUMPRELU, SAE_RELU };
enum { SAE_ARCHS = SAE_RELU + 1 };

enum selection { SELECTION_ABOVE };

/* Numbers that an activation is given; each is an option of train. */
enum activation_parameter { ACTIVATION_EPSILON, ACTIVATION_THETA_INIT, ACTIVATION_PARAMETERS };

struct activation_row {
    const char *name;    /* of --arch */
    const char *help;    /* a line for it */
    const char *penalty; /* what the sparsity loss adds for a row of the batch, for figures */
    const char *saelens; /* "architecture" in SAELens' cfg.json */
    enum selection selection;
    bool theta; /* has thresholds, trained, and on disk as "threshold"; else they are 0 */
};

struct activation_option {
    const char *name, *preset;
    double least, most;
    const char *unit, *help;
};

/* The descriptions; they live as long as the program. */
const struct activation_row *activation_row(enum sae_arch arch);
const struct activation_option *activation_option(enum activation_parameter p);

/* The activation of that name, --arch's or SAELens'; -1: none. */
int activation_find(const char *name, bool saelens);

/* All such names, as "a|b|c", cut to n bytes. */
void activation_names(bool saelens, char *out, size_t n);

/* What each --arch is, in one line. */
void activation_help(char *out, size_t n);

/* What the formulas read in one step. */
struct activation {
    enum sae_arch arch;
    float parameter[ACTIVATION_PARAMETERS]; /* in units of the normalised pre-activation */
    float penalty;                          /* lambda / B: what the penalty adds to the gradient at an entry */
};

/* An entry is kept, for it may have a value or a gradient, where pre is above this. */
SHARED_INLINE float activation_bound(const struct activation *a, float theta) {
    switch (a->arch) {
    case SAE_JUMPRELU:
        return theta - 0.5f * a->parameter[ACTIVATION_EPSILON];
    case SAE_RELU:
        break;
    }
    return 0;
}

/* z */
SHARED_INLINE float activation_value(float pre, float theta) { return pre > theta ? pre : 0; }

/* What an entry adds to the penalty of its row. */
SHARED_INLINE double activation_penalty(const struct activation *a, float z) {
    switch (a->arch) {
    case SAE_JUMPRELU:
        return z != 0;
    case SAE_RELU:
        break;
    }
    return (double)z;
}

SHARED_INLINE void activation_gradient(const struct activation *a, float pre, float theta, float g, float *dpre,
                                       float *dtheta) {
    const float u = pre - theta, eps = a->parameter[ACTIVATION_EPSILON], half = 0.5f * eps;
    *dpre = u > 0 ? g : 0, *dtheta = 0;
    switch (a->arch) {
    case SAE_JUMPRELU:
        *dtheta = u < half && u > -half ? -(theta * g + a->penalty) / eps : 0;
        break;
    case SAE_RELU:
        *dpre = u > 0 ? g + a->penalty : 0;
        break;
    }
}

/* f(activation, …), made once for each, with arch a constant: its loops do not ask. f is inlined always. */
#define ACTIVATION_KNOWN(a, f, ...)                                                                                    \
    do {                                                                                                               \
        switch ((a).arch) {                                                                                            \
        case SAE_JUMPRELU:                                                                                             \
            f(activation_known((a), SAE_JUMPRELU), __VA_ARGS__);                                                       \
            break;                                                                                                     \
        case SAE_RELU:                                                                                                 \
            f(activation_known((a), SAE_RELU), __VA_ARGS__);                                                           \
            break;                                                                                                     \
        }                                                                                                              \
    } while (0)
SHARED_INLINE struct activation activation_known(struct activation a, enum sae_arch arch) {
    a.arch = arch;
    return a;
}

#endif
