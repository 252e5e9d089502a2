/* tsne_mesh.c - see tsne_mesh.h.
 *
 * Only the first `rows` mesh rows and columns hold charge; the mesh is twice as wide, so that the circular convolution
 * is the linear one. Rows of zeros are not transformed. Transforms go 16 at a time, one plan for all batches, so that
 * threads change nothing. */
#include "lib/analysis/tsne_mesh.h"

#include <fftw3.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/analysis/spline.h"
#include "lib/base/arena.h"

enum { BATCH = 16, STRIP = 8, MIN_NODES = 32, MAX_NODES = 4096, CHUNK = 512 };

struct tsne_mesh {
    size_t n;
    float h;
    size_t N, NC;         /* nodes of an axis, and complex columns padded to a multiple of BATCH */
    float *grid, *kernel; /* [N,N]; [N,NC] spectrum of the kernel over that of the splines */
    fftwf_complex *freq;  /* [N,NC] */
    fftwf_plan rows_in, columns_in, columns_out, rows_out;
    struct arena memory; /* what follows, per point */
    int32_t *cell;
    float *record, *phi;
    uint32_t *order, *start; /* points by strip of STRIP mesh rows; [strips+1] */
};

int tsne_mesh_new(struct tsne_mesh **out, size_t n, float h, struct err *e) {
    struct tsne_mesh *m = *out = calloc(1, sizeof *m);
    if (!m) return err_set(e, ERR_MEMORY, "t-SNE: cannot have memory for a mesh");
    m->n = n;
    m->h = h;
    size_t strips = 2 * MAX_NODES / STRIP + 2, record_bytes = SPLINE_RECORD * sizeof(float);
    size_t need[] = {arena_need(n, 2 * sizeof(int32_t)), arena_need(n, record_bytes), arena_need(n, sizeof(float)),
                     arena_need(n, sizeof(uint32_t)), arena_need(strips, sizeof(uint32_t))};
    size_t bytes = 0;
    for (size_t k = 0; k < sizeof need / sizeof *need; k++)
        bytes = need[k] > SIZE_MAX - bytes ? SIZE_MAX : bytes + need[k];
    if (arena_init(&m->memory, bytes, "t-SNE: mesh", e)) {
        free(m);
        *out = NULL;
        return ERR_MEMORY;
    }
    m->cell = arena_take(&m->memory, n, 2 * sizeof(int32_t));
    m->record = arena_take(&m->memory, n, record_bytes);
    m->phi = arena_take(&m->memory, n, sizeof(float));
    m->order = arena_take(&m->memory, n, sizeof(uint32_t));
    m->start = arena_take(&m->memory, strips, sizeof(uint32_t));
    return 0;
}

static void drop_mesh(struct tsne_mesh *m) {
    if (m->rows_in) fftwf_destroy_plan(m->rows_in);
    if (m->columns_in) fftwf_destroy_plan(m->columns_in);
    if (m->columns_out) fftwf_destroy_plan(m->columns_out);
    if (m->rows_out) fftwf_destroy_plan(m->rows_out);
    m->rows_in = m->columns_in = m->columns_out = m->rows_out = NULL;
    free(m->grid);
    free(m->kernel);
    free(m->freq);
    m->grid = m->kernel = NULL;
    m->freq = NULL;
    m->N = 0;
}

void tsne_mesh_free(struct tsne_mesh *m) {
    if (!m) return;
    drop_mesh(m);
    arena_free(&m->memory);
    free(m);
}

/* The next multiple of 16 without prime factors above 5. */
static size_t fast_size(size_t at_least) {
    for (size_t N = (at_least + 15) / 16 * 16;; N += 16) {
        size_t r = N;
        while (r % 2 == 0) r /= 2;
        while (r % 3 == 0) r /= 3;
        while (r % 5 == 0) r /= 5;
        if (r == 1) return N;
    }
}

