/* gc.c - free what no receipt reaches: artifacts, keys, locks, remembered hashes of inputs that are gone, quarantine, and what
 * kills have left behind.
 *
 * The working folder of a run that was killed is kept as long as its target has not been made since: it is where that run
 * resumes. Whatever has a name that saemill does not give is left alone and named. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/outdir.h"
#include "lib/store/record.h"
#include "lib/base/stage.h"
#include "lib/store/store.h"

#define PROG "gc"

enum { N_OPTIONS = 3 };

struct gc {
    const char *store_root;
    struct opt_list results;
    bool wip;
    struct store store;
    char (*live)[HASH_HEX]; /* outputs named by receipts, sorted before use */
    size_t n_live, cap, n_freed, n_kept, n_wip_kept;
    unsigned long long freed_bytes;
};

static void table(struct gc *g, struct opt t[N_OPTIONS]) {
    const struct opt o[N_OPTIONS] = {
        {.name = "store", .type = OPT_OUTPUT, .dst = &g->store_root, .help = "the content store"},
        {.name = "results",
         .type = OPT_INPUTS,
         .dst = &g->results,
         .help = "folders whose receipts keep artifacts alive"},
        {.name = "wip",
         .type = OPT_FLAG,
         .dst = &g->wip,
         .help = "also remove the checkpoints of runs that were not finished"},
    };
    memcpy(t, o, sizeof o);
}

static int by_hex(const void *a, const void *b) { return memcmp(a, b, HASH_HEX); }

/* The artifact of a receipt is alive; of one that cannot be read, the artifact that its target links to. */
static int note(const char *path, const struct record *r, void *ctx, struct err *e) {
    struct gc *g = ctx;
    char target[PATH_MAX], linked[HASH_HEX];
    snprintf(target, sizeof target, "%.*s", (int)(strlen(path) - strlen(".rec")), path);
    if (!r && !store_linked(target, linked)) return 0;
    if (g->n_live == g->cap) {
        size_t cap = g->cap ? 2 * g->cap : 256;
        void *p = realloc(g->live, cap * sizeof *g->live);
        if (!p) return err_set(e, ERR_MEMORY, "%s: no memory", path);
        g->live = p;
        g->cap = cap;
    }
    memcpy(g->live[g->n_live++], r ? r->out : linked, HASH_HEX);
    return 0;
}

static bool is_live(const struct gc *g, const char *hex) {
    return g->n_live && bsearch(hex, g->live, g->n_live, sizeof *g->live, by_hex);
}

/* Disk blocks of a file or folder. */
static unsigned long long blocks_bytes(const char *path) {
    struct stat s;
    if (lstat(path, &s)) return 0;
    unsigned long long n = (unsigned long long)s.st_blocks * 512;
    DIR *d = S_ISDIR(s.st_mode) ? opendir(path) : NULL;
    for (struct dirent *f; d && (f = readdir(d));) {
        char sub[PATH_MAX];
        if (strcmp(f->d_name, ".") && strcmp(f->d_name, "..") &&
            snprintf(sub, sizeof sub, "%s/%s", path, f->d_name) < (int)sizeof sub)
            n += blocks_bytes(sub);
    }
    if (d) closedir(d);
    return n;
}

static bool cas_is_live(const struct gc *g, const char *path, const char *name) {
    (void)path;
    return strlen(name) == HASH_HEX - 1 && is_live(g, name);
}

/* A key is worth keeping while its result is. */
static bool ac_is_live(const struct gc *g, const char *path, const char *name) {
    struct record r;
    (void)name;
    if (record_read(path, &r, NULL)) return false;
    bool live = is_live(g, r.out);
    record_free(&r);
    return live;
}

/* A finished key leaves no working folder, so what is here was cut short: stale once its key has a result. */
static bool wip_is_live(const struct gc *g, const char *path, const char *name) {
    char ac[PATH_MAX];
    struct stat s;
    (void)path;
    if (g->wip || strlen(name) != HASH_HEX - 1) return false;
    store_path(&g->store, "ac", name, ac);
    return stat(ac, &s) != 0;
}

static bool input_is_live(const struct gc *g, const char *path, const char *name) {
    char raw[PATH_MAX];
    struct stat s;
    (void)g, (void)name;
    FILE *f = fopen(path, "r");
    bool live = f && fscanf(f, "%*s %*s %4095[^\n]", raw) == 1 && !stat(raw, &s);
    if (f) fclose(f);
    return live;
}

static bool lock_is_live(const struct gc *g, const char *path, const char *name) {
    (void)g, (void)path;
    return !strcmp(name, "all"); /* the one we hold */
}

static bool never(const struct gc *g, const char *path, const char *name) {
    (void)g, (void)path, (void)name;
    return false;
}

static bool always(const struct gc *g, const char *path, const char *name) {
    (void)g, (void)path, (void)name;
    return true;
}

/* A file under way whose process is gone. */
static bool abandoned(const char *name) {
    long pid;
    return store_leftover(name, &pid) && kill((pid_t)pid, 0) && errno == ESRCH;
}

