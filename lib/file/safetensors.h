/* safetensors.h - named tensors on disk, the format of Hugging Face:
 *   8 bytes little-endian header length n | n bytes JSON | data
 *   JSON: {"__metadata__":{text:text,…}, name:{"dtype":"F32","shape":[…],"data_offsets":[begin,end]}, …}
 * One file, or a folder of shards with model.safetensors.index.json ({"weight_map":{name:file}}).
 *
 * Reading maps the files; every offset, shape and size is checked before a tensor is handed out, and NaN or Inf are the
 * business of whoever reads the numbers (safetensors_check_finite). Writing streams to a temporary and renames.
 * Tests: tests/test_safetensors.c, tests/test_stwriter.c; fuzz target tests/fuzz/fuzz_safetensors.c */
#ifndef SAEMILL_SAFETENSORS_H
#define SAEMILL_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

enum safetensors_dtype {
    ST_U8,
    ST_I8,
    ST_BOOL,
    ST_I16,
    ST_U16,
    ST_F16,
    ST_BF16,
    ST_I32,
    ST_U32,
    ST_F32,
    ST_I64,
    ST_U64,
    ST_F64,
    ST_DTYPES
};
enum { ST_MAX_DIMS = 8, ST_ANY = -1 }; /* ST_ANY in a wanted shape: any size */

struct safetensors_tensor {
    const char *name; /* owned by the struct safetensors */
    enum safetensors_dtype dtype;
    int n_dims;
    int64_t shape[ST_MAX_DIMS];
    const void *data; /* read-only map; aligned to the element size for files written here, else perhaps not */
    size_t n_bytes, n_elems;
    const char *path; /* the file it is in, for messages */
};

struct safetensors; /* an open file or folder */

/* Size in bytes of one element; name as in the format ("BF16"). */
size_t safetensors_dtype_bytes(enum safetensors_dtype t);
const char *safetensors_dtype_name(enum safetensors_dtype t);

/* Open a .safetensors file, or a folder with one (model.safetensors) or several (…index.json).
 * Errors: ERR_IO; ERR_FORMAT for a truncated or lying header, overlapping or out-of-range offsets, a shape whose
 * product is not the byte count, a shard that is missing, a name twice; each names file and tensor. */
int safetensors_open(struct safetensors **out, const char *path, struct err *e);
void safetensors_close(struct safetensors *s); /* NULL is fine */

size_t safetensors_count(const struct safetensors *s);
const struct safetensors_tensor *safetensors_at(const struct safetensors *s, size_t i);           /* in name order */
const struct safetensors_tensor *safetensors_find(const struct safetensors *s, const char *name); /* NULL if absent */

/* A tensor by name, type and shape, or an error that says wanted and found.
 *   n_dims, shape   wanted; entries of ST_ANY match any size
 *   dtype           wanted, or -1 for any
 * Errors: ERR_FORMAT when absent (the hint lists near names), ERR_SHAPE. */
int safetensors_get(const struct safetensors *s, const char *name, int dtype, int n_dims, const int64_t *shape,
                    const struct safetensors_tensor **out, struct err *e);

/* A metadata text of __metadata__, or NULL. */
const char *safetensors_meta(const struct safetensors *s, const char *key);

/* Convert n elements from element `first` of a BF16, F16, F32 or F64 tensor to float32. Unaligned data is fine. */
int safetensors_to_f32(const struct safetensors_tensor *t, size_t first, size_t n, float *out, struct err *e);

/* ERR_NUMERIC naming file, tensor and flat index of the first NaN or Inf of a float tensor; 0 if there is none. */
int safetensors_check_finite(const struct safetensors_tensor *t, struct err *e);

/* Writing. Declare every tensor first (sizes must be known), then write the data in any order and pieces, then commit.
 * The header is padded with blanks so that the data section starts at a multiple of 64 bytes; in it, tensors of larger
 * elements come first and those of equal size in declaration order, without gaps, so each is aligned to its elements.
 * Metadata keys are written in sorted order, so equal content gives equal bytes.
 * stwriter_declare: ERR_FORMAT for a name that is not UTF-8, is empty or was declared before; ERR_RANGE for an overflowing
 * shape. After a failed write the file is gone and every later call fails: stwriter_abort it. */
struct stwriter;
int stwriter_open(struct stwriter **out, const char *path, struct err *e);
int stwriter_meta(struct stwriter *w, const char *key, const char *text, struct err *e);
/* Returns the tensor's handle (>= 0) or a negative error. */
int stwriter_declare(struct stwriter *w, const char *name, enum safetensors_dtype dtype, int n_dims,
                     const int64_t *shape, struct err *e);
/* Write n_bytes at byte offset `at` within tensor `handle`. The first write fixes the header. Thread-safe for disjoint
 * ranges after the first. */
int stwriter_write(struct stwriter *w, int handle, uint64_t at, const void *data, size_t n_bytes, struct err *e);
/* Read back what was written (for sorting in place before the commit). */
int stwriter_read(struct stwriter *w, int handle, uint64_t at, void *data, size_t n_bytes, struct err *e);
/* ERR_FORMAT if fewer bytes were written than a declared tensor has (they are counted, not marked: bytes written twice
 * can hide bytes left out); then flush and rename. Frees w in every case. */
int stwriter_commit(struct stwriter *w, struct err *e);
void stwriter_abort(struct stwriter *w); /* NULL is fine */

#endif
