/* test_forward.c - activations against transformers and NumPy in float64; no row depends on its batch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/forward_cases.h"

#define DEMO "inputs/models/qwen2-8l-zh-en"

static const float *reference(const struct safetensors *st, const char *name, size_t T, size_t D) {
    const int64_t shape[2] = {(int64_t)T, (int64_t)D};
    const struct safetensors_tensor *t;
    struct err e;
    assert_int_equal(safetensors_get(st, name, ST_F32, 2, shape, &t, &e), 0);
    return t->data;
}

static void fixture(const char *dir, const char *backend) {
    struct setup u;
    struct seen seen = {0};
    struct safetensors *st;
    struct err e;
    char path[256];
    double worst = 0;
    size_t start[2] = {0, 40};
    snprintf(path, sizeof path, "%s/reference.safetensors", dir);
    open_for(&u, dir, backend, "L0R,L0A,L0M,L0Z,L0TC,L1TC,L1Z,L1A,L1M,L1R", 40);
    assert_int_equal(safetensors_open(&st, path, &e), 0);
    assert_int_equal(run(&u, 1, start, safetensors_find(st, "ids")->data, &seen, &e), 0);
    for (size_t i = 0; i < u.n; i++)
        compare(&u, i, seen.rows[i], reference(st, u.sites[i].name, 40, lm_site_width(&u.m.c, &u.sites[i])), 40,
                &worst);
    print_message("%s %s: at most %.2f of the tolerance\n", dir, backend, worst);
    safetensors_close(st);
    seen_free(&seen);
    close_all(&u);
}

static void test_fixtures(void **s) {
    (void)s;
    const char *dirs[] = {"tests/fixtures/lm/llama-f32", "tests/fixtures/lm/llama-shards",
                          "tests/fixtures/lm/qwen2-old"};
    for (int i = 0; i < 3; i++) fixture(dirs[i], "ref"), fixture(dirs[i], "cpu");
}

/* On a GPU; in test_forward_emulated, its kernels on the CPU. */
static void test_cuda(void **s) {
    (void)s;
    case_need("cuda-f32");
    const char *dirs[] = {"tests/fixtures/lm/llama-f32", "tests/fixtures/lm/llama-shards",
                          "tests/fixtures/lm/qwen2-old"};
    for (int i = 0; i < 3; i++) fixture(dirs[i], "cuda-f32"), fixture(dirs[i], "cuda");
}

/* The shipped model, all 32 sites, both texts of its reference as one batch. */
static void test_demo(void **s) {
    (void)s;
    struct setup u;
    struct seen seen = {0};
    struct safetensors *st;
    struct err e;
    char list[256] = "", name[64];
    const char *kind[] = {"A", "TC", "M", "R"},
               *long_name[] = {
                   [LM_SITE_A] = "attn", [LM_SITE_TC] = "mlp_in", [LM_SITE_M] = "mlp", [LM_SITE_R] = "resid"};
    int32_t ids[192];
    size_t start[3] = {0, 96, 192};
    double worst = 0;
    for (int l = 0; l < 8; l++)
        for (int k = 0; k < 4; k++)
            snprintf(list + strlen(list), sizeof list - strlen(list), "%sL%d%s", *list ? "," : "", l, kind[k]);
    open_for(&u, DEMO, "cpu", list, 96);
    assert_int_equal(safetensors_open(&st, DEMO "/reference.safetensors", &e), 0);
    memcpy(ids, safetensors_find(st, "0.ids")->data, 96 * sizeof *ids);
    memcpy(ids + 96, safetensors_find(st, "1.ids")->data, 96 * sizeof *ids);
    assert_int_equal(run(&u, 2, start, ids, &seen, &e), 0);
    for (size_t i = 0; i < u.n; i++)
        for (size_t text = 0; text < 2; text++) {
            snprintf(name, sizeof name, "%zu.%s.%zu", text, long_name[u.sites[i].kind], u.sites[i].layer);
            compare(&u, i, seen.rows[i] + text * 96 * 256, reference(st, name, 96, 256), 96, &worst);
        }
    print_message("demo: at most %.2f of the tolerance\n", worst);
    safetensors_close(st);
    seen_free(&seen);
    close_all(&u);
}

/* Sequences of many lengths: alone, all together, and in twos and threes, every row has the same bytes. */
static void batching(const char *backend) {
    struct setup u;
    const size_t length[] = {1, 2, 47, 13, 60, 12, 31, 49, 5, 1, 33};
    enum { N = sizeof length / sizeof *length };
    size_t start[N + 1] = {0}, zero[N + 1];
    int32_t ids[300];
    struct seen all = {0}, part;
    struct err e;
    for (size_t i = 0; i < N; i++) start[i + 1] = start[i] + length[i];
    for (size_t i = 0; i < start[N]; i++) ids[i] = (int32_t)(i * 37 % 96);
    open_for(&u, "tests/fixtures/lm/llama-shards", backend, "L0A,L1R,L0TC,L1M", 64);
    assert_int_equal(run(&u, N, start, ids, &all, &e), 0);
    for (size_t step = 1; step <= 3; step++) {
        part = (struct seen){0};
        for (size_t i = 0; i < N; i += step) {
            size_t n = N - i < step ? N - i : step;
            for (size_t j = 0; j <= n; j++) zero[j] = start[i + j] - start[i];
            assert_int_equal(run(&u, n, zero, ids + start[i], &part, &e), 0);
        }
        for (size_t k = 0; k < u.n; k++)
            assert_memory_equal(part.rows[k], all.rows[k], start[N] * u.m.c.D * sizeof(float));
        seen_free(&part);
    }
    seen_free(&all);
    close_all(&u);
}
static void test_batching(void **s) { (void)s, batching("ref"), batching("cpu"); }

