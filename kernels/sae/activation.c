/* activation.c - the table of activations; see activation.h. */
#include "kernels/sae/activation.h"

#include <stdio.h>
#include <string.h>

static const struct activation_row rows[SAE_ARCHS] = {
    [SAE_JUMPRELU] = {.name = "jumprelu",
                      .help = "JumpReLU and the L0 penalty",
                      .penalty = "λ · L0",
                      .saelens = "jumprelu",
                      .selection = SELECTION_ABOVE,
                      .theta = true},
    [SAE_RELU] = {.name = "relu",
                  .help = "ReLU and the decoder-weighted L1 penalty",
                  .penalty = "λ · Σ z ‖W_dec‖",
                  .saelens = "standard",
                  .selection = SELECTION_ABOVE},
};

static const struct activation_option options[ACTIVATION_PARAMETERS] = {
    [ACTIVATION_EPSILON] = {"epsilon", "0", 0, 1e3, "1",
                            "bandwidth of the straight-through kernel, above 0 where there are thresholds"},
    [ACTIVATION_THETA_INIT] = {"theta-init", "0", 0, 1e3, "1", "first threshold"},
};

const struct activation_row *activation_row(enum sae_arch arch) { return &rows[arch]; }
const struct activation_option *activation_option(enum activation_parameter p) { return &options[p]; }

int activation_find(const char *name, bool saelens) {
    for (int i = 0; i < SAE_ARCHS; i++)
        if (!strcmp(name, saelens ? rows[i].saelens : rows[i].name)) return i;
    return -1;
}

void activation_names(bool saelens, char *out, size_t n) {
    size_t at = 0;
    for (int i = 0; i < SAE_ARCHS && at < n; i++)
        at += (size_t)snprintf(out + at, n - at, "%s%s", i ? "|" : "", saelens ? rows[i].saelens : rows[i].name);
}

void activation_help(char *out, size_t n) {
    size_t at = 0;
    for (int i = 0; i < SAE_ARCHS && at < n; i++)
        at += (size_t)snprintf(out + at, n - at, "%s%s: %s", i ? "; " : "", rows[i].name, rows[i].help);
}
