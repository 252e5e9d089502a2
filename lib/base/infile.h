/* infile.h - inputs are regular files. A pipe, a device or a folder is refused before it is opened, so that no reader waits for a
 * writer that never comes or reads zeros without end. Inputs are read more than once (checked, hashed, read), which a pipe, as in
 * <(zcat x), does not allow. Tests: tests/test_infile.c, tests/cli/inputs.sh */
#ifndef SAEMILL_INFILE_H
#define SAEMILL_INFILE_H

#include <stdio.h>
#include <sys/stat.h>

#include "lib/base/err.h"

/* Open a regular file, or a link to one, for reading.
 *   fd   the caller closes it; -1 after an error
 *   s    its fstat; may be NULL
 * Errors: ERR_IO, for what is no regular file with what it is and a hint, else as the system says (errno then tells). */
int infile_open(const char *path, int *fd, struct stat *s, struct err *e);

/* The same as a stream; the caller closes it, NULL after an error. */
int infile_stream(const char *path, FILE **f, struct err *e);

#endif
