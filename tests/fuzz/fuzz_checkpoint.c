/* fuzz_checkpoint.c - a training run's state file, mutated: refused with a message and the trainer as it was, or the run goes on
 * from it. The first byte says what the rest is: 0 the whole file; else changes to a valid one, three bytes each: where, where, what.
 * A checksum that no longer fits is made to fit, so that what is behind it is reached. */
#define _GNU_SOURCE /* memfd_create, memmem */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/outdir.h"
#include "lib/sae/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { D = 3, F = 4, B = 2, STEPS = 5, MOST = 1 << 16 };

static struct trainer tr;
static struct curve curve;
static struct snapshots snapshots;
static char folder[64], path[96], aside[96], target[40], *start, valid[MOST], bytes[MOST];
static size_t n_valid;
static int fd;

static void clean(void) {
    outdir_remove(folder, NULL);
    trainer_free(&tr), curve_free(&curve), snapshots_free(&snapshots);
    free(start);
}

static int step(struct err *e) {
    const float x[B * D] = {0.5f, -1, 0.25f, 0, 2, -0.5f};
    struct trainer_report r;
    return trainer_step(&tr, x, NULL, 1e-2, 1e-3, &r, e);
}

static void prepare(void) {
    struct err e;
    const struct trainer_config c = {.arch = SAE_JUMPRELU,
                                     .D = D,
                                     .F = F,
                                     .B = B,
                                     .parameter[ACTIVATION_EPSILON] = 0.1f,
                                     .beta1 = 0.9,
                                     .beta2 = 0.999,
                                     .adam_eps = 1e-8,
                                     .seed = 4,
                                     .parameter[ACTIVATION_THETA_INIT] = 0.1f};
    snprintf(folder, sizeof folder, "build/tmp/fuzz_checkpoint.%ld", (long)getpid());
    snprintf(path, sizeof path, "%s/state.safetensors", folder);
    snprintf(aside, sizeof aside, "%s/damaged.safetensors", folder);
    if (trainer_init(&tr, &c, sae_kernels_get("ref"), &e) || curve_init(&curve, STEPS, &e) ||
        snapshots_init(&snapshots, 2, STEPS, &c, &e) || step(&e) || step(&e))
        abort();
    if (checkpoint_write(&tr, &curve, &snapshots, folder, "r", &e)) abort();
    FILE *f = fopen(path, "rb");
    if (!f || !(n_valid = fread(valid, 1, MOST, f)) || fclose(f)) abort();
    fd = memfd_create("state", MFD_CLOEXEC);
    snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
    if (fd < 0 || unlink(path) || !(start = malloc(tr.state.used_bytes))) abort();
    memcpy(start, tr.state.base, tr.state.used_bytes);
    atexit(clean);
}

static int read_state(size_t n, struct err said[3]) {
    memcpy(tr.state.base, start, tr.state.used_bytes);
    tr.t = 2, tr.last_entries = 1;
    if (ftruncate(fd, 0) || pwrite(fd, bytes, n, 0) != (ssize_t)n) abort();
    unlink(aside); /* what was damaged has been put there */
    if (access(path, F_OK) && symlink(target, path)) abort();
    said[0] = (struct err){0};
    int rc = checkpoint_read(&tr, &curve, &snapshots, folder, "r", said, said + 2);
    if (rc < 0) said[0] = said[2];
    return rc || !said[0].code ? rc : said[0].code;
}

/* The checksum that the message asks for into the place of the one in the file. */
static int seal(size_t n, const char *text) {
    char want[33], got[33], *at;
    const char *message = strstr(text, "want checksum ");
    if (!message || sscanf(message, "want checksum %32[0-9a-f], got %32[0-9a-f]", want, got) != 2) return 0;
    if (strlen(want) != 32 || strlen(got) != 32 || !(at = memmem(bytes, n, want, 32))) return 0;
    memcpy(at, got, 32);
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static int ready;
    struct err said[3];
    if (!ready) prepare();
    ready = 1;
    if (!n || n > MOST) return 0;
    size_t size = *data ? n_valid : n - 1;
    memcpy(bytes, *data ? valid : (const char *)data + 1, size);
    for (size_t i = 1; *data && i + 2 < n; i += 3) bytes[(data[i] | data[i + 1] << 8) % size] = (char)data[i + 2];
    int rc = read_state(size, said);
    if (rc < 0 && seal(size, said[0].text)) rc = read_state(size, said);
    if (rc < 0) {
        CHECK(said[0].code == rc && *said[0].text);
        return 0;
    }
    CHECK(rc == 1 && tr.t >= 0 && tr.t <= STEPS);
    rc = step(said);
    CHECK(!rc || rc == ERR_NUMERIC);
    return 0;
}
