/* ticks.c - see ticks.h. */
#include "lib/chart/ticks.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/err.h"

static const char *const superscript[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};

static void power_text(int exponent, char out[TICKS_TEXT]) {
    char digits[12];
    snprintf(digits, sizeof digits, "%d", exponent);
    int at = snprintf(out, TICKS_TEXT, "10");
    for (const char *d = digits; *d; d++)
        at += snprintf(out + at, (size_t)(TICKS_TEXT - at), "%s", *d == '-' ? "⁻" : superscript[*d - '0']);
}

/* The minus sign of print (U+2212) for the hyphen of printf. */
static void number_text(double v, int decimals, char out[TICKS_TEXT]) {
    char s[TICKS_TEXT];
    snprintf(s, sizeof s, "%.*f", decimals, fabs(v));
    bool zero = strspn(s, "0.") == strlen(s);
    snprintf(out, TICKS_TEXT, "%s%.20s", v < 0 && !zero ? "−" : "", s);
}

static void add(struct ticks *t, double at) {
    if (t->n == TICKS_MAX) return;
    t->at[t->n] = at;
    t->text[t->n][0] = 0;
    t->n++;
}

/* Text of a linear tick: plain while it stays short, else with one power of ten for all ("2.5×10⁶"). */
static void linear_text(double v, double step, double reach, char out[TICKS_TEXT]) {
    int magnitude = (int)floor(log10(reach) + 1e-9), finest = (int)floor(log10(step) + 1e-9);
    double lead = step / pow(10, finest);
    int digits = fabs(lead - 2.5) < 1e-6 ? 1 : 0; /* 2.5 needs one more than 1, 2, 5 */
    if (magnitude < 6 && finest > -5) {
        int decimals = digits - finest;
        number_text(v, decimals > 0 ? decimals : 0, out);
        return;
    }
    char mantissa[TICKS_TEXT], power[TICKS_TEXT];
    int decimals = digits + magnitude - finest;
    number_text(v / pow(10, magnitude), decimals > 0 ? decimals : 0, mantissa);
    power_text(magnitude, power);
    if (fabs(v) < step * 1e-6)
        snprintf(out, TICKS_TEXT, "0");
    else if ((size_t)snprintf(out, TICKS_TEXT, "%.9s×%.12s", mantissa, power) >= TICKS_TEXT)
        out[TICKS_TEXT - 1] = 0;
}

static double step_nearest(double span, int want) {
    static const double lead[] = {1, 2, 2.5, 5};
    double base = pow(10, floor(log10(span / want)) - 1), best = 0, best_off = INFINITY;
    for (int decade = 0; decade < 4; decade++)
        for (int i = 0; i < 4; i++) {
            double step = lead[i] * base * pow(10, decade), off = fabs(log(span / step / want));
            if (off <= best_off) best = step, best_off = off;
        }
    return best;
}

void ticks_linear(double lo, double hi, int want, struct ticks *t) {
    CHECK(isfinite(lo) && isfinite(hi) && lo < hi && want >= 2);
    double step = step_nearest(hi - lo, want), slack = 1e-9 * (hi - lo);
    double first = ceil((lo - slack) / step), last = floor((hi + slack) / step);
    double reach = fmax(fabs(first * step), fabs(last * step));
    t->n = 0;
    for (double k = first; k <= last && t->n < TICKS_MAX; k++) {
        add(t, k == 0 ? 0.0 : fmin(fmax(k * step, lo), hi));
        linear_text(k * step, step, reach > 0 ? reach : step, t->text[t->n - 1]);
    }
}

static void decade_ticks(double lo, double hi, int want, struct ticks *t) {
    int first = (int)floor(log10(lo) + 1e-9), last = (int)floor(log10(hi) + 1e-9);
    int every = (last - first + want) / want;
    bool plain = first >= -2 && last <= 4;
    for (int d = first; d <= last; d++)
        for (int m = 1; m < 10; m++) {
            double at = m * pow(10, d);
            if (at < lo * (1 - 1e-9) || at > hi * (1 + 1e-9) || (m > 1 && every > 1)) continue;
            add(t, fmin(fmax(at, lo), hi));
            char *text = t->text[t->n - 1];
            if (m == 1 && d % every == 0) {
                if (plain)
                    number_text(at, d < 0 ? -d : 0, text);
                else
                    power_text(d, text);
            }
        }
}

/* Half a decade to three: more of the multiples get a number the shorter the range is. */
static void short_log_ticks(double lo, double hi, struct ticks *t) {
    static const char *const labelled[] = {"123456789", "1235", "125"};
    const char *which = labelled[(int)fmin(2, log10(hi / lo))];
    int first = (int)floor(log10(lo) + 1e-9), last = (int)floor(log10(hi) + 1e-9);
    bool plain = first >= -4 && last <= 5;
    for (int d = first; d <= last; d++)
        for (int m = 1; m < 10; m++) {
            double at = m * pow(10, d);
            if (at < lo * (1 - 1e-9) || at > hi * (1 + 1e-9)) continue;
            add(t, fmin(fmax(at, lo), hi));
            char *text = t->text[t->n - 1], power[TICKS_TEXT];
            if (!strchr(which, '0' + m)) continue;
            if (plain) {
                number_text(at, d < 0 ? -d : 0, text);
                continue;
            }
            power_text(d, power);
            if (m == 1)
                snprintf(text, TICKS_TEXT, "%s", power);
            else
                snprintf(text, TICKS_TEXT, "%d×%.18s", m, power);
        }
}

void ticks_log(double lo, double hi, int want, struct ticks *t) {
    CHECK(isfinite(lo) && isfinite(hi) && lo > 0 && lo < hi && want >= 2);
    double decades = log10(hi / lo);
    t->n = 0;
    if (decades < 0.5)
        ticks_linear(lo, hi, want, t);
    else if (decades < 3)
        short_log_ticks(lo, hi, t);
    else
        decade_ticks(lo, hi, want, t);
}

void ticks_range(double *lo, double *hi, bool log, double pad) {
    if (log) {
        if (!(*lo > 0) || !(*hi >= *lo) || !isfinite(*hi)) *lo = 1, *hi = 10;
        if (*hi < *lo * (1 + 1e-9)) *lo /= 3.1622776601683795, *hi *= 3.1622776601683795;
        double wide = pow(*hi / *lo, pad);
        *lo /= wide, *hi *= wide;
        return;
    }
    if (!(*hi >= *lo) || !isfinite(*lo) || !isfinite(*hi)) *lo = 0, *hi = 1;
    double least = 1e-9 * fmax(fabs(*lo), fabs(*hi));
    if (*hi - *lo <= least) *lo -= 0.5 + least, *hi += 0.5 + least;
    double wide = pad * (*hi - *lo);
    *lo -= wide, *hi += wide;
}
