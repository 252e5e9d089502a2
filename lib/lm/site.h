/* site.h - places in a language model whose activations can be taken and replaced. l is counted from 0, the network is in
 * block.h; A and M are what is added to the residual stream.
 *
 *   L<l>Z         input of W_O: what the heads give, one after the other   [M, H*Dh]
 *   L<l>A         attention output: after W_O                              [M, D], as all below
 *   L<l>TC        input of a transcoder: the normalised input of the feed-forward layer
 *   L<l>mlp_post  inside the feed-forward layer, what W_down multiplies    [M, mlp]; a model of one layer may leave L0
 *                 away, since the literature on gelu-1l calls it mlp_post
 *   L<l>M         output of the feed-forward layer
 *   L<l>R         residual stream after the layer
 *   L<l>A_pre, L<l>M_pre   A and M before the norm that some models put after a half. No such model can be computed yet
 *                 (lm_block_check), so they are refused, with A or M named instead.
 * Tests: tests/test_forward.c, tests/test_hooked.c */
#ifndef SAEMILL_SITE_H
#define SAEMILL_SITE_H

#include <stddef.h>

#include "lib/lm/block.h"

/* In the order in which a layer comes to them. */
enum lm_site_kind { LM_SITE_Z, LM_SITE_A, LM_SITE_TC, LM_SITE_POST, LM_SITE_M, LM_SITE_R };

struct lm_site {
    size_t layer;
    enum lm_site_kind kind;
    char name[16]; /* as it was asked for */
};

/* Read a list "L0R,L3TC".
 *   L      layers of the model
 *   sites  malloc'd array of *n entries, in the order of the list; the caller frees it
 * Errors: ERR_USAGE for what is no site or comes twice, ERR_UNSUPPORTED for A_pre and M_pre, ERR_RANGE for a layer that
 * the model has not, ERR_MEMORY. */
int lm_sites_parse(const char *text, size_t L, struct lm_site **sites, size_t *n, struct err *e);

/* Width of a site's rows. */
size_t lm_site_width(const struct lm_config *c, const struct lm_site *s);

/* Layers that must be loaded and run for these sites. */
size_t lm_sites_depth(const struct lm_site *sites, size_t n);

/* The last kind that is asked for in layer l. */
enum lm_site_kind lm_sites_last(const struct lm_site *sites, size_t n, size_t l);

/* Floating point operations for one sequence of T tokens: 2 for each weight and token, 4 Dh for each query, key at or
 * before it, and head. The last layer counts as far as its last site. */
double lm_flops(const struct lm_config *c, const struct lm_site *sites, size_t n, size_t T);

#endif
