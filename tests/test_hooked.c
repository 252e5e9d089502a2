/* test_hooked.c - TransformerLens' models: config and tensors refused or read, activations against float64, the
 * embedded gelu-1l against its reference, no row dependent on its batch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/base/linear.h"
#include "lib/base/outdir.h"
#include "lib/lm/family.h"
#include "lib/lm/tokenizer.h"
#include "lib/lm/weights.h"
#include "tests/forward_cases.h"

#define GELU   "inputs/models/gelu-1l-zh-en"
#define HOOKED "tests/fixtures/lm/hooked"
#define PRE    "tests/fixtures/lm/hooked-pre"
#define TMP    "build/tmp/test_hooked"

/* Refused by lm_open or, with n_layers, by lm_load, in one line that names what is wrong. */
static void refuse(const char *from, const struct case_edit *d, size_t n_layers, int code, const char *says) {
    struct lm_model m;
    struct err e = {0};
    assert_int_equal(outdir_remove(TMP, &e), 0);
    case_model(from, TMP, d);
    int rc = lm_open(&m, TMP, &e);
    if (!rc) {
        if (n_layers && !(rc = lm_load(&m, case_kernels(), n_layers, 16, &e)))
            rc = lm_load_head(&m, case_kernels(), &e);
        lm_close(&m);
    }
    if (rc != code) fail_msg("want code %d ('%s'), got %d: %s", code, says, rc, e.text);
    if (code && !strstr(e.text, says)) fail_msg("want '%s' in '%s'", says, e.text);
    if (code) assert_true(strstr(e.text, TMP) && !strchr(e.text, '\n') && (*e.hint || code == ERR_NUMERIC));
}

static void config_case(const char *key, const char *json, int code, const char *says) {
    refuse(PRE, &(struct case_edit){.key = key, .json = json}, 0, code, says);
}

static void test_config(void **s) {
    (void)s;
    struct lm_model m;
    struct err e;
    assert_int_equal(lm_open(&m, GELU, &e), 0);
    assert_true(m.c.L == 1 && m.c.D == 256 && m.c.H == 8 && m.c.G == 8 && m.c.Dh == 32 && m.c.mlp == 1024 &&
                m.c.vocab == 8192 && m.c.max_T == 512 && m.c.block[0].attn_norm == LM_NORM_LAYER &&
                m.c.final_eps == 1e-5f);
    lm_close(&m);
    config_case("act_fn", "\"gelu_new\"", ERR_UNSUPPORTED, "key 'act_fn': want gelu, got gelu_new");
    config_case("act_fn", "\"relu\"", ERR_UNSUPPORTED, "key 'act_fn': want gelu, got relu");
    config_case("act_fn", "", ERR_FORMAT, "'act_fn'");
    config_case("normalization_type", "\"RMS\"", ERR_UNSUPPORTED, "'normalization_type': want LN or LNPre, got RMS");
    config_case("normalization_type", "null", ERR_UNSUPPORTED, "'normalization_type': want LN or LNPre, got null");
    config_case("normalization_type", "\"LN\"", ERR_FORMAT, "ln_final.w");
    config_case("positional_embedding_type", "\"rotary\"", ERR_UNSUPPORTED, "want standard, got rotary");
    config_case("positional_embedding_type", "\"shortformer\"", ERR_UNSUPPORTED, "want standard, got shortformer");
    config_case("positional_embedding_type", "", 0, "");
    config_case("attention_dir", "\"bidirectional\"", ERR_UNSUPPORTED, "want causal, got bidirectional");
    config_case("attn_only", "true", ERR_UNSUPPORTED, "'attn_only': want false, got true");
    config_case("gated_mlp", "true", ERR_UNSUPPORTED, "'gated_mlp'");
    config_case("parallel_attn_mlp", "true", ERR_UNSUPPORTED, "'parallel_attn_mlp'");
    config_case("gated_mlp", "1", ERR_FORMAT, "'gated_mlp': want true or false");
    config_case("use_attn_scale", "false", ERR_UNSUPPORTED, "'use_attn_scale': want true, got false");
    config_case("attn_scale", "1.0", ERR_UNSUPPORTED, "'attn_scale': want 3.4641, got 1");
    config_case("attn_scale", "3.4641016151377544", 0, "");
    config_case("n_key_value_heads", "1", ERR_UNSUPPORTED, "'n_key_value_heads': want 3, got 1");
    config_case("n_key_value_heads", "3", 0, "");
    config_case("d_vocab_out", "10", ERR_UNSUPPORTED, "'d_vocab_out': want 75, got 10");
    config_case("output_logits_soft_cap", "30.0", ERR_UNSUPPORTED, "'output_logits_soft_cap'");
    config_case("num_experts", "8", ERR_UNSUPPORTED, "'num_experts'");
    config_case("n_layers", "0", ERR_RANGE, "'n_layers'");
    config_case("d_mlp", "", ERR_FORMAT, "'d_mlp'");
    config_case("d_model", "\"40\"", ERR_FORMAT, "'d_model'");
    config_case("d_head", "5000", ERR_RANGE, "'d_head': want 1 to 1024, got 5000");
    config_case("eps", "0", ERR_RANGE, "'eps'");
    config_case("eps", "1e-50", ERR_RANGE, "'eps'"); /* 0 in float32 */
    config_case("model_type", "\"gpt2\"", ERR_UNSUPPORTED, "want qwen2, llama or hooked_transformer, got gpt2");
}

