/* lobes.c - what the clusters of features do: which groups of text they fire on, and whether their directions agree.
 *
 * Definitions: lib/analysis/lobe.h. Every statistic stands against a permutation null, so that a clear picture is a number. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/analysis/clusterfile.h"
#include "lib/analysis/lobe.h"
#include "lib/base/arena.h"
#include "lib/base/stage.h"
#include "lib/file/jsonfile.h"
#include "lib/sae/sae.h"
#include "lib/sae/saefile.h"

#define PROG "lobes"

struct settings {
    const char *cluster, *cooccur, *sae, *angular, *out;
    int64_t permutations, draws, seed, threads;
};

struct run {
    struct firing firing;
    struct sae sae;
    char *groups, *record;
    int32_t *label, *winner, *lobe_group, *preferred;
    uint32_t *histogram, *chunks; /* [k,G], [G] */
    double *own;                  /* [G] */
    size_t k, G, ties, group_ties, preferred_ties, without;
    struct lobes_stats stats;
};

static int check(const struct settings *s, struct run *r, struct err *e) {
    size_t n;
    int rc = firing_read(&r->firing, s->cooccur, &r->groups, e);
    if (!rc) rc = clusterfile_read(s->cluster, r->firing.F, &r->k, &r->label, &n, e);
    if (!rc) rc = saefile_read(&r->sae, s->sae, e);
    if (!rc && r->sae.F != r->firing.F) {
        rc = err_set(e, ERR_SHAPE, "%s: W_dec: want %zu features as in %s, got %zu", s->sae, r->firing.F, s->cooccur,
                     r->sae.F);
        err_hint(e, "give the SAE that %s was made with", s->cooccur);
    }
    r->G = r->firing.n_groups;
    return rc;
}

static int allocate(struct run *r, struct err *e) {
    size_t cells;
    if (!size_product(r->k, r->G, 1, &cells)) cells = SIZE_MAX;
    r->winner = mem_array(r->firing.chunks, sizeof *r->winner, "lobes", e);
    r->lobe_group = r->winner ? mem_array(r->k, sizeof *r->lobe_group, "lobes", e) : NULL;
    r->preferred = r->lobe_group ? mem_array(r->firing.F, sizeof *r->preferred, "lobes", e) : NULL;
    r->histogram = r->preferred ? mem_array(cells, sizeof *r->histogram, "lobes", e) : NULL;
    r->chunks = r->histogram ? mem_array(r->G, sizeof *r->chunks, "lobes", e) : NULL;
    r->own = r->chunks ? mem_array(r->G, sizeof *r->own, "lobes", e) : NULL;
    return r->own ? 0 : ERR_MEMORY;
}

static int compute(const struct settings *s, struct run *r, struct err *e) {
    const struct firing *m = &r->firing;
    for (size_t c = 0; c < m->chunks; c++) r->chunks[m->group[c]]++;
    int rc = lobe_winners(m, r->label, r->k, r->winner, r->histogram, &r->ties, e);
    if (rc) return rc;
    r->group_ties = lobe_groups(r->histogram, r->k, r->G, r->chunks, r->lobe_group);
    r->without = lobe_own(r->histogram, r->lobe_group, r->k, r->G, r->own);
    rc = lobe_preferred(m, r->label, r->preferred, &r->preferred_ties, e);
    if (rc) return rc;
    const struct lobes_input in = {m,
                                   r->label,
                                   r->winner,
                                   r->preferred,
                                   r->k,
                                   r->sae.W_dec,
                                   r->sae.D,
                                   (size_t)s->permutations,
                                   (uint64_t)s->seed,
                                   !strcmp(s->angular, "yes"),
                                   (size_t)s->draws};
    return lobe_statistics(&in, &r->stats, e);
}

/* --- output --- */

