/* arena.c - see arena.h. Large blocks lie on huge pages where Linux gives them: rows picked from all over a matrix then cost fewer
 * page-table walks, and the first touch fewer faults. */
#define _DEFAULT_SOURCE /* madvise */
#include "lib/base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static _Thread_local long fail_after = -1; /* the one switch tests turn; never touched in production */

enum { HUGE_PAGE = 1 << 21, LARGE = 4 * HUGE_PAGE };

void mem_fail_after(long n) { fail_after = n; }

static void *aligned_zero(size_t bytes) {
    if (fail_after == 0) return NULL;
    if (fail_after > 0) fail_after--;
    void *p = NULL;
    if (posix_memalign(&p, bytes < LARGE ? ARENA_ALIGN : HUGE_PAGE, bytes ? bytes : ARENA_ALIGN)) return NULL;
#ifdef MADV_HUGEPAGE
    if (bytes >= LARGE) madvise(p, bytes, MADV_HUGEPAGE); /* a wish: without it all is the same, only slower */
#endif
    memset(p, 0, bytes);
    return p;
}

/* What ulimit -v leaves; SIZE_MAX without it. */
static size_t address_space_bytes(void) {
    struct rlimit r;
    return getrlimit(RLIMIT_AS, &r) || r.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)r.rlim_cur;
}

bool size_product(size_t a, size_t b, size_t c, size_t *out) {
    size_t ab;
    return !__builtin_mul_overflow(a, b, &ab) && !__builtin_mul_overflow(ab, c, out);
}

size_t arena_need(size_t n, size_t elem_bytes) {
    size_t b;
    if (!size_product(n, elem_bytes, 1, &b) || b > SIZE_MAX - ARENA_ALIGN) return SIZE_MAX;
    return (b + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
}

static int hint(struct err *e) {
    size_t limit = address_space_bytes();
    if (limit == SIZE_MAX)
        return err_hint(e, "this machine has %.1f GB; use a smaller batch, width or chunk count",
                        (double)mem_physical_bytes() / 1e9);
    return err_hint(e,
                    "the address space is limited to %.2f GB: raise the limit (ulimit -v), or use a smaller batch, "
                    "width or chunk count",
                    (double)limit / 1e9);
}

const struct memory memory_host = {aligned_zero, free};

int arena_init(struct arena *a, size_t size_bytes, const char *name, struct err *e) {
    return arena_init_in(a, &memory_host, size_bytes, name, e);
}

int arena_init_in(struct arena *a, const struct memory *from, size_t size_bytes, const char *name, struct err *e) {
    *a = (struct arena){.from = from};
    if (size_bytes != SIZE_MAX) a->base = from->take(size_bytes);
    if (!a->base) {
        err_set(e, ERR_MEMORY, "%s: cannot have %.1f MB of memory", name, (double)size_bytes / 1e6);
        if (from != &memory_host) return err_hint(e, "the device has no room for it: use a smaller batch or width");
        return hint(e);
    }
    a->size_bytes = size_bytes;
    return 0;
}

void *arena_take(struct arena *a, size_t n, size_t elem_bytes) {
    size_t need = arena_need(n, elem_bytes);
    CHECK(need <= a->size_bytes - a->used_bytes);
    void *p = a->base + a->used_bytes;
    a->used_bytes += need;
    return p;
}

void arena_free(struct arena *a) {
    if (a->base) a->from->give(a->base);
    *a = (struct arena){0};
}

void *mem_array(size_t n, size_t elem_bytes, const char *name, struct err *e) {
    size_t bytes = arena_need(n, elem_bytes);
    void *p = bytes == SIZE_MAX ? NULL : aligned_zero(bytes);
    if (!p) {
        err_set(e, ERR_MEMORY, "%s: cannot have %zu x %zu bytes of memory", name, n, elem_bytes);
        hint(e);
    }
    return p;
}

size_t mem_physical_bytes(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t have = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : 0, limit = address_space_bytes();
    return limit < have ? limit : have;
}
