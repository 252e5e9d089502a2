/* feed.c - see feed.h. A ring of SLOTS batches; the reader fills, the trainer empties. */
#include "lib/sae/feed.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/clock.h"

enum { SLOTS = 5, HELD = 2, RAW_THREADS = 4 }; /* HELD: in the trainer's hands */

struct feed {
    const struct safetensors_tensor *rows;
    size_t B, N, D;
    float scale;
    int64_t fill, take, last; /* next batch to fill, to hand out; one past the last */
    const struct memory *memory;
    void *slot[SLOTS];
    bool raw, stop, started, failed;
    struct err err;
    double waited_s;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

int feed_shape(const struct safetensors *s, size_t *N, size_t *D, double *scale, struct err *e) {
    const int64_t any[2] = {ST_ANY, ST_ANY};
    const struct safetensors_tensor *t;
    int rc = safetensors_get(s, "rows", -1, 2, any, &t, e);
    if (rc) return rc;
    const char *text = safetensors_meta(s, "scale");
    char *end = NULL;
    *scale = text ? strtod(text, &end) : 0;
    if (!text || !*text || *end || !(isfinite(*scale) && *scale > 0)) {
        err_set(e, ERR_FORMAT, "%s: metadata 'scale': want a positive number, got %s", t->path,
                text ? text : "nothing");
        return err_hint(e, "train reads what normalise wrote");
    }
    if (!t->shape[0] || !t->shape[1]) return err_set(e, ERR_SHAPE, "%s: rows: no data in it", t->path);
    *N = (size_t)t->shape[0], *D = (size_t)t->shape[1];
    return 0;
}

/* As stored: copied by slices that threads share, since one core reads less than a GPU wants. */
static void copy_slot(struct feed *f, int64_t batch, char *to) {
    size_t at = (size_t)(((unsigned __int128)(uint64_t)batch * f->B) % f->N),
           row = f->D * safetensors_dtype_bytes(f->rows->dtype);
#pragma omp parallel for schedule(static) num_threads(RAW_THREADS)
    for (size_t b = 0; b < f->B; b++) memcpy(to + b * row, (const char *)f->rows->data + (at + b) % f->N * row, row);
}

static int fill_slot(struct feed *f, int64_t batch, void *to, struct err *e) {
    float *x = to;
    size_t at = (size_t)(((unsigned __int128)(uint64_t)batch * f->B) % f->N), done = 0;
    while (done < f->B) {
        size_t n = f->N - at < f->B - done ? f->N - at : f->B - done;
        int rc = safetensors_to_f32(f->rows, at * f->D, n * f->D, x + done * f->D, e);
        if (rc) return rc;
        for (size_t r = 0; r < n; r++) {
            float *row = x + (done + r) * f->D, sum = 0;
            for (size_t d = 0; d < f->D; d++) row[d] *= f->scale, sum += fabsf(row[d]);
            if (!isfinite(sum)) {
                err_set(e, ERR_NUMERIC, "%s: rows: row %zu holds NaN or Inf", f->rows->path, at + r);
                return err_hint(e, "make the activations again (collect, normalise)");
            }
        }
        done += n, at = 0;
    }
    return 0;
}

static void *reader(void *arg) {
    struct feed *f = arg;
    pthread_mutex_lock(&f->lock);
    while (!f->stop && !f->failed && f->fill < f->last) {
        if (f->fill >= f->take + SLOTS - HELD) {
            pthread_cond_wait(&f->changed, &f->lock);
            continue;
        }
        int64_t batch = f->fill;
        pthread_mutex_unlock(&f->lock);
        struct err e = {0};
        int rc = 0;
        if (f->raw)
            copy_slot(f, batch, f->slot[batch % SLOTS]);
        else
            rc = fill_slot(f, batch, f->slot[batch % SLOTS], &e);
        pthread_mutex_lock(&f->lock);
        if (rc)
            f->failed = true, f->err = e;
        else
            f->fill++;
        pthread_cond_broadcast(&f->changed);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

int feed_open(struct feed **out, const struct safetensors *s, size_t B, int64_t first, int64_t last,
              const struct memory *m, bool raw, struct err *e) {
    struct feed *f = mem_array(1, sizeof *f, "feed", e);
    double scale;
    *out = NULL;
    if (!f) return ERR_MEMORY;
    int rc = feed_shape(s, &f->N, &f->D, &scale, e);
    if (!rc && B > f->N) {
        rc = err_set(e, ERR_RANGE, "%s: rows: a batch of %zu rows, but only %zu rows",
                     safetensors_find(s, "rows")->path, B, f->N);
        err_hint(e, "use a smaller batch, or collect more tokens");
    }
    if (rc) {
        free(f);
        return rc;
    }
    f->rows = safetensors_find(s, "rows");
    raw = raw && (f->rows->dtype == ST_BF16 || f->rows->dtype == ST_F32);
    size_t elem = raw ? safetensors_dtype_bytes(f->rows->dtype) : sizeof(float), bytes;
    f->memory = m, f->raw = raw;
    f->B = B, f->scale = (float)scale, f->fill = f->take = first, f->last = last;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    for (int i = 0; !rc && i < SLOTS; i++)
        if (!size_product(B, f->D, elem, &bytes) || !(f->slot[i] = m->take(bytes)))
            rc = err_set(e, ERR_MEMORY, "feed: cannot have %d batches of %zu x %zu", SLOTS, B, f->D);
    if (!rc && pthread_create(&f->thread, NULL, reader, f)) {
        err_set(e, ERR_MEMORY, "feed: cannot start the reader");
        rc = err_hint(e, "raise the limit on threads (ulimit -u), or take fewer --threads");
    } else if (!rc) {
        f->started = true;
    }
    if (rc)
        feed_close(f);
    else
        *out = f;
    return rc;
}

int feed_next(struct feed *f, const void **x, struct err *e) {
    double t0 = clock_s();
    pthread_mutex_lock(&f->lock);
    while (f->fill <= f->take && !f->failed) {
        CHECK(f->take < f->last);
        pthread_cond_wait(&f->changed, &f->lock);
    }
    bool ready = f->fill > f->take;
    if (ready) *x = f->slot[f->take++ % SLOTS];
    f->waited_s += clock_s() - t0;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    if (ready) return 0;
    if (e) *e = f->err;
    return f->err.code;
}

bool feed_raw(const struct feed *f) { return f->raw; }

bool feed_bf16(const struct feed *f) { return f->raw && f->rows->dtype == ST_BF16; }

double feed_waited_s(const struct feed *f) { return f->waited_s; }

void feed_close(struct feed *f) {
    if (!f) return;
    if (f->started) {
        pthread_mutex_lock(&f->lock);
        f->stop = true;
        pthread_cond_broadcast(&f->changed);
        pthread_mutex_unlock(&f->lock);
        pthread_join(f->thread, NULL);
    }
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->changed);
    for (int i = 0; i < SLOTS; i++)
        if (f->slot[i]) f->memory->give(f->slot[i]);
    free(f);
}
