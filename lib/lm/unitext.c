/* unitext.c - see unitext.h. */
#include "lib/lm/unitext.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "lib/base/arena.h"

struct range {
    uint32_t lo, hi;
};

/* Blocks whose code points neither combine, decompose nor reorder: proved code point by code point in the test. */
static const struct range inert[] = {
    {0x0000, 0x02FF}, {0x0400, 0x0482}, {0x048A, 0x052F}, {0x0621, 0x064A},   {0x2002, 0x205F},   {0x2190, 0x2328},
    {0x2500, 0x2ADB}, {0x3000, 0x3029}, {0x3030, 0x3098}, {0x309B, 0x312F},   {0x3200, 0x9FFF},   {0xAC00, 0xD7A3},
    {0xE000, 0xF8FF}, {0xFE00, 0xFE0F}, {0xFF00, 0xFFFD}, {0x1F000, 0x1FAFF}, {0x20000, 0x2A6DF}, {0x30000, 0x3134A},
};

/* Code points that stay as they are and let nothing across. Marks (combining class > 0) and one composing vowel
 * (U+11930) encoded after Unicode 9: the reference, tokenizers 0.23.3, gives them class 0 and no composition; found by
 * comparing every code point with it. And U+11A7, one below the trailing jamo, which utf8proc 2.8 wrongly swallows
 * after a Hangul syllable. */
static const struct range apart[] = {
    {0x7FD, 0x7FD},     {0x898, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},     {0xC3C, 0xC3C},
    {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0x11A7, 0x11A7},   {0x1715, 0x1715},   {0x1ABF, 0x1ACE},
    {0x1DF6, 0x1DFA},   {0xA82C, 0xA82C},   {0x10D24, 0x10D27}, {0x10EAB, 0x10EAC}, {0x10EFD, 0x10EFF},
    {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E},
    {0x11839, 0x1183A}, {0x11930, 0x11930}, {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0},
    {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D42}, {0x11D44, 0x11D45},
    {0x11D97, 0x11D97}, {0x11F41, 0x11F42}, {0x16FF0, 0x16FF1}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136},
    {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF},
};

static bool within(uint32_t cp, const struct range *r, size_t n) {
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (cp > r[mid].hi)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && cp >= r[lo].lo;
}

bool unitext_inert(uint32_t cp) { return cp < 0x300 || within(cp, inert, sizeof inert / sizeof *inert); }

static bool is_apart(uint32_t cp) { return within(cp, apart, sizeof apart / sizeof *apart); }

int unitext_reserve(struct unitext_buf *b, size_t more, struct err *e) {
    if (more <= b->room - b->n) return 0;
    size_t want = b->room < 1 << 12 ? 1 << 12 : b->room;
    if (more > SIZE_MAX / 4 - b->n) return err_set(e, ERR_MEMORY, "text: %zu more bytes overflow", more);
    while (want < b->n + more) want *= 2;
    char *p = mem_array(want, 1, "text", e);
    if (!p) return ERR_MEMORY;
    if (b->n) memcpy(p, b->byte, b->n);
    free(b->byte);
    b->byte = p;
    b->room = want;
    return 0;
}

int unitext_append(struct unitext_buf *b, const char *text, size_t n_bytes, struct err *e) {
    int rc = unitext_reserve(b, n_bytes, e);
    if (rc) return rc;
    if (n_bytes) memcpy(b->byte + b->n, text, n_bytes);
    b->n += n_bytes;
    return 0;
}

void unitext_free(struct unitext_buf *b) {
    free(b->byte);
    *b = (struct unitext_buf){0};
}

int unitext_decode(const char *p, size_t n, uint32_t *cp) {
    const unsigned char *s = (const unsigned char *)p;
    uint32_t c = s[0];
    int len = c < 0x80 ? 1 : c >= 0xC2 && c <= 0xDF ? 2 : (c & 0xF0) == 0xE0 ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 0;
    if (!len) return -1;
    /* The second byte has a narrower range after E0 (overlong), ED (surrogates), F0 (overlong) and F4 (beyond 10FFFF).
     */
    unsigned lo = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80, hi = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    if (len > 1) c &= 0xFFu >> (len + 1);
    for (int k = 1; k < len; k++) {
        if ((size_t)k >= n || s[k] < lo || s[k] > hi) return -k;
        c = c << 6 | (s[k] & 0x3F);
        lo = 0x80;
        hi = 0xBF;
    }
    if (cp) *cp = c;
    return len;
}

/* Bytes from `at` on that are ASCII. */
static size_t ascii_run(const char *text, size_t n, size_t at) {
    size_t i = at;
    for (uint64_t w; i + 8 <= n; i += 8) {
        memcpy(&w, text + i, 8);
        if (w & UINT64_C(0x8080808080808080)) break;
    }
    while (i < n && !((unsigned char)text[i] & 0x80)) i++;
    return i - at;
}

