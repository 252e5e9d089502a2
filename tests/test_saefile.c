/* test_saefile.c - SAE folders: SAELens' own read to its numbers, ours written and read back, the fold, and bad ones
 * refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/sae/encode.h"
#include "lib/base/outdir.h"
#include "lib/base/outfile.h"
#include "lib/base/rng.h"
#include "lib/file/safetensors.h"
#include "lib/sae/saefile.h"

#define FIXTURES "tests/fixtures/sae/"
#define SCRATCH  "build/tmp/saefile"
#define EPS      5.9604644775390625e-8 /* float32 rounding, half an ulp of 1 */

/* --- helpers --- */

static const float *expected(const struct safetensors *s, const char *folder, const char *what, size_t *rows) {
    char name[64];
    snprintf(name, sizeof name, "%s.%s", folder, what);
    const struct safetensors_tensor *t = safetensors_find(s, name);
    assert_non_null(t);
    if (rows) *rows = (size_t)t->shape[0];
    return t->data;
}

static void fill(float *p, size_t n, uint64_t stream, double scale) {
    for (size_t i = 0; i < n; i++) p[i] = (float)(scale * rng_normal(5, stream, i));
}

static void random_sae(struct sae *s, enum sae_arch arch, size_t D, size_t F) {
    struct err e;
    assert_int_equal(sae_init(s, arch, D, F, &e), 0);
    fill(s->W_enc, D * F, 1, 0.4), fill(s->W_dec, D * F, 2, 0.4), fill(s->b_enc, F, 3, 0.2), fill(s->b_dec, D, 4, 0.5);
    if (arch == SAE_JUMPRELU) {
        fill(s->theta, F, 5, 0.3);
        for (size_t f = 0; f < F; f++) s->theta[f] = fabsf(s->theta[f]);
    }
}

/* pre-activations as the training form has them, in double: W_enc (x - b) + b_enc; b NULL for the inference form. */
static double pre_of(const struct sae *s, const float *x, double scale, const float *b, size_t f) {
    double sum = s->b_enc[f];
    for (size_t d = 0; d < s->D; d++)
        sum += (scale * (double)x[d] - (b ? (double)b[d] : 0)) * (double)s->W_enc[f * s->D + d];
    return sum;
}

static void copy_file(const char *from, const char *to, size_t most) {
    char buf[8192];
    FILE *f = fopen(from, "rb");
    assert_non_null(f);
    size_t n = fread(buf, 1, sizeof buf, f);
    fclose(f);
    assert_true(n < sizeof buf);
    struct err e;
    assert_int_equal(outfile_text(to, buf, n < most ? n : most, &e), 0);
}

/* A folder in SCRATCH with this cfg.json text (NULL: the fixture's) and `most` bytes of the fixture's weights (0:
 * none). */
static const char *folder_with(const char *fixture, const char *cfg, size_t most) {
    struct err e;
    char from[256];
    assert_int_equal(outdir_remove(SCRATCH, &e), 0);
    assert_int_equal(outdir_make(SCRATCH, &e), 0);
    snprintf(from, sizeof from, FIXTURES "%s/cfg.json", fixture);
    if (cfg)
        assert_int_equal(outfile_text(SCRATCH "/cfg.json", cfg, strlen(cfg), &e), 0);
    else
        copy_file(from, SCRATCH "/cfg.json", SIZE_MAX);
    snprintf(from, sizeof from, FIXTURES "%s/sae_weights.safetensors", fixture);
    if (most) copy_file(from, SCRATCH "/sae_weights.safetensors", most);
    return SCRATCH;
}

static void refused(const char *folder, int code, const char *says) {
    struct sae s;
    struct err e = {0};
    int rc = saefile_read(&s, folder, &e);
    if (rc != code || !strstr(e.text, says)) fail_msg("want %d and '%s', got %d: %s", code, says, rc, e.text);
    assert_null(s.memory.base);
}

/* --- what SAELens wrote --- */

/* Tolerances: z is a sum of D products and a bias in float32, on values below 8, in an order of its own on each side,
 * and with b_dec folded in on ours: 2 (D + 2) EPS * 8. x^ adds F terms more: 2 (D + F + 3) EPS * 8. */