static void test_weights_refused(void **s) {
    (void)s;
    const char *q = "blocks.0.attn.W_Q", *in = "blocks.1.mlp.W_in";
    refuse(HOOKED, &(struct case_edit){0}, 2, 0, "");
    refuse(PRE, &(struct case_edit){.drop = "blocks.0.attn.mask"}, 1, 0, "");
    refuse(HOOKED, &(struct case_edit){.drop = in}, 0, ERR_FORMAT, in);
    refuse(HOOKED, &(struct case_edit){.drop = "unembed.b_U"}, 0, ERR_FORMAT, "unembed.b_U");
    refuse(HOOKED, &(struct case_edit){.drop = "pos_embed.W_pos"}, 0, ERR_FORMAT, "pos_embed.W_pos");
    refuse(HOOKED, &(struct case_edit){.drop = "blocks.0.ln2.b"}, 0, ERR_FORMAT, "blocks.0.ln2.b");
    refuse(HOOKED, &(struct case_edit){.narrow = q}, 0, ERR_SHAPE, "want [3,40,12], got F32 [3,40,11]");
    refuse(HOOKED, &(struct case_edit){.narrow = in}, 0, ERR_SHAPE, "blocks.1.mlp.W_in");
    refuse(HOOKED, &(struct case_edit){.integer = q}, 0, ERR_UNSUPPORTED, "want BF16, F16 or F32, got I32");
    refuse(HOOKED, &(struct case_edit){.key = "n_ctx", .json = "49"}, 0, ERR_SHAPE, "want [49,40], got F32 [48,40]");
    refuse(HOOKED, &(struct case_edit){.key = "d_vocab", .json = "74"}, 0, ERR_SHAPE, "embed.W_E");
    refuse(HOOKED, &(struct case_edit){.key = "n_layers", .json = "1"}, 0, ERR_UNSUPPORTED, "blocks.1.");
    refuse(HOOKED, &(struct case_edit){.key = "n_layers", .json = "3"}, 0, ERR_FORMAT, "blocks.2.");
    refuse(HOOKED, &(struct case_edit){.key = "normalization_type", .json = "\"LNPre\""}, 0, ERR_UNSUPPORTED, "ln1.b");
    refuse(HOOKED, &(struct case_edit){.add = "blocks.0.mlp.W_gate"}, 0, ERR_UNSUPPORTED, "blocks.0.mlp.W_gate");
    refuse(HOOKED, &(struct case_edit){.add = "anything"}, 0, ERR_UNSUPPORTED, "anything");
    refuse(HOOKED, &(struct case_edit){.poison = q, .value = NAN}, 1, ERR_NUMERIC, q);
    refuse(HOOKED, &(struct case_edit){.poison = in, .value = INFINITY}, 1, 0, ""); /* a layer that is not used */
    refuse(HOOKED, &(struct case_edit){.poison = in, .value = INFINITY}, 2, ERR_NUMERIC, in);
    refuse(HOOKED, &(struct case_edit){.poison = "pos_embed.W_pos", .value = NAN}, 1, ERR_NUMERIC, "pos_embed.W_pos");
    refuse(HOOKED, &(struct case_edit){.poison = "unembed.W_U", .value = NAN}, 1, ERR_NUMERIC, "unembed.W_U");
    refuse(HOOKED, &(struct case_edit){.poison = "ln_final.w", .value = NAN}, 1, ERR_NUMERIC, "ln_final.w");
    refuse(HOOKED, &(struct case_edit){.cut_bytes = 1}, 0, ERR_FORMAT, "model.safetensors");
}

