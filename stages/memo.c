/* memo.c - run a stage, or restore what the same run made before.
 *
 *   memo --store DIR --target PATH … -- PROGRAM WORD… [-- WORD…]
 *
 * A word @in=PATH is an input, a file or folder; in @named=PATH the last two parts of the path count too. @O stands for the output,
 * @W for the working folder and @L for the lineage text. The key of a run is the hash of: what the program's code is (progid.h), and
 * its words, the inputs by their content. Paths, the launcher and the words after the second -- (threads, checkpoints) are outside
 * it: they cannot change the result. A key seen before executes nothing: the target becomes a link to the stored artifact. See
 * lib/store/store.h for the folders and lib/store/record.h for what is written beside the target. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/opt.h"
#include "lib/base/outdir.h"
#include "lib/store/progid.h"
#include "lib/store/quarantine.h"
#include "lib/store/record.h"
#include "lib/store/record_diff.h"
#include "lib/base/stage.h"
#include "lib/store/store.h"

static const char prog[] = "memo";
static const char purpose[] =
    "run a stage or restore its result: memo --store DIR --target PATH … -- PROGRAM WORD… [-- WORD…]";

struct args {
    const char *store, *target, *label, *mode, *launch, *state, *pending, *copy;
    int64_t slots;
};

enum { N_OPTIONS = 9 };

static void table(struct args *a, struct opt t[N_OPTIONS]) {
    const struct opt o[N_OPTIONS] = {
        {.name = "store", .type = OPT_OUTPUT, .dst = &a->store, .help = "the content store"},
        {.name = "target",
         .type = OPT_OUTPUT,
         .dst = &a->target,
         .help = "what becomes a link to the result; its receipt is put beside it"},
        {.name = "label",
         .type = OPT_TEXT,
         .dst = &a->label,
         .preset = "",
         .help = "how the run is called in messages (default: the target)"},
        {.name = "mode",
         .type = OPT_TEXT,
         .dst = &a->mode,
         .preset = "run",
         .choices = "run|plan|why|check|adopt",
         .help = "run; plan: restore, or say that it must run or wait; why: what changed; check: run again and "
                 "compare; adopt: accept what an earlier program made"},
        {.name = "launch",
         .type = OPT_TEXT,
         .dst = &a->launch,
         .preset = "",
         .help = "words put before the program, split at blanks: srun --gpus=1"},
        {.name = "pending",
         .type = OPT_TEXT,
         .dst = &a->pending,
         .preset = "",
         .help = "of --mode plan: a folder in which the plans of one make note what is not there yet"},
        {.name = "copy",
         .type = OPT_TEXT,
         .dst = &a->copy,
         .preset = "",
         .help = "of --mode plan: where a copy of the target is read: noted with it"},
        {.name = "state",
         .type = OPT_TEXT,
         .dst = &a->state,
         .preset = "",
         .help = "what make saw of the raw inputs (sizes, dates, inodes), kept beside the target for it to compare"},
        {.name = "slots",
         .type = OPT_INT,
         .dst = &a->slots,
         .preset = "1",
         .lo = 0,
         .hi = 4096,
         .help = "at most so many stages at a time in this store; 0: no limit"},
    };
    memcpy(t, o, sizeof o);
}

struct job {
    struct args a;
    struct store store;
    struct record now; /* the run as asked for; out is filled when it is known */
    char **aside;      /* words outside the key */
    size_t n_aside;
    char (*state)[HASH_HEX]; /* of every input, before the run */
    char *lineage;           /* text, when some word is @L */
    char wip[PATH_MAX], out[PATH_MAX];
    long long last_ms; /* of the last run for this target or stage, -1 if unknown */
};

static const char IN[] = "@in=", NAMED[] = "@named=";

/* ---- the key ---- */

static int uses(const struct job *j, const char *placeholder) {
    for (size_t i = 0; i < j->now.n_words; i++)
        if (!strcmp(j->now.word[i].text, placeholder)) return 1;
    for (size_t i = 0; i < j->n_aside; i++)
        if (!strcmp(j->aside[i], placeholder)) return 1;
    return 0;
}

