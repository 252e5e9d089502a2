/* receipt_lm.c - the operations of a forward pass (tests/lm_kernel_cases.h), whole models of random weights beside the CPU, and how
 * fast a Qwen2-7B-shaped one gives activations. Models are made here, not read: the receipt needs no JSON library. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/lm/lm_cuda.h"
#include "lib/base/clock.h"
#include "lib/lm/forward.h"
#include "tests/gpu/receipt.h"
#include "tests/lm_kernel_cases.h"

static struct lm_kernels table(const char *name) {
    struct lm_kernels k;
    struct err e;
    if (lm_kernels_get(name, &k, &e)) stop(&e);
    return k;
}

static float *wide(const struct lm_kernels *k, size_t n, const float *x) {
    float *y = k->memory->take(n * sizeof *y);
    CHECK(y);
    memcpy(y, x, n * sizeof *y);
    return y;
}

/* ---- whole models ---- */

/* The CPU's way to the embedding, which in the programs is the model's file (lib/lm/embed.c). */
static const float *embedding;
int lm_embed(const struct lm_model *m, size_t n, const int32_t *token, float *x, struct err *e) {
    (void)e;
    for (size_t r = 0; r < n; r++) memcpy(x + r * m->c.D, embedding + (size_t)token[r] * m->c.D, m->c.D * sizeof *x);
    return 0;
}

enum { EMBED_SEED = 29 };

/* Qwen2's kind of network, and gelu-1l's; good until the next call. */
static struct lm_config config_of(struct lm_config sizes, struct lm_block kind) {
    static struct lm_block block[32];
    CHECK(sizes.L <= 32);
    kind.scale = (float)(1 / sqrt((double)sizes.Dh));
    for (size_t l = 0; l < sizes.L; l++) block[l] = kind;
    sizes.block = block;
    return sizes;
}
static struct lm_config gated_model(struct lm_config sizes) {
    return config_of(sizes, (struct lm_block){.attn_norm = LM_NORM_RMS,
                                              .mlp_norm = LM_NORM_RMS,
                                              .norm_eps = 1e-6f,
                                              .rope = {.kind = LM_ROPE_DEFAULT, .share = 1},
                                              .qkv_bias = true,
                                              .gated = true,
                                              .act = LM_ACT_SILU});
}
static struct lm_config gelu_model(struct lm_config sizes) {
    sizes.learned_positions = true;
    return config_of(sizes, (struct lm_block){.attn_norm = LM_NORM_LAYER,
                                              .mlp_norm = LM_NORM_LAYER,
                                              .norm_eps = 1e-5f,
                                              .qkv_bias = true,
                                              .o_bias = true,
                                              .mlp_bias = true,
                                              .act = LM_ACT_GELU});
}

/* All layers of a random model share one set of weights: on the way through the layers they leave the caches all the same. */
struct model {
    struct lm_model m;
    struct lm_weights layer[32];
    float *taken[24];
    size_t n;
};

static float *part(struct model *r, const struct lm_kernels *k, uint64_t seed, size_t N, size_t K, double sd) {
    float *x = normals(seed, N * K, sd), *y;
    if (K == 1)
        y = wide(k, N, x);
    else {
        CHECK(y = k->memory->take(linear_padded(N) * K * k->elem_bytes));
#pragma omp parallel for schedule(static)
        for (size_t n = 0; n < N; n += LINEAR_PANEL)
            k->pack(n, N - n < LINEAR_PANEL ? N - n : LINEAR_PANEL, K, x + n * K, y);
    }
    free(x);
    return r->taken[r->n++] = y;
}

/* A part as a family's loader would leave it; biases and learned positions small, matrices of rows of length `in` 1. */
static float *random_part(struct model *r, const struct lm_kernels *k, const struct lm_config *c, enum lm_part i) {
    const struct lm_shape s = lm_part_shape(c, &c->block[0], i);
    const bool norm = i == LM_ATTN_NORM || i == LM_MLP_NORM;
    if (!s.outputs) return NULL;
    return s.inputs
               ? part(r, k, 1 + i, s.outputs, s.inputs, (i == LM_O || i == LM_DOWN ? 0.3 : 1) / sqrt((double)s.inputs))
               : part(r, k, 1 + i, s.outputs, 1, norm ? 1 : 0.1);
}

