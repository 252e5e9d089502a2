/* audit.c - is every artifact what its receipt says, and were its inputs what they are now?
 *
 * Reads receipts and links, hashes programs, artifacts up to 64 MB or with another date than the store gave them (--deep: all),
 * and raw inputs only where their dates changed. Changes nothing, but with --heal: what is damaged goes to quarantine with all
 * that was made from it, receipts that cannot be read are removed, and make makes them anew. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/store/progid.h"
#include "lib/store/quarantine.h"
#include "lib/store/record.h"
#include "lib/base/stage.h"
#include "lib/store/store.h"

#define PROG "audit"

enum { N_OPTIONS = 7, PROGRAMS_MAX = 64 };

struct seen_program {
    char path[256], backend[32], id[HASH_HEX];
};

struct audit {
    const char *store_root;
    struct opt_list results, targets, changed, edited;
    bool deep, heal;
    struct store store;
    struct seen_program program[PROGRAMS_MAX];
    size_t n_programs, n_artifacts, n_adopted, n_bad, n_damaged, n_healed;
    char **seen; /* targets looked at, when following inputs */
    size_t n_seen;
};

static void table(struct audit *a, struct opt t[N_OPTIONS]) {
    const struct opt o[N_OPTIONS] = {
        {.name = "store", .type = OPT_OUTPUT, .dst = &a->store_root, .help = "the content store"},
        {.name = "results",
         .type = OPT_INPUTS,
         .dst = &a->results,
         .preset = "",
         .help = "folders: every receipt in them"},
        {.name = "targets",
         .type = OPT_INPUTS,
         .dst = &a->targets,
         .preset = "",
         .help = "targets: their receipts, and those of all they were made from"},
        {.name = "changed",
         .type = OPT_INPUTS,
         .dst = &a->changed,
         .preset = "",
         .help = "targets whose command is no longer the recorded one"},
        {.name = "edited",
         .type = OPT_INPUTS,
         .dst = &a->edited,
         .preset = "",
         .help = "figures that are no longer what was drawn"},
        {.name = "heal",
         .type = OPT_FLAG,
         .dst = &a->heal,
         .help = "put what is damaged, and what was made from it, aside for make to make anew; with --deep"},
        {.name = "deep", .type = OPT_FLAG, .dst = &a->deep, .help = "also hash every artifact in the store again"},
    };
    memcpy(t, o, sizeof o);
}

/* One finding; while healing, what is stale or missing is make's business and not told. */
static void bad(struct audit *a, const char *word, const char *target, const char *text, const char *detail) {
    if (a->heal && strcmp(word, "DAMAGED")) return;
    printf("%-8s ", word);
    err_put(stdout, target);
    fputs(": ", stdout);
    err_put(stdout, text);
    err_put(stdout, detail);
    putchar('\n');
    a->n_bad++;
}

/* Id of a program as it is now; NULL when it is not there (after make clean). */
static const char *program_now(struct audit *a, const char *path, const char *backend) {
    static char spare[HASH_HEX];
    for (size_t i = 0; i < a->n_programs; i++)
        if (!strcmp(a->program[i].path, path) && !strcmp(a->program[i].backend, backend)) return a->program[i].id;
    struct seen_program *p = &a->program[a->n_programs];
    if (a->n_programs == PROGRAMS_MAX || strlen(path) >= sizeof p->path || strlen(backend) >= sizeof p->backend)
        return progid(path, backend, spare, NULL) ? NULL : spare;
    if (progid(path, backend, p->id, NULL)) return NULL;
    strcpy(p->path, path);
    strcpy(p->backend, backend);
    a->n_programs++;
    return p->id;
}

/* An artifact whose bytes are not those of its name. */
static int damaged(struct audit *a, const char *what, const char *hex, const struct err *why, struct err *e) {
    size_t n;
    bad(a, "DAMAGED", what, why->text, "");
    a->n_damaged++;
    if (!a->heal) return 0;
    int rc = quarantine(&a->store, hex, &n, e);
    if (rc) return rc;
    printf("HEALED   %s: it and %zu results made from it are in %s/quarantine\n", what, n, a->store.root);
    a->n_healed++;
    return 0;
}