static void saelens_outputs(const char *folder) {
    struct err e;
    struct sae s;
    struct safetensors *ex;
    struct active a;
    char path[128];
    size_t B;
    snprintf(path, sizeof path, FIXTURES "%s", folder);
    if (saefile_read(&s, path, &e)) fail_msg("%s", e.text);
    assert_int_equal(safetensors_open(&ex, FIXTURES "expect.safetensors", &e), 0);
    const float *x = expected(ex, folder, "x", &B), *z = expected(ex, folder, "z", NULL),
                *x_hat = expected(ex, folder, "x_hat", NULL);
    double z_tol = 2 * (double)(s.D + 2) * EPS * 8, x_tol = 2 * (double)(s.D + s.F + 3) * EPS * 8;
    assert_int_equal(active_init(&a, B, B * s.F, &e), 0);
    assert_int_equal(encode_ref(B, s.D, s.F, x, s.W_enc, s.b_enc, s.theta, &a), 0);
    for (size_t b = 0; b < B; b++) {
        float row[16] = {0}, out[8];
        for (size_t i = a.row[b]; i < a.row[b + 1]; i++) row[a.feat[i]] = a.pre[i];
        for (size_t f = 0; f < s.F; f++) {
            assert_int_equal(row[f] != 0, z[b * s.F + f] != 0);
            if (!(fabs((double)row[f] - (double)z[b * s.F + f]) <= z_tol))
                fail_msg("%s: row %zu, feature %zu: %g", folder, b, f, (double)row[f]);
        }
        sae_decode_row(&s, a.row[b + 1] - a.row[b], a.feat + a.row[b], a.pre + a.row[b], out);
        for (size_t d = 0; d < s.D; d++)
            if (!(fabs((double)out[d] - (double)x_hat[b * s.D + d]) <= x_tol))
                fail_msg("%s: row %zu, x^[%zu]: %g", folder, b, d, (double)out[d]);
    }
    active_free(&a);
    safetensors_close(ex);
    sae_free(&s);
}

static void reads_saelens(void **state) {
    (void)state;
    saelens_outputs("jumprelu"), saelens_outputs("standard"), saelens_outputs("bfloat16");
}

/* --- round trip --- */

static void round_trip(void **state) {
    (void)state;
    const size_t size[][2] = {{1, 1}, {3, 65}, {130, 7}, {64, 64}};
    for (size_t i = 0; i < 4; i++)
        for (int arch = SAE_JUMPRELU; arch <= SAE_RELU; arch++) {
            struct err e;
            struct sae a, b;
            size_t D = size[i][0], F = size[i][1];
            random_sae(&a, (enum sae_arch)arch, D, F);
            assert_int_equal(outdir_make(SCRATCH, &e), 0);
            if (saefile_write(&a, SCRATCH, "L6R", "made-up", 256, "{\"stage\":\"test\"}", &e)) fail_msg("%s", e.text);
            if (saefile_read(&b, SCRATCH, &e)) fail_msg("%s", e.text);
            assert_int_equal(b.arch, arch), assert_int_equal(b.D, D), assert_int_equal(b.F, F);
            assert_memory_equal(a.W_enc, b.W_enc, D * F * sizeof(float)),
                assert_memory_equal(a.W_dec, b.W_dec, D * F * sizeof(float));
            assert_memory_equal(a.b_enc, b.b_enc, F * sizeof(float)),
                assert_memory_equal(a.b_dec, b.b_dec, D * sizeof(float));
            assert_memory_equal(a.theta, b.theta, F * sizeof(float));
            sae_free(&a), sae_free(&b);
        }
}

/* SAELens' folders read and written again keep their parameters (b_dec folded in once, not twice). The folders stay in
 * build/tmp/lens for tests/fixtures/sae/check_saelens.py, which loads them in SAELens and compares its outputs. */