/* Which sites are asked for, and how deep the deepest is, changes nothing in a site. */
static void test_early_stop(void **s) {
    (void)s;
    struct setup u;
    struct err e;
    const char *kind[] = {"Z", "A", "TC", "M", "R"};
    struct seen all = {0}, one;
    int32_t ids[30];
    size_t start[2] = {0, 30};
    for (int i = 0; i < 30; i++) ids[i] = i;
    open_for(&u, "tests/fixtures/lm/qwen2-old", "cpu", "L0Z,L0A,L0TC,L0M,L0R,L1Z,L1A,L1TC,L1M,L1R", 30);
    assert_int_equal(run(&u, 1, start, ids, &all, &e), 0);
    assert_true(all.calls == 10);
    close_all(&u);
    double flops = 0;
    for (int i = 0; i < 10; i++) {
        char name[8];
        snprintf(name, sizeof name, "L%d%s", i / 5, kind[i % 5]);
        open_for(&u, "tests/fixtures/lm/qwen2-old", "cpu", name, 30);
        assert_true(u.m.n_layers == (size_t)(i / 5 + 1));
        one = (struct seen){0};
        assert_int_equal(run(&u, 1, start, ids, &one, &e), 0);
        assert_true(one.calls == 1);
        assert_memory_equal(one.rows[0], all.rows[i], 30 * u.m.c.D * sizeof(float));
        double f = lm_flops(&u.m.c, u.sites, 1, 30);
        assert_true(f >= flops && (i % 5 == 2 || i % 5 == 4 ? !(f > flops) : f > flops));
        flops = f;
        seen_free(&one);
        close_all(&u);
    }
    /* 2 layers, 30 tokens: per layer q 32x32, k and v 16x32, o 32x32, three of 72x32; 465 pairs x 32 x 4 */
    assert_true(flops == 2 * (2.0 * 30 * (1024 + 2 * 512 + 1024 + 3 * 2304) + 465.0 * 32 * 4));
    seen_free(&all);
}

static void test_hook_error(void **s) {
    (void)s;
    struct setup u;
    struct err e;
    struct seen seen = {.stop_at = 2};
    int32_t ids[4] = {0, 1, 2, 3};
    size_t start[2] = {0, 4};
    open_for(&u, "tests/fixtures/lm/qwen2-old", "cpu", "L0A,L0R,L1R", 4);
    assert_int_equal(run(&u, 1, start, ids, &seen, &e), ERR_RANGE);
    assert_true(seen.calls == 2 && !strcmp(e.text, "stopped"));
    seen_free(&seen);
    close_all(&u);
}

static void test_sites(void **s) {
    (void)s;
    const struct {
        const char *text;
        int code;
        const char *says;
    } bad[] = {
        {"L9R", ERR_RANGE, "L9R: the model has layers 0..7"},
        {"L8A", ERR_RANGE, "0..7"},
        {"", ERR_USAGE, "''"},
        {"L0R,", ERR_USAGE, "''"},
        {"L0X", ERR_USAGE, "'L0X'"},
        {"l0R", ERR_USAGE, "'l0R'"},
        {"LR", ERR_USAGE, "'LR'"},
        {"L-1R", ERR_USAGE, "'L-1R'"},
        {"L0R,L0R", ERR_USAGE, "L0R is named twice"},
        {"L00R", ERR_USAGE, "'L00R'"},
        {"L0R L1R", ERR_USAGE, "'L0R L1R'"},
        {"L99999999999999999999R", ERR_USAGE, "is no site"},
        {"L9999999999R", ERR_RANGE, "0..7"},
        {"L0T", ERR_USAGE, "'L0T'"},
        {"L3A_pre", ERR_UNSUPPORTED, "L3A_pre: the model has no norm after this half"},
        {"L0M_pre", ERR_UNSUPPORTED, "L0M_pre"},
    };
    struct lm_site *sites;
    struct err e;
    size_t n;
    assert_int_equal(lm_sites_parse("L0R,L7TC,L3A,L3M", 8, &sites, &n, &e), 0);
    assert_true(n == 4 && sites[1].layer == 7 && sites[1].kind == LM_SITE_TC && !strcmp(sites[1].name, "L7TC"));
    assert_true(sites[2].kind == LM_SITE_A && sites[3].kind == LM_SITE_M && lm_sites_depth(sites, n) == 8);
    free(sites);
    assert_int_equal(lm_sites_parse("L2Z", 8, &sites, &n, &e), 0);
    assert_true(n == 1 && sites[0].layer == 2 && sites[0].kind == LM_SITE_Z);
    free(sites);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(lm_sites_parse(bad[i].text, 8, &sites, &n, &e), bad[i].code);
        if (!strstr(e.text, bad[i].says)) fail_msg("want '%s' in '%s'", bad[i].says, e.text);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixtures),   cmocka_unit_test(test_demo),       cmocka_unit_test(test_batching),
        cmocka_unit_test(test_early_stop), cmocka_unit_test(test_hook_error), cmocka_unit_test(test_sites),
        cmocka_unit_test(test_cuda),
    };
    case_emulated(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
