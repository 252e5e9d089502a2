/* record.c - see record.h. */
#include "lib/store/record.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/infile.h"

int record_word_ok(const char *word) { return !strchr(word, '\n'); }

void record_free(struct record *r) {
    free(r->word);
    free(r->text);
    *r = (struct record){0};
}

static int slurp(const char *path, char **text, struct err *e) {
    FILE *f;
    size_t n = 0, cap = 0;
    *text = NULL;
    int rc = infile_stream(path, &f, e);
    if (rc) return rc;
    for (size_t got = 1; got;) {
        if (n + 1 >= cap) {
            char *p = realloc(*text, cap = cap ? 2 * cap : 4096);
            if (!p) break;
            *text = p;
        }
        got = fread(*text + n, 1, cap - n - 1, f);
        n += got;
    }
    int bad = ferror(f) || n + 1 >= cap;
    fclose(f);
    if (bad) return err_set(e, ERR_IO, "%s: cannot read", path);
    (*text)[n] = 0;
    return strlen(*text) == n ? 0 : err_set(e, ERR_FORMAT, "%s: damaged: a zero byte in it", path);
}

static int take_hash(char hex[HASH_HEX], const char *from) {
    if (strspn(from, "0123456789abcdef") != HASH_HEX - 1) return -1;
    memcpy(hex, from, HASH_HEX - 1);
    hex[HASH_HEX - 1] = 0;
    return 0;
}

/* Of the receipt's lines. */
#define VERSION "3"

/* An input, "<hash> path". */
static int take_input(struct record_word *w, const char *rest, bool named) {
    if (strlen(rest) <= HASH_HEX || rest[HASH_HEX - 1] != ' ' || take_hash(w->hash, rest)) return -1;
    w->text = rest + HASH_HEX;
    w->named = named;
    return 0;
}

/* One line "word rest" into r; -1 when it is not what a receipt holds. */
static int take_line(struct record *r, const char *word, char *rest) {
    if (!strcmp(word, "memo")) return strcmp(rest, VERSION) ? -1 : 0;
    if (!strcmp(word, "stage")) return r->stage = rest, 0;
    if (!strcmp(word, "key")) return take_hash(r->key, rest);
    if (!strcmp(word, "out")) return take_hash(r->out, rest);
    if (!strcmp(word, "adopted")) return take_hash(r->adopted, rest);
    if (!strcmp(word, "ms")) return sscanf(rest, "%lld", &r->ms) == 1 ? 0 : -1;
    if (!strcmp(word, "arg")) return r->word[r->n_words++].text = rest, 0;
    if (!strcmp(word, "in") || !strcmp(word, "named")) return take_input(&r->word[r->n_words++], rest, *word == 'n');
    if (!strcmp(word, "program")) {
        char *gap = strrchr(rest, ' ');
        if (!gap || take_hash(r->program_id, gap + 1)) return -1;
        *gap = 0;
        r->program = rest;
        return 0;
    }
    return -1;
}

/* The last line is the hash of all before it; it is cut off. */
static int check_sum(char *text, const char *path, struct err *e) {
    char want[HASH_HEX], is[HASH_HEX], *last = strstr(text, "\nsum ");
    for (char *next; last && (next = strstr(last + 1, "\nsum "));) last = next;
    bool whole = last && !take_hash(want, last + 5) && !strcmp(last + 5 + HASH_HEX - 1, "\n");
    if (whole) hash_bytes(text, (size_t)(last + 1 - text), is);
    if (!whole || strcmp(want, is)) {
        err_set(e, ERR_FORMAT, "%s: damaged: its last line is not the sum of the others", path);
        return err_hint(e, "make heal removes it, and make figures makes it anew");
    }
    last[1] = 0;
    return 0;
}

