/* effect.c - what a language model loses when one feature is ablated, for every feature. Reads a model, tokens and an SAE of its last
 * layer; writes the losses and each feature's effect.
 *
 *   effect_f = sum over the rows r on which f fires of  nll_r(x - z_f W_dec[f]) - nll_r(x)      nats
 * The ablated term is taken from the real activation, its reconstruction error kept (Templeton et al. 2024, Marks et al. 2024), so only
 * the feature changes. In the last layer a row changes the prediction of its own next token alone, so only that row runs again. Beside it:
 *   loss recovered = 1 - (L(sae(x)) - L(x)) / (L(0) - L(x))      (Bricken et al. 2023; L(0): all rows of the site zero)
 * and whether features rank alike by activation and by effect: of the ten most active at a token and the ten whose ablation moves that
 * token's loss most, how many are the same? (Templeton et al. report 3 of 10.) */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "lib/analysis/ranks.h"
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/progress.h"
#include "lib/base/stage.h"
#include "lib/file/jsonfile.h"
#include "lib/lm/splice.h"
#include "lib/lm/tokens.h"
#include "lib/sae/encoder.h"
#include "lib/sae/saefile.h"

#define PROG "effect"

enum { TOP = 10, BATCH = 1024, TOGETHER = 384 }; /* TOGETHER: ablated rows that go through the head at once */

struct settings {
    const char *sae, *model, *tokens, *site, *out;
    int64_t context, max_tokens, threads;
};

struct entry {
    uint32_t row, feature;
    float z;
};

struct run {
    struct sae sae;
    struct lm_model m;
    struct lm_kernels k;
    struct tokens t;
    struct lm_site *site;
    struct window *window;
    size_t n_windows, n_entries, room;
    size_t *start; /* [windows+1] */
    int32_t *ids;
    struct splice splice;
    struct entry *entry;
    float *y;       /* [M,width] reconstructions; the real row where BOS is */
    double *effect; /* [entries] */
    double loss, loss_sae, loss_zero;
    double *sum, *activation; /* [F] effect; summed z */
    uint32_t *fires;          /* [F] */
    double common, chance, rho;
    size_t compared, top_features;
    char *record;
};

/* --- the text --- */

static int take_windows(const struct settings *s, struct run *r, struct err *e) {
    int rc = tokens_sample(&r->t, (size_t)s->context, (size_t)s->max_tokens, &r->window, &r->n_windows, e);
    if (rc) return rc;
    r->start = mem_array(r->n_windows + 1, sizeof *r->start, PROG ": windows", e);
    if (!r->start) return ERR_MEMORY;
    for (size_t i = 0; i < r->n_windows; i++) r->start[i + 1] = r->start[i] + r->window[i].T;
    r->ids = mem_array(r->start[r->n_windows], sizeof *r->ids, PROG ": tokens", e);
    for (size_t i = 0; r->ids && i < r->n_windows; i++) tokens_window_ids(&r->t, &r->window[i], r->ids + r->start[i]);
    return r->ids ? 0 : ERR_MEMORY;
}

static int open_all(const struct settings *s, struct run *r, struct err *e) {
    size_t n;
    int rc = saefile_read(&r->sae, s->sae, e);
    if (!rc) rc = lm_open(&r->m, s->model, e);
    if (!rc) rc = tokens_open(&r->t, s->tokens, e);
    if (!rc) rc = tokens_check_vocab(&r->t, r->m.c.vocab, e);
    if (!rc) rc = lm_sites_parse(s->site, r->m.c.L, &r->site, &n, e);
    if (rc) return rc;
    if (n != 1) return err_set(e, ERR_USAGE, "--site: want one, got %zu", n);
    if (r->site->layer + 1 != r->m.c.L) {
        err_set(e, ERR_UNSUPPORTED, "--site %s: want a site of the last layer, %zu", s->site, r->m.c.L - 1);
        return err_hint(e, "before it a row changes other rows too, and every feature would need whole passes");
    }
    if (lm_site_width(&r->m.c, r->site) != r->sae.D)
        return err_set(e, ERR_SHAPE, "%s: the SAE is %zu wide, %s of this model %zu", s->sae, r->sae.D, s->site,
                       lm_site_width(&r->m.c, r->site));
    if ((uint64_t)s->context > r->m.c.max_T)
        return err_set(e, ERR_RANGE, "--context: %lld is more than the model's %s %zu", (long long)s->context,
                       r->m.c.max_T_key, r->m.c.max_T);
    return take_windows(s, r, e);
}

