/* limits.c - see limits.h. The names of OpenMP and OpenBLAS are weak: programs that do not use them are not given them by this file. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include "lib/base/limits.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

int omp_get_max_threads(void) __attribute__((weak));
void omp_set_num_threads(int n) __attribute__((weak));
int openblas_get_num_threads(void) __attribute__((weak));
void *blas_memory_alloc(int procpos) __attribute__((weak));
void blas_memory_free(void *p) __attribute__((weak));

#define BLAS_THREADS "OPENBLAS_NUM_THREADS"

enum {
    BLAS_BUFFER = 128 << 20, /* OpenBLAS 0.3 on x86_64; it takes one for each thread that multiplies */
    BLAS_MOST = 128,         /* buffers it has a table for */
    STACK = 8 << 20,
    STACK_USED = 256 << 10 /* by our deepest calls, paths included */
};

void limits_signals(void) {
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

static void *wait_for(void *gate) {
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

/* How many threads can be there at once, up to n. */
static int threads_to_be_had(int n, int *why) {
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t *id = calloc((size_t)n, sizeof *id);
    int made = 0;
    *why = id ? 0 : ENOMEM;
    pthread_mutex_lock(&gate);
    while (!*why && made < n - 1 && !(*why = pthread_create(&id[made], NULL, wait_for, &gate))) made++;
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < made; i++) pthread_join(id[i], NULL);
    free(id);
    return made + 1;
}

/* Stacks are used up bit by bit, and one that cannot grow ends the program by a signal: have it now. */
static __attribute__((noinline)) void grow_stack(void) {
    volatile char room[STACK_USED];
    for (size_t i = 0; i < sizeof room; i += 1024) room[i] = 0;
}

static int blas_buffers(int n, double limit_bytes, struct err *e) {
    void *held[BLAS_MOST];
    size_t each = BLAS_BUFFER + STACK, want = (size_t)n * each;
    void *room = mmap(NULL, want, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) {
        err_set(e, ERR_MEMORY,
                "the address space is limited to %.0f MB: %d threads want %.0f MB of it for OpenBLAS alone",
                limit_bytes / 1e6, n, (double)want / 1e6);
        return err_hint(e, "raise the limit (ulimit -v), or take fewer --threads");
    }
    munmap(room, want);
    for (int i = 0; i < n && i < BLAS_MOST; i++) held[i] = blas_memory_alloc(0);
    for (int i = 0; i < n && i < BLAS_MOST; i++) blas_memory_free(held[i]);
    return 0;
}

int limits_meet(int64_t threads, char **argv, struct err *e) {
    struct rlimit space;
    if (threads < 0 || !omp_get_max_threads) return 0;
    int n = threads ? (int)threads : omp_get_max_threads(), why;
    const char *own = getenv(BLAS_THREADS);
    bool limited = !getrlimit(RLIMIT_AS, &space) && space.rlim_cur != RLIM_INFINITY;
    if (limited && openblas_get_num_threads && openblas_get_num_threads() > 1 && (!own || strcmp(own, "1"))) {
        setenv(BLAS_THREADS, "1", 1);
        execv("/proc/self/exe", argv);
    }
    int made = threads_to_be_had(n, &why);
    if (made < n) {
        err_set(e, ERR_MEMORY, "cannot start %d threads: %s", n, strerror(why));
        return err_hint(e, "--threads %d fits; or raise the limit (ulimit -u, ulimit -v)", made);
    }
    if (threads && omp_set_num_threads) omp_set_num_threads(n);
    if (!limited) return 0;
    grow_stack();
    return blas_memory_alloc ? blas_buffers(n, (double)space.rlim_cur, e) : 0;
}
