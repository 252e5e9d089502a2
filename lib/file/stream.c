/* stream.c - see stream.h. zstd: RFC 8878 through libzstd; gzip: RFC 1952 through zlib. */
#include "lib/file/stream.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "lib/base/arena.h"
#include "lib/base/infile.h"

enum { IN_BYTES = 1 << 17 };

enum packing { PLAIN, ZSTD, GZIP };
static const char *const ENDING[] = {[PLAIN] = "", [ZSTD] = ".zst", [GZIP] = ".gz"};
static const char *const TOOL[] = {[PLAIN] = "", [ZSTD] = "zstd", [GZIP] = "gzip"};

struct stream {
    char *path;
    FILE *f;
    enum packing packing;
    ZSTD_DStream *zstd;
    z_stream gz;
    bool gz_ready, within, any; /* within: inside a frame; any: a frame was seen */
    unsigned char *in;          /* packed bytes: in[at..end) are still to be unpacked */
    size_t at, end;
};

static enum packing packing_of(const char *path) {
    size_t n = strlen(path);
    for (int k = ZSTD; k <= GZIP; k++) {
        size_t m = strlen(ENDING[k]);
        if (n > m && !strcmp(path + n - m, ENDING[k])) return (enum packing)k;
    }
    return PLAIN;
}

size_t stream_stem(const char *path) { return strlen(path) - strlen(ENDING[packing_of(path)]); }

static int prepare(struct stream *s, struct err *e) {
    bool ok = true;
    if (s->packing == PLAIN) return 0;
    if (!(s->in = mem_array(IN_BYTES, 1, s->path, e))) return ERR_MEMORY;
    if (s->packing == ZSTD) ok = (s->zstd = ZSTD_createDStream()) && !ZSTD_isError(ZSTD_initDStream(s->zstd));
    if (s->packing == GZIP) ok = s->gz_ready = inflateInit2(&s->gz, 15 + 16) == Z_OK; /* + 16: gzip frames only */
    return ok ? 0 : err_set(e, ERR_MEMORY, "%s: not enough memory to unpack", s->path);
}

int stream_open(struct stream **out, const char *path, struct err *e) {
    *out = NULL;
    struct stream *s = mem_array(1, sizeof *s, path, e);
    size_t n = strlen(path);
    if (!s) return ERR_MEMORY;
    s->packing = packing_of(path);
    s->path = mem_array(n + 1, 1, path, e);
    int rc = s->path ? infile_stream(path, &s->f, e) : ERR_MEMORY;
    if (s->path) memcpy(s->path, path, n);
    if (!rc) rc = prepare(s, e);
    if (rc)
        stream_close(s);
    else
        *out = s;
    return rc;
}

void stream_close(struct stream *s) {
    if (!s) return;
    if (s->f) fclose(s->f);
    if (s->gz_ready) inflateEnd(&s->gz);
    ZSTD_freeDStream(s->zstd);
    free(s->in);
    free(s->path);
    free(s);
}

static int damaged(const struct stream *s, const char *why, struct err *e) {
    err_set(e, ERR_FORMAT, "%s: bad %s data: %s", s->path, TOOL[s->packing], why);
    return err_hint(e, "%s -t tells whether the file is whole; fetch or pack it again", TOOL[s->packing]);
}

/* in[at..end) -> out[*got..n): one step. */
static int unpack_zstd(struct stream *s, unsigned char *out, size_t n, size_t *got, struct err *e) {
    ZSTD_inBuffer i = {s->in, s->end, s->at};
    ZSTD_outBuffer o = {out, n, *got};
    size_t rc = ZSTD_decompressStream(s->zstd, &o, &i);
    s->at = i.pos, *got = o.pos;
    if (ZSTD_isError(rc)) return damaged(s, ZSTD_getErrorName(rc), e);
    s->within = rc != 0, s->any = true;
    return 0;
}

static int unpack_gzip(struct stream *s, unsigned char *out, size_t n, size_t *got, struct err *e) {
    size_t room = n - *got < 1u << 30 ? n - *got : 1u << 30;
    if (!s->within && inflateReset(&s->gz) != Z_OK) return damaged(s, "cannot start a frame", e);
    s->gz.next_in = s->in + s->at, s->gz.avail_in = (uInt)(s->end - s->at);
    s->gz.next_out = out + *got, s->gz.avail_out = (uInt)room;
    int rc = inflate(&s->gz, Z_NO_FLUSH);
    s->at = s->end - s->gz.avail_in, *got += room - s->gz.avail_out;
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
        return damaged(s, s->gz.msg ? s->gz.msg : "cannot unpack", e);
    s->within = rc != Z_STREAM_END, s->any = true;
    return 0;
}

int stream_read(struct stream *s, void *data, size_t n_bytes, size_t *got, struct err *e) {
    bool flushed = false; /* an unpacker may still hold output when all input is taken: ask once with none */
    *got = 0;
    if (s->packing == PLAIN) {
        *got = fread(data, 1, n_bytes, s->f);
        return ferror(s->f) ? err_errno(e, "%s: cannot read", s->path) : 0;
    }
    while (!*got) {
        if (s->at == s->end && (!s->within || flushed)) {
            s->at = 0, s->end = fread(s->in, 1, IN_BYTES, s->f);
            if (ferror(s->f)) return err_errno(e, "%s: cannot read", s->path);
            if (!s->end) return s->within || !s->any ? damaged(s, "truncated: it ends too early", e) : 0;
        }
        flushed = s->at == s->end;
        int rc = s->packing == ZSTD ? unpack_zstd(s, data, n_bytes, got, e) : unpack_gzip(s, data, n_bytes, got, e);
        if (rc) return rc;
    }
    return 0;
}