/* --- the losses --- */

static int losses(struct run *r, struct err *e) {
    const struct splice *p = &r->splice;
    float *zero = mem_array(p->M, p->width * sizeof *zero, PROG ": rows of zeros", e);
    const float *const rows[3] = {NULL, r->y, zero};
    double *const loss[3] = {&r->loss, &r->loss_sae, &r->loss_zero};
    int rc = zero ? splice_run(&r->splice, 3, rows, e) : ERR_MEMORY;
    for (size_t i = 0; !rc && i < 3; i++) rc = loss_mean(p->M, p->target, p->nll + i * p->room, loss[i], e);
    free(zero);
    return rc;
}

/* --- the features --- */

static int add_entry(struct run *r, size_t row, uint32_t f, float z, struct err *e) {
    if (r->n_entries == r->room) {
        size_t room = r->room ? 2 * r->room : 1 << 16;
        struct entry *more = realloc(r->entry, room * sizeof *more);
        if (!more) return err_set(e, ERR_MEMORY, PROG ": cannot have %zu active entries", room);
        r->entry = more, r->room = room;
    }
    r->entry[r->n_entries++] = (struct entry){(uint32_t)row, f, z};
    return 0;
}

/* Rows of BOS are left as they are: the SAE was not trained on them. */
static bool is_bos(const struct run *r, size_t row, size_t *window) {
    while (r->start[*window + 1] <= row) ++*window;
    return r->t.bos >= 0 && row == r->start[*window];
}

static int encode(struct run *r, struct err *e) {
    const size_t M = r->splice.M, D = r->sae.D;
    struct encoder n;
    size_t window = 0;
    int rc = encoder_open(&n, &r->sae, "cpu", BATCH, e);
    memcpy(r->y, r->splice.rows, M * D * sizeof *r->y);
    for (size_t b0 = 0; !rc && b0 < M; b0 += BATCH) {
        size_t B = M - b0 < BATCH ? M - b0 : BATCH;
        memcpy(n.x, r->splice.rows + b0 * D, B * D * sizeof *n.x);
        rc = encoder_run(&n, B, e);
        const struct active *a = &n.active;
        for (size_t b = 0; !rc && b < B; b++) {
            if (is_bos(r, b0 + b, &window)) continue;
            sae_decode_row(&r->sae, a->row[b + 1] - a->row[b], a->feat + a->row[b], a->pre + a->row[b],
                           r->y + (b0 + b) * D);
            for (size_t i = a->row[b]; !rc && i < a->row[b + 1] && r->splice.target[b0 + b] >= 0; i++)
                rc = add_entry(r, b0 + b, a->feat[i], a->pre[i], e);
        }
    }
    encoder_close(&n);
    return rc;
}

/* Entries [first, first+n): each its row without the feature. */
static int ablate(const struct run *r, struct splice_work *w, size_t first, size_t n, size_t *row, float *x,
                  double *nll) {
    const size_t D = r->sae.D;
    for (size_t i = 0; i < n; i++) {
        const struct entry *q = &r->entry[first + i];
        const float *real = r->splice.rows + q->row * D, *dec = r->sae.W_dec + q->feature * D;
        row[i] = q->row;
        for (size_t d = 0; d < D; d++) x[i * D + d] = real[d] - q->z * dec[d];
    }
    int rc = splice_rows(&r->splice, w, n, row, x, nll, NULL);
    for (size_t i = 0; i < n; i++) r->effect[first + i] = nll[i] - r->splice.nll[row[i]];
    return rc;
}

