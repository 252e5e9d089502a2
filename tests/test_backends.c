/* test_backends.c - the registry of back ends, and what their tables start from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "kernels/base/backends.h"
#include "kernels/lm/lm_kernels.h"
#include "kernels/sae/sae_kernels.h"
#include "tests/emulated.h"

/* Every name of the choices opens, or says why not; the help and the message about another name have them all. */
static void test_names_cuda(void **s) {
    (void)s;
    const struct backend *b;
    struct err e;
    char name[32], choices[128];
    size_t n = 0;
    snprintf(choices, sizeof choices, "%s", backends_choices());
    assert_string_equal(choices, "ref|cpu|cuda|cuda-tf32|cuda-f32");
    for (const char *c = choices; *c; c += strspn(c, "|"), n++) {
        size_t len = strcspn(c, "|");
        snprintf(name, sizeof name, "%.*s", (int)len, c), c += len;
        int rc = backends_open(name, &b, &e);
        if (rc)
            assert_true(rc == ERR_NO_DEVICE && strstr(e.text, "--backend cuda") && e.hint[0]);
        else
            assert_string_equal(b->name, name);
        assert_non_null(strstr(backends_help(), name));
    }
    assert_int_equal(n, 5);
    assert_int_equal(backends_open("tpu", &b, &e), ERR_UNSUPPORTED);
    assert_true(!b && strstr(e.text, "'tpu'") && strstr(e.text, choices) && strstr(e.hint, "slow definition"));
}

static void twice(size_t n, float *x) {
    for (size_t i = 0; i < n; i++) x[i] *= 2;
}
static void lm_little(struct lm_kernels *t) { t->gelu = twice; }
static void sae_little(struct sae_kernels *t) { t->gemm = gemm_cpu; }

/* A back end that has one operation: the others are the definitions'. */
static void test_overrides(void **s) {
    (void)s;
    const struct backend little = {.name = "little", .sae = sae_little, .lm = lm_little}, ref = {.name = "ref"};
    struct sae_kernels a, b;
    struct lm_kernels c, d;
    struct err e;
    assert_int_equal(sae_kernels_make(&little, &a, &e), 0);
    assert_int_equal(sae_kernels_make(&ref, &b, &e), 0);
    assert_true(a.gemm == gemm_cpu && b.gemm == gemm_ref);
    a.gemm = b.gemm, a.name = b.name;
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(lm_kernels_make(&little, &c, &e), 0);
    assert_int_equal(lm_kernels_make(&ref, &d, &e), 0);
    assert_true(c.gelu == twice && d.gelu == gelu_ref);
    c.gelu = d.gelu, c.name = d.name;
    assert_memory_equal(&c, &d, sizeof c);
    assert_true(sae_kernels_get("cpu")->residual == residual_cpu && sae_kernels_get("ref")->residual == residual_ref);
    assert_null(sae_kernels_get("tpu"));
}

/* Definitions cannot read a device's memory: what it lacks is refused by name. */
static void test_device(void **s) {
    (void)s;
    const struct backend little = {.name = "little", .device = true, .sae = sae_little, .lm = lm_little};
    struct sae_kernels a;
    struct lm_kernels c;
    struct err e;
    assert_int_equal(sae_kernels_make(&little, &a, &e), ERR_UNSUPPORTED);
    assert_true(strstr(e.text, "little") && strstr(e.text, "'memory_bytes'"));
    assert_int_equal(lm_kernels_make(&little, &c, &e), ERR_UNSUPPORTED);
    assert_true(strstr(e.text, "little") && strstr(e.text, "'memory_bytes'"));
}

/* The GPU's tables are whole. */
static void test_whole_cuda(void **s) {
    (void)s;
    const struct sae_kernels *a;
    struct lm_kernels c;
    struct err e;
    int rc = sae_kernels_open("cuda-f32", &a, &e);
    assert_int_equal(lm_kernels_get("cuda-f32", &c, &e), rc);
    if (rc) {
        assert_int_equal(rc, ERR_NO_DEVICE);
        print_message("SKIP: %s\n", e.text);
        skip();
    }
    assert_true(a->gemm != gemm_ref && c.linear != linear_ref && c.embed);
    assert_string_equal(a->name, "cuda-f32");
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_cuda),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_device),
        cmocka_unit_test(test_whole_cuda),
    };
    case_emulated(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
