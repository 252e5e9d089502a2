/* encoding.h - text that is no UTF-8: what it says it is, what it may be, and the command that converts it.
 *
 * A byte order mark is certain. The rest are tests that a file of another encoding seldom passes; what passes none has no name here.
 * Tests: tests/test_corpus.c */
#ifndef SAEMILL_ENCODING_H
#define SAEMILL_ENCODING_H

#include <stddef.h>

#include "lib/base/err.h"

/* "UTF-8", "UTF-16" or "UTF-32" when the text begins with its byte order mark of *mark_bytes bytes, else NULL and 0.
 *   text [n_bytes]   the beginning of a file; four bytes are enough */
const char *encoding_mark(const char *text, size_t n_bytes, size_t *mark_bytes);

/* "UTF-16LE" or "UTF-16BE" when nearly every second byte, and no other, is zero: Latin letters in UTF-16 without a mark, which are
 * valid UTF-8 with zero characters in between. Else NULL, also for less than 16 bytes. */
const char *encoding_wide(const char *text, size_t n_bytes);

/* Of text that is no UTF-8: "UTF-16LE" or "UTF-16BE" by its zero bytes; "GB18030" (so GBK, GB 2312) when it is well-formed as that
 * and most of its two-byte characters are hanzi of GB 2312; "ISO-8859-1" when single bytes from A0 on stand among Latin letters;
 * else NULL. Looks at the first megabyte. */
const char *encoding_guess(const char *text, size_t n_bytes);

/* Set the hint: the command that makes UTF-8 of a corpus file, packed or not.
 *   encoding   a name of iconv; NULL when nobody knows. `sure` false: it is a guess, and the hint says so
 * Returns e->code. */
int encoding_hint(struct err *e, const char *path, const char *encoding, int sure);

#endif
