/* stream.h - the bytes of a file from its beginning, unpacked on the way: plain, zstd (.zst) or gzip (.gz).
 *
 * Frames that follow one another (zstd and gzip files may be concatenated) are one stream. A file that ends inside a
 * frame, and a packed file without any frame, is ERR_FORMAT: what was handed out before is right, but it is not all.
 * Tests: tests/test_corpus.c */
#ifndef SAEMILL_STREAM_H
#define SAEMILL_STREAM_H

#include <stddef.h>

#include "lib/base/err.h"

struct stream;

/* The packing follows from the name. Errors: those of infile_stream; ERR_MEMORY. */
int stream_open(struct stream **out, const char *path, struct err *e);

/* Up to n_bytes into data; *got is 0 only at the end (n_bytes > 0). Errors: ERR_IO, ERR_FORMAT. */
int stream_read(struct stream *s, void *data, size_t n_bytes, size_t *got, struct err *e);

void stream_close(struct stream *s); /* NULL is fine */

/* Length of path without a packing's ending: "a.txt.gz" -> 5. */
size_t stream_stem(const char *path);

#endif
