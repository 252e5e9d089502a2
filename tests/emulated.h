/* emulated.h - for tests that are built twice: test_X, and test_X_emulated with the GPU's kernels run on the CPU. */
#ifndef SAEMILL_EMULATED_H
#define SAEMILL_EMULATED_H

#include <string.h>

/* test_X_emulated runs what is about the GPU alone: tests with "cuda" in their names. */
static inline void case_emulated(int argc, char **argv) {
    if (argc && strstr(argv[0], "_emulated")) cmocka_set_test_filter("*cuda*");
}

#endif
