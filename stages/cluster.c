/* cluster.c - features that fire together: spectral clustering of their affinities.
 *
 * Features that never fire or fire in every chunk have no defined Phi and are left out, as in the AIAA 5047 report; --min-count
 * leaves out those that fire in fewer chunks than that, or are silent in fewer. phi and smc go through the bits and never form
 * the affinity matrix; jaccard, dice and overlap form half of it. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/analysis/spectral.h"
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/stage.h"
#include "lib/file/jsonfile.h"

#define PROG "cluster"

enum { RESTARTS = 10, SMALL = 2 }; /* clusters of at most SMALL features are printed too */
static const double TOL = 1e-4;

struct settings {
    const char *in, *affinity, *out;
    int64_t k, min_count, seed, threads;
};

struct run {
    struct firing all, live;
    enum affinity kind;
    uint32_t *keep; /* [n_live] features that take part, ascending */
    size_t n_live;
    json_t *never, *always, *masked;
    struct graph graph;
    struct spectral spectral;
    char *record;
};

/* Sort the features into those that take part and the three lists of those that do not. */
static int leave_out(const struct settings *s, struct run *r, struct err *e) {
    size_t F = r->all.F, T = r->all.chunks, least = (size_t)s->min_count;
    r->keep = mem_array(F, sizeof *r->keep, "cluster: features", e);
    if (!r->keep) return ERR_MEMORY;
    r->never = json_array(), r->always = json_array(), r->masked = json_array();
    int rc = 0;
    for (size_t f = 0; f < F; f++) {
        size_t n = r->all.count[f];
        json_t *list = !n ? r->never : n == T ? r->always : n < least || T - n < least ? r->masked : NULL;
        if (list)
            rc |= jsonfile_put(list, "%zu", f);
        else
            r->keep[r->n_live++] = (uint32_t)f;
    }
    if (rc) return err_set(e, ERR_MEMORY, "%s: no memory for the lists of features", s->in);
    if (r->n_live >= (size_t)s->k && r->n_live >= 2) return 0;
    err_set(
        e, ERR_RANGE,
        "%s: want at least %lld features for %lld clusters, got %zu of %zu: %zu never fire, %zu always, %zu masked by "
        "--min-count %lld",
        s->in, (long long)s->k, (long long)s->k, r->n_live, F, json_array_size(r->never), json_array_size(r->always),
        json_array_size(r->masked), (long long)s->min_count);
    if (T == 1) return err_hint(e, "with one chunk every feature fires in all or none: take more chunks");
    return err_hint(e, "lower --k or --min-count, or take more chunks");
}

/* --- output --- */

