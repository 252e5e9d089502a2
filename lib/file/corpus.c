/* corpus.c - see corpus.h. A window of unpacked bytes slides over the stream; a document is one line of it, or all of
 * it. */
#include "lib/file/corpus.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/file/encoding.h"
#include "lib/file/jsonfile.h"
#include "lib/file/stream.h"

enum { FIRST_BYTES = 1 << 16, GROUP_BYTES = 64 };
static const size_t LINE_MAX_BYTES = (size_t)256 << 20, TEXT_MAX_BYTES = INT32_MAX;

struct corpus {
    char *path;
    struct stream *in;
    bool jsonl, ended, taken; /* ended: the stream gave all it has; taken: a .txt was handed out */
    char *window;             /* window[at..end) is unread; one byte behind end is free */
    size_t cap, at, end, line;
    json_t *doc;
    char id[24]; /* of a numeric id */
};

static bool ends_with(const char *s, size_t n, const char *tail) {
    size_t m = strlen(tail);
    return n > m && !memcmp(s + n - m, tail, m);
}

static int begin(struct corpus *c, struct err *e);

int corpus_open(struct corpus **out, const char *path, struct err *e) {
    size_t stem = stream_stem(path), n = strlen(path);
    bool jsonl = ends_with(path, stem, ".jsonl");
    *out = NULL;
    if (!jsonl && !ends_with(path, stem, ".txt")) {
        err_set(e, ERR_UNSUPPORTED, "%s: unknown kind of corpus file", path);
        return err_hint(
            e, "accepted are .txt and .jsonl files, plain or with .zst or .gz behind it; of a folder DIR, name DIR/*");
    }
    struct corpus *c = mem_array(1, sizeof *c, path, e);
    if (!c) return ERR_MEMORY;
    c->jsonl = jsonl, c->cap = FIRST_BYTES;
    int rc = ERR_MEMORY;
    if ((c->path = mem_array(n + 1, 1, path, e)) && (c->window = mem_array(c->cap, 1, path, e))) {
        memcpy(c->path, path, n);
        rc = stream_open(&c->in, path, e);
        if (!rc) rc = begin(c, e);
    }
    if (rc)
        corpus_close(c);
    else
        *out = c;
    return rc;
}

void corpus_close(struct corpus *c) {
    if (!c) return;
    stream_close(c->in);
    json_decref(c->doc);
    free(c->window);
    free(c->path);
    free(c);
}

/* Room for more bytes: move what is unread to the front, or double the window. */
static int make_room(struct corpus *c, struct err *e) {
    size_t held = c->end - c->at, limit = c->jsonl ? LINE_MAX_BYTES : TEXT_MAX_BYTES;
    if (held >= limit) {
        err_set(e, ERR_RANGE, "%s:%zu: document too long: want at most %zu MB", c->path, c->line + 1, limit >> 20);
        return err_hint(e, "split it into several documents");
    }
    if (c->at) {
        memmove(c->window, c->window + c->at, held);
        c->at = 0, c->end = held;
    }
    if (held + 1 < c->cap / 2) return 0;
    char *p = mem_array(2 * c->cap, 1, c->path, e);
    if (!p) return ERR_MEMORY;
    memcpy(p, c->window, held);
    free(c->window);
    c->window = p, c->cap *= 2;
    return 0;
}

static int fill(struct corpus *c, struct err *e) {
    size_t got;
    int rc = make_room(c, e);
    if (!rc) rc = stream_read(c->in, c->window + c->end, c->cap - c->end - 1, &got, e);
    if (rc) return rc;
    c->end += got, c->ended = !got;
    return 0;
}

/* Past the mark of UTF-8; what another mark says is refused. */
static int begin(struct corpus *c, struct err *e) {
    int rc = 0;
    while (!rc && !c->ended && c->end < 4) rc = fill(c, e);
    if (rc) return rc;
    const char *name = encoding_mark(c->window, c->end, &c->at);
    if (!name || !strcmp(name, "UTF-8")) return 0;
    err_set(e, ERR_FORMAT, "%s: want UTF-8, got %s (its byte order mark is there)", c->path, name);
    return encoding_hint(e, c->path, name, 1);
}

/* The next line without its newline: 1, or 0 at the end. */
static int take_line(struct corpus *c, char **line, size_t *n, struct err *e) {
    size_t seen = 0;
    char *newline;
    while (!(newline = memchr(c->window + c->at + seen, '\n', c->end - c->at - seen)) && !c->ended) {
        seen = c->end - c->at;
        int rc = fill(c, e);
        if (rc) return rc;
    }
    *line = c->window + c->at;
    *n = newline ? (size_t)(newline - *line) : c->end - c->at;
    c->at += *n + (newline != NULL);
    c->line += newline || *n;
    return newline || *n;
}

