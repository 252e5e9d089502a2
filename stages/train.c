/* train.c - train one sparse autoencoder on normalised rows. Reads normalise's file, writes a folder that SAELens loads. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/backends.h"
#include "lib/base/clock.h"
#include "lib/base/progress.h"
#include "lib/base/outdir.h"
#include "lib/base/stage.h"
#include "lib/file/jsonfile.h"
#include "lib/sae/checkpoint.h"
#include "lib/sae/feed.h"
#include "lib/sae/saefile.h"

#define PROG "train"

struct settings {
    const char *in, *out, *checkpoint, *arch, *init, *optimizer, *backend;
    int64_t width, batch, steps, lr_warmup, lr_decay, lambda_warmup, dead_window, snapshots, seed, threads;
    double lr, lambda, beta1, beta2, adam_eps, pre_act_loss, checkpoint_every, parameter[ACTIVATION_PARAMETERS];
    char archs[96], archs_help[256]; /* what --arch may be */
};

static const char *const written[] = {
    "cfg.json",          "sae_weights.safetensors", "curve.json",          "train.json",
    "?half.safetensors", "?quarter.safetensors",    "?eighth.safetensors", NULL};

/* What is open or allocated while the program runs. */
struct run {
    struct safetensors *rows;
    size_t N, D;
    double scale;
    struct trainer_config config;
    struct schedule schedule;
    const struct sae_kernels *k;
    struct trainer trainer;
    struct curve curve;
    struct snapshots snapshots;
    struct feed *feed;
    const void *next; /* the batch after this one, on its way to the back end */
    char *record;
    double unturned; /* share of features that point where they started */
};

static struct trainer_config step_config(const struct settings *s, size_t D) {
    struct trainer_config c = {.arch = (enum sae_arch)activation_find(s->arch, false),
                               .D = D,
                               .F = (size_t)s->width,
                               .B = (size_t)s->batch,
                               .beta1 = s->beta1,
                               .beta2 = s->beta2,
                               .adam_eps = s->adam_eps,
                               .seed = (uint64_t)s->seed,
                               .init = strcmp(s->init, "kaiming") ? TRAINER_START_DECODER : TRAINER_START_KAIMING,
                               .lazy = !strcmp(s->optimizer, "lazy-adam"),
                               .pre_act_loss = (float)s->pre_act_loss,
                               .dead_window = (uint32_t)s->dead_window};
    for (int i = 0; i < ACTIVATION_PARAMETERS; i++) c.parameter[i] = (float)s->parameter[i];
    return c;
}

/* What would fit: the largest batch of this width, else the largest width of this batch, by halving. */
static int suggest(const struct run *r, size_t have, struct err *e) {
    struct trainer_config narrow = r->config, few = r->config;
    while (few.B > 1 && trainer_bytes(&few, r->k) > have / 10 * 9) few.B /= 2;
    while (narrow.F > 1 && trainer_bytes(&narrow, r->k) > have / 10 * 9) narrow.F /= 2;
    if (few.B > 1) return err_hint(e, "--batch %zu fits, or --width %zu", few.B, narrow.F);
    return err_hint(e, "--width %zu fits", narrow.F);
}

/* Everything that can be refused is refused here, before memory is taken. */
static int check(const struct settings *s, struct run *r, struct err *e) {
    r->config = step_config(s, r->D);
    r->schedule = (struct schedule){s->steps, s->lr, s->lr_warmup, s->lr_decay, s->lambda, s->lambda_warmup};
    if (activation_row(r->config.arch)->theta && !(s->parameter[ACTIVATION_EPSILON] >= 1e-9))
        return err_set(e, ERR_USAGE, PROG ": --arch %s: want --epsilon of 1e-9 at least", s->arch);
    if (s->lr_warmup + s->lr_decay > s->steps)
        return err_set(e, ERR_USAGE, PROG ": --lr-warmup %lld and --lr-decay %lld are more than --steps %lld",
                       (long long)s->lr_warmup, (long long)s->lr_decay, (long long)s->steps);
    int rc = outdir_check(s->out, PROG, written, e);
    if (rc) return rc;
    size_t need = trainer_bytes(&r->config, r->k), have = r->k->memory_bytes();
    if (!r->k->converts && need != SIZE_MAX)
        need += snapshots_bytes((int)s->snapshots, r->D, r->config.F); /* the host's */
    if (need == SIZE_MAX || (have && need > have / 10 * 9)) {
        err_set(e, ERR_MEMORY, PROG ": needs %.1f GB, --backend %s has %.1f GB", (double)need / 1e9, s->backend,
                (double)have / 1e9);
        return suggest(r, have, e);
    }
    fprintf(stderr, PROG ": %zu rows of %zu, %s, width %lld, batch %lld, %lld steps (%.2f passes), %.2f GB\n", r->N,
            r->D, s->arch, (long long)s->width, (long long)s->batch, (long long)s->steps,
            (double)s->steps * (double)s->batch / (double)r->N, (double)need / 1e9);
    return 0;
}

