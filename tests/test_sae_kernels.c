/* test_sae_kernels.c - the operations of an SAE's step, one by one: the cases of sae_kernel_cases.h for cpu at every level of instructions
 * and for the emulated GPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/emulated.h"
#include "tests/sae_kernel_cases.h"

void checked(const char *name, const char *size, double value, double limit) {
    if (!(value <= limit)) fail_msg("%s, %s: %.3g of what it may be off by", name, size, value);
}

static void test_cpu(void **s) {
    (void)s;
    EACH_ISA(level) sae_kernel_cases(sae_kernels_get("cpu"), false);
}

static void on_gpu(const char *backend) {
    const struct sae_kernels *k;
    struct err e;
    if (sae_kernels_open(backend, &k, &e)) {
        print_message("SKIP: %s\n", e.text);
        skip();
    }
    sae_kernel_cases(k, false);
}
static void test_cuda_f32(void **s) { (void)s, on_gpu("cuda-f32"); }
static void test_cuda_bf16(void **s) { (void)s, on_gpu("cuda"); }

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu),
        cmocka_unit_test(test_cuda_f32),
        cmocka_unit_test(test_cuda_bf16),
    };
    case_emulated(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
