/* tokenizer.h - text to token ids, equal to Hugging Face tokenizers 0.23.3 on byte-level BPE.
 *
 * In this order: ill-formed UTF-8 becomes U+FFFD; added tokens that are not "normalized" are cut out; what lies between is
 * brought to NFC if the file says so; "normalized" added tokens are cut out; each piece gets the prefix blank if the file says so,
 * is split by the pattern, and each pre-token is encoded by its merges. Which files can be read, and where the BOS id comes
 * from, is said in tokfile.h. encode adds no BOS: the caller begins each document with tokenizer_bos.
 *
 * The parts: tokfile.h the file, unitext.h UTF-8 and NFC, added.h added tokens, pretoken.h the pattern, bpe.h the merges.
 * Tests: tests/test_tokenizer.c; fuzz target tests/fuzz/fuzz_tokenizer.c */
#ifndef SAEMILL_TOKENIZER_H
#define SAEMILL_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/lm/bpe.h"
#include "lib/lm/tokfile.h"

struct tokenizer;

/* Open the tokenizer of a model folder.
 *   dir   holds tokenizer.json and, for the BOS id, config.json
 * Errors: those of tokfile_read, pretoken_open, bpe_open. */
int tokenizer_open(struct tokenizer **out, const char *dir, struct err *e);

/* The same from a file already read; takes what it needs, the caller frees *t afterwards. `path` is for messages. */
int tokenizer_build(struct tokenizer **out, const struct tokfile *t, const char *path, struct err *e);
void tokenizer_close(struct tokenizer *t); /* NULL is fine */

/* The id that begins every document, or -1 for none. */
int32_t tokenizer_bos(const struct tokenizer *t);

/* One more than the largest id that can come out (BOS included). */
int32_t tokenizer_n_ids(const struct tokenizer *t);

/* Append the ids of a text.
 *   t                caches inside are changed: one thread at a time, one tokenizer a thread
 *   text [n_bytes]   any bytes
 *   out              appended to
 * Errors: ERR_MEMORY; ERR_RANGE for a word of 2^30 bytes or a run that overruns the pattern's stack. *out then holds some ids
 * of the text more than before. */
int tokenizer_encode(struct tokenizer *t, const char *text, size_t n_bytes, struct bpe_ids *out, struct err *e);

#endif
