/* outfile.c - see outfile.h. */
#include "lib/base/outfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int names(struct outfile *o, const char *path, struct err *e) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    o->fd = -1;
    o->part[0] = 0;
    if (n + 6 > sizeof o->path) return err_set(e, ERR_IO, "%s: path too long", path);
    memcpy(o->path, path, n);
    o->path[n] = 0;
    memcpy(o->part, path, n);
    memcpy(o->part + n, ".part", 6);
    return 0;
}

static void parent_of(const char *path, char dir[PATH_MAX]) {
    snprintf(dir, PATH_MAX, "%s", path);
    char *slash = strrchr(dir, '/');
    if (!slash)
        strcpy(dir, ".");
    else if (slash == dir)
        dir[1] = 0;
    else
        *slash = 0;
}

static int sync_parent(const char *path) {
    char dir[PATH_MAX];
    parent_of(path, dir);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -1;
    int rc = fsync(fd);
    if (rc && (errno == EINVAL || errno == EROFS)) rc = 0; /* file systems that do not sync folders */
    close(fd);
    return rc;
}

/* A device, a pipe or a folder must not be replaced by a file of the same name (--out /dev/full would). */
static int replaceable(const char *path, struct err *e) {
    struct stat s;
    if (lstat(path, &s) || S_ISREG(s.st_mode) || S_ISLNK(s.st_mode)) return 0;
    return err_set(e, ERR_IO, "%s: exists and is no regular file: not replaced", path);
}

/* Harmless on a struct of zeros, too. */
static void shut(struct outfile *o) {
    if (o->part[0] && o->fd >= 0) close(o->fd);
    o->fd = -1;
    o->part[0] = 0;
}

/* Open the .part and lock it, so that two programs never write one output. flock: the lock ends with the process, however it ends.
 * Between open and flock another writer may have renamed the file away: then what is locked is no longer the .part, and we try
 * again. File systems without locks are written unlocked. */
static int open_part(struct outfile *o, int flags, struct err *e) {
    struct stat mine, there;
    do {
        if (o->fd >= 0) close(o->fd);
        o->fd = flags & O_DIRECTORY && mkdir(o->part, 0755) && errno != EEXIST ? -1
                                                                               : open(o->part, flags | O_CLOEXEC, 0644);
        if (o->fd < 0) {
            int rc = err_errno(e, "%s: cannot write", o->path);
            o->part[0] = 0;
            return errno == ENOENT ? err_hint(e, "the folder must exist: mkdir -p it first") : rc;
        }
        if (flock(o->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
            err_set(e, ERR_IO, "%s: another program is writing it", o->path);
            err_hint(e, "wait until it ends, or stop it (fuser %s shows which)", o->part);
            shut(o);
            return ERR_IO;
        }
    } while (fstat(o->fd, &mine) || stat(o->part, &there) || mine.st_ino != there.st_ino);
    return 0;
}

int outfile_open(struct outfile *o, const char *path, struct err *e) {
    int rc = names(o, path, e);
    if (!rc) rc = replaceable(o->path, e);
    if (!rc) rc = open_part(o, O_RDWR | O_CREAT, e);
    if (rc || !ftruncate(o->fd, 0)) return rc;
    rc = err_errno(e, "%s: cannot write", o->path);
    shut(o);
    return rc;
}

int outfile_write_at(struct outfile *o, uint64_t offset_bytes, const void *data, size_t n_bytes, struct err *e) {
    const char *p = data;
    while (n_bytes) {
        ssize_t w = pwrite(o->fd, p, n_bytes, (off_t)offset_bytes);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return err_errno(e, "%s: cannot write", o->path);
        p += w, offset_bytes += (uint64_t)w, n_bytes -= (size_t)w;
    }
    return 0;
}

int outfile_commit(struct outfile *o, struct err *e) {
    int rc = 0;
    if (fsync(o->fd) && errno != EINVAL) rc = err_errno(e, "%s: cannot write", o->path);
    if (!rc && rename(o->part, o->path)) rc = err_errno(e, "%s: cannot put the finished file in place", o->path);
    if (!rc && sync_parent(o->path)) rc = err_errno(e, "%s: cannot sync its folder", o->path);
    if (rc) unlink(o->part);
    shut(o);
    return rc;
}

void outfile_abort(struct outfile *o) {
    if (o->part[0]) unlink(o->part);
    shut(o);
}

int outfile_check(const char *path, struct err *e) {
    struct outfile o;
    char dir[PATH_MAX];
    int rc = names(&o, path, e);
    if (rc) return rc;
    parent_of(o.path, dir);
    if (!access(dir, W_OK | X_OK)) return 0;
    rc = err_errno(e, "%s: cannot write: folder %s", path, dir);
    return errno == ENOENT ? err_hint(e, "the folder must exist: mkdir -p it first") : rc;
}

int outfile_text(const char *path, const char *text, size_t n_bytes, struct err *e) {
    struct outfile o;
    int rc = outfile_open(&o, path, e);
    if (rc) return rc;
    rc = outfile_write_at(&o, 0, text, n_bytes, e);
    if (!rc) return outfile_commit(&o, e);
    outfile_abort(&o);
    return rc;
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
    if (!d) return err_errno(e, "%s: cannot list", path);
    int rc = 0;
    for (struct dirent *f; !rc && (f = readdir(d));) {
        char sub[PATH_MAX];
        if (!strcmp(f->d_name, ".") || !strcmp(f->d_name, "..")) continue;
        if (snprintf(sub, sizeof sub, "%s/%s", path, f->d_name) >= (int)sizeof sub)
            rc = err_set(e, ERR_IO, "%s/%s: path too long", path, f->d_name);
        else
            rc = outdir_remove(sub, e);
    }
    closedir(d);
    return rc;
}

int outdir_remove(const char *path, struct err *e) {
    struct stat s;
    if (lstat(path, &s)) return errno == ENOENT ? 0 : err_errno(e, "%s: cannot remove", path);
    if (!S_ISDIR(s.st_mode)) return unlink(path) ? err_errno(e, "%s: cannot remove", path) : 0;
    chmod(path, 0755); /* stored folders are read-only */
    int rc = empty(path, e);
    return !rc && rmdir(path) ? err_errno(e, "%s: cannot remove", path) : rc;
}

int outdir_open(struct outfile *o, const char *path, struct err *e) {
    int rc = names(o, path, e);
    if (!rc) rc = open_part(o, O_RDONLY | O_DIRECTORY, e);
    if (!rc) rc = empty(o->part, e);
    if (rc) shut(o);
    return rc;
}

int outdir_commit(struct outfile *o, struct err *e) {
    int rc = outdir_remove(o->path, e);
    if (!rc && rename(o->part, o->path)) rc = err_errno(e, "%s: cannot put the finished folder in place", o->path);
    if (!rc && sync_parent(o->path)) rc = err_errno(e, "%s: cannot sync its folder", o->path);
    if (rc)
        outdir_abort(o);
    else
        shut(o);
    return rc;
}

void outdir_abort(struct outfile *o) {
    if (o->part[0]) outdir_remove(o->part, NULL);
    shut(o);
}
