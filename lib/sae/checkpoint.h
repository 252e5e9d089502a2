/* checkpoint.h - the whole state of a training run in one file, so that a killed run resumes to the same bytes.
 *
 * <folder>/state.safetensors: parameters, moments, idle counters, the curve so far; metadata: steps done, the entries of the last step
 * (they decide the next step's path), the snapshots taken so far, the provenance record of the run, the version of this format, and a checksum of all that.
 * <folder>/before.safetensors: the state saved before that one, in case the newest is damaged. Each is written atomically, and at
 * every moment one of the two is whole; while a state is written the folder holds three.
 * Tests: tests/test_feed.c, tests/cli/train.sh */
#ifndef SAEMILL_CHECKPOINT_H
#define SAEMILL_CHECKPOINT_H

#include "lib/sae/curve.h"
#include "lib/sae/snapshots.h"
#include "lib/sae/trainer.h"

enum { CHECKPOINT_STATES = 2 };

/*   s        those that lie behind tr->t are saved
 *   folder   made if it is not there
 *   record   opt_record of the run */
int checkpoint_write(const struct trainer *tr, const struct curve *c, const struct snapshots *s, const char *folder,
                     const char *record, struct err *e);

/* Continue from the newest state of the folder that is whole.
 *   tr, c, s initialised for the same run; overwritten with the saved state, or untouched
 *   damaged  [CHECKPOINT_STATES]  for each state that cannot be used (cut short, bits flipped, another version of the format) one
 *            error to show, else an empty text; its file is now <folder>/damaged.safetensors (damaged-2, … when that is there)
 * Returns 1 when resumed, 0 when there is no usable state; ERR_FORMAT when one is whole and of another run (the hint says what to
 * delete). */
int checkpoint_read(struct trainer *tr, struct curve *c, struct snapshots *s, const char *folder, const char *record,
                    struct err *damaged, struct err *e);

#endif
