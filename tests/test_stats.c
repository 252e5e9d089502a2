/* test_stats.c - agreement of labellings against scikit-learn and against enumeration; lobes on cases worked by hand. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/analysis/lobe.h"
#include "lib/base/rng.h"
#include "lib/file/jsonfile.h"

#define FIXTURE "tests/fixtures/analysis/planted.json"

/* CMocka compares as float; this one does not. NaN fails. */
#define assert_near(got, want, tol) assert_true(fabs((double)(got) - (double)(want)) <= (double)(tol))

static size_t ints(const json_t *list, int32_t *out) {
    for (size_t i = 0; i < json_array_size(list); i++) out[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return json_array_size(list);
}

/* scikit-learn's values; sums of at most 64 x 3 cells of logarithms: 1e-9 is generous for doubles, and far below any use. */
static void sklearn_pairs(void **state) {
    json_t *o, *pairs;
    struct err e = {0};
    int32_t a[512], b[512];
    (void)state;
    assert_int_equal(jsonfile_read(FIXTURE, &o, &e), 0);
    assert_int_equal(jsonfile_array(o, FIXTURE, "pairs", &pairs, &e), 0);
    assert_int_equal(json_array_size(pairs), 8);
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        json_t *p = json_array_get(pairs, i);
        int64_t ka, kb;
        double want, got;
        assert_int_equal(jsonfile_int(p, FIXTURE, "ka", &ka, &e), 0);
        assert_int_equal(jsonfile_int(p, FIXTURE, "kb", &kb, &e), 0);
        size_t n = ints(json_object_get(p, "a"), a);
        assert_int_equal(ints(json_object_get(p, "b"), b), n);
        assert_int_equal(jsonfile_real(p, FIXTURE, "ami", &want, &e), 0);
        assert_int_equal(stats_ami(a, (size_t)ka, b, (size_t)kb, n, &got, &e), 0);
        assert_near(got, want, 1e-9);
        assert_int_equal(jsonfile_real(p, FIXTURE, "ari", &want, &e), 0);
        assert_int_equal(stats_ari(a, (size_t)ka, b, (size_t)kb, n, &got, &e), 0);
        assert_near(got, want, 1e-12);
    }
    json_decref(o);
}

/* Adjustment for chance is exact: over all 7! orders of one labelling AMI and ARI average 0. */
static void averages_vanish(void **state) {
    const int32_t a[7] = {0, 0, 0, 1, 1, 2, 2}, b[7] = {0, 1, 1, 1, 0, 1, 0};
    int order[7] = {0, 1, 2, 3, 4, 5, 6}, c[7] = {0}, n = 0;
    double ami = 0, ari = 0;
    struct err e = {0};
    (void)state;
    for (int i = 0;;) { /* Heap's algorithm */
        if (i == 0 || n == 0) {
            int32_t p[7];
            double x, y;
            for (int j = 0; j < 7; j++) p[j] = b[order[j]];
            assert_int_equal(stats_ami(a, 3, p, 2, 7, &x, &e), 0);
            assert_int_equal(stats_ari(a, 3, p, 2, 7, &y, &e), 0);
            ami += x, ari += y, n++;
        }
        while (i < 7 && c[i] >= i) c[i++] = 0;
        if (i == 7) break;
        int t = order[i % 2 ? c[i] : 0];
        order[i % 2 ? c[i] : 0] = order[i], order[i] = t;
        c[i]++, i = 0;
    }
    assert_int_equal(n, 5040);
    assert_near(ami / n, 0, 1e-12);
    assert_near(ari / n, 0, 1e-12);
}

/* Negative labels do not count; labels out of range are refused; nothing at all is agreement. */
static void ami_edges(void **state) {
    const int32_t a[6] = {0, 0, 1, 1, -1, 0}, b[6] = {1, 1, 0, 0, 0, -1}, c[2] = {0, 2};
    double x;
    struct err e = {0};
    (void)state;
    assert_int_equal(stats_ami(a, 2, b, 2, 6, &x, &e), 0);
    assert_near(x, 1, 1e-12);
    assert_int_equal(stats_ami(c, 2, c, 2, 2, &x, &e), ERR_RANGE);
    assert_int_equal(stats_ami(a, 2, b, 2, 0, &x, &e), 0);
    assert_near(x, 1, 0);
}

