/* specificity.c - how specific features are to languages: one feature on parallel sentences, and every feature by the
 * log-likelihood ratio of the rows it fires on.
 *
 * Baig and Mak, Figures 7 and 8, look at one feature on sentences that say the same in Chinese, Arabic and English, and
 * take the ratio log(P(s|concept) / P(s)) from Bricken et al. The concept here is a language of the held-out rows;
 * lib/analysis/llr.h has the proxies. The sentences (lib/file/parallel.h) come twice: as text, and as the activations
 * that tokenize and collect made of that file, a document a line. A feature's activation on a sentence is the largest
 * over its tokens; the mean is given too. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/backends.h"
#include "lib/analysis/llr.h"
#include "lib/analysis/ranks.h"
#include "lib/base/arena.h"
#include "lib/base/clock.h"
#include "lib/base/progress.h"
#include "lib/base/stage.h"
#include "lib/file/jsonfile.h"
#include "lib/file/parallel.h"
#include "lib/file/safetensors.h"
#include "lib/sae/latents.h"
#include "lib/sae/saefile.h"

#define PROG "specificity"

enum { INTERVALS = 10, TOP_SENTENCES = 5, MOST_LANGUAGES = 8 };

/* A feature is called specific to a language from this share of its activation on. */
static const double specific_share = 0.9;

struct settings {
    const char *sae, *sentences, *activations, *data, *site, *without, *backend, *out;
    int64_t feature, min_firings, best, threads;
};

struct run {
    struct sae sae;
    struct parallel text;
    struct safetensors *file[2]; /* sentences, held-out rows */
    struct latents rows[2];
    int32_t *doc;           /* [rows of sentences] line of each row */
    int32_t *token, *group; /* [held-out rows]; group as in text.language, -1 for another language */
    struct llr llr;
    struct llr_sums sums;
    float *z;                  /* [held-out rows] activation of the feature asked for */
    double *most, *mean;       /* [docs] of that feature */
    uint32_t *fired_on, *last; /* [F,G] sentences on which a feature fires; [F] 1 + the last such line */
    uint32_t *ranked;          /* [n_ranked] features with enough firings, ascending */
    uint32_t *order, *rank;    /* [G,n_ranked] best first; [G,F] place from 1, 0 for one without */
    size_t n_ranked;
    char *record;
};

/* --- inputs --- */

static int column(const struct safetensors *f, const char *name, size_t N, int32_t **out, struct err *e) {
    const int64_t shape[] = {(int64_t)N};
    const struct safetensors_tensor *t;
    int rc = safetensors_get(f, name, ST_I32, 1, shape, &t, e);
    if (rc) return rc;
    *out = mem_array(N, sizeof **out, PROG ": rows", e);
    if (!*out) return ERR_MEMORY;
    memcpy(*out, t->data, N * sizeof **out); /* the map need not be aligned */
    return 0;
}

/* Row groups to the languages of the sentences; each of these must be there. */
static int match_groups(const struct settings *s, struct run *r, struct err *e) {
    const char *names = safetensors_meta(r->file[1], "groups");
    json_t *list = names ? json_loads(names, 0, NULL) : NULL;
    size_t n = json_array_size(list), seen[MOST_LANGUAGES] = {0};
    int rc = n ? 0 : err_set(e, ERR_FORMAT, "%s: metadata 'groups': want a JSON array of languages, got none", s->data);
    for (size_t i = 0; !rc && i < r->rows[1].N; i++) {
        int32_t g = r->group[i];
        if (g < 0 || (size_t)g >= n)
            rc = err_set(e, ERR_RANGE, "%s: row_group: row %zu: want 0 to %zu, got %d", s->data, i, n - 1, g);
        if (rc) break;
        const char *name = json_string_value(json_array_get(list, (size_t)g));
        r->group[i] = -1;
        for (size_t k = 0; name && k < r->text.G; k++)
            if (!strcmp(name, r->text.language[k])) r->group[i] = (int32_t)k, seen[k]++;
    }
    for (size_t k = 0; !rc && k < r->text.G; k++)
        if (!seen[k]) {
            rc = err_set(e, ERR_FORMAT, "%s: no rows in '%s', a language of %s", s->data, r->text.language[k],
                         s->sentences);
            err_hint(
                e, "held-out rows of every language of the sentences are needed; the folder of a text is its language");
        }
    json_decref(list);
    return rc;
}

