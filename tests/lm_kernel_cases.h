/* lm_kernel_cases.h - the cases of a language model's operations, for every back end; see kernel_cases.h.
 *
 * What an element may be off by is c u times the sizes that are summed, with c argued at each operation; where elements are bf16, the
 * numbers that go in are exact in it and the result is rounded once more. */
#ifndef SAEMILL_LM_KERNEL_CASES_H
#define SAEMILL_LM_KERNEL_CASES_H

#include <stdlib.h>

#include "kernels/lm/lm_kernels.h"
#include "tests/kernel_cases.h"

static inline struct case_array lm_held(const struct lm_kernels *k, size_t n, uint64_t stream, double sd) {
    return case_normals(k->memory, n, k->elem_bytes, stream, sd);
}
static inline struct case_array lm_wide(const struct lm_kernels *k, size_t n, uint64_t stream, double sd) {
    return case_normals(k->memory, n, sizeof(float), stream, sd);
}
static inline float *floats(const struct case_array *a) { return (float *)(void *)a->at; }
static inline bool lm_on_host(const struct lm_kernels *k) { return k->memory == &memory_host && k->slots == 1; }

static inline void lm_wait(const struct lm_kernels *k) {
    struct err e = {0};
    k->sent(0);
    CHECK(k->await(0, &e) == 0);
}

/* What is in y as a share of what it may be off by; the last rounding, to the width of y, is added here. */
static inline double lm_share(const struct case_array *y, size_t i, double want, double may) {
    may += 1e-37 + (y->each == 2 ? CASE_HALF_U : CASE_U) * (fabs(want) + may);
    const double off = fabs(case_at(y, i) - want) / may;
    return isnan(off) ? INFINITY : off;
}

/* y[m,n] = sum_k x[m,k] W[n,k] + bias[n]. A chain of K products and sums errs by at most (K+1) u sum |x w|, to first order (Higham,
 * "Accuracy and Stability", lemma 3.1), the bias adds one, which bf16 rounds before. TF32 cuts operands to 11 bits. */
static inline void lm_linear_case(const struct lm_kernels *k, size_t M, size_t N, size_t K, bool with_bias, bool wide,
                                  struct case_worst *worst) {
    const struct backend *b;
    CHECK(backends_open(k->name, &b, NULL) == 0);
    const size_t ldx = K + 3, ldy = N + 5, rest = k->elem_bytes, result = wide ? sizeof(float) : rest;
    const double cut = b->precision == PRECISION_TF32 ? 0x1p-9 : 0;
    struct case_array x = lm_held(k, M * ldx, 1, 1), bias = lm_wide(k, N, 3, 1),
                      y = case_room(k->memory, M * ldy, result);
    struct case_array W = lm_held(k, N * K, 2, 1), packed = case_room(k->memory, linear_padded(N) * K, rest);
    float *rows = malloc((N * K + 1) * sizeof *rows);
    double share = 0;
    CHECK(rows);
    for (size_t i = 0; i < N * K; i++) rows[i] = (float)case_at(&W, i);
    memset(packed.at, 0, packed.n * rest);
    k->pack(0, N / 2, K, rows, floats(&packed)), k->pack(N / 2, N - N / 2, K, rows + N / 2 * K, floats(&packed));
    (wide ? k->logits : k->linear)(M, N, K, floats(&x), ldx, floats(&packed), LINEAR_PANEL * K,
                                   with_bias ? floats(&bias) : NULL, floats(&y), ldy);
    lm_wait(k);
#pragma omp parallel for reduction(max : share)
    for (size_t m = 0; m < M; m++)
        for (size_t n = 0; n < ldy; n++) {
            if (n >= N) { /* between the rows nothing is touched */
                if (!case_untouched(&y, m * ldy + n)) share = INFINITY;
                continue;
            }
            double start = with_bias ? case_at(&bias, n) : 0, exact = start, sum = fabs(start);
            for (size_t i = 0; i < K; i++) {
                double p = case_at(&x, m * ldx + i) * (double)rows[n * K + i];
                exact += p, sum += fabs(p);
            }
            double off =
                lm_share(&y, m * ldy + n, exact,
                         ((double)(K + 2) * CASE_U + cut) * sum + (result == 2 ? CASE_HALF_U * fabs(start) : 0));
            share = fmax(share, off);
        }
    case_note(worst, share, "%zu x %zu x %zu", M, N, K);
    case_give(&x), case_give(&bias), case_give(&y), case_give(&W), case_give(&packed);
    free(rows);
}

