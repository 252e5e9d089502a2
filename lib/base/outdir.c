/* outdir.c - see outdir.h. */
#define _GNU_SOURCE /* renameat2 */
#include "lib/base/outdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/hash.h"

#define MARKER ".saemill"
static const char FIRST_LINE[] = "saemill folder 1\n";

/* ---- whose folder is it? ---- */

static bool is_one_of(const char *name, size_t n, const char *const *names) {
    for (; *names; names++) {
        const char *is = *names + (**names == '?');
        if (strlen(is) == n && !memcmp(is, name, n)) return true;
    }
    return n == strlen(MARKER) && !memcmp(name, MARKER, n);
}

/* Is the name one that this program writes; in a folder under way also with the ending of an unfinished file. */
static bool expected(const struct outdir *o, const char *name, bool under_way) {
    size_t n = strlen(name), m = strlen(OUTFILE_PART);
    if (is_one_of(name, n, o->names)) return true;
    return under_way && n > m && !strcmp(name + n - m, OUTFILE_PART) && is_one_of(name, n - m, o->names);
}

static int join(char path[PATH_MAX], const char *folder, const char *name, struct err *e) {
    if (snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX) return 0;
    return err_set(e, ERR_IO, "%s: path too long", folder);
}

static int in_the_way(const char *path, const char *why, struct err *e) {
    err_set(e, ERR_IO, "%s: %s: not replaced", path, why);
    return err_hint(e, "name a folder that does not exist, or move this one away: mv '%s' SOMEWHERE", path);
}

/* The marker's text, malloc'd; NULL when there is none that can be read. */
static char *marker_text(const char *folder) {
    enum { MOST = 1 << 16 };
    char path[PATH_MAX];
    if (join(path, folder, MARKER, NULL)) return NULL;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    char *text = fd < 0 ? NULL : calloc(1, MOST + 1);
    size_t n = 0;
    for (ssize_t got = 1; text && got > 0 && n<MOST; n += got> 0 ? (size_t)got : 0) got = read(fd, text + n, MOST - n);
    if (fd >= 0) close(fd);
    return text;
}

/* Does the marker say that this program made the folder? */
static bool made_by(const char *text, const char *maker) {
    size_t n = strlen(FIRST_LINE), m = strlen(maker);
    return text && !strncmp(text, FIRST_LINE, n) && !strncmp(text + n, "maker ", 6) &&
           !strncmp(text + n + 6, maker, m) && text[n + 6 + m] == '\n';
}

/* Is this file as the marker says ("file <hash> <name>")? */
static bool as_recorded(const char *text, const char *folder, const char *name) {
    char path[PATH_MAX], hex[HASH_HEX], line[PATH_MAX];
    struct stat s;
    if (join(path, folder, name, NULL) || lstat(path, &s) || !S_ISREG(s.st_mode) || hash_content(path, hex, NULL))
        return false;
    snprintf(line, sizeof line, "\nfile %s %s\n", hex, name);
    return strstr(text, line) != NULL;
}

/* Look at every entry of a folder: 0 when it may be replaced (*entries: how many there are).
 *   under_way   it is a <path>.saemill-part: files may be unfinished, and their bytes do not count */
static int look(const struct outdir *o, const char *folder, bool under_way, size_t *entries, struct err *e) {
    char *text = marker_text(folder), what[512];
    bool ours = made_by(text, o->maker);
    DIR *d = opendir(folder);
    int rc = d ? 0 : err_errno(e, "%s: cannot list", folder);
    *entries = 0;
    for (struct dirent *f; !rc && (f = readdir(d));) {
        if (!strcmp(f->d_name, ".") || !strcmp(f->d_name, "..")) continue;
        ++*entries;
        bool begun = under_way && !strcmp(f->d_name, MARKER OUTFILE_PART); /* killed while it wrote its first file */
        if (begun || (ours && !strcmp(f->d_name, MARKER))) continue;
        if (!ours)
            snprintf(what, sizeof what, "holds %.200s, and no marker of an earlier %s", f->d_name, o->maker);
        else if (!expected(o, f->d_name, under_way))
            snprintf(what, sizeof what, "holds %.200s, which %s did not write", f->d_name, o->maker);
        else if (!under_way && !as_recorded(text, folder, f->d_name))
            snprintf(what, sizeof what, "%.200s in it was changed since %s wrote it", f->d_name, o->maker);
        else
            continue;
        rc = in_the_way(folder, what, e);
    }
    if (d) closedir(d);
    free(text);
    return rc;
}

