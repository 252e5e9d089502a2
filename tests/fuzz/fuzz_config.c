/* fuzz_config.c - libFuzzer target: any JSON as config.json is accepted with usable numbers, or refused with a text. */
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "lib/lm/family.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    json_t *root = json_loadb((const char *)data, n, 0, NULL);
    struct lm_config c;
    struct err e = {0};
    double frequency[512];
    if (!root) return 0;
    int rc = lm_config_read(root, "config.json", &c, &e);
    json_decref(root);
    if (rc) {
        CHECK(rc == e.code && rc < 0 && strncmp(e.text, "config.json", 11) == 0);
        return 0;
    }
    CHECK(c.L && c.D && c.H && c.G && c.Dh && c.Dh / 2 <= 512 && c.H % c.G == 0 && c.mlp && c.vocab && c.max_T &&
          c.family && c.architecture && c.max_T_key && c.final_eps > 0 && c.block);
    for (size_t l = 0; l < c.L; l++) {
        const struct lm_block *b = &c.block[l];
        CHECK(b->norm_eps > 0 && b->scale > 0);
        if (b->rope.kind == LM_ROPE_NONE) continue;
        CHECK(c.Dh % 2 == 0);
        lm_rope_frequencies(&b->rope, c.Dh, frequency);
        for (size_t i = 0; i < c.Dh / 2; i++) CHECK(isfinite(frequency[i]));
    }
    lm_config_free(&c);
    return 0;
}
