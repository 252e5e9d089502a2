/* analysis_data.c - the data on which bench_analysis and its peers are timed: made once from a seed, at the papers' size.
 *
 *   analysis_data FOLDER     decoder_<n>_<D>.safetensors: rows [n,D] f32, unit directions; chunks_<chunks>.safetensors: cooccur's format
 *
 * Like the decoder of an SAE trained on two languages: 24 sub-clusters each, of Zipf sizes, families of about twelve near directions, a
 * quarter of the features loose, noise with a power-law covariance (Li et al. 2024, section 5). Chunks of one language and two topics:
 * base rates log-normal over four decades, 7 % of the features firing in a chunk, 2 % never, one in 1024 always. KL values and
 * seconds compare programs on this data only. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/analysis/firing.h"
#include "lib/base/outdir.h"
#include "lib/base/rng.h"
#include "lib/file/safetensors.h"

enum { SEED = 20240917, SUBS = 24, LANGUAGES = 2 };
enum stream {
    LANGUAGE,
    SUB,
    FAMILY,
    LOOSE,
    ROLE,
    RATE,
    GAIN,
    SUB_GAIN,
    FAMILY_GAIN,
    TIGHT,
    CHUNK,
    TOPIC,
    TOUCHED,
    FIRES = 1000,
    NOISE = 1 << 20,
    CENTRE = 1 << 28
};

struct labels {
    size_t n, families;                        /* families of one sub-cluster */
    uint32_t *language, *sub, *family, *place; /* [n]; place: a permutation that chooses the silent and the constant */
};

static void stop(const struct err *e) {
    fprintf(stderr, "analysis_data: %s\n", e->text);
    exit(1);
}

static void *need(size_t n, size_t elem_bytes) {
    void *p = calloc(n, elem_bytes);
    if (!p) exit(1);
    return p;
}

static uint64_t key(size_t n) { return SEED + n; }

static size_t zipf(double u) {
    double w[SUBS], sum = 0;
    for (size_t i = 0; i < SUBS; i++) sum += w[i] = pow((double)(i + 1), -0.7);
    size_t s = 0;
    for (u *= sum; s + 1 < SUBS && u >= w[s]; s++) u -= w[s];
    return s;
}

static struct labels make_labels(size_t n) {
    struct labels l = {.n = n, .families = n / (LANGUAGES * SUBS * 12) > 2 ? n / (LANGUAGES * SUBS * 12) : 2};
    l.language = need(4 * n, sizeof *l.language), l.sub = l.language + n, l.family = l.sub + n, l.place = l.family + n;
    for (size_t f = 0; f < n; f++) {
        l.language[f] = rng_uniform(key(n), LANGUAGE, f) < 0.45;
        l.sub[f] = (uint32_t)zipf(rng_uniform(key(n), SUB, f));
        l.family[f] =
            (uint32_t)((l.language[f] * SUBS + l.sub[f]) * l.families + rng_below(key(n), FAMILY, f, l.families));
    }
    rng_shuffle(key(n), ROLE, l.place, n);
    return l;
}

static double between(uint64_t seed, enum stream s, size_t i, double low, double high) {
    return low + (high - low) * rng_uniform(seed, (uint64_t)s, i);
}

static void centres(float *out, size_t n, size_t D, uint64_t seed, uint64_t stream) {
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        double norm2 = 0;
        for (size_t d = 0; d < D; d++) {
            double v = rng_normal(seed, stream + i, d);
            out[i * D + d] = (float)v, norm2 += v * v;
        }
        for (size_t d = 0; d < D; d++) out[i * D + d] = (float)((double)out[i * D + d] / sqrt(norm2));
    }
}

static void directions(const struct labels *l, size_t D, float *x) {
    size_t n = l->n, subs = LANGUAGES * SUBS, families = subs * l->families;
    uint64_t seed = key(n) + D;
    float *c = need((LANGUAGES + subs + families) * D, sizeof *c), *cs = c + LANGUAGES * D, *cf = cs + subs * D;
    double *spread = need(D, sizeof *spread), sum = 0;
    for (size_t d = 0; d < D; d++) spread[d] = pow((double)(d + 1), -0.35), sum += spread[d] * spread[d];
    centres(c, LANGUAGES + subs + families, D, seed, CENTRE);
#pragma omp parallel for schedule(static)
    for (size_t f = 0; f < n; f++) {
        double tight = rng_uniform(key(n), LOOSE, f) < 0.25 ? 0 : between(seed, TIGHT, f, 0.2, 0.7), norm2 = 0;
        const float *a = c + l->language[f] * D, *b = cs + (l->language[f] * SUBS + l->sub[f]) * D,
                    *m = cf + l->family[f] * D;
        for (size_t d = 0; d < D; d++) {
            double v = 0.25 * (double)a[d] + 0.6 * tight * (double)b[d] + tight * (double)m[d] +
                       0.85 * rng_normal(seed, NOISE + f, d) * spread[d] / sqrt(sum);
            x[f * D + d] = (float)v, norm2 += v * v;
        }
        for (size_t d = 0; d < D; d++) x[f * D + d] = (float)((double)x[f * D + d] / sqrt(norm2));
    }
    free(c), free(spread);
}

