/* weights.h - inside lib/lm: the tensors of a folder by their family's table (family.h): all there, of the right shape,
 * nothing left over; converted and packed into the parts of block.h. */
#ifndef SAEMILL_WEIGHTS_H
#define SAEMILL_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/lm/model.h"

struct weights_loader {
    const struct lm_model *m;
    const struct lm_kernels *k;
    float *rows; /* [threads, LINEAR_PANEL, widest] converted rows before they are packed */
    size_t widest;
    struct err *e;
};

/* Every tensor that the config asks for, in a type that holds weights, and no other with the family's prefix. */
int weights_check(const struct lm_model *m, struct err *e);

/* The tensor that holds all of a part outside the layers; weights_check has seen it. */
const struct safetensors_tensor *weights_find(const struct lm_model *m, enum lm_part part);

/* The parts whose places in to->at are not NULL, zeroed before: those of layer l, or those outside the layers.
 * Errors: ERR_NUMERIC naming a tensor with NaN or Inf. */
int weights_load(const struct weights_loader *d, size_t l, const struct lm_weights *to);

#endif