static inline void lm_linear_cases(const struct lm_kernels *k, bool large) {
    struct case_worst worst = {0}, logits = {0};
    for (size_t i = 0; i < CASE_SIZES; i++)
        for (size_t j = 0; j < CASE_SIZES; j++)
            for (size_t l = 0; l < CASE_SIZES; l++)
                if ((i == 4) + (j == 4) + (l == 4) < 2)
                    lm_linear_case(k, case_sizes[i], case_sizes[j], case_sizes[l], (i + j + l) % 2, false, &worst);
    lm_linear_case(k, 13, 40, 2500, false, false, &worst); /* three blocks of K on the host */
    lm_linear_case(k, 400, 33, 70, true, false, &worst);   /* and of rows */
    if (lm_on_host(k)) lm_linear_case(k, 5, 7, 0, true, false, &worst);
    if (large)
        lm_linear_case(k, 256, 4608, 3584, true, false, &worst),
            lm_linear_case(k, 128, 3584, 18944, false, false, &worst);
    for (size_t i = 0; i < 8; i++)
        lm_linear_case(k, case_sizes[i % 4], case_sizes[3 - i / 2], case_sizes[i % 3 + 1], i % 2, true, &logits);
    case_tell(k->name, "product", &worst), case_tell(k->name, "product in float32", &logits);
}

/* RMSNorm: the sum of D squares errs by (D+1) u relative (all terms positive), the root halves it; 4 more roundings.
 * LayerNorm: the mean errs by (D+1) u mean|x|, which moves every x' = x - mean and, through the variance, the factor; the squares as
 * above; 6 more roundings, and the bias as one of its own size. Rows lie away from zero, where a variance of one pass would fail. */
static inline void lm_norm_case(const struct lm_kernels *k, size_t M, size_t D, bool layer, bool weights,
                                struct case_worst *worst) {
    struct case_array x = lm_wide(k, M * D, 4, 3), w = lm_wide(k, D, 5, 1), b = lm_wide(k, D, 6, 1),
                      y = case_room(k->memory, M * D, k->elem_bytes);
    for (size_t i = 0; layer && i < M * D; i++) case_set(&x, i, case_at(&x, i) + 30);
    for (int in_place = 0; in_place <= lm_on_host(k); in_place++) {
        float *to = floats(in_place ? &x : &y);
        struct case_array was = case_normals(&memory_host, M * D, sizeof(float), 4, 3);
        for (size_t i = 0; layer && i < M * D; i++) case_set(&was, i, case_at(&was, i) + 30);
        if (layer)
            k->layernorm(M, D, floats(&x), weights ? floats(&w) : NULL, weights ? floats(&b) : NULL, 1e-5f, to);
        else
            k->rmsnorm(M, D, floats(&x), floats(&w), 1e-5f, to);
        lm_wait(k);
        double share = 0;
        for (size_t m = 0; m < M; m++) {
            double mean = 0, var = 0, most = 0;
            for (size_t d = 0; layer && d < D; d++) mean += case_at(&was, m * D + d) / (double)D;
            for (size_t d = 0; d < D; d++) {
                double c = case_at(&was, m * D + d) - mean;
                var += c * c / (double)D, most = fmax(most, fabs(c));
            }
            const double r = 1 / sqrt(var + (double)1e-5f), half = (double)(D + 1) / 2,
                         shift = layer ? (double)(D + 2) * CASE_U * fabs(mean) * r : 0;
            for (size_t d = 0; d < D; d++) {
                const double g = weights ? case_at(&w, d) : 1, c = layer && weights ? case_at(&b, d) : 0,
                             v = (case_at(&was, m * D + d) - mean) * r,
                             off = layer ? (half + 6) * CASE_U * most * r + shift + shift * most * r
                                         : (half + 4) * CASE_U * fabs(v);
                share = fmax(share, lm_share(in_place ? &x : &y, m * D + d, v * g + c,
                                             off * fabs(g) + CASE_U * (fabs(v * g) + 2 * fabs(c))));
            }
        }
        case_note(worst, share, "%zu x %zu%s", M, D, in_place ? ", in place" : "");
        case_give(&was);
    }
    case_give(&x), case_give(&w), case_give(&b), case_give(&y);
}

