/* pairscan_ref.c - see pairscan.h. The definitions. */
#include "kernels/analysis/pairscan.h"

size_t pairscan_near_ref(size_t m, const float *g, const float *low_j, const float *cut_j, float low_i, float cut_i,
                         uint32_t *hit) {
    size_t n = 0;
    for (size_t j = 0; j < m; j++) {
        float v = -2 * g[j];
        if (v + low_j[j] <= cut_i || v + low_i <= cut_j[j]) hit[n++] = (uint32_t)j;
    }
    return n;
}

void pairscan_below_ref(size_t m, const float *g, const float *s, size_t n_cut, const float *cut, uint32_t *count) {
    for (size_t c = 0; c < n_cut; c++)
        for (size_t j = 0; j < m; j++) count[c] += s[j] - 2 * g[j] < cut[c];
}

double pairscan_distance_ref(size_t D, const float *a, const float *b) {
    double s[8] = {0};
    for (size_t d = 0; d < D; d++) {
        double t = (double)a[d] - (double)b[d];
        s[d % 8] += t * t;
    }
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}
