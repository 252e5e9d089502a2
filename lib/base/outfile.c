/* outfile.c - see outfile.h. */
#include "lib/base/outfile.h"

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
    if (n + sizeof OUTFILE_PART > sizeof o->path) return err_set(e, ERR_IO, "%s: path too long", path);
    memcpy(o->path, path, n);
    o->path[n] = 0;
    memcpy(o->part, path, n);
    strcpy(o->part + n, OUTFILE_PART);
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

void outfile_sync_folder_of(const char *path) {
    char dir[PATH_MAX];
    parent_of(path, dir);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? 0 : fsync(fd);
    if (rc && errno != EINVAL && errno != EROFS) /* file systems that do not sync folders */
        fprintf(stderr, "warning: %s: written, but its folder cannot be flushed to disk: %s\n", path, strerror(errno));
    if (fd >= 0) close(fd);
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

/* flock: the lock ends with the process, however it ends. Between open and flock another writer may have renamed the file away:
 * then what is locked is no longer the part, and we try again. File systems without locks are written unlocked. */
int outfile_lock(int *fd, const char *path, const char *part, int flags, struct err *e) {
    struct stat mine, there;
    *fd = -1;
    do {
        if (*fd >= 0) close(*fd);
        *fd = flags & O_DIRECTORY && mkdir(part, 0755) && errno != EEXIST ? -1 : open(part, flags | O_CLOEXEC, 0644);
        if (*fd < 0) {
            int rc = err_errno(e, "%s: cannot write", path);
            return errno == ENOENT ? err_hint(e, "the folder must exist: mkdir -p it first") : rc;
        }
        if (flock(*fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
            close(*fd);
            *fd = -1;
            err_set(e, ERR_IO, "%s: another program is writing it", path);
            return err_hint(e, "wait until it ends, or stop it (fuser %s shows which)", part);
        }
    } while (fstat(*fd, &mine) || stat(part, &there) || mine.st_ino != there.st_ino);
    return 0;
}

int outfile_open(struct outfile *o, const char *path, struct err *e) {
    int rc = names(o, path, e);
    if (!rc) rc = replaceable(o->path, e);
    if (!rc) rc = replaceable(o->part, e);
    if (!rc) rc = outfile_lock(&o->fd, o->path, o->part, O_RDWR | O_CREAT | O_NOFOLLOW, e);
    if (rc) o->part[0] = 0;
    if (rc || !ftruncate(o->fd, 0)) return rc;
    rc = err_errno(e, "%s: cannot write", o->path);
    outfile_abort(o);
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
    if (rc)
        unlink(o->part);
    else
        outfile_sync_folder_of(o->path);
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
