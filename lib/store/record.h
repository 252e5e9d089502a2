/* record.h - what made an artifact: the text file <target>.rec, and the same under its key in the store.
 *
 *   memo 3
 *   stage train
 *   program build/bin/train <32 digits>
 *   adopted <32 digits>                                                              only of an adopted result
 *   key <32 digits>
 *   out <32 digits>
 *   ms 74123
 *   arg --in                                                                         one line a word of the command
 *   in <32 digits> results/demo/aiaa5047/L6R-16x-JumpReLU/normalise.safetensors      an input in its place among them
 *   named <32 digits> inputs/corpus/zh/faq.jsonl.zst                                 one whose name counts too
 *   sum <32 digits>                                                                  hash of all lines above
 *
 * In the words, @O stands for the output, @W for the working folder that outlives a kill, @L for the lineage text: but for inputs a
 * command has no paths, and is the same wherever it runs. ms is the time of the run that made the bytes, also when they are restored
 * later. */
#ifndef SAEMILL_RECORD_H
#define SAEMILL_RECORD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"

struct record_word {
    const char *text;    /* of an input, its path */
    char hash[HASH_HEX]; /* of an input, its content; else empty */
    bool named;          /* an input of whose path the last two parts count */
};

struct record {
    const char *stage, *program; /* "train", "build/bin/train" */
    char program_id[HASH_HEX], key[HASH_HEX], out[HASH_HEX];
    char adopted[HASH_HEX]; /* the program that made it, when it was accepted as that of program_id; else empty */
    long long ms;
    struct record_word *word; /* behind the program */
    size_t n_words;
    char *text; /* what the pointers point into, when it was read from a file; else NULL */
};

/* Read one; record_free releases it, also after an error. Errors: ERR_IO (absent: errno ENOENT), ERR_FORMAT when it is not
 * whole (empty after a power cut, cut off, a bit changed) or has a line that is none of a receipt, ERR_UNSUPPORTED
 * when a saemill of another version wrote it. */
int record_read(const char *path, struct record *r, struct err *e);
void record_free(struct record *r);

/* The text of one, malloc'd; NULL when there is no memory. Words and paths hold no newline (record_word_ok). */
char *record_text(const struct record *r);
int record_word_ok(const char *word);

/* Call each(path of the receipt, receipt or NULL when it cannot be read, ctx) for every *.rec under a folder, in the order of
 * names; links to folders
 * and folders named "store" are not entered. Stops at the first non-zero answer and returns it. A missing folder is
 * empty. */
int record_walk(const char *folder, int (*each)(const char *path, const struct record *r, void *ctx, struct err *e),
                void *ctx, struct err *e);

/* The commands that made the inputs of r, each line one artifact, inputs before what they went into:
 *   <16 digits> = train --in <16 digits> --width 4096 …
 * and " (adopted: made by program <16 digits>)" behind one that was.
 * Receipts are found beside the inputs; an input without one is raw and is named by its last two path components.
 *   text  malloc'd
 *   bad   the receipt that could not be read, or empty
 * Errors: as record_read. */
int record_lineage(const struct record *r, char **text, char bad[PATH_MAX], struct err *e);

/* Same words, and inputs of the same content? Two such records can differ in their program alone. */
bool record_same_work(const struct record *a, const struct record *b);

/* The back end that its words name, or "". */
const char *record_backend(const struct record *r);

/* The last two components of a path ("zh/faq.jsonl.zst"), in path itself. */
const char *record_short_name(const char *path);

#endif