/* Every number of W_Q, W_K and W_V is at output part*H*Dh + h*Dh + i, input d, and nothing lies where no output is. */
static void test_packing(void **s) {
    (void)s;
    const char *name[] = {"blocks.1.attn.W_Q", "blocks.1.attn.W_K", "blocks.1.attn.W_V"};
    struct lm_model m;
    struct err e;
    double sum = 0, packed = 0;
    assert_int_equal(lm_open(&m, HOOKED, &e), 0);
    assert_int_equal(lm_load(&m, case_kernels(), 2, 40, &e), 0);
    for (size_t part = 0; part < 3; part++) {
        const struct safetensors_tensor *t = safetensors_find(m.st, name[part]);
        float *w = malloc(t->n_elems * sizeof *w);
        assert_int_equal(safetensors_to_f32(t, 0, t->n_elems, w, &e), 0);
        for (size_t h = 0; h < 3; h++)
            for (size_t d = 0; d < 40; d++)
                for (size_t i = 0; i < 12; i++) {
                    size_t n = part * 36 + h * 12 + i;
                    float v = w[(h * 40 + d) * 12 + i];
                    assert_true(v ==
                                m.layer[1].at[LM_QKV][(n / LINEAR_PANEL * 40 + d) * LINEAR_PANEL + n % LINEAR_PANEL]);
                    sum += fabs((double)v);
                }
        free(w);
    }
    for (size_t i = 0; i < linear_padded(108) * 40; i++) packed += fabs((double)m.layer[1].at[LM_QKV][i]);
    assert_true(fabs(packed - sum) <= 1e-9 * sum);
    lm_close(&m);
}

/* GPT-2's orders in a family that stands in no list: [inputs, outputs], q, k and v in one matrix. Beside each tensor the fixture's
 * that holds the same numbers in the same order; none where q, k and v are put together. */
static const struct lm_tensor fused[] = {{"ln_1.weight", LM_ATTN_NORM, LM_ROWS, LM_WHOLE},
                                         {"ln_1.bias", LM_ATTN_NORM_BIAS, LM_ROWS, LM_WHOLE},
                                         {"attn.c_attn.weight", LM_QKV, LM_COLUMNS, LM_WHOLE},
                                         {"attn.c_attn.bias", LM_QKV_BIAS, LM_ROWS, LM_WHOLE},
                                         {"attn.c_proj.weight", LM_O, LM_COLUMNS, LM_WHOLE},
                                         {"attn.c_proj.bias", LM_O_BIAS, LM_ROWS, LM_WHOLE},
                                         {"ln_2.weight", LM_MLP_NORM, LM_ROWS, LM_WHOLE},
                                         {"ln_2.bias", LM_MLP_NORM_BIAS, LM_ROWS, LM_WHOLE},
                                         {"mlp.c_fc.weight", LM_UP, LM_COLUMNS, LM_WHOLE},
                                         {"mlp.c_fc.bias", LM_UP_BIAS, LM_ROWS, LM_WHOLE},
                                         {"mlp.c_proj.weight", LM_DOWN, LM_COLUMNS, LM_WHOLE},
                                         {"mlp.c_proj.bias", LM_DOWN_BIAS, LM_ROWS, LM_WHOLE},
                                         {"wte.weight", LM_EMBED, LM_ROWS, LM_WHOLE},
                                         {"wpe.weight", LM_POSITIONS, LM_ROWS, LM_WHOLE},
                                         {"ln_f.weight", LM_FINAL_NORM, LM_ROWS, LM_WHOLE},
                                         {"ln_f.bias", LM_FINAL_NORM_BIAS, LM_ROWS, LM_WHOLE},
                                         {"head.weight", LM_UNEMBED, LM_COLUMNS, LM_WHOLE},
                                         {"head.bias", LM_UNEMBED_BIAS, LM_ROWS, LM_WHOLE},
                                         {0}};
