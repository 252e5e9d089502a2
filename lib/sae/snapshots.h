/* snapshots.h - the SAE as it was on the way: at 1/2, 1/4 and 1/8 of the steps of its training, with the schedules as they are.
 *
 * Before the end the learning rate has not fallen to where it ends, and lambda may still be rising: a snapshot tells how far the run
 * was, not what a run of that length would give. Tests: tests/test_feed.c, tests/cli/train.sh */
#ifndef SAEMILL_SNAPSHOTS_H
#define SAEMILL_SNAPSHOTS_H

#include "lib/sae/sae.h"
#include "lib/sae/trainer.h"

enum { SNAPSHOTS = 3 };

struct snapshots {
    int n;                     /* 0 to SNAPSHOTS */
    int64_t step[SNAPSHOTS];   /* steps done: steps / 2, steps / 4, steps / 8 */
    struct sae sae[SNAPSHOTS]; /* host memory, training form; zeros until taken */
};

/* "half", "quarter", "eighth": the name of snapshot i, and of its file (with .safetensors) in a folder of train. */
const char *snapshots_name(int i);

/* The snapshot of that name, or -1. */
int snapshots_called(const char *name);

/* Bytes of n snapshots. */
size_t snapshots_bytes(int n, size_t D, size_t F);

/* Room for n of them. steps must be at least 2^n (ERR_RANGE); ERR_MEMORY. snapshots_free also after an error. */
int snapshots_init(struct snapshots *s, int n, int64_t steps, const struct trainer_config *c, struct err *e);
void snapshots_free(struct snapshots *s);

/* After every step: keep the parameters if this is the step of one. */
void snapshots_take(struct snapshots *s, const struct trainer *tr);

#endif