static struct model *random_model(const struct lm_kernels *k, const struct lm_config *c, size_t T) {
    struct model *r = calloc(1, sizeof *r);
    struct lm_weights w = {0};
    double frequency[128];
    CHECK(r && c->L <= 32);
    for (enum lm_part i = 0; i < LM_LAYER_PARTS; i++) w.at[i] = random_part(r, k, c, i);
    for (size_t l = 0; l < c->L; l++) r->layer[l] = w;
    r->m = (struct lm_model){.c = *c, .n_layers = c->L, .T = T, .layer = r->layer, .mem.from = k->memory};
    if (k->embed) r->m.outside.at[LM_EMBED] = part(r, k, EMBED_SEED, c->vocab, c->D, 1);
    if (c->learned_positions) r->m.outside.at[LM_POSITIONS] = part(r, k, 30, T * c->D, 1, 0.3);
    if (c->block[0].rope.kind == LM_ROPE_NONE) return r;
    float *angles = malloc(T * c->Dh * sizeof *angles);
    CHECK(angles && c->Dh / 2 <= 128);
    for (size_t i = 0; i < c->Dh / 2; i++) frequency[i] = pow(1e6, -2.0 * (double)i / (double)c->Dh);
    rope_table(T, c->Dh / 2, frequency, angles);
    r->m.rope = r->taken[r->n++] = wide(k, T * c->Dh, angles);
    free(angles);
    return r;
}

static void model_free(struct model *r, const struct lm_kernels *k) {
    for (size_t i = 0; i < r->n; i++) k->memory->give(r->taken[i]);
    free(r);
}

/* Where a hook brings the rows of its sites, one after the other. */
struct basket {
    const struct lm_kernels *k;
    const struct lm_config *c;
    const struct lm_site *sites;
    bool bf16;
    char *at;
};

static int bring(void *ctx, size_t site, const float *rows, size_t M, struct err *e) {
    struct basket *b = ctx;
    size_t n = M * lm_site_width(b->c, &b->sites[site]);
    (void)e;
    b->k->fetch(n, rows, b->sites[site].kind == LM_SITE_R, b->bf16, b->at);
    b->at += n * (b->bf16 ? 2 : 4);
    return 0;
}

static void batch_of(size_t n, size_t T, size_t vocab, size_t *start, int32_t *token) {
    for (size_t i = 0; i <= n; i++) start[i] = i * T;
    for (size_t i = 0; i < n * T; i++) token[i] = (int32_t)(i * 2654435761u % vocab);
}

/* All sites of the first and last layer, n sequences of T; *rows is malloc'd. Returns how many numbers. */
static size_t activations(const char *backend, const struct lm_config *c, size_t n, size_t T, float **rows) {
    struct lm_kernels k = table(backend);
    struct model *r = random_model(&k, c, T);
    struct lm_site sites[12];
    size_t start[16], n_sites = 0, total = 0, M = n * T;
    int32_t *token = malloc(M * sizeof *token);
    struct lm_scratch s;
    struct err e;
    for (size_t l = 0; l<c->L; l += c->L> 1 ? c->L - 1 : 1)
        for (int kind = LM_SITE_Z; kind <= LM_SITE_R; kind++)
            sites[n_sites++] = (struct lm_site){.layer = l, .kind = (enum lm_site_kind)kind};
    for (size_t i = 0; i < n_sites; i++) total += M * lm_site_width(c, &sites[i]);
    float *out = k.host->take(total * sizeof *out);
    CHECK(token && out && n < 16);
    batch_of(n, T, c->vocab, start, token);
    if (lm_scratch_init(&s, &k, c, sites, n_sites, M, T, &e)) stop(&e);
    struct basket basket = {&k, c, sites, false, (char *)out};
    struct lm_hook hook = {&basket, bring};
    const struct lm_batch b = {n, start, token};
    if (lm_forward(&r->m, &k, &b, sites, n_sites, &s, &hook, &e)) stop(&e);
    k.sent(0);
    if (k.await(0, &e)) stop(&e);
    CHECK(*rows = malloc(total * sizeof **rows));
    memcpy(*rows, out, total * sizeof *out);
    lm_scratch_free(&s), model_free(r, &k), k.host->give(out);
    free(token);
    return total;
}

