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

/* A batch on its way: what it is computed from, and where its rows come to. */
struct shipment {
    const struct rows_batch *b; /* NULL: none */
    size_t *start;              /* [most_rows + 1] */
    int32_t *token;             /* [most_rows] */
    char *out;                  /* of each site in turn its kept rows, in the output's type */
};

/* What one thread holds. With a device, a batch is written while the next one is computed: two shipments. */
struct worker {
    const struct rows_job *j;
    struct stwriter *w;
    const int *handle; /* [n_sites] */
    struct lm_scratch s;
    struct arena mem;
    struct shipment shipment[2];
    int turn;
};

/* Bytes of a row of the sites before `site`; of all for n_sites. */
static size_t bytes_before(const struct rows_job *j, size_t site) {
    size_t width = 0;
    for (size_t i = 0; i < site; i++) width += lm_site_width(&j->m->c, &j->sites[i]);
    return width * safetensors_dtype_bytes(j->dtype);
}

static size_t worker_bytes(const struct rows_job *j) {
    size_t rows = j->plan->most_rows, sum = 0;
    size_t part[] = {arena_need(rows + 1, sizeof(size_t)), arena_need(rows, sizeof(int32_t)),
                     arena_need(rows, bytes_before(j, j->n_sites))};
    for (int i = 0; i < 3; i++) sum = part[i] > SIZE_MAX - sum ? SIZE_MAX : sum + part[i];
    return sum > SIZE_MAX / 2 ? SIZE_MAX : sum * (size_t)j->k->slots;
}

size_t rows_threads(const struct rows_job *j) { return j->k->slots == 1 ? (size_t)omp_get_max_threads() : 1; }

size_t rows_thread_bytes(const struct rows_job *j) {
    size_t b = lm_scratch_bytes(j->k, &j->m->c, j->sites, j->n_sites, j->plan->most_rows, j->plan->T);
    size_t a = j->k->host == j->k->memory ? worker_bytes(j) : 0;
    return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}

size_t rows_output_bytes(const struct rows_job *j) {
    size_t bytes, rows = j->plan->n_rows;
    if (!size_product(bytes_before(j, j->n_sites), rows, 1, &bytes) || rows > (SIZE_MAX - bytes) / 16) return SIZE_MAX;
    return bytes + 16 * rows;
}

static int worker_init(struct worker *k, const struct rows_job *j, struct stwriter *w, const int *handle,
                       struct err *e) {
    size_t rows = j->plan->most_rows;
    *k = (struct worker){.j = j, .w = w, .handle = handle};
    int rc = lm_scratch_init(&k->s, j->k, &j->m->c, j->sites, j->n_sites, rows, j->plan->T, e);
    if (!rc) rc = arena_init_in(&k->mem, j->k->host, worker_bytes(j), "collect: output buffer", e);
    if (rc) return rc;
    for (int i = 0; i < j->k->slots; i++) {
        struct shipment *t = &k->shipment[i];
        t->start = arena_take(&k->mem, rows + 1, sizeof *t->start);
        t->token = arena_take(&k->mem, rows, sizeof *t->token);
        t->out = arena_take(&k->mem, rows, bytes_before(j, j->n_sites));
    }
    return 0;
}

static void worker_free(struct worker *k) {
    lm_scratch_free(&k->s);
    arena_free(&k->mem);
}

/* Is there NaN or Inf among n numbers of the output's type? */
static bool spoilt(enum safetensors_dtype dtype, size_t n, const void *x) {
    const uint16_t *h = x;
    const uint32_t *u = x;
    uint32_t bad = 0;
    if (dtype == ST_BF16) {
#pragma omp simd reduction(| : bad)
        for (size_t i = 0; i < n; i++) bad |= (h[i] & 0x7f80u) == 0x7f80u;
    } else {
#pragma omp simd reduction(| : bad)
        for (size_t i = 0; i < n; i++) bad |= (u[i] & 0x7f800000u) == 0x7f800000u;
    }
    return bad;
}

/* The hook: without the BOS rows, to the host. */
static int fetch_rows(void *ctx, size_t site, const float *rows, size_t M, struct err *e) {
    struct worker *k = ctx;
    const struct rows_job *j = k->j;
    const struct shipment *t = &k->shipment[k->turn];
    size_t D = lm_site_width(&j->m->c, &j->sites[site]), bytes = D * safetensors_dtype_bytes(j->dtype),
           drop = !j->plan->keep_bos;
    bool wide = j->sites[site].kind == LM_SITE_R;
    char *out = t->out + bytes_before(j, site) * t->b->kept;
    (void)e;
    CHECK(M == t->b->rows);
    for (size_t i = 0; i < t->b->n; i++) {
        size_t first = t->start[i] + drop, n = t->start[i + 1] - first;
        const float *from = wide ? rows + first * D : lm_at(j->k, rows, first * D);
        j->k->fetch(n * D, from, wide, j->dtype == ST_BF16, out);
        out += n * bytes;
    }
    return 0;
}

