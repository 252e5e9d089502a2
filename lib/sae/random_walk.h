/* random_walk.h - random walks through the space of activations, and what an SAE makes of the places they come to.
 *
 *   x_t = x_(t-1) + s u_t,   |u_t| = 1
 *   loss_t = |x_t - sae(x_t)|^2,   cosine_t = <x_t, x_0> / |x_t||x_0|,   distance_t = |x_t - x_0|
 * after Baig and Mak, section 6. The u_t are independent and of mean 0 (isotropic: a normalised Gaussian; features: a
 * random feature's decoder direction with a random sign), so E <u_i, u_j> = 0 for i != j and E |x_t - x_0|^2 = t s^2
 * whatever the dimension. In D dimensions the cross terms of an isotropic walk have variance 1/D each, so that
 * distance_t^2 varies by a share of about sqrt(2/D) only: the curve is smooth since D is large, not since the steps
 * were not random. Tests: tests/test_walk.c */
#ifndef SAEMILL_RANDOM_WALK_H
#define SAEMILL_RANDOM_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/sae/encoder.h"

struct walk_options {
    size_t walks, steps;
    double step;   /* s, in units of the rows */
    bool features; /* along features, not isotropic */
    uint64_t seed;
};

/* All walks, step by step; [steps+1, walks] each, row t for step t. random_walk_free releases. */
struct walk {
    size_t walks, steps, D;
    double *loss, *cosine, *distance;
    float *path; /* [steps+1, D] of walk 0 */
};

/*   n      its room holds o->walks rows; used as scratch
 *   start  [walks,D] f32 where the walks begin; none of them zero (a cosine needs a direction: else NaN)
 * Threads: its own; same bytes for any number. Errors: ERR_RANGE for a step that is not positive and finite;
 * ERR_MEMORY; ERR_DEVICE. */
int random_walk_run(struct encoder *n, const float *start, const struct walk_options *o, struct walk *out,
                    struct err *e);
void random_walk_free(struct walk *w);

#endif
