/* rows.c - see rows.h. */
#include "lib/lm/rows.h"

#include <omp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"

int rows_plan(struct rows_plan *p, const struct tokens *t, size_t T, size_t batch, bool keep_bos, struct err *e) {
    size_t drop = !keep_bos && t->bos >= 0;
    *p = (struct rows_plan){.keep_bos = !drop};
    int rc = tokens_windows(t, T, &p->window, &p->n_windows, e);
    if (rc) return rc;
    p->batch = mem_array(p->n_windows, sizeof *p->batch, "batches", e);
    if (!p->batch) return rows_plan_free(p), ERR_MEMORY;
    for (size_t i = 0; i < p->n_windows; i++) {
        struct rows_batch *b = p->n_batches ? &p->batch[p->n_batches - 1] : NULL;
        size_t rows = p->window[i].T;
        if (!b || b->rows + rows > batch) {
            b = &p->batch[p->n_batches++];
            *b = (struct rows_batch){.first = i, .out = p->n_rows};
        }
        b->n++, b->rows += rows, b->kept += rows - drop;
        p->n_tokens += rows, p->n_rows += rows - drop;
        if (b->rows > p->most_rows) p->most_rows = b->rows;
        if (rows > p->T) p->T = rows;
    }
    return 0;
}

void rows_plan_free(struct rows_plan *p) {
    free(p->window);
    free(p->batch);
    *p = (struct rows_plan){0};
}

/* What one thread holds. */
struct worker {
    const struct rows_job *j;
    const struct rows_batch *b;
    struct st_writer *w;
    const int *handle; /* [n_sites] */
    struct lm_scratch s;
    struct arena mem;
    size_t *start;  /* [most_rows + 1] */
    int32_t *token; /* [most_rows] */
    void *out;      /* [most_rows, widest] in the output's type */
};

static size_t widest(const struct rows_job *j) {
    size_t w = 0;
    for (size_t i = 0; i < j->n_sites; i++)
        if (lm_site_width(&j->m->c, &j->sites[i]) > w) w = lm_site_width(&j->m->c, &j->sites[i]);
    return w;
}

static size_t worker_bytes(const struct rows_job *j) {
    size_t rows = j->plan->most_rows, n, sum = 0;
    size_t part[] = {arena_need(rows + 1, sizeof(size_t)), arena_need(rows, sizeof(int32_t)),
                     size_product(rows, widest(j), 1, &n) ? arena_need(n, st_dtype_bytes(j->dtype)) : SIZE_MAX};
    for (int i = 0; i < 3; i++) sum = part[i] > SIZE_MAX - sum ? SIZE_MAX : sum + part[i];
    return sum;
}

size_t rows_thread_bytes(const struct rows_job *j) {
    size_t a = worker_bytes(j), b = lm_scratch_bytes(&j->m->c, j->sites, j->n_sites, j->plan->most_rows, j->plan->T);
    return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}

size_t rows_output_bytes(const struct rows_job *j) {
    size_t width = 0, bytes, rows = j->plan->n_rows;
    for (size_t i = 0; i < j->n_sites; i++) width += lm_site_width(&j->m->c, &j->sites[i]);
    if (!size_product(width, st_dtype_bytes(j->dtype), rows, &bytes) || rows > (SIZE_MAX - bytes) / 16) return SIZE_MAX;
    return bytes + 16 * rows;
}

static int worker_init(struct worker *k, const struct rows_job *j, struct st_writer *w, const int *handle,
                       struct err *e) {
    size_t rows = j->plan->most_rows;
    *k = (struct worker){.j = j, .w = w, .handle = handle};
    int rc = lm_scratch_init(&k->s, &j->m->c, j->sites, j->n_sites, rows, j->plan->T, e);
    if (rc || (rc = arena_init(&k->mem, worker_bytes(j), "collect: output buffer", e))) return rc;
    k->start = arena_take(&k->mem, rows + 1, sizeof *k->start);
    k->token = arena_take(&k->mem, rows, sizeof *k->token);
    k->out = arena_take(&k->mem, rows * widest(j), st_dtype_bytes(j->dtype));
    return 0;
}

static void worker_free(struct worker *k) {
    lm_scratch_free(&k->s);
    arena_free(&k->mem);
}

/* n numbers in the output's type. Returns false if one of them is NaN or Inf, or becomes Inf. */
static bool convert(enum st_dtype dtype, size_t n, const float *restrict x, void *out) {
    uint32_t bad = 0;
    if (dtype == ST_F32)
        memcpy(out, x, n * sizeof *x);
    else {
        uint16_t *restrict h = out;
#pragma omp simd
        for (size_t i = 0; i < n; i++) h[i] = st_f32_bf16(x[i]);
#pragma omp simd reduction(| : bad)
        for (size_t i = 0; i < n; i++) bad |= (h[i] & 0x7f80u) == 0x7f80u;
    }
#pragma omp simd reduction(| : bad)
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &x[i], sizeof u);
        bad |= (u & 0x7f800000u) == 0x7f800000u;
    }
    return !bad;
}