static int unreadable(struct audit *a, const char *path, struct err *e) {
    char cmd[PATH_MAX];
    struct record r;
    struct err why = {0};
    int rc = record_read(path, &r, &why);
    record_free(&r);
    if (rc == ERR_UNSUPPORTED) {
        bad(a, "STALE", path, why.text, "");
        return 0;
    }
    bad(a, "DAMAGED", path, why.text, "");
    a->n_damaged++;
    if (!a->heal) return 0;
    snprintf(cmd, sizeof cmd, "%.*scmd", (int)(strlen(path) - strlen("rec")), path);
    if ((unlink(cmd) && errno != ENOENT) || unlink(path)) return err_errno(e, "%s: cannot remove", path);
    printf("HEALED   %s: removed\n", path);
    a->n_healed++;
    return 0;
}

/* A link to another artifact of a store than its receipt names: without it, make puts the right one there. A run that is cut short
 * between link and receipt leaves no .cmd, so that make knows. */
static int swapped(struct audit *a, const char *target, const char *wanted, struct err *e) {
    char cmd[PATH_MAX];
    snprintf(cmd, sizeof cmd, "%.*s.cmd", PATH_MAX - 8, target);
    if (access(cmd, F_OK)) {
        bad(a, "STALE", target, "a run was cut short while it was put there", "");
        return 0;
    }
    bad(a, "DAMAGED", target, "it links to another result than its receipt names, ", wanted);
    a->n_damaged++;
    if (!a->heal) return 0;
    if (unlink(target)) return err_errno(e, "%s: cannot remove", target);
    printf("HEALED   %s: removed\n", target);
    a->n_healed++;
    return 0;
}

static int check_target(struct audit *a, const char *target, const char *out, struct err *e) {
    char now[HASH_HEX];
    struct stat s;
    struct err why;
    if (store_linked(target, now)) {
        if (strcmp(now, out)) return swapped(a, target, out, e);
        if (!store_has(&a->store, now))
            bad(a, "MISSING", target, "its artifact is not in the store, ", now);
        else if (store_verify(&a->store, now, a->deep, &why))
            return damaged(a, target, now, &why, e);
    } else if (lstat(target, &s))
        bad(a, "MISSING", target, "the target is gone", "");
    else
        bad(a, "FOREIGN", target, "it is no link to the result that its receipt names, ", out);
    return 0;
}

static int check_receipt(const char *path, const struct record *r, void *ctx, struct err *e) {
    struct audit *a = ctx;
    char target[PATH_MAX], now[HASH_HEX];
    struct err why;
    a->n_artifacts++;
    if (!r) return unreadable(a, path, e);
    snprintf(target, sizeof target, "%.*s", (int)(strlen(path) - strlen(".rec")), path);
    int rc = check_target(a, target, r->out, e);
    if (*r->adopted && !a->heal) {
        printf("ADOPTED  ");
        err_put(stdout, target);
        printf(": made by an earlier program, %.12s\n", r->adopted);
        a->n_adopted++;
    }
    const char *id = program_now(a, r->program, record_backend(r));
    if (id && strcmp(id, r->program_id)) bad(a, "STALE", target, "the program changed since: ", r->program);
    for (const struct record_word *w = r->word; w < r->word + r->n_words; w++) {
        if (!*w->hash) continue;
        if (store_hash_input(&a->store, w->text, now, NULL, &why))
            bad(a, "MISSING", target, "input gone: ", why.text);
        else if (strcmp(now, w->hash))
            bad(a, "STALE", target, "made from another version of ", w->text);
    }
    return rc;
}

/* 1 when a target was seen before, 0 when it is new and now noted. */
static int seen_before(struct audit *a, const char *target, struct err *e) {
    for (size_t i = 0; i < a->n_seen; i++)
        if (!strcmp(a->seen[i], target)) return 1;
    char **p = realloc(a->seen, (a->n_seen + 1) * sizeof *p);
    if (p) a->seen = p;
    if (!p || !(p[a->n_seen] = strdup(target))) return err_set(e, ERR_MEMORY, "%s: no memory", target);
    a->n_seen++;
    return 0;
}

