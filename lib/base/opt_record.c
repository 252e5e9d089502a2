/* opt_record.c - the record of a command line that a result carries, apart from opt.c: what is written here is part of the result. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/hash.h"
#include "lib/base/opt.h"

static void put(FILE *f, const char *s) {
    fputc('"', f);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            fprintf(f, "\\%c", *s);
        else if ((unsigned char)*s < 32)
            fprintf(f, "\\u%04x", *s);
        else
            fputc(*s, f);
    }
    fputc('"', f);
}

static int put_hash(FILE *f, const char *path, struct err *e) {
    char hex[HASH_HEX];
    int rc = hash_path(path, hex, e);
    if (!rc) put(f, hex);
    return rc;
}

static int put_value(FILE *f, const struct opt *o, struct err *e) {
    const struct opt_list *l = o->dst;
    int rc = 0;
    switch (o->type) {
    case OPT_INPUT:
        return put_hash(f, *(const char **)o->dst, e);
    case OPT_INPUTS:
        fputc('[', f);
        for (size_t k = 0; !rc && k < l->n; k++) {
            if (k) fputc(',', f);
            rc = put_hash(f, l->item[k], e);
        }
        fputc(']', f);
        return rc;
    case OPT_INT:
        fprintf(f, "%lld", (long long)*(int64_t *)o->dst);
        return 0;
    case OPT_REAL:
        fprintf(f, "%.17g", *(double *)o->dst);
        return 0;
    case OPT_FLAG:
        fputs(*(bool *)o->dst ? "true" : "false", f);
        return 0;
    default:
        put(f, *(const char **)o->dst);
        return 0;
    }
}

int opt_record(const char *prog, const struct opt *t, size_t n, char **json, struct err *e) {
    size_t len;
    *json = NULL;
    FILE *f = open_memstream(json, &len);
    if (!f) return err_set(e, ERR_MEMORY, "%s: no memory for the record", prog);
    int rc = 0;
    fputs("{\"stage\":", f);
    put(f, prog);
    for (size_t i = 0; !rc && i < n; i++) {
        const struct opt *o = &t[i];
        bool path_or_text = o->type == OPT_INPUT || o->type == OPT_TEXT;
        if (o->unrecorded || o->type == OPT_OUTPUT || (path_or_text && !*(const char **)o->dst)) continue;
        fputc(',', f);
        put(f, o->name);
        fputc(':', f);
        rc = put_value(f, o, e);
    }
    fputc('}', f);
    if (fclose(f) && !rc) rc = err_set(e, ERR_MEMORY, "%s: no memory for the record", prog);
    if (rc) {
        free(*json);
        *json = NULL;
    }
    return rc;
}
