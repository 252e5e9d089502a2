/* test_cooccur.c - chunks of text, the firing artifact, and the stages cooccur, cluster and lobes from their command lines.
 * The command-line cases need build/bin/ and are skipped without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>

#include "lib/analysis/clusterfile.h"
#include "lib/analysis/chunks.h"
#include "lib/base/outdir.h"
#include "lib/base/rng.h"
#include "lib/file/jsonfile.h"
#include "lib/file/safetensors.h"
#include "lib/sae/saefile.h"

#define DIR     "build/tmp/cooccur"
#define PLANTED "tests/fixtures/analysis/planted.safetensors"

static const char *const names[2] = {"en", "zh"};

/* rows:   0  1  2  3  4  5  6  7  8  9 10
 * group   0  0  1  0  0  1  1  1  0  0  1
 * doc     0  0  1  2  2  3  3  3  4  4  5 */
static const int32_t row_group[11] = {0, 0, 1, 0, 0, 1, 1, 1, 0, 0, 1}, row_doc[11] = {0, 0, 1, 2, 2, 3, 3, 3, 4, 4, 5};

static void plans(void **state) {
    const struct cooccur_rows rows = {11, row_group, row_doc, 2};
    const int32_t span[11] = {0, 0, 2, 0, 1, 2, 2, -1, 1, 1, -1};    /* 3 rows a chunk, documents ignored */
    const int32_t within[11] = {0, 0, -1, 1, 1, 3, 3, -1, 2, 2, -1}; /* 2 rows a chunk, one document each */
    const int32_t first[11] = {0, 0, 2, 1, 1, 2, 3, 3, -1, -1, -1};  /* 2 rows, the first 2 of each group */
    struct chunks_plan p;
    struct err e = {0};
    (void)state;
    assert_int_equal(chunks_plan(&rows, 3, 0, false, names, &p, &e), 0);
    assert_true(p.chunks == 3 && p.rows == 9 && p.found[0] == 2 && p.found[1] == 1);
    assert_memory_equal(p.chunk, span, sizeof span);
    chunks_plan_free(&p);
    assert_int_equal(chunks_plan(&rows, 2, 0, true, names, &p, &e), 0);
    assert_true(p.chunks == 4);
    assert_memory_equal(p.chunk, within, sizeof within);
    chunks_plan_free(&p);
    assert_int_equal(chunks_plan(&rows, 2, 2, false, names, &p, &e), 0);
    assert_true(p.chunks == 4);
    assert_memory_equal(p.chunk, first, sizeof first);
    chunks_plan_free(&p);
    assert_int_equal(chunks_plan(&rows, 3, 2, false, names, &p, &e), ERR_RANGE);
    assert_string_equal(e.text, "group zh: want 2 chunks of 3 tokens, found 1");
    assert_non_null(strstr(e.hint, "at most 1"));
    assert_int_equal(chunks_plan(&rows, 6, 0, false, names, &p, &e), ERR_RANGE); /* a group without any chunk */
    assert_non_null(strstr(e.text, "group zh: want 1 chunks of 6 tokens, found 0"));
    const int32_t bad[2] = {0, 2};
    const struct cooccur_rows wrong = {2, bad, row_doc, 2};
    assert_int_equal(chunks_plan(&wrong, 1, 0, false, names, &p, &e), ERR_RANGE);
    assert_non_null(strstr(e.text, "row 1: want 0 to 1, got 2"));
}

static void fill(struct firing *m, size_t F, size_t C) {
    struct err e;
    assert_int_equal(firing_init(m, F, C, 2, &e), 0);
    for (size_t f = 0; f < F; f++)
        for (size_t c = 0; c < C; c++)
            if (rng_uniform(1, f, c) < 0.3) firing_set(m, f, c);
    for (size_t c = 0; c < C; c++) m->group[c] = (int32_t)(c % 2);
    firing_count(m);
}

