/* evaluate.c - an SAE on held-out rows: explained variance in every published definition, sparsity, how often each
 * feature fires.
 *
 * The SAE is in inference form and sees the rows as they are. Definitions: lib/sae/metrics.h. The two passes over the
 * rows are: means, then everything about them. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/base/backends.h"
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/progress.h"
#include "lib/base/stage.h"
#include "lib/file/jsonfile.h"
#include "lib/file/safetensors.h"
#include "lib/sae/latents.h"
#include "lib/sae/metrics.h"
#include "lib/sae/sae.h"
#include "lib/sae/saefile.h"

#define PROG "evaluate"

enum { BINS_PER_DECADE = 4, DECADES = 7, BINS = BINS_PER_DECADE * DECADES };

struct settings {
    const char *sae, *data, *site, *backend, *out;
    int64_t threads;
};

struct run {
    struct sae sae;
    struct safetensors *file;
    int32_t *group;         /* [N] group of each row; NULL where the file has none */
    json_t *groups, *train; /* names; the SAE's training record; NULL where there is none */
    size_t n_groups;
    char *record;
    struct latents in;
    struct metrics *metrics;
    struct arena mem;                   /* of the back end, for one batch: */
    float *y;                           /* [LATENTS_BATCH,D] reconstructions */
    double *mean, *group_mean, *e_mean; /* [D], [n_groups,D] of metrics; [D] */
    int32_t *batch_group;               /* [LATENTS_BATCH] */
    struct measure_row *row;            /* [LATENTS_BATCH] */
    struct progress progress;
};

/* --- inputs --- */

static int groups_find(const struct settings *s, struct run *r, struct err *e) {
    const char *names = safetensors_meta(r->file, "groups");
    const int64_t shape[] = {(int64_t)r->in.N};
    const struct safetensors_tensor *t;
    r->n_groups = 1;
    if (!names || !safetensors_find(r->file, "row_group")) return 0;
    int rc = safetensors_get(r->file, "row_group", ST_I32, 1, shape, &t, e);
    if (rc) return rc;
    r->groups = json_loads(names, 0, NULL);
    if (!json_is_array(r->groups) || !json_array_size(r->groups))
        return err_set(e, ERR_FORMAT, "%s: metadata 'groups': want a JSON array of names, got %.60s", s->data, names);
    r->n_groups = json_array_size(r->groups);
    r->group = mem_array(r->in.N, sizeof *r->group, "evaluate: groups of rows", e);
    if (!r->group) return ERR_MEMORY;
    memcpy(r->group, t->data, r->in.N * sizeof *r->group); /* the map need not be aligned */
    for (size_t i = 0; i < r->in.N; i++)
        if (r->group[i] < 0 || (size_t)r->group[i] >= r->n_groups)
            return err_set(e, ERR_RANGE, "%s: row_group: row %zu: want 0 to %zu, got %d", s->data, i, r->n_groups - 1,
                           r->group[i]);
    return 0;
}

/* train.json of the folder, when train wrote it: its record goes into the output, so that a sweep finds its lambda
 * there. */
static int train_find(const struct settings *s, struct run *r, struct err *e) {
    char path[PATH_MAX];
    json_t *o;
    if (snprintf(path, sizeof path, "%s/train.json", s->sae) >= (int)sizeof path)
        return err_set(e, ERR_RANGE, "%.60s…: the path is too long", s->sae);
    if (access(path, R_OK)) return 0;
    int rc = jsonfile_read(path, &o, e);
    if (rc) return rc;
    r->train = json_incref(json_object_get(o, "record"));
    json_decref(o);
    return 0;
}

static int check(const struct settings *s, struct run *r, struct err *e) {
    int rc = latents_open(&r->in, &r->sae, r->file, s->data, s->site, s->backend, e);
    if (!rc) rc = groups_find(s, r, e);
    return rc ? rc : train_find(s, r, e);
}

static int allocate(struct run *r, struct err *e) {
    size_t D = r->sae.D, B = LATENTS_BATCH, means = arena_need(D, sizeof(double)), table;
    if (!size_product(r->n_groups, D, 1, &table))
        return err_set(e, ERR_MEMORY, "evaluate: %zu groups of width %zu", r->n_groups, D);
    size_t need = arena_need(B, D * sizeof *r->y) + 2 * means + arena_need(table, sizeof(double)) +
                  arena_need(B, sizeof *r->batch_group) + arena_need(B, sizeof *r->row);
    int rc = arena_init_in(&r->mem, r->in.encoder.k->memory, need, "evaluate: one batch", e);
    if (rc) return rc;
    r->y = arena_take(&r->mem, B, D * sizeof *r->y);
    r->mean = arena_take(&r->mem, D, sizeof *r->mean);
    r->e_mean = arena_take(&r->mem, D, sizeof *r->e_mean);
    r->group_mean = arena_take(&r->mem, table, sizeof *r->group_mean);
    r->batch_group = arena_take(&r->mem, B, sizeof *r->batch_group);
    r->row = arena_take(&r->mem, B, sizeof *r->row);
    return metrics_init(&r->metrics, D, r->sae.F, r->n_groups, e);
}

