/* outfile.h - outputs that are either whole or absent.
 *
 * A file is written as <path>.part in the same folder, flushed to disk and renamed; a folder likewise. A run that is killed
 * leaves only the .part, which the next run overwrites. While it is written the .part is locked: a second writer of the same
 * path is refused, also when the first is a leftover of a run thought dead. */
#ifndef SAEMILL_OUTFILE_H
#define SAEMILL_OUTFILE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/err.h"

struct outfile {
    char path[PATH_MAX], part[PATH_MAX];
    int fd; /* -1 when closed */
};

/* Begin, write at an offset (all of it, or an error), finish, or give up. After an error of write call outfile_abort (the file
 * stays open until then, since other threads may be writing); after one of commit the .part is gone; outfile_abort is harmless when
 * nothing is open. Positions are bytes. Errors: ERR_IO with path and reason; also when path is a device, a pipe
 * or a folder, or another program is writing it. */
int outfile_open(struct outfile *o, const char *path, struct err *e);
int outfile_write_at(struct outfile *o, uint64_t offset_bytes, const void *data, size_t n_bytes, struct err *e);
int outfile_commit(struct outfile *o, struct err *e);
void outfile_abort(struct outfile *o);

/* Can something be put at path? Its folder must exist and be writable. Ask before hours of work, not after. ERR_IO. */
int outfile_check(const char *path, struct err *e);

/* Write a whole small file at once, atomically. */
int outfile_text(const char *path, const char *text, size_t n_bytes, struct err *e);

/* A folder: outdir_open makes <path>.part (emptied if it is there); write files into o->part; outdir_commit renames,
 * replacing an old folder. */
int outdir_open(struct outfile *o, const char *path, struct err *e);
int outdir_commit(struct outfile *o, struct err *e);
void outdir_abort(struct outfile *o);

/* Make a folder and its parents. */
int outdir_make(const char *path, struct err *e);
/* Remove a file or a folder with all in it; absent is fine. */
int outdir_remove(const char *path, struct err *e);

#endif