static const char *const same_order[] = {
    "ln1.w",     "ln1.b",           NULL,         NULL,         "attn.W_O",    "attn.b_O",
    "ln2.w",     "ln2.b",           "mlp.W_in",   "mlp.b_in",   "mlp.W_out",   "mlp.b_out",
    "embed.W_E", "pos_embed.W_pos", "ln_final.w", "ln_final.b", "unembed.W_U", "unembed.b_U"};

static float *floats_of(const struct safetensors *st, size_t l, bool in_layer, const char *name, size_t *n) {
    char whole[64];
    struct err e;
    snprintf(whole, sizeof whole, "blocks.%zu.%s", l, name);
    const struct safetensors_tensor *t = safetensors_find(st, in_layer ? whole : name);
    float *x = malloc(t->n_elems * sizeof *x);
    assert_int_equal(safetensors_to_f32(t, 0, *n = t->n_elems, x, &e), 0);
    return x;
}

/* [K, 3 H Dh] from three of [H, K, Dh]; a bias has K = 1. */
static float *fuse(const struct lm_model *m, size_t l, const char *const name[3], size_t K) {
    size_t H = m->c.H, Dh = m->c.Dh, n;
    float *to = malloc(3 * H * K * Dh * sizeof *to);
    for (size_t p = 0; p < 3; p++) {
        float *from = floats_of(m->st, l, true, name[p], &n);
        for (size_t h = 0; h < H; h++)
            for (size_t k = 0; k < K; k++)
                memcpy(to + ((k * 3 + p) * H + h) * Dh, from + (h * K + k) * Dh, Dh * sizeof *to);
        free(from);
    }
    return to;
}

static void write_fused(const struct lm_model *m, const char *path) {
    static const char *const W[] = {"attn.W_Q", "attn.W_K", "attn.W_V"}, *const b[] = {"attn.b_Q", "attn.b_K",
                                                                                       "attn.b_V"};
    struct stwriter *w;
    struct err e;
    char name[64];
    int handle[64], n_handles = 0;
    assert_int_equal(stwriter_open(&w, path, &e), 0);
    for (int put = 0; put < 2; put++, n_handles = 0)
        for (size_t l = 0; l < m->c.L; l++)
            for (size_t i = 0; fused[i].name; i++) {
                bool in_layer = fused[i].part < LM_LAYER_PARTS;
                struct lm_shape s = lm_part_shape(&m->c, &m->c.block[l], fused[i].part);
                bool columns = fused[i].stored == LM_COLUMNS;
                int64_t shape[2] = {(int64_t)(columns ? s.inputs : s.outputs),
                                    (int64_t)(columns ? s.outputs : s.inputs)};
                if (!in_layer && l) continue;
                if (in_layer)
                    snprintf(name, sizeof name, "h.%zu.%s", l, fused[i].name);
                else
                    snprintf(name, sizeof name, "%s", fused[i].name);
                if (!put) {
                    handle[n_handles++] = stwriter_declare(w, name, ST_F32, s.inputs ? 2 : 1, shape, &e);
                    continue;
                }
                size_t n = s.outputs * (s.inputs ? s.inputs : 1), had = n;
                float *x = same_order[i] ? floats_of(m->st, l, in_layer, same_order[i], &had)
                                         : fuse(m, l, s.inputs ? W : b, s.inputs ? s.inputs : 1);
                assert_true(had == n);
                assert_int_equal(stwriter_write(w, handle[n_handles++], 0, x, n * sizeof *x, &e), 0);
                free(x);
            }
    assert_int_equal(stwriter_commit(w, &e), 0);
}

