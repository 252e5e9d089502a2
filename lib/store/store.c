/* store.c - see store.h. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "lib/store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/outdir.h"

void store_path(const struct store *s, const char *kind, const char *name, char path[PATH_MAX]) {
    int n = snprintf(path, PATH_MAX, "%s/%s/%s", s->root, kind, name);
    CHECK(n > 0 && n < PATH_MAX);
}

#define MARKER "SAEMILL-STORE"
static const char MARK[] = "saemill store 1\n";

/* Does the folder hold anything but the beginning of a marker? -1 when it cannot be listed. */
static int holds_anything(const char *root) {
    DIR *d = opendir(root);
    int any = d ? 0 : -1;
    for (struct dirent *f; d && !any && (f = readdir(d));)
        any = strcmp(f->d_name, ".") && strcmp(f->d_name, "..") && strncmp(f->d_name, MARKER, strlen(MARKER));
    if (d) closedir(d);
    return any;
}

/* Several runs may make a store at once: each its own marker, renamed; the last one stands. */
static int mark(const char *path, struct err *e) {
    char own[PATH_MAX];
    if (snprintf(own, sizeof own, "%s" STORE_PART "%ld", path, (long)getpid()) >= (int)sizeof own)
        return err_set(e, ERR_IO, "%s: path too long", path);
    int rc = outfile_text(own, MARK, strlen(MARK), e);
    if (!rc && rename(own, path)) rc = err_errno(e, "%s: cannot put the finished file in place", path);
    if (rc) unlink(own);
    return rc;
}

static bool has_marker(const char *path) {
    char text[sizeof MARK] = "";
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof MARK - 1);
    if (fd >= 0) close(fd);
    return n == (ssize_t)sizeof MARK - 1 && !strcmp(text, MARK);
}

/* A folder is a store when its marker says so; one that is new or empty becomes one. */
static int marked(const struct store *s, bool make, struct err *e) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/" MARKER, s->root) >= (int)sizeof path)
        return err_set(e, ERR_IO, "%s: store path too long", s->root);
    if (has_marker(path)) return 0;
    if (!make && access(s->root, F_OK)) return err_errno(e, "%s: cannot open", s->root);
    if (make && outdir_make(s->root, e)) return ERR_IO;
    int any = holds_anything(s->root);
    if (any < 0) return err_errno(e, "%s: cannot list", s->root);
    if (!any && make) return mark(path, e);
    if (has_marker(path)) return 0; /* another run has made it meanwhile */
    err_set(e, ERR_IO, "%s: is no store of saemill: it has no file " MARKER, s->root);
    return err_hint(e, "name another folder; if an earlier saemill made it: echo 'saemill store 1' >%s/" MARKER,
                    s->root);
}

/* Errors that say: you may look, not write. */
static bool may_only_read(void) { return errno == EACCES || errno == EROFS || errno == EPERM; }

static int lock_all(struct store *s, bool shared, struct err *e) {
    char path[PATH_MAX];
    store_path(s, "lock", "all", path);
    s->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (s->fd < 0 && shared && may_only_read()) s->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0 && shared && (may_only_read() || errno == ENOENT)) return 0; /* nobody runs anything here */
    if (s->fd < 0) return err_errno(e, "%s: cannot open", path);
    while (flock(s->fd, shared ? LOCK_SH : LOCK_EX | LOCK_NB)) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK) return err_errno(e, "%s: cannot lock", path);
        store_close(s);
        err_set(e, ERR_IO, "%s: runs are under way", s->root);
        return err_hint(e, "wait for them to end");
    }
    return 0;
}

int store_open(struct store *s, const char *root, enum store_use use, struct err *e) {
    static const char *const kind[] = {"cas", "ac", "wip", "lock", "inputs", "times"};
    char path[PATH_MAX];
    struct stat st;
    s->fd = -1;
    size_t n = strlen(root);
    while (n > 1 && root[n - 1] == '/') n--;
    if (!n || n >= sizeof s->root) return err_set(e, ERR_IO, "%s: store path too long", root);
    memcpy(s->root, root, n);
    s->root[n] = 0;
    if (use == STORE_LOOK && stat(s->root, &st) && errno == ENOENT) return 0; /* an empty one */
    int rc = marked(s, use == STORE_RUN, e);
    for (size_t i = 0; !rc && use == STORE_RUN && i < sizeof kind / sizeof *kind; i++) {
        store_path(s, kind[i], "", path);
        if (mkdir(path, 0755) && errno != EEXIST && !may_only_read())
            rc = err_errno(e, "%s: cannot make the folder", path);
    }
    return rc ? rc : lock_all(s, use != STORE_ALONE, e);
}