static void round_trip(void **state) {
    const size_t chunks[] = {1, 31, 32, 33, 64, 65, 1000};
    struct err e = {0};
    (void)state;
    assert_int_equal(outdir_make(DIR, &e), 0);
    for (size_t i = 0; i < 7; i++) {
        struct firing a, b;
        char *groups;
        fill(&a, 5, chunks[i]);
        assert_int_equal(firing_write(&a, DIR "/f.safetensors", "[\"en\", \"zh\"]", "{}", 256, &e), 0);
        assert_int_equal(firing_read(&b, DIR "/f.safetensors", &groups, &e), 0);
        assert_true(a.F == b.F && a.chunks == b.chunks && a.words == b.words && b.n_groups == 2);
        assert_string_equal(groups, "[\"en\", \"zh\"]");
        assert_memory_equal(a.bits, b.bits, a.F * a.words * 8);
        assert_memory_equal(a.count, b.count, a.F * 4);
        assert_memory_equal(a.group, b.group, a.chunks * 4);
        for (size_t f = 0; f < 5; f++) {
            uint32_t n = 0;
            for (size_t c = 0; c < a.chunks; c++) n += firing_get(&a, f, c);
            assert_int_equal(n, a.count[f]);
        }
        free(groups), firing_free(&a), firing_free(&b);
    }
    assert_int_equal(firing_init(&(struct firing){0}, 5, 0, 1, &e), ERR_RANGE);
    assert_int_equal(firing_init(&(struct firing){0}, SIZE_MAX / 16, 100, 1, &e), ERR_MEMORY);
}

/* Files that contradict themselves. */
static void lying_files(void **state) {
    const struct {
        size_t bit_feature, bit_chunk, count_feature, group_chunk;
        const char *groups, *text;
    } t[] = {
        {2, 70, 9, 99, "[\"en\", \"zh\"]", "feature 2 has a bit past the last of 70 chunks"},
        {9, 0, 3, 99, "[\"en\", \"zh\"]", "count: feature 3: want"},
        {9, 0, 9, 40, "[\"en\", \"zh\"]", "chunk_group: chunk 40: want 0 to 1, got 7"},
        {9, 0, 9, 99, "{}", "metadata groups"},
        {9, 0, 9, 99, "[]", "metadata groups"},
    };
    struct err e = {0};
    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct firing a, b;
        fill(&a, 5, 70);
        if (t[i].bit_feature < 5) firing_set(&a, t[i].bit_feature, t[i].bit_chunk);
        if (t[i].count_feature < 5) a.count[t[i].count_feature]++;
        if (t[i].group_chunk < 70) a.group[t[i].group_chunk] = 7;
        assert_int_equal(firing_write(&a, DIR "/bad.safetensors", t[i].groups, "{}", 256, &e), 0);
        assert_int_equal(firing_read(&b, DIR "/bad.safetensors", NULL, &e), ERR_FORMAT);
        if (!strstr(e.text, t[i].text)) fail_msg("want '%s' in '%s'", t[i].text, e.text);
        firing_free(&a);
    }
}

/* ---- the stages ---- */

static int have_programs(void) {
    return !access("build/bin/cooccur", X_OK) && !access("build/bin/cluster", X_OK) && !access("build/bin/lobes", X_OK);
}

