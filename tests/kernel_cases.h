/* kernel_cases.h - for the tests of kernels: every level of instructions. */
#ifndef SAEMILL_KERNEL_CASES_H
#define SAEMILL_KERNEL_CASES_H

#include "kernels/base/isa.h"

/* The statement that follows, at each level that this processor has; afterwards the highest is in use again. */
#define EACH_ISA(i)                                                                                                    \
    for (int i = 0; i <= (int)isa_best() ? (isa_level = (enum isa)i, 1) : (isa_level = isa_best(), 0); i++)

#endif
