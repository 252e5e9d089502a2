/* tsne_mesh.h - t-SNE's repulsion in O(n + mesh log mesh): one charge, one potential.
 *
 *   phi(y) = sum_j 1/(1 + |y - y_j|^2)        Z = sum_i phi(y_i) - n        f_i = -grad phi(y_i) / 2
 * (phi's gradient is -2 sum_j q_ij^2 (y - y_j), so the three sums of t-SNE come from one convolution.) Unit charges are
 * spread on a mesh by order-6 B-splines, convolved with the kernel by FFT (FFTW, float), the splines divided out in the
 * spectrum, and read back with the splines' derivatives: smooth particle mesh, Essmann et al. 1995, applied to t-SNE as
 * in Delchevalerie et al. 2021. The mesh spacing h sets the error, since the kernel's spectrum falls as exp(-pi / h):
 * relative RMS force error 0.2 % at h = 0.3, 2 % at 0.5. Float32 potentials of size n limit small embeddings: at a span
 * of 1e-4, where all repulsion is the same straight line and attraction rules, the forces are good to some 10 %. The
 * forces are those that repulse.h defines. Tests: tests/test_tsne.c (against the exact forces) */
#ifndef SAEMILL_TSNE_MESH_H
#define SAEMILL_TSNE_MESH_H

#include <stddef.h>

#include "lib/base/err.h"

struct tsne_mesh;

/*   n   points
 *   h   mesh spacing, 0 < h <= 1, in the embedding's unit
 * ERR_MEMORY. tsne_mesh_free releases; NULL is fine. */
int tsne_mesh_new(struct tsne_mesh **out, size_t n, float h, struct err *e);
void tsne_mesh_free(struct tsne_mesh *m);

/* Forces and Z, as repulse_cpu gives them exactly. Starts its own threads; the bytes do not depend on their number.
 * Plans transforms (FFTW's planner keeps global state): call from one thread at a time in a process.
 *   x, y    [n] f32
 *   fx, fy  [n] f32, overwritten;   Z [1]
 * Errors: ERR_NUMERIC when a point is not finite or the points span more than 4000 h, ERR_MEMORY. */
int tsne_mesh_repulse(struct tsne_mesh *m, const float *x, const float *y, float *fx, float *fy, double *Z,
                      struct err *e);

#endif