void store_close(struct store *s) {
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
}

static int lock(const struct store *s, const char *name, int how, int *fd, struct err *e) {
    char path[PATH_MAX];
    store_path(s, "lock", name, path);
    *fd = open(path, O_RDWR | O_CREAT, 0644); /* without O_CLOEXEC: a child that outlives us still holds the lock */
    if (*fd < 0) return err_errno(e, "%s: cannot open", path);
    while (flock(*fd, how)) {
        if (errno == EINTR) continue;
        int taken = errno == EWOULDBLOCK, rc = taken ? 1 : err_errno(e, "%s: cannot lock", path);
        close(*fd);
        *fd = -1;
        return rc;
    }
    return 0;
}

int store_lock(const struct store *s, const char *name, int *fd, struct err *e) {
    return lock(s, name, LOCK_EX, fd, e);
}

int store_try_lock(const struct store *s, const char *name, int *fd, struct err *e) {
    return lock(s, name, LOCK_EX | LOCK_NB, fd, e);
}

void store_note(const char *path, const char *text, size_t n_bytes) {
    char own[PATH_MAX];
    if (snprintf(own, sizeof own, "%s" STORE_PART "%ld", path, (long)getpid()) >= (int)sizeof own) return;
    FILE *f = fopen(own, "wb");
    if (!f) return;
    bool bad = fwrite(text, 1, n_bytes, f) != n_bytes;
    if (fclose(f) || bad || rename(own, path)) unlink(own);
}

bool store_leftover(const char *name, long *pid) {
    const char *p = strstr(name, STORE_PART);
    char *end = NULL;
    *pid = p ? strtol(p + strlen(STORE_PART), &end, 10) : 0;
    return *pid > 0 && !*end;
}

int store_linked(const char *target, char hex[HASH_HEX]) {
    char to[PATH_MAX];
    ssize_t n = readlink(target, to, sizeof to - 1);
    if (n < HASH_HEX + 3) return 0;
    to[n] = 0;
    const char *name = to + n - (HASH_HEX - 1);
    if (memcmp(name - 4, "cas/", 4) || strspn(name, "0123456789abcdef") != HASH_HEX - 1) return 0;
    memcpy(hex, name, HASH_HEX);
    return 1;
}

bool store_has(const struct store *s, const char *hex) {
    char path[PATH_MAX];
    struct stat st;
    store_path(s, "cas", hex, path);
    return !stat(path, &st);
}

/* ---- raw inputs ---- */

struct scan {
    FILE *text;
    struct timespec newest;
};

static void note(struct scan *c, const char *path, const struct stat *s) {
    const struct timespec *t[2] = {&s->st_mtim, &s->st_ctim};
    fprintf(c->text, "%s %jd %jd.%ld %jd.%ld %ju\n", path, (intmax_t)s->st_size, (intmax_t)s->st_mtim.tv_sec,
            s->st_mtim.tv_nsec, (intmax_t)s->st_ctim.tv_sec, s->st_ctim.tv_nsec, (uintmax_t)s->st_ino);
    for (int i = 0; i < 2; i++)
        if (t[i]->tv_sec > c->newest.tv_sec) c->newest = *t[i];
}

static int visible(const struct dirent *d) { return d->d_name[0] != '.'; }

static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static int scan_files(struct scan *c, const char *path, struct err *e) {
    struct stat s;
    if (stat(path, &s)) return err_errno(e, "%s: cannot open", path);
    if (!S_ISDIR(s.st_mode)) {
        note(c, path, &s);
        return 0;
    }
    struct dirent **name;
    int n = scandir(path, &name, visible, by_bytes), rc = 0;
    if (n < 0) return err_errno(e, "%s: cannot list", path);
    for (int i = 0; i < n; i++) {
        char sub[PATH_MAX];
        if (!rc && snprintf(sub, sizeof sub, "%s/%s", path, name[i]->d_name) >= (int)sizeof sub)
            rc = err_set(e, ERR_IO, "%s/%s: path too long", path, name[i]->d_name);
        if (!rc) rc = scan_files(c, sub, e);
        free(name[i]);
    }
    free(name);
    return rc;
}

/* state of a raw input, and the date of its newest file */
static int raw_state(const char *path, char state[HASH_HEX], struct timespec *newest, struct err *e) {
    char *text = NULL;
    size_t n = 0;
    struct scan c = {.text = open_memstream(&text, &n)};
    if (!c.text) return err_set(e, ERR_MEMORY, "%s: no memory", path);
    int rc = scan_files(&c, path, e);
    if (fclose(c.text) && !rc) rc = err_set(e, ERR_MEMORY, "%s: no memory", path);
    if (!rc) hash_bytes(text, n, state);
    *newest = c.newest;
    free(text);
    return rc;
}

