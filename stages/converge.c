/* converge.c - the figures of a study at several shares of its training and for several seeds: the values behind the claims,
 * and which of them still move when training ends. The rule is in lib/page/convergence.h; here is only the reading.
 *
 * Plots are read one after the other: a figure of training curves has millions of points, of which a claim wants three. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/outfile.h"
#include "lib/base/stage.h"
#include "lib/page/convergence.h"
#include "lib/file/jsonfile.h"

#define PROG "converge"

struct settings {
    struct opt_list plots;
    const char *figures, *shares, *half, *seeds, *claims, *out;
};

struct run {
    struct converge_of of;
    json_t *doc;
    char *record;
    size_t n_moving;
};

static int parse_words(const struct settings *s, struct converge_of *of, struct err *e) {
    int rc = convergence_words(s->figures, "--figures", &of->figures, e);
    if (!rc) rc = convergence_words(s->shares, "--shares", &of->shares, e);
    if (!rc) rc = convergence_words(s->seeds, "--seeds", &of->seeds, e);
    if (!rc) rc = convergence_shares(&of->shares, &of->half, e);
    const size_t G = of->figures.n, H = of->shares.n, S = of->seeds.n;
    if (rc || s->plots.n == G * H * S) return rc;
    err_set(e, ERR_USAGE, "--plots: want %zu figures x %zu shares x %zu seeds = %zu plot folders, got %zu", G, H, S,
            G * H * S, s->plots.n);
    return err_hint(e, "for each seed, for each share, every figure: figures change fastest");
}

static int add_plots(const struct settings *s, struct run *r, struct err *e) {
    int rc = 0;
    for (size_t i = 0; !rc && i < s->plots.n; i++) {
        char path[PATH_MAX];
        json_t *plot = NULL;
        if (snprintf(path, sizeof path, "%s/plot.json", s->plots.item[i]) >= (int)sizeof path)
            return err_set(e, ERR_IO, "%s: path too long", s->plots.item[i]);
        rc = jsonfile_read(path, &plot, e);
        if (!rc) rc = convergence_add(&r->of, i, path, plot, r->doc, e);
        json_decref(plot);
    }
    return rc;
}

static int output(const struct settings *s, const struct run *r, struct err *e) {
    json_t *o = jsonfile_with(json_incref(r->doc), "record=%p", json_loads(r->record, 0, NULL));
    return jsonfile_write_new(s->out, o, e);
}

static void run_free(struct run *r) {
    free(r->of.figures.item), free(r->of.shares.item), free(r->of.seeds.item);
    tsv_free(&r->of.claims);
    json_decref(r->doc);
    free(r->record);
}

int main(int argc, char **argv) {
    struct settings s = {0};
    struct run r = {0};
    struct err e = {0};
    const struct opt table[] = {
        {"plots", OPT_INPUTS, &s.plots, NULL, 0, 0, NULL, NULL,
         "plot folders: for each seed, for each share, every figure; figures change fastest", false},
        {"figures", OPT_TEXT, &s.figures, NULL, 0, 0, NULL, NULL, "ids of the figures, in that order: fig2,fig3",
         false},
        {"shares", OPT_TEXT, &s.shares, "1/8,1/4,1/2,1", 0, 0, NULL, NULL,
         "shares of the training steps, rising to 1; 1/2 must be among them", false},
        {"half", OPT_TEXT, &s.half, "snapshot", 0, 0, "snapshot|run", NULL,
         "what the plots of 1/2 are of: a snapshot, or a run of its own with all schedules half as long", false},
        {"seeds", OPT_TEXT, &s.seeds, "0", 0, 0, NULL, NULL, "names of the seeds: 0,1,2", false},
        {"claims", OPT_INPUT, &s.claims, NULL, 0, 0, NULL, NULL,
         "claims.tsv: id, figure, section, claim, check, condition", false},
        STAGE_OUT(&s.out, "JSON file to write"),
    };
    const struct stage me = {PROG, "the values behind the claims against training: have they come to rest?",
                             OPT_TABLE(table)};
    int rc = stage_start(&me, argc, argv, &e);

    if (!rc) rc = outfile_check(s.out, &e);
    if (!rc) rc = parse_words(&s, &r.of, &e);
    if (!rc) rc = tsv_read(s.claims, "id figure section claim check condition", &r.of.claims, &e);
    r.of.claims_path = s.claims, r.of.half_is_run = !rc && !strcmp(s.half, "run");
    if (!rc) rc = stage_record(&me, &r.record, &e);

    if (!rc) rc = convergence_begin(&r.of, &r.doc, &e);
    if (!rc) rc = add_plots(&s, &r, &e);
    if (!rc) rc = convergence_end(&r.of, r.doc, &r.n_moving, &e);

    if (!rc) rc = output(&s, &r, &e);
    if (!rc)
        stage_done(PROG, "%s: %zu claims at %zu shares of training, %zu seed%s: %zu still moving", s.out,
                   json_array_size(json_object_get(r.doc, "claims")), r.of.shares.n, r.of.seeds.n,
                   r.of.seeds.n == 1 ? "" : "s", r.n_moving);
    run_free(&r);
    return stage_end(&me, rc, &e);
}
