/* asked.h - the feature that a stage is asked to look at: a number, or the one that an earlier artifact looked at.
 * Tests: tests/cli/walk.sh */
#ifndef SAEMILL_ASKED_H
#define SAEMILL_ASKED_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

/*   prog     for messages
 *   number   of --feature; below 0: not given
 *   path     of --feature-of: specificity's file, whose "asked" names a feature; NULL: not given. One of the two is needed
 *   F        features there are
 * Errors: ERR_USAGE for both or neither; ERR_RANGE beyond F; those of jsonfile_read. */
int asked_feature(const char *prog, int64_t number, const char *path, size_t F, size_t *out, struct err *e);

#endif