/* The excess, (value - null_mean) / (1 - null_mean), is of the digits that are written. */
static void add(json_t **o, const char *name, const struct stats_null *x, const char *what, const char *null) {
    json_t *j = jsonfile_object("value=%.9g null_mean=%.9g null_std=%.9g z=%.6g n_permutations=%zu what=%s null=%s",
                                x->value, x->null_mean, x->null_std, x->z, x->n_permutations, what, null);
    double value = json_number_value(json_object_get(j, "value")),
           mean = json_number_value(json_object_get(j, "null_mean"));
    bool there = isfinite(x->value) && isfinite(x->null_mean);
    j = jsonfile_with(j, "excess=%.9g", there ? (value - mean) / (1 - mean) : (double)NAN);
    *o = jsonfile_with(*o, "%s=%p", name, j);
}

static json_t *statistics(const struct run *r) {
    const struct lobes_stats *x = &r->stats;
    json_t *o = json_object();
    char text[120];
    snprintf(text, sizeof text, "share of the %zu nearest neighbours that lie in the feature's lobe", x->neighbours);
    add(&o, "purity", &x->purity1,
        "share of features whose nearest neighbour by cosine of decoder rows lies in the same lobe", "lobes shuffled");
    add(&o, "purity_10", &x->purity10, text, "lobes shuffled");
    add(&o, "language_purity", &x->language1, "share of features whose nearest neighbour prefers the same group",
        "preferred groups shuffled");
    add(&o, "ami", &x->ami_preferred, "adjusted mutual information of the features' lobes and preferred groups",
        "preferred groups shuffled");
    add(&o, "ari", &x->ari_preferred, "adjusted Rand index of the same", "preferred groups shuffled");
    add(&o, "chunk_purity", &x->chunk_purity, "share of chunks won by a lobe of their own group",
        "groups of chunks shuffled, lobes named anew");
    if (x->angular || x->angular_failed.code)
        add(&o, "ami_angular", &x->ami_angular,
            "adjusted mutual information of the lobes and as many clusters by angular similarity of decoder rows",
            "lobes shuffled");
    if (x->directed || x->direction_failed.code)
        add(&o, "direction", &x->direction,
            "balanced accuracy of logistic regression from decoder row to lobe, on the last fifth of the features",
            "Gaussian rows in place of the decoder's");
    return o;
}

static void note(json_t **notes, const char *text, size_t n) {
    char line[200];
    if (!n) return;
    snprintf(line, sizeof line, "%s: %zu", text, n);
    *notes = jsonfile_with(*notes, "%s", line);
}

static void reason(json_t **notes, const char *name, const struct err *failed) {
    if (!failed->code) return;
    *notes = jsonfile_with(
        *notes, "%p", json_sprintf("%s was not computed: %.*s", name, (int)strcspn(failed->text, "\n"), failed->text));
}

static json_t *notes(const struct run *r) {
    json_t *list = json_array();
    size_t silent = 0;
    for (size_t l = 0; l < r->k; l++) silent += r->lobe_group[l] < 0;
    note(&list, "chunks in which several lobes had the highest share of features firing (the lower one was taken)",
         r->ties);
    note(&list, "lobes that win equal shares of several groups (the lower group was taken)", r->group_ties);
    note(&list, "lobes that win no chunk and have no group", silent);
    note(&list, "features with a lobe that fire in equal shares of several groups (the lower one counts as preferred)",
         r->preferred_ties);
    reason(&list, "ami_angular", &r->stats.angular_failed);
    reason(&list, "direction", &r->stats.direction_failed);
    return list;
}

static json_t *with_own(const struct run *r, json_t *o) {
    const json_t *groups = json_object_get(o, "groups");
    json_t *own = json_object();
    double least = INFINITY;
    for (size_t g = 0; g < r->G; g++) {
        const char *name = json_string_value(json_array_get(groups, g));
        least = fmin(least, r->own[g]);
        own = jsonfile_with(own, "%s=%.9g", name, r->own[g]);
    }
    return jsonfile_with(o, "own_lobe=%p own_lobe_min=%.9g languages_without_lobe=%zu", own, least, r->without);
}

