/* infile.c - see infile.h. */
#include "lib/base/infile.h"

#include <fcntl.h>
#include <unistd.h>

static int refuse(const char *path, mode_t mode, struct err *e) {
    const char *kind = S_ISDIR(mode)    ? "a folder"
                       : S_ISFIFO(mode) ? "a pipe"
                       : S_ISSOCK(mode) ? "a socket"
                                        : "a device";
    err_set(e, ERR_IO, "%s: want a file, got %s", path, kind);
    if (S_ISDIR(mode)) return err_hint(e, "name the file in it: %s/…", path);
    return err_hint(e, "inputs are read more than once: write its bytes to a file and name that");
}

/* stat first: to open a device can do things. O_NONBLOCK: by the time of open it may be a pipe all the same; on a
 * regular file it means nothing. */
int infile_open(const char *path, int *fd, struct stat *s, struct err *e) {
    struct stat f;
    *fd = -1;
    if (stat(path, &f)) return err_errno(e, "%s: cannot open", path);
    if (!S_ISREG(f.st_mode)) return refuse(path, f.st_mode, e);
    int got = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (got < 0) return err_errno(e, "%s: cannot open", path);
    int rc = fstat(got, &f) ? err_errno(e, "%s: cannot read", path) : 0;
    if (!rc && !S_ISREG(f.st_mode)) rc = refuse(path, f.st_mode, e);
    if (rc) {
        close(got);
        return rc;
    }
    *fd = got;
    if (s) *s = f;
    return 0;
}

int infile_stream(const char *path, FILE **f, struct err *e) {
    int fd, rc = infile_open(path, &fd, NULL, e);
    *f = rc ? NULL : fdopen(fd, "rb");
    if (rc || *f) return rc;
    rc = err_errno(e, "%s: cannot open", path);
    close(fd);
    return rc;
}