static void same_parts(const struct lm_model *a, const struct lm_model *b, size_t l, const struct lm_weights *x,
                       const struct lm_weights *y, enum lm_part first, enum lm_part end) {
    for (enum lm_part p = first; p < end; p++) {
        struct lm_shape s = lm_part_shape(&a->c, &b->c.block[l], p);
        assert_true(!x->at[p] == !y->at[p]);
        if (!x->at[p]) continue;
        size_t n = s.inputs ? linear_padded(s.outputs) * s.inputs : s.outputs;
        assert_memory_equal(x->at[p], y->at[p], (p == LM_POSITIONS ? 40 * a->c.D : n) * sizeof(float));
    }
}

/* A family is its table alone: the parts come out as those of the model that the folder was made from. */
static void test_fused(void **unused) {
    (void)unused;
    const struct lm_family family = {"gpt", "Gpt", NULL, "n_ctx", "", "h.", fused, {"attn.bias"}};
    struct lm_model a, b = {0};
    struct err e;
    assert_int_equal(outdir_remove(TMP, &e), 0);
    assert_int_equal(outdir_make(TMP, &e), 0);
    assert_int_equal(lm_open(&a, HOOKED, &e), 0);
    write_fused(&a, TMP "/model.safetensors");
    b.c = a.c, b.c.family = &family;
    assert_int_equal(lm_config_blocks(&b.c, a.c.block, &e), 0);
    assert_int_equal(safetensors_open(&b.st, TMP, &e), 0);
    assert_int_equal(weights_check(&b, &e), 0);
    b.embed = weights_find(&b, LM_EMBED);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lm_load(i ? &b : &a, case_kernels(), 2, 40, &e), 0);
        assert_int_equal(lm_load_head(i ? &b : &a, case_kernels(), &e), 0);
    }
    for (size_t l = 0; l < 2; l++) same_parts(&a, &b, l, &a.layer[l], &b.layer[l], 0, LM_LAYER_PARTS);
    same_parts(&a, &b, 0, &a.outside, &b.outside, LM_LAYER_PARTS, LM_PARTS);
    assert_true(a.layer[0].at[LM_QKV] && a.outside.at[LM_POSITIONS] && a.outside.at[LM_UNEMBED_BIAS]);
    lm_close(&a), lm_close(&b);
}

/* Both sequences of a reference as one batch; `named` says what it calls the sites. */
static void reference(const char *dir, const char *backend, const char *sites, const char *const *named) {
    struct setup u;
    struct seen seen = {0};
    struct safetensors *st;
    struct err e;
    char name[128];
    int32_t ids[256];
    size_t start[3] = {0};
    double worst = 0;
    open_for(&u, dir, backend, sites, strcmp(dir, GELU) ? 40 : 96);
    snprintf(name, sizeof name, "%s/reference.safetensors", dir);
    assert_int_equal(safetensors_open(&st, name, &e), 0);
    for (size_t q = 0; q < 2; q++) {
        const struct safetensors_tensor *t = safetensors_find(st, q ? "1.ids" : "0.ids");
        start[q + 1] = start[q] + t->n_elems;
        memcpy(ids + start[q], t->data, t->n_bytes);
    }
    assert_int_equal(run(&u, 2, start, ids, &seen, &e), 0);
    for (size_t i = 0; i < u.n; i++)
        for (size_t q = 0; q < 2; q++) {
            size_t T = start[q + 1] - start[q], width = lm_site_width(&u.m.c, &u.sites[i]);
            int64_t shape[2] = {(int64_t)T, (int64_t)width};
            const struct safetensors_tensor *t;
            snprintf(name, sizeof name, "%zu.%s", q, named ? named[i] : u.sites[i].name);
            assert_int_equal(safetensors_get(st, name, ST_F32, 2, shape, &t, &e), 0);
            compare(&u, i, seen.rows[i] + start[q] * width, t->data, T, &worst);
        }
    print_message("%s %s: at most %.2f of the tolerance\n", dir, backend, worst);
    safetensors_close(st);
    seen_free(&seen), close_all(&u);
}

