/* outfile.h - output files that are either whole or absent; folders: outdir.h.
 *
 * A file is written as <path>.saemill-part in the same folder, flushed to disk and renamed. A run that is killed leaves only that,
 * and the next run overwrites it: the name is one that nobody else uses (a browser writes .part). While it is written it is
 * locked: a second writer of the same path is refused, also when the first is a leftover of a run thought dead. */
#ifndef SAEMILL_OUTFILE_H
#define SAEMILL_OUTFILE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/err.h"

#define OUTFILE_PART ".saemill-part" /* ending of what is under way */

struct outfile {
    char path[PATH_MAX], part[PATH_MAX];
    int fd; /* -1 when closed */
};

/* Begin, write at an offset (all of it, or an error), finish, or give up. After an error of write call outfile_abort (the file
 * stays open until then, since other threads may be writing); after one of commit nothing is left; outfile_abort is harmless when
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

/* For outdir.c: open part with flags and lock it, so that one program at a time writes path. O_DIRECTORY in flags: a folder, made
 * if it is not there. After an error *fd is -1 and nothing is held. */
int outfile_lock(int *fd, const char *path, const char *part, int flags, struct err *e);

/* Flush the folder that holds path. The file's bytes are on disk already when this is asked: that it fails is worth a line on
 * stderr, not the loss of the work. */
void outfile_sync_folder_of(const char *path);

#endif