int record_read(const char *path, struct record *r, struct err *e) {
    *r = (struct record){0};
    int rc = slurp(path, &r->text, e), line = 0;
    if (!rc) rc = check_sum(r->text, path, e);
    if (!rc && strncmp(r->text, "memo " VERSION "\n", strlen("memo " VERSION "\n")) && !strncmp(r->text, "memo ", 5)) {
        rc = err_set(e, ERR_UNSUPPORTED, "%s: a saemill of another version wrote it", path);
        err_hint(e, "make figures makes the result anew");
    }
    if (rc) {
        record_free(r);
        return rc;
    }
    size_t lines = 1;
    for (const char *p = r->text; (p = strchr(p, '\n')); p++) lines++;
    r->word = calloc(lines, sizeof *r->word);
    if (!r->word) rc = err_set(e, ERR_MEMORY, "%s: no memory", path);
    for (char *p = r->text; !rc && *p;) {
        char *end = strchr(p, '\n'), *gap = strchr(p, ' ');
        line++;
        if (!end || !gap || gap > end) {
            rc = err_set(e, ERR_FORMAT, "%s: line %d: want a word and its value", path, line);
            break;
        }
        *end = *gap = 0;
        if (take_line(r, p, gap + 1))
            rc = err_set(e, ERR_FORMAT, "%s: line %d: not a line of a receipt: %s", path, line, p);
        p = end + 1;
    }
    if (!rc && (!r->stage || !r->program || !r->key[0] || !r->out[0]))
        rc = err_set(e, ERR_FORMAT, "%s: no stage, program, key or out", path);
    if (rc) record_free(r);
    return rc;
}

char *record_text(const struct record *r) {
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    if (!f) return NULL;
    fprintf(f, "memo " VERSION "\nstage %s\nprogram %s %s\n", r->stage, r->program, r->program_id);
    if (*r->adopted) fprintf(f, "adopted %s\n", r->adopted);
    fprintf(f, "key %s\nout %s\nms %lld\n", r->key, r->out, r->ms);
    for (const struct record_word *w = r->word; w < r->word + r->n_words; w++) {
        if (*w->hash)
            fprintf(f, "%s %s %s\n", w->named ? "named" : "in", w->hash, w->text);
        else
            fprintf(f, "arg %s\n", w->text);
    }
    char sum[HASH_HEX];
    if (!fflush(f)) {
        hash_bytes(text, n, sum);
        fprintf(f, "sum %s\n", sum);
    }
    if (ferror(f) + fclose(f)) {
        free(text);
        return NULL;
    }
    return text;
}

bool record_same_work(const struct record *a, const struct record *b) {
    if (strcmp(a->stage, b->stage) || a->n_words != b->n_words) return false;
    for (size_t i = 0; i < a->n_words; i++) {
        const struct record_word *v = &a->word[i], *w = &b->word[i];
        if (strcmp(v->hash, w->hash) || v->named != w->named) return false;
        if (!*v->hash && strcmp(v->text, w->text)) return false;
        if (v->named && strcmp(record_short_name(v->text), record_short_name(w->text))) return false;
    }
    return true;
}

const char *record_backend(const struct record *r) {
    for (size_t i = 0; i + 1 < r->n_words; i++)
        if (!strcmp(r->word[i].text, "--backend")) return r->word[i + 1].text;
    return "";
}

static int not_dots(const struct dirent *d) { return strcmp(d->d_name, ".") && strcmp(d->d_name, ".."); }

static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static int ends_in_rec(const char *name) {
    size_t n = strlen(name);
    return n > 4 && !strcmp(name + n - 4, ".rec");
}

int record_walk(const char *folder, int (*each)(const char *, const struct record *, void *, struct err *), void *ctx,
                struct err *e) {
    struct dirent **name;
    int n = scandir(folder, &name, not_dots, by_bytes), rc = 0;
    if (n < 0) return errno == ENOENT ? 0 : err_errno(e, "%s: cannot list", folder);
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];
        struct stat s;
        if (!rc && snprintf(path, sizeof path, "%s/%s", folder, name[i]->d_name) >= (int)sizeof path)
            rc = err_set(e, ERR_IO, "%s/%s: path too long", folder, name[i]->d_name);
        if (!rc && !lstat(path, &s)) {
            if (S_ISDIR(s.st_mode) && strcmp(name[i]->d_name, "store")) rc = record_walk(path, each, ctx, e);
            if (S_ISREG(s.st_mode) && ends_in_rec(path)) {
                struct record r;
                rc = each(path, record_read(path, &r, NULL) ? NULL : &r, ctx, e);
                record_free(&r);
            }
        }
        free(name[i]);
    }
    free(name);
    return rc;
}