static void note(json_t **notes, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(json_t **notes, const char *fmt, ...) {
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    *notes = jsonfile_with(*notes, "%s", text);
}

/* What a reader must know before believing the picture. */
static json_t *notes(const struct settings *s, const struct run *r) {
    const struct spectral *c = &r->spectral;
    json_t *list = json_array();
    size_t parts = 0, masked = json_array_size(r->masked);
    for (size_t j = 0; j < c->k; j++)
        if (!c->size[j])
            note(&list, "cluster %zu is empty: there are fewer distinct features than clusters", j);
        else if (c->size[j] <= SMALL)
            note(&list, "cluster %zu has %zu feature%s", j, c->size[j], c->size[j] > 1 ? "s" : "");
    while (parts < c->n_values && c->value[parts] > 1 - 1e-6) parts++;
    if (parts > 1)
        note(&list, "the graph falls into %s%zu parts that share no affinity", parts == c->n_values ? "at least " : "",
             parts);
    if (r->graph.isolated)
        note(&list, "%zu features share no affinity with any other; they lie at the origin", r->graph.isolated);
    if (masked)
        note(&list, "%zu features fire in fewer than %lld chunks, or are silent in fewer, and were masked", masked,
             (long long)s->min_count);
    return list;
}

static json_t *report(const struct settings *s, const struct run *r) {
    const struct spectral *c = &r->spectral;
    json_t *label = json_array(), *values = json_array(), *gaps = json_array(), *o;
    for (size_t f = 0, i = 0; f < r->all.F; f++) {
        bool live = i < r->n_live && r->keep[i] == f;
        label = jsonfile_with(label, "%d", live ? c->label[i++] : -1);
    }
    size_t smallest = c->size[0];
    for (size_t j = 0; j < c->k; j++) smallest = c->size[j] < smallest ? c->size[j] : smallest;
    for (size_t i = 0; i < c->n_values; i++)
        values = jsonfile_with(values, "%p", jsonfile_number(c->value[i], i < c->k ? 9 : 6));
    for (size_t i = 0; i + 1 < c->n_values; i++) gaps = jsonfile_with(gaps, "%.6g", c->value[i] - c->value[i + 1]);
    o = jsonfile_object("affinity=%s k=%lld n_features=%zu n_clustered=%zu n_chunks=%zu", s->affinity, (long long)s->k,
                        r->all.F, r->n_live, r->all.chunks);
    o = jsonfile_with(o,
                      "sizes=%p smallest_lobe_share=%.9g notes=%p eigenvalues=%p eigengap=%p eigengap_k=%zu label=%p",
                      jsonfile_counts(c->size, c->k), (double)smallest / (double)r->n_live, notes(s, r), values, gaps,
                      spectral_eigengap(c->value, c->n_values), label);
    return jsonfile_with(o, "never=%p always=%p masked=%p record=%p", json_incref(r->never), json_incref(r->always),
                         json_incref(r->masked), json_loads(r->record, 0, NULL));
}

/* The notes are printed, too: a cluster of two features must not hide in a file. */
static int output(const struct settings *s, const struct run *r, struct err *e) {
    json_t *o = report(s, r), *list = json_object_get(o, "notes"), *text;
    for (size_t i = 0; (text = json_array_get(list, i)); i++) stage_done(PROG, "note: %s", json_string_value(text));
    return jsonfile_write_new(s->out, o, e);
}

static void run_free(struct run *r) {
    spectral_free(&r->spectral);
    graph_free(&r->graph);
    firing_free(&r->live);
    firing_free(&r->all);
    json_decref(r->never), json_decref(r->always), json_decref(r->masked);
    free(r->keep);
    free(r->record);
}

int main(int argc, char **argv) {
    struct settings s = {0};
    struct run r = {0};
    struct err e = {0};
    const struct opt table[] = {
        {"in", OPT_INPUT, &s.in, NULL, 0, 0, NULL, NULL, "co-firing bits, from cooccur", false},
        {"affinity", OPT_TEXT, &s.affinity, NULL, 0, 0, AFFINITY_CHOICES, NULL, "how alike two features fire", false},
        {"k", OPT_INT, &s.k, NULL, 2, 4096, NULL, "clusters", "number of lobes", false},
        {"min-count", OPT_INT, &s.min_count, "1", 1, INT32_MAX, NULL, "chunks",
         "leave out features that fire in fewer chunks, or are silent in fewer", false},
        {"seed", OPT_INT, &s.seed, "0", 0, INT32_MAX, NULL, NULL, "of the eigenvectors' start and of k-means", false},
        STAGE_THREADS(&s.threads),
        STAGE_OUT(&s.out, "JSON file to write"),
    };
    const struct stage me = {PROG, "cluster features by how they fire together", OPT_TABLE(table)};
    int rc = stage_start(&me, argc, argv, &e);

    if (!rc) rc = firing_read(&r.all, s.in, NULL, &e);
    if (!rc) rc = leave_out(&s, &r, &e);
    if (!rc) rc = stage_record(&me, &r.record, &e);
    if (!rc) r.kind = (enum affinity)affinity_parse(s.affinity);

    double start_s = clock_s();
    if (!rc) rc = firing_select(&r.live, &r.all, r.keep, r.n_live, &e);
    if (!rc) rc = graph_from_firing(&r.graph, &r.live, r.kind, r.kind != AFFINITY_PHI && r.kind != AFFINITY_SMC, &e);
    if (!rc) rc = spectral_cluster(&r.graph, (size_t)s.k, RESTARTS, (uint64_t)s.seed, TOL, &r.spectral, &e);
    if (!rc) rc = output(&s, &r, &e);

    if (!rc)
        stage_done(
            PROG, "%s: %zu of %zu features (%zu never fire, %zu always, %zu masked), %s, sizes %zu to %zu, %.2f s",
            s.out, r.n_live, r.all.F, json_array_size(r.never), json_array_size(r.always), json_array_size(r.masked),
            s.affinity, r.spectral.size[0], r.spectral.size[r.spectral.k - 1], clock_s() - start_s);
    run_free(&r);
    return stage_end(&me, rc, &e);
}