/* --- the two passes --- */

static int batch_add(struct run *r, size_t b0, size_t B, struct err *e) {
    const int32_t *group = r->group ? r->group + b0 : NULL;
    const struct encoder *n = &r->in.encoder;
    int rc = encoder_run(&r->in.encoder, B, e);
    if (rc) return rc;
    if (group) memcpy(r->batch_group, group, B * sizeof *group);
    n->k->measure(B, n->sae.D, n->x, &n->active, n->sae.W_dec, n->sae.b_dec, r->mean, r->group_mean, r->batch_group,
                  r->y, r->e_mean, r->row);
    if ((rc = n->k->finish(e))) return rc;
    rc = metrics_add(r->metrics, B, r->row, r->e_mean, &n->active, group);
    return rc ? err_set(e, rc, "evaluate: no memory for the sums of %zu groups", r->n_groups) : 0;
}

static void means_done(struct run *r) {
    metrics_means_end(r->metrics);
    memcpy(r->mean, metrics_mean(r->metrics), r->sae.D * sizeof *r->mean);
    memcpy(r->group_mean, metrics_group_mean(r->metrics), r->n_groups * r->sae.D * sizeof *r->mean);
}

static int both_passes(struct run *r, struct err *e) {
    int rc = 0;
    progress_start(&r->progress, PROG, "rows", 2 * r->in.N);
    for (int pass = 0; pass < 2 && !rc; pass++) {
        for (size_t b0 = 0; b0 < r->in.N && !rc; b0 += LATENTS_BATCH) {
            size_t B = r->in.N - b0 < LATENTS_BATCH ? r->in.N - b0 : LATENTS_BATCH;
            const int32_t *group = r->group ? r->group + b0 : NULL;
            rc = latents_load(&r->in, b0, B, e);
            if (!rc) rc = pass ? batch_add(r, b0, B, e) : metrics_means(r->metrics, B, r->in.x, group);
            progress_show(&r->progress, (size_t)pass * r->in.N + b0 + B, pass ? "reconstructing" : "means");
        }
        if (!rc && !pass) means_done(r);
    }
    progress_end(&r->progress, 2 * r->in.N, "");
    return rc;
}

/* --- output --- */

static void set_number(json_t *o, const char *key, double x) { json_object_set_new(o, key, jsonfile_number(x, 17)); }
static void set_count(json_t *o, const char *key, uint64_t n) {
    json_object_set_new(o, key, json_integer((json_int_t)n));
}

static json_t *l0_quantiles(const struct metrics_result *m) {
    json_t *o = json_object();
    for (int i = 0; i < METRICS_QUANTILES; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u%%", metrics_percent[i]);
        set_count(o, key, m->l0_quantile[i]);
    }
    set_count(o, "max", m->l0_max);
    return o;
}

static json_t *ev_object(const struct metrics_result *m) {
    json_t *o = json_object();
    set_number(o, "uncentred", m->ev_uncentred);
    set_number(o, "centred", m->ev_centred);
    set_number(o, "residual_centred", m->ev_residual_centred);
    set_number(o, "mean_of_row_ratios", m->ev_row_ratios);
    return o;
}

static json_t *ev_formulas(void) {
    return json_pack("{s:s, s:s, s:s, s:s}", "uncentred", "1 - sum|x-x^|^2 / sum|x|^2", "centred",
                     "1 - sum|x-x^|^2 / sum|x-mean|^2", "residual_centred",
                     "1 - sum|e-mean(e)|^2 / sum|x-mean|^2, e = x-x^", "mean_of_row_ratios",
                     "mean over rows of 1 - |x-x^|^2 / |x-mean|^2");
}

static json_t *groups_object(const struct run *r, const struct metrics_group *g) {
    json_t *o = json_object();
    for (size_t i = 0; i < json_array_size(r->groups); i++) {
        const char *name = json_string_value(json_array_get(r->groups, i));
        json_t *v = json_object();
        set_count(v, "n_rows", g[i].n);
        set_number(v, "l0", g[i].l0);
        set_number(v, "ev_uncentred", g[i].ev_uncentred);
        set_number(v, "ev_centred_on_group", g[i].ev_centred);
        json_object_set_new(o, name ? name : "", v);
    }
    return o;
}

/* Counts of features by log10 of their firing frequency: bin i covers [edge i, edge i+1), the last one its upper end
 * too. */
static json_t *histogram(const uint64_t *count, size_t F, size_t N) {
    uint64_t bin[BINS] = {0}, never = 0, below = 0;
    for (size_t f = 0; f < F; f++) {
        double at = (log10((double)count[f] / (double)N) + DECADES) * BINS_PER_DECADE;
        if (!count[f])
            never++;
        else if (at < 0)
            below++;
        else
            bin[at < BINS ? (int)at : BINS - 1]++;
    }
    json_t *o = json_object(), *edge = json_array(), *n = json_array();
    for (int i = 0; i <= BINS; i++)
        json_array_append_new(edge, jsonfile_number(-DECADES + (double)i / BINS_PER_DECADE, 9));
    for (int i = 0; i < BINS; i++) json_array_append_new(n, json_integer((json_int_t)bin[i]));
    json_object_set_new(o, "log10_edges", edge);
    json_object_set_new(o, "count", n);
    set_count(o, "never", never);
    set_count(o, "below", below);
    return o;
}

