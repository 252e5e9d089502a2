/* checkpoint.c - see checkpoint.h. One table names what is saved; writing and reading walk it. The checksum is of what the file
 * says, not of its bytes: it can be known before the header is written, and verified on the mapped tensors. */
#include "lib/sae/checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/hash.h"
#include "lib/base/outdir.h"
#include "lib/file/safetensors.h"

#define VERSION "1"

enum { MAX_ITEMS = 16 + CURVE_SERIES + 5 * SNAPSHOTS };

static const char *const state_name[CHECKPOINT_STATES] = {"state", "before"}; /* the newest first */

struct item {
    char name[48];
    enum safetensors_dtype dtype;
    size_t n;
    void *data;
};

static size_t add_arrays(struct item *it, const char *prefix, const struct sae_arrays *a,
                         const struct trainer_config *c) {
    const struct item all[] = {{"W_enc", ST_F32, c->D * c->F, a->W_enc},
                               {"W_dec", ST_F32, c->D * c->F, a->W_dec},
                               {"b_enc", ST_F32, c->F, a->b_enc},
                               {"b_dec", ST_F32, c->D, a->b_dec},
                               {"theta", ST_F32, c->F, a->theta}};
    if (!a->W_enc) return 0;
    for (size_t i = 0; i < 5; i++) {
        it[i] = all[i];
        snprintf(it[i].name, sizeof it[i].name, "%.20s.%.20s", prefix, all[i].name);
    }
    return 5;
}

/* Of the state after `steps` steps. */
static size_t items(const struct trainer *tr, const struct curve *c, const struct snapshots *snap, int64_t steps,
                    struct item *it) {
    size_t n = add_arrays(it, "parameter", &tr->p, &tr->c);
    n += add_arrays(it + n, "second_moment", &tr->v, &tr->c);
    n += add_arrays(it + n, "first_moment", &tr->m, &tr->c);
    it[n++] = (struct item){"steps_idle", ST_U32, tr->c.F, tr->steps_idle};
    for (int s = 0; s < CURVE_SERIES; s++, n++) {
        it[n] = (struct item){"", ST_F32, c->steps, c->value[s]};
        snprintf(it[n].name, sizeof it[n].name, "curve.%s", curve_key((enum curve_series)s));
    }
    for (int i = 0; i < snap->n; i++) {
        const struct sae *s = &snap->sae[i];
        const struct sae_arrays a = {s->W_enc, s->W_dec, s->b_enc, s->b_dec, s->theta};
        if (snap->step[i] <= steps) n += add_arrays(it + n, snapshots_name(i), &a, &tr->c);
    }
    return n;
}

static int in_folder(const char *folder, const char *name, char path[PATH_MAX], struct err *e) {
    if (snprintf(path, PATH_MAX, "%s/%s.safetensors", folder, name) >= PATH_MAX)
        return err_set(e, ERR_IO, "%s: path too long", folder);
    return 0;
}

/* ---- the checksum ---- */

struct hashed {
    const char *name;
    enum safetensors_dtype dtype;
    const void *data;
    size_t n_bytes;
};

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct hashed *)a)->name, ((const struct hashed *)b)->name);
}

/* Over names, types and bytes of all tensors, in name order, and the metadata. t is sorted. */
static void checksum(struct hashed *t, size_t n, const char *steps, const char *entries, const char *record,
                     char hex[HASH_HEX]) {
    char part[MAX_ITEMS + 3][HASH_HEX];
    qsort(t, n, sizeof *t, by_name);
    hash_bytes(steps, strlen(steps), part[0]);
    hash_bytes(entries, strlen(entries), part[1]);
    hash_bytes(record, strlen(record), part[2]);
    for (size_t i = 0; i < n; i++) {
        char all[HASH_HEX + 64 + 32], data[HASH_HEX];
        hash_bytes(t[i].data, t[i].n_bytes, data);
        int len = snprintf(all, sizeof all, "%s %.64s %s", data, t[i].name, safetensors_dtype_name(t[i].dtype));
        hash_bytes(all, (size_t)len, part[3 + i]);
    }
    hash_bytes(part, (n + 3) * HASH_HEX, hex);
}