static void rewritten(void **state) {
    (void)state;
    const char *const name[] = {"jumprelu", "standard", "bfloat16"};
    for (size_t i = 0; i < 3; i++) {
        struct err e;
        struct sae a, b;
        char from[64], to[64];
        snprintf(from, sizeof from, FIXTURES "%s", name[i]), snprintf(to, sizeof to, "build/tmp/lens/%s", name[i]);
        assert_int_equal(saefile_read(&a, from, &e), 0);
        assert_int_equal(outdir_make(to, &e), 0);
        if (saefile_write(&a, to, "L0R", "made-up", 256, NULL, &e)) fail_msg("%s", e.text);
        assert_int_equal(saefile_read(&b, to, &e), 0);
        assert_memory_equal(a.b_enc, b.b_enc, a.F * sizeof(float)),
            assert_memory_equal(a.W_enc, b.W_enc, a.D * a.F * sizeof(float));
        sae_free(&a), sae_free(&b);
    }
}

/* [D,F] on disk: element (d,f) of the file is W_enc[f*D+d] of memory. Square sizes would hide a missing transposition.
 */
static void transposed_on_disk(void **state) {
    (void)state;
    struct err e;
    struct sae a;
    struct safetensors *st;
    random_sae(&a, SAE_JUMPRELU, 70, 5);
    assert_int_equal(outdir_make(SCRATCH, &e), 0);
    assert_int_equal(saefile_write(&a, SCRATCH, "L6R", "made-up", 256, NULL, &e), 0);
    assert_int_equal(safetensors_open(&st, SCRATCH "/sae_weights.safetensors", &e), 0);
    const float *w = safetensors_find(st, "W_enc")->data;
    assert_int_equal(safetensors_find(st, "W_enc")->shape[0], 70);
    for (size_t d = 0; d < 70; d++)
        for (size_t f = 0; f < 5; f++) assert_true(w[d * 5 + f] == a.W_enc[f * 70 + d]);
    safetensors_close(st), sae_free(&a);
}

/* --- the fold --- */

/* The folded SAE on raw x against C times the training form on scale x, both summed in double, so that what differs is
 * the rounding of the folded biases and thresholds to float32: C |b_enc'| EPS each, with |b_enc - W_enc b_dec| < 16
 * here; b_dec' likewise, < 4. A feature may fire in one and not in the other only where pre is that near theta. */
static void fold_round_trip(void **state) {
    (void)state;
    enum { D = 24, F = 48, N = 50 };
    const double scales[] = {1, 0.037, 2.5, 1.0 / 3};
    for (size_t k = 0; k < 4; k++) {
        struct sae t, s;
        double scale = scales[k], C = 1 / scale, tol = 2 * C * 16 * EPS;
        size_t fired = 0;
        random_sae(&t, SAE_JUMPRELU, D, F), random_sae(&s, SAE_JUMPRELU, D, F);
        assert_int_equal(sae_fold(&s, scale), 0);
        assert_memory_equal(s.W_enc, t.W_enc, D * F * sizeof(float)),
            assert_memory_equal(s.W_dec, t.W_dec, D * F * sizeof(float));
        for (size_t n = 0; n < N; n++) {
            float x[D];
            double want[D], got[D];
            fill(x, D, 100 + n, C);
            for (size_t d = 0; d < D; d++) want[d] = C * (double)t.b_dec[d], got[d] = (double)s.b_dec[d];
            for (size_t f = 0; f < F; f++) {
                double p = C * pre_of(&t, x, scale, t.b_dec, f), q = pre_of(&s, x, 1, NULL, f);
                if (!(fabs(p - q) <= tol)) fail_msg("scale %g: pre %g, folded %g", scale, p, q);
                bool on = p > C * (double)t.theta[f], on_folded = q > (double)s.theta[f];
                if (on != on_folded) assert_true(fabs(p - C * (double)t.theta[f]) <= 2 * tol);
                fired += on;
                for (size_t d = 0; d < D; d++)
                    if (on && on_folded)
                        want[d] += p * (double)t.W_dec[f * D + d], got[d] += q * (double)s.W_dec[f * D + d];
            }
            for (size_t d = 0; d < D; d++) /* F entries of pre, times |W_dec| < 2 */
                if (!(fabs(want[d] - got[d]) <= F * 2 * tol))
                    fail_msg("scale %g: x^ %g, folded %g", scale, want[d], got[d]);
        }
        assert_true(fired > N * F / 8 && fired < N * F * 7 / 8);
        sae_free(&t), sae_free(&s);
    }
}

