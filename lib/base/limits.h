/* limits.h - the limits that a shell or a batch system puts on a process (ulimit), met at the start, where a line can be said.
 * Tests: tests/cli/limits.sh */
#ifndef SAEMILL_LIMITS_H
#define SAEMILL_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

/* A file that grows too large (ulimit -f) and a reader that left are errors of write from here on, not ends by a signal. opt_parse calls
 * this first. */
void limits_signals(void);

/* Run so many threads, and have what OpenMP and OpenBLAS need and would end, or hang, for the lack of. opt_parse calls this last.
 *   threads  that OpenMP shall run; 0: as many as there are cores; < 0: the program has no use for them
 *   argv     [] the program's, to start it again
 * Threads that cannot be had are an error. Under ulimit -v OpenBLAS gets its buffers now: where it cannot have one it tries for
 * ever. It asks for some before main already, in threads of its own, which nothing here uses: the program then starts again
 * without them.
 * Errors: ERR_MEMORY; the hint names the option and the limit. */
int limits_meet(int64_t threads, char **argv, struct err *e);

#endif
