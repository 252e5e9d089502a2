/* jsonfile.c - see jsonfile.h. */
#include "lib/file/jsonfile.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/arena.h"
#include "lib/base/infile.h"
#include "lib/base/outfile.h"

/* ---- reading ---- */

static int parse(const char *text, size_t n_bytes, size_t flags, const char *path, size_t line, json_t **out,
                 struct err *e) {
    json_error_t j;
    flags |= JSON_REJECT_DUPLICATES;
    *out = json_loadb(text, n_bytes, flags, &j);
    if (!*out && json_error_code(&j) == json_error_numeric_overflow)
        *out = json_loadb(text, n_bytes, flags | JSON_DECODE_INT_AS_REAL, &j);
    if (json_is_object(*out)) return 0;
    if (*out) {
        json_decref(*out);
        *out = NULL;
        return err_set(e, ERR_FORMAT, "%s:%zu: want a JSON object at the top, got an array", path, line);
    }
    if (json_error_code(&j) == json_error_out_of_memory)
        return err_set(e, ERR_MEMORY, "%s: not enough memory for its %zu bytes of JSON", path, n_bytes);
    size_t at = line + (j.line > 1 ? (size_t)j.line - 1 : 0);
    return err_set(e, ERR_FORMAT, "%s:%zu: invalid JSON: %s", path, at, j.text);
}

int jsonfile_parse(const char *text, size_t n_bytes, const char *path, size_t line, json_t **out, struct err *e) {
    return parse(text, n_bytes, 0, path, line, out, e);
}

int jsonfile_parse_nul(const char *text, size_t n_bytes, const char *path, size_t line, json_t **out, struct err *e) {
    return parse(text, n_bytes, JSON_ALLOW_NUL, path, line, out, e);
}

static int read_file(const char *path, size_t flags, json_t **out, struct err *e) {
    *out = NULL;
    struct stat s;
    FILE *f;
    char *text = NULL;
    int rc = infile_stream(path, &f, e);
    if (rc) return rc;
    if (fstat(fileno(f), &s))
        rc = err_errno(e, "%s: cannot read", path);
    else if (!(text = mem_array((size_t)s.st_size, 1, path, e)))
        rc = ERR_MEMORY;
    if (!rc) {
        size_t n = fread(text, 1, (size_t)s.st_size, f);
        if (ferror(f))
            rc = err_errno(e, "%s: cannot read", path);
        else
            rc = parse(text, n, flags, path, 1, out, e);
    }
    free(text);
    fclose(f);
    return rc;
}

int jsonfile_read(const char *path, json_t **out, struct err *e) { return read_file(path, 0, out, e); }

int jsonfile_read_nul(const char *path, json_t **out, struct err *e) { return read_file(path, JSON_ALLOW_NUL, out, e); }

/* ---- members ---- */

static int wrong(const char *path, const char *key, const char *want, const json_t *v, struct err *e) {
    static const char *const kind[] = {[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",
                                       [JSON_STRING] = "a text",    [JSON_INTEGER] = "a whole number",
                                       [JSON_REAL] = "a number",    [JSON_TRUE] = "true",
                                       [JSON_FALSE] = "false",      [JSON_NULL] = "null"};
    if (!v) return err_set(e, ERR_FORMAT, "%s: key '%s' is missing: want %s", path, key, want);
    return err_set(e, ERR_FORMAT, "%s: key '%s': want %s, got %s", path, key, want, kind[json_typeof(v)]);
}

int jsonfile_int(const json_t *o, const char *path, const char *key, int64_t *out, struct err *e) {
    const json_t *v = json_object_get(o, key);
    if (json_is_integer(v)) {
        *out = json_integer_value(v);
        return 0;
    }
    double x = json_real_value(v); /* 1e6 and 5.0 are whole numbers too, as far as a double is exact */
    if (!json_is_real(v) || !(fabs(x) <= 0x1p53) || floor(x) < x) return wrong(path, key, "a whole number", v, e);
    *out = (int64_t)x;
    return 0;
}

int jsonfile_real(const json_t *o, const char *path, const char *key, double *out, struct err *e) {
    const json_t *v = json_object_get(o, key);
    if (!json_is_number(v)) return wrong(path, key, "a number", v, e);
    *out = json_number_value(v);
    return 0;
}

static bool absent(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return !v || json_is_null(v);
}

int jsonfile_int_or(const json_t *o, const char *path, const char *key, int64_t preset, int64_t *out, struct err *e) {
    *out = preset;
    return absent(o, key) ? 0 : jsonfile_int(o, path, key, out, e);
}

int jsonfile_real_or(const json_t *o, const char *path, const char *key, double preset, double *out, struct err *e) {
    *out = preset;
    return absent(o, key) ? 0 : jsonfile_real(o, path, key, out, e);
}

int jsonfile_text(const json_t *o, const char *path, const char *key, const char **out, struct err *e) {
    const json_t *v = json_object_get(o, key);
    *out = json_string_value(v);
    return *out ? 0 : wrong(path, key, "a text", v, e);
}

int jsonfile_array(const json_t *o, const char *path, const char *key, json_t **out, struct err *e) {
    json_t *v = json_object_get(o, key);
    *out = json_is_array(v) ? v : NULL;
    return *out ? 0 : wrong(path, key, "an array", v, e);
}

int jsonfile_reals(const json_t *o, const char *path, const char *key, double **out, size_t *n, struct err *e) {
    json_t *a;
    *out = NULL, *n = 0;
    int rc = jsonfile_array(o, path, key, &a, e);
    if (rc) return rc;
    size_t count = json_array_size(a);
    double *x = mem_array(count, sizeof *x, path, e);
    if (!x) return ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const json_t *v = json_array_get(a, i);
        if (!json_is_number(v) && !json_is_null(v)) {
            free(x);
            return err_set(e, ERR_FORMAT, "%s: key '%s': entry %zu: want a number or null", path, key, i);
        }
        x[i] = json_is_null(v) ? (double)NAN : json_number_value(v);
    }
    *out = x, *n = count;
    return 0;
}

