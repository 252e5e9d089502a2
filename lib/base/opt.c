/* opt.c - see opt.h. */
#include "lib/base/opt.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/limits.h"
#include "lib/base/opt_value.h"
#include "lib/base/stage.h"

static const char *const type_word[] = {"FILE", "FILE...", "FILE", "TEXT", "N", "X", ""};

static const struct opt *find(const struct opt *t, size_t n, const char *name, size_t len) {
    for (size_t i = 0; i < n; i++)
        if (strlen(t[i].name) == len && !memcmp(t[i].name, name, len)) return &t[i];
    return NULL;
}

static bool is_choice(const char *choices, const char *v) {
    size_t len = strlen(v);
    for (const char *c = choices; len;) {
        size_t m = strcspn(c, "|");
        if (m == len && !memcmp(c, v, len)) return true;
        if (!c[m]) break;
        c += m + 1;
    }
    return false;
}

static int out_of_range(const char *prog, const struct opt *o, const char *v, struct err *e) {
    return err_set(e, ERR_USAGE, "%s: --%s %s: must be %s in [%.10g, %.10g]", prog, o->name, v,
                   o->type == OPT_INT ? "a whole number" : "a number", o->lo, o->hi);
}

static int assign(const char *prog, const struct opt *o, const char *v, struct err *e) {
    switch (o->type) {
    case OPT_TEXT:
        if (o->choices && !is_choice(o->choices, v))
            return err_set(e, ERR_USAGE, "%s: --%s %s: must be one of %s", prog, o->name, v, o->choices);
        /* fall through */
    case OPT_INPUT:
    case OPT_OUTPUT:
        if (!*v) return err_set(e, ERR_USAGE, "%s: --%s: empty value", prog, o->name);
        *(const char **)o->dst = v;
        return 0;
    case OPT_INPUTS: {
        struct opt_list *l = o->dst;
        const char **p = realloc(l->item, (l->n + 1) * sizeof *p);
        if (!p) return err_set(e, ERR_MEMORY, "%s: --%s: no memory", prog, o->name);
        l->item = p;
        l->item[l->n++] = v;
        return 0;
    }
    case OPT_INT: {
        int64_t x;
        if (!opt_value_int(v, &x)) return err_set(e, ERR_USAGE, "%s: --%s %s: not a whole number", prog, o->name, v);
        if (o->lo < o->hi && !((double)x >= o->lo && (double)x <= o->hi)) return out_of_range(prog, o, v, e);
        *(int64_t *)o->dst = x;
        return 0;
    }
    case OPT_REAL: {
        double x;
        if (!opt_value_real(v, &x)) return err_set(e, ERR_USAGE, "%s: --%s %s: not a number", prog, o->name, v);
        if (o->lo < o->hi && !(x >= o->lo && x <= o->hi)) return out_of_range(prog, o, v, e);
        *(double *)o->dst = x;
        return 0;
    }
    case OPT_FLAG:
        *(bool *)o->dst = true;
        return 0;
    }
    return ERR_USAGE;
}

static int presets(const char *prog, const struct opt *t, size_t n, const bool *seen, struct err *e) {
    for (size_t i = 0; i < n; i++) {
        if (seen[i] || t[i].type == OPT_FLAG) continue;
        if (!t[i].preset) {
            err_set(e, ERR_USAGE, "%s: --%s %s is needed", prog, t[i].name, type_word[t[i].type]);
            return err_hint(e, "%s --help lists every option", prog);
        }
        if (!*t[i].preset) continue;
        int rc = assign(prog, &t[i], t[i].preset, e);
        if (rc) return rc;
    }
    return 0;
}

/* An output that is one of the inputs would replace it: `tokenize --corpus a.txt --out a.txt` must not cost the text. */
static int is_input(const char *prog, const struct opt *t, const struct opt *out, const char *path, const char *in,
                    struct err *e) {
    struct stat a, b;
    if (!in || !*in || lstat(path, &a) || S_ISLNK(a.st_mode) || stat(in, &b)) return 0;
    if (a.st_dev != b.st_dev || a.st_ino != b.st_ino) return 0;
    err_set(e, ERR_USAGE, "%s: --%s %s: is what --%s reads", prog, out->name, path, t->name);
    return err_hint(e, "name another file: it would be replaced");
}

