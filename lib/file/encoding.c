/* encoding.c - see encoding.h. GB 18030-2005: two bytes 81-FE, 40-7E or 80-FE; four bytes 81-FE, 30-39, twice. */
#include "lib/file/encoding.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/file/stream.h"

enum { LOOK_BYTES = 1 << 20 };

const char *encoding_mark(const char *text, size_t n_bytes, size_t *mark_bytes) {
    static const struct {
        const char *name;
        size_t n;
        char byte[4];
    } mark[] = {{"UTF-8", 3, "\xEF\xBB\xBF"},
                {"UTF-32", 4, {'\xFF', '\xFE', 0, 0}}, /* before UTF-16, of which it is a beginning */
                {"UTF-32", 4, {0, 0, '\xFE', '\xFF'}},
                {"UTF-16", 2, "\xFF\xFE"},
                {"UTF-16", 2, "\xFE\xFF"}};
    for (size_t i = 0; i < sizeof mark / sizeof *mark; i++)
        if (n_bytes >= mark[i].n && !memcmp(text, mark[i].byte, mark[i].n)) {
            *mark_bytes = mark[i].n;
            return mark[i].name;
        }
    *mark_bytes = 0;
    return NULL;
}

/* UTF-16 when that share of its units or more has a zero half, always the same one (but for 1 in 32). */
static const char *wide(const char *text, size_t n, double share) {
    size_t zeros[2] = {0};
    for (size_t i = 0; i < n; i++) zeros[i & 1] += !text[i];
    size_t low = zeros[0], high = zeros[1], most = high > low ? high : low;
    if (n < 16 || most < 3 || (double)most < share * (double)(n / 2) || 32 * (low + high - most) > most) return NULL;
    return high > low ? "UTF-16LE" : "UTF-16BE";
}

const char *encoding_wide(const char *text, size_t n_bytes) {
    return wide(text, n_bytes < LOOK_BYTES ? n_bytes : LOOK_BYTES, 0.9);
}

static bool is_gb18030(const unsigned char *s, size_t n) {
    size_t pairs = 0, hanzi = 0;
    for (size_t i = 0; i < n;) {
        size_t len = s[i] < 0x80 ? 1 : i + 1 < n && s[i + 1] >= '0' && s[i + 1] <= '9' ? 4 : 2;
        if (s[i] == 0x80 || s[i] == 0xFF) return false;
        if (i + len > n) break; /* cut by the end of what is looked at */
        if (len == 4 && (s[i + 2] < 0x81 || s[i + 2] == 0xFF || s[i + 3] < '0' || s[i + 3] > '9')) return false;
        if (len == 2 && (s[i + 1] < 0x40 || s[i + 1] == 0x7F || s[i + 1] == 0xFF)) return false;
        pairs += len == 2;
        hanzi += len == 2 && s[i] >= 0xB0 && s[i] <= 0xF7 && s[i + 1] >= 0xA1;
        i += len;
    }
    return 2 * hanzi > pairs;
}

static bool is_latin1(const unsigned char *s, size_t n) {
    size_t letters = 0, high = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] >= 0x80 && s[i] < 0xA0) return false; /* controls, which no text has */
        letters += (s[i] | 32) >= 'a' && (s[i] | 32) <= 'z';
        high += s[i] >= 0xA0;
    }
    return high && high * 2 < letters;
}

const char *encoding_guess(const char *text, size_t n_bytes) {
    const unsigned char *s = (const unsigned char *)text;
    size_t n = n_bytes < LOOK_BYTES ? n_bytes : LOOK_BYTES;
    const char *name = wide(text, n, 0.02);
    if (name) return name;
    if (n && memchr(text, 0, n)) return NULL; /* neither of the others has zeros */
    return is_gb18030(s, n) ? "GB18030" : is_latin1(s, n) ? "ISO-8859-1" : NULL;
}

int encoding_hint(struct err *e, const char *path, const char *encoding, int sure) {
    size_t n = strlen(path), stem = stream_stem(path);
    const char *unpack = stem == n ? "" : !strcmp(path + stem, ".gz") ? "gzip -dc " : "zstd -dc ";
    const char *end = stem >= 6 && !strncmp(path + stem - 6, ".jsonl", 6) ? "jsonl" : "txt";
    const char *from = encoding ? encoding : "ENCODING";
    char doubt[32] = "";
    if (encoding && !sure) snprintf(doubt, sizeof doubt, "if it is %.16s: ", encoding);
    if (stem == n) return err_hint(e, "%siconv -f %s -t UTF-8 %.300s >b.%s", doubt, from, path, end);
    return err_hint(e, "%s%s%.300s | iconv -f %s -t UTF-8 >b.%s", doubt, unpack, path, from, end);
}