static int check_rows(const struct worker *k, const struct shipment *t, size_t site, const char *out, struct err *e) {
    const struct rows_job *j = k->j;
    size_t D = lm_site_width(&j->m->c, &j->sites[site]), drop = !j->plan->keep_bos;
    for (size_t i = 0; i < t->b->n; i++) {
        size_t n = (t->start[i + 1] - t->start[i] - drop) * D;
        const struct window *w = &j->plan->window[t->b->first + i];
        if (spoilt(j->dtype, n, out)) {
            err_set(e, ERR_NUMERIC, "%s: %s: document %u, tokens %zu and on: NaN or Inf in the activations",
                    j->t->ids->path, j->sites[site].name, (unsigned)w->doc, w->first);
            return err_hint(e, "the weights are finite, so float32 or bf16 overflows on this text: leave the document "
                               "out, or try --dtype f32");
        }
        out += n * safetensors_dtype_bytes(j->dtype);
    }
    return 0;
}

/* Wait for a shipment, look at it, write it: a batch's kept rows are consecutive in the file. */
static int unload(struct worker *k, int turn, struct err *e) {
    const struct rows_job *j = k->j;
    struct shipment t = k->shipment[turn];
    if (!t.b) return 0;
    k->shipment[turn].b = NULL;
    int rc = j->k->await(turn, e);
    for (size_t i = 0; !rc && i < j->n_sites; i++) {
        size_t row = bytes_before(j, i + 1) - bytes_before(j, i);
        const char *out = t.out + bytes_before(j, i) * t.b->kept;
        rc = check_rows(k, &t, i, out, e);
        if (rc) break;
#pragma omp critical(rows_write)
        rc = stwriter_write(k->w, k->handle[i], (uint64_t)t.b->out * row, out, t.b->kept * row, e);
    }
    return rc;
}

static int run_batch(struct worker *k, const struct rows_batch *b, struct err *e) {
    const struct rows_job *j = k->j;
    struct shipment *t = &k->shipment[k->turn];
    struct lm_hook hook = {k, fetch_rows};
    struct lm_batch lb = {b->n, t->start, t->token};
    t->b = b;
    t->start[0] = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct window *w = &j->plan->window[b->first + i];
        tokens_window_ids(j->t, w, t->token + t->start[i]);
        t->start[i + 1] = t->start[i] + w->T;
    }
    int rc = lm_forward(j->m, j->k, &lb, j->sites, j->n_sites, &k->s, &hook, e);
    if (rc) return rc;
    j->k->sent(k->turn);
    k->turn = (k->turn + 1) % j->k->slots;
    return unload(k, k->turn, e);
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

static int write_labels(const struct rows_job *j, struct stwriter *w, const int handle[LABELS], struct err *e) {
    int rc = 0;
    int32_t *out = mem_array((LABELS + 1) * j->plan->most_rows, sizeof *out, "collect: labels", e);
    if (!out) return ERR_MEMORY;
    for (size_t i = 0; !rc && i < j->plan->n_batches; i++) {
        const struct rows_batch *b = &j->plan->batch[i];
        label_rows(j, b, out + LABELS * j->plan->most_rows, out);
        for (size_t l = 0; !rc && l < LABELS; l++)
            rc = stwriter_write(w, handle[l], b->out * sizeof *out, out + l * b->kept, b->kept * sizeof *out, e);
    }
    free(out);
    return rc;
}

static int declare(const struct rows_job *j, struct stwriter *w, int label[LABELS], int *site, struct err *e) {
    int64_t shape[2] = {(int64_t)j->plan->n_rows, 0};
    for (int l = 0; l < LABELS; l++)
        if ((label[l] = stwriter_declare(w, label_name[l], ST_I32, 1, shape, e)) < 0) return label[l];
    for (size_t i = 0; i < j->n_sites; i++) {
        shape[1] = (int64_t)lm_site_width(&j->m->c, &j->sites[i]);
        if ((site[i] = stwriter_declare(w, j->sites[i].name, j->dtype, 2, shape, e)) < 0) return site[i];
    }
    return 0;
}

/* All batches; the first error (of whichever thread) is kept and ends the others at their next batch. */
static int run_all(const struct rows_job *j, struct worker *k, struct err *e) {
    atomic_int rc = 0;
    atomic_size_t done = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)rows_threads(j))
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
    if (atomic_load(&rc)) return atomic_load(&rc);
    for (size_t i = 0; i < rows_threads(j); i++) { /* what a device still has on its way */
        int r = unload(&k[i], !k[i].turn, e);
        if (r) return r;
    }
    return 0;
}

int rows_collect(const struct rows_job *j, struct stwriter *w, struct err *e) {
    size_t n = rows_threads(j), ready = 0;
    int label[LABELS], rc = 0, *site = mem_array(j->n_sites, sizeof *site, "collect: sites", e);
    struct worker *k = site ? mem_array(n, sizeof *k, "collect: threads", e) : NULL;
    if (!k) rc = ERR_MEMORY;
    if (!rc) rc = declare(j, w, label, site, e);
    if (!rc) rc = write_labels(j, w, label, e);
    for (; !rc && ready < n; ready++) rc = worker_init(&k[ready], j, w, site, e);
    if (!rc) rc = run_all(j, k, e);
    for (size_t i = 0; k && i < ready; i++) worker_free(&k[i]);
    free(k);
    free(site);
    return rc;
}