static json_t *report(const struct run *r) {
    json_t *rows = json_array(), *per_group = json_array(), *feature = json_array();
    for (size_t l = 0; l < r->k; l++) {
        json_t *row = json_array();
        for (size_t g = 0; g < r->G; g++) row = jsonfile_with(row, "%u", r->histogram[l * r->G + g]);
        rows = jsonfile_with(rows, "%p", row);
    }
    for (size_t g = 0; g < r->G; g++) per_group = jsonfile_with(per_group, "%u", r->chunks[g]);
    for (size_t f = 0; f < r->firing.F; f++)
        feature = jsonfile_with(feature, "%d", r->label[f] < 0 ? -1 : r->lobe_group[r->label[f]]);
    json_t *o = jsonfile_object("groups=%p chunks=%p histogram=%p lobe_group=%p", json_loads(r->groups, 0, NULL),
                                per_group, rows, jsonfile_i32s(r->lobe_group, r->k));
    o = jsonfile_with(with_own(r, o), "ties=%zu notes=%p statistics=%p feature_group=%p preferred_group=%p record=%p",
                      r->ties, notes(r), statistics(r), feature, jsonfile_i32s(r->preferred, r->firing.F),
                      json_loads(r->record, 0, NULL));
    return o;
}

static int output(const struct settings *s, const struct run *r, struct err *e) {
    json_t *o = report(r);
    return jsonfile_write_new(s->out, o, e);
}

static void run_free(struct run *r) {
    firing_free(&r->firing);
    sae_free(&r->sae);
    free(r->groups), free(r->record), free(r->label), free(r->winner), free(r->lobe_group), free(r->preferred);
    free(r->histogram), free(r->chunks), free(r->own);
}

int main(int argc, char **argv) {
    struct settings s = {0};
    struct run r = {0};
    struct err e = {0};
    const struct opt table[] = {
        {"cluster", OPT_INPUT, &s.cluster, NULL, 0, 0, NULL, NULL, "lobes of the features, from cluster", false},
        {"cooccur", OPT_INPUT, &s.cooccur, NULL, 0, 0, NULL, NULL, "the bits that cluster read, from cooccur", false},
        {"sae", OPT_INPUT, &s.sae, NULL, 0, 0, NULL, NULL, "folder of the SAE, for its decoder directions", false},
        {"permutations", OPT_INT, &s.permutations, NULL, 1, 1000000, NULL, "draws", "of every null", false},
        {"direction-draws", OPT_INT, &s.draws, "0", 0, 100000, NULL, "draws",
         "Gaussian decoders to hold the regression from direction to lobe against; 0 leaves it out", false},
        {"seed", OPT_INT, &s.seed, "0", 0, INT32_MAX, NULL, NULL, "of the permutations", false},
        {"angular", OPT_TEXT, &s.angular, "yes", 0, 0, "yes|no", NULL,
         "compare with clusters by angle too (2 F^2 bytes)", false},
        STAGE_THREADS(&s.threads),
        STAGE_OUT(&s.out, "JSON file to write"),
    };
    const struct stage me = {PROG, "name the group of text that each lobe fires on", OPT_TABLE(table)};
    int rc = stage_start(&me, argc, argv, &e);

    if (!rc) rc = check(&s, &r, &e);
    if (!rc) rc = stage_record(&me, &r.record, &e);

    if (!rc) rc = allocate(&r, &e);
    if (!rc) rc = compute(&s, &r, &e);
    if (!rc) rc = output(&s, &r, &e);

    if (!rc)
        stage_done(PROG, "%s: %zu lobes, chunk purity %.3f (z %.1f), neighbour purity %.3f (z %.1f), AMI %.3f (z %.1f)",
                   s.out, r.k, r.stats.chunk_purity.value, r.stats.chunk_purity.z, r.stats.purity1.value,
                   r.stats.purity1.z, r.stats.ami_preferred.value, r.stats.ami_preferred.z);
    run_free(&r);
    return stage_end(&me, rc, &e);
}
