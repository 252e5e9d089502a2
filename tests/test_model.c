/* test_model.c - config.json and weights: both layouts, and everything that must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>

#include "kernels/base/linear.h"
#include "lib/base/outdir.h"
#include "lib/base/arena.h"
#include "lib/lm/family.h"
#include "lib/lm/model.h"
#include "tests/lm_cases.h"

#define LLAMA  "tests/fixtures/lm/llama-f32"
#define SHARDS "tests/fixtures/lm/llama-shards"
#define QWEN   "tests/fixtures/lm/qwen2-old"
#define DEMO   "inputs/models/qwen2-8l-zh-en"
#define TMP    "build/tmp/test_model"

static const char old_llama[] =
    "{'model_type':'llama','architectures':['LlamaForCausalLM'],'hidden_size':64,'intermediate_size':96,'num_hidden_"
    "layers':3,"
    "'num_attention_heads':4,'num_key_value_heads':2,'vocab_size':100,'max_position_embeddings':128,'rms_norm_eps':1e-"
    "5,"
    "'rope_theta':500000.0,'hidden_act':'silu','torch_dtype':'bfloat16','tie_word_embeddings':true,'rope_scaling':{'"
    "rope_type':"
    "'llama3','factor':8.0,'low_freq_factor':1.0,'high_freq_factor':4.0,'original_max_position_embeddings':64}}";

/* Read a config with one key changed, over one read before or a zero one; single quotes stand for double ones. */
static int read_with(const char *text, const char *key, const char *value, struct lm_config *c, struct err *e) {
    char buf[2048], v[512];
    size_t n = strlen(text);
    memcpy(buf, text, n + 1);
    for (char *p = buf; *p; p++)
        if (*p == '\'') *p = '"';
    json_t *root = json_loads(buf, 0, NULL);
    assert_non_null(root);
    if (key && *value) {
        snprintf(v, sizeof v, "[%s]", value);
        for (char *p = v; *p; p++)
            if (*p == '\'') *p = '"';
        json_t *list = json_loads(v, 0, NULL);
        assert_non_null(list);
        json_object_set(root, key, json_array_get(list, 0));
        json_decref(list);
    } else if (key)
        json_object_del(root, key);
    lm_config_free(c);
    int rc = lm_config_read(root, "m/config.json", c, e);
    json_decref(root);
    return rc;
}

static void test_old_layout(void **s) {
    (void)s;
    struct lm_config c = {0};
    struct err e;
    assert_int_equal(read_with(old_llama, NULL, NULL, &c, &e), 0);
    assert_true(c.L == 3 && c.D == 64 && c.H == 4 && c.G == 2 && c.Dh == 16 && c.mlp == 96 && c.vocab == 100 &&
                c.max_T == 128);
    assert_true(c.tied && !c.block[0].qkv_bias && !c.block[1].o_bias && !c.block[2].mlp_bias && c.final_eps == 1e-5f);
    assert_true(c.block[2].rope.kind == LM_ROPE_LLAMA3 && c.block[2].rope.theta == 500000 &&
                c.block[2].rope.factor == 8 && c.block[2].rope.original_tok == 64);
    assert_int_equal(read_with(old_llama, "rope_scaling", "null", &c, &e), 0);
    assert_true(c.block[2].rope.kind == LM_ROPE_DEFAULT);
    assert_int_equal(read_with(old_llama, "rope_scaling", "{'type':'default'}", &c, &e), 0);
    assert_int_equal(read_with(old_llama, "head_dim", "24", &c, &e), 0);
    assert_true(c.Dh == 24);
    assert_int_equal(read_with(old_llama, "head_dim", "null", &c, &e), 0);
    assert_true(c.Dh == 16);
    assert_int_equal(read_with(old_llama, "attention_bias", "true", &c, &e), 0);
    assert_true(c.block[0].qkv_bias && c.block[0].o_bias && !c.block[0].mlp_bias);
    assert_int_equal(read_with(old_llama, "num_key_value_heads", "", &c, &e), 0);
    assert_true(c.G == 4);
    lm_config_free(&c);
}

