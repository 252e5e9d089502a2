/* emulate.c - see emulate.h. */
#define _XOPEN_SOURCE 700
#include "tests/cuda/emulate.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "lib/base/bf16.h"
#include "lib/base/err.h"

enum { MOST_THREADS = 1024, STACK_BYTES = 1 << 16, SHARED_WORDS = 1 << 15 };

struct emulate_index threadIdx, blockIdx, blockDim, gridDim;
unsigned long long emulate_shared[SHARED_WORDS];

struct fiber {
    jmp_buf at;
    bool started, done;
    unsigned barriers, exchanges; /* how many it has come to */
    double slot[2];               /* what it shows to its warp: this exchange's and the last one's */
    struct fragments {
        uint32_t a[4], b[2];
        const void *row;
    } shown[2]; /* the same for the matrix units */
};

static struct fiber fiber[MOST_THREADS];
static char *stacks;
static unsigned n_threads, now;
static jmp_buf scheduler;
static void (*body)(void);

float __bfloat162float(__nv_bfloat16 x) { return bf16_f32(x.bits); }
__nv_bfloat16 __float2bfloat16_rn(float x) { return (__nv_bfloat16){bf16_of(x)}; }

float __uint_as_float(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
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
    unsigned warp = now / 32 * 32, end = warp + 32 < n_threads ? warp + 32 : n_threads, count = ++f->exchanges,
             bits = 0;
    f->slot[count % 2] = on;
    while (!all_reached(warp, end, count, false)) yield();
    for (unsigned t = warp; t < end; t++)
        if (fiber[t].exchanges >= count && fiber[t].slot[count % 2] != 0) bits |= 1u << (t - warp);
    return bits;
}

/* Show these to the warp; what the others show. */
static const struct fiber *exchange(struct fragments mine, unsigned *count) {
    struct fiber *f = &fiber[now];
    unsigned warp = now / 32 * 32, end = warp + 32 < n_threads ? warp + 32 : n_threads;
    *count = ++f->exchanges;
    f->shown[*count % 2] = mine;
    while (!all_reached(warp, end, *count, false)) yield();
    return fiber + warp;
}

static double half_of(uint32_t two, unsigned upper) { return (double)bf16_f32((uint16_t)(upper ? two >> 16 : two)); }

/* mma.m16n8k16, row.col, as the PTX manual lays its fragments out: lane l holds of A rows l/4 and l/4+8, of B and C column l/4 or rows
 * alike, in pairs of neighbours from 2 (l%4) on. */
void emulate_mma(float c[4], const uint32_t a[4], const uint32_t b[2]) {
    unsigned count, lane = now % 32;
    struct fragments mine = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}, NULL};
    const struct fiber *warp = exchange(mine, &count);
    for (unsigned i = 0; i < 4; i++) {
        unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
        double sum = (double)c[i];
        for (unsigned k = 0; k < 16; k++) {
            const struct fragments *of_a = &warp[row % 8 * 4 + k % 8 / 2].shown[count % 2],
                                   *of_b = &warp[column * 4 + k % 8 / 2].shown[count % 2];
            sum += half_of(of_a->a[row / 8 + k / 8 * 2], k % 2) * half_of(of_b->b[k / 8], k % 2);
        }
        c[i] = (float)sum;
    }
}

/* ldmatrix.x4: lanes 8i .. 8i+7 say where the rows of matrix i are; each lane gets of each the pair it is to hold. */
void emulate_ldmatrix(uint32_t r[4], const void *row, int transposed) {
    unsigned count, lane = now % 32;
    CHECK((uintptr_t)row % 16 == 0);
    struct fragments mine = {.row = row};
    const struct fiber *warp = exchange(mine, &count);
    for (unsigned i = 0; i < 4; i++) {
        uint16_t two[2];
        for (unsigned j = 0; j < 2; j++) {
            unsigned y = transposed ? lane % 4 * 2 + j : lane / 4, x = transposed ? lane / 4 : lane % 4 * 2 + j;
            two[j] = ((const uint16_t *)warp[8 * i + y].shown[count % 2].row)[x];
        }
        r[i] = two[0] | (uint32_t)two[1] << 16;
    }
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
    for (unsigned t = 0; t < n_threads; t++) sum += fiber[t].barriers + fiber[t].exchanges + fiber[t].done;
    return sum;
}

/* A number that differs from call to call: no two launches take their turns alike, so that what needs a barrier it has not got
 * comes out differently, in one run or between two. */
static unsigned shuffled(void) {
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    return state ^ state >> 15;
}

static void run_block(void) {
    /* Primes no n_threads is a multiple of: each leads through all. */
    static const unsigned stride[] = {37, 41, 43, 47, 53, 59, 61, 67};
    memset(fiber, 0, n_threads * sizeof *fiber);
    volatile unsigned held = 0; /* a bit for each warp that sits this round out */
    for (volatile bool running = true; running;) {
        unsigned long before = progress();
        running = false;
        volatile unsigned t = shuffled() % n_threads;
        const unsigned step = stride[shuffled() % 8];
        for (volatile unsigned turn = 0; turn < n_threads; turn++, t = (t + step) % n_threads)
            if (!fiber[t].done) {
                running = true;
                if (!(held >> t / 32 & 1) && !_setjmp(scheduler)) resume(t);
            }
        const bool none = running && progress() == before;
        /* Every thread had its turn and none came further: some wait for a barrier or shuffle that others never reach. */
        if (none && !held) {
            fprintf(stderr, "emulate: block %u: threads wait for each other at different places\n", blockIdx.x);
            abort();
        }
        held = none ? 0 : shuffled() & shuffled();
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
    const bool backwards = shuffled() % 2;
    for (size_t b = 0; b < blocks; b++) {
        memset(emulate_shared, 0xff, shared_bytes); /* NaN: nothing may be read before it is written */
        blockIdx.x = (unsigned)(backwards ? blocks - 1 - b : b);
        run_block();
    }
}
