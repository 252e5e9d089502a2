/* lm_kernels.c - see lm_kernels.h. */
#include "kernels/lm_kernels.h"

#include <string.h>

#include "kernels/gelu.h"
#include "kernels/layernorm.h"
#include "kernels/linear.h"
#include "kernels/lse.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"

int lm_kernels_get(const char *backend, struct lm_kernels *t, struct err *e) {
    *t = (struct lm_kernels){"ref",      linear_ref,    rmsnorm_ref, rope_ref, attention_ref,
                             swiglu_ref, layernorm_ref, gelu_ref,    lse_ref};
    if (!strcmp(backend, "ref")) return 0;
    if (strcmp(backend, "cpu")) {
        err_set(e, ERR_UNSUPPORTED, "--backend: '%s': want ref or cpu", backend);
        return err_hint(e, "ref is the slow definition, cpu the fast one");
    }
    *t = (struct lm_kernels){"cpu",      linear_cpu,    rmsnorm_cpu, rope_cpu, attention_cpu,
                             swiglu_cpu, layernorm_cpu, gelu_cpu,    lse_cpu};
    return 0;
}
