/* encoder.h - rows through an SAE's encoder, on any back end: what evaluate, cooccur and others do with a trained SAE.
 *
 * Rows, parameters and entries lie in the back end's memory, which the host can read too.
 * Tests: tests/test_saefile.c */
#ifndef SAEMILL_ENCODER_H
#define SAEMILL_ENCODER_H

#include "kernels/sae/sae_kernels.h"
#include "lib/base/arena.h"
#include "lib/sae/sae.h"

struct encoder {
    const struct sae_kernels *k;
    struct sae sae;       /* the parameters, where the operations read them */
    size_t batch;         /* rows that x has room for */
    float *x;             /* [batch,D] f32, raw rows: the caller fills it */
    struct active active; /* what encoder_run found: features above their thresholds, pre = z */
    struct arena memory, entries;
};

/* Room for `batch` rows. The SAE is copied: *sae may be freed.
 * Errors: ERR_MEMORY; ERR_NO_DEVICE as sae_kernels_open. */
int encoder_open(struct encoder *n, const struct sae *sae, const char *backend, size_t batch, struct err *e);
void encoder_close(struct encoder *n);

/* Encode the first B rows of n->x into n->active; room for entries grows when it must.
 * Errors: ERR_MEMORY, ERR_DEVICE. */
int encoder_run(struct encoder *n, size_t B, struct err *e);

#endif
