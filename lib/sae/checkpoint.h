/* checkpoint.h - the whole state of a training run in one file, so that a killed run resumes to the same bytes.
 *
 * <folder>/state.safetensors: parameters, moments, idle counters, the curve so far; metadata: steps done, the entries of the last step
 * (they decide the next step's path) and the provenance record of the run. Written atomically.
 * Tests: tests/test_feed.c */
#ifndef SAEMILL_CHECKPOINT_H
#define SAEMILL_CHECKPOINT_H

#include "lib/sae/curve.h"
#include "lib/sae/step.h"

/*   folder   made if it is not there
 *   record   opt_record of the run */
int checkpoint_write(const struct trainer *tr, const struct curve *c, const char *folder, const char *record,
                     struct err *e);

/* Continue from a checkpoint if the folder holds one.
 *   tr, c    initialised for the same run; overwritten with the saved state
 * Returns 1 when resumed, 0 when there is none; ERR_FORMAT when it is of another run or damaged (the hint says to delete it). */
int checkpoint_read(struct trainer *tr, struct curve *c, const char *folder, const char *record, struct err *e);

#endif
