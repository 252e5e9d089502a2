/* schedule.c - see schedule.h. */
#include "lib/sae/schedule.h"

#include <math.h>

double schedule_lr(const struct schedule *s, int64_t t) {
    double up = 1, down = 1;
    if (t < s->lr_warmup) up = 0.1 + 0.9 * (1 - cos(3.14159265358979323846 * (double)t / (double)s->lr_warmup)) / 2;
    if (s->lr_decay && t >= s->steps - s->lr_decay) down = (double)(s->steps - t) / (double)s->lr_decay;
    return s->lr * (up < down ? up : down);
}

double schedule_lambda(const struct schedule *s, int64_t t) {
    if (t + 1 >= s->lambda_warmup) return s->lambda;
    return s->lambda * (double)(t + 1) / (double)s->lambda_warmup;
}
