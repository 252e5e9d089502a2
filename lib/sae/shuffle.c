/* shuffle.c - see shuffle.h. */
#include "lib/sae/shuffle.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/rng.h"

enum {
    CHUNK = 1 << 14,        /* rows whose places are worked out at once */
    BUFFER_BYTES = 4 << 20, /* a write of this size is as fast as a longer one */
    WORTH = 1000            /* rows below which waking the threads costs more than it saves */
};

struct place { /* in pass 2: input row `from` belongs at `to` within the range */
    uint64_t from;
    uint32_t to;
};

struct shuffle { /* what the passes share */
    const unsigned char *rows;
    size_t n, row_bytes;
    uint64_t seed, stream;
    const struct shuffle_plan *plan;
    struct stwriter *w;
    int handle;
    void (*tick)(void *, size_t);
    void *context;
};

static size_t ceil_div(size_t a, size_t b) { return a / b + (a % b != 0); }

struct shuffle_plan shuffle_plan(size_t n, size_t row_bytes, size_t memory_bytes) {
    struct shuffle_plan p = {.bucket_rows = n ? n : 1, .n_buckets = 1};
    size_t per_row =
        2 * row_bytes + 2 * sizeof(struct place); /* pass 2: rows twice, their places, qsort's copy of these */
    if (n * row_bytes > memory_bytes) {
        p.bucket_rows = memory_bytes / per_row < UINT32_MAX ? memory_bytes / per_row : UINT32_MAX;
        if (p.bucket_rows < 1) p.bucket_rows = 1;
        p.n_buckets = ceil_div(n, p.bucket_rows);
    }
    size_t room = memory_bytes / p.n_buckets, most = room < BUFFER_BYTES ? room : BUFFER_BYTES;
    p.buffer_rows = most / row_bytes;
    if (p.buffer_rows > p.bucket_rows) p.buffer_rows = p.bucket_rows;
    if (p.buffer_rows < 1) p.buffer_rows = 1;
    size_t pass1 = p.n_buckets * p.buffer_rows * row_bytes, pass2 = p.bucket_rows * per_row;
    p.memory_bytes = p.n_buckets == 1 ? n * row_bytes : pass1 > pass2 ? pass1 : pass2;
    return p;
}

static void tick(const struct shuffle *s, size_t done) {
    if (s->tick) s->tick(s->context, done);
}

static int in_memory(const struct shuffle *s, struct err *e) {
    unsigned char *out = mem_array(s->n, s->row_bytes, "shuffle: rows", e);
    if (!out) return ERR_MEMORY;
    for (size_t i0 = 0; i0 < s->n; i0 += 64 * CHUNK) {
        size_t i1 = s->n - i0 < 64 * CHUNK ? s->n : i0 + 64 * CHUNK;
#pragma omp parallel for schedule(static)
        for (size_t i = i0; i < i1; i++)
            memcpy(out + rng_permute(s->seed, s->stream, i, s->n) * s->row_bytes, s->rows + i * s->row_bytes,
                   s->row_bytes);
        tick(s, i1);
    }
    int rc = stwriter_write(s->w, s->handle, 0, out, s->n * s->row_bytes, e);
    free(out);
    return rc;
}

/* --- pass 1: rows in order, each appended to its range --- */

struct buckets {
    unsigned char *buffer; /* [n_buckets, buffer_rows, row_bytes] */
    size_t *held, *done;   /* [n_buckets] rows in the buffer, rows on disk */
    uint64_t *place;       /* [CHUNK] */
};

static int flush(const struct shuffle *s, struct buckets *b, size_t k, struct err *e) {
    const struct shuffle_plan *p = s->plan;
    uint64_t at = ((uint64_t)k * p->bucket_rows + b->done[k]) * s->row_bytes;
    int rc = stwriter_write(s->w, s->handle, at, b->buffer + k * p->buffer_rows * s->row_bytes,
                            b->held[k] * s->row_bytes, e);
    b->done[k] += b->held[k], b->held[k] = 0;
    return rc;
}