static float dead_share(const struct trainer *tr, int64_t window) {
    return (float)trainer_idle(tr, (uint32_t)window) / (float)tr->c.F;
}

/* The batch that is on its way becomes the current one, and the one after it is sent for. */
static int next_batch(const struct settings *s, struct run *r, const void **x, struct err *e) {
    int rc = r->next ? 0 : feed_next(r->feed, &r->next, e);
    *x = r->next;
    r->next = NULL;
    if (!rc && r->trainer.t + 1 < s->steps) rc = feed_next(r->feed, &r->next, e);
    return rc;
}

static int one_step(const struct settings *s, struct run *r, struct trainer_report *report, struct err *e) {
    const void *x;
    size_t t = (size_t)r->trainer.t;
    double lr = schedule_lr(&r->schedule, (int64_t)t), lambda = schedule_lambda(&r->schedule, (int64_t)t);
    int rc = next_batch(s, r, &x, e);
    if (!rc) rc = trainer_step(&r->trainer, x, r->next, lr, lambda, report, e);
    if (rc) return rc;
    const double value[CURVE_SERIES] = {report->loss_reconstruction,
                                        report->loss_sparsity,
                                        report->l0,
                                        lr,
                                        lambda,
                                        (double)dead_share(&r->trainer, s->dead_window)};
    for (int i = 0; i < CURVE_SERIES; i++) r->curve.value[i][t] = (float)value[i];
    return 0;
}

/* A fall of the loss in the last tenth of the steps, and shares of features, that are worth a word. */
static const double STILL = 0.05, UNTURNED = 0.02, DEAD = 0.02;

/* Between two checkpoints, at least so many times as long as one takes: at most a twentieth of the time goes into them. */
enum { SAVING = 19 };

static int loop(const struct settings *s, struct run *r, struct err *e) {
    struct progress p;
    double saved_s = clock_s(), wait_s = s->checkpoint_every;
    int64_t first = r->trainer.t;
    char note[160] = "";
    progress_start(&p, PROG, "tok", (size_t)((s->steps - first) * s->batch));
    while (r->trainer.t < s->steps) {
        struct trainer_report report;
        int rc = one_step(s, r, &report, e);
        if (rc) return rc;
        snprintf(note, sizeof note, "reconstruction %.4f, sparsity %.4f, L0 %.1f, dead %.1f %%%s",
                 report.loss_reconstruction, report.loss_sparsity, report.l0,
                 100 * (double)r->curve.value[CURVE_DEAD][r->trainer.t - 1], report.dense ? ", dense" : "");
        progress_show(&p, (size_t)((r->trainer.t - first) * s->batch), note);
        snapshots_take(&r->snapshots, &r->trainer);
        if (*s->checkpoint && r->trainer.t < s->steps && clock_s() - saved_s >= wait_s) {
            double began_s = clock_s();
            rc = checkpoint_write(&r->trainer, &r->curve, &r->snapshots, s->checkpoint, r->record, e);
            if (rc) return rc;
            saved_s = clock_s();
            if (s->checkpoint_every > 0) wait_s = fmax(s->checkpoint_every, SAVING * (saved_s - began_s));
        }
    }
    progress_end(&p, (size_t)((s->steps - first) * s->batch), note);
    return 0;
}

