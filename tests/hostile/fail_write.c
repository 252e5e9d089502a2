/* fail_write.c - a shared object for LD_PRELOAD: the k-th call of a program that would write fails.
 *
 * Calls that count: write, pwrite, pwritev, writev to anything but standard error, what stdio writes to files it
 * opened, open for writing, ftruncate, fsync, rename, mkdir, link, symlink, copy_file_range, under all their names. Told by the environment:
 *
 *   FAIL_AT=k        the k-th fails; 0: none, only count       FAIL_ERRNO=n    with this errno (28: ENOSPC)
 *   FAIL_EVER=1      and all after it, as on a full disk        FAIL_SHORT=1    a write writes half and succeeds, instead
 *   FAIL_CALLS=a,b   only these kinds: write open sync rename mkdir link truncate
 *   FAIL_PROGRAM=p   only in the program p (a child inherits the environment)
 *   FAIL_LOG=path    gets a line "hit <kind> <path>" a failure, and "count <n>" at the end
 *
 * Leaves out: writes through mmap, system calls made without the C library, and what children of another program do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long n_calls;

static const char *word(const char *name) {
    const char *s = getenv(name);
    return s && *s ? s : NULL;
}

static int ours(void) {
    const char *p = word("FAIL_PROGRAM");
    return word("FAIL_AT") && (!p || !strcmp(p, program_invocation_short_name));
}

/* Straight to the kernel, so that it is neither counted nor failed; a line in one write. */
static void note(const char *kind, const char *path, long n) {
    char line[512];
    const char *log = word("FAIL_LOG");
    int fd = log ? (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    if (fd < 0) return;
    int m =
        n < 0 ? snprintf(line, sizeof line, "hit %s %s\n", kind, path) : snprintf(line, sizeof line, "count %ld\n", n);
    if (m > 0) syscall(SYS_write, fd, line, (size_t)m < sizeof line ? (size_t)m : sizeof line - 1);
    syscall(SYS_close, fd);
}

__attribute__((destructor)) static void at_end(void) {
    if (ours()) note("", "", n_calls);
}

static int is_word_of(const char *list, const char *kind) {
    size_t n = strlen(kind);
    for (const char *p = list; (p = strstr(p, kind)); p += n)
        if ((p == list || p[-1] == ',') && (!p[n] || p[n] == ',')) return 1;
    return 0;
}

/* Is it this call's turn? Then errno is set. */
static int fails(const char *kind, const char *path) {
    const char *calls = word("FAIL_CALLS"), *ever = word("FAIL_EVER"), *number = word("FAIL_ERRNO");
    if (!ours() || (calls && !is_word_of(calls, kind))) return 0;
    long at = atol(word("FAIL_AT")), k = ++n_calls;
    if (!at || k < at || (k > at && !ever)) return 0;
    note(kind, path, -1);
    errno = number ? atoi(number) : ENOSPC;
    return 1;
}

static int half(void) { return word("FAIL_SHORT") != NULL; }

#define REAL(f)                                                                                                        \
    static __typeof__(f) *real;                                                                                        \
    if (!real) real = (__typeof__(f) *)dlsym(RTLD_NEXT, #f)

/* ---- writes ---- */

ssize_t write(int fd, const void *p, size_t n) {
    REAL(write);
    if (fd == 2 || !fails("write", "")) return real(fd, p, n);
    return half() ? real(fd, p, n / 2) : -1;
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at) {
    REAL(pwrite);
    if (!fails("write", "")) return real(fd, p, n, at);
    return half() ? real(fd, p, n / 2, at) : -1;
}
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at) { return pwrite(fd, p, n, at); }
ssize_t writev(int fd, const struct iovec *v, int n) {
    REAL(writev);
    return fd != 2 && fails("write", "") ? -1 : real(fd, v, n);
}
ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at) {
    REAL(pwritev);
    return fails("write", "") ? -1 : real(fd, v, n, at);
}
ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t n, unsigned flags) {
    REAL(copy_file_range);
    return fails("write", "") ? -1 : real(from, a, to, b, n, flags);
}
int ftruncate(int fd, off_t n) {
    REAL(ftruncate);
    return fails("truncate", "") ? -1 : real(fd, n);
}
int ftruncate64(int fd, off64_t n) { return ftruncate(fd, n); }
int fsync(int fd) {
    REAL(fsync);
    return fails("sync", "") ? -1 : real(fd);
}
int fdatasync(int fd) {
    REAL(fdatasync);
    return fails("sync", "") ? -1 : real(fd);
}

/* ---- names ---- */

int rename(const char *a, const char *b) {
    REAL(rename);
    return fails("rename", b) ? -1 : real(a, b);
}
int renameat(int fa, const char *a, int fb, const char *b) {
    REAL(renameat);
    return fails("rename", b) ? -1 : real(fa, a, fb, b);
}
int renameat2(int fa, const char *a, int fb, const char *b, unsigned flags) {
    REAL(renameat2);
    return fails("rename", b) ? -1 : real(fa, a, fb, b, flags);
}
int mkdir(const char *a, mode_t m) {
    REAL(mkdir);
    return fails("mkdir", a) ? -1 : real(a, m);
}
int mkdirat(int f, const char *a, mode_t m) {
    REAL(mkdirat);
    return fails("mkdir", a) ? -1 : real(f, a, m);
}
int link(const char *a, const char *b) {
    REAL(link);
    return fails("link", b) ? -1 : real(a, b);
}
int linkat(int fa, const char *a, int fb, const char *b, int flags) {
    REAL(linkat);
    return fails("link", b) ? -1 : real(fa, a, fb, b, flags);
}
int symlink(const char *a, const char *b) {
    REAL(symlink);
    return fails("link", b) ? -1 : real(a, b);
}
int symlinkat(const char *a, int f, const char *b) {
    REAL(symlinkat);
    return fails("link", b) ? -1 : real(a, f, b);
}

/* ---- open ---- */

static int to_write(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT); }

#define MODE(flags)                                                                                                    \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                                           \
        va_list ap;                                                                                                    \
        va_start(ap, flags);                                                                                           \
        mode = va_arg(ap, mode_t);                                                                                     \
        va_end(ap);                                                                                                    \
    }

int openat(int f, const char *path, int flags, ...) {
    REAL(openat);
    MODE(flags)
    return to_write(flags) && fails("open", path) ? -1 : real(f, path, flags, mode);
}
int openat64(int f, const char *path, int flags, ...) {
    MODE(flags)
    return openat(f, path, flags, mode);
}
int open(const char *path, int flags, ...) {
    MODE(flags)
    return openat(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    MODE(flags)
    return openat(AT_FDCWD, path, flags, mode);
}
int creat(const char *path, mode_t mode) { return openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }

/* stdio writes inside the C library, where nothing can step in: so a file opened for writing becomes a stream of ours. */
static ssize_t put(void *fd, const char *p, size_t n) {
    ssize_t w = write((int)(long)fd, p, n);
    return w < 0 ? 0 : w; /* stdio's sign of an error */
}
static int shut(void *fd) { return close((int)(long)fd); }

FILE *fopen(const char *path, const char *mode) {
    REAL(fopen);
    if (*mode != 'w' || strchr(mode, '+') || !ours()) return real(path, mode);
    int fd = openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return NULL;
    return fopencookie((void *)(long)fd, "w", (cookie_io_functions_t){.write = put, .close = shut});
}
FILE *fopen64(const char *path, const char *mode) { return fopen(path, mode); }