static bool is_input(const struct job *j, size_t i) { return *j->now.word[i].hash; }

static int hash_inputs(struct job *j, struct err *e) {
    struct record *r = &j->now;
    j->state = calloc(r->n_words + 1, sizeof *j->state);
    if (!j->state) return err_set(e, ERR_MEMORY, "%s: no memory", j->a.label);
    int rc = 0;
    for (size_t i = 0; !rc && i < r->n_words; i++)
        if (is_input(j, i)) rc = store_hash_input(&j->store, r->word[i].text, r->word[i].hash, j->state[i], e);
    return rc;
}

static int make_key(struct job *j, struct err *e) {
    struct record *r = &j->now;
    char *text = NULL, hex[HASH_HEX];
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) return err_set(e, ERR_MEMORY, "%s: no memory", j->a.label);
    fprintf(f, "memo 3\nprogram %s %s\n", r->stage, r->program_id);
    for (const struct record_word *w = r->word; w < r->word + r->n_words; w++) {
        if (w->named)
            fprintf(f, "named %s %s\n", w->hash, record_short_name(w->text));
        else
            fprintf(f, *w->hash ? "in %s\n" : "arg %s\n", *w->hash ? w->hash : w->text);
    }
    if (j->lineage) {
        hash_bytes(j->lineage, strlen(j->lineage), hex);
        fprintf(f, "lineage %s\n", hex);
    }
    if (fclose(f)) return err_set(e, ERR_MEMORY, "%s: no memory", j->a.label);
    hash_bytes(text, n, r->key);
    free(text);
    return 0;
}

/* ---- what is known from before ---- */

static long long read_ms(const struct job *j) {
    char path[PATH_MAX];
    long long ms = -1;
    struct record old;
    snprintf(path, sizeof path, "%s.rec", j->a.target);
    if (!record_read(path, &old, NULL)) {
        ms = old.ms;
        record_free(&old);
        return ms;
    }
    store_path(&j->store, "times", j->now.stage, path);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%lld", &ms) != 1) ms = -1;
    if (f) fclose(f);
    return ms;
}

static void put_aside(const struct job *j, const char *hex, const struct err *why) {
    struct err e;
    size_t n;
    fprintf(stderr, "memo: %s: %s\n", j->a.label, why->text);
    if (quarantine(&j->store, hex, &n, &e))
        fprintf(stderr, "memo: %s\n", e.text);
    else
        fprintf(stderr,
                "memo: it is in %s/quarantine now, with %zu results made from it: make figures makes them anew\n",
                j->store.root, n);
}

/* The result of this key, if it is stored and whole: 1, with out and ms filled. */
static int stored(struct job *j) {
    char path[PATH_MAX];
    struct record old;
    struct err why;
    store_path(&j->store, "ac", j->now.key, path);
    if (record_read(path, &old, NULL)) return 0;
    int hit = store_has(&j->store, old.out);
    if (hit && store_verify(&j->store, old.out, false, &why)) {
        if (why.code == ERR_FORMAT && !strcmp(j->a.mode, "run")) put_aside(j, old.out, &why);
        hit = 0;
    }
    if (hit) {
        memcpy(j->now.out, old.out, HASH_HEX);
        memcpy(j->now.adopted, old.adopted, HASH_HEX);
        j->now.ms = old.ms;
    }
    record_free(&old);
    return hit;
}

static const char *duration(long long ms, char text[32]) {
    if (ms < 10000)
        snprintf(text, 32, "%.1f s", (double)ms / 1000);
    else if (ms < 600000)
        snprintf(text, 32, "%lld s", (ms + 500) / 1000);
    else
        snprintf(text, 32, "%lld min", (ms + 30000) / 60000);
    return text;
}

static void say(const struct job *j, const char *word, const char *note) {
    fprintf(stderr, "%-5s %s%s%s\n", word, j->a.label, *note ? "  " : "", note);
}