/* The activations must be those of the sentences: lines 0 .. docs-1, each with rows, in order. */
static int match_docs(const struct settings *s, struct run *r, struct err *e) {
    size_t N = r->rows[0].N;
    int rc = column(r->file[0], "row_doc", N, &r->doc, e);
    for (size_t i = 0; !rc && i < N; i++) {
        int32_t before = i ? r->doc[i - 1] : 0;
        if (r->doc[i] != before && (!i || r->doc[i] != before + 1))
            rc = err_set(e, ERR_FORMAT, "%s: row_doc: row %zu: want document %d, got %d", s->activations, i, before,
                         r->doc[i]);
    }
    if (!rc && (size_t)r->doc[N - 1] + 1 != r->text.docs)
        rc = err_set(e, ERR_FORMAT, "%s: want the %zu documents of %s, got %d", s->activations, r->text.docs,
                     s->sentences, r->doc[N - 1] + 1);
    if (rc == ERR_FORMAT) err_hint(e, "tokenize %s without a split or a budget, and collect that", s->sentences);
    return rc;
}

static int open_all(const struct settings *s, struct run *r, struct err *e) {
    const char *path[2] = {s->activations, s->data};
    if (s->feature < 0 && !s->without) {
        err_set(e, ERR_USAGE, PROG ": want --feature or --without, got neither");
        return err_hint(e, "--without ar looks at the feature that every language but Arabic shares most");
    }
    int rc = parallel_read(&r->text, s->sentences, e);
    if (!rc && r->text.G > MOST_LANGUAGES)
        rc = err_set(e, ERR_RANGE, "%s: want at most %d languages, got %zu", s->sentences, MOST_LANGUAGES, r->text.G);
    if (!rc) rc = saefile_read(&r->sae, s->sae, e);
    if (!rc && s->feature >= (int64_t)r->sae.F)
        rc =
            err_set(e, ERR_RANGE, "--feature %lld: the SAE has features 0 to %zu", (long long)s->feature, r->sae.F - 1);
    for (int i = 0; !rc && i < 2; i++) rc = safetensors_open(&r->file[i], path[i], e);
    for (int i = 0; !rc && i < 2; i++)
        rc = latents_open(&r->rows[i], &r->sae, r->file[i], path[i], s->site, s->backend, e);
    if (!rc) rc = match_docs(s, r, e);
    if (!rc) rc = column(r->file[1], "row_token", r->rows[1].N, &r->token, e);
    if (!rc) rc = column(r->file[1], "row_group", r->rows[1].N, &r->group, e);
    return rc ? rc : match_groups(s, r, e);
}

static int allocate(struct run *r, struct err *e) {
    size_t F = r->sae.F, G = r->text.G;
    r->z = mem_array(r->rows[1].N, sizeof *r->z, PROG ": activations", e);
    r->most = mem_array(r->text.docs, sizeof *r->most, PROG ": sentences", e);
    r->mean = mem_array(r->text.docs, sizeof *r->mean, PROG ": sentences", e);
    r->fired_on = mem_array(F, G * sizeof *r->fired_on, PROG ": features", e);
    r->last = mem_array(F, sizeof *r->last, PROG ": features", e);
    r->ranked = mem_array(F, sizeof *r->ranked, PROG ": features", e);
    r->order = mem_array(F, G * sizeof *r->order, PROG ": features", e);
    r->rank = mem_array(F, G * sizeof *r->rank, PROG ": features", e);
    if (!r->z || !r->most || !r->mean || !r->fired_on || !r->last || !r->ranked || !r->order || !r->rank)
        return ERR_MEMORY;
    int rc = llr_init(&r->llr, r->rows[1].N, r->token, r->group, G, e);
    return rc ? rc : llr_sums_init(&r->sums, F, G, e);
}

/* --- the two passes --- */

