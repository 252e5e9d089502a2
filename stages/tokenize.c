/* tokenize.c - corpora to token ids.
 *
 * Writes safetensors: ids [N] i32, each document beginning with the BOS id where the model has one (lib/lm/tokfile.h
 * has the rule); doc_start [n_docs+1] i64, offsets into ids; doc_group [n_docs] i32, the language by corpus folder.
 * Metadata: record, groups (names of all groups among the files, sorted; the index is the group's number), bos_id ("-1"
 * if there is none).
 *
 * Order: without --max-tokens-per-group, documents as they come, file by file as given. With it, group by group in name
 * order; within a group one document from each of its files in turn, so that a budget is spread over the sources, until
 * the budget is met or the files are at their end. Budgets are exact: the document that meets one is cut there.
 * Documents whose file says another split, and empty ones, are passed over; those whose file says none belong to every
 * split. All ids are held in memory, four bytes each, until they are written.
 *
 * Bytes that are no UTF-8 become U+FFFD. They are counted by file: more than one in ten is refused, more than one in a
 * thousand is a warning, and the closing line has their sum. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/progress.h"
#include "lib/base/outfile.h"
#include "lib/base/stage.h"
#include "lib/file/corpus.h"
#include "lib/file/encoding.h"
#include "lib/file/jsonfile.h"
#include "lib/file/safetensors.h"
#include "lib/lm/tokenizer.h"
#include "lib/lm/unitext.h"

#define PROG "tokenize"

enum { GROUP_NAME = 64 };
enum { BAD_WARNED = 1000, BAD_REFUSED = 10 }; /* one byte in so many, of a file, is no UTF-8 */

struct options {
    const char *model, *tokenizer, *config, *split, *out;
    struct opt_list corpus;
    int64_t max_tokens, max_per_group; /* 0 = no limit */
};

/* One corpus file. */
struct source {
    const char *path;
    char group[GROUP_NAME];
    int32_t group_index;
    struct corpus *corpus; /* while it is being read */
    size_t n_bytes, n_bad; /* of the text read; of these, bytes that are no UTF-8 */
    const char *encoding;  /* what a file with such bytes may be written in; NULL if nobody knows */
};

struct run {
    const struct options *o;
    struct tokenizer *tok;
    struct source *source; /* [n_sources] */
    size_t n_sources;
    const char **group; /* [n_groups] sorted */
    size_t n_groups;
    struct bpe_ids ids, doc_group;
    int64_t *doc_start; /* [n_docs + 1], room for more */
    size_t room;
    int64_t in_group; /* tokens of the group in work */
    size_t n_bytes, n_cut;
    struct progress progress;
    char *record;
};

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Look at every file once, so that a wrong name is refused before any work, and number the groups. */
static int find_sources(struct run *r, struct err *e) {
    r->n_sources = r->o->corpus.n;
    r->source = mem_array(r->n_sources, sizeof *r->source, "corpus files", e);
    r->group = mem_array(r->n_sources, sizeof *r->group, "groups", e);
    if (!r->source || !r->group) return ERR_MEMORY;
    for (size_t i = 0; i < r->n_sources; i++) {
        struct source *s = &r->source[i];
        s->path = r->o->corpus.item[i];
        int rc = corpus_group(s->path, s->group, e);
        if (!rc) rc = corpus_open(&s->corpus, s->path, e);
        if (rc) return rc;
        corpus_close(s->corpus);
        s->corpus = NULL;
        r->group[i] = s->group;
    }
    qsort(r->group, r->n_sources, sizeof *r->group, by_name);
    for (size_t i = 0; i < r->n_sources; i++)
        if (!i || strcmp(r->group[r->n_groups - 1], r->group[i])) r->group[r->n_groups++] = r->group[i];
    for (size_t i = 0; i < r->n_sources; i++) {
        const char *name = r->source[i].group, **g = bsearch(&name, r->group, r->n_groups, sizeof *g, by_name);
        r->source[i].group_index = (int32_t)(g - r->group);
    }
    return 0;
}

