/* emulate.c - see emulate.h. */
#define _XOPEN_SOURCE 700
#include "tests/cuda/emulate.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "lib/base/err.h"

enum { MOST_THREADS = 1024, STACK_BYTES = 1 << 16, SHARED_WORDS = 1 << 15 };

struct emulate_index threadIdx, blockIdx, blockDim, gridDim;
unsigned long long emulate_shared[SHARED_WORDS];

struct fiber {
    jmp_buf at;
    bool started, done;
    unsigned barriers, exchanges; /* how many it has come to */
    double slot[2];               /* what it shows to its warp: this exchange's and the last one's */
};

static struct fiber fiber[MOST_THREADS];
static char *stacks;
static unsigned n_threads, now;
static jmp_buf scheduler;
static void (*body)(void);

float __bfloat162float(__nv_bfloat16 x) {
    uint32_t bits = (uint32_t)x.bits << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Let the others run. */
static void yield(void) {
    unsigned me = now;
    if (!_setjmp(fiber[me].at)) _longjmp(scheduler, 1);
    threadIdx.x = now = me;
}

static bool all_reached(unsigned first, unsigned last, unsigned count, bool barrier) {
    for (unsigned t = first; t < last; t++)
        if (!fiber[t].done && (barrier ? fiber[t].barriers : fiber[t].exchanges) < count) return false;
    return true;
}

void emulate_barrier(void) {
    unsigned count = ++fiber[now].barriers;
    while (!all_reached(0, n_threads, count, true)) yield();
}

double emulate_shuffle(double v, unsigned source_lane) {
    struct fiber *f = &fiber[now];
    unsigned warp = now / 32 * 32, end = warp + 32 < n_threads ? warp + 32 : n_threads, count = ++f->exchanges;
    f->slot[count % 2] = v;
    while (!all_reached(warp, end, count, false)) yield();
    return source_lane < 32 && warp + source_lane < end ? fiber[warp + source_lane].slot[count % 2] : v;
}

unsigned emulate_ballot(int on) {
    struct fiber *f = &fiber[now];
    unsigned warp = now / 32 * 32, end = warp + 32 < n_threads ? warp + 32 : n_threads, count = ++f->exchanges, bits = 0;
    f->slot[count % 2] = on;
    while (!all_reached(warp, end, count, false)) yield();
    for (unsigned t = warp; t < end; t++)
        if (fiber[t].exchanges >= count && fiber[t].slot[count % 2] != 0) bits |= 1u << (t - warp);
    return bits;
}

static void start(void) {
    body();
    fiber[now].done = true;
    _longjmp(scheduler, 1);
}

static void resume(unsigned t) {
    threadIdx.x = now = t;
    if (fiber[t].started) _longjmp(fiber[t].at, 1);
    fiber[t].started = true;
    ucontext_t c;
    getcontext(&c);
    c.uc_stack.ss_sp = stacks + (size_t)t * STACK_BYTES;
    c.uc_stack.ss_size = STACK_BYTES;
    c.uc_link = NULL;
    makecontext(&c, start, 0);
    setcontext(&c);
}

static unsigned long progress(void) {
    volatile unsigned long sum = 0;
    for (unsigned t = 0; t < n_threads; t++)
        sum += fiber[t].barriers + fiber[t].exchanges + fiber[t].done;
    return sum;
}

static void run_block(void) {
    memset(fiber, 0, n_threads * sizeof *fiber);
    for (volatile bool running = true; running;) {
        unsigned long before = progress();
        running = false;
        for (volatile unsigned t = 0; t < n_threads; t++)
            if (!fiber[t].done) {
                running = true;
                if (!_setjmp(scheduler)) resume(t);
            }
        /* Every thread had its turn and none came further: some wait for a barrier or shuffle that others never reach. */
        if (running && progress() == before) {
            fprintf(stderr, "emulate: block %u: threads wait for each other at different places\n", blockIdx.x);
            abort();
        }
    }
}

void emulate_launch(void (*thread)(void), size_t blocks, size_t threads, size_t shared_bytes) {
    CHECK(threads >= 1 && threads <= MOST_THREADS && threads % 32 == 0 && shared_bytes <= sizeof emulate_shared);
    if (!stacks) stacks = malloc((size_t)MOST_THREADS * STACK_BYTES);
    CHECK(stacks);
    body = thread;
    n_threads = (unsigned)threads;
    blockDim = (struct emulate_index){n_threads, 1, 1};
    gridDim = (struct emulate_index){(unsigned)blocks, 1, 1};
    for (size_t b = 0; b < blocks; b++) {
        memset(emulate_shared, 0xff, shared_bytes); /* NaN: nothing may be read before it is written */
        blockIdx.x = (unsigned)b;
        run_block();
    }
}
