/* progress.h - the one progress line of a long stage, on stderr. */
#ifndef SAEMILL_PROGRESS_H
#define SAEMILL_PROGRESS_H

#include <stddef.h>

/* Progress on stderr: nothing in the first two seconds; then, on a terminal, one line rewritten at most ten times a second,
 * else a plain line every ten seconds (and at the end, if any was shown). */
struct progress {
    const char *stage, *unit;
    double start_s, shown_s;
    size_t total;
    int shown, terminal;
};

/*   stage   program name, first word of the line
 *   unit    what is counted: "tok", "rows", "steps"
 *   total   how many there will be; 0 if unknown */
void progress_start(struct progress *p, const char *stage, const char *unit, size_t total);

/* done so far; note is printed behind the rate and may be "". */
void progress_show(struct progress *p, size_t done, const char *note);
void progress_end(struct progress *p, size_t done, const char *note);

#endif