/* Tokens that may still come: the least of what the budgets leave. */
static int64_t tokens_left(const struct run *r) {
    int64_t left = INT64_MAX;
    if (r->o->max_tokens) left = r->o->max_tokens - (int64_t)r->ids.n;
    if (r->o->max_per_group && r->o->max_per_group - r->in_group < left) left = r->o->max_per_group - r->in_group;
    return left;
}

static int push_start(struct run *r, struct err *e) {
    size_t n = r->doc_group.n;
    if (n + 1 >= r->room) {
        size_t room = r->room ? 2 * r->room : 1024;
        int64_t *p = mem_array(room, sizeof *p, "documents", e);
        if (!p) return ERR_MEMORY;
        if (r->doc_start) memcpy(p, r->doc_start, (n + 1) * sizeof *p);
        free(r->doc_start);
        r->doc_start = p;
        r->room = room;
    }
    r->doc_start[n] = (int64_t)r->ids.n;
    return 0;
}

/* Bytes that are no UTF-8 become U+FFFD. A few are damage, and a warning at the end says so; many are another encoding. */
static int check_encoding(struct source *s, const struct corpus_doc *doc, struct err *e) {
    size_t bad = unitext_ill_formed(doc->text, doc->n_bytes);
    s->n_bytes += doc->n_bytes, s->n_bad += bad;
    if (!bad) return 0;
    s->encoding = encoding_guess(doc->text, doc->n_bytes);
    if (bad <= doc->n_bytes / BAD_REFUSED) return 0;
    err_set(e, ERR_FORMAT, "%s: want UTF-8, got %zu of %zu bytes that are none (%.1f %%)", s->path, bad, doc->n_bytes,
            100. * (double)bad / (double)doc->n_bytes);
    return encoding_hint(e, s->path, s->encoding, 0);
}

static int add_document(struct run *r, struct source *s, const struct corpus_doc *doc, struct err *e) {
    size_t first = r->ids.n;
    int32_t bos = tokenizer_bos(r->tok);
    int64_t left = tokens_left(r);
    int rc = check_encoding(s, doc, e);
    if (rc) return rc;
    rc = bos >= 0 ? bpe_ids_push(&r->ids, bos, e) : 0;
    if (!rc) rc = tokenizer_encode(r->tok, doc->text, doc->n_bytes, &r->ids, e);
    if (rc && e->code != ERR_MEMORY) {
        struct err inner = *e;
        err_set(e, inner.code, "%s:%zu: %.600s", s->path, doc->line, inner.text);
        if (inner.hint[0]) err_hint(e, "%s", inner.hint);
    }
    if (rc) return rc;
    if ((int64_t)(r->ids.n - first) > left) {
        r->ids.n = first + (size_t)left;
        r->n_cut++;
    }
    r->in_group += (int64_t)(r->ids.n - first);
    r->n_bytes += doc->n_bytes;
    rc = bpe_ids_push(&r->doc_group, s->group_index, e);
    if (!rc) rc = push_start(r, e);
    progress_show(&r->progress, r->ids.n, s->path);
    return rc;
}

/* The next document of a file that belongs to the split: 1, 0 at the end, or an error. */
static int next_document(const struct options *o, struct source *s, struct corpus_doc *doc, struct err *e) {
    int rc = corpus_next(s->corpus, doc, e);
    while (rc > 0 && (!doc->n_bytes || (o->split && doc->split[0] && strcmp(o->split, doc->split))))
        rc = corpus_next(s->corpus, doc, e);
    return rc;
}

/* Read files in turn, a document each, until all are at their end or a budget is met.
 *   group   index of the group whose files take part; -1: the one file `only` */
static int read_in_turn(struct run *r, int32_t group, size_t only, struct err *e) {
    size_t open = 0;
    int rc = 0;
    for (size_t i = 0; !rc && i < r->n_sources; i++) {
        struct source *s = &r->source[i];
        if (group >= 0 ? s->group_index != group : i != only) continue;
        rc = corpus_open(&s->corpus, s->path, e);
        open += !rc;
    }
    while (!rc && open)
        for (size_t i = 0; !rc && i < r->n_sources; i++) {
            struct source *s = &r->source[i];
            struct corpus_doc doc;
            if (!s->corpus) continue;
            int got = tokens_left(r) > 0 ? next_document(r->o, s, &doc, e) : 0;
            if (got > 0)
                rc = add_document(r, s, &doc, e);
            else
                rc = got;
            if (got > 0) continue;
            corpus_close(s->corpus);
            s->corpus = NULL;
            open--;
        }
    for (size_t i = 0; i < r->n_sources; i++) {
        corpus_close(r->source[i].corpus);
        r->source[i].corpus = NULL;
    }
    return rc;
}

