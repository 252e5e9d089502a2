/* pretoken.c - see pretoken.h. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "lib/lm/pretoken.h"

#include <pcre2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/arena.h"
#include "lib/lm/unitext.h"

const char pretoken_gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* Members of classes, as they stand between brackets. White_Space of Unicode, as Oniguruma's \s. */
static const char blanks[] =
    "\\x{9}-\\x{D}\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}"
    "\\x{3000}";
static const char letters[] =
    "\\p{L}\\x{1C89}-\\x{1C8A}\\x{A7CB}-\\x{A7CD}\\x{A7DA}-\\x{A7DC}\\x{105C0}-\\x{105F3}\\x{10D4A}-\\x{10D65}\\x{"
    "10D6F}-\\x{10D85}"
    "\\x{10EC2}-\\x{10EC4}\\x{1123F}-\\x{11240}\\x{11380}-\\x{11389}\\x{1138B}\\x{1138E}\\x{11390}-\\x{113B5}\\x{113B7}"
    "\\x{113D1}"
    "\\x{113D3}\\x{11BC0}-\\x{11BE0}\\x{11F02}\\x{11F04}-\\x{11F10}\\x{11F12}-\\x{11F33}\\x{1342F}\\x{13441}-\\x{13446}"
    "\\x{13460}-\\x{143FA}\\x{16100}-\\x{1611D}\\x{16D40}-\\x{16D6C}\\x{18CFF}\\x{1B132}\\x{1B155}\\x{1DF25}-\\x{1DF2A}"
    "\\x{1E030}-\\x{1E06D}\\x{1E4D0}-\\x{1E4EB}\\x{1E5D0}-\\x{1E5ED}\\x{1E5F0}\\x{2B739}\\x{2EBF0}-\\x{2EE5D}\\x{31350}"
    "-\\x{323AF}";
static const char numbers[] =
    "\\p{N}\\x{10D40}-\\x{10D49}\\x{116D0}-\\x{116E3}\\x{11BF0}-\\x{11BF9}\\x{11F50}-\\x{11F59}\\x{16130}-\\x{16139}"
    "\\x{16D70}-\\x{16D79}\\x{1CCF0}-\\x{1CCF9}\\x{1D2C0}-\\x{1D2D3}\\x{1E4F0}-\\x{1E4F9}\\x{1E5F1}-\\x{1E5FA}";