const char *record_short_name(const char *path) {
    const char *p = path + strlen(path);
    for (int slashes = 0; p > path; p--)
        if (p[-1] == '/' && ++slashes == 2) break;
    return p;
}

struct lineage {
    FILE *out;
    char *bad;  /* path of the receipt that cannot be read */
    char *seen; /* a line per artifact already told */
    size_t seen_bytes;
};

enum { SHORT = 16, DEPTH_MAX = 64 };

/* Remember an artifact; true when it was new. */
static int first_seen(struct lineage *l, const char *hash) {
    for (size_t i = 0; i < l->seen_bytes; i += HASH_HEX)
        if (!memcmp(l->seen + i, hash, HASH_HEX - 1)) return 0;
    char *p = realloc(l->seen, l->seen_bytes + HASH_HEX);
    if (!p) return -1;
    l->seen = p;
    memcpy(p + l->seen_bytes, hash, HASH_HEX);
    l->seen_bytes += HASH_HEX;
    return 1;
}

static void put_input(FILE *f, const struct record_word *in, int raw) {
    if (raw)
        fprintf(f, " %s:%.*s", record_short_name(in->text), SHORT, in->hash);
    else
        fprintf(f, " %.*s", SHORT, in->hash);
}

static int has_receipt(const char *path, char rec[PATH_MAX]) {
    struct stat s;
    return snprintf(rec, PATH_MAX, "%s.rec", path) < PATH_MAX && !stat(rec, &s);
}

static int tell_inputs(struct lineage *l, const struct record *r, int depth, struct err *e);

static int tell(struct lineage *l, const char *rec, int depth, struct err *e) {
    struct record r;
    int rc = record_read(rec, &r, e);
    if (rc) {
        snprintf(l->bad, PATH_MAX, "%s", rec);
        return rc;
    }
    int fresh = first_seen(l, r.out);
    if (fresh < 0) rc = err_set(e, ERR_MEMORY, "%s: no memory", rec);
    if (!rc && fresh) rc = tell_inputs(l, &r, depth, e);
    if (!rc && fresh) {
        fprintf(l->out, "%.*s = %s", SHORT, r.out, r.stage);
        for (size_t i = 0; i < r.n_words; i++) {
            char unused[PATH_MAX];
            const struct record_word *w = &r.word[i];
            if (i + 1 < r.n_words && !strcmp(w[1].text, "@O") && !*w[1].hash)
                i++; /* --out says nothing about the result */
            else if (*w->hash)
                put_input(l->out, w, !has_receipt(w->text, unused));
            else
                fprintf(l->out, " %s", w->text);
        }
        if (*r.adopted) fprintf(l->out, " (adopted: made by program %.*s)", SHORT, r.adopted);
        fputc('\n', l->out);
    }
    record_free(&r);
    return rc;
}

static int tell_inputs(struct lineage *l, const struct record *r, int depth, struct err *e) {
    int rc = depth > DEPTH_MAX ? err_set(e, ERR_FORMAT, "%s: receipts go round in a circle", r->stage) : 0;
    for (size_t i = 0; !rc && i < r->n_words; i++) {
        char rec[PATH_MAX];
        if (*r->word[i].hash && has_receipt(r->word[i].text, rec)) rc = tell(l, rec, depth + 1, e);
    }
    return rc;
}

int record_lineage(const struct record *r, char **text, char bad[PATH_MAX], struct err *e) {
    struct lineage l = {.bad = bad};
    *bad = 0;
    size_t n;
    *text = NULL;
    l.out = open_memstream(text, &n);
    if (!l.out) return err_set(e, ERR_MEMORY, "%s: no memory for the lineage", r->stage);
    int rc = tell_inputs(&l, r, 0, e);
    if (fclose(l.out) && !rc) rc = err_set(e, ERR_MEMORY, "%s: no memory for the lineage", r->stage);
    free(l.seen);
    if (rc) {
        free(*text);
        *text = NULL;
    }
    return rc;
}