static void model_case(const char *name, const struct lm_config *c, size_t n, size_t T) {
    char line[64], size[48];
    float *want, *table_rows = normals(EMBED_SEED, c->vocab * c->D, 1), *got, *again;
    embedding = table_rows;
    snprintf(size, sizeof size, "%zu x %zu tokens, D %zu", n, T, c->D);
    size_t total = activations("cpu", c, n, T, &want);
    const struct {
        const char *backend;
        double limit; /* bf16: 2^-9 a stored number, some ten of them in a row in a layer */
    } runs[] = {{"cuda-f32", 1e-5}, {"cuda-tf32", 5e-3}, {"cuda", 3e-2}};
    for (int i = 0; i < 3; i++) {
        activations(runs[i].backend, c, n, T, &got), activations(runs[i].backend, c, n, T, &again);
        snprintf(line, sizeof line, "%s: %s, all sites", runs[i].backend, name);
        checked(line, size, far(got, want, total), runs[i].limit);
        snprintf(line, sizeof line, "%s: %s, bytes of two runs", runs[i].backend, name);
        checked(line, size, memcmp(got, again, total * sizeof *got) ? 1 : 0, 0);
        free(got), free(again);
    }
    free(want), free(table_rows);
}

void lm_checks(bool quick) {
    static const char *const backend[] = {"cuda-f32", "cuda-tf32", "cuda"};
    for (int i = 0; i < 3; i++) {
        struct lm_kernels k = table(backend[i]);
        lm_kernel_cases(&k, !quick);
    }
    struct lm_config c =
        gated_model((struct lm_config){.L = 2, .D = 36, .H = 2, .G = 1, .Dh = 64, .mlp = 50, .vocab = 97, .max_T = 80});
    model_case("gated model", &c, 3, 21);
    c = gelu_model((struct lm_config){.L = 1, .D = 33, .H = 3, .G = 3, .Dh = 7, .mlp = 70, .vocab = 50, .max_T = 80});
    model_case("gelu model", &c, 2, 19);
    if (quick) return;
    c = gated_model(
        (struct lm_config){.L = 2, .D = 3584, .H = 28, .G = 4, .Dh = 128, .mlp = 18944, .vocab = 1000, .max_T = 300});
    model_case("Qwen2-7B's layers", &c, 2, 150);
}

/* ---- times ---- */

enum { SEQUENCES = 8, LENGTH = 1024, ROWS = SEQUENCES * LENGTH };

struct pass_parts {
    const struct lm_kernels *k;
    const struct lm_config *c;
    struct model *r;
    struct lm_scratch s;
    struct pass_place place;
    struct lm_batch b;
    struct lm_site site;
    void *out;
    enum { WHOLE, NORM, QKV, ROPE, ATTENTION, UP, SWIGLU, DOWN, ADD, PARTS } which;
};

static void run_part(void *ctx) {
    struct pass_parts *p = ctx;
    const struct lm_kernels *k = p->k;
    const struct lm_config *c = p->c;
    float *const *w = p->r->layer[0].at;
    size_t q = c->H * c->Dh, kv = c->G * c->Dh, ld = q + 2 * kv, M = ROWS;
    struct lm_scratch *s = &p->s;
    struct err e;
    struct basket basket = {k, c, &p->site, true, p->out};
    struct lm_hook hook = {&basket, bring};
    struct attention a = {.H = c->H,
                          .G = c->G,
                          .Dh = c->Dh,
                          .q = s->qkv,
                          .k = lm_at(k, s->qkv, q),
                          .v = lm_at(k, s->qkv, q + kv),
                          .ld = ld,
                          .scale = 0.088f};
    switch (p->which) {
    case NORM:
        k->rmsnorm(M, c->D, s->x, w[LM_ATTN_NORM], c->block[0].norm_eps, s->h);
        break;
    case QKV:
        k->linear(M, ld, c->D, s->h, c->D, w[LM_QKV], LINEAR_PANEL * c->D, w[LM_QKV_BIAS], s->qkv, ld);
        break;
    case ROPE:
        k->rope(&p->place, c->H + c->G, c->Dh, s->qkv, ld, p->r->m.rope);
        break;
    case ATTENTION:
        k->attention(&p->place, &a, s->att, q, s->work);
        break;
    case UP:
        k->linear(M, c->mlp, c->D, s->h, c->D, w[LM_UP], LINEAR_PANEL * c->D, NULL, s->up, c->mlp);
        break;
    case SWIGLU:
        k->swiglu(M * c->mlp, s->post, s->up);
        break;
    case DOWN:
        k->linear(M, c->D, c->mlp, s->post, c->mlp, w[LM_DOWN], LINEAR_PANEL * c->mlp, NULL, s->delta, c->D);
        break;
    case ADD:
        k->add(M * c->D, s->x, s->delta);
        break;
    default:
        if (lm_forward(&p->r->m, k, &p->b, &p->site, 1, s, &hook, &e)) stop(&e);
    }
}

