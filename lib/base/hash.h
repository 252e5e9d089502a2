/* hash.h - content hashes: XXH3, 128 bits, as 32 lower-case hexadecimal digits (libxxhash). */
#ifndef SAEMILL_HASH_H
#define SAEMILL_HASH_H

#include <stddef.h>

#include "lib/base/err.h"

enum { HASH_HEX = 33 }; /* digits and the closing zero */

/* Of bytes in memory. */
void hash_bytes(const void *p, size_t n_bytes, char hex[HASH_HEX]);

/* Of a file or folder on disk, by content alone. A folder's hash is that of the sorted lines "hash name\n" of its regular
 * files and sub-folders; names that begin with '.' are left out. */
int hash_content(const char *path, char hex[HASH_HEX], struct err *e);

/* As hash_content, but a symbolic link into a content store (…/cas/<32 digits>) answers with the digits: artifacts are
 * hashed once, when they are stored, never again. */
int hash_path(const char *path, char hex[HASH_HEX], struct err *e);

#endif