static int fire_on_heldout(const struct settings *s, struct run *r, struct err *e) {
    struct latents *l = &r->rows[1];
    struct progress p;
    int rc = 0;
    progress_start(&p, PROG, "rows", l->N);
    for (size_t b0 = 0; !rc && b0 < l->N; b0 += LATENTS_BATCH) {
        size_t B = l->N - b0 < LATENTS_BATCH ? l->N - b0 : LATENTS_BATCH;
        rc = latents_read(l, b0, B, e);
        if (rc) break;
        llr_sums_add(&r->sums, &r->llr, B, l->active, r->token + b0, r->group + b0);
        for (size_t b = 0; b < B; b++)
            for (size_t q = l->active->row[b]; q < l->active->row[b + 1]; q++)
                if (l->active->feat[q] == s->feature) r->z[b0 + b] = l->active->pre[q];
        progress_show(&p, b0 + B, "");
    }
    progress_end(&p, l->N, "");
    return rc;
}

static int fire_on_sentences(const struct settings *s, struct run *r, const int32_t *language, struct err *e) {
    struct latents *l = &r->rows[0];
    size_t *n = mem_array(r->text.docs, sizeof *n, PROG ": sentences", e);
    int rc = n ? 0 : ERR_MEMORY;
    for (size_t b0 = 0; !rc && b0 < l->N; b0 += LATENTS_BATCH) {
        size_t B = l->N - b0 < LATENTS_BATCH ? l->N - b0 : LATENTS_BATCH;
        rc = latents_read(l, b0, B, e);
        for (size_t b = 0; !rc && b < B; b++) {
            size_t doc = (size_t)r->doc[b0 + b];
            n[doc]++;
            for (size_t q = l->active->row[b]; q < l->active->row[b + 1]; q++) {
                size_t f = l->active->feat[q];
                if (r->last[f] != doc + 1) r->fired_on[f * r->text.G + (size_t)language[doc]]++;
                r->last[f] = (uint32_t)doc + 1;
                if ((int64_t)f != s->feature) continue;
                r->most[doc] = fmax(r->most[doc], (double)l->active->pre[q]);
                r->mean[doc] += (double)l->active->pre[q];
            }
        }
    }
    for (size_t d = 0; !rc && d < r->text.docs; d++) r->mean[d] /= (double)n[d];
    free(n);
    return rc;
}

/* Language of every line. */
static int32_t *languages(const struct run *r, struct err *e) {
    int32_t *g = mem_array(r->text.docs, sizeof *g, PROG ": sentences", e);
    for (size_t i = 0; g && i < r->text.n * r->text.G; i++) g[r->text.doc[i]] = (int32_t)(i % r->text.G);
    return g;
}

/* The kind of feature that the authors looked at, one that all languages but one share: of all features, the one with the widest gap
 * between the sentences it fires on in the language left out and those in the next language; of equals the first. */
static int choose_shared(struct settings *s, struct run *r, struct err *e) {
    const size_t G = r->text.G;
    int64_t widest = INT64_MIN;
    size_t without = 0;
    while (without < G && strcmp(r->text.language[without], s->without)) without++;
    if (without == G) {
        err_set(e, ERR_USAGE, PROG ": --without %s: the sentences of %s are in no such language", s->without,
                s->sentences);
        return err_hint(e, "name one of their languages, or give --feature");
    }
    int32_t *language = languages(r, e);
    int rc = language ? fire_on_sentences(s, r, language, e) : ERR_MEMORY;
    for (size_t f = 0; !rc && f < r->sae.F; f++) {
        int64_t least = INT64_MAX;
        for (size_t g = 0; g < G; g++)
            if (g != without && r->fired_on[f * G + g] < least) least = r->fired_on[f * G + g];
        if (least - r->fired_on[f * G + without] > widest)
            widest = least - r->fired_on[f * G + without], s->feature = (int64_t)f;
    }
    memset(r->fired_on, 0, r->sae.F * G * sizeof *r->fired_on);
    memset(r->last, 0, r->sae.F * sizeof *r->last);
    free(language);
    return rc;
}

/* --- ranking --- */