/* train.json: what a reader asks first, without opening the curve. */
static int write_summary(const struct settings *s, const struct run *r, const char *path, struct err *e) {
    const char *site = safetensors_meta(r->rows, "site"), *penalty = activation_row(r->config.arch)->penalty;
    json_t *kept = json_array(), *o;
    for (int i = 0; i < r->snapshots.n; i++)
        kept = jsonfile_with(kept, "%p",
                             jsonfile_object("name=%s step=%lld", snapshots_name(i), (long long)r->snapshots.step[i]));
    o = jsonfile_object("site=%s arch=%s penalty=%s d_in=%zu width=%lld steps=%lld batch=%lld rows=%zu scale=%.17g",
                        site ? site : "", s->arch, penalty, r->D, (long long)s->width, (long long)s->steps,
                        (long long)s->batch, r->N, r->scale);
    o = jsonfile_with(curve_summary(&r->curve, r->D, o), "unturned_share=%.9g snapshots=%p record=%p", r->unturned,
                      kept, json_loads(r->record, 0, NULL));
    return jsonfile_write_new(path, o, e);
}

/* From training form to the form that is written. */
static int finish(const struct run *r, struct sae *sae, struct err *e) {
    int rc = sae_fold(sae, r->scale);
    if (rc) return err_set(e, rc, PROG ": the normalisation cannot be folded in");
    size_t raised = sae_clamp_theta(sae);
    if (raised) fprintf(stderr, PROG ": %zu thresholds were below 0 and are written as 0\n", raised);
    return 0;
}

static int in_folder(const char *folder, const char *name, const char *ending, char path[PATH_MAX], struct err *e) {
    if (snprintf(path, PATH_MAX, "%s/%s%s", folder, name, ending) < PATH_MAX) return 0;
    return err_set(e, ERR_IO, "%s: path too long", folder);
}

static int write_sae(struct run *r, struct sae *sae, const char *folder, struct err *e) {
    const char *site = safetensors_meta(r->rows, "site"), *model = safetensors_meta(r->rows, "model"),
               *context = safetensors_meta(r->rows, "context");
    trainer_export(&r->trainer, sae);
    int rc = trainer_unturned(&r->config, sae->W_dec, &r->unturned, e);
    if (!rc) rc = finish(r, sae, e);
    return rc ? rc
              : saefile_write(sae, folder, site ? site : "", model ? model : "", context ? atoi(context) : 0, r->record,
                              e);
}

static int write_snapshots(struct run *r, const char *folder, struct err *e) {
    char path[PATH_MAX];
    int rc = 0;
    for (int i = 0; i < r->snapshots.n && !rc; i++) {
        rc = finish(r, &r->snapshots.sae[i], e);
        if (!rc) rc = in_folder(folder, snapshots_name(i), ".safetensors", path, e);
        if (!rc) rc = saefile_write_weights(&r->snapshots.sae[i], path, r->record, e);
    }
    return rc;
}

static int write_all(const struct settings *s, struct run *r, struct err *e) {
    struct outdir o;
    struct sae sae = {0};
    char path[PATH_MAX];
    int rc = outdir_open(&o, s->out, PROG, written, e);
    if (rc) return rc;
    rc = sae_init(&sae, r->config.arch, r->D, r->config.F, e);
    if (!rc) rc = write_sae(r, &sae, o.part, e);
    if (!rc) rc = write_snapshots(r, o.part, e);
    if (!rc) rc = in_folder(o.part, "curve", ".json", path, e);
    if (!rc) rc = curve_write(&r->curve, path, e);
    if (!rc) rc = in_folder(o.part, "train", ".json", path, e);
    if (!rc) rc = write_summary(s, r, path, e);
    sae_free(&sae);
    if (rc) outdir_abort(&o);
    return rc ? rc : outdir_commit(&o, e);
}

static int resume(const struct settings *s, struct run *r, struct err *e) {
    struct err damaged[CHECKPOINT_STATES];
    int rc = checkpoint_read(&r->trainer, &r->curve, &r->snapshots, s->checkpoint, r->record, damaged, e), n = 0;
    for (int i = 0; i < CHECKPOINT_STATES; i++)
        if (damaged[i].text[0]) stage_done(PROG, "%s; put aside as damaged.safetensors", damaged[i].text), n++;
    if (rc > 0)
        fprintf(stderr, PROG ": resumed at step %lld\n", (long long)r->trainer.t);
    else if (!rc && n)
        stage_done(PROG, "%s holds no other state: starting anew", s->checkpoint);
    return rc > 0 ? 0 : rc;
}

