/* snapshot.c - an SAE as it was on the way: from a folder of train, the same kind of folder after a half, a quarter or an eighth of
 * the steps. What reads an SAE reads it like any other; its curve ends there. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/infile.h"
#include "lib/base/outdir.h"
#include "lib/base/stage.h"
#include "lib/file/jsonfile.h"
#include "lib/sae/curve.h"
#include "lib/sae/snapshots.h"

#define PROG "snapshot"

struct settings {
    const char *in, *at, *out;
};

static const char *const written[] = {"cfg.json", "sae_weights.safetensors", "curve.json", "train.json", NULL};

struct run {
    json_t *train;
    int64_t step;
    struct curve curve;
};

static int path_in(const char *folder, const char *name, const char *ending, char path[PATH_MAX], struct err *e) {
    if (snprintf(path, PATH_MAX, "%s/%s%s", folder, name, ending) < PATH_MAX) return 0;
    return err_set(e, ERR_IO, "%s: path too long", folder);
}

/* The step of the snapshot that is asked for, as train.json has it. */
static int find(const struct settings *s, struct run *r, struct err *e) {
    char path[PATH_MAX];
    json_t *list, *o;
    size_t i;
    int rc = path_in(s->in, "train", ".json", path, e);
    if (!rc) rc = jsonfile_read(path, &r->train, e);
    if (!rc) rc = jsonfile_array(r->train, path, "snapshots", &list, e);
    if (rc) return rc;
    json_array_foreach(list, i, o) {
        const char *name = json_string_value(json_object_get(o, "name"));
        if (name && !strcmp(name, s->at)) return jsonfile_int(o, path, "step", &r->step, e);
    }
    err_set(e, ERR_FORMAT, "%s: key 'snapshots': want one named '%s', there is none", path, s->at);
    return err_hint(e, "train keeps half, quarter and eighth when it is told --snapshots 3");
}

static int read_curve(const struct settings *s, struct run *r, struct err *e) {
    char path[PATH_MAX];
    int rc = path_in(s->in, "curve", ".json", path, e);
    if (!rc && r->step < 1) rc = err_set(e, ERR_RANGE, "%s: snapshot '%s': want at least one step", s->in, s->at);
    return rc ? rc : curve_read(&r->curve, path, (size_t)r->step, e);
}

static int copy(const char *folder, const char *name, const char *to, const char *as, struct err *e) {
    enum { BLOCK = 1 << 20 };
    char from[PATH_MAX], path[PATH_MAX];
    struct outfile o = {.fd = -1};
    uint64_t at = 0;
    ssize_t n = 1;
    int fd = -1, rc = path_in(folder, name, "", from, e);
    if (!rc) rc = path_in(to, as, "", path, e);
    if (!rc) rc = infile_open(from, &fd, NULL, e);
    char *block = rc ? NULL : mem_array(BLOCK, 1, "snapshot: a block", e);
    if (!rc) rc = block ? outfile_open(&o, path, e) : ERR_MEMORY;
    while (!rc && (n = read(fd, block, BLOCK)) > 0) {
        rc = outfile_write_at(&o, at, block, (size_t)n, e);
        at += (uint64_t)n;
    }
    if (!rc && n < 0) rc = err_errno(e, "%s: cannot read", from);
    if (!rc) rc = outfile_commit(&o, e);
    if (rc) outfile_abort(&o);
    if (fd >= 0) close(fd);
    free(block);
    return rc;
}

/* train.json says which run this is; what belongs to its end is as at this step. */
static int write_summary(const struct settings *s, struct run *r, const char *folder, struct err *e) {
    char path[PATH_MAX];
    int64_t d_in = 0;
    int rc = jsonfile_int(r->train, s->in, "d_in", &d_in, e);
    if (!rc) rc = path_in(folder, "train", ".json", path, e);
    if (rc) return rc;
    json_t *of = json_incref(json_object_get(r->train, "steps"));
    json_object_del(r->train, "snapshots"), json_object_del(r->train, "unturned_share");
    r->train = jsonfile_with(r->train, "of_steps=%p steps=%lld snapshot=%s", of, (long long)r->step, s->at);
    r->train = curve_summary(&r->curve, (size_t)d_in, r->train);
    return jsonfile_write(path, r->train, e);
}

static int write_all(const struct settings *s, struct run *r, struct err *e) {
    struct outdir o;
    char name[64], path[PATH_MAX];
    snprintf(name, sizeof name, "%.40s.safetensors", s->at);
    int rc = outdir_open(&o, s->out, PROG, written, e);
    if (rc) return rc;
    rc = copy(s->in, "cfg.json", o.part, "cfg.json", e);
    if (!rc) rc = copy(s->in, name, o.part, "sae_weights.safetensors", e);
    if (!rc) rc = path_in(o.part, "curve", ".json", path, e);
    if (!rc) rc = curve_write(&r->curve, path, e);
    if (!rc) rc = write_summary(s, r, o.part, e);
    if (rc) outdir_abort(&o);
    return rc ? rc : outdir_commit(&o, e);
}

int main(int argc, char **argv) {
    struct settings s = {0};
    struct run r = {0};
    struct err e = {0};
    const struct opt table[] = {
        {"in", OPT_INPUT, &s.in, NULL, 0, 0, NULL, NULL, "folder of train, with snapshots", false},
        {"at", OPT_TEXT, &s.at, NULL, 0, 0, "half|quarter|eighth", NULL, "of the steps", false},
        STAGE_OUT(&s.out, "folder to write"),
    };
    const struct stage me = {PROG, "an SAE as it was on the way", OPT_TABLE(table)};
    int rc = stage_start(&me, argc, argv, &e);

    if (!rc) rc = find(&s, &r, &e);
    if (!rc) rc = read_curve(&s, &r, &e);
    if (!rc) rc = outdir_check(s.out, PROG, written, &e);

    if (!rc) rc = write_all(&s, &r, &e);
    if (!rc) stage_done(PROG, "%s: after %lld steps", s.out, (long long)r.step);

    json_decref(r.train);
    curve_free(&r.curve);
    return stage_end(&me, rc, &e);
}