int unitext_repair(const char *text, size_t n_bytes, struct unitext_buf *scratch, const char **out, size_t *n_out,
                   struct err *e) {
    size_t done = 0; /* bytes of text already copied */
    int rc = 0;
    scratch->n = 0;
    for (size_t i = 0; i < n_bytes;) {
        i += ascii_run(text, n_bytes, i);
        if (i == n_bytes) break;
        int len = unitext_decode(text + i, n_bytes - i, NULL);
        if (len < 0) {
            rc = unitext_append(scratch, text + done, i - done, e);
            if (!rc) rc = unitext_append(scratch, "\xEF\xBF\xBD", 3, e);
            if (rc) return rc;
            len = -len;
            done = i + (size_t)len;
        }
        i += (size_t)len;
    }
    *out = text;
    *n_out = n_bytes;
    if (!done) return 0;
    rc = unitext_append(scratch, text + done, n_bytes - done, e);
    *out = scratch->byte;
    *n_out = scratch->n;
    return rc;
}

size_t unitext_ill_formed(const char *text, size_t n_bytes) {
    size_t bad = 0;
    for (size_t i = 0; (i += ascii_run(text, n_bytes, i)) < n_bytes;) {
        int len = unitext_decode(text + i, n_bytes - i, NULL);
        if (len < 0) bad += (size_t)-len;
        i += (size_t)(len < 0 ? -len : len);
    }
    return bad;
}

static utf8proc_propval_t class_of(int32_t cp) { return utf8proc_get_property(cp)->combining_class; }

/* Canonical ordering (Annex 15, D108-D109): each run of marks stably by combining class. utf8proc would do it too, but
 * in quadratic time.   cp [n] in place;   spare [n] overwritten */
static void order_marks(int32_t *cp, size_t n, int32_t *spare) {
    for (size_t i = 0, j; i < n; i = j + 1) {
        size_t place[256] = {0};
        bool ordered = true;
        for (j = i; j < n && class_of(cp[j]); j++) {
            ordered = ordered && (j == i || class_of(cp[j - 1]) <= class_of(cp[j]));
            place[(class_of(cp[j]) + 1) & 255]++; /* no class is 255 */
        }
        if (ordered) continue;
        for (int c = 1; c < 256; c++) place[c] += place[c - 1];
        for (size_t k = i; k < j; k++) spare[place[class_of(cp[k])]++] = cp[k];
        memcpy(cp + i, spare, (j - i) * sizeof *cp);
    }
}

static int append_nfc(struct unitext_buf *b, const char *text, size_t n, struct err *e) {
    enum { LONGEST = 4 }; /* code points of one canonical decomposition */
    size_t n_cp = 0, room = 0;
    for (size_t i = 0; i < n; i++) room += ((unsigned char)text[i] & 0xC0) == 0x80 ? 0 : LONGEST;
    int32_t *cp = room ? mem_array(2 * room, sizeof *cp, "text: NFC", e) : NULL;
    if (!cp) return room ? ERR_MEMORY : 0;
    for (size_t i = 0; i < n;) {
        uint32_t one = 0;
        int boundary = 0;
        i += (size_t)unitext_decode(text + i, n - i, &one);
        utf8proc_ssize_t m = utf8proc_decompose_char((int32_t)one, cp + n_cp, (utf8proc_ssize_t)(room - n_cp),
                                                     UTF8PROC_STABLE | UTF8PROC_COMPOSE, &boundary);
        CHECK(m >= 0 && (size_t)m <= room - n_cp);
        n_cp += (size_t)m;
    }
    order_marks(cp, n_cp, cp + room);
    utf8proc_ssize_t m = utf8proc_normalize_utf32(cp, (utf8proc_ssize_t)n_cp, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    CHECK(m >= 0);
    int rc = unitext_reserve(b, 4 * (size_t)m, e);
    for (utf8proc_ssize_t i = 0; !rc && i < m; i++)
        b->n += (size_t)utf8proc_encode_char(cp[i], (utf8proc_uint8_t *)b->byte + b->n);
    free(cp);
    return rc;
}

int unitext_nfc(const char *text, size_t n_bytes, struct unitext_buf *scratch, const char **out, size_t *n_out,
                struct err *e) {
    size_t done = 0, start = 0; /* text[start,i) holds the last inert code point and what may join it */
    bool run = false;           /* something that is not inert lies in it */
    int rc = 0;
    scratch->n = 0;
    for (size_t i = 0; !rc && i <= n_bytes;) {
        size_t skip = ascii_run(text, n_bytes, i);
        if (!run && skip > 1) start = i += skip - 1;
        uint32_t cp = 0;
        int len = i == n_bytes ? 1 : unitext_decode(text + i, n_bytes - i, &cp);
        CHECK(len > 0);
        bool alone = cp >= 0x300 && is_apart(cp);
        if (i == n_bytes || alone || unitext_inert(cp)) {
            if (run) {
                rc = unitext_append(scratch, text + done, start - done, e);
                if (!rc) rc = append_nfc(scratch, text + start, i - start, e);
                done = i;
            }
            run = false;
            start = alone ? i + (size_t)len : i;
        } else {
            run = true;
        }
        i += (size_t)len;
    }
    if (rc) return rc;
    *out = text;
    *n_out = n_bytes;
    if (!done) return 0;
    rc = unitext_append(scratch, text + done, n_bytes - done, e);
    *out = scratch->byte;
    *n_out = scratch->n;
    return rc;
}