static int rank_all(const struct settings *s, struct run *r, struct err *e) {
    size_t F = r->sae.F, n = 0;
    struct ranks_item *all = mem_array(F, sizeof *all, PROG ": features", e);
    if (!all) return ERR_MEMORY;
    for (size_t f = 0; f < F; f++)
        if (r->sums.fired[f] && r->sums.fired[f] >= (uint64_t)s->min_firings) r->ranked[n++] = (uint32_t)f;
    r->n_ranked = n;
    for (size_t g = 0; g < r->text.G; g++) {
        for (size_t i = 0; i < n; i++)
            all[i] = (struct ranks_item){llr_by_token(&r->sums, r->ranked[i], g), r->ranked[i]};
        ranks_sort(n, all);
        for (size_t i = 0; i < n; i++) {
            r->order[g * n + i] = all[i].index;
            r->rank[g * F + all[i].index] = (uint32_t)i + 1;
        }
    }
    free(all);
    if (n) return 0;
    err_set(e, ERR_RANGE, "--min-firings %lld: no feature fires so often on %zu rows", (long long)s->min_firings,
            r->rows[1].N);
    return err_hint(e, "give fewer, or more held-out rows");
}

/* --- output --- */

static json_t *number(double x) { return jsonfile_number(x, 17); }
static json_t *whole(uint64_t n) { return json_integer((json_int_t)n); }

/* {"ar": value(ctx, f, 0), …} */
static json_t *by_language(const struct run *r, json_t *(*value)(const struct run *, size_t, size_t), size_t at) {
    json_t *o = json_object();
    for (size_t g = 0; g < r->text.G; g++) o = jsonfile_with(o, "%s=%p", r->text.language[g], value(r, at, g));
    return o;
}

static json_t *token_score(const struct run *r, size_t f, size_t g) {
    return r->sums.fired[f] ? number(llr_by_token(&r->sums, f, g)) : json_null();
}
static json_t *share_score(const struct run *r, size_t f, size_t g) {
    return r->sums.fired[f] ? number(llr_by_share(&r->sums, f, g)) : json_null();
}
static json_t *z_share(const struct run *r, size_t f, size_t g) {
    return r->sums.fired[f] ? number(r->sums.z_group[f * r->text.G + g] / r->sums.z[f]) : json_null();
}
static json_t *sentences_fired(const struct run *r, size_t f, size_t g) {
    return whole(r->fired_on[f * r->text.G + g]);
}
static json_t *place(const struct run *r, size_t f, size_t g) {
    uint32_t at = r->rank[g * r->sae.F + f];
    return at ? whole(at) : json_null();
}
static json_t *rows_of(const struct run *r, size_t at, size_t g) {
    (void)at;
    return whole((uint64_t)llround((double)r->llr.n_rows / ((double)r->text.G * r->llr.row[g])));
}

static json_t *feature_json(const struct run *r, size_t f) {
    json_t *o =
        jsonfile_object("feature=%zu firings=%zu llr_token=%p llr_share=%p activation_share=%p rank=%p "
                        "sentences_fired=%p",
                        f, r->sums.fired[f], by_language(r, token_score, f), by_language(r, share_score, f),
                        by_language(r, z_share, f), by_language(r, place, f), by_language(r, sentences_fired, f));
    return o;
}

static json_t *texts(const struct run *r, size_t s, size_t g) {
    return json_stringn(r->text.text[s * r->text.G + g], r->text.n_bytes[s * r->text.G + g]);
}
static json_t *most(const struct run *r, size_t s, size_t g) { return number(r->most[r->text.doc[s * r->text.G + g]]); }
static json_t *mean(const struct run *r, size_t s, size_t g) { return number(r->mean[r->text.doc[s * r->text.G + g]]); }

static json_t *sentences_json(const struct run *r) {
    json_t *list = json_array();
    for (size_t s = 0; s < r->text.n; s++) {
        json_t *o = jsonfile_object("id=%s max=%p mean=%p text=%p", r->text.id[s], by_language(r, most, s),
                                    by_language(r, mean, s), by_language(r, texts, s));
        list = jsonfile_with(list, "%p", o);
    }
    return list;
}

