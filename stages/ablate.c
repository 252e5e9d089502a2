/* ablate.c - one feature clamped to zero, or given noise: what the SAE makes of the changed reconstruction. Reads an
 * SAE and collect's file; looks at the rows on which the feature is most active. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/backends.h"
#include "lib/analysis/ranks.h"
#include "lib/base/arena.h"
#include "lib/base/stage.h"
#include "lib/file/jsonfile.h"
#include "lib/sae/ablation.h"
#include "lib/sae/asked.h"
#include "lib/sae/latents.h"
#include "lib/sae/saefile.h"

#define PROG "ablate"

struct settings {
    const char *sae, *data, *site, *feature_of, *backend, *out;
    int64_t feature, rows, shown, seed, threads;
    double noise;
};

struct best {
    size_t row;
    float z;
};

struct run {
    struct sae sae;
    struct safetensors *file;
    struct latents in;
    struct best *best; /* [rows] most active first */
    size_t R, fires;
    double mean; /* activation of the feature where it fires */
    struct ablation_base base;
    struct ablation how[2];
    uint32_t *shown; /* [n_shown] features that change most, by the clamp */
    size_t n_shown;
    char *record;
};

/* Keep the rows of largest activation; of equals the earlier. */
static void keep(struct run *r, size_t most, size_t row, float z) {
    size_t at = r->R < most ? r->R++ : r->R;
    while (at && r->best[at - 1].z < z) {
        if (at < most) r->best[at] = r->best[at - 1];
        at--;
    }
    if (at < most) r->best[at] = (struct best){row, z};
}

static int find_rows(const struct settings *s, struct run *r, struct err *e) {
    double sum = 0;
    r->best = mem_array((size_t)s->rows + 1, sizeof *r->best, PROG ": rows", e);
    if (!r->best) return ERR_MEMORY;
    for (size_t b0 = 0; b0 < r->in.N; b0 += LATENTS_BATCH) {
        size_t B = r->in.N - b0 < LATENTS_BATCH ? r->in.N - b0 : LATENTS_BATCH;
        int rc = latents_read(&r->in, b0, B, e);
        if (rc) return rc;
        const struct active *a = r->in.active;
        for (size_t b = 0; b < B; b++)
            for (size_t i = a->row[b]; i < a->row[b + 1]; i++)
                if (a->feat[i] == (uint32_t)s->feature)
                    r->fires++, sum += (double)a->pre[i], keep(r, (size_t)s->rows, b0 + b, a->pre[i]);
    }
    r->mean = r->fires ? sum / (double)r->fires : 0;
    if (r->fires) return 0;
    err_set(e, ERR_RANGE, "%s: feature %lld fires on none of the %zu rows of %s", s->sae, (long long)s->feature,
            r->in.N, s->data);
    return err_hint(e, "evaluate's file lists how often each feature fires");
}

/* The rows found, into the encoder's. */
static int gather(struct run *r, struct err *e) {
    const size_t D = r->in.D;
    float *x = mem_array(r->R, D * sizeof *x, PROG ": rows", e);
    int rc = x ? 0 : ERR_MEMORY;
    for (size_t i = 0; !rc && i < r->R; i++) {
        rc = latents_load(&r->in, r->best[i].row, 1, e);
        if (!rc) memcpy(x + i * D, r->in.x, D * sizeof *x);
    }
    if (!rc) memcpy(r->in.x, x, r->R * D * sizeof *x);
    free(x);
    return rc;
}

/* The features by difference, largest first; NULL without memory. */
static struct ranks_item *rank(const struct ablation *a, size_t F, struct err *e) {
    struct ranks_item *r = mem_array(F, sizeof *r, PROG ": ranks", e);
    for (size_t f = 0; r && f < F; f++) r[f] = (struct ranks_item){a->difference[f], (uint32_t)f};
    if (r) ranks_sort(F, r);
    return r;
}

/* The feature itself first, then those that the clamp changes most. */
static int choose_shown(const struct settings *s, struct run *r, struct err *e) {
    const size_t F = r->sae.F, most = (size_t)s->shown < F ? (size_t)s->shown : F;
    struct ranks_item *by = rank(&r->how[ABLATE_CLAMP], F, e);
    r->shown = by ? mem_array(most, sizeof *r->shown, PROG ": features", e) : NULL;
    if (!r->shown) return free(by), ERR_MEMORY;
    r->shown[r->n_shown++] = (uint32_t)s->feature;
    for (size_t i = 0; i < F && r->n_shown < most; i++)
        if (by[i].index != (uint32_t)s->feature) r->shown[r->n_shown++] = by[i].index;
    free(by);
    return 0;
}

/* [row][shown] */
static json_t *cells(const struct run *r, const float *z) {
    json_t *rows = json_array();
    for (size_t i = 0; i < r->R; i++) {
        json_t *row = json_array();
        for (size_t k = 0; k < r->n_shown; k++) row = jsonfile_with(row, "%.9g", (double)z[i * r->sae.F + r->shown[k]]);
        rows = jsonfile_with(rows, "%p", row);
    }
    return rows;
}