static int read_all(struct run *r, struct err *e) {
    int rc = push_start(r, e);
    if (r->o->max_per_group) {
        for (size_t g = 0; !rc && g < r->n_groups; g++) {
            r->in_group = 0;
            rc = read_in_turn(r, (int32_t)g, 0, e);
        }
    } else {
        for (size_t i = 0; !rc && i < r->n_sources; i++) rc = read_in_turn(r, -1, i, e);
    }
    if (rc || r->doc_group.n) return rc;
    char files[600];
    size_t n = 0;
    for (size_t i = 0; i < r->n_sources && n < sizeof files; i++)
        n += (size_t)snprintf(files + n, sizeof files - n, "%s%s", i ? ", " : "", r->source[i].path);
    if (n >= sizeof files) memcpy(files + sizeof files - 4, "...", 4);
    err_set(e, ERR_FORMAT, "no document for split '%s' in %s", r->o->split ? r->o->split : "(any)", files);
    return err_hint(e, "leave --split out to take all documents, or name files that have text of this split");
}

static int write_tensors(const struct run *r, struct stwriter *w, struct err *e) {
    const struct {
        const char *name;
        enum safetensors_dtype dtype;
        size_t n;
        const void *data;
    } t[] = {{"doc_start", ST_I64, r->doc_group.n + 1, r->doc_start},
             {"ids", ST_I32, r->ids.n, r->ids.id},
             {"doc_group", ST_I32, r->doc_group.n, r->doc_group.id}};
    int handle[3], rc = 0;
    for (size_t i = 0; rc >= 0 && i < 3; i++) {
        int64_t shape = (int64_t)t[i].n;
        rc = handle[i] = stwriter_declare(w, t[i].name, t[i].dtype, 1, &shape, e);
    }
    if (rc > 0) rc = 0;
    for (size_t i = 0; !rc && i < 3; i++)
        rc = stwriter_write(w, handle[i], 0, t[i].data, t[i].n * safetensors_dtype_bytes(t[i].dtype), e);
    return rc;
}

static int write_meta(const struct run *r, struct stwriter *w, struct err *e) {
    char bos[16];
    json_t *names = jsonfile_texts(r->group, r->n_groups);
    char *groups = names ? json_dumps(names, JSON_COMPACT) : NULL;
    snprintf(bos, sizeof bos, "%d", tokenizer_bos(r->tok));
    int rc =
        groups ? stwriter_meta(w, "groups", groups, e) : err_set(e, ERR_FORMAT, "groups: a folder's name is not UTF-8");
    if (!rc) rc = stwriter_meta(w, "bos_id", bos, e);
    if (!rc) rc = stwriter_meta(w, "record", r->record, e);
    free(groups);
    json_decref(names);
    return rc;
}

static int write_all(const struct run *r, struct err *e) {
    struct stwriter *w = NULL;
    int rc = stwriter_open(&w, r->o->out, e);
    if (!rc) rc = write_meta(r, w, e);
    if (!rc) rc = write_tensors(r, w, e);
    if (!rc) return stwriter_commit(w, e);
    stwriter_abort(w);
    return rc;
}

/* The record names the two files that were read, not the folder with the model's weights, the table's first row: those change
 * nothing here. */
static int make_record(struct options *o, const struct stage *me, char **json, struct err *e) {
    char tokenizer[PATH_MAX], config[PATH_MAX];
    struct opt all[16] = {{.name = "tokenizer", .type = OPT_INPUT, .dst = &o->tokenizer},
                          {.name = "config", .type = OPT_INPUT, .dst = &o->config}};
    CHECK(me->n + 1 <= sizeof all / sizeof *all && me->table[0].dst == &o->model);
    memcpy(all + 2, me->table + 1, (me->n - 1) * sizeof *all);
    snprintf(tokenizer, sizeof tokenizer, "%s/tokenizer.json", o->model);
    snprintf(config, sizeof config, "%s/config.json", o->model);
    o->tokenizer = tokenizer;
    o->config = access(config, F_OK) ? NULL : config;
    int rc = opt_record(PROG, all, me->n + 1, json, e);
    o->tokenizer = o->config = NULL; /* the names end with this block */
    return rc;
}

