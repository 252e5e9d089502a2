/* lm_keys.c - see lm_keys.h. */
#include "lib/lm/lm_keys.h"

#include <float.h>

#include "lib/file/jsonfile.h"

int lm_keys_unsupported(const char *path, const char *key, const char *found, const char *want, struct err *e) {
    return err_set(e, ERR_UNSUPPORTED, "%s: key '%s': want %s, got %s", path, key, want, found);
}

bool lm_keys_absent(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return !v || json_is_null(v);
}

int lm_keys_text(const json_t *o, const char *path, const char *key, const char **out, struct err *e) {
    *out = NULL;
    return lm_keys_absent(o, key) ? 0 : jsonfile_text(o, path, key, out, e);
}

int lm_keys_bool(const json_t *o, const char *path, const char *key, bool preset, bool *out, struct err *e) {
    const json_t *v = json_object_get(o, key);
    *out = preset;
    if (lm_keys_absent(o, key)) return 0;
    if (!json_is_boolean(v)) return err_set(e, ERR_FORMAT, "%s: key '%s': want true or false", path, key);
    *out = json_is_true(v);
    return 0;
}

int lm_keys_size(const json_t *o, const char *path, const char *key, size_t preset, size_t most, size_t *out,
                 struct err *e) {
    int64_t v;
    int rc = preset ? jsonfile_int_or(o, path, key, (int64_t)preset, &v, e) : jsonfile_int(o, path, key, &v, e);
    if (rc) return rc;
    if (v < 1 || (uint64_t)v > most)
        return err_set(e, ERR_RANGE, "%s: key '%s': want 1 to %zu, got %lld", path, key, most, (long long)v);
    *out = (size_t)v;
    return 0;
}

int lm_keys_positive(const json_t *o, const char *path, const char *key, double preset, double most, double *out,
                     struct err *e) {
    int rc = preset > 0 ? jsonfile_real_or(o, path, key, preset, out, e) : jsonfile_real(o, path, key, out, e);
    if (rc) return rc;
    if (!(*out >= (double)FLT_MIN && *out <= most))
        return err_set(e, ERR_RANGE, "%s: key '%s': want a number from %g to %g, got %g", path, key, (double)FLT_MIN,
                       most, *out);
    return 0;
}
