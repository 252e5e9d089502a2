/* schedule.h - what changes from step to step. Steps count from 0. Tests: tests/test_feed.c */
#ifndef SAEMILL_SCHEDULE_H
#define SAEMILL_SCHEDULE_H

#include <stdint.h>

struct schedule {
    int64_t steps;
    double lr;             /* peak learning rate */
    int64_t lr_warmup;     /* steps of cosine warm-up from 0.1 lr to lr (Gemma Scope, section 3.2) */
    int64_t lr_decay;      /* last steps, falling linearly to 0 at step `steps` */
    double lambda;         /* sparsity coefficient */
    int64_t lambda_warmup; /* steps of linear warm-up from 0 (Gemma Scope: 10 000) */
};

/* lr (0.1 + 0.9 (1 - cos(pi t / lr_warmup)) / 2) for t < lr_warmup; lr (steps - t) / lr_decay for t >= steps - lr_decay (the
 * smaller of the two where they overlap); else lr. */
double schedule_lr(const struct schedule *s, int64_t t);

/* lambda min(1, (t + 1) / lambda_warmup) */
double schedule_lambda(const struct schedule *s, int64_t t);

#endif
