/* parallel.h - sentences that say the same in several languages, from a corpus file (.jsonl), one line for each
 * sentence and language:
 *   {"id": "s01", "language": "en", "text": "A symbolic link is a pointer to another file."}
 * Lines of one id belong together, in any order. Every id needs each language of the file exactly once, so that no
 * comparison between languages is one between different sentences. As it is a corpus file, tokenize reads it as it is,
 * a document a line; document i of what comes from it is line i here. Tests: tests/test_parallel.c */
#ifndef SAEMILL_PARALLEL_H
#define SAEMILL_PARALLEL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum { PARALLEL_NAME = 32, PARALLEL_MOST = 1 << 14 };

struct parallel {
    size_t n, G, docs;               /* sentences, languages, lines (= n G) */
    char (*language)[PARALLEL_NAME]; /* [G] sorted */
    char (*id)[PARALLEL_NAME];       /* [n] in order of first appearance */
    char **text;                     /* [n,G] zero-terminated; may hold zeros */
    size_t *n_bytes;                 /* [n,G] of each text */
    int32_t *doc;                    /* [n,G] line, from 0, of each */
};

/* Read and check the whole file. parallel_free may follow in any case.
 * Errors, naming the line: ERR_FORMAT for a sentence without one of the languages (the line of its first text), with
 * one twice, without id, language or text; ERR_RANGE for an id or language that is too long, or more than PARALLEL_MOST
 * lines; those of corpus.h. */
int parallel_read(struct parallel *p, const char *path, struct err *e);
void parallel_free(struct parallel *p);

#endif
