/* corpus.h - documents from text files, one after another.
 *
 *   .txt     the whole file is one document
 *   .jsonl   one JSON object a line: "text" needed; "id", "language", "split" ("train" or "heldout") optional; blank
 *            lines are skipped
 *   either with .zst or .gz behind it (zstd, zlib)
 * The group of a file (its language) is the name of the folder it lies in.
 *
 * Text is UTF-8. A byte order mark of UTF-8 at the head of a file says how it is written and is no text: it is passed
 * over. One of UTF-16 or UTF-32, and a .txt of which every second byte is zero, is refused with the command that
 * converts the file. Other bytes are handed out as they are: invalid UTF-8 in .txt is the tokenizer's business; in
 * .jsonl it is ERR_FORMAT with the line. A text may hold U+0000, a name may not.
 * Tests: tests/test_corpus.c; fuzz target tests/fuzz/fuzz_corpus.c */
#ifndef SAEMILL_CORPUS_H
#define SAEMILL_CORPUS_H

#include <stddef.h>

#include "lib/base/err.h"

struct corpus;

struct corpus_doc {
    const char *text; /* n_bytes bytes, among them perhaps zeros, and a zero behind; valid until the next call */
    size_t n_bytes;
    const char *id;       /* "" if none */
    const char *language; /* "" if the file does not say; the group below does not come from it */
    const char *split;    /* "train", "heldout", or "" if the file does not say */
    size_t line;          /* 1-based line in the (uncompressed) file */
};

/* Errors: ERR_UNSUPPORTED for another ending (the hint lists them), ERR_IO. An empty file is no error here: it has no
 * document. ERR_FORMAT for a byte order mark of UTF-16 or UTF-32, and for packing that is damaged at its head (a packed file of no
 * bytes is a truncated one). */
int corpus_open(struct corpus **out, const char *path, struct err *e);
/* 1 with *doc filled, 0 at the end, or a negative error: ERR_FORMAT "path:line: …" for bad JSON, bad UTF-8 or a
 * raw zero byte in .jsonl, and for damaged or truncated packing; ERR_RANGE for a line over 256 MB or a .txt of 2 GB. After
 * an error the corpus can only be closed. */
int corpus_next(struct corpus *c, struct corpus_doc *doc, struct err *e);
void corpus_close(struct corpus *c); /* NULL is fine */

/* The group: the name of the folder that holds path ("inputs/corpus/zh/a.jsonl.zst" -> "zh"). out holds 64 bytes;
 * longer names are ERR_RANGE. A file of no named folder ("a.txt", "./a.txt", "/a.txt", "../a.txt") belongs to group
 * "text". */
int corpus_group(const char *path, char out[64], struct err *e);

#endif
