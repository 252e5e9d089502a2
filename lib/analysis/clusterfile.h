/* clusterfile.h - the artifact of stage cluster, a JSON file, for the stages that read it (lobes, plot, tsne).
 * Keys: affinity, k, n_features, label [F] (-1 = left out), never, always, masked (lists of features), eigenvalues, sizes, notes, record.
 * Tests: tests/test_cooccur.c */
#ifndef SAEMILL_CLUSTERFILE_H
#define SAEMILL_CLUSTERFILE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

/* Read the labels.
 *   F      features that the label list must have; 0 = any
 *   k      lobes; label [*n] malloc'd, each in [-1,k)
 * Errors: those of jsonfile.h; ERR_SHAPE for another number of labels than F; ERR_FORMAT for a label out of range. */
int clusterfile_read(const char *path, size_t F, size_t *k, int32_t **label, size_t *n, struct err *e);

#endif