static void fold_refuses(void **state) {
    (void)state;
    const double bad[] = {0, -1, NAN, INFINITY, 1e-320};
    struct sae s;
    random_sae(&s, SAE_JUMPRELU, 3, 4);
    for (size_t i = 0; i < 5; i++) assert_int_equal(sae_fold(&s, bad[i]), ERR_RANGE);
    s.theta[1] = -0.25f, s.theta[3] = -1e-9f;
    assert_int_equal(sae_clamp_theta(&s), 2);
    assert_true(s.theta[1] == 0 && s.theta[3] == 0);
    sae_free(&s);
}

/* --- bad folders --- */

static void bad_weights(void **state) {
    (void)state;
    struct err e;
    refused(folder_with("jumprelu", NULL, 0), ERR_IO, "sae_weights.safetensors");
    for (size_t n = 1; n < 1520; n += 73) {
        struct sae s;
        assert_int_not_equal(saefile_read(&s, folder_with("jumprelu", NULL, n), &e), 0);
        assert_null(s.memory.base);
    }
    folder_with("jumprelu", NULL, SIZE_MAX);
    assert_int_equal(remove(SCRATCH "/cfg.json"), 0);
    refused(SCRATCH, ERR_IO, "cfg.json");
    refused("build/tmp/no-such-folder", ERR_IO, "cfg.json");
    refused(folder_with("standard", "{\"architecture\":\"jumprelu\",\"d_in\":8,\"d_sae\":16}", SIZE_MAX), ERR_FORMAT,
            "threshold");
    refused(folder_with("jumprelu", "{\"architecture\":\"standard\",\"d_in\":8,\"d_sae\":16}", SIZE_MAX),
            ERR_UNSUPPORTED, "threshold");
}

