/* kind.h - from artifacts to a chart: a kind of figure each, reading the JSON it needs and nothing else.
 *
 * Every reader checks what it reads: a missing key, a wrong type or lengths that differ end in one line that names file
 * and key. A kind lays out and computes nothing else: the statistics that page judges claims by come from the stages, and are
 * copied next to the points they describe (kind_take). Tests: tests/test_chart.c */
#ifndef SAEMILL_KIND_H
#define SAEMILL_KIND_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/opt.h"
#include "lib/chart/chart.h"

enum { KIND_TEXT = 96 };

/* What the command line of plot says; the kinds only read it. */
struct kind_args {
    const char *kind, *title, *labels; /* title, labels: NULL if not given; labels are separated by '|' */
    struct opt_list in, map, lobes, cluster;
    const char *left_out; /* lobes-scatter: "grey" or "hide" */
    double target_l0, target_ev;
    int64_t seed;
};

/* A kind of chart. A file kind_*.c defines one or more, as `const struct kind kind_walk = {…};` at the beginning of a line: the build
 * finds them there (mk/build.mk), and --kind, --help and kind_build know them; nothing else has to. */
struct kind {
    const char *name;  /* of --kind */
    const char *reads; /* what --in takes, for --help; NULL for a kind that reads --map, --lobes and --cluster */
    int (*build)(const struct kind_args *args, struct chart *c, json_t *inputs, struct err *e); /* as kind_build */
};

/* All of them; NULL ends the list. */
extern const struct kind *const kind_list[];

/* Build the chart of args->kind.
 *   c      [1]  zeroed; panels, series and statistics are filled; the caller calls chart_free, also after an error
 *   inputs      object {"in":[…],"map":[…],…}: the record (and what else says where it came from) of every input,
 *               in command-line order; the caller json_decref()s, also after an error
 * Errors: ERR_USAGE for inputs of the wrong number; ERR_FORMAT, ERR_SHAPE, ERR_IO, ERR_RANGE naming file and key. */
int kind_build(const struct kind_args *args, struct chart *c, json_t **inputs, struct err *e);

/* The i-th of the '|'-separated labels into out[KIND_TEXT], or the preset where there are none. ERR_USAGE when labels
 * are given but not n of them (checked once per chart by kind_build's callees through this). */
int kind_label(const struct kind_args *args, size_t i, size_t n, const char *preset, char out[KIND_TEXT],
               struct err *e);

/* Copy members of an artifact into a figure's statistics, in the order of the keys (NULL ends them): real numbers with 9 digits,
 * all else as it is. ERR_FORMAT naming the key that is missing. */
int kind_take(json_t *into, const json_t *from, const char *path, const char *const *keys, struct err *e);

/* Remember an input's origin under inputs[option]: a copy of its "record" (or null where it has none), with "label". */
int kind_origin(json_t *inputs, const char *option, const char *label, const json_t *file, struct err *e);

/* The name of the i-th input's site for people: "L6R" -> "Layer 6", others as they are; "SAE 1" for i = 0 where site is
 * NULL or empty. */
void kind_site_name(const char *site, size_t i, char out[KIND_TEXT]);

/* The site that one of up to three artifacts says it comes from ("site", else "site" of its record); NULL where none
 * does. */
const char *kind_site_of(const json_t *a, const json_t *b, const json_t *c);

/* "smc" and "L6R" -> "Layer 6: Simple matching"; without a site "Simple matching". */
void kind_panel_name(const char *affinity, const char *site, char out[KIND_TEXT]);

/* The language a group stands for ("zh" -> "Chinese"), or the name itself; and its colour, the same in every figure. */
const char *kind_group_name(const char *group);
uint32_t kind_group_colour(const char *group, size_t index);

#endif
