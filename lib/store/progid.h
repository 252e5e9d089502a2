/* progid.h - the identity of a program: the code and the libraries that can change what it writes, not how it was built.
 *
 * What counts, line by line:
 *   code       the sums of the objects it is linked from, less those that only read options, say errors and show progress
 *              (mk/parts.sh, which puts them into the section .saemill.parts); those of a GPU back end only when that one computes.
 *              Without the section all that the system would load counts.
 *   libraries  all that the system's loader would give it, by the version in the file's name. OpenBLAS, LAPACK, ARPACK and FFTW by
 *              content: they compute the digits, and are built for a machine. The C library by its release: its security
 *              updates do not change what log() says.
 * A sum too many costs a run whose result is the same; one too few keeps a wrong result. Hence what cannot be told counts. Not seen:
 * LD_PRELOAD, the GPU's driver, fonts, another C library than GNU's, and libraries of other machines that a launcher uses. */
#ifndef SAEMILL_PROGID_H
#define SAEMILL_PROGID_H

#include "lib/base/err.h"
#include "lib/base/hash.h"

/* Hash of what counts.
 *   path     an executable; what is no 64-bit ELF file (a script) counts by its bytes
 *   backend  the one that computes ("cuda-f32"), or ""
 *   hex      [33] overwritten
 * Errors: ERR_IO, ERR_MEMORY.  Threads: it forks, to ask the loader.  Tests: tests/test_memo.c, tests/contract/keys.sh */
int progid(const char *path, const char *backend, char hex[HASH_HEX], struct err *e);

#endif