static int outputs_are_no_inputs(const char *prog, const struct opt *t, size_t n, struct err *e) {
    int rc = 0;
    for (size_t o = 0; o < n; o++) {
        const char *path = t[o].type == OPT_OUTPUT ? *(const char **)t[o].dst : NULL;
        for (size_t i = 0; path && !rc && i < n; i++) {
            const struct opt_list *l = t[i].dst;
            if (t[i].type == OPT_INPUT) rc = is_input(prog, &t[i], &t[o], path, *(const char **)t[i].dst, e);
            for (size_t k = 0; t[i].type == OPT_INPUTS && !rc && k < l->n; k++)
                rc = is_input(prog, &t[i], &t[o], path, l->item[k], e);
        }
    }
    return rc;
}

static int meet_limits(const struct opt *t, size_t n, char **argv, struct err *e) {
    const struct opt *threads = find(t, n, "threads", 7);
    return limits_meet(threads && threads->type == OPT_INT ? *(int64_t *)threads->dst : -1, argv, e);
}

int opt_parse(const char *prog, const char *purpose, const struct opt *t, size_t n, int argc, char **argv,
              struct err *e) {
    bool *seen = calloc(n ? n : 1, 1);
    limits_signals();
    if (!seen) return err_set(e, ERR_MEMORY, "%s: no memory", prog);
    int rc = 0;
    for (size_t i = 0; i < n; i++) {
        if (t[i].type == OPT_FLAG) *(bool *)t[i].dst = false;
        if (t[i].type == OPT_INPUTS) *(struct opt_list *)t[i].dst = (struct opt_list){0};
    }
    for (int i = 1; !rc && i < argc; i++) {
        if (!strcmp(argv[i], "--help")) {
            opt_help(stdout, prog, purpose, t, n);
            rc = stage_flush_stdout(e);
            if (!rc) rc = 1;
            break;
        }
        const char *name = argv[i] + 2, *eq = strchr(argv[i], '=');
        bool dashes = !strncmp(argv[i], "--", 2);
        size_t len = !dashes ? 0 : eq ? (size_t)(eq - name) : strlen(name);
        const struct opt *o = dashes ? find(t, n, name, len) : NULL;
        if (!o) {
            err_set(e, ERR_USAGE, "%s: %s: no such option", prog, argv[i]);
            rc = err_hint(e, "%s --help lists every option", prog);
        } else if (seen[o - t] && o->type != OPT_INPUTS) {
            rc = err_set(e, ERR_USAGE, "%s: --%s: given twice", prog, o->name);
        } else if (o->type == OPT_FLAG) {
            rc = eq ? err_set(e, ERR_USAGE, "%s: --%s takes no value", prog, o->name) : assign(prog, o, "", e);
        } else if (eq) {
            rc = assign(prog, o, eq + 1, e);
        } else if (i + 1 >= argc || !strncmp(argv[i + 1], "--", 2)) {
            rc = err_set(e, ERR_USAGE, "%s: --%s: a value must follow (%s)", prog, o->name, type_word[o->type]);
        } else {
            rc = assign(prog, o, argv[++i], e);
            while (!rc && o->type == OPT_INPUTS && i + 1 < argc && strncmp(argv[i + 1], "--", 2))
                rc = assign(prog, o, argv[++i], e);
        }
        if (o) seen[o - t] = true;
    }
    if (!rc) rc = presets(prog, t, n, seen, e);
    if (!rc) rc = outputs_are_no_inputs(prog, t, n, e);
    if (!rc) rc = meet_limits(t, n, argv, e);
    free(seen);
    if (rc) opt_free(t, n);
    return rc;
}

void opt_help(FILE *f, const char *prog, const char *purpose, const struct opt *t, size_t n) {
    fprintf(f, "%s - %s\n\n", prog, purpose);
    for (size_t i = 0; i < n; i++) {
        const struct opt *o = &t[i];
        char left[80], range[96] = "", preset[96] = "";
        snprintf(left, sizeof left, "--%s %s", o->name, o->choices ? o->choices : type_word[o->type]);
        if (o->lo < o->hi) snprintf(range, sizeof range, " [%.10g, %.10g]", o->lo, o->hi);
        if (o->type != OPT_FLAG && !o->preset)
            snprintf(preset, sizeof preset, " (needed)");
        else if (o->type != OPT_FLAG && *o->preset)
            snprintf(preset, sizeof preset, " (default %s)", o->preset);
        fprintf(f, "  %-34s %s%s%s%s%s%s\n", left, o->help, o->unit ? ", " : "", o->unit ? o->unit : "", range, preset,
                o->unrecorded ? " (not part of the result)" : "");
    }
    fprintf(f, "  %-34s this text\n", "--help");
}

void opt_free(const struct opt *t, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (t[i].type == OPT_INPUTS) {
            struct opt_list *l = t[i].dst;
            free(l->item);
            *l = (struct opt_list){0};
        }
}
