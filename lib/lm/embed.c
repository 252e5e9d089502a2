/* embed.c - see model.h: rows of the embedding out of the model's file. */
#include "lib/lm/model.h"

int lm_embed(const struct lm_model *m, size_t n, const int32_t *token, float *x, struct err *e) {
    int rc = 0;
    for (size_t r = 0; !rc && r < n; r++)
        rc = safetensors_to_f32(m->embed, (size_t)token[r] * m->c.D, m->c.D, x + r * m->c.D, e);
    return rc;
}
