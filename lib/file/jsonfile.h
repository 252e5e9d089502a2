/* jsonfile.h - JSON files through jansson, with errors that name file, line and key.
 *
 * lib/file holds the readers and writers of file formats, each bounds-checked, and nothing that knows what the numbers
 * mean. Tests: tests/test_jsonfile.c; fuzz target tests/fuzz/fuzz_json.c */
#ifndef SAEMILL_JSONFILE_H
#define SAEMILL_JSONFILE_H

#include <jansson.h>
#include <stdint.h>

#include "lib/base/err.h"

/* Read a file whose top value is an object. ERR_FORMAT: "path:12: invalid JSON: '}' expected near …". Caller
 * json_decref()s. */
int jsonfile_read(const char *path, json_t **out, struct err *e);

/* The same from n_bytes in memory (not zero-terminated), for formats that hold JSON inside.
 *   path, line   the file, and the line of it where text begins, for messages
 * A name twice in one object is refused; integers beyond 64 bits (tokenizer_config.json has them) make all the text's
 * integers reals. */
int jsonfile_parse(const char *text, size_t n_bytes, const char *path, size_t line, json_t **out, struct err *e);

/* The same two where a text may hold U+0000: for bytes that are data. Take json_string_length with json_string_value there; a
 * key may not hold it. */
int jsonfile_read_nul(const char *path, json_t **out, struct err *e);
int jsonfile_parse_nul(const char *text, size_t n_bytes, const char *path, size_t line, json_t **out, struct err *e);

/* Members by key, type-checked: ERR_FORMAT "path: key 'k': want a number, got a string" (or "is missing").
 * The _or forms return the preset when the key is absent or null, and still refuse a wrong type. */
int jsonfile_int(const json_t *o, const char *path, const char *key, int64_t *out, struct err *e);
int jsonfile_int_or(const json_t *o, const char *path, const char *key, int64_t preset, int64_t *out, struct err *e);
int jsonfile_real(const json_t *o, const char *path, const char *key, double *out, struct err *e);
int jsonfile_real_or(const json_t *o, const char *path, const char *key, double preset, double *out, struct err *e);
int jsonfile_text(const json_t *o, const char *path, const char *key, const char **out, struct err *e);
int jsonfile_array(const json_t *o, const char *path, const char *key, json_t **out, struct err *e);
/* A whole array of numbers as doubles: *out is malloc'd, *n its length. null becomes NaN. */
int jsonfile_reals(const json_t *o, const char *path, const char *key, double **out, size_t *n, struct err *e);

/* Make an object, or a list, by a printf format, which the compiler checks. Its words are key=value in an object, value in a list:
 *     jsonfile_object("site=%s n_rows=%zu ev=%.17g groups=%p", site, N, ev, jsonfile_list("%s %s", "en", "zh"))
 *   %s            a text; as a key too: "%s=%.9g"
 *   %d %lld %u %zu %llu   whole numbers
 *   %.9g          a number with so many digits: 9 where float32 made it, 17 otherwise; NaN and Inf, which JSON cannot hold, become null
 *   %p            a json_t *, whose reference is taken
 * Where memory ends or a text is not UTF-8 the answer is NULL, as it is for whatever would hold that: nothing is missing in silence,
 * and jsonfile_write reports it. */
json_t *jsonfile_object(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
json_t *jsonfile_list(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same, more of it: takes o's reference and gives it back, or NULL. An object's key that is there is replaced. */
json_t *jsonfile_with(json_t *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same into what another holds: 0, or ERR_MEMORY with some of it left out. */
int jsonfile_put(json_t *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Write o atomically, keys in insertion order, one top-level key a line, numbers with 9 significant digits where
 * float32 made them and 17 otherwise (jsonfile_number); equal content gives equal bytes. Takes no reference. NaN is
 * written as null. */
int jsonfile_write(const char *path, const json_t *o, struct err *e);

/* The same, and o's reference is taken. */
int jsonfile_write_new(const char *path, json_t *o, struct err *e);

/* The same text in memory: *text is malloc'd. */
int jsonfile_dump(const json_t *o, char **text, size_t *n_bytes, struct err *e);

/* A JSON number, or null for NaN and Inf (which JSON cannot hold). `digits` significant digits are kept. */
json_t *jsonfile_number(double x, int digits);
json_t *jsonfile_f32s(const float *x, size_t n);  /* array, 9 digits */
json_t *jsonfile_f64s(const double *x, size_t n); /* array, 17 digits */
json_t *jsonfile_i32s(const int32_t *x, size_t n);
json_t *jsonfile_counts(const size_t *x, size_t n);
json_t *jsonfile_texts(const char *const *x, size_t n);

/* The shortest decimal text that reads back as x: "0.72", not "0.71999999999999996". */
void jsonfile_shortest(double x, char out[32]);

#endif
