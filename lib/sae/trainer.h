/* trainer.h - one training step of a sparse autoencoder, written once against the kernel table.
 *
 *   xc = x - b_dec,  pre = W_enc xc + b_enc,  z = activation(pre),  x^ = sum_f z_f W_dec[f] + b_dec
 *   loss = mean_b sum_v weight_v |x - x^_v|^2 + lambda * penalty              activation and penalty: activation.h; views: view.h
 * Gemma Scope (Lieberum et al. 2024, sections 2 and 3, appendix A); JumpReLU SAE (Rajamanoharan et al. 2024, eq. 9 to 12). Only the
 * encoder product is dense; the rest follows the active entries, unless so many are active that dense products are faster.
 * Tests: tests/test_step.c: PyTorch runs of 200 steps, finite differences, sparse against dense, ref against cpu. */
#ifndef SAEMILL_TRAINER_H
#define SAEMILL_TRAINER_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/sae/sae_kernels.h"
#include "lib/base/arena.h"
#include "lib/sae/sae.h"
#include "lib/sae/schedule.h"

/* Where W_enc starts: at W_dec (Lieberum et al. 2024, section 3), or on its own, uniform in +-sqrt(6/D) (He et al. 2015, eq. 10 with
 * variance 2/D; torch's kaiming_uniform_ of a [F,D] matrix). */
enum trainer_start { TRAINER_START_DECODER, TRAINER_START_KAIMING };

struct trainer_config {
    enum sae_arch arch;
    size_t D, F, B;
    float parameter[ACTIVATION_PARAMETERS];
    struct sae_views views;        /* none: one of all features */
    double beta1, beta2, adam_eps; /* beta1 = 0 keeps no first moment */
    uint64_t seed;                 /* of the initial weights */
    enum trainer_start init;
    bool lazy;          /* a parameter's moments wait, and it stays, while it has no gradient: adam.h */
    float pre_act_loss; /* of the penalty on dead features, adam.h, which the losses of a step do not count; 0: none */
    uint32_t dead_window; /* silent steps after which it pulls a feature */
};

/* All that training changes (what a checkpoint holds) and its scratch. */
struct trainer {
    struct trainer_config c;
    const struct sae_kernels *k;
    int64_t t; /* steps done */
    struct sae_arrays p, v,
        m;                /* parameters in training form, second moments, first moments (NULL pointers if beta1 = 0) */
    uint32_t *steps_idle; /* [F] steps since the feature was last active */
    size_t last_entries;  /* kept entries of the last step: decides sparse or dense */
    struct arena state, scratch;
    /* scratch */
    float *xc, *G, *mean, *low, *z, *dpre, *dtheta; /* [B,D] [V*B,D] [D] [F] [cap] [cap] [cap] */
    float *pre, *act, *grad;                        /* dense path: [512,F] each, taken when first needed */
    struct sae_arrays g;                            /* dense path: gradients */
    uint32_t *fired, *kept;
    double *gb_dec;
    struct sae_row_sums *sums;
    struct active active;
    struct byfeature by;
    struct arena dense;
    const void *ahead; /* the batch that was copied already */
    const float *sent; /* and where the operations find it */
    int slot;
    bool bf16; /* batches come as stored rows, see trainer_rows */
    float scale;
};

/* What one step did, at the parameters before its update; means over the batch. */
struct trainer_report {
    double loss_reconstruction; /* mean |x - x^|^2, of several views the weighted sum */
    double loss_sparsity;       /* lambda(t) * penalty */
    double l0;
    bool dense; /* which path ran */
};

/* Bytes that a trainer will hold, state and scratch (the dense path's included). SIZE_MAX on overflow. */
size_t trainer_bytes(const struct trainer_config *c, const struct sae_kernels *k);

/* Allocate and initialise: W_dec[f] uniform in the cube, scaled to unit norm (He-uniform and normalised), W_enc by init, biases 0,
 * theta = theta-init where the activation has thresholds, else 0. ERR_MEMORY. */
int trainer_init(struct trainer *tr, const struct trainer_config *c, const struct sae_kernels *k, struct err *e);
void trainer_free(struct trainer *tr);

/* Batches will come as the file has them, bf16 or f32, to be multiplied by `scale`: for back ends that convert (see the table). */
void trainer_rows(struct trainer *tr, bool bf16, float scale);

/* One step on x [B,D] f32, normalised rows (or as trainer_rows said); `next` is the batch of the step after this one, or NULL: it is copied to
 * the back end's memory while this step computes, and must stay as it is until that step is over.
 * On return all is done and the back end's memory can be read.
 * Errors: ERR_NUMERIC when the loss is not finite (the parameters are then spoiled), ERR_MEMORY, ERR_DEVICE (the GPU failed). */
int trainer_step(struct trainer *tr, const void *x, const void *next, double lr, double lambda,
                 struct trainer_report *r, struct err *e);

/* What the operations of the next step are given, for tests and timings that run one alone. */
struct activation trainer_activation(const struct trainer *tr, double lambda);
struct residual trainer_residual(const struct trainer *tr, const float *x, const struct activation *act);
struct adam_entries trainer_entries(const struct trainer *tr);
struct adam_state trainer_adam(const struct trainer *tr, double lr);

/* How many features were silent for `window` steps or more. */
size_t trainer_idle(const struct trainer *tr, uint32_t window);

/* Share of the features that have not left their first direction: the cosine between W_dec[f], [F,D] on the host, and the row it
 * started with is above 1/2. Random rows they are still, for the most part; explained variance, which lives on the frequent ones, does
 * not tell. ERR_MEMORY. */
int trainer_unturned(const struct trainer_config *c, const float *W_dec, double *share, struct err *e);

/* Copy the parameters into *s (sae_init-ed with D, F): still in training form; fold with sae_fold. */
void trainer_export(const struct trainer *tr, struct sae *s);

#endif
