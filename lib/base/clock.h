/* clock.h - monotonic time. */
#ifndef SAEMILL_CLOCK_H
#define SAEMILL_CLOCK_H

/* Seconds on a monotonic clock, from an arbitrary start. */
double clock_s(void);

#endif
