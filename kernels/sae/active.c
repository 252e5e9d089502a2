/* active.c - memory of struct active; see encode.h. */
#include "kernels/sae/encode.h"

#include <stdlib.h>

#include "lib/base/arena.h"

int active_init(struct active *a, size_t B, size_t cap, struct err *e) {
    *a = (struct active){.B = B, .cap = cap};
    a->row = mem_array(B + 1, sizeof *a->row, "active entries", e);
    a->feat = mem_array(cap, sizeof *a->feat, "active entries", e);
    a->pre = mem_array(cap, sizeof *a->pre, "active entries", e);
    if (a->row && a->feat && a->pre) return 0;
    active_free(a);
    return ERR_MEMORY;
}

size_t active_need(size_t B, size_t cap) {
    return arena_need(B + 1, sizeof(size_t)) + arena_need(cap, sizeof(uint32_t)) + arena_need(cap, sizeof(float));
}

void active_take(struct active *a, size_t B, size_t cap, struct arena *from) {
    *a = (struct active){.B = B, .cap = cap};
    a->row = arena_take(from, B + 1, sizeof *a->row);
    a->feat = arena_take(from, cap, sizeof *a->feat);
    a->pre = arena_take(from, cap, sizeof *a->pre);
}

void active_drop(struct active *a) {
    encode_work_free(a->work);
    *a = (struct active){0};
}

void active_free(struct active *a) {
    free(a->row);
    free(a->feat);
    free(a->pre);
    active_drop(a);
}