/* ---- publishing ---- */

/* What make compares with the command it would run now: the program and its words as they were said, a blank between. No newline at
 * the end: GNU Make 4.3 strips it from $(file <…) only when its buffer happens not to end there. */
static char *command_text(const struct job *j) {
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    if (!f) return NULL;
    fputs(j->now.program, f);
    for (size_t i = 0; i < j->now.n_words; i++) {
        const struct record_word *w = &j->now.word[i];
        fprintf(f, " %s%s", !is_input(j, i) ? "" : w->named ? NAMED : IN, w->text);
    }
    if (fclose(f)) {
        free(text);
        return NULL;
    }
    return text;
}

/* A file or folder where the link goes (results that were copied without their links) gives way if it is what its receipt says;
 * what somebody else put there stays, and store_link says so. */
static int make_room(const struct job *j, const char *rec, struct err *e) {
    struct stat st;
    struct record old;
    char is[HASH_HEX];
    if (lstat(j->a.target, &st) || S_ISLNK(st.st_mode) || record_read(rec, &old, NULL)) return 0;
    bool ours = !hash_content(j->a.target, is, NULL) && !strcmp(is, old.out);
    record_free(&old);
    return ours ? outdir_remove(j->a.target, e) : 0;
}

/* Make the target name the result. Without its .cmd a target is out of date to make: so that goes first and comes last,
 * and a kill in between costs a second look, never a wrong answer. */
static int publish(struct job *j, struct err *e) {
    char rec[PATH_MAX], cmd[PATH_MAX], raw[PATH_MAX];
    if (snprintf(rec, sizeof rec, "%s.rec", j->a.target) >= (int)sizeof rec ||
        snprintf(raw, sizeof raw, "%s.raw", j->a.target) >= (int)sizeof raw ||
        snprintf(cmd, sizeof cmd, "%s.cmd", j->a.target) >= (int)sizeof cmd)
        return err_set(e, ERR_IO, "%s: path too long", j->a.target);
    int rc = unlink(cmd) && errno != ENOENT && errno != ENOTDIR ? err_errno(e, "%s: cannot remove", cmd) : 0;
    if (!rc) rc = make_room(j, rec, e);
    if (!rc) rc = store_link(&j->store, j->now.out, j->a.target, e);
    char *text = record_text(&j->now), *command = command_text(j);
    if (!rc && (!text || !command)) rc = err_set(e, ERR_MEMORY, "%s: no memory", j->a.label);
    if (!rc) rc = outfile_text(rec, text, strlen(text), e);
    if (!rc && *j->a.state) rc = outfile_text(raw, j->a.state, strlen(j->a.state), e);
    if (!rc) rc = outfile_text(cmd, command, strlen(command), e);
    free(text);
    free(command);
    return rc;
}

static int remember(struct job *j, struct err *e) {
    char path[PATH_MAX], ms[32];
    char *text = record_text(&j->now);
    if (!text) return err_set(e, ERR_MEMORY, "%s: no memory", j->a.label);
    store_path(&j->store, "ac", j->now.key, path);
    int rc = outfile_text(path, text, strlen(text), e);
    free(text);
    store_path(&j->store, "times", j->now.stage, path);
    snprintf(ms, sizeof ms, "%lld\n", j->now.ms);
    if (!rc) store_note(path, ms, strlen(ms));
    return rc;
}

/* ---- running ---- */

static volatile sig_atomic_t child_pid; /* for the signal handler, which has no other way to know */

static void forward(int sig) {
    if (child_pid > 0) kill((pid_t)child_pid, sig);
}

/* A word with its placeholder replaced; points into `room` when it was. */
static const char *fill_in(const struct job *j, const char *word, char room[PATH_MAX]) {
    if (!strcmp(word, "@O")) return j->out;
    if (!strcmp(word, "@L")) {
        snprintf(room, PATH_MAX, "%.*s/lineage.txt", PATH_MAX - 16, j->wip);
        return room;
    }
    if (!strncmp(word, "@W", 2) && (!word[2] || word[2] == '/')) {
        snprintf(room, PATH_MAX, "%.*s%.*s", PATH_MAX / 2, j->wip, PATH_MAX / 2 - 1, word + 2);
        return room;
    }
    return word;
}