static int effects(struct run *r, struct err *e) {
    const size_t tiles = (r->n_entries + TOGETHER - 1) / TOGETHER;
    struct progress p;
    size_t done = 0;
    int failed = 0;
    progress_start(&p, PROG, "ablations", r->n_entries);
#pragma omp parallel
    {
        struct splice_work w = {0};
        size_t *row = mem_array(TOGETHER, sizeof *row, PROG, NULL);
        float *x = mem_array(TOGETHER, r->sae.D * sizeof *x, PROG, NULL);
        double *nll = mem_array(TOGETHER, sizeof *nll, PROG, NULL);
        bool ready = row && x && nll && !splice_work_init(&w, &r->splice, LOSS_ROWS, 1, NULL), bad = !ready;
#pragma omp for schedule(dynamic)
        for (size_t t = 0; t < tiles; t++) {
            size_t first = t * TOGETHER, n = r->n_entries - first < TOGETHER ? r->n_entries - first : TOGETHER;
            if (ready) bad |= ablate(r, &w, first, n, row, x, nll) != 0;
#pragma omp critical
            progress_show(&p, done += n, "");
        }
        if (bad) {
#pragma omp atomic write
            failed = 1;
        }
        if (ready) splice_work_free(&w);
        free(row), free(x), free(nll);
    }
    progress_end(&p, done, "");
    return failed ? err_set(e, ERR_MEMORY, PROG ": no memory for the threads' work") : 0;
}

/* --- ranks --- */

static void by_feature(struct run *r) {
    for (size_t i = 0; i < r->n_entries; i++) {
        const struct entry *q = &r->entry[i];
        r->sum[q->feature] += r->effect[i], r->activation[q->feature] += (double)q->z, r->fires[q->feature]++;
    }
}

/* Row by row: the TOP by activation against the TOP by size of the effect. */
static int by_row(struct run *r, struct err *e) {
    double *a = mem_array(r->sae.F, 2 * sizeof *a, PROG ": ranks", e), *b = a + r->sae.F;
    if (!a) return ERR_MEMORY;
    for (size_t i = 0; i < r->n_entries;) {
        size_t n = 0;
        for (; i + n < r->n_entries && r->entry[i + n].row == r->entry[i].row; n++)
            a[n] = (double)r->entry[i + n].z, b[n] = fabs(r->effect[i + n]);
        if (n > TOP) {
            r->common += (double)ranks_top_overlap(n, a, b, TOP);
            r->chance += (double)TOP * TOP / (double)n;
            r->compared++;
        }
        i += n;
    }
    size_t live = 0;
    for (size_t f = 0; f < r->sae.F; f++)
        if (r->fires[f]) a[live] = r->activation[f] / r->fires[f], b[live++] = fabs(r->sum[f]) / r->fires[f];
    int rc = ranks_spearman(live, a, b, &r->rho, e);
    live = 0;
    for (size_t f = 0; f < r->sae.F; f++)
        if (r->fires[f]) a[live] = r->activation[f], b[live++] = fabs(r->sum[f]);
    if (!rc && live >= TOP) r->top_features = ranks_top_overlap(live, a, b, TOP);
    free(a);
    return rc;
}

static int compute(const struct settings *s, struct run *r, struct err *e) {
    const struct lm_batch b = {r->n_windows, r->start, r->ids};
    const size_t F = r->sae.F;
    int rc = splice_init(&r->splice, &r->m, &r->k, r->site, r->start[r->n_windows], (size_t)s->context, 3, e);
    if (!rc) rc = splice_load(&r->splice, &b, e);
    if (rc) return rc;
    r->y = mem_array(r->splice.M, r->sae.D * sizeof *r->y, PROG ": reconstructions", e);
    r->sum = mem_array(F, sizeof *r->sum, PROG ": features", e);
    r->activation = mem_array(F, sizeof *r->activation, PROG ": features", e);
    r->fires = mem_array(F, sizeof *r->fires, PROG ": features", e);
    if (!r->y || !r->sum || !r->activation || !r->fires) return ERR_MEMORY;
    rc = encode(r, e);
    if (!rc) rc = losses(r, e);
    if (!rc && !(r->effect = mem_array(r->n_entries, sizeof *r->effect, PROG ": effects", e))) rc = ERR_MEMORY;
    if (!rc) rc = effects(r, e);
    if (!rc) by_feature(r);
    return rc ? rc : by_row(r, e);
}

