/* parallel.c - see parallel.h. */
#include "lib/file/parallel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/file/corpus.h"

struct entry {
    char id[PARALLEL_NAME], language[PARALLEL_NAME];
    char *text;
    size_t n_bytes, line;
};

struct entries {
    struct entry *at; /* [room] */
    size_t n, room;
};

static int name(char out[PARALLEL_NAME], const char *key, const char *value, const char *path, size_t line,
                struct err *e) {
    if (!*value) {
        err_set(e, ERR_FORMAT, "%s:%zu: key '%s': want a text, got none", path, line, key);
        return err_hint(e, "each line holds {\"id\": …, \"language\": …, \"text\": …}; lines of one id say the same");
    }
    if (strlen(value) >= PARALLEL_NAME)
        return err_set(e, ERR_RANGE, "%s:%zu: key '%s': want at most %d bytes, got %zu", path, line, key,
                       PARALLEL_NAME - 1, strlen(value));
    memcpy(out, value, strlen(value) + 1);
    return 0;
}

static int more_room(struct entries *all, struct err *e) {
    size_t room = all->room ? 2 * all->room : 64;
    struct entry *p = mem_array(room, sizeof *p, "sentences", e);
    if (!p) return ERR_MEMORY;
    if (all->n) memcpy(p, all->at, all->n * sizeof *p);
    free(all->at);
    all->at = p, all->room = room;
    return 0;
}

static int add(struct entries *all, const struct corpus_doc *doc, const char *path, struct err *e) {
    if (all->n == PARALLEL_MOST)
        return err_set(e, ERR_RANGE, "%s:%zu: want at most %d lines", path, doc->line, PARALLEL_MOST);
    int rc = all->n == all->room ? more_room(all, e) : 0;
    if (rc) return rc;
    struct entry *x = &all->at[all->n];
    rc = name(x->id, "id", doc->id, path, doc->line, e);
    if (!rc) rc = name(x->language, "language", doc->language, path, doc->line, e);
    if (!rc && !doc->n_bytes) rc = err_set(e, ERR_FORMAT, "%s:%zu: key 'text': it is empty", path, doc->line);
    if (rc) return rc;
    x->line = doc->line, x->n_bytes = doc->n_bytes;
    x->text = mem_array(doc->n_bytes + 1, 1, "a sentence", e);
    if (!x->text) return ERR_MEMORY;
    memcpy(x->text, doc->text, doc->n_bytes);
    all->n++;
    return 0;
}

static int read_lines(struct entries *all, const char *path, struct err *e) {
    struct corpus *c;
    struct corpus_doc doc;
    int rc = corpus_open(&c, path, e);
    if (rc) return rc;
    for (int more = 1; !rc && more;) {
        more = corpus_next(c, &doc, e);
        rc = more > 0 ? add(all, &doc, path, e) : more;
    }
    corpus_close(c);
    if (!rc && !all->n) rc = err_set(e, ERR_FORMAT, "%s: want sentences, got none", path);
    return rc;
}

/* Position of `what` among n names; n when it is not there. */
static size_t find(char (*names)[PARALLEL_NAME], size_t n, const char *what) {
    size_t i = 0;
    while (i < n && strcmp(names[i], what)) i++;
    return i;
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

/* Names of languages, sorted, and of sentences, in order. */
static int collect_names(struct parallel *p, const struct entries *all, struct err *e) {
    p->language = mem_array(all->n, sizeof *p->language, "languages", e);
    p->id = mem_array(all->n, sizeof *p->id, "sentences", e);
    if (!p->language || !p->id) return ERR_MEMORY;
    for (size_t i = 0; i < all->n; i++) {
        const struct entry *x = &all->at[i];
        size_t g = find(p->language, p->G, x->language);
        if (g == p->G) memcpy(p->language[p->G++], x->language, PARALLEL_NAME);
        if (i && !strcmp(x->id, all->at[i - 1].id)) continue; /* the usual case: lines of a sentence stand together */
        if (find(p->id, p->n, x->id) == p->n) memcpy(p->id[p->n++], x->id, PARALLEL_NAME);
    }
    qsort(p->language, p->G, sizeof *p->language, by_name);
    return 0;
}

/* Texts into their places; then every place must have one. */
static int place(struct parallel *p, struct entries *all, const char *path, struct err *e) {
    size_t s = 0;
    if (!(p->text = mem_array(p->n, p->G * sizeof *p->text, "sentences", e)) ||
        !(p->n_bytes = mem_array(p->n, p->G * sizeof *p->n_bytes, "sentences", e)) ||
        !(p->doc = mem_array(p->n, p->G * sizeof *p->doc, "sentences", e)))
        return ERR_MEMORY;
    for (size_t i = 0; i < all->n; i++) {
        struct entry *x = &all->at[i];
        if (strcmp(p->id[s], x->id)) s = find(p->id, p->n, x->id);
        size_t at = s * p->G + find(p->language, p->G, x->language);
        if (p->text[at])
            return err_set(e, ERR_FORMAT, "%s:%zu: sentence '%s': '%s' is there already, on line %zu", path, x->line,
                           x->id, x->language, all->at[p->doc[at]].line);
        p->text[at] = x->text, p->n_bytes[at] = x->n_bytes;
        p->doc[at] = (int32_t)i;
        x->text = NULL;
    }
    for (size_t i = 0; i < all->n; i++) {
        s = find(p->id, p->n, all->at[i].id);
        for (size_t g = 0; g < p->G; g++)
            if (!p->text[s * p->G + g]) {
                err_set(e, ERR_FORMAT, "%s:%zu: sentence '%s': no text in '%s'", path, all->at[i].line, all->at[i].id,
                        p->language[g]);
                return err_hint(e, "every sentence needs each of the file's %zu languages", p->G);
            }
    }
    return 0;
}

int parallel_read(struct parallel *p, const char *path, struct err *e) {
    struct entries all = {0};
    *p = (struct parallel){0};
    int rc = read_lines(&all, path, e);
    if (!rc) rc = collect_names(p, &all, e);
    if (!rc) rc = place(p, &all, path, e);
    p->docs = all.n;
    for (size_t i = 0; i < all.n; i++) free(all.at[i].text);
    free(all.at);
    return rc;
}

void parallel_free(struct parallel *p) {
    for (size_t i = 0; p->text && i < p->n * p->G; i++) free(p->text[i]);
    free(p->language), free(p->id), free(p->text), free(p->n_bytes), free(p->doc);
    *p = (struct parallel){0};
}
