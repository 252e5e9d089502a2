/* active.c - memory of struct active; see encode.h. */
#include "kernels/encode.h"

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

void active_free(struct active *a) {
    free(a->row);
    free(a->feat);
    free(a->pre);
    *a = (struct active){0};
}