/* Of the asked feature's largest activations in the sentences: on how many it fires, and their mean, of the digits that are written. */
static json_t *sentences_summary(const struct run *r, const json_t *sentences) {
    json_t *fired = json_object(), *mean_of = json_object();
    for (size_t g = 0; g < r->text.G; g++) {
        double sum = 0;
        size_t on = 0;
        for (size_t s = 0; s < r->text.n; s++) {
            const json_t *most_of = json_object_get(json_array_get(sentences, s), "max");
            double z = json_number_value(json_object_get(most_of, r->text.language[g]));
            sum += z, on += z > 0;
        }
        fired = jsonfile_with(fired, "%s=%zu", r->text.language[g], on);
        mean_of = jsonfile_with(mean_of, "%s=%.9g", r->text.language[g], sum / (double)r->text.n);
    }
    return jsonfile_object("fired=%p mean_activation=%p", fired, mean_of);
}

/* The table of Figure 8: for a language the sentences on which the feature is most active. */
static json_t *top_json(const struct run *r, size_t at, size_t g) {
    json_t *list = json_array();
    char taken[PARALLEL_MOST] = {0};
    (void)at;
    for (size_t k = 0; k < TOP_SENTENCES && k < r->text.n; k++) {
        size_t best = r->text.n;
        for (size_t s = 0; s < r->text.n; s++) {
            double z = r->most[r->text.doc[s * r->text.G + g]];
            if (!taken[s] && (best == r->text.n || z > r->most[r->text.doc[best * r->text.G + g]])) best = s;
        }
        taken[best] = 1;
        json_t *o =
            jsonfile_object("id=%s activation=%p text=%p", r->text.id[best], most(r, best, g), texts(r, best, g));
        list = jsonfile_with(list, "%p", o);
    }
    return list;
}

struct interval {
    size_t m, by[MOST_LANGUAGES];   /* rows; of each language */
    double u, u_by[MOST_LANGUAGES]; /* their weights, llr.h */
    double token[MOST_LANGUAGES];   /* sum of u llr_g(t) */
};

static json_t *interval_json(const struct run *r, const struct interval *v, double lo, double hi) {
    json_t *o = json_object(), *rows = json_object(), *t = json_object(), *s = json_object();
    for (size_t g = 0; g < r->text.G; g++) {
        const char *name = r->text.language[g];
        double share = v->m ? llr_share((double)v->m, v->u_by[g] / v->u, r->text.G) : NAN;
        rows = jsonfile_with(rows, "%s=%zu", name, v->by[g]);
        t = jsonfile_with(t, "%s=%.17g", name, v->m ? v->token[g] / v->u : NAN);
        s = jsonfile_with(s, "%s=%.17g", name, share);
    }
    o = jsonfile_with(o, "above=%.17g up_to=%.17g n_rows=%zu rows=%p llr_token=%p llr_share=%p", lo, hi, v->m, rows, t,
                      s);
    return o;
}

/* Activation of the feature asked for in equal steps up to its largest; what fires in each, by language. */
static json_t *intervals_json(const struct run *r) {
    struct interval v[INTERVALS] = {{0}};
    size_t N = r->rows[1].N, G = r->text.G;
    double top = 0;
    for (size_t i = 0; i < N; i++) top = fmax(top, (double)r->z[i]);
    for (size_t i = 0; i < N; i++) {
        if (!(r->z[i] > 0) || r->group[i] < 0) continue;
        size_t at = (size_t)ceil((double)r->z[i] / top * INTERVALS), g = (size_t)r->group[i];
        struct interval *k = &v[at ? at - 1 : 0];
        k->m++, k->by[g]++;
        k->u += r->llr.row[g], k->u_by[g] += r->llr.row[g];
        for (size_t h = 0; h < G; h++) k->token[h] += r->llr.row[g] * r->llr.token[(size_t)r->token[i] * G + h];
    }
    json_t *list = json_array();
    for (size_t k = 0; k < INTERVALS; k++)
        list = jsonfile_with(list, "%p",
                             interval_json(r, &v[k], top * (double)k / INTERVALS, top * (double)(k + 1) / INTERVALS));
    return list;
}