int store_state(const char *path, char state[HASH_HEX], struct err *e) {
    struct timespec newest;
    return store_linked(path, state) ? 0 : raw_state(path, state, &newest, e);
}

/* The remembered hash of a raw input, if it was for this state. */
static int remembered(const char *file, const char *state, char hex[HASH_HEX]) {
    char old[HASH_HEX];
    FILE *f = fopen(file, "r");
    int known = f && fscanf(f, "%32s %32s", old, hex) == 2 && !strcmp(old, state) && strlen(hex) == HASH_HEX - 1;
    if (f) fclose(f);
    return known;
}

int store_hash_input(const struct store *s, const char *path, char hex[HASH_HEX], char state[HASH_HEX], struct err *e) {
    char now[HASH_HEX], name[HASH_HEX], lock_name[HASH_HEX + 8], file[PATH_MAX];
    struct timespec newest, clock;
    if (store_linked(path, hex)) {
        if (state) memcpy(state, hex, HASH_HEX);
        if (store_has(s, hex)) return 0;
        err_set(e, ERR_IO, "%s: its artifact %s is not in %s/cas", path, hex, s->root);
        return err_hint(e, "run make again: it is made anew");
    }
    int rc = raw_state(path, now, &newest, e), fd = -1;
    if (rc) return rc;
    if (state) memcpy(state, now, HASH_HEX);
    hash_bytes(path, strlen(path), name);
    store_path(s, "inputs", name, file);
    if (remembered(file, now, hex)) return 0;
    snprintf(lock_name, sizeof lock_name, "in.%s",
             name);                                   /* many stages start with the same input: one of them hashes it */
    if (store_lock(s, lock_name, &fd, NULL)) fd = -1; /* who may only read hashes all the same */
    if (!remembered(file, now, hex)) {
        rc = hash_content(path, hex, e);
        clock_gettime(CLOCK_REALTIME, &clock);
        /* A file written within the last ticks could change again and keep its date: remember only what has settled. */
        if (!rc && clock.tv_sec - newest.tv_sec >= 2) {
            char line[PATH_MAX + 80];
            int n = snprintf(line, sizeof line, "%s %s %s\n", now, hex, path);
            if (n > 0 && n < (int)sizeof line) store_note(file, line, (size_t)n);
        }
    }
    if (fd >= 0) close(fd);
    return rc;
}

/* ---- artifacts ---- */

static int settle(const char *path, struct err *e) {
    const struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    struct stat st;
    if (lstat(path, &st)) return err_errno(e, "%s: cannot open", path);
    if (S_ISREG(st.st_mode)) {
        if (chmod(path, 0444)) return err_errno(e, "%s: cannot make it read-only", path);
    } else if (S_ISDIR(st.st_mode)) { /* folders stay writable, so that `rm -r` works */
        struct dirent **name;
        int n = scandir(path, &name, visible, by_bytes), rc = 0;
        if (n < 0) return err_errno(e, "%s: cannot list", path);
        for (int i = 0; i < n; i++) {
            char sub[PATH_MAX];
            if (!rc && snprintf(sub, sizeof sub, "%s/%s", path, name[i]->d_name) >= (int)sizeof sub)
                rc = err_set(e, ERR_IO, "%s/%s: path too long", path, name[i]->d_name);
            if (!rc) rc = settle(sub, e);
            free(name[i]);
        }
        free(name);
        if (rc) return rc;
    } else
        return err_set(e, ERR_FORMAT, "%s: neither a file nor a folder", path);
    return utimensat(AT_FDCWD, path, old, 0) ? err_errno(e, "%s: cannot set its date", path) : 0;
}

int store_put(const struct store *s, const char *path, char hex[HASH_HEX], struct err *e) {
    char to[PATH_MAX], is[HASH_HEX];
    int rc = hash_content(path, hex, e);
    if (!rc) rc = settle(path, e);
    if (rc) return rc;
    store_path(s, "cas", hex, to);
    if (store_has(s, hex)) {
        if (!hash_content(to, is, NULL) && !strcmp(is, hex)) return outdir_remove(path, e);
        rc = store_set_aside(s, hex, e); /* what stands there is damaged */
        if (rc) return rc;
    }
    if (rename(path, to)) {
        if (errno == EEXIST || errno == ENOTEMPTY)
            return outdir_remove(path, e); /* another run put it there just now */
        return err_errno(e, "%s: cannot move it into the store", path);
    }
    outfile_sync_folder_of(to);
    return 0;
}

