/* safetensors.c - reading named tensors; see safetensors.h. The writer is stwriter.c.
 *
 * Format: github.com/huggingface/safetensors, README "Format". Stricter than it in one point (names without control
 * characters, so that a message stays one line) and laxer in one (gaps between tensors are tolerated). */
#include "lib/file/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/bf16.h"
#include "lib/base/infile.h"
#include "lib/file/jsonfile.h"

enum { HEADER_MAX_BYTES = 100 * 1000 * 1000, BLOCK_ELEMS = 65536, NEAR_NAMES = 3, NEAR_MAX = 127 };

struct shard {
    char *path;
    const unsigned char *map;  /* the whole file */
    size_t map_bytes, data_at; /* data_at: where the data section begins */
    json_t *header;
};

struct safetensors {
    char *path; /* as given to safetensors_open */
    struct shard *shard;
    size_t n_shards;
    struct safetensors_tensor *tensor; /* in name order; names live in the shards' headers */
    size_t n_tensors;
};

static const struct {
    const char *name;
    size_t n_bytes;
} DTYPE[ST_DTYPES] = {
    [ST_U8] = {"U8", 1},   [ST_I8] = {"I8", 1},   [ST_BOOL] = {"BOOL", 1}, [ST_I16] = {"I16", 2},
    [ST_U16] = {"U16", 2}, [ST_F16] = {"F16", 2}, [ST_BF16] = {"BF16", 2}, [ST_I32] = {"I32", 4},
    [ST_U32] = {"U32", 4}, [ST_F32] = {"F32", 4}, [ST_I64] = {"I64", 8},   [ST_U64] = {"U64", 8},
    [ST_F64] = {"F64", 8},
};

size_t safetensors_dtype_bytes(enum safetensors_dtype t) {
    CHECK((unsigned)t < ST_DTYPES);
    return DTYPE[t].n_bytes;
}

const char *safetensors_dtype_name(enum safetensors_dtype t) {
    CHECK((unsigned)t < ST_DTYPES);
    return DTYPE[t].name;
}

/* ---- one file ---- */

static char *copy_text(const char *s, const char *what, struct err *e) {
    size_t n = strlen(s);
    char *p = mem_array(n + 1, 1, what, e);
    if (p) memcpy(p, s, n);
    return p;
}

static int map_file(struct shard *s, struct err *e) {
    struct stat f;
    int fd, rc = infile_open(s->path, &fd, &f, e);
    if (rc) return rc;
    if (f.st_size < 8) {
        err_set(e, ERR_FORMAT, "%s: truncated: want at least 8 bytes, got %jd", s->path, (intmax_t)f.st_size);
        rc = err_hint(e, "download or make the file again");
    }
    if (!rc) {
        s->map_bytes = (size_t)f.st_size;
        void *p = mmap(NULL, s->map_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            rc = err_errno(e, "%s: cannot map", s->path);
        else
            s->map = p;
    }
    close(fd);
    return rc;
}

static int parse_header(struct shard *s, struct err *e) {
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--) n = n << 8 | s->map[i];
    if (n > HEADER_MAX_BYTES)
        return err_set(e, ERR_FORMAT, "%s: header length: want at most %d bytes, got %" PRIu64, s->path,
                       HEADER_MAX_BYTES, n),
               err_hint(e, "this is no safetensors file, or its first bytes are damaged");
    if (n > s->map_bytes - 8)
        return err_set(e, ERR_FORMAT, "%s: truncated: the header says %" PRIu64 " bytes, the file has %zu", s->path, n,
                       s->map_bytes - 8),
               err_hint(e, "download or make the file again");
    s->data_at = 8 + (size_t)n;
    return jsonfile_parse((const char *)s->map + 8, (size_t)n, s->path, 1, &s->header, e);
}

/* A list of 1..max whole numbers >= 0; *n its length. */
static int whole_numbers(const json_t *a, int64_t *out, size_t max, size_t *n) {
    if (!json_is_array(a) || json_array_size(a) > max) return -1;
    *n = json_array_size(a);
    for (size_t i = 0; i < *n; i++) {
        const json_t *v = json_array_get(a, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0) return -1;
        out[i] = json_integer_value(v);
    }
    return 0;
}