static bool is_blank(const char *s, size_t n) {
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r')) n--;
    return !n;
}

/* A member that may be absent, as text without U+0000. Ids may be whole numbers. */
static int member(struct corpus *c, const char *key, const char **out, struct err *e) {
    const json_t *v = json_object_get(c->doc, key);
    *out = "";
    if (!v || json_is_null(v)) return 0;
    if (json_is_integer(v) && !strcmp(key, "id")) {
        snprintf(c->id, sizeof c->id, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        *out = c->id;
    } else if (!json_is_string(v))
        return err_set(e, ERR_FORMAT, "%s:%zu: key '%s': want a text", c->path, c->line, key);
    else if (strlen(*out = json_string_value(v)) < json_string_length(v)) {
        err_set(e, ERR_FORMAT, "%s:%zu: key '%s': want a name, got one with a zero character", c->path, c->line, key);
        return err_hint(e, "only the text itself may hold \\u0000");
    }
    return 0;
}

/* A line that is no JSON because it is no UTF-8: say how to make it that. */
static int not_json(const struct corpus *c, const char *line, size_t n, struct err *e) {
    json_t *utf8 = json_stringn(line, n);
    const char *name = utf8 ? encoding_wide(line, n) : encoding_guess(line, n);
    if (!utf8 && !name) name = encoding_guess(line, (size_t)(c->window + c->end - line)); /* more lines tell more */
    if (e->code == ERR_FORMAT && (!utf8 || name)) encoding_hint(e, c->path, name, 0);
    json_decref(utf8);
    return e->code;
}

static int parse_line(struct corpus *c, const char *line, size_t n, struct corpus_doc *doc, struct err *e) {
    int rc = jsonfile_parse_nul(line, n, c->path, c->line, &c->doc, e);
    if (rc) return not_json(c, line, n, e);
    const json_t *text = json_object_get(c->doc, "text");
    if (!json_is_string(text)) {
        err_set(e, ERR_FORMAT, "%s:%zu: key 'text': want a text, got %s", c->path, c->line,
                text ? "another type" : "none");
        return err_hint(e, "each line of .jsonl holds one document: {\"text\": \"…\"}");
    }
    *doc = (struct corpus_doc){
        .text = json_string_value(text), .n_bytes = json_string_length(text), .language = "", .line = c->line};
    rc = member(c, "id", &doc->id, e);
    if (!rc) rc = member(c, "split", &doc->split, e);
    if (!rc && json_is_string(json_object_get(c->doc, "language"))) rc = member(c, "language", &doc->language, e);
    if (rc) return rc;
    if (*doc->split && strcmp(doc->split, "train") && strcmp(doc->split, "heldout"))
        return err_set(e, ERR_FORMAT, "%s:%zu: key 'split': want train or heldout, got '%.32s'", c->path, c->line,
                       doc->split);
    return 1;
}

static int take_all(struct corpus *c, struct corpus_doc *doc, struct err *e) {
    if (c->taken) return 0;
    while (!c->ended) {
        int rc = fill(c, e);
        if (rc) return rc;
    }
    c->window[c->end] = 0;
    *doc = (struct corpus_doc){
        .text = c->window + c->at, .n_bytes = c->end - c->at, .id = "", .language = "", .split = "", .line = 1};
    c->taken = true;
    const char *wide = encoding_wide(doc->text, doc->n_bytes);
    if (!wide) return doc->n_bytes > 0;
    err_set(e, ERR_FORMAT, "%s: want UTF-8, got %s: every second byte is zero", c->path, wide);
    return encoding_hint(e, c->path, wide, 1);
}

int corpus_next(struct corpus *c, struct corpus_doc *doc, struct err *e) {
    if (!c->jsonl) return take_all(c, doc, e);
    json_decref(c->doc);
    c->doc = NULL;
    for (;;) {
        char *line = NULL;
        size_t n = 0;
        int rc = take_line(c, &line, &n, e);
        if (rc <= 0) return rc;
        if (!is_blank(line, n)) return parse_line(c, line, n, doc, e);
    }
}

int corpus_group(const char *path, char out[GROUP_BYTES], struct err *e) {
    const char *end = strrchr(path, '/'), *begin;
    while (end && end > path && end[-1] == '/') end--;
    for (begin = end; begin && begin > path && begin[-1] != '/';) begin--;
    size_t n = (size_t)(end - begin);
    if (!n || (n == 1 && *begin == '.') || (n == 2 && !memcmp(begin, "..", 2))) begin = "text", n = 4;
    if (n >= GROUP_BYTES) {
        err_set(e, ERR_RANGE, "%s: folder name: want at most %d bytes, got %zu", path, GROUP_BYTES - 1, n);
        return err_hint(e, "it names the group (language) of the documents; rename the folder");
    }
    memcpy(out, begin, n);
    out[n] = 0;
    return 0;
}