int store_set_aside(const struct store *s, const char *hex, struct err *e) {
    char from[PATH_MAX], to[PATH_MAX];
    store_path(s, "quarantine", "", to);
    if (mkdir(to, 0755) && errno != EEXIST) return err_errno(e, "%s: cannot make the folder", to);
    store_path(s, "cas", hex, from);
    store_path(s, "quarantine", hex, to);
    int rc = outdir_remove(to, e); /* damaged before, too */
    if (!rc && rename(from, to) && errno != ENOENT) rc = err_errno(e, "%s: cannot move it to %s", from, to);
    return rc;
}

enum { SMALL_BYTES = 64 << 20 };

/* Bytes of a file or folder; *touched when some file has another date than settle gave it. */
static uint64_t size_of(const char *path, bool *touched) {
    struct stat st;
    struct dirent **name;
    if (lstat(path, &st)) return 0;
    if (st.st_mtim.tv_sec != 1 || st.st_mtim.tv_nsec) *touched = true;
    if (!S_ISDIR(st.st_mode)) return (uint64_t)st.st_size;
    uint64_t bytes = 0;
    int n = scandir(path, &name, visible, by_bytes);
    for (int i = 0; i < n; i++) {
        char sub[PATH_MAX];
        if (snprintf(sub, sizeof sub, "%s/%s", path, name[i]->d_name) < (int)sizeof sub) bytes += size_of(sub, touched);
        free(name[i]);
    }
    if (n >= 0) free(name);
    return bytes;
}

int store_verify(const struct store *s, const char *hex, bool all, struct err *e) {
    char path[PATH_MAX], is[HASH_HEX];
    bool touched = false;
    store_path(s, "cas", hex, path);
    uint64_t bytes = size_of(path, &touched);
    if (!all && !touched && bytes > SMALL_BYTES) return 0;
    int rc = hash_content(path, is, e);
    return rc ? rc : hash_differs(path, hex, is, e);
}

/* The folder of path, made if need be and resolved. */
static int real_parent(const char *path, char real[PATH_MAX], struct err *e) {
    char dir[PATH_MAX];
    if (snprintf(dir, sizeof dir, "%s", path) >= (int)sizeof dir) return err_set(e, ERR_IO, "%s: path too long", path);
    char *slash = strrchr(dir, '/');
    if (!slash)
        strcpy(dir, ".");
    else
        slash[slash == dir] = 0;
    int rc = outdir_make(dir, e);
    if (!rc && !realpath(dir, real)) rc = err_errno(e, "%s: cannot resolve", dir);
    return rc;
}

/* How to say the absolute path `to` from the folder `from`. */
static int relative_path(const char *from, const char *to, char out[PATH_MAX]) {
    size_t i = 0, common = 0, n = 0;
    if (!strcmp(from, "/")) from = "";
    for (; from[i] && from[i] == to[i]; i++)
        if (from[i] == '/') common = i;
    if ((!from[i] || from[i] == '/') && (!to[i] || to[i] == '/')) common = i;
    for (const char *p = from + common; *p; p++)
        if (*p == '/') {
            if (n + 3 >= PATH_MAX) return -1;
            memcpy(out + n, "../", 3);
            n += 3;
        }
    int m = snprintf(out + n, PATH_MAX - n, "%s", to + common + (to[common] == '/'));
    return m > 0 && (size_t)m < PATH_MAX - n ? 0 : -1;
}

int store_link(const struct store *s, const char *hex, const char *target, struct err *e) {
    char dir[PATH_MAX], root[PATH_MAX], blob[PATH_MAX], to[PATH_MAX], part[PATH_MAX];
    int rc = real_parent(target, dir, e);
    if (rc) return rc;
    if (!realpath(s->root, root)) return err_errno(e, "%s: cannot resolve", s->root);
    const char *slash = strrchr(target, '/'), *base = slash ? slash + 1 : target;
    if (snprintf(blob, sizeof blob, "%s/cas/%s", root, hex) >= (int)sizeof blob || relative_path(dir, blob, to) ||
        snprintf(part, sizeof part, "%s/.%s" OUTFILE_PART, dir, base) >= (int)sizeof part)
        return err_set(e, ERR_IO, "%s: path too long", target);
    struct stat st;
    char old[HASH_HEX];
    if (!lstat(target, &st) && !store_linked(target, old)) {
        err_set(e, ERR_IO, "%s: is not a link into a store: not replaced", target);
        return err_hint(e, "move it away: mv '%s' SOMEWHERE", target);
    }
    unlink(part);
    if (symlink(to, part)) return err_errno(e, "%s: cannot make the link", target);
    if (rename(part, target)) rc = err_errno(e, "%s: cannot put the link in place", target);
    if (rc) unlink(part);
    return rc;
}
