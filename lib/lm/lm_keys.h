/* lm_keys.h - keys of a model's config.json, with their ranges; for the readers of its families (family.h). Errors are "path: key 'k': want …, got …": ERR_FORMAT for a missing key or wrong type, ERR_RANGE,
 * ERR_UNSUPPORTED. Tests: tests/test_model.c, tests/test_hooked.c */
#ifndef SAEMILL_LM_KEYS_H
#define SAEMILL_LM_KEYS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/err.h"

/* Set and return ERR_UNSUPPORTED. */
int lm_keys_unsupported(const char *path, const char *key, const char *found, const char *want, struct err *e);

/* The key is not there, or null. */
bool lm_keys_absent(const json_t *o, const char *key);

/* A text, or NULL when the key is absent or null. */
int lm_keys_text(const json_t *o, const char *path, const char *key, const char **out, struct err *e);

int lm_keys_bool(const json_t *o, const char *path, const char *key, bool preset, bool *out, struct err *e);

/* A whole number in [1, most]; preset 0 means that the key must be there. */
int lm_keys_size(const json_t *o, const char *path, const char *key, size_t preset, size_t most, size_t *out,
                 struct err *e);

/* A real in [FLT_MIN, most], so that it is above 0 in float32 too; preset 0 means that the key must be there. */
int lm_keys_positive(const json_t *o, const char *path, const char *key, double preset, double most, double *out,
                     struct err *e);

#endif