static int write_all(const struct settings *s, const struct run *r, struct err *e) {
    json_t *feature = json_array(), *fires = json_array(), *mean = json_array(), *sum = json_array();
    const double n = (double)r->compared;
    json_t *o = jsonfile_object("site=%s tokens=%zu features=%zu ablations=%zu loss=%.17g loss_sae=%.17g "
                                "loss_zero=%.17g loss_recovered=%.17g",
                                s->site, r->splice.M, r->sae.F, r->n_entries, r->loss, r->loss_sae, r->loss_zero,
                                1 - (r->loss_sae - r->loss) / (r->loss_zero - r->loss));
    o = jsonfile_with(o,
                      "top=%d rows_compared=%zu top_in_common=%.9g top_in_common_chance=%.9g "
                      "top_features_in_common=%zu spearman=%.9g",
                      TOP, r->compared, n > 0 ? r->common / n : NAN, n > 0 ? r->chance / n : NAN, r->top_features,
                      r->rho);
    for (size_t f = 0; f < r->sae.F; f++) {
        if (!r->fires[f]) continue;
        feature = jsonfile_with(feature, "%zu", f);
        fires = jsonfile_with(fires, "%u", r->fires[f]);
        mean = jsonfile_with(mean, "%.9g", r->activation[f] / r->fires[f]);
        sum = jsonfile_with(sum, "%.9g", r->sum[f]);
    }
    o = jsonfile_with(o, "feature=%p fires=%p mean_activation=%p effect=%p record=%p", feature, fires, mean, sum,
                      json_loads(r->record, 0, NULL));
    return jsonfile_write_new(s->out, o, e);
}

static void run_free(struct run *r) {
    if (r->splice.mem.base) splice_free(&r->splice);
    sae_free(&r->sae);
    lm_close(&r->m);
    tokens_close(&r->t);
    free(r->site), free(r->window), free(r->start), free(r->ids), free(r->entry), free(r->y), free(r->effect);
    free(r->sum), free(r->activation), free(r->fires), free(r->record);
}

int main(int argc, char **argv) {
    struct settings s = {0};
    struct run r = {0};
    struct err e = {0};
    const struct opt table[] = {
        {"sae", OPT_INPUT, &s.sae, NULL, 0, 0, NULL, NULL, "folder of an SAE, from train or SAELens", false},
        {"model", OPT_INPUT, &s.model, NULL, 0, 0, NULL, NULL, "folder of the language model", false},
        {"tokens", OPT_INPUT, &s.tokens, NULL, 0, 0, NULL, NULL, "held-out tokens, from tokenize", false},
        {"site", OPT_TEXT, &s.site, NULL, 0, 0, NULL, NULL, "where the SAE was trained; in the last layer: mlp_post",
         false},
        {"context", OPT_INT, &s.context, NULL, 2, 1 << 24, NULL, "tokens", "most positions of a window", false},
        {"max-tokens", OPT_INT, &s.max_tokens, NULL, 2, 1e9, NULL, "tokens",
         "windows are spread over the file until so many", false},
        STAGE_THREADS(&s.threads),
        STAGE_OUT(&s.out, "JSON file to write"),
    };
    const struct stage me = {PROG, "what the model loses when one feature is ablated, for every feature",
                             OPT_TABLE(table)};
    int rc = stage_start(&me, argc, argv, &e);

    double start_s = clock_s();
    if (!rc) rc = open_all(&s, &r, &e);
    if (!rc) rc = stage_record(&me, &r.record, &e);

    if (!rc) rc = lm_kernels_get("cpu", &r.k, &e);
    if (!rc) rc = lm_load(&r.m, &r.k, r.m.c.L, (size_t)s.context, &e);
    if (!rc) rc = lm_load_head(&r.m, &r.k, &e);

    if (!rc) rc = compute(&s, &r, &e);
    if (!rc) rc = write_all(&s, &r, &e);

    if (!rc)
        stage_done(PROG,
                   "%s: %zu tokens, loss %.4f, with the SAE %.4f, without the site %.4f; %zu ablations; %.2f of the %d "
                   "most active are among the %d of most effect (chance %.2f); %.2f s",
                   s.out, r.splice.M, r.loss, r.loss_sae, r.loss_zero, r.n_entries,
                   r.compared ? r.common / (double)r.compared : NAN, TOP, TOP,
                   r.compared ? r.chance / (double)r.compared : NAN, clock_s() - start_s);
    run_free(&r);
    return stage_end(&me, rc, &e);
}