static inline void lm_norm_cases(const struct lm_kernels *k, bool large) {
    for (int layer = 0; layer < 2; layer++) {
        struct case_worst worst = {0};
        for (size_t i = 0; i < CASE_SIZES; i++)
            for (size_t j = 0; j < CASE_SIZES - (i == 4); j++)
                lm_norm_case(k, case_sizes[i], case_sizes[j], layer, !layer || (i + j) % 2, &worst);
        if (large) lm_norm_case(k, 300, 3584, layer, true, &worst), lm_norm_case(k, 300, 4096, layer, true, &worst);
        case_tell(k->name, layer ? "LayerNorm" : "RMSNorm", &worst);
    }
}

/* SwiGLU: e^-g (2.02 u on the host, 4 u on a GPU), 1 + e, quotient, product. GELU: the host's way is argued in gelu_cpu.c; a GPU's erfc
 * has 8 u, and rounding its argument x/sqrt 2 twice moves it by 2 x^2 u. A sum: exact but for its rounding. */
static inline void lm_elementwise_cases(const struct lm_kernels *k, bool large) {
    struct case_worst worst[3] = {{0}};
    const size_t sizes[] = {1, 3, 4, 5, 31, 32, 33, 1000, 18944 * 64};
    const bool host = lm_on_host(k);
    for (size_t s = 0; s < (large ? 9 : 8); s++) {
        const size_t n = sizes[s];
        double share[3] = {0};
        struct case_array g = lm_held(k, n, 8, 2), u = lm_held(k, n, 9, 1), h = lm_held(k, n, 10, 2),
                          x = lm_wide(k, n, 11, 1);
        double *was = malloc(3 * n * sizeof *was);
        CHECK(was);
        for (size_t i = 0; i < n; i++) {
            if (i % 3 == 0) case_set(&g, i, 30 * case_at(&g, i)), case_set(&h, i, 3 * case_at(&h, i));
            was[i] = case_at(&g, i), was[n + i] = case_at(&h, i), was[2 * n + i] = case_at(&x, i);
        }
        k->swiglu(n, floats(&g), floats(&u)), k->gelu(n, floats(&h)), k->add(n, floats(&x), floats(&u));
        lm_wait(k);
        for (size_t i = 0; i < n; i++) {
            double v = was[i] / (1 + exp(-was[i])) * case_at(&u, i), z = was[n + i],
                   w = 0.5 * z * erfc(-z / 1.41421356237309504880);
            share[0] =
                fmax(share[0], lm_share(&g, i, v, (host ? 6 : 9) * CASE_U * fabs(v) + 1e-36 * fabs(case_at(&u, i))));
            share[1] = fmax(share[1], lm_share(&h, i, w, (host ? 9 : 12 + 2 * z * z) * CASE_U * fabs(w)));
            share[2] = fmax(share[2], lm_share(&x, i, was[2 * n + i] + case_at(&u, i), 0));
        }
        for (int i = 0; i < 3; i++) case_note(&worst[i], share[i], "%zu", n);
        case_give(&g), case_give(&u), case_give(&h), case_give(&x);
        free(was);
    }
    case_tell(k->name, "SwiGLU", &worst[0]), case_tell(k->name, "GELU", &worst[1]);
    case_tell(k->name, "residual sum", &worst[2]);
}