/* The null: independent labels lie within a few standard deviations, dependent ones far outside; mean and spread are those of the
 * draws; one thread and two give the same bytes; another seed other draws. */
static void nulls(void **state) {
    enum { N = 600 };
    int32_t a[N], b[N], c[N], near[2 * N];
    struct stats_null x, y, z;
    struct err e = {0};
    (void)state;
    for (size_t i = 0; i < N; i++) {
        a[i] = (int32_t)rng_below(1, 1, i, 3), b[i] = (int32_t)rng_below(1, 2, i, 2);
        c[i] = rng_uniform(1, 3, i) < 0.8 ? a[i] % 2 : b[i];
        near[2 * i] = (int32_t)((i + 3) % N), near[2 * i + 1] = (int32_t)((i + 600 - 3) % N);
    }
    omp_set_num_threads(1);
    assert_int_equal(stats_ami_null(a, 3, b, 2, N, 300, 5, 1, &x, &e), 0);
    omp_set_num_threads(2);
    assert_int_equal(stats_ami_null(a, 3, b, 2, N, 300, 5, 1, &y, &e), 0);
    assert_memory_equal(&x, &y, sizeof x);
    omp_set_num_threads(omp_get_num_procs());
    assert_true(fabs(x.z) < 5 && x.n_permutations == 300);
    assert_true(fabs(x.null_mean) <= 5 * x.null_std / sqrt(300)); /* E[AMI] = 0 exactly */
    assert_int_equal(stats_ami_null(a, 3, b, 2, N, 300, 6, 1, &z, &e), 0);
    assert_true(z.null_mean != x.null_mean && z.value == x.value);
    assert_int_equal(stats_ami_null(a, 3, c, 2, N, 300, 5, 1, &x, &e), 0);
    assert_true(x.z > 20 && x.value > 0.2);
    assert_near(x.z, (x.value - x.null_mean) / x.null_std, 1e-12);
    assert_int_equal(stats_ari_null(a, 3, c, 2, N, 300, 5, 1, &x, &e), 0);
    assert_true(x.z > 20);
    /* neighbours 3 apart, labels with period 3: all equal; chance is 1/3 less the object itself: (200-1)/599 */
    for (size_t i = 0; i < N; i++) a[i] = (int32_t)(i % 3);
    for (size_t k = 1; k <= 2; k++) {
        assert_int_equal(stats_neighbour_null(a, N, near, 2, k, 400, 5, 1, &x, &e), 0);
        assert_near(x.value, 1, 0);
        assert_true(fabs(x.null_mean - 199.0 / 599) <= 5 * x.null_std / sqrt(400));
    }
    const double draws[4] = {1, 2, 3, 4};
    stats_against(5, draws, 4, &x);
    assert_near(x.null_mean, 2.5, 1e-15);
    assert_near(x.null_std, sqrt(1.25), 1e-15);
    stats_against(1, draws, 1, &x);
    assert_true(isnan(x.z)); /* no spread, no z */
}

/* Features 0-2 are lobe 0, 3-4 lobe 1, 5 is left out.
 *   chunk 0: 0 1 2     shares 1, 0     lobe 0
 *   chunk 1: 0 3 4 5   shares 1/3, 1   lobe 1
 *   chunk 2: 5         nothing counts  -1
 *   chunk 3: 0 1 2 3 4 1 = 1: a tie    lobe 0
 *   chunk 4: 0 1 3     2/3 > 1/2       lobe 0 */
