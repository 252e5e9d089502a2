/* lm_cases.h - for the tests of the language model: changed copies of the fixture models, and token files. */
#ifndef SAEMILL_LM_CASES_H
#define SAEMILL_LM_CASES_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/lm/lm_kernels.h"
#include "lib/base/outdir.h"
#include "lib/file/jsonfile.h"
#include "lib/file/safetensors.h"
#include "tests/emulated.h"

/* Skips the test where the back end is not: a GPU, or the emulated one. */
static inline void case_need(const char *backend) {
    struct lm_kernels k;
    struct err e;
    if (!lm_kernels_get(backend, &k, &e)) return;
    print_message("SKIP: %s\n", e.text);
    skip();
}

/* A back end's table. */
static inline const struct lm_kernels *lm_table(const char *backend) {
    static struct lm_kernels k;
    struct err e;
    assert_int_equal(lm_kernels_get(backend, &k, &e), 0);
    return &k;
}
static inline const struct lm_kernels *case_kernels(void) { return lm_table("cpu"); }

/* What a copy changes; NULL means nothing. */
struct case_edit {
    const char *drop;    /* a tensor that is left out */
    const char *narrow;  /* its last dimension loses one */
    const char *poison;  /* its third element becomes `value` */
    const char *add;     /* a further vector of two numbers */
    const char *integer; /* its type becomes I32 */
    float value;
    const char *key, *json; /* config key set to this JSON value; "" removes it */
    size_t cut_bytes;       /* taken off the end of the weights */
};

static inline void case_weights(const char *from, const char *path, const struct case_edit *d) {
    struct safetensors *s;
    struct stwriter *w;
    struct err e;
    const float two[2] = {1, 2};
    const int64_t shape2 = 2;
    int extra = -1;
    assert_int_equal(safetensors_open(&s, from, &e), 0);
    assert_int_equal(stwriter_open(&w, path, &e), 0);
    int *handle = malloc(safetensors_count(s) * sizeof *handle);
    for (size_t i = 0; i < safetensors_count(s); i++) {
        struct safetensors_tensor t = *safetensors_at(s, i);
        handle[i] = -1;
        if (t.dtype != ST_BF16 && t.dtype != ST_F16 && t.dtype != ST_F32) continue;
        if (d->drop && !strcmp(d->drop, t.name)) continue;
        if (d->narrow && !strcmp(d->narrow, t.name)) t.shape[t.n_dims - 1]--;
        handle[i] = stwriter_declare(w, t.name, d->integer && !strcmp(d->integer, t.name) ? ST_I32 : ST_F32, t.n_dims,
                                     t.shape, &e);
        assert_true(handle[i] >= 0);
    }
    if (d->add) extra = stwriter_declare(w, d->add, ST_F32, 1, &shape2, &e);
    for (size_t i = 0; i < safetensors_count(s); i++) {
        struct safetensors_tensor t = *safetensors_at(s, i);
        float *x = malloc(t.n_elems * sizeof *x);
        size_t n = t.n_elems;
        if (handle[i] >= 0) {
            assert_int_equal(safetensors_to_f32(&t, 0, n, x, &e), 0);
            if (d->poison && !strcmp(d->poison, t.name)) x[2] = d->value;
            if (d->narrow && !strcmp(d->narrow, t.name)) n -= n / (size_t)t.shape[t.n_dims - 1];
            assert_int_equal(stwriter_write(w, handle[i], 0, x, n * sizeof *x, &e), 0);
        }
        free(x);
    }
    if (extra >= 0) assert_int_equal(stwriter_write(w, extra, 0, two, sizeof two, &e), 0);
    assert_int_equal(stwriter_commit(w, &e), 0);
    free(handle);
    safetensors_close(s);
}

/* Read a whole file; the caller frees. */
static inline char *case_read(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *p = malloc(*n + 1);
    assert_true(fread(p, 1, *n, f) == *n);
    p[*n] = 0;
    fclose(f);
    return p;
}

/* A copy of the model folder `from` at `to`, weights as float32; buffers of other types are left out. */
static inline void case_model(const char *from, const char *to, const struct case_edit *d) {
    char path[512], text[600];
    struct err e;
    json_t *root;
    assert_int_equal(outdir_make(to, &e), 0);
    snprintf(path, sizeof path, "%s/config.json", from);
    assert_int_equal(jsonfile_read(path, &root, &e), 0);
    if (d->key && *d->json) {
        snprintf(text, sizeof text, "[%s]", d->json);
        json_t *value = json_loads(text, 0, NULL);
        assert_non_null(value);
        json_object_set(root, d->key, json_array_get(value, 0));
        json_decref(value);
    } else if (d->key)
        json_object_del(root, d->key);
    snprintf(path, sizeof path, "%s/config.json", to);
    assert_int_equal(json_dump_file(root, path, 0), 0);
    json_decref(root);
    snprintf(path, sizeof path, "%s/model.safetensors", to);
    case_weights(from, path, d);
    if (d->cut_bytes) {
        size_t n;
        char *p = case_read(path, &n);
        FILE *f = fopen(path, "wb");
        fwrite(p, 1, n - d->cut_bytes, f);
        fclose(f);
        free(p);
    }
}

struct case_tokens {
    const int32_t *ids;
    size_t N;
    const int64_t *start;
    const int32_t *group;
    size_t n_docs;
    const char *bos, *groups; /* NULL: left out */
};

static inline void case_tokens(const char *path, const struct case_tokens *c) {
    struct stwriter *w;
    struct err e;
    int64_t n = (int64_t)c->N, docs = (int64_t)c->n_docs, starts = docs + 1;
    assert_int_equal(outdir_make("build/tmp", &e), 0);
    assert_int_equal(stwriter_open(&w, path, &e), 0);
    if (c->bos) stwriter_meta(w, "bos_id", c->bos, &e);
    if (c->groups) stwriter_meta(w, "groups", c->groups, &e);
    int a = stwriter_declare(w, "doc_start", ST_I64, 1, &starts, &e),
        b = stwriter_declare(w, "doc_group", ST_I32, 1, &docs, &e), i = stwriter_declare(w, "ids", ST_I32, 1, &n, &e);
    stwriter_write(w, a, 0, c->start, (size_t)starts * sizeof *c->start, &e);
    stwriter_write(w, b, 0, c->group, (size_t)docs * sizeof *c->group, &e);
    stwriter_write(w, i, 0, c->ids, (size_t)n * sizeof *c->ids, &e);
    assert_int_equal(stwriter_commit(w, &e), 0);
}

#endif
