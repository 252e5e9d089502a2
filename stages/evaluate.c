/* evaluate.c - an SAE on held-out rows: explained variance in every published definition, sparsity, how often each
 * feature fires.
 *
 * The SAE is in inference form and sees the rows as they are. Definitions: lib/sae/metrics.h. The two passes over the
 * rows are: means, then everything about them. With --model, a third goes over text: the model's next-token loss as it is,
 * with the site's rows replaced by the SAE's, by the mean of --data's rows and by zero, and how far each prediction is from
 * the intact one (lib/lm/splice.h). Rows of the BOS stay as they are in all of these: no SAE is trained on them. */
#include <limits.h>
#include <math.h>
#include <omp.h>
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
#include "lib/lm/splice.h"
#include "lib/lm/tokens.h"
#include "lib/sae/latents.h"
#include "lib/sae/metrics.h"
#include "lib/sae/sae.h"
#include "lib/sae/saefile.h"

#define PROG "evaluate"

enum { BINS_PER_DECADE = 4, DECADES = 7, BINS = BINS_PER_DECADE * DECADES };

/* What stands in the site's place. */
enum { INTACT, SAE, MEAN, ZERO, VARIANTS };
static const char *const variant_name[VARIANTS] = {"intact", "sae", "mean", "zero"};

struct settings {
    const char *sae, *data, *site, *backend, *out;
    const char *model, *tokens;
    int64_t threads, context, max_tokens;
    bool per_position;
};

/* Of rows that a token follows: how many, sums over them. */
struct tally {
    uint64_t rows;
    double nll[VARIANTS], kl[VARIANTS];
};