static void by_hand(struct firing *m, int32_t *label) {
    const uint8_t fires[5][6] = {
        {1, 1, 1, 0, 0, 0}, {1, 0, 0, 1, 1, 1}, {0, 0, 0, 0, 0, 1}, {1, 1, 1, 1, 1, 0}, {1, 1, 0, 1, 0, 0}};
    const int32_t group[5] = {0, 1, 1, 1, 0}, lobe[6] = {0, 0, 0, 1, 1, -1};
    struct err e;
    assert_int_equal(firing_init(m, 6, 5, 2, &e), 0);
    for (size_t c = 0; c < 5; c++)
        for (size_t f = 0; f < 6; f++)
            if (fires[c][f]) firing_set(m, f, c);
    firing_count(m);
    memcpy(m->group, group, sizeof group);
    memcpy(label, lobe, sizeof lobe);
}

static void winners(void **state) {
    struct firing m;
    struct err e = {0};
    int32_t label[6], winner[5], lobe_group[3], preferred[6];
    const int32_t want[5] = {0, 1, -1, 0, 0};
    uint32_t h[6];
    const uint32_t chunks[2] = {2, 3};
    size_t ties;
    (void)state;
    by_hand(&m, label);
    assert_int_equal(lobe_winners(&m, label, 3, winner, h, &ties, &e), 0); /* a third lobe without features */
    assert_memory_equal(winner, want, sizeof want);
    assert_int_equal(ties, 1);
    const uint32_t histogram[6] = {2, 1, 0, 1, 0, 0};
    assert_memory_equal(h, histogram, sizeof histogram);
    assert_int_equal(lobe_groups(h, 3, 2, chunks, lobe_group), 0);
    assert_true(lobe_group[0] == 0 && lobe_group[1] == 1 && lobe_group[2] == -1);
    double own[2];
    assert_int_equal(lobe_own(h, lobe_group, 3, 2, own),
                     0); /* of group 1 the first lobe wins one chunk, its own the other */
    assert_true(own[0] == 1 && own[1] == 0.5);
    const int32_t both_first[3] = {0, 0, -1};
    assert_int_equal(lobe_own(h, both_first, 3, 2, own), 1);
    assert_true(own[0] == 1 && own[1] == 0);
    assert_int_equal(lobe_own(h + 4, lobe_group + 2, 1, 2, own), 2); /* a lobe that wins nothing */
    assert_true(isnan(own[0]) && isnan(own[1]));
    /* shares, not counts: 3 of 10 chunks is less than 2 of 4; equal shares go to the lower group */
    const uint32_t other[4] = {3, 2, 5, 2}, sizes[2] = {10, 4};
    assert_int_equal(lobe_groups(other, 2, 2, sizes, lobe_group), 1);
    assert_true(lobe_group[0] == 1 && lobe_group[1] == 0);
    /* feature 0: 2/2 of group 0, 2/3 of group 1; feature 3: 1/2 < 2/3; feature 5: 0 < 2/3 */
    assert_int_equal(lobe_preferred(&m, label, preferred, &ties, &e), 0);
    assert_int_equal(ties, 0);
    assert_true(preferred[0] == 0 && preferred[3] == 1 && preferred[5] == 1);
    label[2] = 3;
    assert_int_equal(lobe_winners(&m, label, 3, winner, h, &ties, &e), ERR_RANGE);
    assert_non_null(strstr(e.text, "feature 2"));
    firing_free(&m);
}