static void test_new_layout(void **s) {
    (void)s;
    struct lm_config c = {0};
    struct err e;
    struct lm_model m;
    assert_int_equal(read_with(old_llama, "rope_parameters", "{'rope_type':'default','rope_theta':7000.0}", &c, &e), 0);
    assert_true(c.block[0].rope.kind == LM_ROPE_DEFAULT && c.block[0].rope.theta == 7000);
    lm_config_free(&c);
    assert_int_equal(lm_open(&m, DEMO, &e), 0);
    assert_true(m.c.L == 8 && m.c.D == 256 && m.c.H == 8 && m.c.G == 2 && m.c.Dh == 32 && m.c.mlp == 704 &&
                m.c.max_T == 2048);
    assert_true(m.c.block[7].qkv_bias && !m.c.block[7].o_bias && m.c.tied && m.c.block[7].rope.theta == 10000);
    lm_close(&m);
}

/* Refused with the key (and the value) in the text. */
static void test_refusals(void **s) {
    (void)s;
    const struct {
        const char *key, *value;
        int code;
        const char *says;
    } cases[] = {
        {"model_type", "'gpt_neox'", ERR_UNSUPPORTED,
         "'model_type': want qwen2, llama or hooked_transformer, got gpt_neox"},
        {"model_type", "'qwen2'", ERR_UNSUPPORTED, "'architectures': want Qwen2ForCausalLM, got LlamaForCausalLM"},
        {"architectures", "['LlamaForSequenceClassification']", ERR_UNSUPPORTED, "got LlamaForSequenceClassification"},
        {"architectures", "'LlamaForCausalLM'", ERR_FORMAT, "'architectures'"},
        {"hidden_act", "'gelu'", ERR_UNSUPPORTED, "'hidden_act': want silu, got gelu"},
        {"rope_scaling", "{'type':'yarn','factor':4.0}", ERR_UNSUPPORTED,
         "rope_scaling: key 'rope_type': want default or llama3, got yarn"},
        {"rope_scaling", "{'rope_type':'linear','factor':4.0}", ERR_UNSUPPORTED, "got linear"},
        {"rope_parameters", "{'rope_type':'dynamic'}", ERR_UNSUPPORTED, "rope_parameters: key 'rope_type'"},
        {"rope_parameters", "{'full_attention':{'rope_type':'default'}}", ERR_FORMAT, "'rope_type': is missing"},
        {"rope_scaling", "{'rope_type':'llama3','factor':8.0}", ERR_FORMAT, "'low_freq_factor'"},
        {"rope_scaling", "8", ERR_FORMAT, "'rope_scaling': want an object"},
        {"rope_theta", "0", ERR_RANGE, "'rope_theta'"},
        {"partial_rotary_factor", "0.5", ERR_UNSUPPORTED, "'partial_rotary_factor'"},
        {"use_sliding_window", "true", ERR_UNSUPPORTED, "'use_sliding_window'"},
        {"layer_types", "['full_attention','sliding_attention','full_attention']", ERR_UNSUPPORTED,
         "got sliding_attention"},
        {"layer_types", "7", ERR_FORMAT, "'layer_types'"},
        {"quantization_config", "{}", ERR_UNSUPPORTED, "'quantization_config'"},
        {"hidden_size", "", ERR_FORMAT, "'hidden_size'"},
        {"hidden_size", "'64'", ERR_FORMAT, "'hidden_size'"},
        {"hidden_size", "66", ERR_RANGE, "multiple of num_attention_heads 4, got 66"},
        {"hidden_size", "64.5", ERR_FORMAT, "'hidden_size'"},
        {"hidden_size", "1000000000", ERR_RANGE, "'hidden_size': want 1 to 131072"},
        {"num_attention_heads", "0", ERR_RANGE, "'num_attention_heads'"},
        {"num_key_value_heads", "3", ERR_RANGE,
         "'num_key_value_heads': want a divisor of num_attention_heads 4, got 3"},
        {"head_dim", "15", ERR_RANGE, "'head_dim': want an even number"},
        {"num_hidden_layers", "-1", ERR_RANGE, "'num_hidden_layers'"},
        {"vocab_size", "0", ERR_RANGE, "'vocab_size'"},
        {"rms_norm_eps", "-1", ERR_RANGE, "'rms_norm_eps'"},
        {"tie_word_embeddings", "1", ERR_FORMAT, "'tie_word_embeddings': want true or false"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lm_config c = {0};
        struct err e = {0};
        assert_int_equal(read_with(old_llama, cases[i].key, cases[i].value, &c, &e), cases[i].code);
        if (!strstr(e.text, cases[i].says)) fail_msg("want '%s' in '%s'", cases[i].says, e.text);
        assert_non_null(strstr(e.text, "m/config.json"));
    }
}

/* The published rule in another form: wavelengths compared, not turns. */
static void test_frequencies(void **s) {
    (void)s;
    struct lm_config c = {0};
    struct err e;
    double f[8], pi = acos(-1);
    int kept = 0, between = 0, stretched = 0;
    assert_int_equal(read_with(old_llama, "rope_theta", "100.0", &c, &e), 0);
    lm_rope_frequencies(&c.block[1].rope, c.Dh, f);
    for (int i = 0; i < 8; i++) {
        double plain = 1 / pow(100, 2.0 * i / 16), wave = 2 * pi / plain, want;
        if (wave < 64.0 / 4)
            want = plain, kept++;
        else if (wave > 64.0 / 1)
            want = plain / 8, stretched++;
        else {
            double smooth = (64 / wave - 1) / (4 - 1);
            want = (1 - smooth) * plain / 8 + smooth * plain, between++;
        }
        assert_true(fabs(f[i] - want) <= 8 * DBL_EPSILON * want);
    }
    assert_true(kept && between && stretched);
    lm_config_free(&c);
}

/* A block may say more than there are kernels for: each such thing is refused where it stands, by its name. */
static void test_no_kernel(void **s) {
    (void)s;
    struct lm_config c = {0};
    struct err e;
    assert_int_equal(read_with(old_llama, NULL, NULL, &c, &e), 0);
    const struct lm_block plain = c.block[1];
    struct lm_block b[12];
    for (int i = 0; i < 12; i++) b[i] = plain;
    b[0].attn_norm = LM_NORM_NONE, b[1].mlp_norm = LM_NORM_RMS_ONE, b[2].attn_norm_after = LM_NORM_RMS,
    b[3].mlp_norm_after = LM_NORM_RMS, b[4].window = 127, b[5].softcap = 50, b[6].qk_norm = true;
    b[7].rope.share = 0.5, b[8].rope.theta = 1e4, b[9].act = LM_ACT_GELU, b[10].gated = false, b[11].parallel = true;
    static const char *const says[12] = {"1 + w",          "1 + w",      "a norm after",     "a norm after",
                                         "sliding window", "softcap",    "queries and keys", "part of a head",
                                         "than layer 0",   "activation", "activation",       "side by side"};
    for (int i = 0; i < 12; i++) {
        c.block[1] = b[i];
        assert_int_equal(lm_block_check(&c, "m", &e), ERR_UNSUPPORTED);
        if (!strstr(e.text, says[i]) || !strstr(e.text, "m: layer 1 has "))
            fail_msg("want '%s' in '%s'", says[i], e.text);
    }
    c.block[1] = plain, c.block[1].window = 128; /* as far as the model goes */
    assert_int_equal(lm_block_check(&c, "m", &e), 0);
    c.embed_factor = 45.25;
    assert_int_equal(lm_block_check(&c, "m", &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "factor of the embedding"));
    c.embed_factor = 1, c.logit_softcap = 30;
    assert_int_equal(lm_block_check(&c, "m", &e), ERR_UNSUPPORTED);
    assert_non_null(strstr(e.text, "softcap of logits"));
    c.logit_softcap = 0, c.final_norm = LM_NORM_RMS_ONE;
    assert_int_equal(lm_block_check(&c, "m", &e), ERR_UNSUPPORTED);
    lm_config_free(&c);
}

/* Loaded numbers are those of the file, at the packed places; q, k and v are one matrix. */
static void test_load(void **s) {
    (void)s;
    const char *dirs[] = {LLAMA, SHARDS, QWEN};
    for (int i = 0; i < 3; i++) {
        struct lm_model m;
        struct err e;
        const struct safetensors_tensor *t;
        assert_int_equal(lm_open(&m, dirs[i], &e), 0);
        assert_int_equal(lm_load(&m, case_kernels(), 2, 40, &e), 0);
        size_t D = m.c.D, q = m.c.H * m.c.Dh, kv = m.c.G * m.c.Dh;
        const struct {
            const char *name;
            const float *packed;
            size_t first, rows, cols;
        } parts[] = {
            {"model.layers.1.self_attn.q_proj.weight", m.layer[1].at[LM_QKV], 0, q, D},
            {"model.layers.1.self_attn.k_proj.weight", m.layer[1].at[LM_QKV], q, kv, D},
            {"model.layers.1.self_attn.v_proj.weight", m.layer[1].at[LM_QKV], q + kv, kv, D},
            {"model.layers.1.self_attn.o_proj.weight", m.layer[1].at[LM_O], 0, D, q},
            {"model.layers.1.mlp.down_proj.weight", m.layer[1].at[LM_DOWN], 0, D, m.c.mlp},
        };
        for (int p = 0; p < 5; p++) {
            float *w = malloc(parts[p].rows * parts[p].cols * sizeof *w);
            assert_non_null(t = safetensors_find(m.st, parts[p].name));
            assert_int_equal(safetensors_to_f32(t, 0, t->n_elems, w, &e), 0);
            for (size_t r = 0; r < parts[p].rows; r++)
                for (size_t c = 0; c < parts[p].cols; c++) {
                    size_t n = parts[p].first + r;
                    assert_true(
                        w[r * parts[p].cols + c] ==
                        parts[p].packed[(n / LINEAR_PANEL * parts[p].cols + c) * LINEAR_PANEL + n % LINEAR_PANEL]);
                }
            free(w);
        }
        assert_true((m.layer[0].at[LM_QKV_BIAS] != NULL) == (i > 0) && (m.layer[0].at[LM_O_BIAS] != NULL) == (i == 1));
        assert_true(m.rope[0] == 1 && m.rope[m.c.Dh / 2] == 0);
        lm_close(&m);
    }
}

static void refuse(const char *from, const struct case_edit *d, size_t n_layers, int code, const char *says) {
    struct lm_model m;
    struct err e = {0};
    assert_int_equal(outdir_remove(TMP, &e), 0);
    case_model(from, TMP, d);
    int rc = lm_open(&m, TMP, &e);
    if (!rc && n_layers) {
        rc = lm_load(&m, case_kernels(), n_layers, 16, &e);
        lm_close(&m);
    } else if (!rc)
        lm_close(&m);
    assert_int_equal(rc, code);
    if (code && !strstr(e.text, says)) fail_msg("want '%s' in '%s'", says, e.text);
    if (code) assert_non_null(strstr(e.text, TMP));
}

static void test_weights_refused(void **s) {
    (void)s;
    const char *v1 = "model.layers.1.self_attn.v_proj.weight";
    refuse(LLAMA, &(struct case_edit){0}, 2, 0, "");
    refuse(LLAMA, &(struct case_edit){.drop = v1}, 0, ERR_FORMAT, v1);
    refuse(LLAMA, &(struct case_edit){.drop = "lm_head.weight"}, 0, ERR_FORMAT, "lm_head.weight");
    refuse(QWEN, &(struct case_edit){.drop = "model.layers.0.self_attn.k_proj.bias"}, 0, ERR_FORMAT, "k_proj.bias");
    refuse(LLAMA, &(struct case_edit){.narrow = v1}, 0, ERR_SHAPE, v1);
    refuse(LLAMA, &(struct case_edit){.key = "intermediate_size", .json = "71"}, 0, ERR_SHAPE,
           "want [71,32], got F32 [72,32]");
    refuse(LLAMA, &(struct case_edit){.key = "num_hidden_layers", .json = "1"}, 0, ERR_UNSUPPORTED, "model.layers.1.");
    refuse(LLAMA, &(struct case_edit){.key = "num_hidden_layers", .json = "3"}, 0, ERR_FORMAT, "model.layers.2.");
    refuse(LLAMA, &(struct case_edit){.key = "attention_bias", .json = "true"}, 0, ERR_FORMAT, "q_proj.bias");
    refuse(QWEN, &(struct case_edit){.add = "model.layers.0.self_attn.q_norm.weight"}, 0, ERR_UNSUPPORTED,
           "q_norm.weight");
    refuse(LLAMA, &(struct case_edit){.add = "model.layers.0.self_attn.rotary_emb.inv_freq"}, 2, 0, "");
    refuse(LLAMA, &(struct case_edit){.integer = v1}, 0, ERR_UNSUPPORTED, "want BF16, F16 or F32, got I32");
    refuse(LLAMA, &(struct case_edit){.poison = v1, .value = NAN}, 2, ERR_NUMERIC, v1);
    refuse(LLAMA, &(struct case_edit){.poison = v1, .value = NAN}, 1, 0, ""); /* a layer that is not used */
    refuse(LLAMA, &(struct case_edit){.poison = "model.layers.0.mlp.up_proj.weight", .value = -INFINITY}, 1,
           ERR_NUMERIC, "up_proj");
    refuse(LLAMA, &(struct case_edit){.poison = "model.layers.0.input_layernorm.weight", .value = INFINITY}, 1,
           ERR_NUMERIC, "input_layernorm");
    refuse(QWEN, &(struct case_edit){.poison = "model.layers.0.self_attn.q_proj.bias", .value = NAN}, 1, ERR_NUMERIC,
           "q_proj.bias");
    refuse(LLAMA, &(struct case_edit){.poison = "model.embed_tokens.weight", .value = NAN}, 1, ERR_NUMERIC,
           "embed_tokens");
    refuse(LLAMA, &(struct case_edit){.cut_bytes = 1}, 0, ERR_FORMAT, "model.safetensors");
    refuse(LLAMA, &(struct case_edit){.cut_bytes = 106000}, 0, ERR_FORMAT, "model.safetensors");
}

static void test_folder(void **s) {
    (void)s;
    struct lm_model m;
    struct err e;
    assert_int_equal(lm_open(&m, "build/tmp/no-such-model", &e), ERR_IO);
}

/* Every failing allocation of a load is reported and leaves nothing behind (the leak checker sees to the latter). */
static void test_memory(void **s) {
    (void)s;
    struct lm_model m;
    struct err e;
    long n = 0;
    int rc = ERR_MEMORY;
    for (; rc && n < 50; n++) {
        assert_int_equal(lm_open(&m, LLAMA, &e), 0);
        mem_fail_after(n);
        rc = lm_load(&m, case_kernels(), 2, 16, &e);
        mem_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_MEMORY);
        lm_close(&m);
    }
    assert_true(!rc && n > 2);
    assert_int_equal(lm_open(&m, LLAMA, &e), 0);
    assert_true(lm_load_bytes(&m, case_kernels(), SIZE_MAX / 2, 16) == SIZE_MAX);
    lm_close(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_layout),      cmocka_unit_test(test_new_layout), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_frequencies),     cmocka_unit_test(test_no_kernel),  cmocka_unit_test(test_load),
        cmocka_unit_test(test_weights_refused), cmocka_unit_test(test_folder),     cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
