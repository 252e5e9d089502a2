/* stwriter.c - writing safetensors; see safetensors.h.
 *
 * The place of a tensor is fixed with the header, at the first write: larger element sizes first, declaration order
 * among equals, so every tensor is aligned to its elements and there are no gaps (the reference reader refuses them).
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/outfile.h"
#include "lib/file/jsonfile.h"
#include "lib/file/safetensors.h"

enum { DATA_ALIGN = 64, FIRST_CAP = 8 };

struct entry {
    char *name;
    enum safetensors_dtype dtype;
    int n_dims;
    int64_t shape[ST_MAX_DIMS];
    uint64_t begin, n_bytes; /* begin within the data section */
    _Atomic uint64_t written_bytes;
};

struct stwriter {
    struct outfile out;
    char *path; /* stays when out is closed */
    json_t *meta;
    struct entry *entry; /* in declaration order: index = handle */
    size_t n, cap;
    uint64_t data_bytes, data_at; /* data_at 0: the header is not written yet */
    pthread_mutex_t lock;         /* of the header */
    atomic_bool failed;           /* a write failed: the file is gone */
};

static int no_memory(const struct stwriter *w, struct err *e) {
    return err_set(e, ERR_MEMORY, "%s: not enough memory for the header", w->path);
}

static void writer_free(struct stwriter *w) {
    for (size_t i = 0; i < w->n; i++) free(w->entry[i].name);
    free(w->entry);
    json_decref(w->meta);
    pthread_mutex_destroy(&w->lock);
    free(w->path);
    free(w);
}

static char *copy_name(const char *s, const char *what, struct err *e) {
    size_t n = strlen(s);
    char *p = mem_array(n + 1, 1, what, e);
    if (p) memcpy(p, s, n);
    return p;
}

int stwriter_open(struct stwriter **out, const char *path, struct err *e) {
    *out = NULL;
    struct stwriter *w = mem_array(1, sizeof *w, path, e);
    if (!w) return ERR_MEMORY;
    pthread_mutex_init(&w->lock, NULL);
    int rc = 0;
    if (!(w->path = copy_name(path, path, e)))
        rc = ERR_MEMORY;
    else if (!(w->meta = json_object()))
        rc = no_memory(w, e);
    else
        rc = outfile_open(&w->out, path, e);
    if (rc)
        writer_free(w);
    else
        *out = w;
    return rc;
}

int stwriter_meta(struct stwriter *w, const char *key, const char *text, struct err *e) {
    CHECK(!w->data_at);
    if (jsonfile_put(w->meta, "%s=%s", key, text))
        return err_set(e, ERR_FORMAT, "%s: metadata '%.64s': want UTF-8 text", w->path, key);
    return 0;
}

static int grow(struct stwriter *w, struct err *e) {
    if (w->n < w->cap) return 0;
    size_t cap = w->cap ? 2 * w->cap : FIRST_CAP;
    struct entry *p = mem_array(cap, sizeof *p, w->path, e);
    if (!p) return ERR_MEMORY;
    if (w->n) memcpy(p, w->entry, w->n * sizeof *p);
    free(w->entry);
    w->entry = p, w->cap = cap;
    return 0;
}

static int check_name(const struct stwriter *w, const char *name, struct err *e) {
    json_t *utf8 = json_string(name);
    json_decref(utf8);
    bool control = false;
    for (const char *c = name; *c; c++) control = control || (unsigned char)*c < ' ';
    if (!utf8 || control || !*name || !strcmp(name, "__metadata__"))
        return err_set(e, ERR_FORMAT, "%s: '%.64s' cannot name a tensor", w->path, control ? "" : name);
    for (size_t i = 0; i < w->n; i++)
        if (!strcmp(w->entry[i].name, name)) return err_set(e, ERR_FORMAT, "%s: %s: declared twice", w->path, name);
    return 0;
}

int stwriter_declare(struct stwriter *w, const char *name, enum safetensors_dtype dtype, int n_dims,
                     const int64_t *shape, struct err *e) {
    CHECK(!w->data_at && n_dims >= 0 && n_dims <= ST_MAX_DIMS && w->n < INT32_MAX);
    int rc = check_name(w, name, e);
    if (rc) return rc;
    size_t n_bytes = safetensors_dtype_bytes(dtype);
    for (int i = 0; i < n_dims; i++)
        if (shape[i] < 0 || !size_product(n_bytes, (size_t)shape[i], 1, &n_bytes))
            return err_set(e, ERR_RANGE, "%s: %s: shape: a size is negative or the product overflows", w->path, name);
    if (n_bytes > (uint64_t)INT64_MAX - w->data_bytes)
        return err_set(e, ERR_RANGE, "%s: %s: the file would pass 2^63 bytes", w->path, name);
    rc = grow(w, e);
    if (rc) return rc;
    struct entry *t = w->entry + w->n;
    if (!(t->name = copy_name(name, w->path, e))) return ERR_MEMORY;
    t->dtype = dtype, t->n_dims = n_dims, t->n_bytes = n_bytes;
    if (n_dims) memcpy(t->shape, shape, (size_t)n_dims * sizeof *shape);
    w->data_bytes += n_bytes;
    return (int)w->n++;
}

/* ---- the header ---- */

