/* sae_kernels.c - see sae_kernels.h. */
#include "kernels/sae/sae_kernels.h"

#include <string.h>

/* The encoder's: rows of the batch, and lists with as many entries as a step may keep, half empty. */
size_t sae_scratch_bytes(size_t B, size_t D, size_t F) { return 4 * (B * D + B * F); }
const float *sae_upload(int slot, const void *x, bool bf16, float scale, size_t n) {
    (void)slot, (void)n;
    CHECK(!bf16 && scale == 1);
    return x;
}
void sae_arrived(int slot) { (void)slot; }
int sae_finish(struct err *e) {
    (void)e;
    return 0;
}
void sae_zero(void *at, size_t bytes) { memset(at, 0, bytes); }

#define DEFINITION(name, definition) .name = definition,
static const struct sae_kernels definitions = {
    .sparse_share = 0.22, .memory = &memory_host, .host = &memory_host, SAE_OPERATIONS(DEFINITION)};

void sae_kernels_cpu(struct sae_kernels *t) {
    t->gemm = gemm_cpu;
    t->encode = encode_cpu;
    t->residual = residual_cpu;
    t->adam_sparse = adam_sparse_cpu;
    t->adam_dense = adam_dense_cpu;
}

static const char *missing(const struct sae_kernels *t) {
#define MISSING(name, definition)                                                                                      \
    if (!t->name) return #name;
    SAE_OPERATIONS(MISSING)
    return NULL;
}

int sae_kernels_make(const struct backend *b, struct sae_kernels *t, struct err *e) {
    *t = b->device ? (struct sae_kernels){0} : definitions;
    t->name = b->name;
    if (b->sae) b->sae(t);
    return backends_whole(b, missing(t), e);
}

int sae_kernels_open(const char *backend, const struct sae_kernels **out, struct err *e) {
    static struct sae_kernels table[BACKENDS_MOST];
    const struct backend *b;
    *out = NULL;
    int rc = backends_open(backend, &b, e);
    if (!rc) rc = sae_kernels_make(b, &table[backends_place(b)], e);
    if (!rc) *out = &table[backends_place(b)];
    return rc;
}

const struct sae_kernels *sae_kernels_get(const char *backend) {
    const struct sae_kernels *t;
    return sae_kernels_open(backend, &t, NULL) ? NULL : t;
}
