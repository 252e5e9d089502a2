/* logreg.h - logistic regression: can a class be read off a row by planes alone?
 *
 *   minimise  1/2 sum_c |w_c|^2 + C sum_i log(1 + exp(-s_i (x_i w + b)))          two classes, s_i = -1 for class 0, +1 for class 1
 *             1/2 sum_c |w_c|^2 - C sum_i log softmax(W x_i + b)_(y_i)            three and more
 * the objective of scikit-learn 1.9's LogisticRegression (L2, intercept free of penalty); its optimum is unique up to a common shift
 * of the intercepts, and so is ours, whatever the solver: L-BFGS in double (Nocedal and Wright 2006, algorithm 7.5, 10 pairs) with
 * backtracking, the first step along the gradient. Each row is read once per evaluation; sums over fixed slabs of rows, so the bytes
 * do not depend on the number of threads.
 * Tests: tests/test_logreg.c (scikit-learn fixture; finite differences; optimality; threads) */
#ifndef SAEMILL_LOGREG_H
#define SAEMILL_LOGREG_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct logreg {
    size_t k, D;
    size_t planes;   /* 1 for two classes (the score of class 1), else k */
    double *w;       /* [planes, D+1], the intercept last */
    double loss;     /* the objective at w */
    double gradient; /* its largest partial derivative there, over C n */
    size_t evaluations;
};

/*   x     [n,D] f32, row-major, finite; read only
 *   y     [n] classes in [0,k); k >= 2; a class without rows gets no say (its intercept falls far below the others)
 *   C     weight of the data against the penalty, > 0; scikit-learn's default is 1
 *   tol   stop when the largest partial derivative is below tol C n
 * Ownership: logreg_free releases.  Threads: its own, none inside a parallel region.
 * Errors: ERR_RANGE (fewer than two classes with rows, y outside), ERR_NUMERIC (rows that are not finite, no convergence),
 * ERR_MEMORY. */
int logreg_fit(const float *x, const int32_t *y, size_t n, size_t D, size_t k, double C, double tol, struct logreg *out,
               struct err *e);
void logreg_free(struct logreg *m);

/* The class of the highest score; ties go to the lower one.  x [D] */
int32_t logreg_predict(const struct logreg *m, const float *x);

/* Mean recall of the classes that y has: scikit-learn's balanced_accuracy_score. NaN without rows.
 *   ERR_MEMORY. */
int logreg_balanced(const struct logreg *m, const float *x, const int32_t *y, size_t n, double *accuracy,
                    struct err *e);

/* The objective and its gradient at w [planes, D+1], for tests and the solver. ERR_MEMORY. */
int logreg_objective(const float *x, const int32_t *y, size_t n, size_t D, size_t k, double C, const double *w,
                     double *loss, double *g, struct err *e);

#endif