static int by_key(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* The metadata with its keys in sorted order, or NULL. */
static json_t *sorted_meta(const struct stwriter *w, struct err *e) {
    size_t n = json_object_size(w->meta), i = 0;
    const char **key = mem_array(n, sizeof *key, w->path, e), *k;
    json_t *out = json_object(), *v;
    if (!key || !out) {
        if (key) no_memory(w, e);
        free(key);
        json_decref(out);
        return NULL;
    }
    json_object_foreach(w->meta, k, v) { key[i++] = k; }
    qsort(key, n, sizeof *key, by_key);
    for (i = 0; i < n; i++) json_object_set(out, key[i], json_object_get(w->meta, key[i]));
    free(key);
    return out;
}

static json_t *describe(const struct entry *t) {
    json_t *shape = json_array();
    for (int i = 0; i < t->n_dims; i++) shape = jsonfile_with(shape, "%lld", (long long)t->shape[i]);
    return jsonfile_object("dtype=%s shape=%p data_offsets=%p", safetensors_dtype_name(t->dtype), shape,
                           jsonfile_list("%zu %zu", t->begin, t->begin + t->n_bytes));
}

/* Place the tensors and return the header's text (free() it), or NULL. */
static char *header_text(struct stwriter *w, struct err *e) {
    json_t *top = json_object(), *meta = sorted_meta(w, e);
    if (json_object_size(meta)) top = jsonfile_with(top, "__metadata__=%p", json_incref(meta));
    uint64_t at = 0;
    for (size_t size = 8; size; size /= 2)
        for (size_t i = 0; i < w->n; i++) {
            struct entry *t = w->entry + i;
            if (safetensors_dtype_bytes(t->dtype) != size) continue;
            t->begin = at, at += t->n_bytes;
            top = jsonfile_with(top, "%s=%p", t->name, describe(t));
        }
    char *text = meta && top ? json_dumps(top, JSON_COMPACT) : NULL;
    if (meta && !text) no_memory(w, e);
    json_decref(meta);
    json_decref(top);
    return text;
}

static int write_header(struct stwriter *w, struct err *e) {
    char *text = header_text(w, e);
    if (!text) return ERR_MEMORY;
    size_t n = strlen(text), padded = (8 + n + DATA_ALIGN - 1) / DATA_ALIGN * DATA_ALIGN;
    char *head = mem_array(padded, 1, w->path, e);
    int rc = head ? 0 : ERR_MEMORY;
    if (!rc) {
        memset(head, ' ', padded);
        for (int i = 0; i < 8; i++) head[i] = (char)((uint64_t)(padded - 8) >> (8 * i));
        memcpy(head + 8, text, n);
        rc = outfile_write_at(&w->out, 0, head, padded, e);
        if (!rc) w->data_at = padded;
    }
    free(head);
    free(text);
    return rc;
}

static int header_once(struct stwriter *w, struct err *e) {
    if (w->failed) return err_set(e, ERR_IO, "%s: an earlier write failed", w->path);
    pthread_mutex_lock(&w->lock);
    int rc = w->data_at ? 0 : write_header(w, e);
    if (rc) w->failed = true;
    pthread_mutex_unlock(&w->lock);
    return rc;
}

/* ---- data ---- */

static struct entry *piece(struct stwriter *w, int handle, uint64_t at, size_t n_bytes) {
    CHECK(handle >= 0 && (size_t)handle < w->n);
    struct entry *t = w->entry + handle;
    CHECK(at <= t->n_bytes && n_bytes <= t->n_bytes - at);
    return t;
}

int stwriter_write(struct stwriter *w, int handle, uint64_t at, const void *data, size_t n_bytes, struct err *e) {
    struct entry *t = piece(w, handle, at, n_bytes);
    int rc = header_once(w, e);
    if (rc) return rc;
    rc = outfile_write_at(&w->out, w->data_at + t->begin + at, data, n_bytes, e);
    if (rc)
        w->failed = true;
    else
        atomic_fetch_add(&t->written_bytes, n_bytes);
    return rc;
}

int stwriter_read(struct stwriter *w, int handle, uint64_t at, void *data, size_t n_bytes, struct err *e) {
    struct entry *t = piece(w, handle, at, n_bytes);
    int rc = header_once(w, e);
    if (rc) return rc;
    uint64_t from = w->data_at + t->begin + at;
    for (char *p = data; n_bytes;) {
        ssize_t r = pread(w->out.fd, p, n_bytes, (off_t)from);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return err_errno(e, "%s: %s: cannot read back", w->path, t->name);
        if (!r) return err_set(e, ERR_FORMAT, "%s: %s: read back before it was written", w->path, t->name);
        p += r, from += (uint64_t)r, n_bytes -= (size_t)r;
    }
    return 0;
}

int stwriter_commit(struct stwriter *w, struct err *e) {
    int rc = header_once(w, e);
    for (size_t i = 0; !rc && i < w->n; i++) {
        const struct entry *t = w->entry + i;
        if (t->written_bytes < t->n_bytes)
            rc = err_set(e, ERR_FORMAT, "%s: %s: written: want %" PRIu64 " bytes, got %" PRIu64, w->path, t->name,
                         t->n_bytes, t->written_bytes);
    }
    if (rc)
        outfile_abort(&w->out);
    else
        rc = outfile_commit(&w->out, e);
    writer_free(w);
    return rc;
}

void stwriter_abort(struct stwriter *w) {
    if (!w) return;
    outfile_abort(&w->out);
    writer_free(w);
}
