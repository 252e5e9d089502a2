/* unitext.h - UTF-8 and NFC as the reference tokenizer sees them (Unicode Standard, section 3.9 and Annex 15).
 * Unicode tables come from utf8proc; what is here is the replacement of bad bytes, the short cut past text that is already
 * normalised, and the few code points that the reference normalises by an older Unicode.
 * Tests: tests/test_tokenizer.c */
#ifndef SAEMILL_UNITEXT_H
#define SAEMILL_UNITEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

/* Bytes that grow. Begin with {0}; free with unitext_free. */
struct unitext_buf {
    char *byte;
    size_t n, room;
};

/* Make room for `more` bytes behind n; what is there stays. Errors: ERR_MEMORY. */
int unitext_reserve(struct unitext_buf *b, size_t more, struct err *e);
int unitext_append(struct unitext_buf *b, const char *text, size_t n_bytes, struct err *e);
void unitext_free(struct unitext_buf *b);

/* One code point from p[0..n), n > 0: returns its length in bytes (1..4) and sets *cp; at an ill-formed place returns minus
 * the length of the maximal subpart (1..3), the unit that one U+FFFD replaces. cp may be NULL. */
int unitext_decode(const char *p, size_t n, uint32_t *cp);

/* Text as valid UTF-8: `text` itself if it is valid, else a copy in *scratch with one U+FFFD for each maximal subpart of an
 * ill-formed sequence (as Python's bytes.decode('utf-8', errors='replace'); Unicode 3.9, table 3-8).
 *   text     [n_bytes]   any bytes; read only
 *   scratch              overwritten when needed; holds the result until its next use
 *   out, n_out           the valid text
 * Errors: ERR_MEMORY. */
int unitext_repair(const char *text, size_t n_bytes, struct unitext_buf *scratch, const char **out, size_t *n_out,
                   struct err *e);

/* How many bytes of a text unitext_repair would replace; 0 for valid UTF-8. */
size_t unitext_ill_formed(const char *text, size_t n_bytes);

/* The Normalization Form C of valid UTF-8, as Hugging Face tokenizers 0.23 computes it: `text` itself if no code point in it can
 * take part in a change, else a copy in *scratch. The reference normalises by the tables of Unicode 9: a mark encoded later is
 * to it an ordinary starter that nothing crosses, and so it is here (the table `apart` in unitext.c).
 * Arguments and errors as unitext_repair. */
int unitext_nfc(const char *text, size_t n_bytes, struct unitext_buf *scratch, const char **out, size_t *n_out,
                struct err *e);

/* True for a code point of the short cut: combining class 0, its own NFC, never the second of a composing pair. (Only common
 * blocks are listed: false does not say the contrary.) */
bool unitext_inert(uint32_t cp);

#endif