static double part_ms(struct pass_parts *p, int which) {
    p->which = which;
    return median_ms(run_part, p, cuda_finish);
}

void lm_times(void) {
    const struct lm_config c = gated_model((struct lm_config){
        .L = 22, .D = 3584, .H = 28, .G = 4, .Dh = 128, .mlp = 18944, .vocab = 152064, .max_T = LENGTH});
    struct lm_kernels k = table("cuda");
    struct pass_parts p = {
        .k = &k, .c = &c, .r = random_model(&k, &c, LENGTH), .site = {.layer = 21, .kind = LM_SITE_R, .name = "L21R"}};
    static size_t start[SEQUENCES + 1];
    static int32_t token[ROWS];
    struct err e;
    char size[48];
    batch_of(SEQUENCES, LENGTH, c.vocab, start, token);
    p.b = (struct lm_batch){SEQUENCES, start, token};
    if (lm_scratch_init(&p.s, &k, &c, &p.site, 1, ROWS, LENGTH, &e)) stop(&e);
    CHECK(p.out = k.host->take((size_t)ROWS * c.D * 2));
    snprintf(size, sizeof size, "%d x %d tokens, layers 0..21", SEQUENCES, LENGTH);
    double ms = part_ms(&p, WHOLE), flops = SEQUENCES * lm_flops(&c, &p.site, 1, LENGTH);
    timed("collect, Qwen2-7B's shape, to L21R", size, ms, 0, "%.0f tok/s, %.0f TFLOP/s", 1e3 * ROWS / ms,
          1e-9 * flops / ms);
    static const char *const name[PARTS] = {
        [NORM] = "  RMSNorm",    [QKV] = "  q, k, v and bias", [ROPE] = "  RoPE", [ATTENTION] = "  attention",
        [UP] = "  up (as gate)", [SWIGLU] = "  SwiGLU",        [DOWN] = "  down", [ADD] = "  residual sum"};
    const double M = ROWS, D = (double)c.D, mlp = (double)c.mlp, ld = (double)((c.H + 2 * c.G) * c.Dh);
    const double bytes[PARTS] = {
        [NORM] = 6 * M * D, [ROPE] = 4 * M * (ld - 512), [SWIGLU] = 6 * M * mlp, [ADD] = 10 * M * D};
    const double work[PARTS] = {[QKV] = 2 * M * D * ld,
                                [ATTENTION] = 4 * D * M * (LENGTH + 1) / 2,
                                [UP] = 2 * M * D * mlp,
                                [DOWN] = 2 * M * D * mlp};
    k.place(p.b.n, p.b.start, p.b.token, &p.place);
    for (int i = NORM; i < PARTS; i++) {
        ms = part_ms(&p, i);
        if (work[i] > 0)
            timed(name[i], "one layer", ms, 0, "%.0f TFLOP/s", 1e-9 * work[i] / ms);
        else
            timed(name[i], "one layer", ms, 0, "%.0f GB/s", 1e-6 * bytes[i] / ms);
    }
    k.host->give(p.out);
    lm_scratch_free(&p.s), model_free(p.r, &k);
}