/* All ranked features, by number: columns as long as "feature". */
static json_t *ranking_json(const struct run *r) {
    static const char *const key[3] = {"llr_token", "llr_share", "sentences_fired"};
    json_t *(*const value[3])(const struct run *, size_t, size_t) = {token_score, share_score, sentences_fired};
    json_t *o = json_object(), *id = json_array(), *n = json_array();
    for (size_t i = 0; i < r->n_ranked; i++) {
        id = jsonfile_with(id, "%u", r->ranked[i]);
        n = jsonfile_with(n, "%zu", r->sums.fired[r->ranked[i]]);
    }
    o = jsonfile_with(o, "feature=%p firings=%p", id, n);
    for (int k = 0; k < 3; k++) {
        json_t *c = json_object();
        for (size_t g = 0; g < r->text.G; g++) {
            json_t *a = json_array();
            for (size_t i = 0; i < r->n_ranked; i++) a = jsonfile_with(a, "%p", value[k](r, r->ranked[i], g));
            c = jsonfile_with(c, "%s=%p", r->text.language[g], a);
        }
        o = jsonfile_with(o, "%s=%p", key[k], c);
    }
    return o;
}

static json_t *specific(const struct run *r, size_t at, size_t g) {
    size_t n = 0;
    (void)at;
    for (size_t i = 0; i < r->n_ranked; i++) {
        size_t f = r->ranked[i];
        n += r->sums.z_group[f * r->text.G + g] >= specific_share * r->sums.z[f];
    }
    return whole(n);
}

/* How many of the first n features of language `from` fire on a sentence of language g, on average: a share of the
 * sentences. */
static json_t *transfer_json(const struct run *r, size_t n) {
    json_t *o = json_object();
    for (size_t from = 0; from < r->text.G; from++) {
        json_t *row = json_object();
        for (size_t g = 0; g < r->text.G; g++) {
            double sum = 0;
            for (size_t i = 0; i < n; i++) sum += r->fired_on[r->order[from * r->n_ranked + i] * r->text.G + g];
            row = jsonfile_with(row, "%s=%.17g", r->text.language[g], sum / (double)(n * r->text.n));
        }
        o = jsonfile_with(o, "%s=%p", r->text.language[from], row);
    }
    return o;
}

/* Ranked features by the set of languages in which they fire on at least one sentence: "en+zh". */
static json_t *patterns_json(const struct run *r) {
    size_t n[1 << MOST_LANGUAGES] = {0};
    json_t *o = json_object();
    for (size_t i = 0; i < r->n_ranked; i++) {
        size_t set = 0;
        for (size_t g = 0; g < r->text.G; g++) set |= (size_t)(r->fired_on[r->ranked[i] * r->text.G + g] > 0) << g;
        n[set]++;
    }
    for (size_t set = 0; set < (size_t)1 << r->text.G; set++) {
        char name[MOST_LANGUAGES * (PARALLEL_NAME + 1)] = "";
        for (size_t g = 0; g < r->text.G; g++)
            if (set >> g & 1) {
                if (*name) strcat(name, "+");
                strcat(name, r->text.language[g]);
            }
        o = jsonfile_with(o, "%s=%zu", *name ? name : "none", n[set]);
    }
    return o;
}

static json_t *best_json(const struct run *r, size_t n, size_t g) {
    json_t *list = json_array();
    for (size_t i = 0; i < n && i < r->n_ranked; i++)
        list = jsonfile_with(list, "%p", feature_json(r, r->order[g * r->n_ranked + i]));
    return list;
}

static json_t *report(const struct settings *s, const struct run *r) {
    json_t *o = json_object(), *names = json_array();
    size_t best = (size_t)s->best < r->n_ranked ? (size_t)s->best : r->n_ranked;
    for (size_t g = 0; g < r->text.G; g++) names = jsonfile_with(names, "%s", r->text.language[g]);
    o = jsonfile_with(o,
                      "site=%s languages=%p n_sentences=%zu n_rows=%zu rows=%p proxies=%p width=%zu "
                      "min_firings=%lld n_ranked=%zu",
                      s->site, names, r->text.n, r->rows[1].N, by_language(r, rows_of, 0),
                      jsonfile_object("llr_token=%s llr_share=%s",
                                      "log of the token's frequency in the language over its mean frequency in all; "
                                      "mean over rows, weighted by activation",
                                      "log of the language's share of the activation over 1 / languages"),
                      r->sae.F, (long long)s->min_firings, r->n_ranked);
    o = jsonfile_with(o, "specific_share=%.17g specific=%p asked=%p top=%p intervals=%p sentences=%p", specific_share,
                      by_language(r, specific, 0), feature_json(r, (size_t)s->feature), by_language(r, top_json, 0),
                      intervals_json(r), sentences_json(r));
    o = jsonfile_with(o, "on_sentences=%p n_best=%zu transfer=%p patterns=%p best=%p ranking=%p record=%p",
                      sentences_summary(r, json_object_get(o, "sentences")), best, transfer_json(r, best),
                      patterns_json(r), by_language(r, best_json, best), ranking_json(r),
                      json_loads(r->record, 0, NULL));
    return o;
}