/* 0 when nothing stands at folder, or something that may be replaced. */
static int replaceable(const struct outdir *o, const char *folder, bool under_way, struct err *e) {
    struct stat s;
    size_t entries;
    if (lstat(folder, &s)) return errno == ENOENT ? 0 : err_errno(e, "%s: cannot write", folder);
    if (!S_ISDIR(s.st_mode))
        return in_the_way(
            folder, S_ISLNK(s.st_mode) ? "is a link, and a folder is to be written" : "exists and is no folder", e);
    return look(o, folder, under_way, &entries, e);
}

/* ---- removing ---- */

/* Remove a folder that look() has accepted, file by file: what came into it since stays, and so does the folder. */
static int clear(const struct outdir *o, const char *folder, bool and_itself, struct err *e) {
    DIR *d = opendir(folder);
    char path[PATH_MAX];
    int rc = 0;
    if (!d) return errno == ENOENT ? 0 : err_errno(e, "%s: cannot list", folder);
    for (struct dirent *f; !rc && (f = readdir(d));)
        if (expected(o, f->d_name, true)) {
            rc = join(path, folder, f->d_name, e);
            if (!rc && unlink(path)) rc = err_errno(e, "%s: cannot remove", path);
        }
    closedir(d);
    return !rc && and_itself && rmdir(folder) ? err_errno(e, "%s: cannot remove", folder) : rc;
}

int outdir_make(const char *path, struct err *e) {
    char p[PATH_MAX];
    if (snprintf(p, sizeof p, "%s", path) >= (int)sizeof p) return err_set(e, ERR_IO, "%s: path too long", path);
    for (char *s = p + 1; *s; s++)
        if (*s == '/') {
            *s = 0;
            if (mkdir(p, 0755) && errno != EEXIST) return err_errno(e, "%s: cannot make the folder", p);
            *s = '/';
        }
    if (mkdir(p, 0755) && errno != EEXIST) return err_errno(e, "%s: cannot make the folder", p);
    return 0;
}

static int empty(const char *path, struct err *e) {
    DIR *d = opendir(path);
    char sub[PATH_MAX];
    if (!d) return err_errno(e, "%s: cannot list", path);
    int rc = 0;
    for (struct dirent *f; !rc && (f = readdir(d));) {
        if (!strcmp(f->d_name, ".") || !strcmp(f->d_name, "..")) continue;
        rc = join(sub, path, f->d_name, e);
        if (!rc) rc = outdir_remove(sub, e);
    }
    closedir(d);
    return rc;
}

int outdir_remove(const char *path, struct err *e) {
    struct stat s;
    if (lstat(path, &s)) return errno == ENOENT ? 0 : err_errno(e, "%s: cannot remove", path);
    if (!S_ISDIR(s.st_mode)) return unlink(path) ? err_errno(e, "%s: cannot remove", path) : 0;
    int rc = empty(path, e);
    return !rc && rmdir(path) ? err_errno(e, "%s: cannot remove", path) : rc;
}

/* ---- writing ---- */

static int names(struct outdir *o, const char *path, const char *maker, const char *const *files, struct err *e) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    o->fd = -1, o->maker = maker, o->names = files;
    o->part[0] = 0;
    if (n + strlen(OUTFILE_PART) >= sizeof o->part) return err_set(e, ERR_IO, "%s: path too long", path);
    const char *base = path + n;
    while (base > path && base[-1] != '/') base--;
    size_t m = (size_t)(path + n - base);
    if (*path == '/' && n == 1) return in_the_way(path, "is the root folder", e);
    if ((m == 1 && *base == '.') || (m == 2 && !memcmp(base, "..", 2))) /* renaming cannot put a folder there */
        return in_the_way(path, "is a folder that something stands in", e);
    snprintf(o->path, sizeof o->path, "%.*s", (int)n, path);
    snprintf(o->part, sizeof o->part, "%.*s" OUTFILE_PART, (int)n, path);
    return 0;
}

int outdir_check(const char *path, const char *maker, const char *const *files, struct err *e) {
    struct outdir o;
    int rc = names(&o, path, maker, files, e);
    if (!rc) rc = outfile_check(o.path, e);
    if (!rc) rc = replaceable(&o, o.path, false, e);
    if (!rc) rc = replaceable(&o, o.part, true, e);
    return rc;
}

static void shut(struct outdir *o) {
    if (o->part[0] && o->fd >= 0) close(o->fd);
    o->fd = -1;
    o->part[0] = 0;
}

/* A file system that cannot exchange two folders (see put_in_place) was left by a kill with the old one set aside. */
static int recover(const struct outdir *o, const char *aside, struct err *e) {
    struct stat s;
    if (lstat(aside, &s)) return 0;
    int rc = replaceable(o, aside, false, e);
    if (rc) return rc;
    if (!lstat(o->path, &s)) return clear(o, aside, true, e);
    return rename(aside, o->path) ? err_errno(e, "%s: cannot put the old folder back", o->path) : 0;
}