/* The dtype, or -1 with the error set. */
static int parse_dtype(const struct shard *s, const char *name, const json_t *v, struct err *e) {
    const char *text = json_string_value(v);
    if (!text) return err_set(e, ERR_FORMAT, "%s: %s: dtype: want a text, got none", s->path, name), -1;
    for (int t = 0; t < ST_DTYPES; t++)
        if (!strcmp(text, DTYPE[t].name)) return t;
    err_set(e, ERR_UNSUPPORTED, "%s: %s: dtype: want BF16, F16, F32, F64, BOOL or an integer type, got %.32s", s->path,
            name, text);
    err_hint(e, "convert the file to BF16 or F32");
    return -1;
}

static int parse_tensor(const struct shard *s, const char *name, const json_t *v, struct safetensors_tensor *t,
                        struct err *e) {
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ')
            return err_set(e, ERR_FORMAT, "%s: a tensor name holds control characters", s->path);
    if (!json_is_object(v)) return err_set(e, ERR_FORMAT, "%s: %s: entry: want an object", s->path, name);
    int dtype = parse_dtype(s, name, json_object_get(v, "dtype"), e);
    if (dtype < 0) return e ? e->code : ERR_FORMAT;

    size_t n_dims = 0, two = 0, n_elems = 1, n_bytes;
    int64_t offset[2];
    *t = (struct safetensors_tensor){.name = name, .dtype = (enum safetensors_dtype)dtype, .path = s->path};
    if (whole_numbers(json_object_get(v, "shape"), t->shape, ST_MAX_DIMS, &n_dims))
        return err_set(e, ERR_FORMAT, "%s: %s: shape: want at most %d whole numbers >= 0", s->path, name, ST_MAX_DIMS);
    t->n_dims = (int)n_dims;
    if (whole_numbers(json_object_get(v, "data_offsets"), offset, 2, &two) || two != 2)
        return err_set(e, ERR_FORMAT, "%s: %s: data_offsets: want two whole numbers >= 0", s->path, name);

    bool fits = true;
    for (size_t i = 0; i < n_dims; i++) fits = fits && size_product(n_elems, (size_t)t->shape[i], 1, &n_elems);
    if (!fits || !size_product(n_elems, DTYPE[dtype].n_bytes, 1, &n_bytes))
        return err_set(e, ERR_FORMAT, "%s: %s: shape: its product overflows", s->path, name);
    size_t begin = (size_t)offset[0], end = (size_t)offset[1], room = s->map_bytes - s->data_at;
    if (begin > end || end > room) {
        err_set(e, ERR_FORMAT, "%s: %s: data_offsets: want within [0,%zu], got [%zu,%zu]", s->path, name, room, begin,
                end);
        return err_hint(e, begin > end ? "the header is damaged" : "the file is truncated: download or make it again");
    }
    if (end - begin != n_bytes)
        return err_set(e, ERR_FORMAT, "%s: %s: data_offsets: want %zu bytes for the shape, got %zu", s->path, name,
                       n_bytes, end - begin);
    t->data = s->map + s->data_at + begin;
    t->n_bytes = n_bytes, t->n_elems = n_elems;
    return 0;
}

static int parse_metadata(const struct shard *s, const json_t *meta, struct err *e) {
    const char *key;
    json_t *v;
    if (json_is_null(meta)) return 0;
    if (!json_is_object(meta)) return err_set(e, ERR_FORMAT, "%s: __metadata__: want an object", s->path);
    json_object_foreach((json_t *)meta, key, v) {
        if (!json_is_string(v)) return err_set(e, ERR_FORMAT, "%s: __metadata__: %.64s: want a text", s->path, key);
    }
    return 0;
}

