/* clusterfile.c - see clusterfile.h. */
#include "lib/analysis/clusterfile.h"

#include <math.h>
#include <stdlib.h>

#include "lib/base/arena.h"
#include "lib/file/jsonfile.h"

static int labels(const json_t *o, const char *path, size_t F, int64_t k, int32_t **label, size_t *n, struct err *e) {
    double *x = NULL;
    int rc = jsonfile_reals(o, path, "label", &x, n, e);
    if (rc) return rc;
    if (F && *n != F) rc = err_set(e, ERR_SHAPE, "%s: label: want %zu entries, one a feature, got %zu", path, F, *n);
    for (size_t i = 0; !rc && i < *n; i++)
        if (!(x[i] >= -1 && x[i] < (double)k && x[i] == floor(x[i])))
            rc = err_set(e, ERR_FORMAT, "%s: label: feature %zu: want a whole number from -1 to %lld, got %g", path, i,
                         (long long)k - 1, x[i]);
    *label = rc ? NULL : mem_array(*n, sizeof **label, "labels", e);
    if (!rc && !*label) rc = ERR_MEMORY;
    for (size_t i = 0; !rc && i < *n; i++) (*label)[i] = (int32_t)x[i];
    free(x);
    return rc;
}

int clusterfile_read(const char *path, size_t F, size_t *k, int32_t **label, size_t *n, struct err *e) {
    json_t *o = NULL;
    int64_t lobes = 0;
    *label = NULL;
    int rc = jsonfile_read(path, &o, e);
    if (!rc) rc = jsonfile_int(o, path, "k", &lobes, e);
    if (!rc && (lobes < 1 || lobes > INT32_MAX))
        rc = err_set(e, ERR_FORMAT, "%s: k: want 1 to 2^31-1 clusters, got %lld", path, (long long)lobes);
    if (!rc) rc = labels(o, path, F, lobes, label, n, e);
    *k = (size_t)lobes;
    json_decref(o);
    return rc;
}
