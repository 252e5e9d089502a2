/* collect.c - tokens -> activations: one [N,width] tensor per site, with token, position, document and group of every
 * row. */
#include <stdlib.h>
#include <string.h>

#include "kernels/base/backends.h"
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/progress.h"
#include "lib/base/stage.h"
#include "lib/lm/rows.h"

struct args {
    const char *tokens, *model, *sites, *dtype, *bos, *backend, *out;
    int64_t context, batch, threads;
};

#define PROG "collect"

enum { BATCH = 7, OPTIONS = 10 };
static void options(struct opt t[OPTIONS], struct args *a) {
    const struct opt table[OPTIONS] = {
        {"tokens", OPT_INPUT, &a->tokens, NULL, 0, 0, NULL, NULL, "token ids, written by tokenize", false},
        {"model", OPT_INPUT, &a->model, NULL, 0, 0, NULL, NULL,
         "folder with config.json and safetensors: Qwen2, Llama (Hugging Face), TransformerLens", false},
        {"sites", OPT_TEXT, &a->sites, NULL, 0, 0, NULL, NULL,
         "L<l>R residual, L<l>A attention, L<l>Z input of its output matrix, L<l>M feed-forward output, L<l>TC "
         "its input, L<l>mlp_post inside it: L0R,L3R",
         false},
        {"context", OPT_INT, &a->context, NULL, 2, 1 << 27, NULL, "tokens",
         "cut documents into windows of at most this many tokens; each begins with BOS, which counts", false},
        {"dtype", OPT_TEXT, &a->dtype, "bf16", 0, 0, "bf16|f32", NULL, "type of the rows in the file", false},
        {"bos", OPT_TEXT, &a->bos, "drop", 0, 0, "drop|keep", NULL, "rows of the BOS that begins each window", false},
        STAGE_BACKEND(&a->backend),
        [BATCH] = {"batch", OPT_INT, &a->batch, "0", 0, 1 << 24, NULL, "tokens",
                   "tokens that a thread or a GPU takes at once; 0: 1024, or 8192 with cuda, where it is part "
                   "of the result",
                   true},
        STAGE_THREADS(&a->threads),
        STAGE_OUT(&a->out, "file to write (.safetensors)"),
    };
    memcpy(t, table, sizeof table);
}

/* Everything that is opened and must be closed. */
struct run {
    struct args a;
    struct tokens t;
    struct lm_model m;
    struct lm_kernels k;
    struct lm_site *sites;
    size_t n_sites, depth;
    struct rows_plan plan;
    struct rows_job job;
    char *record;
};

static void run_free(struct run *r) {
    rows_plan_free(&r->plan);
    free(r->sites);
    free(r->record);
    lm_close(&r->m);
    tokens_close(&r->t);
}

static int open_inputs(struct run *r, struct err *e) {
    int rc = tokens_open(&r->t, r->a.tokens, e);
    return rc ? rc : lm_open(&r->m, r->a.model, e);
}

static int check_all(struct run *r, struct err *e) {
    const struct lm_config *c = &r->m.c;
    int rc = lm_sites_parse(r->a.sites, c->L, &r->sites, &r->n_sites, e);
    if (!rc) rc = lm_kernels_get(r->a.backend, &r->k, e);
    if (rc) return rc;
    if ((uint64_t)r->a.context > c->max_T) {
        err_set(e, ERR_RANGE, "--context: %lld is more than the model's %s %zu", (long long)r->a.context, c->max_T_key,
                c->max_T);
        return err_hint(e, "a context that the model was trained with is safer still");
    }
    rc = tokens_check_vocab(&r->t, c->vocab, e);
    if (rc) return rc;
    r->depth = lm_sites_depth(r->sites, r->n_sites);
    if (!r->a.batch) r->a.batch = r->k.batch_matters ? 8192 : 1024;
    rc = rows_plan(&r->plan, &r->t, (size_t)r->a.context, (size_t)r->a.batch, !strcmp(r->a.bos, "keep"), e);
    r->job = (struct rows_job){
        &r->m, &r->k, &r->t, &r->plan, r->sites, r->n_sites, strcmp(r->a.dtype, "f32") ? ST_BF16 : ST_F32, NULL};
    return rc;
}