/* ---- writing ---- */

static void put_text(FILE *f, const char *s, size_t n) {
    putc('"', f);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\')
            putc('\\', f), putc(c, f);
        else if (c == '\n')
            fputs("\\n", f);
        else if (c == '\t')
            fputs("\\t", f);
        else if (c < ' ')
            fprintf(f, "\\u%04x", c);
        else
            putc(c, f);
    }
    putc('"', f);
}

/* The shortest of 9, 15 and 17 digits that reads back as x; ".0" keeps a real a real. */
static void put_real(FILE *f, double x) {
    static const int digits[] = {9, 15, 17};
    char s[40];
    for (size_t i = 0; i < 3; i++) {
        snprintf(s, sizeof s, "%.*g", digits[i], x);
        double back = strtod(s, NULL);
        if (!memcmp(&back, &x, sizeof x)) break;
    }
    fputs(s, f);
    if (!strpbrk(s, ".e")) fputs(".0", f);
}

static bool is_flat(const json_t *a) {
    for (size_t i = 0; i < json_array_size(a); i++) {
        const json_t *v = json_array_get(a, i);
        if (json_is_object(v) || json_is_array(v)) return false;
    }
    return true;
}

static void new_line(FILE *f, int depth) { fprintf(f, "\n%*s", 2 * depth, ""); }

static void put_value(FILE *f, const json_t *v, int depth);

static void put_object(FILE *f, const json_t *o, int depth) {
    const char *key;
    json_t *v;
    bool first = true;
    putc('{', f);
    json_object_foreach((json_t *)o, key, v) {
        if (!first) putc(',', f);
        first = false;
        new_line(f, depth + 1);
        put_text(f, key, strlen(key));
        fputs(": ", f);
        put_value(f, v, depth + 1);
    }
    if (!first) new_line(f, depth);
    putc('}', f);
}

static void put_array(FILE *f, const json_t *a, int depth) {
    bool flat = is_flat(a);
    putc('[', f);
    for (size_t i = 0; i < json_array_size(a); i++) {
        if (i) fputs(flat ? ", " : ",", f);
        if (!flat) new_line(f, depth + 1);
        put_value(f, json_array_get(a, i), depth + 1);
    }
    if (!flat) new_line(f, depth);
    putc(']', f);
}

static void put_value(FILE *f, const json_t *v, int depth) {
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        put_object(f, v, depth);
        break;
    case JSON_ARRAY:
        put_array(f, v, depth);
        break;
    case JSON_STRING:
        put_text(f, json_string_value(v), json_string_length(v));
        break;
    case JSON_INTEGER:
        fprintf(f, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        break;
    case JSON_REAL:
        put_real(f, json_real_value(v));
        break;
    case JSON_TRUE:
        fputs("true", f);
        break;
    case JSON_FALSE:
        fputs("false", f);
        break;
    case JSON_NULL:
        fputs("null", f);
        break;
    }
}

int jsonfile_dump(const json_t *o, char **text, size_t *n_bytes, struct err *e) {
    *text = NULL, *n_bytes = 0;
    FILE *f = o ? open_memstream(text, n_bytes) : NULL; /* no o: building it failed */
    bool failed = !f;
    if (f) {
        put_value(f, o, 0);
        putc('\n', f);
        failed = ferror(f);
        if (fclose(f)) failed = true;
    }
    if (!failed) return 0;
    free(*text);
    *text = NULL;
    return err_set(e, ERR_MEMORY, "JSON text: not enough memory");
}