/* What is brought to the host is what is there, rounded once where it is to be bf16; rows of the table as they are. */
static inline void lm_move_cases(const struct lm_kernels *k) {
    struct case_worst worst = {0}, rows = {0};
    for (size_t s = 0; s < CASE_SIZES; s++)
        for (int which = 0; which < 4; which++) {
            const bool wide = which & 1, bf16 = which & 2;
            const size_t n = case_sizes[s];
            struct case_array x = wide ? lm_wide(k, n, 12, 1) : lm_held(k, n, 12, 1),
                              out = case_room(k->host, n, bf16 ? 2 : 4);
            double share = 0;
            k->fetch(n, floats(&x), wide, bf16, out.at);
            lm_wait(k);
            for (size_t i = 0; i < n; i++)
                if (case_at(&out, i) != (bf16 ? (double)bf16_f32(bf16_of((float)case_at(&x, i))) : case_at(&x, i)))
                    share = 2;
            if (!bf16) { /* and back */
                struct case_array again = case_room(k->memory, n, wide ? 4 : k->elem_bytes);
                k->put(n, floats(&out), wide, floats(&again));
                lm_wait(k);
                for (size_t i = 0; i < n; i++) share = fmax(share, lm_share(&again, i, case_at(&x, i), 0));
                case_give(&again);
            }
            case_note(&worst, share, "%zu %s to %s", n, wide ? "wide" : "held", bf16 ? "bf16" : "float32");
            case_give(&x), case_give(&out);
        }
    case_tell(k->name, "fetch and put", &worst);
    if (!k->embed) return;
    enum { D = 37, VOCAB = 50, M = 9 };
    const size_t start[] = {0, 1, 7, M};
    const int32_t token[M] = {3, 0, 49, 7, 7, 20, 1, 2, 48};
    struct pass_place p;
    struct case_array table = lm_held(k, VOCAB * D, 13, 1), pos = lm_wide(k, 6 * D, 14, 1),
                      x = case_room(k->memory, M * D, sizeof(float));
    for (int with = 0; with < 2; with++) {
        double share = 0;
        k->place(3, start, token, &p);
        k->embed(&p, D, floats(&table), with ? floats(&pos) : NULL, floats(&x));
        lm_wait(k);
        for (size_t m = 0, i = 0; m < M; m++) {
            i += m == start[i + 1];
            for (size_t d = 0; d < D; d++)
                share = fmax(share, lm_share(&x, m * D + d,
                                             case_at(&table, (size_t)token[m] * D + d) +
                                                 (with ? case_at(&pos, (m - start[i]) * D + d) : 0),
                                             0));
        }
        case_note(&rows, share, "%d x %d%s", M, D, with ? " and positions" : "");
    }
    case_tell(k->name, "embedding", &rows);
    case_give(&table), case_give(&pos), case_give(&x);
}

/* Sums over a vocabulary that comes in pieces. Each exponential errs by 4 u and by the rounding of its argument, at most 24 u here; lse's
 * float sum of a piece by 40 u more. The divergence is a mean of x - y with such weights, and the difference of two logarithms. */
static inline void lm_sums_cases(const struct lm_kernels *k) {
    enum { M = 5, PIECE = 40 };
    struct case_worst lse = {0}, kl = {0}, pick = {0};
    for (size_t s = 0; s < CASE_SIZES; s++) {
        const size_t N = case_sizes[s], ld = N + 3;
        struct case_array x = lm_wide(k, M * ld, 15, 3), y = lm_wide(k, M * ld, 16, 1),
                          top = case_room(k->memory, M, 4), picked = case_room(k->memory, M, 4),
                          sum = case_room(k->memory, M, 8);
        struct case_array state = case_room(k->memory, 5 * M, 8), at = case_room(k->memory, M, 4);
        struct kl_row *row = (struct kl_row *)(void *)state.at;
        int32_t *column = (int32_t *)(void *)at.at;
        for (size_t i = 0; i < M * ld; i++) {
            case_set(&x, i, case_at(&x, i) + (i / ld == 2 ? 1e4 : 0)); /* a row far from 0 */
            case_set(&y, i, case_at(&x, i) + case_at(&y, i));
        }
        for (size_t m = 0; m < M; m++) {
            case_set(&top, m, -INFINITY), case_set(&sum, m, 0), row[m] = kl_empty();
            column[m] = m == 1 ? -1 : (int32_t)(N - 1 - m * N / M);
        }
        for (size_t n = 0; n < N; n += PIECE) {
            const size_t cols = N - n < PIECE ? N - n : PIECE;
            k->lse(M, cols, floats(&x) + n, ld, floats(&top), (double *)(void *)sum.at);
            k->kl(M, cols, floats(&x) + n, floats(&y) + n, ld, row);
            k->pick(M, cols, floats(&x) + n, ld, n, column, floats(&picked));
        }
        lm_wait(k);
        for (size_t m = 0; m < M; m++) {
            double p = 0, q = 0, far = 0, apart = 0, most = -INFINITY;
            for (size_t n = 0; n < N; n++) most = fmax(most, case_at(&x, m * ld + n));
            for (size_t n = 0; n < N; n++)
                p += exp(case_at(&x, m * ld + n) - most), q += exp(case_at(&y, m * ld + n) - most);
            for (size_t n = 0; n < N; n++) {
                double d = case_at(&x, m * ld + n) - case_at(&y, m * ld + n),
                       share = exp(case_at(&x, m * ld + n) - most) / p;
                far += share * (d - log(p) + log(q)), apart += share * fabs(d);
            }
            case_note(&lse,
                      case_at(&top, m) < most || case_at(&top, m) > most
                          ? INFINITY
                          : fabs(case_at(&sum, m) - p) / ((4 + 24 + 40) * CASE_U * p),
                      "%zu", N);
            case_note(&kl,
                      fabs(kl_value(&row[m]) - far) / (2 * 28 * CASE_U * (1 + apart) + 4 * DBL_EPSILON * fabs(most)),
                      "%zu", N);
            bool right = m == 1 ? case_untouched(&picked, m)
                                : !(fabs(case_at(&picked, m) - case_at(&x, m * ld + (size_t)column[m])) > 0);
            case_note(&pick, right ? 0.5 : INFINITY, "%zu", N);
        }
        case_give(&x), case_give(&y), case_give(&top), case_give(&picked), case_give(&sum), case_give(&state),
            case_give(&at);
    }
    case_tell(k->name, "log sums", &lse), case_tell(k->name, "divergence", &kl), case_tell(k->name, "pick", &pick);
}

