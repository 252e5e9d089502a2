/* kmeans_qr.c - kmeans_cluster_qr; see kmeans.h. */
#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/analysis/kmeans.h"
#include "lib/base/arena.h"

/* Rows of x picked by Gram-Schmidt with pivoting: each time the row with the most left after projection on those before; ties to
 * the lower row. q [k,k] gets the orthonormal directions, left [n] is scratch. */
static void pick_rows(const double *x, size_t n, size_t k, size_t *pick, double *q, double *left) {
    for (size_t i = 0; i < n; i++) left[i] = cblas_ddot((blasint)k, x + i * k, 1, x + i * k, 1);
    for (size_t j = 0; j < k; j++) {
        size_t top = 0;
        double *w = q + j * k;
        for (size_t i = 1; i < n; i++)
            if (left[i] > left[top]) top = i;
        pick[j] = top;
        memcpy(w, x + top * k, k * sizeof *w);
        for (int pass = 0; pass < 2; pass++)
            for (size_t o = 0; o < j; o++)
                cblas_daxpy((blasint)k, -cblas_ddot((blasint)k, q + o * k, 1, w, 1), q + o * k, 1, w, 1);
        double norm = cblas_dnrm2((blasint)k, w, 1);
        for (size_t d = 0; d < k; d++) w[d] = norm > 0 ? w[d] / norm : 0;
        for (size_t i = 0; i < n; i++) {
            double c = cblas_ddot((blasint)k, w, 1, x + i * k, 1);
            left[i] = i == top ? -1 : left[i] - c * c;
        }
    }
}

int kmeans_cluster_qr(const double *x, size_t n, size_t k, int32_t *label, struct err *e) {
    if (k < 1 || k > n) return err_set(e, ERR_RANGE, "cluster_qr: want 1 to %zu clusters, got %zu", n, k);
    size_t *pick = mem_array(k, sizeof *pick, "cluster_qr", e);
    double *m = pick ? mem_array(5 * k * k + 3 * k + n, sizeof *m, "cluster_qr", e) : NULL;
    int rc = m ? 0 : ERR_MEMORY;
    if (!rc) {
        double *q = m, *a = q + k * k, *u = a + k * k, *vt = u + k * k, *o = vt + k * k;
        double *s = o + k * k, *work = s + k, *y = work + k, *left = y + k;
        openblas_set_num_threads(1);
        pick_rows(x, n, k, pick, q, left);
        for (size_t j = 0; j < k; j++) memcpy(a + j * k, x + pick[j] * k, k * sizeof *a); /* column j = picked row j */
        if (LAPACKE_dgesvd(LAPACK_COL_MAJOR, 'A', 'A', (lapack_int)k, (lapack_int)k, a, (lapack_int)k, s, u,
                           (lapack_int)k, vt, (lapack_int)k, work))
            rc = err_set(e, ERR_NUMERIC, "cluster_qr: LAPACK dgesvd did not converge");
        else
            cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, (blasint)k, (blasint)k, (blasint)k, 1, u, (blasint)k,
                        vt, (blasint)k, 0, o, (blasint)k);
        for (size_t i = 0; !rc && i < n; i++) {
            size_t top = 0;
            for (size_t j = 0; j < k; j++) {
                y[j] = fabs(cblas_ddot((blasint)k, x + i * k, 1, o + j * k, 1));
                if (y[j] > y[top]) top = j;
            }
            label[i] = (int32_t)top;
        }
    }
    free(pick);
    free(m);
    return rc;
}
