/* family.c - see family.h: the families that are read, and which of them a config.json belongs to. */
#include "lib/lm/family.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/lm/lm_keys.h"

/* The list: family_<name> for each. */
#define FAMILY_LIST(X) X(qwen2) X(llama) X(hooked)

#define DECLARED(name) extern const struct lm_family family_##name;
#define ADDRESS(name)  &family_##name,
FAMILY_LIST(DECLARED)
static const struct lm_family *const families[] = {FAMILY_LIST(ADDRESS)};
enum { FAMILIES = sizeof families / sizeof *families };

/* "qwen2, llama or hooked_transformer", or the same of architectures */
static const char *one_of(bool types, char text[256]) {
    size_t at = 0;
    for (size_t i = 0; i < FAMILIES && at < 256; i++)
        at += (size_t)snprintf(text + at, 256 - at, "%s%s",
                               !i                 ? ""
                               : i + 1 < FAMILIES ? ", "
                                                  : " or ",
                               types ? families[i]->model_type : families[i]->architecture);
    return text;
}

/* By model_type, by architectures where that is missing; where both are there, both must fit. */
static int find(const json_t *root, const char *path, const struct lm_family **f, struct err *e) {
    const char *type = NULL;
    const json_t *list = json_object_get(root, "architectures");
    char names[256];
    int rc = lm_keys_text(root, path, "model_type", &type, e);
    if (rc) return rc;
    if (list && !json_is_null(list) &&
        !(json_is_array(list) && json_array_size(list) == 1 && json_is_string(json_array_get(list, 0))))
        return err_set(e, ERR_FORMAT, "%s: key 'architectures': want a list of one name", path);
    const char *architecture = json_is_array(list) ? json_string_value(json_array_get(list, 0)) : NULL;
    if (!type && !architecture)
        return err_set(e, ERR_FORMAT, "%s: key 'model_type': is missing, and so is 'architectures'", path);
    for (size_t i = 0; i < FAMILIES; i++) {
        *f = families[i];
        bool type_fits = !type || !strcmp(type, (*f)->model_type),
             arch_fits = !architecture || !strcmp(architecture, (*f)->architecture);
        if (type_fits && arch_fits) return 0;
        if (type && type_fits) return lm_keys_unsupported(path, "architectures", architecture, (*f)->architecture, e);
    }
    return lm_keys_unsupported(path, type ? "model_type" : "architectures", type ? type : architecture,
                               one_of(type != NULL, names), e);
}

int lm_config_blocks(struct lm_config *c, const struct lm_block *b, struct err *e) {
    c->block = mem_array(c->L, sizeof *c->block, "model: blocks", e);
    for (size_t l = 0; c->block && l < c->L; l++) c->block[l] = *b;
    return c->block ? 0 : ERR_MEMORY;
}

int lm_config_read(const json_t *root, const char *path, struct lm_config *c, struct err *e) {
    const struct lm_family *f = NULL;
    char names[256];
    *c = (struct lm_config){.embed_factor = 1};
    if (!json_is_object(root)) return err_set(e, ERR_FORMAT, "%s: want a JSON object", path);
    int rc = find(root, path, &f, e);
    if (!rc) rc = f->read(root, path, c, e);
    if (!rc) rc = lm_block_check(c, path, e);
    if (!rc) c->family = f, c->architecture = f->architecture, c->max_T_key = f->max_T_key;
    if (rc) lm_config_free(c);
    if (rc && e && !e->hint[0]) err_hint(e, "checkpoints of %s are supported", one_of(false, names));
    return rc;
}

void lm_config_free(struct lm_config *c) {
    free(c->block);
    *c = (struct lm_config){0};
}