static void bad_config(void **state) {
    (void)state;
    const struct {
        const char *cfg;
        int code;
        const char *says;
    } t[] = {{"{\"architecture\":\"jumprelu\",\"d_in\":8,", ERR_FORMAT, "cfg.json:"},
             {"{\"architecture\":\"jumprelu\",\"d_in\":9,\"d_sae\":16}", ERR_SHAPE, "W_enc"},
             {"{\"architecture\":\"jumprelu\",\"d_in\":16,\"d_sae\":8}", ERR_SHAPE, "W_enc"},
             {"{\"architecture\":\"jumprelu\",\"d_in\":8}", ERR_FORMAT, "d_sae"},
             {"{\"architecture\":\"jumprelu\",\"d_in\":8,\"d_sae\":-16}", ERR_RANGE, "d_sae"},
             {"{\"architecture\":\"jumprelu\",\"d_in\":8,\"d_sae\":1e18}", ERR_FORMAT, "d_sae"},
             {"{\"architecture\":\"jumprelu\",\"d_in\":8,\"d_sae\":4611686018427387904}", ERR_RANGE, "d_sae"},
             {"{\"architecture\":\"gated\",\"d_in\":8,\"d_sae\":16}", ERR_UNSUPPORTED, "gated"},
             {"{\"architecture\":7,\"d_in\":8,\"d_sae\":16}", ERR_FORMAT, "architecture"},
             {"{\"architecture\":\"jumprelu\",\"d_in\":8,\"d_sae\":16,\"apply_b_dec_to_input\":1}", ERR_FORMAT,
              "apply_b_dec"},
             {"{\"architecture\":\"jumprelu\",\"d_in\":8,\"d_sae\":16,\"normalize_activations\":\"layer_norm\"}",
              ERR_UNSUPPORTED, "layer_norm"},
             {"{\"architecture\":\"jumprelu\",\"d_in\":8,\"d_sae\":16,\"activation_fn\":\"topk\"}", ERR_UNSUPPORTED,
              "topk"}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        refused(folder_with("jumprelu", t[i].cfg, SIZE_MAX), t[i].code, t[i].says);
    refused(FIXTURES "topk", ERR_UNSUPPORTED, "topk");
}

/* A folder from before SAELens 6: no metadata, normalize_activations false, standard by default, b_dec subtracted by
 * default. */
static void old_config(void **state) {
    (void)state;
    struct err e;
    struct sae s, t;
    const char *cfg = "{\"d_in\":8,\"d_sae\":16,\"normalize_activations\":false,\"activation_fn_str\":\"relu\"}";
    if (saefile_read(&s, folder_with("standard", cfg, SIZE_MAX), &e)) fail_msg("%s", e.text);
    assert_int_equal(saefile_read(&t, FIXTURES "standard", &e), 0);
    assert_int_equal(s.arch, SAE_RELU);
    assert_memory_equal(s.b_enc, t.b_enc, 16 * sizeof(float));
    sae_free(&s), sae_free(&t);
}

static void bad_numbers(void **state) {
    (void)state;
    struct err e;
    struct sae s;
    struct stwriter *w;
    const char *const name[] = {"W_enc", "W_dec", "b_enc", "b_dec", "threshold"};
    random_sae(&s, SAE_JUMPRELU, 3, 4);
    float *const p[] = {s.W_enc, s.W_dec, s.b_enc, s.b_dec, s.theta};
    const int64_t shape[][2] = {{3, 4}, {4, 3}, {4}, {3}, {4}};
    for (size_t bad = 0; bad < 5; bad++) {
        assert_int_equal(outdir_remove(SCRATCH, &e), 0), assert_int_equal(outdir_make(SCRATCH, &e), 0);
        float keep = p[bad][2];
        p[bad][2] = bad % 2 ? NAN : INFINITY;
        assert_int_equal(saefile_write(&s, SCRATCH, "L0R", "m", 8, NULL, &e), ERR_NUMERIC);
        assert_non_null(strstr(e.text, name[bad]));
        assert_null(fopen(SCRATCH "/sae_weights.safetensors", "rb"));
        assert_int_equal(stwriter_open(&w, SCRATCH "/sae_weights.safetensors", &e), 0);
        for (size_t k = 0; k < 5; k++) stwriter_declare(w, name[k], ST_F32, k < 2 ? 2 : 1, shape[k], &e);
        for (int k = 0; k < 5; k++) stwriter_write(w, k, 0, p[k], sizeof(float) * (k < 2 ? 12 : k == 3 ? 3 : 4), &e);
        assert_int_equal(stwriter_commit(w, &e), 0);
        const char *cfg = "{\"architecture\":\"jumprelu\",\"d_in\":3,\"d_sae\":4}";
        assert_int_equal(outfile_text(SCRATCH "/cfg.json", cfg, strlen(cfg), &e), 0);
        refused(SCRATCH, ERR_NUMERIC, name[bad]);
        p[bad][2] = keep;
    }
    s.theta[1] = -0.5f;
    assert_int_equal(saefile_write(&s, SCRATCH, "L0R", "m", 8, NULL, &e), ERR_RANGE);
    s.theta[1] = 0.5f;
    assert_int_equal(saefile_write(&s, SCRATCH, "L0R", "\xff", 8, NULL, &e), ERR_FORMAT);
    sae_free(&s);
}

/* Every allocation fails in turn; nothing leaks (AddressSanitizer) and nothing is left in *s. */
static void no_memory(void **state) {
    (void)state;
    struct err e;
    struct sae s;
    int rc = ERR_MEMORY;
    for (long n = 0; n < 40 && rc; n++) {
        mem_fail_after(n);
        rc = saefile_read(&s, FIXTURES "standard", &e);
        mem_fail_after(-1);
        if (rc) assert_int_equal(rc, ERR_MEMORY), assert_null(s.memory.base);
    }
    assert_int_equal(rc, 0);
    sae_free(&s);
    assert_int_equal(sae_init(&s, SAE_RELU, SIZE_MAX / 8, 16, &e), ERR_MEMORY);
    assert_int_equal(sae_init(&s, SAE_RELU, 0, 16, &e), ERR_RANGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_saelens),      cmocka_unit_test(round_trip),      cmocka_unit_test(rewritten),
        cmocka_unit_test(transposed_on_disk), cmocka_unit_test(fold_round_trip), cmocka_unit_test(fold_refuses),
        cmocka_unit_test(bad_weights),        cmocka_unit_test(bad_config),      cmocka_unit_test(old_config),
        cmocka_unit_test(bad_numbers),        cmocka_unit_test(no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