static void test_reference(void **s) {
    (void)s;
    const char *const backend[] = {"ref", "cpu"}, *const gelu[] = {"attn_out", "mlp_post", "mlp_out", "resid_post"};
    for (int i = 0; i < 2; i++) {
        reference(HOOKED, backend[i], "L0Z,L0A,L0TC,L0mlp_post,L0M,L0R,L1Z,L1A,L1TC,L1mlp_post,L1M,L1R", NULL);
        reference(PRE, backend[i], "L0Z,L0A,L0TC,L0mlp_post,L0M,L0R", NULL);
    }
    reference(GELU, "cpu", "L0A,mlp_post,L0M,L0R", gelu);
}

/* On a GPU; in test_hooked_emulated, its kernels on the CPU. */
static void test_cuda(void **s) {
    (void)s;
    const char *const backend[] = {"cuda-f32", "cuda"}, *const gelu[] = {"attn_out", "mlp_post", "mlp_out",
                                                                         "resid_post"};
    case_need("cuda-f32");
    for (int i = 0; i < 2; i++) {
        reference(HOOKED, backend[i], "L0Z,L0A,L0TC,L0mlp_post,L0M,L0R,L1Z,L1A,L1TC,L1mlp_post,L1M,L1R", NULL);
        reference(PRE, backend[i], "L0Z,L0A,L0TC,L0mlp_post,L0M,L0R", NULL);
        reference(GELU, backend[i], "L0A,mlp_post,L0M,L0R", gelu);
    }
}

/* Sequences of many lengths: all together, and in ones, twos and threes, every row has the same bytes; and which sites
 * are asked for changes none. */
static void batching(const char *backend) {
    const size_t length[] = {1, 2, 47, 13, 48, 12, 31, 5, 1, 33};
    enum { N = sizeof length / sizeof *length };
    size_t start[N + 1] = {0}, part_start[N + 1];
    int32_t ids[300];
    struct setup u, one;
    struct seen all = {0};
    struct err e;
    for (size_t i = 0; i < N; i++) start[i + 1] = start[i] + length[i];
    for (size_t i = 0; i < start[N]; i++) ids[i] = (int32_t)(i * 37 % 75);
    open_for(&u, HOOKED, backend, "L0A,L1Z,L1R,L0TC,L0Z,L1mlp_post,L0mlp_post,L1M", 48);
    assert_int_equal(run(&u, N, start, ids, &all, &e), 0);
    for (size_t step = 1; step <= 3; step++) {
        struct seen part = {0};
        for (size_t i = 0; i < N; i += step) {
            size_t n = N - i < step ? N - i : step;
            for (size_t j = 0; j <= n; j++) part_start[j] = start[i + j] - start[i];
            assert_int_equal(run(&u, n, part_start, ids + start[i], &part, &e), 0);
        }
        for (size_t k = 0; k < u.n; k++) {
            assert_memory_equal(part.rows[k], all.rows[k],
                                start[N] * lm_site_width(&u.m.c, &u.sites[k]) * sizeof(float));
        }
        seen_free(&part);
    }
    for (size_t k = 0; k < u.n; k++) {
        struct seen alone = {0};
        open_for(&one, HOOKED, backend, u.sites[k].name, 48);
        assert_int_equal(run(&one, N, start, ids, &alone, &e), 0);
        assert_memory_equal(alone.rows[0], all.rows[k], start[N] * lm_site_width(&u.m.c, &u.sites[k]) * sizeof(float));
        seen_free(&alone), close_all(&one);
    }
    seen_free(&all), close_all(&u);
}
static void test_batching(void **s) { (void)s, batching("ref"), batching("cpu"); }

