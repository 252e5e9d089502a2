/* backends.c - see backends.h. */
#include "kernels/base/backends.h"

#include <stdio.h>
#include <string.h>

/* What the files of each back end give. */
void sae_kernels_cpu(struct sae_kernels *t);
void lm_kernels_cpu(struct lm_kernels *t);
void sae_kernels_cuda(struct sae_kernels *t);
void lm_kernels_cuda(struct lm_kernels *t);
int cuda_start(enum precision p, struct err *e);

#if defined SAEMILL_CUDA || defined SAEMILL_EMULATE
#define CUDA .device = true, .open = cuda_start, .sae = sae_kernels_cuda, .lm = lm_kernels_cuda
#else
#define CUDA .device = true, .absent = "nvcc was not found when it was made: install the CUDA toolkit and make again"
#endif

static const struct backend row[] = {
    {.name = "ref", .help = "the slow definition", .precision = PRECISION_F32},
    {.name = "cpu", .help = "the fast one", .precision = PRECISION_F32, .sae = sae_kernels_cpu, .lm = lm_kernels_cpu},
    {.name = "cuda", .help = "a GPU, products in bf16", .precision = PRECISION_BF16, CUDA},
    {.name = "cuda-tf32", .help = "in TF32", .precision = PRECISION_TF32, CUDA},
    {.name = "cuda-f32", .help = "in float32", .precision = PRECISION_F32, CUDA},
};
enum { ROWS = sizeof row / sizeof *row };
_Static_assert((int)ROWS <= (int)BACKENDS_MOST, "a table for each row");

size_t backends_place(const struct backend *b) { return (size_t)(b - row); }

int backends_open(const char *name, const struct backend **out, struct err *e) {
    const struct backend *b = row;
    *out = NULL;
    while (b < row + ROWS && strcmp(name, b->name)) b++;
    if (b == row + ROWS) {
        err_set(e, ERR_UNSUPPORTED, "--backend: '%s': want %s", name, backends_choices());
        return err_hint(e, "%s", backends_help());
    }
    if (b->absent) {
        err_set(e, ERR_NO_DEVICE, "--backend %s: this build lacks it", name);
        return err_hint(e, "%s; or use --backend cpu", b->absent);
    }
    *out = b;
    return b->open ? b->open(b->precision, e) : 0;
}

int backends_whole(const struct backend *b, const char *operation, struct err *e) {
    if (!operation) return 0;
    return err_set(e, ERR_UNSUPPORTED, "--backend %s: it has no '%s'", b->name, operation);
}

/* Names, or names with their help, one after the other. */
static const char *joined(char *out, size_t size, const char *between, bool help) {
    size_t n = 0;
    for (size_t i = 0; i < ROWS && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s%s%s", i ? between : "", row[i].name, help ? " " : "",
                              help ? row[i].help : "");
    return out;
}

const char *backends_choices(void) {
    static char text[128];
    return joined(text, sizeof text, "|", false);
}

const char *backends_help(void) {
    static char text[256];
    return joined(text, sizeof text, "; ", true);
}