int jsonfile_write(const char *path, const json_t *o, struct err *e) {
    char *text;
    size_t n;
    if (jsonfile_dump(o, &text, &n, e))
        return err_set(e, ERR_MEMORY, "%s: not enough memory for its text, or a text in it is not UTF-8", path);
    int rc = outfile_text(path, text, n, e);
    free(text);
    return rc;
}

int jsonfile_write_new(const char *path, json_t *o, struct err *e) {
    int rc = jsonfile_write(path, o, e);
    json_decref(o);
    return rc;
}

/* ---- making ---- */

json_t *jsonfile_number(double x, int digits) {
    char s[64];
    if (!isfinite(x)) return json_null();
    CHECK(digits >= 1 && digits <= 17);
    snprintf(s, sizeof s, "%.*g", digits, x);
    return json_real(strtod(s, NULL));
}

/* The value of one conversion, n bytes at c. */
static json_t *conversion(const char *c, size_t n, va_list *a) {
    if (c[n - 1] == 'g') {
        long digits = c[1] == '.' ? strtol(c + 2, NULL, 10) : 17;
        return jsonfile_number(va_arg(*a, double), (int)digits);
    }
#define IS(word) (n == strlen(word) && !memcmp(c, word, n))
    if (IS("%s")) return json_string(va_arg(*a, const char *));
    if (IS("%p")) return va_arg(*a, void *);
    if (IS("%d")) return json_integer(va_arg(*a, int));
    if (IS("%u")) return json_integer(va_arg(*a, unsigned));
    if (IS("%lld")) return json_integer(va_arg(*a, long long));
    if (IS("%zu")) return json_integer((json_int_t)va_arg(*a, size_t));
    CHECK(IS("%llu"));
#undef IS
    return json_integer((json_int_t)va_arg(*a, unsigned long long));
}

/* All is taken from the arguments, also once something has failed: references are given away. */
static int put(json_t *o, const char *fmt, va_list *a) {
    int failed = 0;
    for (const char *c = fmt; *c; c += strspn(c, " ")) {
        char literal[64];
        const char *key = NULL;
        size_t n = strcspn(c, "= ");
        if (c[n] == '=') {
            CHECK(n < sizeof literal);
            memcpy(literal, c, n), literal[n] = 0;
            key = strcmp(literal, "%s") ? literal : va_arg(*a, const char *);
            c += n + 1, n = strcspn(c, " ");
        }
        CHECK(*c == '%' && (!o || json_is_object(o) == (key != NULL)));
        json_t *v = conversion(c, n, a);
        failed |= key ? json_object_set_new(o, key, v) : json_array_append_new(o, v);
        c += n;
    }
    return failed ? ERR_MEMORY : 0;
}

#define PUT(failed, o, fmt)                                                                                            \
    va_list a;                                                                                                         \
    va_start(a, fmt);                                                                                                  \
    int failed = put(o, fmt, &a);                                                                                      \
    va_end(a)

int jsonfile_put(json_t *o, const char *fmt, ...) {
    PUT(failed, o, fmt);
    return failed;
}

static json_t *unless(int failed, json_t *o) {
    if (!failed) return o;
    json_decref(o);
    return NULL;
}

json_t *jsonfile_with(json_t *o, const char *fmt, ...) {
    PUT(failed, o, fmt);
    return unless(failed, o);
}

json_t *jsonfile_object(const char *fmt, ...) {
    json_t *o = json_object();
    PUT(failed, o, fmt);
    return unless(failed, o);
}

json_t *jsonfile_list(const char *fmt, ...) {
    json_t *o = json_array();
    PUT(failed, o, fmt);
    return unless(failed, o);
}

json_t *jsonfile_f32s(const float *x, size_t n) {
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) a = jsonfile_with(a, "%.9g", (double)x[i]);
    return a;
}

json_t *jsonfile_f64s(const double *x, size_t n) {
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) a = jsonfile_with(a, "%.17g", x[i]);
    return a;
}

json_t *jsonfile_i32s(const int32_t *x, size_t n) {
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) a = jsonfile_with(a, "%d", x[i]);
    return a;
}

json_t *jsonfile_counts(const size_t *x, size_t n) {
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) a = jsonfile_with(a, "%zu", x[i]);
    return a;
}

json_t *jsonfile_texts(const char *const *x, size_t n) {
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) a = jsonfile_with(a, "%s", x[i]);
    return a;
}

void jsonfile_shortest(double x, char out[32]) {
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, x);
        if (strtod(out, NULL) == x) return;
    }
}
