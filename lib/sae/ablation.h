/* ablation.h - one feature changed in the latents, decoded, and encoded again: what else changes?
 *
 *   z = enc(x),  x^ = dec(z),  before = enc(x^)
 *   clamp:  z' = z with z'_f = 0            noise:  z'_f = z_f + sigma n,  n standard normal of the row
 *   y = dec(z') = x^ + (z'_f - z_f) W_dec[f],  after = enc(y)
 * after Baig and Mak, section 5 and Figure 9, who show latents of the reconstruction before and after. A feature has
 * changed when |after - before| > tolerance in some row. Tests: tests/cli/walk.sh */
#ifndef SAEMILL_ABLATION_H
#define SAEMILL_ABLATION_H

#include <stddef.h>
#include <stdint.h>

#include "lib/sae/encoder.h"

/* What both interventions start from. */
struct ablation_base {
    size_t R, D, F;
    float *z, *before; /* [R,F] latents of the rows, and of their reconstruction */
    float *x_hat;      /* [R,D] */
};

struct ablation {
    float *after;       /* [R,F] */
    double *difference; /* [F] mean over the rows of |after - before| */
    size_t changed;     /* features with |after - before| > tolerance in some row */
    size_t active;      /* features with before or after > 0 in some row */
    double cosine;      /* mean over the rows of cos(x^, y) */
    double mse;         /* mean over rows and dimensions of (x^ - y)^2 */
    double own;         /* mean over the rows of |z'_f - z_f| */
};

enum ablate_how { ABLATE_CLAMP, ABLATE_NOISE };

/* |after - before| above this share of the largest activation before counts as a change: what float32 leaves of a
 * latent. */
#define ABLATE_TOLERANCE 1e-5

/*   n  its first R rows of x are the activations; R <= n->batch. ablation_base_free also after an error.
 * Errors: ERR_MEMORY, ERR_DEVICE. */
int ablation_start(struct encoder *n, size_t R, struct ablation_base *b, struct err *e);
void ablation_base_free(struct ablation_base *b);

/*   n       as given to ablation_start; its rows are overwritten
 *   f       below F (CHECK)
 *   sigma   of the noise, in units of activations; seed: of its numbers (row r takes number r)
 * ablation_free releases, also after an error. Threads: its own; same bytes for any number. Errors: ERR_MEMORY,
 * ERR_DEVICE. */
int ablation_feature(struct encoder *n, const struct ablation_base *b, size_t f, enum ablate_how how, double sigma,
                     uint64_t seed, struct ablation *out, struct err *e);
void ablation_free(struct ablation *a);

#endif
