/* sae.h - a sparse autoencoder's parameters in memory.
 *
 *   pre = W_enc x + b_enc,   z_f = pre_f if pre_f > theta_f else 0   (activation.h: theta is 0 for all but JumpReLU)
 *   x^  = sum_f z_f W_dec[f] + b_dec
 * This is the inference form: the input normalisation and the pre-encoder bias of training are folded in (Gemma Scope,
 * Lieberum et al. 2024, appendix A), so that it applies to raw activations. Tests: tests/test_saefile.c */
#ifndef SAEMILL_SAE_H
#define SAEMILL_SAE_H

#include <stddef.h>

#include "kernels/sae/activation.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"

struct sae {
    enum sae_arch arch;
    size_t D, F;
    float *W_enc; /* [F,D] row f = encoder direction of feature f (SAELens stores [D,F]: transposed on the way) */
    float *W_dec; /* [F,D] row f = decoder direction of feature f */
    float *b_enc; /* [F] */
    float *b_dec; /* [D] */
    float *theta; /* [F] */
    struct arena memory;
};

/* Zeroed parameters of one size; sae_free releases. D, F > 0, else ERR_RANGE; ERR_MEMORY. */
int sae_init(struct sae *s, enum sae_arch arch, size_t D, size_t F, struct err *e);
int sae_init_in(struct sae *s, const struct memory *from, enum sae_arch arch, size_t D, size_t F, struct err *e);
void sae_free(struct sae *s);

/* The parameters of one into another of the same size. */
void sae_copy(const struct sae *from, struct sae *to);

/* Decode: out[D] = sum over n entries of z[i] W_dec[feat[i]] + b_dec.
 * Float32, entries added in the order given: the same bytes whoever calls. n may be 0; feat[i] < F is the caller's to
 * keep. */
void sae_decode_row(const struct sae *s, size_t n, const unsigned *feat, const float *z, float *out);

/* Training form to inference form, in place. Training works on x_n = scale x with
 *     pre_n = W_enc (x_n - b_dec) + b_enc,   x^_n = sum z_n W_dec + b_dec
 * With C = 1/scale (Gemma Scope, appendix A):
 *     b_enc' = C (b_enc - W_enc b_dec),   b_dec' = C b_dec,   theta' = C theta,   W_enc, W_dec unchanged
 * so that on raw x the same features fire, z' = C z_n and x^' = C x^_n. Sums in double, one rounding to float32 at the
 * end.
 *   s      [1]  in: training form; out: inference form
 *   scale       > 0 and finite: what normalise wrote beside the rows; 1 folds the pre-encoder bias alone
 * Returns 0, or ERR_RANGE for another scale (s unchanged). Allocates nothing.
 * Test: tests/test_saefile.c */
int sae_fold(struct sae *s, double scale);

/* Raise negative thresholds to 0 and return how many there were. A threshold below 0 would hand on negative
 * activations, which JumpReLU (theta > 0, Rajamanoharan et al. 2024, eq. 4) does not have and SAELens, which applies
 * ReLU too, cannot express. */
size_t sae_clamp_theta(struct sae *s);

#endif