/* launcher, program, words, words aside; one block that free() releases. */
static char **child_words(const struct job *j, char **launch_copy) {
    size_t n_launch = 0, n = 0;
    *launch_copy = strdup(j->a.launch);
    if (!*launch_copy) return NULL;
    for (const char *p = j->a.launch; *p; p++) n_launch += *p != ' ' && (p == j->a.launch || p[-1] == ' ');
    size_t total = n_launch + 1 + j->now.n_words + j->n_aside;
    char **word = calloc(1, (total + 1) * sizeof *word + total * PATH_MAX);
    if (!word) return NULL;
    char *room = (char *)(word + total + 1), *save = NULL;
    for (char *p = strtok_r(*launch_copy, " ", &save); p; p = strtok_r(NULL, " ", &save)) word[n++] = p;
    word[n++] = (char *)(size_t)j->now.program;
    for (size_t i = 0; i < j->now.n_words; i++, room += PATH_MAX)
        word[n++] = (char *)(size_t)(is_input(j, i) ? j->now.word[i].text : fill_in(j, j->now.word[i].text, room));
    for (size_t i = 0; i < j->n_aside; i++, room += PATH_MAX) word[n++] = (char *)(size_t)fill_in(j, j->aside[i], room);
    return word;
}

/* Run it to its end; *status as exit() would have it (128 + signal when it was killed). */
static int run_child(const struct job *j, int *status, struct err *e) {
    char *launch = NULL, **word = child_words(j, &launch);
    if (!word) {
        free(launch);
        return err_set(e, ERR_MEMORY, "%s: no memory", j->a.label);
    }
    struct sigaction on = {.sa_handler = forward}, off = {.sa_handler = SIG_DFL};
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    sigset_t hold, before;
    sigemptyset(&hold);
    for (int i = 0; i < 3; i++) sigaddset(&hold, signals[i]);
    sigprocmask(SIG_BLOCK, &hold, &before); /* none may come between fork and our knowing the child */
    pid_t self = getpid(), pid = fork();
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* a killed memo takes its stage with it */
        for (int i = 0; i < 3; i++) sigaction(signals[i], &off, NULL);
        sigprocmask(SIG_SETMASK, &before, NULL);
        if (getppid() != self) _exit(127);
        execvp(word[0], word);
        fprintf(stderr, "memo: %s: cannot run: %s\n", word[0], strerror(errno));
        _exit(127);
    }
    int rc = pid < 0 ? err_errno(e, "%s: cannot start", word[0]) : 0, raw = 0;
    child_pid = pid;
    for (int i = 0; i < 3; i++) sigaction(signals[i], &on, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    while (!rc && waitpid(pid, &raw, 0) < 0)
        if (errno != EINTR) rc = err_errno(e, "%s: cannot wait for it", word[0]);
    child_pid = 0;
    *status = WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw);
    free(word);
    free(launch);
    return rc;
}

static int inputs_unchanged(const struct job *j, struct err *e) {
    for (size_t i = 0; i < j->now.n_words; i++) {
        char now[HASH_HEX];
        const char *path = j->now.word[i].text;
        int rc = is_input(j, i) ? store_state(path, now, e) : 0;
        if (rc) return rc;
        if (is_input(j, i) && strcmp(now, j->state[i])) {
            err_set(e, ERR_IO, "%s: %s changed while the stage ran: its result is not kept", j->a.label, path);
            return err_hint(e, "run make again");
        }
    }
    return 0;
}

