/* hash.c - see hash.h. */
#include "lib/base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "lib/base/infile.h"

static void to_hex(XXH128_hash_t h, char hex[HASH_HEX]) {
    snprintf(hex, HASH_HEX, "%016llx%016llx", (unsigned long long)h.high64, (unsigned long long)h.low64);
}

void hash_bytes(const void *p, size_t n_bytes, char hex[HASH_HEX]) { to_hex(XXH3_128bits(p, n_bytes), hex); }

static int hash_file(const char *path, char hex[HASH_HEX], struct err *e) {
    enum { BUF = 1 << 20 };
    int fd, rc = infile_open(path, &fd, NULL, e);
    if (rc) return rc;
    XXH3_state_t *st = XXH3_createState();
    char *buf = malloc(BUF);
    if (!st || !buf) rc = err_set(e, ERR_MEMORY, "%s: no memory to hash it", path);
    if (!rc) XXH3_128bits_reset(st);
    while (!rc) {
        ssize_t n = read(fd, buf, BUF);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = err_errno(e, "%s: cannot read", path);
        if (n <= 0) break;
        XXH3_128bits_update(st, buf, (size_t)n);
    }
    if (!rc) to_hex(XXH3_128bits_digest(st), hex);
    XXH3_freeState(st);
    free(buf);
    close(fd);
    return rc;
}

static int visible(const struct dirent *d) { return d->d_name[0] != '.'; }

static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static int hash_folder(const char *path, char hex[HASH_HEX], struct err *e) {
    struct dirent **names;
    int n = scandir(path, &names, visible, by_bytes), rc = 0;
    if (n < 0) return err_errno(e, "%s: cannot list", path);
    XXH3_state_t *st = XXH3_createState();
    if (!st) rc = err_set(e, ERR_MEMORY, "%s: no memory to hash it", path);
    if (!rc) XXH3_128bits_reset(st);
    for (int i = 0; i < n; i++) {
        char sub[PATH_MAX], h[HASH_HEX];
        if (!rc && snprintf(sub, sizeof sub, "%s/%s", path, names[i]->d_name) >= (int)sizeof sub)
            rc = err_set(e, ERR_IO, "%s/%s: path too long", path, names[i]->d_name);
        if (!rc) rc = hash_content(sub, h, e);
        if (!rc) {
            XXH3_128bits_update(st, h, HASH_HEX - 1);
            XXH3_128bits_update(st, " ", 1);
            XXH3_128bits_update(st, names[i]->d_name, strlen(names[i]->d_name));
            XXH3_128bits_update(st, "\n", 1);
        }
        free(names[i]);
    }
    free(names);
    if (!rc) to_hex(XXH3_128bits_digest(st), hex);
    XXH3_freeState(st);
    return rc;
}

int hash_content(const char *path, char hex[HASH_HEX], struct err *e) {
    struct stat s;
    if (stat(path, &s)) return err_errno(e, "%s: cannot open", path);
    return S_ISDIR(s.st_mode) ? hash_folder(path, hex, e) : hash_file(path, hex, e);
}

int hash_differs(const char *path, const char *want, const char *is, struct err *e) {
    if (!strcmp(want, is)) return 0;
    err_set(e, ERR_FORMAT, "%s: damaged: want the content %.12s…, got %.12s…", path, want, is);
    return err_hint(e, "make heal puts it and what was made from it aside, and make figures makes them anew");
}

/* The name of the artifact that path links to, or NULL. */
static const char *artifact_of(const char *path, char link[PATH_MAX]) {
    ssize_t n = readlink(path, link, PATH_MAX - 1);
    if (n <= 0) return NULL;
    link[n] = 0;
    const char *base = strrchr(link, '/');
    base = base ? base + 1 : link;
    bool named = strspn(base, "0123456789abcdef") == HASH_HEX - 1 && !base[HASH_HEX - 1];
    return named && base - link >= 4 && !memcmp(base - 4, "cas/", 4) ? base : NULL;
}

int hash_path(const char *path, char hex[HASH_HEX], struct err *e) {
    char link[PATH_MAX];
    const char *name = artifact_of(path, link);
    int rc = hash_content(path, hex, e);
    return !rc && name ? hash_differs(path, name, hex, e) : rc;
}
