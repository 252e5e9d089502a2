/* pretoken.h - cut text into pre-tokens with the split pattern of a byte-level tokenizer (PCRE2).
 *
 * tokenizer.json writes its pattern for Oniguruma, the regex engine of the reference. PCRE2 reads another dialect with other
 * tables, so the pattern is translated: \s and \S become explicit sets (PCRE2 counts U+180E as a blank, Oniguruma does not), and
 * \p{L}, \p{N} gain the code points of Unicode 15 to 16, which PCRE2 10.42 (Unicode 14) lacks and tokenizers 0.23.3 has: 9272
 * letters and 120 numbers, found by comparing every code point. What is not known to mean the same is refused: accepted are
 * literals, \r \n \t and escaped punctuation, \s \S \p{L} \p{N} \P{L} \P{N}, classes of these with ranges, groups (?: (?i: (?= (?! (?<=
 * (?<! (?>, alternatives, and greedy, lazy or possessive quantifiers. That covers Qwen2, Llama-3 and GPT-2.
 * Tests: tests/test_tokenizer.c; fuzz target tests/fuzz/fuzz_tokenizer.c */
#ifndef SAEMILL_PRETOKEN_H
#define SAEMILL_PRETOKEN_H

#include <stddef.h>

#include "lib/base/err.h"

struct pretoken;

/* The pattern built into ByteLevel with use_regex (GPT-2; Radford et al. 2019, encoder.py). */
extern const char pretoken_gpt2[];

/* Compile a pattern.
 *   pattern   as in tokenizer.json, valid UTF-8
 *   where     for messages: "tokenizer.json: pre_tokenizer"
 * Errors: ERR_UNSUPPORTED for a construct outside the list above (naming it and its byte) and for a pattern that can match
 * nothing; ERR_FORMAT for one that is no regex; ERR_MEMORY. */
int pretoken_open(struct pretoken **out, const char *pattern, const char *where, struct err *e);
void pretoken_close(struct pretoken *p); /* NULL is fine */

/* The pre-token that begins at byte `at` is text[at, *end): the next match, or what lies before it (behaviour "Isolated").
 *   p              its match block is changed: one thread at a time
 *   text [n_bytes] valid UTF-8; at < n_bytes, at the start of a code point
 * Errors: ERR_RANGE when the pattern backtracks more than 10000 + 16 (n_bytes - at) times; ERR_MEMORY. */
int pretoken_next(struct pretoken *p, const char *text, size_t n_bytes, size_t at, size_t *end, struct err *e);

#endif