static void chunks(const struct labels *l, struct firing *m) {
    size_t n = l->n, families = LANGUAGES * SUBS * l->families;
    uint64_t seed = key(n) + 7 * m->chunks;
    uint8_t *touched = need(m->chunks * families, 1), *topic = need(m->chunks * 2, 1);
    for (size_t c = 0; c < m->chunks; c++) {
        m->group[c] = rng_uniform(seed, CHUNK, c) < 0.5;
        for (size_t i = 0; i < 2; i++) topic[2 * c + i] = (uint8_t)rng_below(seed, TOPIC, 2 * c + i, SUBS);
        for (size_t i = 0; i < families; i++)
            touched[c * families + i] = rng_uniform(seed, TOUCHED, c * families + i) < 0.15;
    }
#pragma omp parallel for schedule(dynamic, 64)
    for (size_t f = 0; f < n; f++) {
        bool never = l->place[f] < n / 50, always = l->place[f] >= n - (n / 1024 > 4 ? n / 1024 : 4),
             loose = rng_uniform(key(n), LOOSE, f) < 0.25;
        double base = -4.6 + 1.9 * rng_normal(key(n), RATE, f), gain = between(key(n), GAIN, f, 0.3, 2);
        double by_sub = loose ? 0 : between(key(n), SUB_GAIN, f, 1, 4),
               by_family = loose ? 0 : between(key(n), FAMILY_GAIN, f, 0, 3);
        for (size_t c = 0; c < m->chunks && !never; c++) {
            double z = base + ((uint32_t)m->group[c] == l->language[f] ? gain : -gain);
            if (topic[2 * c] == l->sub[f] || topic[2 * c + 1] == l->sub[f])
                z += by_sub * ((uint32_t)m->group[c] == l->language[f]);
            if (touched[c * families + l->family[f]]) z += by_family;
            if (always || rng_uniform(seed, FIRES + f, c) < 1 / (1 + exp(-z))) firing_set(m, f, c);
        }
    }
    firing_count(m);
    free(touched), free(topic);
}

static void write_rows(const char *path, const float *x, size_t n, size_t D) {
    struct stwriter *w;
    struct err e;
    const int64_t shape[2] = {(int64_t)n, (int64_t)D};
    if (stwriter_open(&w, path, &e)) stop(&e);
    int handle = stwriter_declare(w, "rows", ST_F32, 2, shape, &e);
    if (handle < 0 || stwriter_write(w, handle, 0, x, n * D * sizeof *x, &e) || stwriter_commit(w, &e)) stop(&e);
}

int main(int argc, char **argv) {
    const size_t size[][2] = {{4096, 256}, {4096, 3584}, {16384, 256}, {16384, 3584}}, length[] = {80, 2000, 20000};
    char path[PATH_MAX];
    struct err e;
    if (argc != 2) {
        fprintf(stderr, "analysis_data FOLDER: makes the data of bench_analysis there, where it is not yet\n");
        return 2;
    }
    if (outdir_make(argv[1], &e)) stop(&e);
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        snprintf(path, sizeof path, "%s/decoder_%zu_%zu.safetensors", argv[1], size[i][0], size[i][1]);
        if (!access(path, F_OK)) continue;
        struct labels l = make_labels(size[i][0]);
        float *x = need(size[i][0] * size[i][1], sizeof *x);
        directions(&l, size[i][1], x);
        write_rows(path, x, size[i][0], size[i][1]);
        free(x), free(l.language);
    }
    struct labels l = make_labels(16384);
    for (size_t i = 0; i < sizeof length / sizeof *length; i++) {
        struct firing m;
        snprintf(path, sizeof path, "%s/chunks_%zu.safetensors", argv[1], length[i]);
        if (!access(path, F_OK)) continue;
        if (firing_init(&m, l.n, length[i], LANGUAGES, &e)) stop(&e);
        chunks(&l, &m);
        size_t fired = 0;
        for (size_t f = 0; f < m.F; f++) fired += m.count[f];
        printf("%s: %.1f %% of the features fire in a chunk\n", path,
               100 * (double)fired / (double)m.F / (double)m.chunks);
        if (firing_write(&m, path, "[\"a\",\"b\"]", "{}", 256, &e)) stop(&e);
        firing_free(&m);
    }
    free(l.language);
    return 0;
}
