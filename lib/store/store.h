/* store.h - the content store: every artifact once, under the hash of its content.
 *
 *   <root>/SAEMILL-STORE        the marker: without it nothing is opened, and nothing removed, as a store
 *   <root>/cas/<32 digits>      a file or folder; files are read-only and have mtime 1 (GNU Make -L then sees the
 *                               links' dates)
 *   <root>/ac/<32 digits>       key -> receipt of the run that made its result (receipt.h)
 *   <root>/wip/<32 digits>      working folder of a run under way, or of one that was killed: the same key resumes
 *                               there
 *   <root>/lock/<32 digits>     one run per key at a time; <root>/lock/slot.<n>: so many runs at a time
 *   <root>/inputs/<32 digits>   hash of a raw input with the dates and sizes it was true for
 *   <root>/times/<stage>        how long the last run took, in ms
 *   <root>/quarantine/<32 digits>   artifacts whose bytes were no longer those of their name, and what was made from them
 *
 * Locks are flock(2): they end with the process, however it ends. Tests: tests/test_memo.c */
#ifndef SAEMILL_STORE_H
#define SAEMILL_STORE_H

#include <limits.h>
#include <stdbool.h>

#include "lib/base/err.h"
#include "lib/base/hash.h"

struct store {
    char root[PATH_MAX - 128];
    int fd; /* the lock on the whole store; -1 when closed */
};

enum store_use {
    STORE_LOOK, /* read: nothing is made; a root that is not there is an empty store */
    STORE_RUN,  /* any number of runs at once; a root that is not there, or empty, becomes a store */
    STORE_ALONE /* gc: refused at once when runs are under way */
};

/* Open. Who may not write can look and run all the same, until something has to be written.
 * Errors: ERR_IO, also for a folder that is no store (the hint says how to make an old one acceptable). */
int store_open(struct store *s, const char *root, enum store_use use, struct err *e);
void store_close(struct store *s);

/* <root>/<kind>/<name> */
void store_path(const struct store *s, const char *kind, const char *name, char path[PATH_MAX]);

/* Wait for a lock; *fd is to be closed to release it (children that inherit it hold it too).
 * try: 1 when it is taken. */
int store_lock(const struct store *s, const char *name, int *fd, struct err *e);
int store_try_lock(const struct store *s, const char *name, int *fd, struct err *e);

/* Write down what can be found again at little cost (inputs, times): whole or not at all, but not flushed to disk, and if it fails
 * nobody needs to know. Two processes may write the same path at once, and the last one stands. */
void store_note(const char *path, const char *text, size_t n_bytes);

#define STORE_PART ".saemill-" /* <path>.saemill-<pid>: what several processes may write at once, under way */

/* Is this the name of a file under way, and whose? Left behind when that process is gone. */
bool store_leftover(const char *name, long *pid);

/* What an input is now, by content.
 *   path   a link into a store's cas (answered by its name), or a raw file or folder: hashed, and remembered for as
 *          long as path, size, mtime, ctime and inode of every file in it stay
 *   state  [33] changes whenever the input does; compare it before and after a run. NULL if not wanted
 * Errors: ERR_IO. */
int store_hash_input(const struct store *s, const char *path, char hex[HASH_HEX], char state[HASH_HEX], struct err *e);
int store_state(const char *path, char state[HASH_HEX], struct err *e);

/* Move a finished file or folder into cas; hex [33] is its name there. An artifact of that name whose bytes are others is set
 * aside. */
int store_put(const struct store *s, const char *path, char hex[HASH_HEX], struct err *e);

/* Are an artifact's bytes those of its name? all: hash it whatever its size; else one over 64 MB only if a date says that it
 * was written to. ERR_FORMAT when not, with what to do. */
int store_verify(const struct store *s, const char *hex, bool all, struct err *e);

/* Move an artifact to quarantine; absent is fine. What was made from it: quarantine.h. */
int store_set_aside(const struct store *s, const char *hex, struct err *e);
bool store_has(const struct store *s, const char *hex);

/* Make target a relative link to an artifact, at once or not at all; folders on the way are made, an old link into a store is
 * replaced (anything else is ERR_IO), and the link is new even when it said the same before. */
int store_link(const struct store *s, const char *hex, const char *target, struct err *e);

/* The artifact a target links to: 1 and hex, or 0 when it is no link into a cas. */
int store_linked(const char *target, char hex[HASH_HEX]);

#endif
