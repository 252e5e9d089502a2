/* llr.c - see llr.h. */
#include "lib/analysis/llr.h"

#include <stdlib.h>

#include "lib/base/arena.h"

/* Into l->token and l->row, which begin as counts. */
static int count(size_t N, const int32_t *token, const int32_t *group, struct llr *l, struct err *e) {
    for (size_t i = 0; i < N; i++) {
        if (group[i] < 0) continue;
        l->n_rows++;
        l->row[group[i]]++;
        l->token[(size_t)token[i] * l->G + (size_t)group[i]]++;
    }
    for (size_t g = 0; g < l->G; g++)
        if (!(l->row[g] > 0)) return err_set(e, ERR_RANGE, "language %zu of %zu: want rows, got none", g, l->G);
    return 0;
}

int llr_init(struct llr *l, size_t N, const int32_t *token, const int32_t *group, size_t G, struct err *e) {
    *l = (struct llr){.G = G};
    for (size_t i = 0; i < N; i++) {
        if (token[i] < 0) return err_set(e, ERR_RANGE, "row %zu: want a token, got %d", i, token[i]);
        CHECK(group[i] < 0 || (size_t)group[i] < G);
        if ((size_t)token[i] >= l->V) l->V = (size_t)token[i] + 1;
    }
    l->token = mem_array(l->V, G * sizeof *l->token, "ratios of tokens", e);
    l->row = mem_array(G, sizeof *l->row, "languages", e);
    if (!l->token || !l->row) return ERR_MEMORY;
    int rc = count(N, token, group, l, e);
    if (rc) return rc;
    for (size_t t = 0; t < l->V; t++) {
        double p = 0, *of = l->token + t * G;
        for (size_t g = 0; g < G; g++) p += of[g] / l->row[g] / (double)G;
        for (size_t g = 0; g < G; g++) of[g] = p > 0 ? log((of[g] + p) / ((l->row[g] + 1) * p)) : 0;
    }
    for (size_t g = 0; g < G; g++) l->row[g] = (double)l->n_rows / ((double)G * l->row[g]);
    return 0;
}

void llr_free(struct llr *l) {
    free(l->token);
    free(l->row);
    *l = (struct llr){0};
}

int llr_sums_init(struct llr_sums *s, size_t F, size_t G, struct err *e) {
    *s = (struct llr_sums){.F = F, .G = G};
    s->fired = mem_array(F, sizeof *s->fired, "firings", e);
    s->z = mem_array(F, sizeof *s->z, "activations", e);
    s->z_group = mem_array(F, G * sizeof *s->z_group, "activations by language", e);
    s->z_token = mem_array(F, G * sizeof *s->z_token, "activations by token", e);
    return s->fired && s->z && s->z_group && s->z_token ? 0 : ERR_MEMORY;
}

void llr_sums_add(struct llr_sums *s, const struct llr *l, size_t B, const struct active *a, const int32_t *token,
                  const int32_t *group) {
    size_t G = s->G;
    for (size_t b = 0; b < B; b++) {
        if (group[b] < 0) continue;
        const double *of = l->token + (size_t)token[b] * G, row = l->row[group[b]];
        for (size_t q = a->row[b]; q < a->row[b + 1]; q++) {
            size_t f = a->feat[q];
            double z = row * (double)a->pre[q];
            s->fired[f]++;
            s->z[f] += z;
            s->z_group[f * G + (size_t)group[b]] += z;
            for (size_t g = 0; g < G; g++) s->z_token[f * G + g] += z * of[g];
        }
    }
}

void llr_sums_free(struct llr_sums *s) {
    free(s->fired), free(s->z), free(s->z_group), free(s->z_token);
    *s = (struct llr_sums){0};
}

double llr_by_token(const struct llr_sums *s, size_t f, size_t g) { return s->z_token[f * s->G + g] / s->z[f]; }

double llr_by_share(const struct llr_sums *s, size_t f, size_t g) {
    return llr_share((double)s->fired[f], s->z_group[f * s->G + g] / s->z[f], s->G);
}
