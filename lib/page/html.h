/* html.h - texts and links for an HTML page. Tests: tests/test_report.c */
#ifndef SAEMILL_HTML_H
#define SAEMILL_HTML_H

#include <stddef.h>
#include <stdio.h>

#include "lib/base/err.h"

/* Write s with & < > " ' escaped: safe as text and between quotes of an attribute. NULL writes nothing. */
void html_text(FILE *f, const char *s);

/* The relative URL from the folder `from` ("" is the current folder) to `to`, percent-escaped, into out.
 * Errors: ERR_RANGE when one path is absolute and the other is not, `from` climbs with "..", or out is too small. */
int html_link(const char *from, const char *to, char *out, size_t out_bytes, struct err *e);

#endif