/* Names that saemill gives: 32 digits (also behind "in." or "check."), slot.<n>, the lock on all. */
static bool is_our_name(const char *name) {
    if (!strncmp(name, "in.", 3)) name += 3;
    if (!strncmp(name, "check.", 6)) name += 6;
    return (strspn(name, "0123456789abcdef") == HASH_HEX - 1 && !name[HASH_HEX - 1]) ||
           (!strncmp(name, "slot.", 5) && !name[5 + strspn(name + 5, "0123456789")]) || !strcmp(name, "all");
}

static void foreign(const char *path) {
    fputs("FOREIGN  ", stdout);
    err_put(stdout, path);
    fputs(": not made by saemill: left alone\n", stdout);
}

static int drop(struct gc *g, const char *path, struct err *e) {
    g->freed_bytes += blocks_bytes(path);
    g->n_freed++;
    return outdir_remove(path, e);
}

/* One folder of the store: `live` decides about names that are ours. */
static int sweep(struct gc *g, const char *kind, bool (*live)(const struct gc *, const char *, const char *),
                 size_t *kept, struct err *e) {
    char folder[PATH_MAX], path[PATH_MAX];
    store_path(&g->store, kind, "", folder);
    DIR *d = opendir(folder);
    if (!d) return errno == ENOENT ? 0 : err_errno(e, "%s: cannot list", folder);
    int rc = 0;
    for (struct dirent *f; !rc && (f = readdir(d));) {
        if (!strcmp(f->d_name, ".") || !strcmp(f->d_name, "..")) continue;
        store_path(&g->store, kind, f->d_name, path);
        if (abandoned(f->d_name))
            rc = drop(g, path, e);
        else if (live == always)
            continue;
        else if (!is_our_name(f->d_name))
            foreign(path);
        else if (!live(g, path, f->d_name))
            rc = drop(g, path, e);
        else if (kept)
            ++*kept;
    }
    closedir(d);
    return rc;
}

/* What kills left among results and figures; links are not followed, the store is not entered. */
static int sweep_leftovers(struct gc *g, const char *folder, struct err *e) {
    char path[PATH_MAX];
    DIR *d = opendir(folder);
    if (!d) return errno == ENOENT ? 0 : err_errno(e, "%s: cannot list", folder);
    int rc = 0;
    for (struct dirent *f; !rc && (f = readdir(d));) {
        struct stat s;
        if (!strcmp(f->d_name, ".") || !strcmp(f->d_name, "..") || !strcmp(f->d_name, "store")) continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, f->d_name) >= (int)sizeof path || lstat(path, &s)) continue;
        if (S_ISDIR(s.st_mode))
            rc = sweep_leftovers(g, path, e);
        else if (abandoned(f->d_name))
            rc = drop(g, path, e);
    }
    closedir(d);
    return rc;
}

int main(int argc, char **argv) {
    struct gc g = {.store.fd = -1};
    struct opt t[N_OPTIONS];
    struct err e = {0};
    table(&g, t);
    const struct stage me = {PROG, "free the entries of a store that no receipt reaches", OPT_TABLE(t)};
    int rc = stage_start(&me, argc, argv, &e);
    if (!rc && access(g.store_root, F_OK) && errno == ENOENT) {
        printf("gc: no store at %s yet\n", g.store_root);
        return stage_end(&me, rc, &e);
    }
    if (!rc) rc = store_open(&g.store, g.store_root, STORE_ALONE, &e);
    for (size_t i = 0; !rc && i < g.results.n; i++) rc = record_walk(g.results.item[i], note, &g, &e);
    if (!rc && g.n_live) qsort(g.live, g.n_live, sizeof *g.live, by_hex);
    /* Keys before artifacts: a kill in between leaves artifacts that the next gc frees, never a key without its
     * artifact. */
    if (!rc) rc = sweep(&g, "wip", wip_is_live, &g.n_wip_kept, &e);
    if (!rc) rc = sweep(&g, "ac", ac_is_live, NULL, &e);
    if (!rc) rc = sweep(&g, "cas", cas_is_live, &g.n_kept, &e);
    if (!rc) rc = sweep(&g, "inputs", input_is_live, NULL, &e);
    if (!rc) rc = sweep(&g, "lock", lock_is_live, NULL, &e);
    if (!rc) rc = sweep(&g, "times", always, NULL, &e);
    if (!rc) rc = sweep(&g, "quarantine", never, NULL, &e);
    for (size_t i = 0; !rc && i < g.results.n; i++) rc = sweep_leftovers(&g, g.results.item[i], &e);
    if (!rc) {
        printf("gc: %zu entries freed, %llu bytes; %zu artifacts kept", g.n_freed, g.freed_bytes, g.n_kept);
        if (g.n_wip_kept) printf("; %zu unfinished runs kept (make gc WIP=1 removes them)", g.n_wip_kept);
        putchar('\n');
    }
    store_close(&g.store);
    free(g.live);
    return stage_end(&me, rc, &e);
}