static int take_slot(const struct job *j, int *fd, struct err *e) {
    *fd = -1;
    for (long turn = 0; j->a.slots; turn++) {
        char name[32];
        snprintf(name, sizeof name, "slot.%ld", turn % (long)j->a.slots);
        int rc = store_try_lock(&j->store, name, fd, e);
        if (rc <= 0) return rc;
        const struct timespec wait = {.tv_nsec = turn < 100 ? 5000000 : 100000000};
        if (turn % (long)j->a.slots == 0) nanosleep(&wait, NULL);
    }
    return 0;
}

/* Links in a working folder were planted there: no stage of ours makes one, and none may write through one. */
static int refuse_links(const char *folder, struct err *e) {
    DIR *d = opendir(folder);
    struct stat st;
    int rc = 0;
    if (!d) return err_errno(e, "%s: cannot list", folder);
    for (struct dirent *f; !rc && (f = readdir(d));) {
        char path[PATH_MAX];
        if (!strcmp(f->d_name, ".") || !strcmp(f->d_name, "..")) continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, f->d_name) >= (int)sizeof path || lstat(path, &st)) continue;
        if (S_ISLNK(st.st_mode)) {
            err_set(e, ERR_IO, "%s: a link in a working folder: not followed", path);
            rc = err_hint(e, "nothing of saemill makes one: see where it leads, and remove it");
        } else if (S_ISDIR(st.st_mode))
            rc = refuse_links(path, e);
    }
    closedir(d);
    return rc;
}

/* The working folder of this key: made, or as a run that was cut short left it. */
static int open_wip(const struct job *j, struct err *e) {
    struct stat st;
    if (mkdir(j->wip, 0755) && errno != EEXIST) return err_errno(e, "%s: cannot make the folder", j->wip);
    if (lstat(j->wip, &st)) return err_errno(e, "%s: cannot open", j->wip);
    if (!S_ISDIR(st.st_mode)) {
        err_set(e, ERR_IO, "%s: is no folder but a link or a file: not used", j->wip);
        return err_hint(e, "nothing of saemill makes one: see what it is, and remove it");
    }
    return refuse_links(j->wip, e);
}

/* After a failure: was it the input? */
static void blame_inputs(const struct job *j) {
    char hex[HASH_HEX];
    struct err why;
    for (size_t i = 0; i < j->now.n_words; i++)
        if (is_input(j, i) && store_linked(j->now.word[i].text, hex) && store_has(&j->store, hex) &&
            store_verify(&j->store, hex, true, &why) == ERR_FORMAT)
            put_aside(j, hex, &why);
}

/* Make wip ready, run, and see that there is an output. 0, an error, or the stage's own exit status (> 0). */
static int execute(struct job *j, struct err *e) {
    const char *base = strrchr(j->a.target, '/'), *dot = strrchr(base ? base : j->a.target, '.');
    char path[PATH_MAX];
    struct stat st;
    int rc = open_wip(j, e), status = 0;
    if (snprintf(j->out, sizeof j->out, "%.*s/out%s", PATH_MAX - 80, j->wip, dot && strlen(dot) < 64 ? dot : "") < 0)
        return ERR_IO;
    if (!rc) rc = outdir_remove(j->out, e);
    if (!rc && j->lineage) {
        snprintf(path, sizeof path, "%.*s/lineage.txt", PATH_MAX - 16, j->wip);
        rc = outfile_text(path, j->lineage, strlen(j->lineage), e);
    }
    if (!rc) rc = run_child(j, &status, e);
    if (rc) return rc;
    if (status) {
        blame_inputs(j);
        fprintf(stderr, "memo: %s: exit status %d; the target is as it was, the working folder is kept: %s\n",
                j->a.label, status, j->wip);
        return status;
    }
    if (stat(j->out, &st))
        return err_set(e, ERR_IO, "%s: %s ended well but wrote nothing to --out", j->a.label, j->now.program);
    rc = inputs_unchanged(j, e);
    if (rc) outdir_remove(j->wip, NULL); /* a checkpoint of mixed inputs must not be resumed */
    return rc;
}