/* What a reader should know before using the SAE, and the summary. */
static void tell(const struct settings *s, const struct run *r, int64_t steps, double spent_s) {
    const size_t n = r->curve.steps, tail = n - (n + 9) / 10;
    const double rows = (double)(steps * s->batch), fall = curve_fall(&r->curve),
                 dead = curve_mean(&r->curve, CURVE_DEAD, tail, n),
                 read_bytes =
                     rows * (double)r->D * (double)safetensors_dtype_bytes(safetensors_find(r->rows, "rows")->dtype);
    if (feed_waited_s(r->feed) > 0.05 * spent_s)
        stage_done(PROG, "%.0f %% of the time went by waiting for data: the storage of %s delivered %.2f GB/s",
                   100 * feed_waited_s(r->feed) / spent_s, s->in, 1e-9 * read_bytes / spent_s);
    if (fall > STILL)
        stage_done(PROG,
                   "the loss has not flattened: in the last tenth of the steps it fell by %.1f %%: hint: more --steps",
                   100 * fall);
    if (r->unturned > UNTURNED)
        stage_done(PROG, "%.0f %% of the features still point where they started: hint: more --steps, or a larger --lr",
                   100 * r->unturned);
    if (dead > DEAD)
        stage_done(PROG,
                   "%.1f %% of the features are dead: hint: --pre-act-loss 1e-3 pulls them back, --optimizer lazy-adam "
                   "keeps rare ones "
                   "from being thrown out of place",
                   100 * dead);
    stage_done(
        PROG,
        "%s: %zu steps, %.0f tok/s, waited %.2f s for data, last tenth: reconstruction %.4f, L0 %.1f, dead %.1f %%",
        s->out, n, rows / (spent_s > 0 ? spent_s : 1), feed_waited_s(r->feed),
        curve_mean(&r->curve, CURVE_RECONSTRUCTION, tail, n), curve_mean(&r->curve, CURVE_L0, tail, n), 100 * dead);
}

static void run_free(struct run *r) {
    feed_close(r->feed);
    trainer_free(&r->trainer);
    curve_free(&r->curve);
    snapshots_free(&r->snapshots);
    safetensors_close(r->rows);
    free(r->record);
}

static struct opt parameter(struct settings *s, enum activation_parameter p) {
    const struct activation_option *o = activation_option(p);
    return (struct opt){o->name, OPT_REAL, &s->parameter[p], o->preset, o->least,
                        o->most, NULL,     o->unit,          o->help,   false};
}

enum { OPTIONS = 26 };