/* Run a program with its stderr in DIR/err; returns the exit status. */
static int run(const char *args) {
    char cmd[1024];
    snprintf(cmd, sizeof cmd, "build/bin/%s 2>" DIR "/err", args);
    int rc = system(cmd);
    return WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

static void said(const char *want) {
    char text[2048] = {0};
    FILE *f = fopen(DIR "/err", "rb");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    if (!n || !strstr(text, want)) fail_msg("want '%s' in '%s'", want, text);
}

static void same_file(const char *a, const char *b) {
    char cmd[512];
    snprintf(cmd, sizeof cmd, "cmp %s %s", a, b);
    assert_int_equal(system(cmd), 0);
}

static json_t *load(const char *path) {
    json_t *o;
    struct err e = {0};
    assert_int_equal(jsonfile_read(path, &o, &e), 0);
    return o;
}

static int64_t entry(const json_t *o, const char *key, size_t i) {
    return json_integer_value(json_array_get(json_object_get(o, key), i));
}

enum { D = 8, F = 12, N = 50 };

/* An SAE and rows in which the firing can be worked out: W_enc = picks of coordinates, threshold 0.5. */
static void write_inputs(float x[N][D], float nan_at) {
    struct sae s;
    struct stwriter *w;
    struct err e = {0};
    int32_t token[N] = {0}, doc[N], group[N];
    const int64_t rows[2] = {N, D}, col[1] = {N};
    assert_int_equal(sae_init(&s, SAE_JUMPRELU, D, F, &e), 0);
    for (size_t f = 0; f < F; f++) {
        s.W_enc[f * D + f % D] = f < D ? 1 : -1;
        s.W_dec[f * D + f % D] = 1, s.W_dec[f * D + (f + 3) % D] += f < D ? 0.5f : -0.7f;
        s.theta[f] = f == 10 ? 1e9f : 0.5f; /* never fires */
        s.b_enc[f] = f == 11 ? 100 : 0;     /* always */
    }
    assert_int_equal(outdir_make(DIR "/sae", &e), 0);
    assert_int_equal(saefile_write(&s, DIR "/sae", "L0R", "none", 16, "{}", &e), 0);
    sae_free(&s);
    for (size_t i = 0; i < N; i++) {
        group[i] = i % 10 >= 5, doc[i] = (int32_t)(i / 5);
        for (size_t d = 0; d < D; d++) x[i][d] = (float)rng_normal(3, i, d) * 0.4f;
    }
    if (isnan(nan_at)) x[7][2] = nan_at;
    assert_int_equal(stwriter_open(&w, DIR "/rows.safetensors", &e), 0);
    assert_int_equal(stwriter_meta(w, "groups", "[\"en\", \"zh\"]", &e), 0);
    int a = stwriter_declare(w, "L0R", ST_F32, 2, rows, &e), b = stwriter_declare(w, "row_token", ST_I32, 1, col, &e);
    int c = stwriter_declare(w, "row_doc", ST_I32, 1, col, &e),
        d = stwriter_declare(w, "row_group", ST_I32, 1, col, &e);
    assert_int_equal(stwriter_write(w, a, 0, x, N * D * 4, &e) | stwriter_write(w, b, 0, token, N * 4, &e), 0);
    assert_int_equal(stwriter_write(w, c, 0, doc, N * 4, &e) | stwriter_write(w, d, 0, group, N * 4, &e), 0);
    assert_int_equal(stwriter_commit(w, &e), 0);
}

#define COOCCUR "cooccur --sae " DIR "/sae --data " DIR "/rows.safetensors --site L0R --chunk-tokens 4 "

static void cooccur_stage(void **state) {
    static float x[N][D];
    struct firing m;
    struct err e = {0};
    (void)state;
    if (!have_programs()) skip();
    write_inputs(x, 0);
    assert_int_equal(run(COOCCUR "--chunks-per-group 6 --out " DIR "/c.safetensors"), 0);
    assert_int_equal(firing_read(&m, DIR "/c.safetensors", NULL, &e), 0);
    assert_true(m.F == F && m.chunks == 12 && m.count[10] == 0 && m.count[11] == 12);
    for (size_t g = 0; g < 2;
         g++) /* chunk t of a group: its rows 4t .. 4t+3; row r of a group is row 10 (r/5) + r%5 + 5g of all */
        for (size_t t = 0; t < 6; t++)
            for (size_t f = 0; f < F - 1; f++) {
                int fires = 0;
                for (size_t r = 4 * t; r < 4 * t + 4; r++) {
                    float v = x[10 * (r / 5) + r % 5 + 5 * g][f % D] * (f < D ? 1 : -1);
                    fires |= v > (f == 10 ? 1e9f : 0.5f);
                }
                assert_int_equal(firing_get(&m, f, 6 * g + t), fires);
                assert_int_equal(m.group[6 * g + t], g);
            }
    firing_free(&m);
    assert_int_equal(run(COOCCUR "--chunks-per-group 6 --threads 1 --backend cpu --out " DIR "/c1.safetensors"), 0);
    same_file(DIR "/c.safetensors", DIR "/c1.safetensors");
    assert_int_equal(run(COOCCUR "--chunks-per-group 7 --out " DIR "/no.safetensors"), 1);
    said("group en: want 7 chunks of 4 tokens, found 6");
    said("hint: ");
    assert_int_equal(access(DIR "/no.safetensors", F_OK), -1);
    assert_int_equal(run(COOCCUR "--chunks-per-group 0 --chunk-documents within --out " DIR "/w.safetensors"), 0);
    said("10 chunks"); /* 5 documents of 5 rows a group, one chunk of 4 in each */
    assert_int_equal(
        run("cooccur --sae " DIR "/sae --data " DIR "/rows.safetensors --site L1R --chunk-tokens 4 --out " DIR "/no"),
        1);
    said("L1R");
    assert_int_equal(run(COOCCUR "--chunk-documents maybe --out " DIR "/no"), 2);
    write_inputs(x, NAN);
    assert_int_equal(run(COOCCUR "--chunks-per-group 6 --out " DIR "/no"), 1);
    said("L0R: row 7: want finite numbers, got NaN");
}

static void cluster_stage(void **state) {
    struct err e = {0};
    (void)state;
    if (!have_programs()) skip();
    const char *const kinds[] = {"phi", "smc", "jaccard", "dice", "overlap"};
    for (int i = 0; i < 5; i++) {
        char cmd[512];
        size_t k, n;
        int32_t *label;
        snprintf(cmd, sizeof cmd, "cluster --in " PLANTED " --affinity %s --k 3 --threads 2 --out " DIR "/k.json",
                 kinds[i]);
        assert_int_equal(run(cmd), 0);
        snprintf(cmd, sizeof cmd, "cluster --in " PLANTED " --affinity %s --k 3 --threads 1 --out " DIR "/k1.json",
                 kinds[i]);
        assert_int_equal(run(cmd), 0);
        same_file(DIR "/k.json", DIR "/k1.json");
        json_t *o = load(DIR "/k.json");
        assert_int_equal(json_array_size(json_object_get(o, "never")), 4);
        assert_int_equal(json_array_size(json_object_get(o, "always")), 3);
        assert_int_equal(json_array_size(json_object_get(o, "masked")), 0);
        assert_int_equal(json_array_size(json_object_get(o, "notes")), 0);
        assert_int_equal(json_array_size(json_object_get(o, "eigenvalues")), 16);
        assert_int_equal(entry(o, "always", 0), 4);
        assert_int_equal(entry(o, "sizes", 0) + entry(o, "sizes", 1) + entry(o, "sizes", 2), 413);
        assert_int_equal(json_integer_value(json_object_get(o, "eigengap_k")), 3);
        json_decref(o);
        assert_int_equal(clusterfile_read(DIR "/k.json", 420, &k, &label, &n, &e), 0);
        assert_true(k == 3 && n == 420 && label[0] == -1 && label[6] == -1 && label[7] >= 0 && label[10] == label[11]);
        free(label);
        assert_int_equal(clusterfile_read(DIR "/k.json", 419, &k, &label, &n, &e), ERR_SHAPE);
    }
    assert_int_equal(run("cluster --in " PLANTED " --affinity phi --k 2 --min-count 80 --out " DIR "/k.json"), 0);
    json_t *o = load(DIR "/k.json");
    size_t masked = json_array_size(json_object_get(o, "masked"));
    assert_in_range(masked, 1, 400);
    assert_non_null(strstr(json_string_value(json_array_get(json_object_get(o, "notes"), 0)), "were masked"));
    json_decref(o);
}

/* Too many clusters, everything masked, one chunk, a lone cluster: an error with the numbers, or a note. */
static void cluster_edges(void **state) {
    struct firing m;
    struct err e = {0};
    (void)state;
    if (!have_programs()) skip();
    assert_int_equal(run("cluster --in " PLANTED " --affinity phi --k 414 --out " DIR "/no.json"), 1);
    said("want at least 414 features for 414 clusters, got 413 of 420: 4 never fire, 3 always, 0 masked");
    assert_int_equal(run("cluster --in " PLANTED " --affinity phi --k 2 --min-count 151 --out " DIR "/no.json"), 1);
    said("got 0 of 420");
    said("hint: lower --k or --min-count");
    assert_int_equal(run("cluster --in " PLANTED " --affinity phi --k 1 --out " DIR "/no.json"), 2);
    assert_int_equal(run("cluster --in " PLANTED " --k 2 --affinity cosine --out " DIR "/no.json"), 2);
    assert_int_equal(access(DIR "/no.json", F_OK), -1);
    fill(&m, 20, 1);
    assert_int_equal(firing_write(&m, DIR "/one.safetensors", "[\"en\", \"zh\"]", "{}", 256, &e), 0);
    firing_free(&m);
    assert_int_equal(run("cluster --in " DIR "/one.safetensors --affinity phi --k 2 --out " DIR "/no.json"), 1);
    said("hint: with one chunk");
    fill(&m, 30, 64); /* two features apart from the rest: said aloud */
    for (size_t f = 0; f < 30; f++)
        for (size_t c = 0; c < 64; c++) m.bits[f * m.words] &= ~(((uint64_t)1 << c) * ((f < 2) != (c < 8)));
    firing_set(&m, 0, 0), firing_set(&m, 1, 0);
    firing_count(&m);
    assert_int_equal(firing_write(&m, DIR "/two.safetensors", "[\"en\", \"zh\"]", "{}", 256, &e), 0);
    firing_free(&m);
    assert_int_equal(run("cluster --in " DIR "/two.safetensors --k 2 --affinity jaccard --out " DIR "/two.json"), 0);
    json_t *o = load(DIR "/two.json"), *notes = json_object_get(o, "notes");
    assert_string_equal(json_string_value(json_array_get(notes, 0)), "cluster 1 has 2 features");
    assert_non_null(strstr(json_string_value(json_array_get(notes, 1)), "falls into 2 parts"));
    json_decref(o);
}

static void lobes_stage(void **state) {
    static float x[N][D];
    (void)state;
    if (!have_programs()) skip();
    write_inputs(x, 0);
    assert_int_equal(run(COOCCUR "--chunks-per-group 6 --out " DIR "/c.safetensors"), 0);
    assert_int_equal(run("cluster --in " DIR "/c.safetensors --affinity phi --k 2 --out " DIR "/k.json"), 0);
#define LOBES "lobes --cluster " DIR "/k.json --cooccur " DIR "/c.safetensors --sae " DIR "/sae --permutations 50 "
    assert_int_equal(run(LOBES "--threads 2 --out " DIR "/l.json"), 0);
    assert_int_equal(run(LOBES "--threads 1 --out " DIR "/l1.json"), 0);
    same_file(DIR "/l.json", DIR "/l1.json");
    json_t *o = load(DIR "/l.json"), *k = load(DIR "/k.json"), *h = json_object_get(o, "histogram");
    int64_t won = 0;
    for (size_t l = 0; l < 2; l++)
        for (size_t g = 0; g < 2; g++) won += json_integer_value(json_array_get(json_array_get(h, l), g));
    assert_int_equal(won, 12);
    for (size_t f = 0; f < F; f++) {
        int64_t label = entry(k, "label", f);
        assert_int_equal(entry(o, "feature_group", f), label < 0 ? -1 : entry(o, "lobe_group", (size_t)label));
    }
    const char *const all[] = {"purity", "purity_10", "language_purity", "ami", "ari", "chunk_purity", "ami_angular"};
    for (int i = 0; i < 7; i++) {
        json_t *s = json_object_get(json_object_get(o, "statistics"), all[i]);
        assert_true(json_is_number(json_object_get(s, "value")));
        assert_int_equal(json_integer_value(json_object_get(s, "n_permutations")), 50);
    }
    json_decref(o), json_decref(k);
    assert_int_equal(run("lobes --cluster " DIR "/k.json --cooccur " PLANTED " --sae " DIR
                         "/sae --permutations 50 --out " DIR "/no.json"),
                     1);
    said("label: want 420 entries, one a feature, got 12");
    assert_int_equal(run("lobes --cluster tests/fixtures/analysis/planted.json --cooccur " DIR
                         "/c.safetensors --sae " DIR "/sae --permutations 50 --out " DIR "/no.json"),
                     1);
    said("key 'k'");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans),         cmocka_unit_test(round_trip),    cmocka_unit_test(lying_files),
        cmocka_unit_test(cooccur_stage), cmocka_unit_test(cluster_stage), cmocka_unit_test(cluster_edges),
        cmocka_unit_test(lobes_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