/* Returns the exit status. */
static int run(struct job *j, struct err *e) {
    char note[64], text[32];
    int lock = -1, slot = -1, rc = store_lock(&j->store, j->now.key, &lock, e);
    if (!rc && stored(j)) {
        rc = publish(j, e);
        if (!rc) say(j, "HIT", "");
        close(lock);
        return rc ? stage_fail(prog, e) : STAGE_OK;
    }
    if (!rc) rc = take_slot(j, &slot, e);
    if (!rc) {
        snprintf(note, sizeof note, j->last_ms < 0 ? "" : "(last time %s)", duration(j->last_ms, text));
        say(j, "RUN", note);
        double start_s = clock_s();
        rc = execute(j, e);
        j->now.ms = (long long)((clock_s() - start_s) * 1000);
    }
    if (slot >= 0) close(slot);
    if (!rc) rc = store_put(&j->store, j->out, j->now.out, e);
    if (!rc) rc = remember(j, e);
    if (!rc) rc = publish(j, e);
    if (!rc) rc = outdir_remove(j->wip, e);
    if (lock >= 0) close(lock);
    if (rc > 0) return rc;
    if (rc) return stage_fail(prog, e);
    say(j, "DONE", duration(j->now.ms, text));
    return STAGE_OK;
}

/* ---- plan ---- */

/* The note that a path is not there yet. */
static void note_of(const struct job *j, const char *path, char note[PATH_MAX]) {
    char hex[HASH_HEX];
    hash_bytes(path, strlen(path), hex);
    snprintf(note, PATH_MAX, "%.*s/%s", PATH_MAX - HASH_HEX - 1, j->a.pending, hex);
}

static bool waits(const struct job *j) {
    char note[PATH_MAX];
    for (size_t i = 0; *j->a.pending && i < j->now.n_words; i++) {
        if (!is_input(j, i)) continue;
        note_of(j, j->now.word[i].text, note);
        if (!access(note, F_OK)) return true;
    }
    return false;
}

/* Does the target name the result of this key already? */
static bool in_place(const struct job *j) {
    char path[PATH_MAX], linked[HASH_HEX];
    struct record old;
    snprintf(path, sizeof path, "%.*s.rec", PATH_MAX - 8, j->a.target);
    if (record_read(path, &old, NULL)) return false;
    bool is = !strcmp(old.key, j->now.key) && store_linked(j->a.target, linked) && !strcmp(linked, old.out) &&
              store_has(&j->store, linked);
    record_free(&old);
    return is;
}

/* Nothing when all is in place, else one line: HIT (restored), MUST (it has to run) or WAIT (for such), label, ms, key, tabs between.
 * Plans are made inputs first, so what an input waits for is noted before it is asked. */
static int plan(struct job *j, bool wait, struct err *e) {
    char note[PATH_MAX];
    if (!wait && in_place(j)) return STAGE_OK;
    bool hit = !wait && stored(j);
    if (hit && publish(j, e)) return stage_fail(prog, e);
    for (int i = 0; !hit && *j->a.pending && i < (*j->a.copy ? 2 : 1); i++) {
        note_of(j, i ? j->a.copy : j->a.target, note);
        store_note(note, "", 0);
    }
    printf("%s\t%s\t%lld\t%s\n",
           wait  ? "WAIT"
           : hit ? "HIT"
                 : "MUST",
           j->a.label, hit ? j->now.ms : j->last_ms, j->now.key);
    return STAGE_OK;
}

static int check(struct job *j, struct err *e) {
    char scratch[2 * HASH_HEX], hex[HASH_HEX];
    if (!stored(j)) {
        printf("NONE  %s  no stored result to compare with\n", j->a.label);
        return STAGE_OK;
    }
    snprintf(scratch, sizeof scratch, "check.%s", j->now.key);
    store_path(&j->store, "wip", scratch, j->wip);
    int rc = outdir_remove(j->wip, e);
    if (!rc) rc = execute(j, e);
    if (!rc) rc = hash_content(j->out, hex, e);
    if (rc < 0) return stage_fail(prog, e);
    if (rc) return rc;
    int same = !strcmp(hex, j->now.out);
    printf("%s  %s  stored %.12s, now %.12s\n", same ? "SAME" : "DIFFERENT", j->a.label, j->now.out, hex);
    if (same) outdir_remove(j->wip, NULL);
    return same ? STAGE_OK : STAGE_FAILED;
}

