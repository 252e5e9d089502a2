/* ticks.h - where an axis is marked, and with what text.
 *
 * Linear: multiples of 1, 2, 2.5 or 5 times a power of ten, the step that gives a number of ticks nearest to the wanted
 * one (ties to fewer). Logarithmic: decades where the range spans three or more (every second or third where there is
 * no room); of the multiples 1, 2, 3 … of a decade, the more the shorter the range, where it spans less; linear ticks
 * below half a decade. Tests: tests/test_chart.c */
#ifndef SAEMILL_TICKS_H
#define SAEMILL_TICKS_H

#include <stdbool.h>
#include <stddef.h>

enum { TICKS_MAX = 128, TICKS_TEXT = 96 };

struct ticks {
    size_t n;
    double at[TICKS_MAX];             /* rising, all within [lo, hi] */
    char text[TICKS_MAX][TICKS_TEXT]; /* "" for a minor tick */
};

/* Ticks of a linear axis.
 *   lo, hi   finite, lo < hi (CHECK)
 *   want     labelled ticks wanted, >= 2; between want/2 and 2 want come out */
void ticks_linear(double lo, double hi, int want, struct ticks *t);

/* Ticks of a logarithmic axis. lo, hi finite, 0 < lo < hi (CHECK); want as above, an upper bound for labelled decades.
 */
void ticks_log(double lo, double hi, int want, struct ticks *t);

/* Widen the data's range to that of an axis: by `pad` of its length (of its logarithm) on both sides; a range without
 * length becomes one of length 1 (one decade); lo > hi (no data) becomes [0,1] ([1,10]). */
void ticks_range(double *lo, double *hi, bool log, double pad);

#endif
