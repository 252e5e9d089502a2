/* asked.c - see asked.h. */
#include "lib/sae/asked.h"

#include "lib/file/jsonfile.h"

int asked_feature(const char *prog, int64_t number, const char *path, size_t F, size_t *out, struct err *e) {
    json_t *o = NULL;
    if ((number < 0) == !path) {
        err_set(e, ERR_USAGE, "%s: want either --feature or --feature-of, got %s", prog, path ? "both" : "neither");
        return err_hint(e, "--feature 42, or --feature-of with specificity's file");
    }
    int rc = path ? jsonfile_read_nul(path, &o, e) : 0;
    if (!rc && path) rc = jsonfile_int(json_object_get(o, "asked"), path, "feature", &number, e);
    json_decref(o);
    if (rc) return rc;
    if (number < 0 || (uint64_t)number >= F) {
        err_set(e, ERR_RANGE, "%s: feature %lld: the SAE has features 0 to %zu", prog, (long long)number, F - 1);
        return err_hint(e, "features are counted from 0");
    }
    *out = (size_t)number;
    return 0;
}