/* What stands at the target is accepted as the result of this program. Only the program may be another than its receipt says: not
 * the words, nor the inputs. The receipt keeps which program it was. */
static int adopt(struct job *j, struct err *e) {
    char rec[PATH_MAX], linked[HASH_HEX];
    struct record old;
    snprintf(rec, sizeof rec, "%.*s.rec", PATH_MAX - 8, j->a.target);
    int rc = record_read(rec, &old, e), lock = -1;
    if (rc) return stage_fail(prog, e);
    if (!strcmp(old.program_id, j->now.program_id) && record_same_work(&old, &j->now)) {
        printf("KEPT  %s: this program made or adopted it already\n", j->a.label);
        record_free(&old);
        return STAGE_OK;
    }
    if (j->lineage) {
        rc = err_set(e, ERR_USAGE, "%s: it shows how it was made, so it is made anew", j->a.label);
    } else if (!record_same_work(&old, &j->now)) {
        err_set(e, ERR_USAGE, "%s: not only its program changed: not adopted", j->a.label);
        rc = err_hint(e, "make why T=… shows its words and inputs");
    } else if (!store_linked(j->a.target, linked) || strcmp(linked, old.out)) {
        err_set(e, ERR_USAGE, "%s: it is not the result that its receipt names", j->a.target);
        rc = err_hint(e, "make audit shows what is not as recorded");
    }
    if (!rc) rc = store_verify(&j->store, old.out, true, e);
    if (!rc) rc = store_lock(&j->store, j->now.key, &lock, e);
    if (!rc && stored(j)) {
        err_set(e, ERR_USAGE, "%s: this program's own result is in the store: not adopted", j->a.label);
        rc = err_hint(e, "make restores it");
    }
    memcpy(j->now.out, old.out, HASH_HEX);
    memcpy(j->now.adopted, *old.adopted ? old.adopted : old.program_id, HASH_HEX);
    j->now.ms = old.ms;
    record_free(&old);
    if (!rc) rc = remember(j, e);
    if (!rc) rc = publish(j, e);
    if (lock >= 0) close(lock);
    if (rc) return stage_fail(prog, e);
    printf("ADOPTED  %s: made by program %.12s\n", j->a.label, j->now.adopted);
    return STAGE_OK;
}

/* ---- why ---- */

static int why(struct job *j) {
    char path[PATH_MAX], hex[HASH_HEX];
    struct record old;
    int hit = stored(j), n = 0;
    printf("%s  (%s)\n", j->a.target, j->a.label);
    snprintf(path, sizeof path, "%s.rec", j->a.target);
    struct stat st;
    if (stat(path, &st))
        printf("  never made\n");
    else if (record_read(path, &old, NULL))
        printf("  its receipt cannot be read\n");
    else {
        n = record_diff(stdout, &old, &j->now);
        bool same = !n && !strcmp(old.key, j->now.key) && store_linked(j->a.target, hex) && !strcmp(hex, old.out) &&
                    store_has(&j->store, hex);
        record_free(&old);
        if (same) {
            printf("  nothing changed\n");
            return STAGE_OK;
        }
        if (!n) printf("  the target or its artifact is missing or not what the receipt says\n");
    }
    printf("  %s\n",
           hit ? "the result is in the store: make restores it" : "the result is not in the store: the stage must run");
    return STAGE_OK;
}

/* ---- main ---- */