struct pretoken {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

/* One pattern in translation. */
struct source {
    const char *pattern, *where;
    size_t at;
    struct unitext_buf out;
};

static int put(struct source *s, const char *text, struct err *e) {
    return unitext_append(&s->out, text, strlen(text), e);
}

static int refuse(const struct source *s, size_t n, struct err *e) {
    err_set(e, ERR_UNSUPPORTED, "%s: split pattern: '%.*s' at byte %zu is not supported", s->where, (int)n,
            s->pattern + s->at, s->at);
    return err_hint(
        e, "patterns of the Qwen2, Llama-3 and GPT-2 families are; lib/lm/pretoken.h lists what they may hold");
}

/* The characters a-z, 0-9 are safe to name after a backslash only where both engines agree. */
static bool is_punctuation(char c) { return c > ' ' && c < 127 && strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", c); }

/* An escape, outside a class or within one. */
static int put_escape(struct source *s, bool in_class, struct err *e) {
    static const struct {
        const char *text, *members;
        bool negated;
    } set[] = {{"\\s", blanks, false},     {"\\S", blanks, true},     {"\\p{L}", letters, false},
               {"\\p{N}", numbers, false}, {"\\P{L}", letters, true}, {"\\P{N}", numbers, true}};
    const char *p = s->pattern + s->at;
    int rc;
    for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
        size_t n = strlen(set[i].text);
        if (strncmp(p, set[i].text, n)) continue;
        if (in_class && set[i].negated) return refuse(s, n, e);
        s->at += n;
        if (in_class && p[n] == '-' && p[n + 1] != ']') return s->at -= n, refuse(s, n + 2, e);
        if (in_class) return put(s, set[i].members, e);
        rc = put(s, set[i].negated ? "[^" : "[", e);
        if (!rc) rc = put(s, set[i].members, e);
        return rc ? rc : put(s, "]", e);
    }
    if (!p[1] || !(strchr("rnt", p[1]) || is_punctuation(p[1]))) return refuse(s, p[1] ? 2 : 1, e);
    s->at += 2;
    return unitext_append(&s->out, p, 2, e);
}

/* A class [...]. The members keep their order; a set cannot begin or end a range. */
static int put_class(struct source *s, struct err *e) {
    const char *p = s->pattern;
    size_t first = s->at;
    int rc = put(s, "[", e);
    s->at++;
    if (!rc && p[s->at] == '^') rc = put(s, "^", e), s->at++;
    if (p[s->at] == ']') return refuse(s, 1, e);
    while (!rc && p[s->at] != ']') {
        const char *c = p + s->at;
        if (!*c) {
            s->at = first;
            return refuse(s, 1, e);
        }
        if (*c == '[' || (*c == '&' && c[1] == '&')) return refuse(s, 2, e);
        if (*c == '\\')
            rc = put_escape(s, true, e);
        else
            rc = unitext_append(&s->out, c, 1, e), s->at++;
    }
    s->at++;
    return rc ? rc : put(s, "]", e);
}

static int put_group(struct source *s, struct err *e) {
    static const char *const opening[] = {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"};
    const char *p = s->pattern + s->at;
    if (p[1] != '?') return s->at++, put(s, "(?:", e);
    for (size_t i = 0; i < sizeof opening / sizeof *opening; i++)
        if (!strncmp(p, opening[i], strlen(opening[i]))) return s->at += strlen(opening[i]), put(s, opening[i], e);
    return refuse(s, strnlen(p, 4), e);
}

/* {n}, {n,} or {n,m}; a '+' behind it is possessive in PCRE2 and a second repetition in Oniguruma, so it is refused. */
static int put_count(struct source *s, struct err *e) {
    const char *p = s->pattern + s->at;
    size_t n = 1 + strspn(p + 1, "0123456789");
    bool ok = n > 1 && n < 5;
    if (p[n] == ',') n += 1 + strspn(p + n + 1, "0123456789");
    if (!ok || n > 9 || p[n] != '}' || p[n + 1] == '+' || p[n + 1] == '?') return refuse(s, strnlen(p, n + 2), e);
    s->at += n + 1;
    return unitext_append(&s->out, p, n + 1, e);
}

static int translate(struct source *s, struct err *e) {
    int rc = 0;
    while (!rc && s->pattern[s->at]) {
        const char *p = s->pattern + s->at;
        switch (*p) {
        case '\\':
            rc = put_escape(s, false, e);
            break;
        case '[':
            rc = put_class(s, e);
            break;
        case '(':
            rc = put_group(s, e);
            break;
        case '{':
            rc = put_count(s, e);
            break;
        case '.':
        case '^':
        case '$':
        case '}':
        case ']':
            rc = refuse(s, 1, e);
            break;
        default:
            rc = unitext_append(&s->out, p, 1, e);
            s->at++;
        }
    }
    return rc ? rc : unitext_append(&s->out, "", 1, e);
}

static int compile(struct pretoken *p, const struct source *s, struct err *e) {
    int code;
    PCRE2_SIZE at;
    uint32_t empty = 0;
    p->code = pcre2_compile((PCRE2_SPTR)s->out.byte, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &code, &at, NULL);
    if (!p->code) {
        char text[128];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
        err_set(e, ERR_FORMAT, "%s: split pattern: %s: %s", s->where, s->pattern, text);
        return err_hint(e, "the pattern is no regular expression that can be read; is the file whole?");
    }
    pcre2_pattern_info(p->code, PCRE2_INFO_MATCHEMPTY, &empty);
    if (empty) return err_set(e, ERR_UNSUPPORTED, "%s: split pattern: %s: it can match nothing", s->where, s->pattern);
    /* Without JIT (a machine or kernel that forbids it) the interpreter gives the same matches, slower. */
    pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
    p->match = pcre2_match_data_create_from_pattern(p->code, NULL);
    p->context = pcre2_match_context_create(NULL);
    p->stack = pcre2_jit_stack_create(32 << 10, 8 << 20, NULL);
    if (!p->match || !p->context || !p->stack) return err_set(e, ERR_MEMORY, "%s: split pattern: no memory", s->where);
    pcre2_jit_stack_assign(p->context, NULL, p->stack);
    return 0;
}

int pretoken_open(struct pretoken **out, const char *pattern, const char *where, struct err *e) {
    struct source s = {.pattern = pattern, .where = where};
    *out = NULL;
    struct pretoken *p = mem_array(1, sizeof *p, "split pattern", e);
    int rc = p ? translate(&s, e) : ERR_MEMORY;
    if (!rc) rc = compile(p, &s, e);
    unitext_free(&s.out);
    if (rc)
        pretoken_close(p);
    else
        *out = p;
    return rc;
}

void pretoken_close(struct pretoken *p) {
    if (!p) return;
    pcre2_code_free(p->code);
    pcre2_match_data_free(p->match);
    pcre2_match_context_free(p->context);
    pcre2_jit_stack_free(p->stack);
    free(p);
}

int pretoken_next(struct pretoken *p, const char *text, size_t n_bytes, size_t at, size_t *end, struct err *e) {
    /* Blanks before a word are given back one by one, which counts as backtracking: linear in the text for the three
     * families, and a pattern that takes more is stopped before it takes for ever. */
    size_t limit = 10000 + 16 * (n_bytes - at);
    pcre2_set_match_limit(p->context, limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX);
    int n = pcre2_match(p->code, (PCRE2_SPTR)text, n_bytes, at, PCRE2_NO_UTF_CHECK, p->match, p->context);
    if (n == PCRE2_ERROR_NOMATCH) {
        *end = n_bytes;
        return 0;
    }
    if (n < 0) {
        char why[128];
        pcre2_get_error_message(n, (PCRE2_UCHAR *)why, sizeof why);
        err_set(e, n == PCRE2_ERROR_NOMEMORY ? ERR_MEMORY : ERR_RANGE,
                "text: the split pattern fails at byte %zu of %zu: %s", at, n_bytes, why);
        return err_hint(e, "the pattern backtracks more than its family needs; is it the model's own tokenizer.json?");
    }
    const PCRE2_SIZE *v = pcre2_get_ovector_pointer(p->match);
    *end = v[0] > at ? v[0] : v[1];
    return 0;
}