/* The hook: drop the BOS rows, convert, write. The batch's kept rows are consecutive in the file. */
static int keep_rows(void *ctx, size_t site, const float *rows, size_t M, struct err *e) {
    struct worker *k = ctx;
    const struct rows_job *j = k->j;
    size_t D = lm_site_width(&j->m->c, &j->sites[site]), elem = st_dtype_bytes(j->dtype), drop = !j->plan->keep_bos,
           done = 0;
    int rc;
    CHECK(M == k->b->rows);
    for (size_t i = 0; i < k->b->n; i++) {
        size_t first = k->start[i] + drop, n = k->start[i + 1] - first;
        const struct window *w = &j->plan->window[k->b->first + i];
        if (!convert(j->dtype, n * D, rows + first * D, (char *)k->out + done * D * elem)) {
            err_set(e, ERR_NUMERIC, "%s: %s: document %u, tokens %zu and on: NaN or Inf in the activations",
                    j->t->ids->path, j->sites[site].name, (unsigned)w->doc, w->first);
            return err_hint(e, "the weights are finite, so float32 or bf16 overflows on this text: leave the document "
                               "out, or try --dtype f32");
        }
        done += n;
    }
#pragma omp critical(rows_write)
    rc = stw_write(k->w, k->handle[site], (uint64_t)k->b->out * D * elem, k->out, done * D * elem, e);
    return rc;
}

static int run_batch(struct worker *k, const struct rows_batch *b, struct err *e) {
    const struct rows_job *j = k->j;
    struct lm_hook hook = {k, keep_rows};
    struct lm_batch lb = {b->n, k->start, k->token};
    k->b = b;
    k->start[0] = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct window *w = &j->plan->window[b->first + i];
        tokens_window_ids(j->t, w, k->token + k->start[i]);
        k->start[i + 1] = k->start[i] + w->T;
    }
    return lm_forward(j->m, j->k, &lb, j->sites, j->n_sites, &k->s, &hook, e);
}

enum { TOKEN, POSITION, DOC, GROUP, LABELS };
static const char *const label_name[LABELS] = {"row_token", "row_position", "row_doc", "row_group"};

/* The four labels of a batch's rows, [LABELS][kept], into out. */
static void label_rows(const struct rows_job *j, const struct rows_batch *b, int32_t *ids, int32_t *out) {
    size_t drop = !j->plan->keep_bos, r = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct window *w = &j->plan->window[b->first + i];
        tokens_window_ids(j->t, w, ids);
        for (size_t p = drop; p < w->T; p++, r++) {
            out[TOKEN * b->kept + r] = ids[p];
            out[POSITION * b->kept + r] = (int32_t)p;
            out[DOC * b->kept + r] = (int32_t)w->doc;
            out[GROUP * b->kept + r] = tokens_group(j->t, w->doc);
        }
    }
}

static int write_labels(const struct rows_job *j, struct st_writer *w, const int handle[LABELS], struct err *e) {
    int rc = 0;
    int32_t *out = mem_array((LABELS + 1) * j->plan->most_rows, sizeof *out, "collect: labels", e);
    if (!out) return ERR_MEMORY;
    for (size_t i = 0; !rc && i < j->plan->n_batches; i++) {
        const struct rows_batch *b = &j->plan->batch[i];
        label_rows(j, b, out + LABELS * j->plan->most_rows, out);
        for (size_t l = 0; !rc && l < LABELS; l++)
            rc = stw_write(w, handle[l], b->out * sizeof *out, out + l * b->kept, b->kept * sizeof *out, e);
    }
    free(out);
    return rc;
}

static int declare(const struct rows_job *j, struct st_writer *w, int label[LABELS], int *site, struct err *e) {
    int64_t shape[2] = {(int64_t)j->plan->n_rows, 0};
    for (int l = 0; l < LABELS; l++)
        if ((label[l] = stw_declare(w, label_name[l], ST_I32, 1, shape, e)) < 0) return label[l];
    for (size_t i = 0; i < j->n_sites; i++) {
        shape[1] = (int64_t)lm_site_width(&j->m->c, &j->sites[i]);
        if ((site[i] = stw_declare(w, j->sites[i].name, j->dtype, 2, shape, e)) < 0) return site[i];
    }
    return 0;
}

/* All batches; the first error (of whichever thread) is kept and ends the others at their next batch. */
static int run_all(const struct rows_job *j, struct worker *k, struct err *e) {
    atomic_int rc = 0;
    atomic_size_t done = 0;
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t i = 0; i < j->plan->n_batches; i++) {
        struct err mine = {0};
        if (atomic_load(&rc)) continue;
        int r = run_batch(&k[omp_get_thread_num()], &j->plan->batch[i], &mine);
        size_t now = atomic_fetch_add(&done, j->plan->batch[i].rows) + j->plan->batch[i].rows;
#pragma omp critical(rows_report)
        {
            if (r && !atomic_load(&rc)) {
                atomic_store(&rc, r);
                if (e) *e = mine;
            }
            if (j->progress && !r) progress_show(j->progress, now, "");
        }
    }
    return atomic_load(&rc);
}

int rows_collect(const struct rows_job *j, struct st_writer *w, struct err *e) {
    size_t n = (size_t)omp_get_max_threads(), ready = 0;
    int label[LABELS], rc = 0, *site = mem_array(j->n_sites, sizeof *site, "collect: sites", e);
    struct worker *k = site ? mem_array(n, sizeof *k, "collect: threads", e) : NULL;
    if (!k) rc = ERR_MEMORY;
    if (!rc) rc = declare(j, w, label, site, e);
    if (!rc) rc = write_labels(j, w, label, e);
    for (; !rc && ready < n; ready++)
        if ((rc = worker_init(&k[ready], j, w, site, e))) worker_free(&k[ready]);
    if (!rc) rc = run_all(j, k, e);
    for (size_t i = 0; k && i < ready; i++) worker_free(&k[i]);
    free(k);
    free(site);
    return rc;
}