static void options(struct settings *s, struct opt t[OPTIONS]) {
    const struct opt table[OPTIONS] = {
        {"in", OPT_INPUT, &s->in, NULL, 0, 0, NULL, NULL, "normalised rows, from normalise", false},
        {"arch", OPT_TEXT, &s->arch, NULL, 0, 0, s->archs, NULL, s->archs_help, false},
        {"init", OPT_TEXT, &s->init, NULL, 0, 0, "decoder|kaiming", NULL,
         "where W_enc starts: at W_dec, or uniform on its own", false},
        {"width", OPT_INT, &s->width, NULL, 1, 1 << 24, NULL, "features", "F", false},
        {"batch", OPT_INT, &s->batch, NULL, 1, 1 << 20, NULL, "rows", "B", false},
        {"steps", OPT_INT, &s->steps, NULL, 1, 1e9, NULL, "steps", "length of the run", false},
        {"lambda", OPT_REAL, &s->lambda, NULL, 0, 1e6, NULL, "1", "sparsity coefficient", false},
        {"lambda-warmup", OPT_INT, &s->lambda_warmup, "0", 0, 1e9, NULL, "steps", "linear rise of lambda from 0",
         false},
        {"lr", OPT_REAL, &s->lr, NULL, 0, 10, NULL, "1", "peak learning rate", false},
        {"lr-warmup", OPT_INT, &s->lr_warmup, "0", 0, 1e9, NULL, "steps", "cosine rise from 0.1 lr", false},
        {"lr-decay", OPT_INT, &s->lr_decay, "0", 0, 1e9, NULL, "steps", "linear fall to 0 at the end", false},
        parameter(s, ACTIVATION_EPSILON),
        parameter(s, ACTIVATION_THETA_INIT),
        {"beta1", OPT_REAL, &s->beta1, NULL, 0, 0.999999, NULL, "1", "Adam, first moment", false},
        {"beta2", OPT_REAL, &s->beta2, NULL, 0, 0.999999999, NULL, "1", "Adam, second moment", false},
        {"adam-eps", OPT_REAL, &s->adam_eps, NULL, 1e-30, 1, NULL, "1", "Adam, guard of the division", false},
        {"optimizer", OPT_TEXT, &s->optimizer, "adam", 0, 0, "adam|lazy-adam", NULL,
         "lazy: weights and moments rest in steps without a gradient for them", false},
        {"pre-act-loss", OPT_REAL, &s->pre_act_loss, "0", 0, 1e6, NULL, "1",
         "coefficient of the penalty that pulls dead features back", false},
        {"dead-window", OPT_INT, &s->dead_window, NULL, 1, 1e9, NULL, "steps",
         "silent this long counts as dead, and --pre-act-loss pulls it", false},
        {"snapshots", OPT_INT, &s->snapshots, "0", 0, SNAPSHOTS, NULL, "SAEs", "kept from 1/2, 1/4, 1/8 of the steps",
         false},
        {"seed", OPT_INT, &s->seed, "0", 0, 9e15, NULL, "1", "of the first weights", false},
        STAGE_BACKEND(&s->backend),
        STAGE_THREADS(&s->threads),
        {"checkpoint", OPT_TEXT, &s->checkpoint, "", 0, 0, NULL, NULL, "folder to resume from and to save to", true},
        {"checkpoint-every", OPT_REAL, &s->checkpoint_every, "30", 0, 1e9, NULL, "s", "time between saves", true},
        STAGE_OUT(&s->out, "folder to write"),
    };
    activation_names(false, s->archs, sizeof s->archs);
    activation_help(s->archs_help, sizeof s->archs_help);
    memcpy(t, table, sizeof table);
}

int main(int argc, char **argv) {
    struct settings s = {.checkpoint = ""};
    struct run r = {0};
    struct opt table[OPTIONS];
    struct err e = {0};
    options(&s, table);
    const struct stage me = {PROG, "train a sparse autoencoder", OPT_TABLE(table)};
    int rc = stage_start(&me, argc, argv, &e);

    if (!rc) rc = safetensors_open(&r.rows, s.in, &e);
    if (!rc) rc = feed_shape(r.rows, &r.N, &r.D, &r.scale, &e);
    if (!rc) rc = stage_record(&me, &r.record, &e);

    if (!rc) rc = sae_kernels_open(s.backend, &r.k, &e);
    if (!rc) rc = check(&s, &r, &e);

    if (!rc) rc = trainer_init(&r.trainer, &r.config, r.k, &e);
    if (!rc) rc = curve_init(&r.curve, (size_t)s.steps, &e);
    if (!rc) rc = snapshots_init(&r.snapshots, (int)s.snapshots, s.steps, &r.config, &e);
    if (!rc && *s.checkpoint) rc = resume(&s, &r, &e);
    if (!rc) rc = feed_open(&r.feed, r.rows, (size_t)s.batch, r.trainer.t, s.steps, r.k->host, r.k->converts, &e);
    if (!rc && feed_raw(r.feed)) trainer_rows(&r.trainer, feed_bf16(r.feed), (float)r.scale);

    double start_s = clock_s();
    int64_t first = r.trainer.t;
    if (!rc) rc = loop(&s, &r, &e);
    double spent_s = clock_s() - start_s;

    if (!rc) rc = write_all(&s, &r, &e);

    if (!rc) tell(&s, &r, s.steps - first, spent_s);
    run_free(&r);
    return stage_end(&me, rc, &e);
}
