/* outdir.h - a folder that is written whole or not at all, and never in place of anything but its own earlier output.
 *
 * A program writes its files into <path>.saemill-part, which takes the place of <path> when all are there. In the folder is a
 * marker, the file .saemill: who wrote it, which files, and their hashes. <path> is accepted only where
 *   - nothing stands,
 *   - an empty folder stands, or
 *   - a folder stands that the marker shows to be this program's own output, nothing added and no byte changed.
 * Everything else (a file, a link, a pipe, a device, somebody's folder) is refused. The old folder goes when the new one is in
 * place. A kill leaves <path>.saemill-part, which the next run of the same program takes over.
 * Tests: tests/test_outdir.c, tests/cli/outputs.sh */
#ifndef SAEMILL_OUTDIR_H
#define SAEMILL_OUTDIR_H

#include "lib/base/outfile.h"

struct outdir {
    char path[PATH_MAX], part[PATH_MAX]; /* write files into part */
    const char *maker;                   /* "train" */
    const char *const *names;            /* of the files it writes, NULL at the end; no sub-folders */
    int fd;                              /* of part, locked; -1 when closed */
};

/* Could the folder be put at path? Ask before hours of work. The same errors as outdir_open, and nothing is changed.
 *   maker   [text]  who asks; kept as a pointer
 *   names   [n+1]   all files that it will write; one that it may leave out has a ? before it; kept as a pointer */
int outdir_check(const char *path, const char *maker, const char *const *names, struct err *e);

/* Begin, finish, or give up; outdir_abort is harmless on a struct of zeros. After an error of outdir_commit nothing of the new
 * folder is left and the old one stands.
 * Errors: ERR_IO naming what is in the way; another program writing the same folder. */
int outdir_open(struct outdir *o, const char *path, const char *maker, const char *const *names, struct err *e);
int outdir_commit(struct outdir *o, struct err *e);
void outdir_abort(struct outdir *o);

/* Make a folder and its parents. */
int outdir_make(const char *path, struct err *e);

/* Remove a file or a folder with all in it; absent is fine; links are not followed. Only for what a program of ours has made
 * where nothing else belongs: entries of a store. */
int outdir_remove(const char *path, struct err *e);

#endif
