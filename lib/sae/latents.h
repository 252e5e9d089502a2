/* latents.h - what an SAE makes of the rows of a file: batches of rows read, checked and encoded.
 *
 * Tests: tests/test_llr.c (entries of a batch against the formula, NaN, growth) */
#ifndef SAEMILL_LATENTS_H
#define SAEMILL_LATENTS_H

#include <stddef.h>

#include "lib/base/err.h"
#include "lib/file/safetensors.h"
#include "lib/sae/encoder.h"

enum { LATENTS_BATCH = 2048 };

struct latents {
    const struct safetensors_tensor *rows;
    const char *path, *site;
    size_t N, D; /* of the tensor */
    struct encoder encoder;
    float *x;                    /* [LATENTS_BATCH,D] the rows of the last batch */
    const struct active *active; /* what they activate; pre = z > 0 for ReLU and JumpReLU */
};

/* Look at one site of collect's file.
 *   file, path, site   must outlive *l; path is the file's name for messages
 *   backend            a name of kernels/base/backends.h
 * Errors: ERR_FORMAT, ERR_SHAPE (another width, type, or no rows), ERR_MEMORY, ERR_NO_DEVICE. latents_close may follow
 * in any case. */
int latents_open(struct latents *l, const struct sae *sae, const struct safetensors *file, const char *path,
                 const char *site, const char *backend, struct err *e);

/* Rows [first, first+B), B <= LATENTS_BATCH, into l->x.   latents_read: and encoded, into l->active.
 * Errors: ERR_NUMERIC naming the first row with NaN or Inf; ERR_MEMORY. */
int latents_load(struct latents *l, size_t first, size_t B, struct err *e);
int latents_read(struct latents *l, size_t first, size_t B, struct err *e);
void latents_close(struct latents *l);

#endif