/* mlp_post is what the last matrix multiplies, in the gated family too. */
static void post_before_down(const char *dir) {
    struct setup u;
    struct seen seen = {0};
    struct err e;
    int32_t ids[30];
    const size_t start[2] = {0, 30};
    for (int i = 0; i < 30; i++) ids[i] = i;
    open_for(&u, dir, "cpu", "L0mlp_post,L0M", 30);
    assert_int_equal(run(&u, 1, start, ids, &seen, &e), 0);
    size_t D = u.m.c.D, mlp = u.m.c.mlp;
    float *y = malloc(30 * D * sizeof *y);
    u.k.linear(30, D, mlp, seen.rows[0], mlp, u.m.layer[0].at[LM_DOWN], LINEAR_PANEL * mlp,
               u.m.layer[0].at[LM_DOWN_BIAS], y, D);
    assert_memory_equal(y, seen.rows[1], 30 * D * sizeof *y);
    double post = lm_flops(&u.m.c, u.sites, 1, 30), all = lm_flops(&u.m.c, u.sites, 2, 30);
    assert_true(all - post == 2.0 * 30 * (double)(D * mlp));
    free(y);
    seen_free(&seen), close_all(&u);
}
static void test_post(void **s) {
    (void)s, post_before_down(HOOKED), post_before_down("tests/fixtures/lm/llama-shards");
}

static void test_sites(void **s) {
    (void)s;
    struct lm_site *sites;
    struct err e;
    size_t n;
    assert_int_equal(lm_sites_parse("mlp_post,L0R", 1, &sites, &n, &e), 0);
    assert_true(sites[0].kind == LM_SITE_POST && sites[0].layer == 0 && !strcmp(sites[0].name, "mlp_post"));
    free(sites);
    assert_int_equal(lm_sites_parse("L1023mlp_post", 1024, &sites, &n, &e), 0);
    assert_true(sites[0].kind == LM_SITE_POST && sites[0].layer == 1023);
    free(sites);
    assert_int_equal(lm_sites_parse("mlp_post", 2, &sites, &n, &e), ERR_USAGE);
    assert_non_null(strstr(e.text, "'mlp_post' is no site"));
    assert_int_equal(lm_sites_parse("mlp_post,L0mlp_post", 1, &sites, &n, &e), ERR_USAGE);
    assert_non_null(strstr(e.text, "named twice"));
    assert_int_equal(lm_sites_parse("L1mlp_post", 1, &sites, &n, &e), ERR_RANGE);
}

/* The folder's tokenizer gives the ids of the reference's texts, with the BOS that default_prepend_bos asks for. */
static void test_tokenizer(void **s) {
    (void)s;
    struct safetensors *st;
    struct err e;
    struct tokenizer *t;
    assert_int_equal(safetensors_open(&st, GELU "/reference.safetensors", &e), 0);
    assert_int_equal(tokenizer_open(&t, GELU, &e), 0);
    for (int q = 0; q < 2; q++) {
        const char *text = safetensors_meta(st, q ? "text.1" : "text.0");
        const int32_t *want = safetensors_find(st, q ? "1.ids" : "0.ids")->data;
        struct bpe_ids got = {0};
        assert_non_null(text);
        assert_int_equal(tokenizer_encode(t, text, strlen(text), &got, &e), 0);
        assert_true(want[0] == tokenizer_bos(t));
        assert_memory_equal(got.id, want + 1, 95 * sizeof *want);
        free(got.id);
    }
    tokenizer_close(t);
    safetensors_close(st);
}

/* Every failing allocation is reported and leaves nothing behind. */
static void test_memory(void **s) {
    (void)s;
    struct lm_model m;
    struct err e;
    long n = 0;
    int rc = ERR_MEMORY;
    for (; rc && n < 50; n++) {
        assert_int_equal(lm_open(&m, HOOKED, &e), 0);
        mem_fail_after(n);
        if (!(rc = lm_load(&m, case_kernels(), 2, 16, &e))) rc = lm_load_head(&m, case_kernels(), &e);
        mem_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_MEMORY);
        lm_close(&m);
    }
    assert_true(!rc && n > 2);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config),    cmocka_unit_test(test_weights_refused),
        cmocka_unit_test(test_packing),   cmocka_unit_test(test_fused),
        cmocka_unit_test(test_reference), cmocka_unit_test(test_batching),
        cmocka_unit_test(test_post),      cmocka_unit_test(test_sites),
        cmocka_unit_test(test_tokenizer), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_cuda),
    };
    case_emulated(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