/* Words between the first and the second "--" are program and words, those after it are aside. */
static int take_command(struct job *j, int argc, char **argv, int *own, struct err *e) {
    int first = 1, second;
    while (first < argc && strcmp(argv[first], "--")) first++;
    for (second = first + 1; second < argc && strcmp(argv[second], "--");) second++;
    *own = first < argc ? first : argc;
    for (int i = 1; i < *own; i++)
        if (!strcmp(argv[i], "--help")) return 0;
    if (first + 1 >= argc || second == first + 1) {
        err_set(e, ERR_USAGE, "%s: no program: … -- PROGRAM WORD…", prog);
        return err_hint(e, "%s --help lists every option", prog);
    }
    struct record *r = &j->now;
    r->program = argv[first + 1];
    const char *slash = strrchr(r->program, '/');
    r->stage = slash ? slash + 1 : r->program;
    r->n_words = (size_t)(second - first - 2);
    r->word = calloc(r->n_words + 1, sizeof *r->word);
    if (!r->word) return err_set(e, ERR_MEMORY, "%s: no memory", prog);
    for (size_t i = 0; i < r->n_words; i++) {
        struct record_word *w = &r->word[i];
        w->text = argv[first + 2 + (int)i];
        w->named = !strncmp(w->text, NAMED, strlen(NAMED));
        if (w->named || !strncmp(w->text, IN, strlen(IN))) {
            w->text = strchr(w->text, '=') + 1;
            strcpy(w->hash, "?"); /* hash_inputs says it */
        }
        if (!record_word_ok(w->text)) return err_set(e, ERR_USAGE, "%s: a word with a newline in it", prog);
    }
    j->aside = argv + second + 1;
    j->n_aside = second + 1 < argc ? (size_t)(argc - second - 1) : 0;
    return 0;
}

/* A receipt on the way here that cannot be read: without its .cmd its target is out of date, and make puts it right. */
static int lineage(struct job *j, struct err *e) {
    char bad[PATH_MAX];
    int rc = record_lineage(&j->now, &j->lineage, bad, e);
    size_t n = strlen(bad);
    if (!n) return rc;
    memcpy(bad + n - 3, "cmd", 3);
    unlink(bad);
    return err_hint(e, "run make again: it is made anew");
}

static int prepare(struct job *j, struct err *e) {
    int rc = progid(j->now.program, record_backend(&j->now), j->now.program_id, e);
    if (!rc) rc = hash_inputs(j, e);
    if (!rc && uses(j, "@L")) rc = lineage(j, e);
    if (!rc) rc = make_key(j, e);
    if (rc) return rc;
    store_path(&j->store, "wip", j->now.key, j->wip);
    return 0;
}

int main(int argc, char **argv) {
    struct job j = {.store.fd = -1};
    struct opt t[N_OPTIONS];
    struct err e = {0};
    int own;
    j.a.label = j.a.launch = j.a.state = j.a.pending = j.a.copy = "";
    table(&j.a, t);
    int rc = take_command(&j, argc, argv, &own, &e);
    if (!rc) rc = opt_parse(prog, purpose, t, N_OPTIONS, own, argv, &e);
    if (rc == 1) return STAGE_OK;
    if (!rc && !*j.a.label) j.a.label = j.a.target;
    if (!rc) rc = store_open(&j.store, j.a.store, STORE_RUN, &e);
    if (!rc) j.last_ms = read_ms(&j);
    bool wait = !rc && !strcmp(j.a.mode, "plan") && waits(&j);
    if (!rc && !wait) rc = prepare(&j, &e);
    int status = rc                           ? stage_fail(prog, &e)
                 : !strcmp(j.a.mode, "run")   ? run(&j, &e)
                 : !strcmp(j.a.mode, "plan")  ? plan(&j, wait, &e)
                 : !strcmp(j.a.mode, "why")   ? why(&j)
                 : !strcmp(j.a.mode, "adopt") ? adopt(&j, &e)
                                              : check(&j, &e);
    store_close(&j.store);
    opt_free(t, N_OPTIONS);
    record_free(&j.now);
    free(j.state);
    free(j.lineage);
    return stage_close_stdout(prog, status);
}