static int aside_of(const struct outdir *o, char aside[PATH_MAX], struct err *e) {
    if (snprintf(aside, PATH_MAX, "%s.saemill-old", o->path) < PATH_MAX) return 0;
    return err_set(e, ERR_IO, "%s: path too long", o->path);
}

static int write_marker(const struct outdir *o, const char *files, struct err *e) {
    char path[PATH_MAX], text[1 << 14];
    int rc = join(path, o->part, MARKER, e),
        n = snprintf(text, sizeof text, "%smaker %s\n%s", FIRST_LINE, o->maker, files);
    if (!rc && n >= (int)sizeof text) rc = err_set(e, ERR_RANGE, "%s: too many files for its marker", o->path);
    return rc ? rc : outfile_text(path, text, (size_t)n, e);
}

int outdir_open(struct outdir *o, const char *path, const char *maker, const char *const *files, struct err *e) {
    char aside[PATH_MAX];
    int rc = names(o, path, maker, files, e);
    if (!rc) rc = aside_of(o, aside, e);
    if (!rc) rc = recover(o, aside, e);
    if (!rc) rc = replaceable(o, o->path, false, e);
    if (!rc) rc = replaceable(o, o->part, true, e);
    if (!rc) rc = outfile_lock(&o->fd, o->path, o->part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, e);
    if (rc) { /* somebody's, or another writer's: not ours to clear away */
        o->part[0] = 0;
        return rc;
    }
    rc = replaceable(o, o->part, true, e); /* again, now that nobody else writes it */
    if (!rc) rc = clear(o, o->part, false, e);
    if (!rc) rc = write_marker(o, "", e);
    if (rc) outdir_abort(o);
    return rc;
}

/* The final marker: every file by name and hash; all that were announced without ? must be there. */
static int seal(const struct outdir *o, struct err *e) {
    char path[PATH_MAX], hex[HASH_HEX], text[1 << 13] = "";
    size_t n = 0;
    for (const char *const *name = o->names; *name; name++) {
        const bool optional = **name == '?';
        int rc = join(path, o->part, *name + optional, e);
        if (!rc && optional && access(path, F_OK)) continue;
        if (!rc) rc = hash_content(path, hex, e);
        if (rc) return rc;
        n += (size_t)snprintf(text + n, sizeof text - n, "file %s %s\n", hex, *name + optional);
        CHECK(n < sizeof text);
    }
    return write_marker(o, text, e);
}

/* Where the file system cannot exchange (NFS): the old folder is set aside for a moment. */
static int put_by_turns(const struct outdir *o, struct err *e) {
    char aside[PATH_MAX];
    int rc = aside_of(o, aside, e);
    if (!rc) rc = replaceable(o, o->path, false, e);
    if (rc) return rc;
    if (rename(o->path, aside)) return err_errno(e, "%s: cannot set the old folder aside", o->path);
    if (!rename(o->part, o->path)) {
        clear(o, aside, true, NULL);
        return 0;
    }
    rc = err_errno(e, "%s: cannot put the finished folder in place", o->path);
    if (rename(aside, o->path)) err_hint(e, "the old folder is %s", aside);
    return rc;
}

/* The new folder takes the place of the old one in one step, and only then is the old one looked at and removed: if somebody has
 * put a file into it meanwhile, the two change places again. */
static int put_in_place(const struct outdir *o, struct err *e) {
    if (!rename(o->part, o->path)) return 0; /* nothing there, or an empty folder */
    if (errno != ENOTEMPTY && errno != EEXIST)
        return err_errno(e, "%s: cannot put the finished folder in place", o->path);
    if (renameat2(AT_FDCWD, o->part, AT_FDCWD, o->path, RENAME_EXCHANGE)) return put_by_turns(o, e);
    int rc = replaceable(o, o->part, false, e);
    if (!rc) { /* what cannot be removed stays beside the new folder, and the next run says so */
        clear(o, o->part, true, NULL);
        return 0;
    }
    if (renameat2(AT_FDCWD, o->part, AT_FDCWD, o->path, RENAME_EXCHANGE))
        err_hint(e, "what stood there is now %s", o->part);
    return rc;
}

int outdir_commit(struct outdir *o, struct err *e) {
    int rc = seal(o, e);
    if (!rc) rc = put_in_place(o, e);
    if (rc) {
        outdir_abort(o);
        return rc;
    }
    outfile_sync_folder_of(o->path);
    shut(o);
    return 0;
}

void outdir_abort(struct outdir *o) {
    if (o->part[0] && !replaceable(o, o->part, true, NULL)) clear(o, o->part, true, NULL);
    shut(o);
}
