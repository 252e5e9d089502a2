/* hash.h - content hashes: XXH3, 128 bits, as 32 lower-case hexadecimal digits (libxxhash). */
#ifndef SAEMILL_HASH_H
#define SAEMILL_HASH_H

#include <stddef.h>

#include "lib/base/err.h"

enum { HASH_HEX = 33 }; /* digits and the closing zero */

/* Of bytes in memory. */
void hash_bytes(const void *p, size_t n_bytes, char hex[HASH_HEX]);

/* Of a file or folder on disk, by content alone: 5 GB/s of what lies in memory, on one core, half of it the copy out of the page
 * cache. A folder's hash is that of the sorted lines "hash name\n" of its regular files and sub-folders; names that begin with '.' are
 * left out. Errors: ERR_IO, also for a pipe or a device. */
int hash_content(const char *path, char hex[HASH_HEX], struct err *e);

/* As hash_content, for what a stage reads: when path is a symbolic link into a content store (…/cas/<32 digits>), its content
 * must be what the name says. ERR_FORMAT when it is not. */
int hash_path(const char *path, char hex[HASH_HEX], struct err *e);

/* 0 when the two are equal; else ERR_FORMAT: path is damaged, and the hint what to do. */
int hash_differs(const char *path, const char *want, const char *is, struct err *e);

#endif