/* Sequences of 1, T/2, T and 3 positions. */
struct lm_sequences {
    size_t start[5], M;
    int32_t *token;
    struct pass_place here, there;
};
static inline struct lm_sequences lm_sequences(size_t T) {
    struct lm_sequences s = {{0, 1, 1 + T / 2, 1 + T / 2 + T, 4 + T / 2 + T}, 4 + T / 2 + T, NULL, {0}, {0}};
    CHECK(s.token = calloc(s.M, sizeof *s.token));
    return s;
}
static inline void lm_place(const struct lm_kernels *k, struct lm_sequences *s) {
    pass_place_host(4, s->start, s->token, &s->here);
    k->place(4, s->start, s->token, &s->there);
}

/* Two products and a sum: 3 u of |a| + |b|. */
static inline void lm_rope_case(const struct lm_kernels *k, size_t T, size_t H, size_t Dh, struct case_worst *worst) {
    struct lm_sequences s = lm_sequences(T);
    const size_t ld = H * Dh + 7, positions = T > 3 ? T : 3, h = Dh / 2;
    double frequency[128], share = 0;
    struct case_array x = lm_held(k, s.M * ld, 15, 1), was = case_room(&memory_host, s.M * ld, sizeof(float)),
                      table = case_room(k->memory, positions * Dh, sizeof(float));
    CHECK(h <= 128);
    for (size_t i = 0; i < s.M * ld; i++) case_set(&was, i, case_at(&x, i));
    for (size_t i = 0; i < h; i++) frequency[i] = pow(1e4, -2.0 * (double)i / (double)Dh);
    rope_table(positions, h, frequency, floats(&table));
    lm_place(k, &s);
    k->rope(&s.there, H, Dh, floats(&x), ld, floats(&table));
    lm_wait(k);
    for (size_t i = 0; i < 4; i++)
        for (size_t r = s.start[i]; r < s.start[i + 1]; r++)
            for (size_t c = 0; c < ld; c++) {
                const size_t t = r - s.start[i], j = c % Dh % h;
                if (c >= H * Dh) { /* beyond the heads nothing moves */
                    if (case_at(&x, r * ld + c) != case_at(&was, r * ld + c)) share = INFINITY;
                    continue;
                }
                const bool second = c % Dh >= h;
                const double a = case_at(&was, r * ld + c), b = case_at(&was, r * ld + (second ? c - h : c + h)),
                             cos = case_at(&table, t * Dh + j), sin = case_at(&table, t * Dh + h + j);
                share = fmax(share, lm_share(&x, r * ld + c, a * cos + (second ? b : -b) * sin,
                                             2 * CASE_U * (fabs(a) + fabs(b))));
            }
    case_note(worst, share, "T %zu, %zu heads of %zu", T, H, Dh);
    case_give(&x), case_give(&was), case_give(&table);
    free(s.token);
}

/* A score errs by s = (Dh+2) u scale sum |q k|; inputs are normal, so with 6 sigma sum |q k| < Dh + 6 sqrt(Dh). A probability then errs
 * by 2 s (its own score and the sum's) and the roundings of the softmax and the product: (2 T + 12) u; values are below 6. In bf16 the
 * probabilities, and their sum, are rounded to it as well. */