/* The language model, when there is one. */
struct language {
    struct lm_model m;
    struct lm_kernels k;
    struct tokens t;
    struct lm_site *site;
    struct window *window;
    size_t n_windows, T, room; /* longest window; rows of a batch */
    struct splice splice;
    float *put[VARIANTS]; /* [room,D] what stands in the site's place; NULL for INTACT */
    size_t *start;        /* [room+1] */
    int32_t *ids;         /* [room] */
    uint64_t replaced;
    struct tally all, *at; /* at: [T] by position, or NULL */
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
    struct language lm;
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

/* The context that the rows were collected with, unless another is asked for. */
static int context_of(const struct settings *s, const struct run *r, int64_t *context, struct err *e) {
    const char *text = safetensors_meta(r->file, "record");
    json_t *record = text ? json_loads(text, 0, NULL) : NULL;
    *context = s->context ? s->context : json_integer_value(json_object_get(record, "context"));
    json_decref(record);
    if (*context >= 2) return 0;
    err_set(e, ERR_FORMAT, "%s: metadata 'record': has no context, as collect writes it", s->data);
    return err_hint(e, "say --context, the most positions of a window");
}

/* Everything about the model but its weights. */
static int language_open(const struct settings *s, struct run *r, struct err *e) {
    struct language *l = &r->lm;
    int64_t context = 0;
    size_t n;
    int rc = lm_open(&l->m, s->model, e);
    if (!rc) rc = tokens_open(&l->t, s->tokens, e);
    if (!rc) rc = tokens_check_vocab(&l->t, l->m.c.vocab, e);
    if (!rc) rc = lm_sites_parse(s->site, l->m.c.L, &l->site, &n, e);
    if (!rc) rc = lm_kernels_get(s->backend, &l->k, e);
    if (!rc) rc = context_of(s, r, &context, e);
    if (rc) return rc;
    if (n != 1) {
        err_set(e, ERR_USAGE, "--site: want one, got %zu", n);
        return err_hint(e, "an SAE belongs to one site");
    }
    if (lm_site_width(&l->m.c, l->site) != r->sae.D) {
        err_set(e, ERR_SHAPE, "%s: the SAE is %zu wide, %s of this model %zu", s->sae, r->sae.D, s->site,
                lm_site_width(&l->m.c, l->site));
        return err_hint(e, "want the model whose activations the SAE was trained on");
    }
    if ((uint64_t)context > l->m.c.max_T) {
        err_set(e, ERR_RANGE, "--context: %lld is more than the model's %s %zu", (long long)context, l->m.c.max_T_key,
                l->m.c.max_T);
        return err_hint(e, "without --context it is that of --data");
    }
    rc = tokens_sample(&l->t, (size_t)context, s->max_tokens ? (size_t)s->max_tokens : SIZE_MAX, &l->window,
                       &l->n_windows, e);
    for (size_t i = 0; !rc && i < l->n_windows; i++)
        if (l->window[i].T > l->T) l->T = l->window[i].T;
    size_t rows = l->k.slots > 1 ? 8192 : l->T * (size_t)omp_get_max_threads();
    l->room = rows > LATENTS_BATCH ? rows : LATENTS_BATCH;
    if (l->room < l->T) l->room = l->T;
    return rc;
}

static int check(const struct settings *s, struct run *r, struct err *e) {
    int rc = latents_open(&r->in, &r->sae, r->file, s->data, s->site, s->backend, e);
    if (!rc) rc = groups_find(s, r, e);
    if (!rc && s->model) rc = language_open(s, r, e);
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
    rc = n->k->finish(e);
    if (rc) return rc;
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

/* --- the model --- */

static int language_load(const struct settings *s, struct run *r, struct err *e) {
    struct language *l = &r->lm;
    int rc = lm_load(&l->m, &l->k, l->m.c.L, l->T, e);
    if (!rc) rc = lm_load_head(&l->m, &l->k, e);
    if (!rc) rc = splice_init(&l->splice, &l->m, &l->k, l->site, l->room, l->T, VARIANTS, e);
    if (rc) return rc;
    l->start = mem_array(l->room + 1, sizeof *l->start, "evaluate: windows", e);
    l->ids = mem_array(l->room, sizeof *l->ids, "evaluate: tokens", e);
    if (s->per_position) l->at = mem_array(l->T, sizeof *l->at, "evaluate: positions", e);
    if (!l->start || !l->ids || (s->per_position && !l->at)) return ERR_MEMORY;
    for (int v = SAE; v < VARIANTS; v++)
        if (!(l->put[v] = mem_array(l->room, r->sae.D * sizeof(float), "evaluate: rows in place of others", e)))
            return ERR_MEMORY;
    return 0;
}

/* to := what the SAE makes of the rows [M,D]. */
static int reconstruct(struct run *r, size_t M, const float *rows, float *to, struct err *e) {
    const struct encoder *n = &r->in.encoder;
    const size_t D = r->sae.D;
    int rc = 0;
    memset(r->batch_group, 0, LATENTS_BATCH * sizeof *r->batch_group);
    for (size_t b0 = 0, B; !rc && b0 < M; b0 += B) {
        B = M - b0 < LATENTS_BATCH ? M - b0 : LATENTS_BATCH;
        memcpy(n->x, rows + b0 * D, B * D * sizeof *rows);
        rc = encoder_run(&r->in.encoder, B, e);
        if (rc) return rc;
        n->k->measure(B, D, n->x, &n->active, n->sae.W_dec, n->sae.b_dec, r->mean, r->group_mean, r->batch_group, r->y,
                      r->e_mean, r->row);
        rc = n->k->finish(e);
        if (!rc) memcpy(to + b0 * D, r->y, B * D * sizeof *to);
    }
    return rc;
}

/* Rows of the batch in place of the site's. */
static int replace(struct run *r, struct err *e) {
    struct language *l = &r->lm;
    const struct splice *p = &l->splice;
    const size_t D = r->sae.D;
    int rc = reconstruct(r, p->M, p->rows, l->put[SAE], e);
    for (size_t q = 0; q < p->n; q++)
        for (size_t m = p->start[q]; m < p->start[q + 1]; m++) {
            bool bos = l->t.bos >= 0 && m == p->start[q];
            for (size_t d = 0; d < D; d++) {
                l->put[MEAN][m * D + d] = (float)r->mean[d];
                l->put[ZERO][m * D + d] = 0;
            }
            for (int v = SAE; bos && v < VARIANTS; v++) memcpy(l->put[v] + m * D, p->rows + m * D, D * sizeof *p->rows);
            l->replaced += !bos;
        }
    return rc;
}

static int count(const struct settings *s, struct language *l, size_t first, struct err *e) {
    const struct splice *p = &l->splice;
    for (size_t q = 0; q < p->n; q++)
        for (size_t m = p->start[q]; m < p->start[q + 1]; m++) {
            struct tally *at = l->at ? &l->at[m - p->start[q]] : NULL;
            if (p->target[m] < 0) continue;
            l->all.rows++;
            if (at) at->rows++;
            for (int v = 0; v < VARIANTS; v++) {
                double nll = p->nll[(size_t)v * p->room + m], kl = p->kl[(size_t)v * p->room + m];
                if (!isfinite(nll) || !isfinite(kl))
                    return err_set(e, ERR_NUMERIC, "%s: window %zu, position %zu: NaN or Inf in the loss (%s)",
                                   s->tokens, first + q, m - p->start[q], variant_name[v]);
                l->all.nll[v] += nll, l->all.kl[v] += kl;
                if (at) at->nll[v] += nll, at->kl[v] += kl;
            }
        }
    return 0;
}

/* Windows from `first` on that fit into a batch; how many. */
static size_t fill(struct language *l, size_t first) {
    size_t n = 0;
    for (; first + n < l->n_windows && l->start[n] + l->window[first + n].T <= l->room; n++) {
        tokens_window_ids(&l->t, &l->window[first + n], l->ids + l->start[n]);
        l->start[n + 1] = l->start[n] + l->window[first + n].T;
    }
    return n;
}

static int language_pass(const struct settings *s, struct run *r, struct err *e) {
    struct language *l = &r->lm;
    int rc = 0;
    progress_start(&r->progress, PROG, "windows", l->n_windows);
    for (size_t i = 0, n; !rc && i < l->n_windows; i += n) {
        n = fill(l, i);
        rc = splice_load(&l->splice, &(struct lm_batch){n, l->start, l->ids}, e);
        if (!rc) rc = replace(r, e);
        if (!rc) rc = splice_run(&l->splice, VARIANTS, (const float *const *)l->put, e);
        if (!rc) rc = count(s, l, i, e);
        progress_show(&r->progress, i + n, "losses");
    }
    progress_end(&r->progress, l->n_windows, "");
    if (rc || l->all.rows) return rc;
    return err_set(e, ERR_RANGE, "%s: no token has a next one", s->tokens);
}

static double mean_of(const struct tally *t, int v) { return t->nll[v] / (double)t->rows; }

/* --- output --- */

static json_t *l0_quantiles(const struct metrics_result *m) {
    json_t *o = json_object();
    for (int i = 0; i < METRICS_QUANTILES; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u%%", metrics_percent[i]);
        o = jsonfile_with(o, "%s=%zu", key, m->l0_quantile[i]);
    }
    return jsonfile_with(o, "max=%zu", m->l0_max);
}

static json_t *ev_object(const struct metrics_result *m) {
    return jsonfile_object("uncentred=%.17g centred=%.17g residual_centred=%.17g mean_of_row_ratios=%.17g",
                           m->ev_uncentred, m->ev_centred, m->ev_residual_centred, m->ev_row_ratios);
}

static json_t *ev_formulas(void) {
    return jsonfile_object("uncentred=%s centred=%s residual_centred=%s mean_of_row_ratios=%s",
                           "1 - sum|x-x^|^2 / sum|x|^2", "1 - sum|x-x^|^2 / sum|x-mean|^2",
                           "1 - sum|e-mean(e)|^2 / sum|x-mean|^2, e = x-x^",
                           "mean over rows of 1 - |x-x^|^2 / |x-mean|^2");
}

static json_t *groups_object(const struct run *r, const struct metrics_group *g) {
    json_t *o = json_object();
    for (size_t i = 0; i < json_array_size(r->groups); i++) {
        const char *name = json_string_value(json_array_get(r->groups, i));
        json_t *v = jsonfile_object("n_rows=%zu l0=%.17g ev_uncentred=%.17g ev_centred_on_group=%.17g", g[i].n, g[i].l0,
                                    g[i].ev_uncentred, g[i].ev_centred);
        o = jsonfile_with(o, "%s=%p", name ? name : "", v);
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
    for (int i = 0; i <= BINS; i++) edge = jsonfile_with(edge, "%.9g", -DECADES + (double)i / BINS_PER_DECADE);
    for (int i = 0; i < BINS; i++) n = jsonfile_with(n, "%zu", bin[i]);
    o = jsonfile_with(o, "log10_edges=%p count=%p", edge, n);
    o = jsonfile_with(o, "never=%zu below=%zu", never, below);
    return o;
}

static json_t *frequencies(const uint64_t *count, size_t F, size_t N) {
    json_t *a = json_array();
    for (size_t f = 0; f < F; f++) a = jsonfile_with(a, "%.17g", (double)count[f] / (double)N);
    return a;
}

/* {"intact": …, …} of all rows, or [T] each by position; kl has no intact. */
static json_t *variants(const struct tally *t, size_t n, bool kl, bool table) {
    json_t *o = json_object();
    for (int v = kl; v < VARIANTS; v++) {
        json_t *list = json_array();
        for (size_t i = 0; i < n; i++)
            if (t[i].rows) list = jsonfile_with(list, "%.17g", (kl ? t[i].kl[v] : t[i].nll[v]) / (double)t[i].rows);
        o = jsonfile_with(o, "%s=%p", variant_name[v], json_incref(table ? list : json_array_get(list, 0)));
        json_decref(list);
    }
    return o;
}

static json_t *positions(const struct language *l) {
    json_t *at = json_array(), *rows = json_array();
    for (size_t i = 0; i < l->T; i++) {
        if (!l->at[i].rows) continue;
        at = jsonfile_with(at, "%zu", i);
        rows = jsonfile_with(rows, "%zu", l->at[i].rows);
    }
    return jsonfile_object("position=%p tokens=%p loss=%p kl=%p", at, rows, variants(l->at, l->T, false, true),
                           variants(l->at, l->T, true, true));
}

static double recovered(const struct tally *t, int from) {
    return 1 - (mean_of(t, SAE) - mean_of(t, INTACT)) / (mean_of(t, from) - mean_of(t, INTACT));
}

static json_t *language_object(const struct language *l) {
    json_t *formulas = jsonfile_object("delta_loss=%s loss_recovered=%s kl=%s", "loss.sae - loss.intact, nats",
                                       "1 - (loss.sae - loss.intact) / (loss.zero - loss.intact)",
                                       "mean over tokens of KL(intact || spliced), nats");
    json_t *o = jsonfile_object("tokens=%zu rows_replaced=%zu loss=%p kl=%p delta_loss=%.17g loss_recovered=%.17g "
                                "loss_recovered_from_mean=%.17g formulas=%p",
                                l->all.rows, l->replaced, variants(&l->all, 1, false, false),
                                variants(&l->all, 1, true, false), mean_of(&l->all, SAE) - mean_of(&l->all, INTACT),
                                recovered(&l->all, ZERO), recovered(&l->all, MEAN), formulas);
    return l->at ? jsonfile_with(o, "per_position=%p", positions(l)) : o;
}

static json_t *report(const struct settings *s, const struct run *r, const struct metrics_result *m,
                      const struct metrics_group *g) {
    const uint64_t *count = metrics_counts(r->metrics);
    size_t F = r->sae.F;
    json_t *o = jsonfile_object(
        "site=%s n_rows=%zu d_in=%zu width=%zu l0=%.17g l0_quantiles=%p ev=%p ev_formulas=%p fvu=%.17g mse=%.17g",
        s->site, m->n, r->sae.D, F, m->l0, l0_quantiles(m), ev_object(m), ev_formulas(), m->fvu, m->mse);
    o = jsonfile_with(o,
                      "l1=%.17g cosine=%.17g l2_ratio=%.17g relative_reconstruction_bias=%.17g rows_at_mean=%zu "
                      "rows_zero=%zu dead_share=%.17g share_above_1_percent=%.17g share_above_10_percent=%.17g",
                      m->l1, m->cosine, m->l2_ratio, m->bias, m->rows_at_mean, m->rows_zero,
                      (double)m->dead / (double)F, (double)m->above_1_percent / (double)F,
                      (double)m->above_10_percent / (double)F);
    if (r->groups) o = jsonfile_with(o, "groups=%p", groups_object(r, g));
    o = jsonfile_with(o, "frequency_histogram=%p frequency=%p", histogram(count, F, m->n), frequencies(count, F, m->n));
    if (s->model) o = jsonfile_with(o, "language_model=%p", language_object(&r->lm));
    if (json_is_object(r->train)) o = jsonfile_with(o, "train=%p", json_incref(r->train));
    return jsonfile_with(o, "record=%p", json_loads(r->record, 0, NULL));
}

static int output(const struct settings *s, const struct run *r, struct metrics_result *m, struct err *e) {
    struct metrics_group *g = mem_array(r->n_groups, sizeof *g, "evaluate: groups", e);
    if (!g) return ERR_MEMORY;
    metrics_end(r->metrics, m, g);
    int rc = jsonfile_write_new(s->out, report(s, r, m, g), e);
    free(g);
    return rc;
}

static void language_free(struct language *l) {
    splice_free(&l->splice);
    lm_close(&l->m);
    tokens_close(&l->t);
    for (int v = 0; v < VARIANTS; v++) free(l->put[v]);
    free(l->site), free(l->window), free(l->start), free(l->ids), free(l->at);
}

static void run_free(struct run *r) {
    language_free(&r->lm);
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

/* What is about a model goes together; without one it is no part of the record. */
static int check_options(const struct settings *s, struct opt *table, size_t n, struct err *e) {
    static const char *const about[] = {"context", "max-tokens", "per-position"};
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < sizeof about / sizeof *about; j++)
            if (!s->model && !strcmp(table[i].name, about[j])) table[i].unrecorded = true;
    if (!s->model == !s->tokens && (s->model || !(s->context || s->max_tokens || s->per_position))) return 0;
    err_set(e, ERR_USAGE, "--model and --tokens: want both or none");
    return err_hint(e, "--context, --max-tokens and --per-position belong to them");
}

int main(int argc, char **argv) {
    struct settings s = {0};
    struct run r = {0};
    struct metrics_result m = {0};
    struct err e = {0};
    struct opt table[] = {
        {"sae", OPT_INPUT, &s.sae, NULL, 0, 0, NULL, NULL, "folder of an SAE, from train or SAELens", false},
        {"data", OPT_INPUT, &s.data, NULL, 0, 0, NULL, NULL, "held-out activations, from collect", false},
        {"site", OPT_TEXT, &s.site, NULL, 0, 0, NULL, NULL, "tensor to take: L6R", false},
        {"model", OPT_INPUT, &s.model, "", 0, 0, NULL, NULL,
         "folder of the language model: its losses with the SAE at the site too", false},
        {"tokens", OPT_INPUT, &s.tokens, "", 0, 0, NULL, NULL, "with --model: held-out tokens, from tokenize", false},
        {"context", OPT_INT, &s.context, "", 2, 1 << 27, NULL, "tokens",
         "with --model: most positions of a window; else as --data", false},
        {"max-tokens", OPT_INT, &s.max_tokens, "0", 0, 1e12, NULL, "tokens",
         "with --model: windows are spread over the file until so many; 0: all", false},
        {"per-position", OPT_FLAG, &s.per_position, NULL, 0, 0, NULL, NULL,
         "with --model: losses by position in the window too", false},
        STAGE_BACKEND(&s.backend),
        STAGE_THREADS(&s.threads),
        STAGE_OUT(&s.out, "JSON file to write"),
    };
    const struct stage me = {PROG, "measure an SAE on held-out rows", OPT_TABLE(table)};
    int rc = stage_start(&me, argc, argv, &e);

    if (!rc) rc = check_options(&s, table, me.n, &e);

    double start_s = clock_s();
    if (!rc) rc = saefile_read(&r.sae, s.sae, &e);
    if (!rc) rc = safetensors_open(&r.file, s.data, &e);
    if (!rc) rc = check(&s, &r, &e);
    if (!rc) rc = stage_record(&me, &r.record, &e);

    if (!rc) rc = allocate(&r, &e);
    if (!rc && s.model) rc = language_load(&s, &r, &e);
    if (!rc) rc = both_passes(&r, &e);
    double spent_s = clock_s() - start_s;
    if (!rc && s.model) rc = language_pass(&s, &r, &e);
    if (!rc) rc = output(&s, &r, &m, &e);

    if (!rc)
        stage_done(PROG, "%s: %zu rows, L0 %.1f, centred EV %.4f, %.1f %% dead, %.0f rows/s", s.out, r.in.N, m.l0,
                   m.ev_centred, 100 * (double)m.dead / (double)r.sae.F, (double)r.in.N / (spent_s > 0 ? spent_s : 1));
    if (!rc && s.model)
        stage_done(PROG, "%s: loss %.4f, with the SAE %.4f, its mean %.4f, without the site %.4f; KL %.4f", s.model,
                   mean_of(&r.lm.all, INTACT), mean_of(&r.lm.all, SAE), mean_of(&r.lm.all, MEAN),
                   mean_of(&r.lm.all, ZERO), r.lm.all.kl[SAE] / (double)r.lm.all.rows);
    run_free(&r);
    return stage_end(&me, rc, &e);
}