/* A line for each file with more than a few bytes that are no UTF-8; the end of the closing line if there are any. */
static void tell_replaced(const struct run *r, char replaced[64]) {
    size_t all = 0;
    for (size_t i = 0; i < r->n_sources; i++) {
        const struct source *s = &r->source[i];
        struct err e = {0};
        all += s->n_bad;
        if (s->n_bad <= s->n_bytes / BAD_WARNED) continue;
        if (s->encoding)
            encoding_hint(&e, s->path, s->encoding, 0);
        else
            err_hint(&e, "damaged, or of two encodings; iconv -f UTF-8 -t UTF-8 stops at the first of them");
        fprintf(stderr, "tokenize: warning: %s: %zu of %zu bytes are no UTF-8 (%.1f %%) and became U+FFFD\nhint: %s\n",
                s->path, s->n_bad, s->n_bytes, 100. * (double)s->n_bad / (double)s->n_bytes, e.hint);
    }
    if (all) snprintf(replaced, 64, "; %zu bytes that are no UTF-8 replaced", all);
}

static void run_free(struct run *r) {
    free(r->record);
    tokenizer_close(r->tok);
    bpe_ids_free(&r->ids);
    bpe_ids_free(&r->doc_group);
    free(r->source);
    free(r->group);
    free(r->doc_start);
}

int main(int argc, char **argv) {
    struct options o = {0};
    struct run r = {.o = &o};
    struct err e = {0};
    const struct opt table[] = {
        {"model", OPT_INPUT, &o.model, NULL, 0, 0, NULL, NULL, "folder with tokenizer.json and config.json", false},
        {"corpus", OPT_INPUTS, &o.corpus, NULL, 0, 0, NULL, NULL, "UTF-8 text: .txt, .jsonl, each plain, .zst or .gz",
         false},
        {"split", OPT_TEXT, &o.split, "", 0, 0, "train|heldout", NULL, "only documents of this split", false},
        {"max-tokens", OPT_INT, &o.max_tokens, "0", 0, 1e12, NULL, "tokens", "stop after so many; 0: never", false},
        {"max-tokens-per-group", OPT_INT, &o.max_per_group, "0", 0, 1e12, NULL, "tokens",
         "so many of each language, its files in turn; 0: all", false},
        STAGE_OUT(&o.out, "ids, doc_start, doc_group (.safetensors)"),
    };
    const struct stage me = {PROG, "corpora to token ids", OPT_TABLE(table)};
    int rc = stage_start(&me, argc, argv, &e);

    double start_s = clock_s();
    if (!rc) rc = tokenizer_open(&r.tok, o.model, &e);
    if (!rc) rc = find_sources(&r, &e);
    if (!rc) rc = outfile_check(o.out, &e);
    if (!rc) rc = make_record(&o, &me, &r.record, &e);

    double read_s = clock_s();
    progress_start(&r.progress, PROG, "tok", (size_t)o.max_tokens);
    if (!rc) rc = read_all(&r, &e);
    progress_end(&r.progress, r.ids.n, "");
    double spent_s = clock_s() - read_s;

    if (!rc) rc = write_all(&r, &e);

    char replaced[64] = "";
    if (!rc) tell_replaced(&r, replaced);
    if (!rc)
        stage_done(
            PROG,
            "%zu tokens, %zu documents (%zu cut), %zu groups; %.1f MB of text in %.2f s, %.1f MB/s; opened in %.2f s%s",
            r.ids.n, r.doc_group.n, r.n_cut, r.n_groups, (double)r.n_bytes / 1e6, spent_s,
            (double)r.n_bytes / 1e6 / spent_s, read_s - start_s, replaced);
    run_free(&r);
    return stage_end(&me, rc, &e);
}
