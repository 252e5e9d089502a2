/* view.h - the terms of a loss: a list of views of the same entries.
 *
 *   loss_b = sum_v weight_v | sum_{f < features_v} z_bf W_dec[f] + b_dec - x_b |^2
 *
 * One view of all features with weight 1 is the plain SAE; prefixes of the features are a Matryoshka SAE (Bussmann et al. 2025,
 * "Learning Multi-Level Features with Matryoshka Sparse Autoencoders"). View v's gradient with respect to its reconstruction is rows
 * v*B … of one stacked G [n*B,D], so that what follows, the weight gradient sorted by feature and fused with Adam above all, runs
 * once over the entries whatever the number of views.
 * Other views would be a field here: a bound on an entry's rank within its row (MultiTopK), or dead features alone with what view 0
 * leaves over as the target (AuxK; Gao et al. 2024, appendix A.2), read where the operations ask view_end and start a row's sum.
 * Tests: tests/test_step.c */
#ifndef SAEMILL_VIEW_H
#define SAEMILL_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/base/inline.h"

enum { SAE_VIEWS = 8 };

struct sae_view {
    float weight;
    uint32_t features; /* those below are seen */
};

struct sae_views {
    uint32_t n;                    /* 1 … SAE_VIEWS */
    struct sae_view at[SAE_VIEWS]; /* the first sees all features */
};

/* Where the view's entries of a row end: of those at first … end-1, features ascending, F features in all. */
SHARED_INLINE size_t view_end(const struct sae_view *v, size_t F, const uint32_t *feat, size_t first, size_t end) {
    if (v->features >= F) return end;
    while (first < end) {
        const size_t mid = first + (end - first) / 2;
        if (feat[mid] < v->features)
            first = mid + 1;
        else
            end = mid;
    }
    return end;
}

/* d loss / d reconstruction = view_scale (reconstruction - target), a mean over B rows. */
SHARED_INLINE float view_scale(const struct sae_view *v, size_t B) { return 2.0f * v->weight / (float)B; }

#endif