static json_t *intervention(const struct run *r, const struct ablation *a, struct err *e) {
    const size_t F = r->sae.F;
    struct ranks_item *by = rank(a, F, e);
    if (!by) return NULL;
    json_t *sorted = json_array();
    for (size_t i = 0; i < F && by[i].value > 0; i++) sorted = jsonfile_with(sorted, "%.6g", by[i].value);
    free(by);
    json_t *o = jsonfile_object("changed=%zu active=%zu changed_share=%.9g changed_share_of_active=%.9g cosine=%.9g",
                                a->changed, a->active, (double)a->changed / (double)F,
                                a->active ? (double)a->changed / (double)a->active : NAN, a->cosine);
    return jsonfile_with(o, "mse=%.9g own_change=%.9g difference_sorted=%p after=%p", a->mse, a->own, sorted,
                         cells(r, a->after));
}

static int write_all(const struct settings *s, const struct run *r, struct err *e) {
    json_t *rows = json_array(), *shown = json_array(), *clamp = intervention(r, &r->how[ABLATE_CLAMP], e),
           *noise = clamp ? intervention(r, &r->how[ABLATE_NOISE], e) : NULL;
    for (size_t i = 0; i < r->R; i++) rows = jsonfile_with(rows, "%zu", r->best[i].row);
    for (size_t k = 0; k < r->n_shown; k++) shown = jsonfile_with(shown, "%u", r->shown[k]);
    json_t *o = jsonfile_object("feature=%lld site=%s features=%zu fires=%zu mean_activation=%.9g noise=%.17g",
                                (long long)s->feature, s->site, r->sae.F, r->fires, r->mean, s->noise);
    o = jsonfile_with(o, "rows=%p shown=%p before=%p clamp=%p noise_added=%p record=%p", rows, shown,
                      cells(r, r->base.before), clamp, noise, json_loads(r->record, 0, NULL));
    return jsonfile_write_new(s->out, o, e);
}

static void run_free(struct run *r) {
    ablation_base_free(&r->base);
    for (int i = 0; i < 2; i++) ablation_free(&r->how[i]);
    latents_close(&r->in);
    sae_free(&r->sae);
    safetensors_close(r->file);
    free(r->best), free(r->shown), free(r->record);
}

int main(int argc, char **argv) {
    struct settings s = {0};
    struct run r = {0};
    struct err e = {0};
    const struct opt table[] = {
        {"sae", OPT_INPUT, &s.sae, NULL, 0, 0, NULL, NULL, "folder of an SAE, from train or SAELens", false},
        {"data", OPT_INPUT, &s.data, NULL, 0, 0, NULL, NULL, "held-out activations, from collect", false},
        {"site", OPT_TEXT, &s.site, NULL, 0, 0, NULL, NULL, "tensor to take: mlp_post", false},
        {"feature", OPT_INT, &s.feature, "-1", -1, INT32_MAX, NULL, "1", "the feature to ablate, from 0", false},
        {"feature-of", OPT_INPUT, &s.feature_of, "", 0, 0, NULL, NULL, "or the one that specificity's file looked at",
         false},
        {"rows", OPT_INT, &s.rows, NULL, 1, LATENTS_BATCH, NULL, "rows", "where the feature is most active", false},
        {"noise", OPT_REAL, &s.noise, NULL, 0, 1e6, NULL, "mean activation", "standard deviation of the noise", false},
        {"shown", OPT_INT, &s.shown, NULL, 1, 1000, NULL, "features", "those that change most, listed row by row",
         false},
        {"seed", OPT_INT, &s.seed, "0", 0, 9e15, NULL, "1", "of the noise", false},
        STAGE_BACKEND(&s.backend),
        STAGE_THREADS(&s.threads),
        STAGE_OUT(&s.out, "JSON file to write"),
    };
    const struct stage me = {PROG, "one feature clamped or given noise: what else changes", OPT_TABLE(table)};
    int rc = stage_start(&me, argc, argv, &e);

    if (!rc) rc = saefile_read(&r.sae, s.sae, &e);
    size_t asked = 0;
    if (!rc) rc = asked_feature(PROG, s.feature, s.feature_of, r.sae.F, &asked, &e);
    s.feature = (int64_t)asked;
    if (!rc) rc = safetensors_open(&r.file, s.data, &e);
    if (!rc) rc = latents_open(&r.in, &r.sae, r.file, s.data, s.site, s.backend, &e);
    if (!rc) rc = stage_record(&me, &r.record, &e);

    if (!rc) rc = find_rows(&s, &r, &e);
    if (!rc) rc = gather(&r, &e);

    if (!rc) rc = ablation_start(&r.in.encoder, r.R, &r.base, &e);
    for (int how = 0; !rc && how < 2; how++)
        rc = ablation_feature(&r.in.encoder, &r.base, (size_t)s.feature, (enum ablate_how)how, s.noise * r.mean,
                              (uint64_t)s.seed, &r.how[how], &e);
    if (!rc) rc = choose_shown(&s, &r, &e);

    if (!rc) rc = write_all(&s, &r, &e);

    const struct ablation *clamp = &r.how[ABLATE_CLAMP];
    if (!rc)
        stage_done(PROG,
                   "%s: feature %lld fires on %zu rows; clamped on the %zu strongest: %zu of %zu active features "
                   "change, cosine %.4f, MSE %.3g",
                   s.out, (long long)s.feature, r.fires, r.R, clamp->changed, clamp->active, clamp->cosine, clamp->mse);
    run_free(&r);
    return stage_end(&me, rc, &e);
}