static json_t *frequencies(const uint64_t *count, size_t F, size_t N) {
    json_t *a = json_array();
    for (size_t f = 0; f < F; f++) json_array_append_new(a, jsonfile_number((double)count[f] / (double)N, 17));
    return a;
}

static json_t *report(const struct settings *s, const struct run *r, const struct metrics_result *m,
                      const struct metrics_group *g) {
    const uint64_t *count = metrics_counts(r->metrics);
    size_t F = r->sae.F;
    json_t *o = json_object();
    json_object_set_new(o, "site", json_string(s->site));
    set_count(o, "n_rows", m->n), set_count(o, "d_in", r->sae.D), set_count(o, "width", F);
    set_number(o, "l0", m->l0);
    json_object_set_new(o, "l0_quantiles", l0_quantiles(m));
    json_object_set_new(o, "ev", ev_object(m));
    json_object_set_new(o, "ev_formulas", ev_formulas());
    set_number(o, "fvu", m->fvu), set_number(o, "mse", m->mse), set_number(o, "l1", m->l1);
    set_number(o, "cosine", m->cosine), set_number(o, "l2_ratio", m->l2_ratio);
    set_number(o, "relative_reconstruction_bias", m->bias);
    set_count(o, "rows_at_mean", m->rows_at_mean), set_count(o, "rows_zero", m->rows_zero);
    set_number(o, "dead_share", (double)m->dead / (double)F);
    set_number(o, "share_above_1_percent", (double)m->above_1_percent / (double)F);
    set_number(o, "share_above_10_percent", (double)m->above_10_percent / (double)F);
    if (r->groups) json_object_set_new(o, "groups", groups_object(r, g));
    json_object_set_new(o, "frequency_histogram", histogram(count, F, m->n));
    json_object_set_new(o, "frequency", frequencies(count, F, m->n));
    if (json_is_object(r->train)) json_object_set(o, "train", r->train);
    json_object_set_new(o, "record", json_loads(r->record, 0, NULL));
    return o;
}

static int output(const struct settings *s, const struct run *r, struct metrics_result *m, struct err *e) {
    struct metrics_group *g = mem_array(r->n_groups, sizeof *g, "evaluate: groups", e);
    if (!g) return ERR_MEMORY;
    metrics_end(r->metrics, m, g);
    json_t *o = report(s, r, m, g);
    int rc = jsonfile_write(s->out, o, e);
    json_decref(o);
    free(g);
    return rc;
}

static void run_free(struct run *r) {
    metrics_free(r->metrics);
    latents_close(&r->in);
    arena_free(&r->mem);
    json_decref(r->groups);
    json_decref(r->train);
    free(r->group);
    free(r->record);
    safetensors_close(r->file);
    sae_free(&r->sae);
}

int main(int argc, char **argv) {
    struct settings s = {0};
    struct run r = {0};
    struct metrics_result m = {0};
    struct err e = {0};
    const struct opt table[] = {
        {"sae", OPT_INPUT, &s.sae, NULL, 0, 0, NULL, NULL, "folder of an SAE, from train or SAELens", false},
        {"data", OPT_INPUT, &s.data, NULL, 0, 0, NULL, NULL, "held-out activations, from collect", false},
        {"site", OPT_TEXT, &s.site, NULL, 0, 0, NULL, NULL, "tensor to take: L6R", false},
        STAGE_BACKEND(&s.backend),
        STAGE_THREADS(&s.threads),
        STAGE_OUT(&s.out, "JSON file to write"),
    };
    const struct stage me = {PROG, "measure an SAE on held-out rows", OPT_TABLE(table)};
    int rc = stage_start(&me, argc, argv, &e);

    double start_s = clock_s();
    if (!rc) rc = saefile_read(&r.sae, s.sae, &e);
    if (!rc) rc = safetensors_open(&r.file, s.data, &e);
    if (!rc) rc = check(&s, &r, &e);
    if (!rc) rc = stage_record(&me, &r.record, &e);

    if (!rc) rc = allocate(&r, &e);
    if (!rc) rc = both_passes(&r, &e);
    if (!rc) rc = output(&s, &r, &m, &e);

    double spent_s = clock_s() - start_s;
    if (!rc)
        stage_done(PROG, "%s: %zu rows, L0 %.1f, centred EV %.4f, %.1f %% dead, %.0f rows/s", s.out, r.in.N, m.l0,
                   m.ev_centred, 100 * (double)m.dead / (double)r.sae.F, (double)r.in.N / (spent_s > 0 ? spent_s : 1));
    run_free(&r);
    return stage_end(&me, rc, &e);
}