static int follow(struct audit *a, const char *target, struct err *e) {
    char rec[PATH_MAX];
    struct record r;
    struct stat s;
    int rc = seen_before(a, target, e);
    if (rc) return rc < 0 ? rc : 0;
    if (snprintf(rec, sizeof rec, "%s.rec", target) >= (int)sizeof rec)
        return err_set(e, ERR_IO, "%s: path too long", target);
    if (stat(rec, &s)) {
        bad(a, "MISSING", target, "it has no receipt", "");
        return 0;
    }
    rc = check_receipt(rec, record_read(rec, &r, NULL) ? NULL : &r, a, e);
    for (size_t i = 0; !rc && i < r.n_words; i++)
        if (*r.word[i].hash && snprintf(rec, sizeof rec, "%s.rec", r.word[i].text) < (int)sizeof rec && !stat(rec, &s))
            rc = follow(a, r.word[i].text, e);
    record_free(&r);
    return rc;
}

/* The artifacts that no receipt looked at names. */
static int check_store(struct audit *a, struct err *e) {
    char folder[PATH_MAX], path[PATH_MAX];
    store_path(&a->store, "cas", "", folder);
    DIR *d = opendir(folder);
    if (!d) return errno == ENOENT ? 0 : err_errno(e, "%s: cannot list", folder);
    size_t n = 0;
    int rc = 0;
    for (struct dirent *f; !rc && (f = readdir(d));) {
        struct err why = {0};
        if (strspn(f->d_name, "0123456789abcdef") != HASH_HEX - 1 || f->d_name[HASH_HEX - 1]) continue;
        if (!store_has(&a->store, f->d_name)) continue; /* put aside just now */
        store_path(&a->store, "cas", f->d_name, path);
        if (store_verify(&a->store, f->d_name, true, &why))
            rc = why.code == ERR_FORMAT ? damaged(a, path, f->d_name, &why, e) : err_set(e, why.code, "%s", why.text);
        n++;
    }
    closedir(d);
    if (!rc) printf("audit: %zu stored artifacts hashed again\n", n);
    return rc;
}

static void summary(const struct audit *a) {
    if (a->heal) {
        printf("audit: %zu damaged, %zu put aside%s\n", a->n_damaged, a->n_healed,
               a->n_healed ? ": make figures makes them anew" : "");
        return;
    }
    if (!a->n_bad) {
        printf("audit: %zu artifacts, all as recorded", a->n_artifacts);
        if (a->n_adopted) printf(", %zu of them adopted", a->n_adopted);
        putchar('\n');
        return;
    }
    printf("audit: %zu artifacts, %zu findings\n", a->n_artifacts, a->n_bad);
    if (a->n_damaged)
        printf("hint: make heal puts what is damaged aside, with what was made from it; then make figures makes it "
               "anew\n");
    else
        printf("hint: make figures remakes what is stale or missing; remove a foreign target, or the folder of a run "
               "that is no "
               "longer declared\n");
}

int main(int argc, char **argv) {
    struct audit a = {.store.fd = -1};
    struct opt t[N_OPTIONS];
    struct err e = {0};
    table(&a, t);
    const struct stage me = {
        PROG, "compare every receipt with what is there now; exit 1 naming what is stale, foreign or missing",
        OPT_TABLE(t)};
    int rc = stage_start(&me, argc, argv, &e);
    if (!rc) rc = store_open(&a.store, a.store_root, a.heal ? STORE_RUN : STORE_LOOK, &e);
    if (!rc && a.deep) rc = check_store(&a, &e); /* first: what heals what is damaged leaves links to nothing */
    for (size_t i = 0; !rc && i < a.results.n; i++) rc = record_walk(a.results.item[i], check_receipt, &a, &e);
    for (size_t i = 0; !rc && i < a.targets.n; i++) rc = follow(&a, a.targets.item[i], &e);
    for (size_t i = 0; !rc && i < a.changed.n; i++)
        bad(&a, "STALE", a.changed.item[i], "its command is no longer the recorded one", "");
    for (size_t i = 0; !rc && i < a.edited.n; i++)
        bad(&a, "CHANGED", a.edited.item[i],
            "it is no longer what was drawn: make figures keeps it under changed/ and puts the "
            "drawn one back",
            "");
    if (!rc) summary(&a);
    store_close(&a.store);
    for (size_t i = 0; i < a.n_seen; i++) free(a.seen[i]);
    free(a.seen);
    int status = stage_end(&me, rc, &e);
    return status == STAGE_OK && a.n_bad > a.n_healed ? STAGE_FAILED : status;
}
