/* affinity.c - see affinity.h. One row of a tile at a time, in plain loops that vectorise; division and square root are IEEE on every
 * processor and nothing is contracted, so all give the same bytes. */
#include "lib/analysis/affinity.h"

#include <math.h>
#include <string.h>

#include "kernels/base/isa.h"

enum { STRIP = 512 }; /* columns whose scale factors are kept at hand */

static const char *const name_of[AFFINITIES] = {"phi", "smc", "jaccard", "dice", "overlap"};

const char *affinity_name(enum affinity kind) {
    CHECK(kind < AFFINITIES);
    return name_of[kind];
}

int affinity_parse(const char *name) {
    for (int i = 0; i < AFFINITIES; i++)
        if (!strcmp(name, name_of[i])) return i;
    return ERR_RANGE;
}

/* 1/sqrt(n (T-n)), or 0 where a feature has no variance. */
static double inverse_spread(uint32_t n, double T) {
    double v = (double)n * (T - (double)n);
    return v > 0 ? 1 / sqrt(v) : 0;
}

/* The rows below: n11 and out may be the same memory, element j is read before it is written. */
ISA_INLINE void row_phi(size_t N, const uint32_t *n11, double n, double si, const double *nj, const double *sj,
                        double T, float *out) {
#pragma omp simd
    for (size_t j = 0; j < N; j++) {
        double v = (T * (double)n11[j] - n * nj[j]) * si * sj[j];
        v = v > 1 ? 1 : v;
        out[j] = (float)(v < -1 ? -1 : v);
    }
}

ISA_INLINE void row_smc(size_t N, const uint32_t *n11, double n, const double *nj, double T, float *out) {
#pragma omp simd
    for (size_t j = 0; j < N; j++) out[j] = (float)((T - n - nj[j] + 2 * (double)n11[j]) / T);
}

/* scale * n11 / (n + n_j - less * n11): jaccard with scale 1, less 1; dice with scale 2, less 0. The denominator is 0 only when both
 * counts are, and then so is the numerator: 0/1 stands in for 0/0. */
ISA_INLINE void row_ratio(size_t N, const uint32_t *n11, double n, const double *nj, double scale, double less,
                          float *out) {
#pragma omp simd
    for (size_t j = 0; j < N; j++) {
        double both = (double)n11[j], under = n + nj[j] - less * both;
        out[j] = (float)(scale * both / (under > 0 ? under : 1));
    }
}

ISA_INLINE void row_overlap(size_t N, const uint32_t *n11, double n, const double *nj, float *out) {
#pragma omp simd
    for (size_t j = 0; j < N; j++) {
        double under = n < nj[j] ? n : nj[j];
        out[j] = (float)((double)n11[j] / (under > 0 ? under : 1));
    }
}

ISA_INLINE void tile_body(enum affinity kind, size_t M, size_t N, const uint32_t *n11, size_t ld11, const uint32_t *ni,
                          const uint32_t *nj, double T, float *out, size_t ldo) {
    double n[STRIP], s[STRIP];
    for (size_t j0 = 0; j0 < N; j0 += STRIP) {
        size_t w = N - j0 < STRIP ? N - j0 : STRIP;
        for (size_t j = 0; j < w; j++) {
            n[j] = (double)nj[j0 + j];
            s[j] = kind == AFFINITY_PHI ? inverse_spread(nj[j0 + j], T) : 0;
        }
        for (size_t i = 0; i < M; i++) {
            const uint32_t *a = n11 + i * ld11 + j0;
            float *o = out + i * ldo + j0;
            double m = (double)ni[i];
            switch (kind) {
            case AFFINITY_PHI:
                row_phi(w, a, m, inverse_spread(ni[i], T), n, s, T, o);
                break;
            case AFFINITY_SMC:
                row_smc(w, a, m, n, T, o);
                break;
            case AFFINITY_JACCARD:
                row_ratio(w, a, m, n, 1, 1, o);
                break;
            case AFFINITY_DICE:
                row_ratio(w, a, m, n, 2, 0, o);
                break;
            default:
                row_overlap(w, a, m, n, o);
                break;
            }
        }
    }
}

ISA_COPIES(void, tile,
           (enum affinity kind, size_t M, size_t N, const uint32_t *n11, size_t ld11, const uint32_t *ni,
            const uint32_t *nj, double T, float *out, size_t ldo),
           (kind, M, N, n11, ld11, ni, nj, T, out, ldo))

int affinity_tile(enum affinity kind, size_t M, size_t N, const uint32_t *n11, size_t ld11, const uint32_t *ni,
                  const uint32_t *nj, size_t T, float *out, size_t ldo) {
    if (kind >= AFFINITIES || T < 1 || T > UINT32_MAX) return ERR_RANGE;
    ISA_PICK(tile)(kind, M, N, n11, ld11, ni, nj, (double)T, out, ldo);
    return 0;
}
