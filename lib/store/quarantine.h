/* quarantine.h - what becomes of an artifact whose bytes are not those of its name. */
#ifndef SAEMILL_QUARANTINE_H
#define SAEMILL_QUARANTINE_H

#include "lib/store/store.h"

/* Move an artifact to <root>/quarantine, with all that was made from it: nobody can tell what was read before the damage was
 * noticed. The products, and theirs, are known from the receipts in <root>/ac; the keys of all that goes are forgotten. Links to
 * what is gone point nowhere then, so make makes it anew.
 *   hex         [33] the artifact
 *   n_products  how many others went with it
 * Errors: ERR_IO, ERR_MEMORY.  Tests: tests/test_memo.c, tests/hostile/store.sh */
int quarantine(const struct store *s, const char *hex, size_t *n_products, struct err *e);

#endif
