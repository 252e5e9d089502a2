/* encode_cases.h - the cases of the encoder, for every back end; see kernel_cases.h. */
#ifndef SAEMILL_ENCODE_CASES_H
#define SAEMILL_ENCODE_CASES_H

#include "kernels/sae/sae_kernels.h"
#include "tests/kernel_cases.h"

/* Against the definition, in double. A pre-activation errs by (D+2) u of the sizes summed (lm_kernel_cases.h, lm_linear_case); operands
 * are exact in bf16 where they are rounded to it, TF32 cuts them. An entry may be there or not only where that decides. Then the same
 * with room for one entry too few. */
static inline void encode_case(const struct sae_kernels *k, size_t B, size_t D, size_t F, struct case_worst *worst) {
    const struct backend *back;
    CHECK(backends_open(k->name, &back, NULL) == 0);
    const double cut = back->precision == PRECISION_TF32 ? 0x1p-9 : 0;
    struct case_array in[4], row = case_room(k->memory, B + 1, sizeof(size_t)), feat = case_room(k->memory, B * F, 4),
                             pre = case_room(k->memory, B * F, 4);
    const size_t many[4] = {B * D, F * D, F, F};
    float *at[4];
    for (size_t i = 0; i < 4; i++) {
        in[i] = case_normals(k->memory, many[i], 4, 40 + i, 1), at[i] = (float *)(void *)in[i].at;
        for (size_t j = 0; j < many[i] && back->precision == PRECISION_BF16; j++)
            at[i][j] = bf16_f32(bf16_of(at[i][j]));
    }
    struct active a = {.B = B, .cap = B * F, .row = (void *)row.at, .feat = (void *)feat.at, .pre = (void *)pre.at};
    struct err e;
    double share = k->encode(B, D, F, at[0], at[1], at[2], at[3], &a) || k->finish(&e) ? INFINITY : 0;
    size_t i = 0;
    for (size_t b = 0; b < B; b++) {
        if (a.row[b] != i) share = INFINITY;
        for (size_t f = 0; f < F; f++) {
            double want = (double)at[2][f], sum = fabs(want);
            for (size_t d = 0; d < D; d++) {
                const double p = (double)at[0][b * D + d] * (double)at[1][f * D + d];
                want += p, sum += fabs(p);
            }
            const double may = ((double)(D + 3) * CASE_U + cut) * sum, above = want - (double)at[3][f];
            const bool there = i < a.n && i < a.row[b + 1] && a.feat[i] == f;
            if (there != (above > 0)) share = fmax(share, fabs(above) / may);
            if (there) share = fmax(share, fabs((double)a.pre[i++] - want) / may);
        }
        if (i != a.row[b + 1]) share = INFINITY; /* another feature, or a second time */
    }
    if (a.n != i) share = INFINITY;
    if (a.n) {
        const size_t n = a.n;
        a.cap = n - 1;
        if (k->encode(B, D, F, at[0], at[1], at[2], at[3], &a) != ERR_RANGE || a.row[B] != n) share = INFINITY;
    }
    case_note(worst, share, "B %zu D %zu F %zu", B, D, F);
    active_drop(&a);
    for (size_t j = 0; j < 4; j++) case_give(&in[j]);
    case_give(&row), case_give(&feat), case_give(&pre);
}

static inline void encode_cases(const struct sae_kernels *k) {
    static const size_t sizes[][3] = {{1, 1, 1},       {31, 7, 33},     {32, 16, 32},  {33, 33, 31},
                                      {129, 40, 1000}, {300, 24, 2100}, {1100, 5, 200}};
    struct case_worst worst = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        encode_case(k, sizes[i][0], sizes[i][1], sizes[i][2], &worst);
    case_tell(k->name, "encode", &worst);
}

#endif