static int by_place(const void *a, const void *b) {
    const struct safetensors_tensor *x = a, *y = b;
    const char *p = x->data, *q = y->data;
    return p != q ? (p > q) - (p < q) : (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
}

static int refuse_overlap(struct safetensors_tensor *t, size_t n, struct err *e) {
    qsort(t, n, sizeof *t, by_place);
    const struct safetensors_tensor *last = NULL; /* the last one with bytes */
    for (size_t i = 0; i < n; i++) {
        if (!t[i].n_bytes) continue;
        if (last && (const char *)t[i].data < (const char *)last->data + last->n_bytes)
            return err_set(e, ERR_FORMAT, "%s: %s: data_offsets: overlap those of %s", t[i].path, t[i].name,
                           last->name);
        last = t + i;
    }
    return 0;
}

/* Open s->path and append its tensors to st->tensor. */
static int open_shard(struct safetensors *st, struct shard *s, struct err *e) {
    int rc = map_file(s, e);
    if (!rc) rc = parse_header(s, e);
    if (rc) return rc;

    size_t n = st->n_tensors, first = n;
    struct safetensors_tensor *grown = mem_array(n + json_object_size(s->header), sizeof *grown, s->path, e);
    if (!grown) return ERR_MEMORY;
    if (n) memcpy(grown, st->tensor, n * sizeof *grown);
    free(st->tensor);
    st->tensor = grown;

    const char *name;
    json_t *v;
    json_object_foreach(s->header, name, v) {
        rc = strcmp(name, "__metadata__") ? parse_tensor(s, name, v, grown + n, e) : parse_metadata(s, v, e);
        if (rc) return rc;
        if (strcmp(name, "__metadata__")) n++;
    }
    st->n_tensors = n;
    return refuse_overlap(grown + first, n - first, e);
}

/* ---- files and folders ---- */

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct safetensors_tensor *)a)->name, ((const struct safetensors_tensor *)b)->name);
}

static int check_shard_name(const char *index, const char *tensor, const json_t *v, struct err *e) {
    const char *f = json_string_value(v);
    if (!f || !*f || *f == '.' || strchr(f, '/'))
        return err_set(e, ERR_FORMAT, "%s: %.128s: want a plain file name of this folder, got '%.128s'", index, tensor,
                       f ? f : "");
    return 0;
}

/* The distinct file names of weight_map, sorted: *name is an array of pointers into it. */
static int shard_names(const json_t *map, const char *index, const char ***name, size_t *n, struct err *e) {
    const char *key;
    json_t *v;
    const char **a = mem_array(json_object_size(map), sizeof *a, index, e);
    if (!a) return ERR_MEMORY;
    *name = a, *n = 0;
    json_object_foreach((json_t *)map, key, v) {
        int rc = check_shard_name(index, key, v, e);
        if (rc) return rc;
        a[(*n)++] = json_string_value(v);
    }
    qsort(a, *n, sizeof *a, by_text);
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++)
        if (!kept || strcmp(a[kept - 1], a[i])) a[kept++] = a[i];
    *n = kept;
    return 0;
}

static int open_files(struct safetensors *st, const char *folder, const char *const *name, size_t n, struct err *e) {
    st->shard = mem_array(n, sizeof *st->shard, st->path, e);
    if (!st->shard) return ERR_MEMORY;
    st->n_shards = n;
    for (size_t i = 0; i < n; i++) {
        char path[PATH_MAX];
        int len =
            folder ? snprintf(path, sizeof path, "%s/%s", folder, name[i]) : snprintf(path, sizeof path, "%s", name[i]);
        if (len >= (int)sizeof path) return err_set(e, ERR_IO, "%.256s: path too long", name[i]);
        if (!(st->shard[i].path = copy_text(path, st->path, e))) return ERR_MEMORY;
        int rc = open_shard(st, st->shard + i, e);
        if (rc == ERR_IO && folder) err_hint(e, "%s must hold every shard that its index names", folder);
        if (rc) return rc;
    }
    qsort(st->tensor, st->n_tensors, sizeof *st->tensor, by_name);
    for (size_t i = 1; i < st->n_tensors; i++)
        if (!strcmp(st->tensor[i - 1].name, st->tensor[i].name))
            return err_set(e, ERR_FORMAT, "%s: %s: also in %s", st->tensor[i].path, st->tensor[i].name,
                           st->tensor[i - 1].path);
    return 0;
}

/* Every tensor of the index must be in the shard that the index names. */
static int check_index(const struct safetensors *st, const json_t *map, const char *index, struct err *e) {
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)map, key, v) {
        const struct safetensors_tensor *t = safetensors_find(st, key);
        const char *want = json_string_value(v), *got = t ? strrchr(t->path, '/') + 1 : "no shard";
        if (!t || strcmp(want, got))
            return err_set(e, ERR_FORMAT, "%s: %.128s: want in %s, found in %s", index, key, want, got);
    }
    return 0;
}

