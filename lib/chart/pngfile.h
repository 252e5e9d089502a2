/* pngfile.h - PNG files with texts (libpng): 8-bit RGB, without a date.
 *
 * ASCII texts become tEXt chunks, all others iTXt (UTF-8); they stand before the picture, so that a reader finds them
 * at once. Equal pixels and texts give equal bytes with one version of libpng and zlib. Tests: tests/test_chart.c */
#ifndef SAEMILL_PNGFILE_H
#define SAEMILL_PNGFILE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct pngfile_text {
    const char *key;  /* 1 to 79 bytes of ASCII */
    const char *text; /* UTF-8 */
};

/* Write atomically.
 *   path
 *   pixels  [h][stride_px]  0x00RRGGBB, read only
 *   texts   [n_texts]
 * Errors: ERR_IO with the path; ERR_MEMORY. */
int pngfile_write(const char *path, const uint32_t *pixels, size_t stride_px, int w, int h,
                  const struct pngfile_text *texts, size_t n_texts, struct err *e);

#endif