/* ---- writing ---- */

static int write_meta(struct stwriter *w, const struct trainer *tr, const struct item *it, size_t n, const char *record,
                      struct err *e) {
    struct hashed t[MAX_ITEMS];
    char steps[32], entries[32], hex[HASH_HEX];
    for (size_t i = 0; i < n; i++)
        t[i] = (struct hashed){it[i].name, it[i].dtype, it[i].data, it[i].n * safetensors_dtype_bytes(it[i].dtype)};
    snprintf(steps, sizeof steps, "%" PRId64, tr->t);
    snprintf(entries, sizeof entries, "%zu", tr->last_entries);
    checksum(t, n, steps, entries, record, hex);
    int rc = stwriter_meta(w, "version", VERSION, e);
    if (!rc) rc = stwriter_meta(w, "checksum", hex, e);
    if (!rc) rc = stwriter_meta(w, "steps_done", steps, e);
    if (!rc) rc = stwriter_meta(w, "last_entries", entries, e);
    return rc ? rc : stwriter_meta(w, "record", record, e);
}

/* The newest state becomes the one before it. checkpoint_read has put aside what was damaged, so it is a whole one. */
static int step_back(const char *folder, const char *path, struct err *e) {
    char before[PATH_MAX];
    int rc = in_folder(folder, state_name[1], before, e);
    return !rc && rename(path, before) && errno != ENOENT ? err_errno(e, "%s: cannot rename", path) : rc;
}

int checkpoint_write(const struct trainer *tr, const struct curve *c, const struct snapshots *s, const char *folder,
                     const char *record, struct err *e) {
    struct item it[MAX_ITEMS];
    char path[PATH_MAX];
    size_t n = items(tr, c, s, tr->t, it);
    struct stwriter *w = NULL;
    int handle[MAX_ITEMS] = {0}, rc = in_folder(folder, state_name[0], path, e);
    if (!rc) rc = outdir_make(folder, e);
    if (!rc) rc = stwriter_open(&w, path, e);
    if (!rc) rc = write_meta(w, tr, it, n, record, e);
    for (size_t i = 0; !rc && i < n; i++) {
        int64_t shape[1] = {(int64_t)it[i].n};
        handle[i] = stwriter_declare(w, it[i].name, it[i].dtype, 1, shape, e);
        if (handle[i] < 0) rc = handle[i];
    }
    for (size_t i = 0; !rc && i < n; i++)
        rc = stwriter_write(w, handle[i], 0, it[i].data, it[i].n * safetensors_dtype_bytes(it[i].dtype), e);
    if (!rc) rc = step_back(folder, path, e);
    if (!rc) return stwriter_commit(w, e);
    stwriter_abort(w);
    return rc;
}

/* ---- reading ---- */

/* Is all there, and as it was written? */
static int whole(const struct safetensors *s, const char *path, struct err *e) {
    struct hashed t[MAX_ITEMS];
    size_t n = safetensors_count(s);
    char hex[HASH_HEX];
    const char *version = safetensors_meta(s, "version"), *sum = safetensors_meta(s, "checksum"),
               *record = safetensors_meta(s, "record"), *steps = safetensors_meta(s, "steps_done"),
               *entries = safetensors_meta(s, "last_entries");
    if (!version || strcmp(version, VERSION))
        return err_set(e, ERR_FORMAT, "%s: damaged, or of another saemill: want version %s, got %.32s", path, VERSION,
                       version ? version : "none");
    if (!sum || !record || !steps || !entries || n > MAX_ITEMS)
        return err_set(e, ERR_FORMAT, "%s: damaged: want checksum, record, steps_done, last_entries", path);
    for (size_t i = 0; i < n; i++) {
        const struct safetensors_tensor *a = safetensors_at(s, i);
        t[i] = (struct hashed){a->name, a->dtype, a->data, a->n_bytes};
    }
    checksum(t, n, steps, entries, record, hex);
    return strcmp(hex, sum) ? err_set(e, ERR_FORMAT, "%s: damaged: want checksum %.32s, got %s", path, sum, hex) : 0;
}

