/* progress.c - see progress.h. */
#include "lib/base/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/err.h"

void progress_start(struct progress *p, const char *stage, const char *unit, size_t total) {
    *p = (struct progress){.stage = stage, .unit = unit, .total = total, .start_s = clock_s(), .terminal = isatty(2)};
    p->shown_s = p->start_s + (p->terminal ? 1.9 : -7.0);
}

static void line(struct progress *p, size_t done, const char *note, double now) {
    double spent = now - p->start_s, rate = spent > 0 ? (double)done / spent : 0;
    char left[48] = "", of[32] = "";
    if (p->total && done && done <= p->total) {
        snprintf(left, sizeof left, ", %.0f s left", (double)(p->total - done) / rate);
        snprintf(of, sizeof of, " of %zu", p->total);
    }
    fprintf(stderr, "%s%s: %zu%s %s, %.4g %s/s%s%s", p->terminal ? "\r\033[K" : "", p->stage, done, of, p->unit, rate,
            p->unit, left, note[0] ? ", " : "");
    err_put(stderr, note);
    if (!p->terminal) fputc('\n', stderr);
    fflush(stderr);
    p->shown = 1;
    p->shown_s = now;
}

void progress_show(struct progress *p, size_t done, const char *note) {
    double now = clock_s();
    if (now - p->start_s >= 2.0 && now - p->shown_s >= (p->terminal ? 0.1 : 10.0)) line(p, done, note, now);
}

void progress_end(struct progress *p, size_t done, const char *note) {
    if (!p->shown) return;
    line(p, done, note, clock_s());
    if (p->terminal) fputc('\n', stderr);
}
