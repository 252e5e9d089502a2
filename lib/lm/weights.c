/* weights.c - see weights.h: tensors of a folder, converted and packed. */
#include "lib/lm/weights.h"

#include <omp.h>
#include <stdio.h>

#include "kernels/lm/linear.h"

static int find_finite(const struct weights_loader *d, bool in_layer, const char *name,
                       const struct safetensors_tensor **t) {
    char whole[128];
    snprintf(whole, sizeof whole, "%s%zu.%s", d->f->layers, d->layer, name);
    *t = safetensors_find(d->m->st, in_layer ? whole : name);
    CHECK(*t); /* lm_open saw it */
    return safetensors_check_finite(*t, d->e);
}

int weights_vector(const struct weights_loader *d, bool in_layer, const char *name, float *out) {
    const struct safetensors_tensor *t;
    int rc = find_finite(d, in_layer, name, &t);
    return rc ? rc : safetensors_to_f32(t, 0, t->n_elems, out, d->e);
}

/* Row `row` of matrices that lie one below the other: the matrix it is in, and its number there. */
static const struct safetensors_tensor *row_of(const struct safetensors_tensor *const t[], size_t n, size_t row,
                                               size_t *within) {
    for (size_t i = 0; i < n; i++) {
        size_t rows = (size_t)t[i]->shape[0];
        if (row < rows) return *within = row, t[i];
        row -= rows;
    }
    return NULL;
}

int weights_rows(const struct weights_loader *d, bool in_layer, const char *const *name, size_t n, float *packed) {
    const struct safetensors_tensor *t[3];
    size_t rows = 0;
    int rc, failed = 0;
    CHECK(n <= 3);
    for (size_t i = 0; i < n; i++) {
        if ((rc = find_finite(d, in_layer, name[i], &t[i]))) return rc;
        rows += (size_t)t[i]->shape[0];
    }
    size_t cols = (size_t)t[0]->shape[1], panels = linear_padded(rows) / LINEAR_PANEL;
#pragma omp parallel for schedule(static) reduction(| : failed)
    for (size_t p = 0; p < panels; p++) {
        float *to = d->rows + (size_t)omp_get_thread_num() * LINEAR_PANEL * d->widest;
        size_t first = p * LINEAR_PANEL, count = rows - first < LINEAR_PANEL ? rows - first : LINEAR_PANEL, within = 0;
        for (size_t r = 0; r < count; r++) {
            const struct safetensors_tensor *from = row_of(t, n, first + r, &within);
            failed |= !from || safetensors_to_f32(from, within * cols, cols, to + r * cols, NULL) != 0;
        }
        d->k->pack(first, count, cols, to, packed);
    }
    CHECK(!failed); /* types and shapes were checked by lm_open */
    return 0;
}

/* Outputs n .. end-1 of a tensor taken as [heads, K, width] as rows [end-n, K]: a run of neighbouring outputs of one
 * head lies together in the file, once for every input. */
static int rows_of_columns(const struct safetensors_tensor *t, size_t K, size_t n, size_t end, float *rows) {
    size_t width = (size_t)t->shape[t->n_dims - 1];
    float part[LINEAR_PANEL];
    int failed = 0;
    for (size_t run; n < end; n += run, rows += run * K) {
        size_t head = n / width, column = n % width;
        run = width - column < end - n ? width - column : end - n;
        for (size_t k = 0; k < K; k++) {
            failed |= safetensors_to_f32(t, (head * K + k) * width + column, run, part, NULL) != 0;
            for (size_t j = 0; j < run; j++) rows[j * K + k] = part[j];
        }
    }
    return failed;
}

/* The tensor's outputs become outputs `first` and on. */
static void pack_columns(const struct weights_loader *d, const struct safetensors_tensor *t, size_t K, size_t first,
                         float *packed) {
    size_t count = t->n_elems / K, panels = linear_padded(count) / LINEAR_PANEL;
    int failed = 0;
#pragma omp parallel for schedule(static) reduction(| : failed)
    for (size_t p = 0; p < panels; p++) {
        float *rows = d->rows + (size_t)omp_get_thread_num() * LINEAR_PANEL * d->widest;
        size_t n = p * LINEAR_PANEL, end = n + LINEAR_PANEL < count ? n + LINEAR_PANEL : count;
        failed |= rows_of_columns(t, K, n, end, rows);
        d->k->pack(first + n, end - n, K, rows, packed);
    }
    CHECK(!failed); /* types and shapes were checked by lm_open */
}

int weights_inputs(const struct weights_loader *d, bool in_layer, const char *name, float *packed) {
    const struct safetensors_tensor *t;
    int rc = find_finite(d, in_layer, name, &t);
    if (!rc) pack_columns(d, t, t->n_elems / (size_t)t->shape[t->n_dims - 1], 0, packed);
    return rc;
}

int weights_heads(const struct weights_loader *d, const char *name, size_t first, float *packed) {
    const struct safetensors_tensor *t;
    int rc = find_finite(d, true, name, &t);
    if (!rc) pack_columns(d, t, (size_t)t->shape[1], first, packed);
    return rc;
}