static int make_plans(struct tsne_mesh *m, struct err *e) {
    int N = (int)m->N, NC = (int)m->NC;
    unsigned how = FFTW_ESTIMATE; /* measuring would cost more than it saves, and give other bytes on other days */
    m->rows_in = fftwf_plan_many_dft_r2c(1, &N, BATCH, m->grid, NULL, 1, N, m->freq, NULL, 1, NC, how);
    m->columns_in = fftwf_plan_many_dft(1, &N, BATCH, m->freq, NULL, NC, 1, m->freq, NULL, NC, 1, FFTW_FORWARD, how);
    m->columns_out = fftwf_plan_many_dft(1, &N, BATCH, m->freq, NULL, NC, 1, m->freq, NULL, NC, 1, FFTW_BACKWARD, how);
    m->rows_out = fftwf_plan_many_dft_c2r(1, &N, BATCH, m->freq, NULL, 1, NC, m->grid, NULL, 1, N, how);
    if (m->rows_in && m->columns_in && m->columns_out && m->rows_out) return 0;
    return err_set(e, ERR_MEMORY, "t-SNE: FFTW cannot plan a transform of %zu x %zu", m->N, m->N);
}

/* The spectrum of 1/(1+r^2) on the mesh, over the splines' (once for spreading, once for reading), over N^2. */
static int make_kernel(struct tsne_mesh *m, struct err *e) {
    size_t N = m->N, NC = m->NC;
    float *spline = mem_array(N, sizeof *spline, "t-SNE: mesh", e);
    if (!spline) return ERR_MEMORY;
    for (size_t k = 0; k < N; k++) {
        double t = 6.283185307179586 * (double)k / (double)N,
               b = (66 + 52 * cos(t) + 2 * cos(2 * t)) / 120; /* M6(1..5) */
        spline[k] = (float)(1 / (b * b));
    }
    float norm = 1 / ((float)N * (float)N);
#pragma omp parallel
    {
#pragma omp for schedule(static)
        for (size_t a = 0; a < N; a++)
            for (size_t b = 0; b < N; b++) {
                float x = m->h * (float)(a <= N / 2 ? a : N - a), y = m->h * (float)(b <= N / 2 ? b : N - b);
                m->grid[a * N + b] = norm / (1 + x * x + y * y);
            }
#pragma omp for schedule(static)
        for (size_t a = 0; a < N; a += BATCH) fftwf_execute_dft_r2c(m->rows_in, m->grid + a * N, m->freq + a * NC);
#pragma omp for schedule(static)
        for (size_t b = 0; b < NC; b += BATCH) fftwf_execute_dft(m->columns_in, m->freq + b, m->freq + b);
#pragma omp for schedule(static)
        for (size_t a = 0; a < N; a++) /* the kernel is even, so its spectrum is real */
            for (size_t b = 0; b < NC; b++)
                m->kernel[a * NC + b] = b <= N / 2 ? m->freq[a * NC + b][0] * spline[a] * spline[b] : 0;
    }
    free(spline);
    return 0;
}

/* Make the mesh fit `nodes` on an axis: grow with some room, shrink only when much too large. */
static int fit(struct tsne_mesh *m, size_t nodes, struct err *e) {
    if (m->N >= 2 * nodes && 5 * m->N <= 16 * nodes) return 0;
    drop_mesh(m);
    m->N = fast_size(2 * nodes + nodes / 8);
    m->NC = (m->N / 2 + 1 + BATCH - 1) / BATCH * BATCH;
    m->grid = mem_array(m->N, m->N * sizeof *m->grid, "t-SNE: mesh", e);
    m->kernel = mem_array(m->N, m->NC * sizeof *m->kernel, "t-SNE: mesh", e);
    m->freq = mem_array(m->N, m->NC * sizeof *m->freq, "t-SNE: mesh", e);
    int rc = m->grid && m->kernel && m->freq ? make_plans(m, e) : ERR_MEMORY;
    if (!rc) rc = make_kernel(m, e);
    if (rc) drop_mesh(m);
    return rc;
}

/* order := points by strip (the first mesh row they touch over STRIP), within a strip ascending. */
static void sort_by_strip(struct tsne_mesh *m, size_t strips) {
    memset(m->start, 0, (strips + 1) * sizeof *m->start);
    for (size_t p = 0; p < m->n; p++) m->start[m->cell[2 * p] / STRIP + 1]++;
    for (size_t s = 0; s < strips; s++) m->start[s + 1] += m->start[s];
    for (size_t p = 0; p < m->n; p++) m->order[m->start[m->cell[2 * p] / STRIP]++] = (uint32_t)p;
    for (size_t s = strips; s > 0; s--) m->start[s] = m->start[s - 1];
    m->start[0] = 0;
}

