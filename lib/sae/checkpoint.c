/* checkpoint.c - see checkpoint.h. One table names what is saved; writing and reading walk it. */
#include "lib/sae/checkpoint.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/outdir.h"
#include "lib/file/safetensors.h"

enum { MAX_ITEMS = 16 + CURVE_SERIES };

struct item {
    char name[48];
    enum st_dtype dtype;
    size_t n;
    void *data;
};

static size_t add_arrays(struct item *it, const char *prefix, const struct sae_arrays *a, const struct step_config *c) {
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

static size_t items(const struct trainer *tr, const struct curve *c, struct item *it) {
    size_t n = add_arrays(it, "parameter", &tr->p, &tr->c);
    n += add_arrays(it + n, "second_moment", &tr->v, &tr->c);
    n += add_arrays(it + n, "first_moment", &tr->m, &tr->c);
    it[n++] = (struct item){"steps_idle", ST_U32, tr->c.F, tr->steps_idle};
    for (int s = 0; s < CURVE_SERIES; s++, n++) {
        it[n] = (struct item){"", ST_F32, c->steps, c->value[s]};
        snprintf(it[n].name, sizeof it[n].name, "curve.%s", curve_key((enum curve_series)s));
    }
    return n;
}

static int state_path(const char *folder, char path[PATH_MAX], struct err *e) {
    if (snprintf(path, PATH_MAX, "%s/state.safetensors", folder) >= PATH_MAX)
        return err_set(e, ERR_IO, "%s: path too long", folder);
    return 0;
}

int checkpoint_write(const struct trainer *tr, const struct curve *c, const char *folder, const char *record,
                     struct err *e) {
    struct item it[MAX_ITEMS];
    char path[PATH_MAX], number[32];
    size_t n = items(tr, c, it);
    struct st_writer *w = NULL;
    int handle[MAX_ITEMS] = {0}, rc = state_path(folder, path, e);
    if (!rc) rc = outdir_make(folder, e);
    if (!rc) rc = stw_open(&w, path, e);
    snprintf(number, sizeof number, "%" PRId64, tr->t);
    if (!rc) rc = stw_meta(w, "steps_done", number, e);
    snprintf(number, sizeof number, "%zu", tr->last_entries);
    if (!rc) rc = stw_meta(w, "last_entries", number, e);
    if (!rc) rc = stw_meta(w, "record", record, e);
    for (size_t i = 0; !rc && i < n; i++) {
        int64_t shape[1] = {(int64_t)it[i].n};
        handle[i] = stw_declare(w, it[i].name, it[i].dtype, 1, shape, e);
        if (handle[i] < 0) rc = handle[i];
    }
    for (size_t i = 0; !rc && i < n; i++)
        rc = stw_write(w, handle[i], 0, it[i].data, it[i].n * st_dtype_bytes(it[i].dtype), e);
    if (!rc) return stw_commit(w, e);
    stw_abort(w);
    return rc;
}

static int load(struct trainer *tr, struct curve *c, const struct st *s, const char *path, const char *record,
                struct err *e) {
    struct item it[MAX_ITEMS];
    size_t n = items(tr, c, it);
    const char *was = st_meta(s, "record"), *steps = st_meta(s, "steps_done"), *entries = st_meta(s, "last_entries");
    if (!was || !steps || !entries || strcmp(was, record)) {
        err_set(e, ERR_FORMAT, "%s: the checkpoint belongs to another run", path);
        return err_hint(e, "delete it to start anew, or give the run another --checkpoint folder");
    }
    for (size_t i = 0; i < n; i++) {
        const struct st_tensor *t;
        int64_t shape[1] = {(int64_t)it[i].n};
        int rc = st_get(s, it[i].name, (int)it[i].dtype, 1, shape, &t, e);
        if (rc) return rc;
        memcpy(it[i].data, t->data, t->n_bytes);
    }
    tr->t = strtoll(steps, NULL, 10);
    tr->last_entries = (size_t)strtoull(entries, NULL, 10);
    if (tr->t < 0 || (size_t)tr->t > c->steps)
        return err_set(e, ERR_FORMAT, "%s: steps_done %s of %zu", path, steps, c->steps);
    return 1;
}

int checkpoint_read(struct trainer *tr, struct curve *c, const char *folder, const char *record, struct err *e) {
    char path[PATH_MAX];
    struct st *s;
    int rc = state_path(folder, path, e);
    if (rc) return rc;
    if (access(path, F_OK)) return 0;
    rc = st_open(&s, path, e);
    if (rc) {
        err_hint(e, "the checkpoint is damaged: delete it to start anew");
        return rc;
    }
    rc = load(tr, c, s, path, record, e);
    st_close(s);
    return rc;
}