/* Weights and working memory against what this machine has; then load. */
static int allocate(struct run *r, struct err *e) {
    size_t T = r->plan.T, weights = lm_load_bytes(&r->m, &r->k, r->depth, T), each = rows_thread_bytes(&r->job);
    size_t n = rows_threads(&r->job), have = r->k.memory_bytes(), work = each > SIZE_MAX / n ? SIZE_MAX : each * n;
    const char *type = r->k.elem_bytes == 2 ? "bf16" : "float32", *whose = r->k.slots == 1 ? "this machine" : "the GPU";
    if (work == SIZE_MAX || weights > SIZE_MAX - work || (have && weights + work > have)) {
        err_set(e, ERR_MEMORY,
                "%s: layers 0..%zu in %s take %.1f MB and %zu batches at once %.1f MB: more than %s's %.1f MB",
                r->a.model, r->depth - 1, type, (double)weights / 1e6, n, (double)work / 1e6, whose,
                (double)have / 1e6);
        return err_hint(e, "ask for shallower sites, a shorter --context, a smaller --batch or fewer --threads");
    }
    stage_done(PROG,
               "%s: layers 0..%zu in %s %.1f MB, %zu batches at once %.1f MB; %zu windows, %zu rows, %.1f MB to write",
               r->m.c.architecture, r->depth - 1, type, (double)weights / 1e6, n, (double)work / 1e6, r->plan.n_windows,
               r->plan.n_rows, (double)rows_output_bytes(&r->job) / 1e6);
    return lm_load(&r->m, &r->k, r->depth, T, e);
}

static int compute_and_write(struct run *r, struct err *e) {
    struct stwriter *w = NULL;
    struct progress progress;
    char name[128];
    int rc = stwriter_open(&w, r->a.out, e);
    if (rc) return rc;
    snprintf(name, sizeof name, "%s, %zu layers, width %zu", r->m.c.architecture, r->m.c.L, r->m.c.D);
    progress_start(&progress, PROG, "tok", r->plan.n_tokens);
    r->job.progress = &progress;
    rc = stwriter_meta(w, "record", r->record, e);
    if (!rc) rc = stwriter_meta(w, "groups", r->t.groups, e);
    if (!rc) rc = stwriter_meta(w, "model", name, e);
    if (!rc) rc = rows_collect(&r->job, w, e);
    if (!rc) progress_end(&progress, r->plan.n_tokens, "");
    if (!rc) return stwriter_commit(w, e);
    stwriter_abort(w);
    return rc;
}

static double flops(const struct run *r) {
    double sum = 0;
    for (size_t i = 0; i < r->plan.n_windows; i++) sum += lm_flops(&r->m.c, r->sites, r->n_sites, r->plan.window[i].T);
    return sum;
}

int main(int argc, char **argv) {
    struct run r = {0};
    struct opt table[OPTIONS];
    struct err e = {0};
    options(table, &r.a);
    const struct stage me = {PROG, "activations of a language model at named sites", OPT_TABLE(table)};
    int rc = stage_start(&me, argc, argv, &e);

    if (!rc) rc = open_inputs(&r, &e);
    if (!rc) rc = check_all(&r, &e);
    table[BATCH].unrecorded = !r.k.batch_matters;
    if (!rc) rc = stage_record(&me, &r.record, &e);
    if (!rc) rc = allocate(&r, &e);

    double start_s = clock_s();
    if (!rc) rc = compute_and_write(&r, &e);
    double spent_s = clock_s() - start_s;

    if (!rc)
        stage_done(PROG, "%s: %zu rows x %zu sites, %zu tokens in %.2f s: %.0f tok/s, %.1f GFLOP/s", r.a.out,
                   r.plan.n_rows, r.n_sites, r.plan.n_tokens, spent_s, (double)r.plan.n_tokens / spent_s,
                   flops(&r) / spent_s * 1e-9);
    run_free(&r);
    return stage_end(&me, rc, &e);
}