static int distribute(const struct shuffle *s, struct buckets *b, struct err *e) {
    const struct shuffle_plan *p = s->plan;
    int rc = 0;
    for (size_t i0 = 0; i0 < s->n && !rc; i0 += CHUNK) {
        size_t m = s->n - i0 < CHUNK ? s->n - i0 : CHUNK;
#pragma omp parallel for schedule(static) if (m >= WORTH)
        for (size_t j = 0; j < m; j++) b->place[j] = rng_permute(s->seed, s->stream, i0 + j, s->n);
        for (size_t j = 0; j < m && !rc; j++) {
            size_t k = b->place[j] / p->bucket_rows;
            unsigned char *to = b->buffer + (k * p->buffer_rows + b->held[k]) * s->row_bytes;
            memcpy(to, s->rows + (i0 + j) * s->row_bytes, s->row_bytes);
            if (++b->held[k] == p->buffer_rows) rc = flush(s, b, k, e);
        }
        tick(s, i0 + m);
    }
    for (size_t k = 0; k < p->n_buckets && !rc; k++)
        if (b->held[k]) rc = flush(s, b, k, e);
    return rc;
}

static int pass1(const struct shuffle *s, struct err *e) {
    const struct shuffle_plan *p = s->plan;
    struct buckets b = {.buffer = mem_array(p->n_buckets * p->buffer_rows, s->row_bytes, "shuffle: buffers", e)};
    if (!b.buffer) return ERR_MEMORY;
    b.held = mem_array(p->n_buckets, sizeof *b.held, "shuffle: buffers", e);
    b.done = mem_array(p->n_buckets, sizeof *b.done, "shuffle: buffers", e);
    b.place = mem_array(CHUNK, sizeof *b.place, "shuffle: buffers", e);
    int rc = b.held && b.done && b.place ? distribute(s, &b, e) : ERR_MEMORY;
    free(b.buffer), free(b.held), free(b.done), free(b.place);
    return rc;
}

/* --- pass 2: within each range, from the order of arrival to the order wanted --- */

static int by_from(const void *a, const void *b) {
    const struct place *p = a, *q = b;
    return p->from < q->from ? -1 : p->from > q->from;
}

/* Rows arrived in ascending input order; sorting the places by input row tells which arrival is which. */
static int order(const struct shuffle *s, size_t k, unsigned char *in, unsigned char *out, struct place *place,
                 struct err *e) {
    size_t p0 = k * s->plan->bucket_rows, m = s->n - p0 < s->plan->bucket_rows ? s->n - p0 : s->plan->bucket_rows;
    uint64_t at = (uint64_t)p0 * s->row_bytes;
    int rc = stwriter_read(s->w, s->handle, at, in, m * s->row_bytes, e);
    if (rc) return rc;
#pragma omp parallel for schedule(static) if (m >= WORTH)
    for (size_t j = 0; j < m; j++)
        place[j] = (struct place){rng_permute_inverse(s->seed, s->stream, p0 + j, s->n), (uint32_t)j};
    qsort(place, m, sizeof *place, by_from);
#pragma omp parallel for schedule(static) if (m >= WORTH)
    for (size_t j = 0; j < m; j++) memcpy(out + place[j].to * s->row_bytes, in + j * s->row_bytes, s->row_bytes);
    return stwriter_write(s->w, s->handle, at, out, m * s->row_bytes, e);
}

static int pass2(const struct shuffle *s, struct err *e) {
    size_t m = s->plan->bucket_rows;
    unsigned char *in = mem_array(m, s->row_bytes, "shuffle: one range", e);
    unsigned char *out = in ? mem_array(m, s->row_bytes, "shuffle: one range", e) : NULL;
    struct place *place = out ? mem_array(m, sizeof *place, "shuffle: one range", e) : NULL;
    int rc = place ? 0 : ERR_MEMORY;
    for (size_t k = 0; k < s->plan->n_buckets && !rc; k++) {
        rc = order(s, k, in, out, place, e);
        tick(s, s->n + ((k + 1) * m < s->n ? (k + 1) * m : s->n));
    }
    free(in), free(out), free(place);
    return rc;
}

int shuffle_rows(const void *rows, size_t n, size_t row_bytes, uint64_t seed, uint64_t stream,
                 const struct shuffle_plan *plan, struct stwriter *w, int handle,
                 void (*tick_)(void *context, size_t done), void *context, struct err *e) {
    struct shuffle s = {.rows = rows,
                        .n = n,
                        .row_bytes = row_bytes,
                        .seed = seed,
                        .stream = stream,
                        .plan = plan,
                        .w = w,
                        .handle = handle,
                        .tick = tick_,
                        .context = context};
    if (plan->n_buckets == 1) return in_memory(&s, e);
    int rc = pass1(&s, e);
    return rc ? rc : pass2(&s, e);
}
