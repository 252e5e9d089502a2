/* progid.h - the identity of a program: what its code does, not how it was built. */
#ifndef SAEMILL_PROGID_H
#define SAEMILL_PROGID_H

#include "lib/base/err.h"
#include "lib/base/hash.h"

/* Hash of what the system would load of a program.
 *   path  an executable: of a 64-bit ELF file the loadable segments are hashed (addresses, sizes, flags, bytes), so
 *         debug information, symbols and the place of the section table do not count; anything else (a script) by its
 *         bytes
 *   hex   [33] overwritten
 * Link with -Wl,--build-id=none, or the build id, which covers debug information, is part of what is loaded. Shared
 * libraries are not followed.
 * Errors: ERR_IO, ERR_MEMORY.  Tests: tests/test_memo.c */
int progid(const char *path, char hex[HASH_HEX], struct err *e);

#endif