/* Two languages, features and directions planted to agree or not: the statistics tell which. */
static void statistics(void **state) {
    enum { F = 300, C = 60, D = 12 };
    static float w[F * D], noise[F * D];
    int32_t label[F], winner[C], preferred[F];
    uint32_t h[4];
    struct firing m;
    struct lobes_stats with, without, again;
    struct err e = {0};
    size_t ties;
    (void)state;
    assert_int_equal(firing_init(&m, F, C, 2, &e), 0);
    for (size_t c = 0; c < C; c++) m.group[c] = (int32_t)(c % 2);
    for (size_t f = 0; f < F; f++) {
        label[f] = f < 10 ? -1 : (int32_t)(f % 2);
        for (size_t c = 0; c < C; c++)
            if (rng_uniform(1, f, c) < (c % 2 == f % 2 ? 0.6 : 0.2)) firing_set(&m, f, c);
        for (size_t d = 0; d < D; d++) {
            noise[f * D + d] = (float)rng_normal(2, f, d);
            w[f * D + d] = noise[f * D + d] + (d == 0 ? (f % 2 ? 3.0f : -3.0f) : 0.0f);
        }
    }
    firing_count(&m);
    assert_int_equal(lobe_winners(&m, label, 2, winner, h, &ties, &e), 0);
    assert_int_equal(lobe_preferred(&m, label, preferred, &ties, &e), 0);
    struct lobes_input in = {&m, label, winner, preferred, 2, w, D, 200, 9, true, 20};
    assert_int_equal(lobe_statistics(&in, &with, &e), 0);
    in.W_dec = noise;
    omp_set_num_threads(1);
    assert_int_equal(lobe_statistics(&in, &without, &e), 0);
    omp_set_num_threads(2);
    assert_int_equal(lobe_statistics(&in, &again, &e), 0);
    omp_set_num_threads(omp_get_num_procs());
    assert_memory_equal(&without, &again, sizeof again);
    assert_true(with.chunk_purity.value == 1 && with.chunk_purity.z > 5);
    assert_true(with.chunk_purity.null_mean > 0.5); /* lobes named anew in each draw: never below one half */
    assert_true(with.ami_preferred.value > 0.8 && with.ami_preferred.z > 50 && with.ari_preferred.z > 50);
    assert_true(with.purity1.value > 0.95 && with.purity1.z > 8 && with.purity10.value > 0.95 && with.neighbours == 10);
    assert_true(with.language1.z > 8 && with.angular && with.ami_angular.value > 0.9 && with.ami_angular.z > 50);
    assert_true(fabs(without.purity1.z) < 5 && fabs(without.purity10.z) < 5 && fabs(without.ami_angular.z) < 6);
    assert_true(with.directed && with.direction.value > 0.95 && with.direction.z > 5 &&
                with.direction.n_permutations == 20);
    assert_true(without.directed && fabs(without.direction.z) < 4 && fabs(without.direction.null_mean - 0.5) < 0.05);
    assert_true(without.ami_preferred.value == with.ami_preferred.value);
    for (size_t f = 0; f < 10 + (F - 10) * 8 / 10; f++)
        label[f] = f < 10 ? -1 : 0; /* one lobe in the part to fit: no regression */
    assert_int_equal(lobe_statistics(&in, &again, &e), 0);
    assert_false(again.directed);
    for (size_t f = 0; f < F; f++) label[f] = f == 12 ? 0 : f == 13 ? 1 : -1; /* opposite: no affinity at all */
    for (size_t d = 0; d < 2 * D; d++) noise[12 * D + d] = d == 0 ? 1 : d == D ? -1 : 0;
    assert_int_equal(lobe_statistics(&in, &again, &e), 0);
    assert_true(!again.angular && isnan(again.ami_angular.value) && again.chunk_purity.value == 1);
    assert_int_equal(again.angular_failed.code, ERR_NUMERIC);
    assert_non_null(strstr(again.angular_failed.text, "share any affinity"));
    label[20] = 0;
    noise[20 * D + 3] = NAN;
    assert_int_equal(lobe_statistics(&in, &again, &e), ERR_NUMERIC);
    assert_non_null(strstr(e.text, "row 20"));
    for (size_t f = 0; f < F; f++) label[f] = f == 12 ? 0 : -1;
    assert_int_equal(lobe_statistics(&in, &again, &e), ERR_RANGE);
    firing_free(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sklearn_pairs), cmocka_unit_test(averages_vanish), cmocka_unit_test(ami_edges),
        cmocka_unit_test(nulls),         cmocka_unit_test(winners),         cmocka_unit_test(statistics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
