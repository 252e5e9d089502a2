/* repulse_cpu.c - see repulse.h.
 *
 * Cost per 16 pairs: one division, 5 products, 9 sums; on Zen 4 the division (10 cycles for 16) is the floor. Each
 * unordered pair is computed once and pushes both points, which halves the divisions. */
#include "kernels/analysis/repulse.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/base/isa.h"
#include "lib/base/arena.h"

enum { BLOCK = 256, LANES = 16, ROWS = 4, ALONE = 4 }; /* up to 4 blocks, 40 us, one thread is enough */

#pragma GCC diagnostic ignored "-Wpsabi"

typedef float lanes __attribute__((vector_size(64)));
typedef double wide __attribute__((vector_size(64)));

int repulse_init(struct repulse *r, size_t n, struct err *e) {
    *r = (struct repulse){.n = n, .n_blocks = (n + BLOCK - 1) / BLOCK};
    size_t m = r->n_blocks * BLOCK, parts;
    if (!size_product(r->n_blocks, m, 1, &parts)) parts = SIZE_MAX;
    r->x = mem_array(m, sizeof(float), "t-SNE: points", e);
    r->y = mem_array(m, sizeof(float), "t-SNE: points", e);
    r->px = mem_array(parts, sizeof(float), "t-SNE: forces of all pairs", e);
    r->py = mem_array(parts, sizeof(float), "t-SNE: forces of all pairs", e);
    r->z = mem_array(r->n_blocks * r->n_blocks, sizeof(double), "t-SNE: forces of all pairs", e);
    if (r->x && r->y && r->px && r->py && r->z) {
        /* Places far from every point and from each other: q there is below 1e-33, and q^2 underflows to nothing. */
        for (size_t i = n; i < m; i++) r->x[i] = r->y[i] = 1e17f * (float)(1 + i - n);
        return 0;
    }
    repulse_free(r);
    return ERR_MEMORY;
}

void repulse_free(struct repulse *r) {
    free(r->x);
    free(r->y);
    free(r->px);
    free(r->py);
    free(r->z);
    *r = (struct repulse){0};
}

ISA_INLINE lanes load(const float *p) {
    lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}

ISA_INLINE lanes all(float a) { return (lanes){0} + a; }

/* Both halves of every 16, 8 or 4 lanes of a meet those of b: the sums of a, then those of b, in half the lanes each.
 */
#define MEET8(a, b)                                                                                                    \
    (__builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +                           \
     __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
#define MEET4(a, b)                                                                                                    \
    (__builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +                         \
     __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31))
#define MEET2(a, b)                                                                                                    \
    (__builtin_shufflevector(a, b, 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29) +                         \
     __builtin_shufflevector(a, b, 2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31))
#define MEET1(a)                                                                                                       \
    (__builtin_shufflevector(a, a, 0, 2, 4, 6, 8, 10, 12, 14, 0, 2, 4, 6, 8, 10, 12, 14) +                             \
     __builtin_shufflevector(a, a, 1, 3, 5, 7, 9, 11, 13, 15, 1, 3, 5, 7, 9, 11, 13, 15))

/* The sums over lanes of eight vectors, in lanes 0..7. */
ISA_INLINE lanes sum8(const lanes v[8]) {
    lanes a = MEET8(v[0], v[1]), b = MEET8(v[2], v[3]), c = MEET8(v[4], v[5]), d = MEET8(v[6], v[7]);
    a = MEET4(a, b);
    c = MEET4(c, d);
    a = MEET2(a, c);
    return MEET1(a);
}

/* One pair of blocks. mi, mj are multiples of 16. With mirror, block i's push on j goes to (bx, by), which are added
 * to. */
ISA_INLINE double block_pair(size_t mi, const float *xi, const float *yi, size_t mj, const float *xj, const float *yj,
                             float *ax, float *ay, float *bx, float *by, const int mirror) {
    double Z = 0;
    for (size_t i = 0; i < mi; i += ROWS) {
        lanes f[8] = {{0}}, z = {0}, x[ROWS], y[ROWS];
        for (int r = 0; r < ROWS; r++) x[r] = all(xi[i + (size_t)r]), y[r] = all(yi[i + (size_t)r]);
        for (size_t j = 0; j < mj; j += LANES) {
            lanes u = load(xj + j), v = load(yj + j), gx = {0}, gy = {0};
            if (mirror) gx = load(bx + j), gy = load(by + j);
#pragma GCC unroll 4
            for (int r = 0; r < ROWS; r++) {
                lanes dx = x[r] - u, dy = y[r] - v, q = 1.0f / (dx * dx + dy * dy + 1.0f), w = q * q;
                z += q;
                dx *= w;
                dy *= w;
                f[r] += dx;
                f[ROWS + r] += dy;
                if (mirror) gx -= dx, gy -= dy;
            }
            if (mirror) memcpy(bx + j, &gx, sizeof gx), memcpy(by + j, &gy, sizeof gy);
        }
        lanes s = sum8(f);
        memcpy(ax + i, &s, ROWS * sizeof(float));
        memcpy(ay + i, (float *)&s + ROWS, ROWS * sizeof(float));
        for (int l = 0; l < LANES; l++) Z += (double)z[l];
    }
    return Z;
}

