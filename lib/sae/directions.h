/* directions.h - the rows that a map is made of: decoder directions of an SAE, or any tensor. What stages tsne and umap
 * share. Tests: tests/test_tsne.c and tests/test_umap.c through the stages */
#ifndef SAEMILL_DIRECTIONS_H
#define SAEMILL_DIRECTIONS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/opt.h"

/* What the command line says; NULL where an option was not given. */
struct directions_source {
    const char *sae, *cooccur, *features, *in, *tensor;
};
enum { DIRECTIONS_OPTIONS = 5 };

struct directions {
    size_t n, D;
    float *x;         /* [n,D] rows, as stored: not scaled */
    int32_t *feature; /* [n] their numbers in the input, ascending */
};

/* Its options --sae, --cooccur, --features, --in and --tensor, put at table[0…DIRECTIONS_OPTIONS-1]. */
void directions_options(struct directions_source *s, struct opt *table);

/* Read the rows: those of an SAE's decoder, all or (--features live) those that fire in some chunk of cooccur's file;
 * or all rows of one tensor. The messages begin with `prog`. directions_free releases, also after an error.
 * Errors: ERR_USAGE for options that do not go together; ERR_NUMERIC for a tensor with NaN; those of the readers. */
int directions_read(const char *prog, const struct directions_source *s, struct directions *out, struct err *e);
void directions_free(struct directions *d);

/* {"method":"t-SNE","n":…,"feature":[…],"x":[…],"y":[…]}: a map of them as the plots read it.  xy [n,2] f32. */
json_t *directions_json(const struct directions *d, const char *method, const float *xy);

#endif
