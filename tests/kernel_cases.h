/* kernel_cases.h - what the lists of cases for kernels share (lm_kernel_cases.h, sae_kernel_cases.h).
 *
 * A list runs a back end's table against definitions in double, in the back end's own memory, with guard bytes round every array and
 * between rows. The tests run it for ref, for cpu at every level of instructions and for the emulated GPU; the receipt for the GPU. */
#ifndef SAEMILL_KERNEL_CASES_H
#define SAEMILL_KERNEL_CASES_H

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "kernels/base/backends.h"
#include "kernels/base/isa.h"
#include "lib/base/arena.h"
#include "lib/base/bf16.h"
#include "lib/base/rng.h"

/* Who includes this has it: an error, and what it may be. */
void checked(const char *name, const char *size, double value, double limit);

/* The statement that follows, at each level that this processor has; afterwards the highest is in use again. */
#define EACH_ISA(i)                                                                                                    \
    for (int i = 0; i <= (int)isa_best() ? (isa_level = (enum isa)i, 1) : (isa_level = isa_best(), 0); i++)

static const size_t case_sizes[] = {1, 31, 32, 33, 1000};
enum { CASE_SIZES = sizeof case_sizes / sizeof *case_sizes, CASE_GUARD = 256, CASE_FILL = 0x47 };
static const double CASE_U = FLT_EPSILON / 2, CASE_HALF_U = 0x1p-8; /* unit roundoff of float32 and of bf16 */

/* The largest error of an operation over its cases, as a share of what it may be, and where. */
struct case_worst {
    double share;
    char size[64];
};
__attribute__((format(printf, 3, 4))) static inline void case_note(struct case_worst *w, double share, const char *fmt,
                                                                   ...) {
    va_list ap;
    if (share <= w->share) return; /* NaN is worse than all */
    w->share = isnan(share) ? INFINITY : share;
    va_start(ap, fmt);
    vsnprintf(w->size, sizeof w->size, fmt, ap);
    va_end(ap);
}
static inline void case_tell(const char *backend, const char *op, const struct case_worst *w) {
    char name[64];
    snprintf(name, sizeof name, "%s: %s", backend, op);
    checked(name, w->size, w->share, 1);
}

/* n numbers of a back end's memory, of 2 (bf16), 4 or 8 bytes, filled with CASE_FILL and with as much on both sides. */
struct case_array {
    const struct memory *memory;
    char *at;
    size_t n, each;
};
static inline struct case_array case_room(const struct memory *m, size_t n, size_t each) {
    struct case_array a = {m, (char *)m->take(n * each + 2 * (size_t)CASE_GUARD), n, each};
    CHECK(a.at);
    memset(a.at, CASE_FILL, n * each + 2 * (size_t)CASE_GUARD);
    a.at += CASE_GUARD;
    return a;
}
static inline void case_set(const struct case_array *a, size_t i, double v) {
    if (a->each == 8)
        ((double *)(void *)a->at)[i] = v;
    else if (a->each == 4)
        ((float *)(void *)a->at)[i] = (float)v;
    else
        ((uint16_t *)(void *)a->at)[i] = bf16_of((float)v);
}
static inline double case_at(const struct case_array *a, size_t i) {
    if (a->each == 8) return ((const double *)(const void *)a->at)[i];
    if (a->each == 4) return (double)((const float *)(const void *)a->at)[i];
    return (double)bf16_f32(((const uint16_t *)(const void *)a->at)[i]);
}
/* Element i was not written. */
static inline bool case_untouched(const struct case_array *a, size_t i) {
    for (size_t b = i * a->each; b < (i + 1) * a->each; b++)
        if (a->at[b] != CASE_FILL) return false;
    return true;
}
/* Back to where it came from; the guards must be whole. */
static inline void case_give(struct case_array *a) {
    for (size_t i = 1; i <= CASE_GUARD; i++) CHECK(a->at[-(ptrdiff_t)i] == CASE_FILL);
    for (size_t i = 0; i < CASE_GUARD; i++) CHECK(a->at[a->n * a->each + i] == CASE_FILL);
    a->memory->give(a->at - CASE_GUARD);
}

/* Normal numbers that the array can hold exactly. */
static inline struct case_array case_normals(const struct memory *m, size_t n, size_t each, uint64_t stream,
                                             double sd) {
    struct case_array a = case_room(m, n, each);
    for (size_t i = 0; i < n; i++) case_set(&a, i, sd * rng_normal(1, stream, i));
    return a;
}

#endif
