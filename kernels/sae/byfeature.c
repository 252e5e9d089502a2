/* byfeature.c - see byfeature.h. */
#include "kernels/sae/byfeature.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"

size_t byfeature_need(size_t F, size_t cap) {
    return arena_need(F + 1, sizeof(size_t)) + 2 * arena_need(cap, sizeof(uint32_t)) +
           arena_need(BYFEATURE_SLICES * F, sizeof(uint32_t));
}

void byfeature_take(struct byfeature *s, size_t F, size_t cap, struct arena *from) {
    *s = (struct byfeature){.F = F, .cap = cap};
    s->first = arena_take(from, F + 1, sizeof *s->first);
    s->row = arena_take(from, cap, sizeof *s->row);
    s->entry = arena_take(from, cap, sizeof *s->entry);
    s->place = arena_take(from, BYFEATURE_SLICES * F, sizeof *s->place);
}

void byfeature_sort(struct byfeature *s, const struct active *a) {
    CHECK(a->row[a->B] <= s->cap && a->row[a->B] < UINT32_MAX);
    memset(s->place, 0, BYFEATURE_SLICES * s->F * sizeof *s->place);
    size_t per = (a->B + BYFEATURE_SLICES - 1) / BYFEATURE_SLICES;
#pragma omp parallel for schedule(static)
    for (size_t k = 0; k < BYFEATURE_SLICES; k++) {
        size_t b0 = k * per < a->B ? k * per : a->B, b1 = b0 + per < a->B ? b0 + per : a->B;
        for (size_t i = a->row[b0]; i < a->row[b1]; i++) s->place[k * s->F + a->feat[i]]++;
    }
    size_t at = 0;
    for (size_t f = 0; f < s->F; f++) {
        s->first[f] = at;
        for (size_t k = 0; k < BYFEATURE_SLICES; k++) {
            uint32_t n = s->place[k * s->F + f];
            s->place[k * s->F + f] = (uint32_t)at;
            at += n;
        }
    }
    s->first[s->F] = at;
#pragma omp parallel for schedule(static)
    for (size_t k = 0; k < BYFEATURE_SLICES; k++) {
        size_t b0 = k * per < a->B ? k * per : a->B, b1 = b0 + per < a->B ? b0 + per : a->B;
        for (size_t b = b0; b < b1; b++)
            for (size_t i = a->row[b]; i < a->row[b + 1]; i++) {
                uint32_t to = s->place[k * s->F + a->feat[i]]++;
                s->row[to] = (uint32_t)b, s->entry[to] = (uint32_t)i;
            }
    }
}
