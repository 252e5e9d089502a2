/* test_encode.c - encoder and selection: the cases of encode_cases.h for every back end, threads, ties. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/sae/select.h"
#include "lib/base/rng.h"
#include "tests/emulated.h"
#include "tests/encode_cases.h"

static float *normals(uint64_t stream, size_t n) {
    float *x = malloc((n + 1) * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (float)rng_normal(21, stream, i);
    return x;
}

void checked(const char *name, const char *size, double value, double limit) {
    if (!(value <= limit)) fail_msg("%s, %s: %.3g of what it may be off by", name, size, value);
}

static void on(const char *backend) {
    const struct sae_kernels *k;
    struct err e;
    if (sae_kernels_open(backend, &k, &e)) {
        print_message("SKIP: %s\n", e.text);
        skip();
    }
    encode_cases(k);
}
static void cases(void **state) {
    (void)state;
    on("ref");
    EACH_ISA(level) on("cpu");
}
static void cases_cuda_f32(void **state) { (void)state, on("cuda-f32"); }
static void cases_cuda_tf32(void **state) { (void)state, on("cuda-tf32"); }
static void cases_cuda_bf16(void **state) { (void)state, on("cuda"); }

/* Threads change no byte. */
static void threads(void **state) {
    (void)state;
    const size_t B = 1100, D = 24, F = 300;
    float *x = normals(1, B * D), *W = normals(2, F * D), *b = normals(3, F), *low = normals(4, F);
    struct active a, one;
    if (active_init(&a, B, B * F, NULL) || active_init(&one, B, B * F, NULL)) fail();
    omp_set_num_threads(3);
    assert_int_equal(encode_cpu(B, D, F, x, W, b, low, &a), 0);
    omp_set_num_threads(1);
    assert_int_equal(encode_cpu(B, D, F, x, W, b, low, &one), 0);
    assert_memory_equal(a.row, one.row, (B + 1) * sizeof *a.row);
    assert_memory_equal(a.feat, one.feat, a.row[B] * sizeof *a.feat);
    assert_memory_equal(a.pre, one.pre, a.row[B] * sizeof *a.pre);
    active_free(&a), active_free(&one);
    free(x), free(W), free(b), free(low);
}

static void ties_and_nan(void **state) {
    (void)state;
    float v[35], pre[35];
    uint32_t feat[35];
    for (int i = 0; i < 35; i++) v[i] = (float)(i % 3);
    v[2] = NAN, v[33] = INFINITY;
    size_t n = select_above(35, v, 1, 100, feat, pre), want = 0;
    for (int i = 0; i < 35; i++) {
        if (i != 33 && (i % 3 != 2 || i == 2)) continue; /* 1 > 1 is false: strict */
        assert_int_equal(feat[want], 100 + i);
        assert_true(pre[want] == v[i]);
        want++;
    }
    assert_int_equal(n, want);
    assert_int_equal(select_above(35, v, NAN, 0, feat, pre), 0);
    for (size_t k = 0; k <= 35; k++) { /* all are above: the room is used to its end, and not beyond */
        float *value = malloc((k + 1) * sizeof *value);
        uint32_t *index = malloc((k + 1) * sizeof *index);
        value[k] = 7, index[k] = 7;
        assert_int_equal(select_above(k, v, -1, 0, index, value), k - (k > 2));
        assert_true(value[k] == 7 && index[k] == 7);
        free(value), free(index);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(cases),           cmocka_unit_test(cases_cuda_f32),
                                       cmocka_unit_test(cases_cuda_tf32), cmocka_unit_test(cases_cuda_bf16),
                                       cmocka_unit_test(threads),         cmocka_unit_test(ties_and_nan)};
    case_emulated(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
