/* snapshots.c - see snapshots.h. */
#include "lib/sae/snapshots.h"

#include <string.h>

static const char *const names[SNAPSHOTS] = {"half", "quarter", "eighth"};

const char *snapshots_name(int i) { return names[i]; }

int snapshots_called(const char *name) {
    for (int i = 0; i < SNAPSHOTS; i++)
        if (!strcmp(names[i], name)) return i;
    return -1;
}

size_t snapshots_bytes(int n, size_t D, size_t F) { return (size_t)n * (2 * D * F + 2 * F + D) * sizeof(float); }

int snapshots_init(struct snapshots *s, int n, int64_t steps, const struct trainer_config *c, struct err *e) {
    *s = (struct snapshots){.n = n};
    if (n && steps >> n < 1)
        return err_set(e, ERR_RANGE, "%d snapshots of a run: want at least %d steps, got %lld", n, 1 << n,
                       (long long)steps);
    int rc = 0;
    for (int i = 0; i < n && !rc; i++) {
        s->step[i] = steps >> (i + 1);
        rc = sae_init(&s->sae[i], c->arch, c->D, c->F, e);
    }
    return rc;
}

void snapshots_free(struct snapshots *s) {
    for (int i = 0; i < s->n; i++) sae_free(&s->sae[i]);
    *s = (struct snapshots){0};
}

void snapshots_take(struct snapshots *s, const struct trainer *tr) {
    for (int i = 0; i < s->n; i++)
        if (tr->t == s->step[i]) trainer_export(tr, &s->sae[i]);
}