/* Pair (I,J), I <= J, into its places of the table of partial forces. */
ISA_INLINE void pair_body(struct repulse *r, size_t I, size_t J) {
    size_t m = r->n_blocks * BLOCK, i = I * BLOCK, j = J * BLOCK;
    size_t mi = r->n - i < BLOCK ? (r->n - i + LANES - 1) / LANES * LANES : BLOCK;
    size_t mj = r->n - j < BLOCK ? (r->n - j + LANES - 1) / LANES * LANES : BLOCK;
    float *ax = r->px + J * m + i, *ay = r->py + J * m + i, *bx = r->px + I * m + j, *by = r->py + I * m + j;
    if (I == J) { /* every point meets itself once, with q = 1 */
        double Z = block_pair(mi, r->x + i, r->y + i, mi, r->x + i, r->y + i, ax, ay, NULL, NULL, 0);
        r->z[I * r->n_blocks + J] = Z - (double)mi;
        return;
    }
    memset(bx, 0, BLOCK * sizeof *bx);
    memset(by, 0, BLOCK * sizeof *by);
    double Z = block_pair(mi, r->x + i, r->y + i, mj, r->x + j, r->y + j, ax, ay, bx, by, 1);
    r->z[I * r->n_blocks + J] = 2 * Z;
}

ISA_COPIES(void, pair, (struct repulse * r, size_t I, size_t J), (r, I, J))

double repulse_cpu(struct repulse *r, const float *x, const float *y, float *fx, float *fy) {
    size_t nb = r->n_blocks, m = nb * BLOCK;
    void (*pair)(struct repulse *, size_t, size_t) = ISA_PICK(pair);
    memcpy(r->x, x, r->n * sizeof *x);
    memcpy(r->y, y, r->n * sizeof *y);
#pragma omp parallel if (nb > ALONE)
    {
#pragma omp for schedule(dynamic)
        for (size_t t = 0; t < nb * nb; t++)
            if (t / nb <= t % nb) pair(r, t / nb, t % nb);
#pragma omp for schedule(static)
        for (size_t I = 0; I < nb; I++) {
            size_t i0 = I * BLOCK, i1 = r->n - i0 < BLOCK ? r->n : i0 + BLOCK;
            memset(fx + i0, 0, (i1 - i0) * sizeof *fx);
            memset(fy + i0, 0, (i1 - i0) * sizeof *fy);
            for (size_t J = 0; J < nb; J++)
                for (size_t i = i0; i < i1; i++) fx[i] += r->px[J * m + i], fy[i] += r->py[J * m + i];
        }
    }
    double Z = 0;
    for (size_t I = 0; I < nb; I++)
        for (size_t J = I; J < nb; J++) Z += r->z[I * nb + J];
    return Z;
}

/* Row i against all before it, eight at a time. */
ISA_INLINE double z_body(size_t i, const double *x, const double *y) {
    wide s = {0}, xi = s + x[i], yi = s + y[i], u, v;
    size_t j = 0;
    for (; j + 8 <= i; j += 8) {
        memcpy(&u, x + j, sizeof u);
        memcpy(&v, y + j, sizeof v);
        u -= xi;
        v -= yi;
        s += 1.0 / (u * u + v * v + 1.0);
    }
    double z = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
    for (; j < i; j++) {
        double dx = x[j] - x[i], dy = y[j] - y[i];
        z += 1 / (dx * dx + dy * dy + 1);
    }
    return z;
}
ISA_COPIES(double, z, (size_t i, const double *x, const double *y), (i, x, y))

int repulse_z_cpu(size_t n, const float *x, const float *y, double *Z, struct err *e) {
    double (*row)(size_t, const double *, const double *) = ISA_PICK(z);
    double *u = mem_array(n, 3 * sizeof(double), "t-SNE: Z", e), *v = u + n, *z = v + n;
    if (!u) return ERR_MEMORY;
    for (size_t i = 0; i < n; i++) u[i] = x[i], v[i] = y[i];
#pragma omp parallel for schedule(dynamic, 64)
    for (size_t i = 0; i < n; i++) z[i] = row(i, u, v);
    *Z = 0;
    for (size_t i = 0; i < n; i++) *Z += 2 * z[i];
    free(u);
    return 0;
}