/* Nothing is copied before all of it fits. */
static int load(struct trainer *tr, struct curve *c, struct snapshots *snap, const struct safetensors *s,
                const char *path, struct err *e) {
    struct item it[MAX_ITEMS];
    const struct safetensors_tensor *t[MAX_ITEMS];
    int64_t steps = strtoll(safetensors_meta(s, "steps_done"), NULL, 10);
    size_t n = items(tr, c, snap, steps, it);
    if (steps < 0 || (size_t)steps > c->steps)
        return err_set(e, ERR_FORMAT, "%s: steps_done: want at most %zu, got %" PRId64, path, c->steps, steps);
    for (size_t i = 0; i < n; i++) {
        int64_t shape[1] = {(int64_t)it[i].n};
        int rc = safetensors_get(s, it[i].name, (int)it[i].dtype, 1, shape, &t[i], e);
        if (rc) return rc;
    }
    for (size_t i = 0; i < n; i++) memcpy(it[i].data, t[i]->data, t[i]->n_bytes);
    tr->t = steps;
    tr->last_entries = (size_t)strtoull(safetensors_meta(s, "last_entries"), NULL, 10);
    return 0;
}

/* 1 resumed, 0 not there, ERR_FORMAT of another run; else what is wrong with it. *damage: that is what it is. */
static int read_state(struct trainer *tr, struct curve *c, struct snapshots *snap, const char *path, const char *record,
                      bool *damage, struct err *e) {
    struct safetensors *s;
    *damage = false;
    if (access(path, F_OK)) return 0;
    int rc = safetensors_open(&s, path, e);
    if (rc) {
        *damage = rc != ERR_IO && rc != ERR_MEMORY;
        return rc;
    }
    rc = whole(s, path, e);
    if (!rc && strcmp(safetensors_meta(s, "record"), record)) {
        rc = err_set(e, ERR_FORMAT, "%s: the checkpoint belongs to another run", path);
        err_hint(e, "delete its folder to start anew, or give the run another --checkpoint folder");
    } else {
        if (!rc) rc = load(tr, c, snap, s, path, e);
        *damage = rc != 0;
    }
    safetensors_close(s);
    return rc ? rc : 1;
}

/* Out of the way of what is written next, and in nobody else's. */
static int put_aside(const char *folder, const char *path, struct err *e) {
    char aside[PATH_MAX], name[32] = "damaged";
    for (int k = 2;; k++) {
        int rc = in_folder(folder, name, aside, e);
        if (rc) return rc;
        if (access(aside, F_OK)) break;
        snprintf(name, sizeof name, "damaged-%d", k);
    }
    return rename(path, aside) ? err_errno(e, "%s: cannot rename", path) : 0;
}

int checkpoint_read(struct trainer *tr, struct curve *c, struct snapshots *s, const char *folder, const char *record,
                    struct err *damaged, struct err *e) {
    char path[PATH_MAX];
    for (int i = 0; i < CHECKPOINT_STATES; i++) damaged[i] = (struct err){0};
    for (int i = 0; i < CHECKPOINT_STATES; i++) {
        bool damage;
        int rc = in_folder(folder, state_name[i], path, e);
        if (rc) return rc;
        rc = read_state(tr, c, s, path, record, &damage, e);
        if (rc && !damage) return rc;
        if (!rc) continue;
        damaged[i] = *e;
        if (put_aside(folder, path, e)) return e->code; /* it must not become `before` */
    }
    return 0;
}