static int open_index(struct safetensors *st, const char *folder, const char *index, struct err *e) {
    json_t *top = NULL;
    const char **name = NULL;
    size_t n = 0;
    int rc = jsonfile_read(index, &top, e);
    const json_t *map = rc ? NULL : json_object_get(top, "weight_map");
    if (!rc && !json_object_size(map))
        rc = err_set(e, ERR_FORMAT, "%s: weight_map: want an object with entries", index);
    if (!rc) rc = shard_names(map, index, &name, &n, e);
    if (!rc) rc = open_files(st, folder, name, n, e);
    if (!rc) rc = check_index(st, map, index, e);
    free(name);
    json_decref(top);
    return rc;
}

static int open_folder(struct safetensors *st, const char *folder, struct err *e) {
    char one[PATH_MAX], index[PATH_MAX];
    const char *name = "model.safetensors";
    if (snprintf(index, sizeof index, "%s/model.safetensors.index.json", folder) >= (int)sizeof index)
        return err_set(e, ERR_IO, "%s: path too long", folder);
    snprintf(one, sizeof one, "%s/%s", folder, name);
    if (!access(one, F_OK)) return open_files(st, folder, &name, 1, e);
    if (!access(index, F_OK)) return open_index(st, folder, index, e);
    err_set(e, ERR_IO, "%s: holds neither model.safetensors nor model.safetensors.index.json", folder);
    return err_hint(e, "give a model folder as Hugging Face lays it out, or a .safetensors file");
}

int safetensors_open(struct safetensors **out, const char *path, struct err *e) {
    struct stat f;
    *out = NULL;
    if (stat(path, &f)) return err_errno(e, "%s: cannot open", path);
    struct safetensors *st = mem_array(1, sizeof *st, path, e);
    if (!st) return ERR_MEMORY;
    int rc = ERR_MEMORY;
    if ((st->path = copy_text(path, path, e)))
        rc = S_ISDIR(f.st_mode) ? open_folder(st, path, e) : open_files(st, NULL, &path, 1, e);
    if (rc)
        safetensors_close(st);
    else
        *out = st;
    return rc;
}

void safetensors_close(struct safetensors *s) {
    if (!s) return;
    for (size_t i = 0; i < s->n_shards; i++) {
        if (s->shard[i].map) munmap((void *)s->shard[i].map, s->shard[i].map_bytes);
        json_decref(s->shard[i].header);
        free(s->shard[i].path);
    }
    free(s->shard);
    free(s->tensor);
    free(s->path);
    free(s);
}

/* ---- asking ---- */

size_t safetensors_count(const struct safetensors *s) { return s->n_tensors; }

const struct safetensors_tensor *safetensors_at(const struct safetensors *s, size_t i) {
    CHECK(i < s->n_tensors);
    return s->tensor + i;
}

const struct safetensors_tensor *safetensors_find(const struct safetensors *s, const char *name) {
    struct safetensors_tensor key = {.name = name};
    return s->n_tensors ? bsearch(&key, s->tensor, s->n_tensors, sizeof key, by_name) : NULL;
}

const char *safetensors_meta(const struct safetensors *s, const char *key) {
    for (size_t i = 0; i < s->n_shards; i++) {
        const char *text = json_string_value(json_object_get(json_object_get(s->shard[i].header, "__metadata__"), key));
        if (text) return text;
    }
    return NULL;
}

/* Levenshtein's distance, one row at a time; 0 when one name is the end of the other. Long names count as far. */
static size_t distance(const char *a, const char *b) {
    size_t na = strlen(a), nb = strlen(b), row[NEAR_MAX + 1];
    if (na > NEAR_MAX || nb > NEAR_MAX) return SIZE_MAX;
    if (na && nb && !strcmp(na > nb ? a + na - nb : a, nb > na ? b + nb - na : b)) return 0;
    for (size_t j = 0; j <= nb; j++) row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diag = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t swap = diag + (a[i - 1] != b[j - 1]), gap = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diag = row[j];
            row[j] = swap < gap ? swap : gap;
        }
    }
    return row[nb];
}

