/* record_diff.h - in what two records of the same target differ. */
#ifndef SAEMILL_RECORD_DIFF_H
#define SAEMILL_RECORD_DIFF_H

#include <stdio.h>

#include "lib/store/record.h"

/* Write a line to f for each option that only `old` ("<") or only `now` (">") has in just these words, each input whose content is another,
 * and another program; return how many. Tests: tests/contract/reruns.sh */
int record_diff(FILE *f, const struct record *old, const struct record *now);

#endif