static void run_free(struct run *r) {
    for (int i = 0; i < 2; i++) {
        latents_close(&r->rows[i]);
        safetensors_close(r->file[i]);
    }
    llr_free(&r->llr);
    llr_sums_free(&r->sums);
    parallel_free(&r->text);
    free(r->doc), free(r->token), free(r->group), free(r->z), free(r->most), free(r->mean);
    free(r->fired_on), free(r->last), free(r->ranked), free(r->order), free(r->rank), free(r->record);
    sae_free(&r->sae);
}

static int compute(const struct settings *s, struct run *r, struct err *e) {
    int32_t *language = languages(r, e);
    int rc = language ? fire_on_heldout(s, r, e) : ERR_MEMORY;
    if (!rc) rc = rank_all(s, r, e);
    if (!rc) rc = fire_on_sentences(s, r, language, e);
    free(language);
    return rc;
}

static int write_out(const struct settings *s, const struct run *r, struct err *e) {
    json_t *o = report(s, r);
    return jsonfile_write_new(s->out, o, e);
}

int main(int argc, char **argv) {
    struct settings s = {0};
    struct run r = {0};
    struct err e = {0};
    const struct opt table[] = {
        {"sae", OPT_INPUT, &s.sae, NULL, 0, 0, NULL, NULL, "folder of an SAE, from train or SAELens", false},
        {"sentences", OPT_INPUT, &s.sentences, NULL, 0, 0, NULL, NULL,
         "parallel sentences (.jsonl): id, language, text", false},
        {"activations", OPT_INPUT, &s.activations, NULL, 0, 0, NULL, NULL, "collect's file of the sentences", false},
        {"data", OPT_INPUT, &s.data, NULL, 0, 0, NULL, NULL, "held-out activations, from collect", false},
        {"site", OPT_TEXT, &s.site, NULL, 0, 0, NULL, NULL, "tensor to take: mlp_post", false},
        {"feature", OPT_INT, &s.feature, "-1", -1, INT32_MAX, NULL, "1",
         "the feature to look at, from 0; -1: chosen by --without", false},
        {"without", OPT_TEXT, &s.without, "", 0, 0, NULL, NULL,
         "language that the chosen feature lacks while all others share it", false},
        {"min-firings", OPT_INT, &s.min_firings, NULL, 1, 1e12, NULL, "rows", "features with fewer are not ranked",
         false},
        {"best", OPT_INT, &s.best, NULL, 1, 1000, NULL, "features",
         "of each language to list and to try on the sentences", false},
        STAGE_BACKEND(&s.backend),
        STAGE_THREADS(&s.threads),
        STAGE_OUT(&s.out, "JSON file to write"),
    };
    const struct stage me = {PROG, "measure how specific an SAE's features are to languages", OPT_TABLE(table)};
    int rc = stage_start(&me, argc, argv, &e);

    double start_s = clock_s();
    if (!rc) rc = open_all(&s, &r, &e);
    if (!rc) rc = stage_record(&me, &r.record, &e);

    if (!rc) rc = allocate(&r, &e);
    if (!rc && s.feature < 0) rc = choose_shared(&s, &r, &e);
    if (!rc) rc = compute(&s, &r, &e);
    if (!rc) rc = write_out(&s, &r, &e);

    if (!rc)
        stage_done(PROG,
                   "%s: %zu sentences in %zu languages; feature %lld fires on %llu of %zu rows; %zu of %zu features "
                   "ranked; %.2f s",
                   s.out, r.text.n, r.text.G, (long long)s.feature, (unsigned long long)r.sums.fired[s.feature],
                   r.rows[1].N, r.n_ranked, r.sae.F, clock_s() - start_s);
    run_free(&r);
    return stage_end(&me, rc, &e);
}