static int missing(const struct safetensors *s, const char *name, struct err *e) {
    size_t best[NEAR_NAMES], at[NEAR_NAMES], n = 0, limit = strlen(name) / 3 + 1;
    for (size_t i = 0; i < s->n_tensors; i++) {
        size_t d = distance(name, s->tensor[i].name), k;
        if (d > limit) continue;
        for (k = n < NEAR_NAMES ? n++ : n; k && best[k - 1] > d; k--)
            if (k < NEAR_NAMES) best[k] = best[k - 1], at[k] = at[k - 1];
        if (k < NEAR_NAMES) best[k] = d, at[k] = i;
    }
    char list[320] = "";
    const char *lead = n ? "did you mean" : "it holds";
    bool any = !n; /* nothing near: show the first ones */
    if (any) n = s->n_tensors < NEAR_NAMES ? s->n_tensors : NEAR_NAMES;
    for (size_t i = 0, len = 0; i < n && len < sizeof list; i++)
        len +=
            (size_t)snprintf(list + len, sizeof list - len, "%s%.96s", i ? ", " : " ", s->tensor[any ? i : at[i]].name);
    err_set(e, ERR_FORMAT, "%s: %s: no such tensor", s->path, name);
    if (!n) return err_hint(e, "the file holds no tensor at all");
    return err_hint(e, "%s%s%s", lead, list, any ? (s->n_tensors > n ? ", …" : "") : "?");
}

/* "F32 [*,256]"; dtype -1 is left out. Long shapes are cut. */
static void shape_text(char *out, size_t size, int dtype, int n_dims, const int64_t *shape) {
    int len = snprintf(out, size, "%s%s[", dtype < 0 ? "" : DTYPE[dtype].name, dtype < 0 ? "" : " ");
    for (int i = 0; i < n_dims && len < (int)size; i++) {
        if (i) len += snprintf(out + len, size - (size_t)len, ",");
        if (len >= (int)size) break;
        len += shape[i] == ST_ANY ? snprintf(out + len, size - (size_t)len, "*")
                                  : snprintf(out + len, size - (size_t)len, "%" PRId64, shape[i]);
    }
    if (len < (int)size) snprintf(out + len, size - (size_t)len, "]");
}

int safetensors_get(const struct safetensors *s, const char *name, int dtype, int n_dims, const int64_t *shape,
                    const struct safetensors_tensor **out, struct err *e) {
    const struct safetensors_tensor *t = safetensors_find(s, name);
    *out = NULL;
    if (!t) return missing(s, name, e);
    bool same = n_dims == t->n_dims && (dtype < 0 || dtype == (int)t->dtype);
    for (int i = 0; same && i < n_dims; i++) same = shape[i] == ST_ANY || shape[i] == t->shape[i];
    if (!same) {
        char want[96], got[96];
        shape_text(want, sizeof want, dtype, n_dims, shape);
        shape_text(got, sizeof got, (int)t->dtype, t->n_dims, t->shape);
        return err_set(e, ERR_SHAPE, "%s: %s: bad shape: want %s, got %s", t->path, t->name, want, got);
    }
    *out = t;
    return 0;
}

/* ---- numbers ---- */

/* Exact: every half is a float. Subnormal halves are m·2^-24, so the product needs no subnormal float. */
static inline float half_f32(uint16_t h) {
    union {
        uint32_t u;
        float f;
    } v, sub;
    uint32_t em = h & 0x7fffu;
    v.u =
        (em << 13) + (em >= 0x7c00u ? 0x70000000u : 0x38000000u); /* exponent bias 15 -> 127; Inf and NaN: 31 -> 255 */
    sub.f = (float)(int32_t)em * 0x1p-24f;
    v.u = (em < 0x0400u ? sub.u : v.u) | (uint32_t)(h & 0x8000u) << 16;
    return v.f;
}