static inline void lm_attention_case(const struct lm_kernels *k, size_t T, size_t H, size_t G, size_t Dh,
                                     struct case_worst *worst) {
    struct lm_sequences s = lm_sequences(T);
    const size_t ld = (H + 2 * G) * Dh + (Dh % 8 ? 3 : 8), ldo = H * Dh + 5; /* the tiles of bf16 start at 16 bytes */
    const double d = (double)Dh, score = (d + 2) * CASE_U * (d + 6 * sqrt(d)) / sqrt(d),
                 may = 6 * (2 * score + (2 * (double)T + 12) * CASE_U + (k->elem_bytes == 2 ? 2 * CASE_HALF_U : 0));
    struct case_array x = lm_held(k, s.M * ld, 16, 1), y = case_room(k->memory, s.M * ldo, k->elem_bytes),
                      was = case_room(&memory_host, s.M * ld, sizeof(float)),
                      want = case_room(&memory_host, s.M * ldo, sizeof(float)),
                      work = case_room(&memory_host, attention_work_bytes(T > 3 ? T : 3, Dh) / 2, 2);
    struct attention a = {.H = H, .G = G, .Dh = Dh, .ld = ld, .scale = (float)(1 / sqrt(d))};
    double share = 0;
    for (size_t i = 0; i < s.M * ld; i++) case_set(&was, i, case_at(&x, i));
    lm_place(k, &s);
    a.q = floats(&was), a.k = a.q + H * Dh, a.v = a.k + G * Dh;
    lm_attention_ref(&s.here, &a, floats(&want), ldo, work.at);
    a.q = floats(&x), a.k = lm_at(k, a.q, H * Dh), a.v = lm_at(k, a.k, G * Dh);
    k->attention(&s.there, &a, floats(&y), ldo, lm_on_host(k) ? work.at : NULL);
    lm_wait(k);
    for (size_t i = 0; i < 4; i++)
        for (size_t r = s.start[i]; r < s.start[i + 1]; r++)
            for (size_t c = 0; c < ldo; c++) {
                if (c >= H * Dh)
                    share = case_untouched(&y, r * ldo + c) ? share : INFINITY;
                else if (r == s.start[i]) /* the first position sees itself alone */
                    share =
                        fmax(share, lm_share(&y, r * ldo + c,
                                             case_at(&was, r * ld + (H + G + c / Dh / (H / G)) * Dh + c % Dh), may));
                else
                    share = fmax(share, lm_share(&y, r * ldo + c, case_at(&want, r * ldo + c), may));
            }
    case_note(worst, share, "T %zu, %zu/%zu heads of %zu", T, H, G, Dh);
    case_give(&x), case_give(&y), case_give(&was), case_give(&want), case_give(&work);
    free(s.token);
}

static inline void lm_sequence_cases(const struct lm_kernels *k, bool large) {
    struct case_worst rope = {0}, attention = {0};
    const size_t lengths[] = {1, 31, 32, 33, 70, 130}, widths[] = {2, 6, 32, 66},
                 shapes[][3] = {{1, 1, 2}, {4, 2, 8}, {6, 2, 32}, {2, 1, 48}, {4, 2, 64}, {2, 2, 128}};
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) lm_rope_case(k, lengths[i], 3, widths[j], &rope);
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < 6; j++)
            lm_attention_case(k, lengths[i], shapes[j][0], shapes[j][1], shapes[j][2], &attention);
    if (lm_on_host(k)) lm_attention_case(k, 400, 6, 2, 32, &attention);
    if (large) lm_rope_case(k, 700, 32, 128, &rope), lm_attention_case(k, 700, 28, 4, 128, &attention);
    if (large) lm_attention_case(k, 300, 14, 2, 64, &attention);
    case_tell(k->name, "RoPE", &rope), case_tell(k->name, "attention", &attention);
}

/* large: sizes of models too, for a GPU */
static inline void lm_kernel_cases(const struct lm_kernels *k, bool large) {
    lm_linear_cases(k, large);
    lm_norm_cases(k, large);
    lm_elementwise_cases(k, large);
    lm_move_cases(k);
    lm_sums_cases(k);
    lm_sequence_cases(k, large);
}

#endif