/* A point touches its strip and the next (SPLINE_ORDER <= STRIP + 1): all even strips at once, then all odd ones. */
static void spread_strips(struct tsne_mesh *m, size_t strips) {
    for (size_t odd = 0; odd < 2; odd++) {
#pragma omp for schedule(dynamic)
        for (size_t s = odd; s < strips; s += 2)
            spline_spread_cpu(m->start[s + 1] - m->start[s], m->order + m->start[s], m->cell, m->record, m->grid, m->N);
    }
}

static void convolve(struct tsne_mesh *m, size_t rows) {
    size_t N = m->N, NC = m->NC;
#pragma omp for schedule(static)
    for (size_t a = 0; a < N; a += BATCH) {
        if (a < rows)
            fftwf_execute_dft_r2c(m->rows_in, m->grid + a * N, m->freq + a * NC);
        else
            memset(m->freq + a * NC, 0, BATCH * NC * sizeof *m->freq);
    }
#pragma omp for schedule(static)
    for (size_t b = 0; b < NC; b += BATCH) {
        fftwf_execute_dft(m->columns_in, m->freq + b, m->freq + b);
        for (size_t a = 0; a < N; a++) {
            const float *k = m->kernel + a * NC + b;
            float *f = (float *)(m->freq + a * NC + b);
#pragma omp simd
            for (size_t c = 0; c < BATCH; c++) f[2 * c] *= k[c], f[2 * c + 1] *= k[c];
        }
        fftwf_execute_dft(m->columns_out, m->freq + b, m->freq + b);
    }
#pragma omp for schedule(static)
    for (size_t a = 0; a < rows; a += BATCH) fftwf_execute_dft_c2r(m->rows_out, m->freq + a * NC, m->grid + a * N);
}

/* Least and largest of v; false when one is not finite. */
static bool bounds(size_t n, const float *v, float *lo, float *hi) {
    *lo = *hi = v[0];
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(v[i])) return false;
        if (v[i] < *lo) *lo = v[i];
        if (v[i] > *hi) *hi = v[i];
    }
    return true;
}

int tsne_mesh_repulse(struct tsne_mesh *m, const float *x, const float *y, float *fx, float *fy, double *Z,
                      struct err *e) {
    float x0, x1, y0, y1;
    bool finite = bounds(m->n, x, &x0, &x1) && bounds(m->n, y, &y0, &y1);
    float span = finite ? fmaxf(x1 - x0, y1 - y0) / m->h : INFINITY;
    if (!(span <= MAX_NODES - SPLINE_WIDTH - SPLINE_ORDER - BATCH)) {
        err_set(e, ERR_NUMERIC, "t-SNE: the points span %g mesh nodes of %g", (double)span, (double)m->h);
        return err_hint(e, "the embedding flew apart: use --repulsion exact, or fewer iterations");
    }
    size_t nodes = (size_t)span + SPLINE_ORDER + SPLINE_WIDTH + 2, rows, strips;
    if (nodes < MIN_NODES) nodes = MIN_NODES;
    int rc = fit(m, nodes, e);
    if (rc) return rc;
    rows = (nodes + BATCH - 1) / BATCH * BATCH;
    strips = rows / STRIP;
    float inv_h = 1 / m->h;
#pragma omp parallel
    {
#pragma omp for schedule(static) nowait
        for (size_t p = 0; p < m->n; p += CHUNK)
            spline_weights_cpu(m->n - p < CHUNK ? m->n - p : CHUNK, x + p, y + p, x0, y0, inv_h, m->cell + 2 * p,
                               m->record + p * SPLINE_RECORD);
#pragma omp for schedule(static)
        for (size_t a = 0; a < rows; a++) memset(m->grid + a * m->N, 0, m->N * sizeof *m->grid);
#pragma omp single
        sort_by_strip(m, strips);
        spread_strips(m, strips);
        convolve(m, rows);
#pragma omp for schedule(dynamic)
        for (size_t s = 0; s < strips; s++)
            spline_gather_cpu(m->start[s + 1] - m->start[s], m->order + m->start[s], m->cell, m->record, m->grid, m->N,
                              m->phi, fx, fy);
    }
    double z = 0;
    float scale = -0.5f * inv_h;
    for (size_t i = 0; i < m->n; i++) {
        z += (double)m->phi[i];
        fx[i] *= scale;
        fy[i] *= scale;
    }
    *Z = z - (double)m->n;
    return 0;
}