/* n elements at p, of any alignment. */
static void convert(enum safetensors_dtype t, const char *restrict p, size_t n, float *restrict out) {
    uint16_t h;
    double d;
    switch (t) {
    case ST_BF16:
#pragma omp simd private(h)
        for (size_t i = 0; i < n; i++) memcpy(&h, p + 2 * i, 2), out[i] = bf16_f32(h);
        break;
    case ST_F16:
#pragma omp simd private(h)
        for (size_t i = 0; i < n; i++) memcpy(&h, p + 2 * i, 2), out[i] = half_f32(h);
        break;
    case ST_F64:
        for (size_t i = 0; i < n; i++) memcpy(&d, p + 8 * i, 8), out[i] = (float)d;
        break;
    default:
        memcpy(out, p, 4 * n);
    }
}

static bool is_float(enum safetensors_dtype t) { return t == ST_BF16 || t == ST_F16 || t == ST_F32 || t == ST_F64; }

int safetensors_to_f32(const struct safetensors_tensor *t, size_t first, size_t n, float *out, struct err *e) {
    CHECK(first <= t->n_elems && n <= t->n_elems - first);
    if (!is_float(t->dtype))
        return err_set(e, ERR_SHAPE, "%s: %s: bad type: want BF16, F16, F32 or F64, got %s", t->path, t->name,
                       DTYPE[t->dtype].name);
    size_t size = DTYPE[t->dtype].n_bytes, blocks = (n + BLOCK_ELEMS - 1) / BLOCK_ELEMS;
    const char *p = (const char *)t->data + first * size;
#pragma omp parallel for schedule(static) if (blocks > 8)
    for (size_t b = 0; b < blocks; b++) {
        size_t i = b * BLOCK_ELEMS, m = n - i < BLOCK_ELEMS ? n - i : BLOCK_ELEMS;
        convert(t->dtype, p + i * size, m, out + i);
    }
    return 0;
}

/* Index of the first element of p[0..n) whose exponent bits are all set, or n. */
static size_t first_bad(enum safetensors_dtype t, const char *p, size_t n) {
    const uint64_t mask = t == ST_BF16  ? 0x7f80u
                          : t == ST_F16 ? 0x7c00u
                          : t == ST_F32 ? 0x7f800000u
                                        : 0x7ff0000000000000u;
    const size_t size = DTYPE[t].n_bytes;
    for (size_t i = 0; i < n; i++) {
        uint64_t u = 0;
        memcpy(&u, p + size * i, size); /* little-endian */
        if ((u & mask) == mask) return i;
    }
    return n;
}

/* Whether any exponent is all ones: a plain sum over the block, which vectorises. */
static bool any_bad(enum safetensors_dtype t, const char *p, size_t n) {
    uint32_t bad = 0, w;
    uint16_t h;
    if (t == ST_F64) return first_bad(t, p, n) < n;
    const uint16_t mask = t == ST_F16 ? 0x7c00u : 0x7f80u;
    if (t == ST_F32) {
#pragma omp simd private(w) reduction(| : bad)
        for (size_t i = 0; i < n; i++) memcpy(&w, p + 4 * i, 4), bad |= (w & 0x7f800000u) == 0x7f800000u;
    } else {
#pragma omp simd private(h) reduction(| : bad)
        for (size_t i = 0; i < n; i++) memcpy(&h, p + 2 * i, 2), bad |= (h & mask) == mask;
    }
    return bad;
}

int safetensors_check_finite(const struct safetensors_tensor *t, struct err *e) {
    if (!is_float(t->dtype)) return 0;
    size_t size = DTYPE[t->dtype].n_bytes, blocks = (t->n_elems + BLOCK_ELEMS - 1) / BLOCK_ELEMS, worst = blocks;
    const char *p = t->data;
#pragma omp parallel for schedule(static) reduction(min : worst) if (blocks > 8)
    for (size_t b = 0; b < blocks; b++) {
        size_t i = b * BLOCK_ELEMS, m = t->n_elems - i < BLOCK_ELEMS ? t->n_elems - i : BLOCK_ELEMS;
        if (b < worst && any_bad(t->dtype, p + i * size, m)) worst = b;
    }
    if (worst == blocks) return 0;
    size_t i = worst * BLOCK_ELEMS;
    i += first_bad(t->dtype, p + i * size, t->n_elems - i);
    return err_set(e, ERR_NUMERIC, "%s: %s: NaN or Inf at element %zu", t->path, t->name, i);
}
