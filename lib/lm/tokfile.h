/* tokfile.h - what tokenizer.json and the config.json beside it say, checked and refused early.
 *
 * Read from tokenizer.json (Hugging Face tokenizers):
 *   model           type "BPE" (or none, as GPT-2's old file) with vocab and merges ("a b" or ["a","b"]); ignore_merges;
 *                   byte_fallback, fuse_unk and dropout must be off, continuing_subword_prefix and end_of_word_suffix empty;
 *                   every byte of UTF-8 must have its entry, so that unk_token can never come up
 *   normalizer      null, NFC, or a Sequence of NFC
 *   pre_tokenizer   ByteLevel with use_regex (add_prefix_space either way), or a Sequence of one Split (Regex, Isolated, not inverted)
 *                   and ByteLevel without regex and prefix; a Sequence of one ByteLevel is that ByteLevel
 *   added_tokens    single_word, lstrip and rstrip must be false; "normalized" decides whether they are looked for before or
 *                   after normalisation; "special" changes nothing (the reference finds both kinds in text)
 *   post_processor  null, ByteLevel, TemplateProcessing, or a Sequence of these
 * truncation, padding and decoder are not applied: a corpus is encoded whole.
 *
 * The BOS rule: every document begins with the model's BOS id, where it has one. That is, the first of these that says so:
 *   1. config.json "bos_token_id": a number is the id (Qwen2, Llama-3, GPT-2), null is none; the embedded models say 0
 *   2. config.json "default_prepend_bos" (TransformerLens): true is the id of <|endoftext|> (gelu-1l), false is none
 *   3. the special token that TemplateProcessing puts before a single text, if it puts one (Llama-3 without config.json)
 *   4. none
 * Tests: tests/test_tokenizer.c; fuzz target tests/fuzz/fuzz_tokenizer.c */
#ifndef SAEMILL_TOKFILE_H
#define SAEMILL_TOKFILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/lm/added.h"
#include "lib/lm/bpe.h"

struct tokfile {
    bool nfc, prefix_space;
    const char *pattern;     /* of the split; owned by root or static */
    int32_t byte_id[256];    /* -1 for bytes that UTF-8 has not */
    struct bpe_merge *merge; /* [n_merges] by rank */
    size_t n_merges;
    struct bpe_word *whole; /* [n_whole] with ignore_merges, else none; bytes in whole_byte */
    size_t n_whole;
    char *whole_byte;
    struct added_token *raw, *normalized; /* looked for before and after normalisation */
    size_t n_raw, n_normalized;
    int32_t bos;     /* -1 if there is none */
    int32_t largest; /* id */
    json_t *root;    /* owns the strings; NULL when tokfile_parse was given it */
};

/* Read DIR/tokenizer.json and, where it is, DIR/config.json. *t is overwritten; tokfile_free releases it, after an error too.
 * Errors: ERR_IO (with a hint when there is no tokenizer.json), ERR_FORMAT, ERR_RANGE (ids), ERR_MEMORY, ERR_UNSUPPORTED naming
 * the field and the value. */
int tokfile_read(struct tokfile *t, const char *dir, struct err *e);

/* The same from JSON in memory.
 *   root     of tokenizer.json; must outlive *t
 *   config   of config.json, or NULL
 *   path     of tokenizer.json, for messages */
int tokfile_parse(struct tokfile *t, const json_t *root, const json_t *config, const char *path, struct err *e);

void tokfile_free(struct tokfile *t);

#endif
