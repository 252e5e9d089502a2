/* test_memo.c - what memo, audit and gc stand on: program identity, receipts, the content store.
 *
 * Whole runs (hits, reverts, kills, plans) are tests/contract/reruns.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/outdir.h"
#include "lib/store/progid.h"
#include "lib/store/quarantine.h"
#include "lib/store/record.h"
#include "lib/store/store.h"

static const char dir[] = "build/tmp/test_memo";

static int setup(void **state) {
    (void)state;
    return outdir_remove(dir, NULL) || outdir_make(dir, NULL);
}

static const char *in_dir(const char *name, char path[PATH_MAX]) {
    snprintf(path, PATH_MAX, "%s/%s", dir, name);
    return path;
}

static void put(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void put_text(const char *path, const char *text) { put(path, text, strlen(text)); }

static char *get(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *n = (size_t)ftell(f);
    rewind(f);
    char *p = malloc(*n + 1);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, *n, f), *n);
    p[*n] = 0;
    fclose(f);
    return p;
}

/* ---- progid ---- */

/* This very test program, loaded as bytes: an ELF file with debug information. */
static unsigned char *self(size_t *n) { return (unsigned char *)get("/proc/self/exe", n); }

static void program_without_sections_is_the_same(void **state) {
    (void)state;
    size_t n;
    char path[PATH_MAX], whole[HASH_HEX], bare[HASH_HEX];
    unsigned char *p = self(&n);
    Elf64_Ehdr h;
    memcpy(&h, p, sizeof h);
    put(in_dir("whole", path), p, n);
    assert_int_equal(progid(path, "", whole, NULL), 0);
    /* What strip does, as far as it matters: the section table moves or goes, and all behind the last segment changes.
     */
    size_t end = 0;
    for (unsigned i = 0; i < h.e_phnum; i++) {
        Elf64_Phdr s;
        memcpy(&s, p + h.e_phoff + i * sizeof s, sizeof s);
        if (s.p_type == PT_LOAD && s.p_offset + s.p_filesz > end) end = s.p_offset + s.p_filesz;
    }
    assert_true(end < n);
    h.e_shoff = 0;
    h.e_shnum = h.e_shstrndx = 0;
    memcpy(p, &h, sizeof h);
    put(in_dir("bare", path), p, end);
    assert_int_equal(progid(path, "", bare, NULL), 0);
    assert_string_equal(whole, bare);
    free(p);
}

static void program_with_other_code_is_another(void **state) {
    (void)state;
    size_t n;
    char path[PATH_MAX], a[HASH_HEX], b[HASH_HEX];
    unsigned char *p = self(&n);
    Elf64_Ehdr h;
    memcpy(&h, p, sizeof h);
    put(in_dir("code", path), p, n);
    assert_int_equal(progid(path, "", a, NULL), 0);
    assert_true(h.e_entry < n);
    p[h.e_entry] ^= 1; /* position-independent: the entry's address is its offset */
    put(path, p, n);
    assert_int_equal(progid(path, "", b, NULL), 0);
    assert_string_not_equal(a, b);
    free(p);
}

static void program_that_is_no_elf(void **state) {
    (void)state;
    char path[PATH_MAX], a[HASH_HEX], b[HASH_HEX];
    struct err e;
    put_text(in_dir("script", path), "#!/bin/sh\ntrue\n");
    assert_int_equal(progid(path, "", a, NULL), 0);
    put_text(path, "#!/bin/sh\nfalse\n");
    assert_int_equal(progid(path, "", b, NULL), 0);
    assert_string_not_equal(a, b);
    assert_int_equal(progid(dir, "", a, &e), ERR_IO);
    assert_int_equal(progid("build/tmp/test_memo/none", "", a, &e), ERR_IO);
}

/* A header that lies about its tables is hashed as bytes, and nothing outside the file is read. */
static void program_with_lying_header(void **state) {
    (void)state;
    size_t n;
    char path[PATH_MAX], a[HASH_HEX];
    unsigned char *p = self(&n);
    Elf64_Ehdr h;
    memcpy(&h, p, sizeof h);
    for (size_t cut = 1; cut < 600; cut += 37) {
        put(in_dir("cut", path), p, cut);
        assert_int_equal(progid(path, "", a, NULL), 0);
    }
    const uint64_t far_away[] = {n, n - 1, UINT64_MAX, UINT64_MAX - 63};
    for (int i = 0; i < 4; i++) {
        Elf64_Ehdr bad = h;
        bad.e_phoff = far_away[i];
        memcpy(p, &bad, sizeof bad);
        put(path, p, n);
        assert_int_equal(progid(path, "", a, NULL), 0);
        bad = h;
        bad.e_shoff = far_away[i];
        memcpy(p, &bad, sizeof bad);
        put(path, p, n);
        assert_int_equal(progid(path, "", a, NULL), 0);
    }
    memcpy(p, &h, sizeof h);
    for (unsigned i = 0; i < h.e_shnum; i++) { /* sections whose names, and the names themselves, are elsewhere */
        Elf64_Shdr was, bad;
        memcpy(&was, p + h.e_shoff + i * sizeof was, sizeof was);
        bad = was;
        bad.sh_name = UINT32_MAX;
        bad.sh_offset = n - 4;
        memcpy(p + h.e_shoff + i * sizeof bad, &bad, sizeof bad);
        put(path, p, n);
        assert_int_equal(progid(path, "", a, NULL), 0);
        memcpy(p + h.e_shoff + i * sizeof was, &was, sizeof was);
    }
    Elf64_Phdr s;
    memcpy(&s, p + h.e_phoff, sizeof s);
    s.p_type = PT_LOAD;
    const uint64_t begin[] = {UINT64_MAX - 8, n - 8, sizeof h, n + (1 << 24)},
                   length[] = {64, (uint64_t)1 << 40, UINT64_MAX, 64};
    for (int i = 0; i < 4; i++) {
        s.p_offset = begin[i];
        s.p_filesz = length[i];
        memcpy(p + h.e_phoff, &s, sizeof s);
        put(path, p, n);
        assert_int_equal(progid(path, "", a, NULL), 0);
    }
    for (unsigned i = 0; i < h.e_phnum; i++) { /* every segment is the whole file */
        s.p_offset = 0;
        s.p_filesz = n;
        memcpy(p + h.e_phoff + i * sizeof s, &s, sizeof s);
    }
    put(path, p, n);
    assert_int_equal(progid(path, "", a, NULL), 0);
    free(p);
}

/* ---- receipts ---- */

static const char K[] = "00000000000000000000000000000001", O[] = "0000000000000000000000000000000a",
                  P[] = "000000000000000000000000000000ff";

static void write_receipt(const char *target, const char *stage, const char *out, const char *in, const char *in_hash) {
    char rec[PATH_MAX], text[2 * PATH_MAX], sum[HASH_HEX];
    size_t n;
    snprintf(rec, sizeof rec, "%s.rec", target);
    snprintf(
        text, sizeof text,
        "memo 3\nstage %s\nprogram build/bin/%s %s\nkey %s\nout %s\nms 1234\narg --in\nin %s %s\narg --out\narg @O\n",
        stage, stage, P, K, out, in_hash, in);
    hash_bytes(text, n = strlen(text), sum);
    snprintf(text + n, sizeof text - n, "sum %s\n", sum);
    put_text(rec, text);
}

static void receipt_there_and_back(void **state) {
    (void)state;
    char target[PATH_MAX], rec[PATH_MAX + 8];
    write_receipt(in_dir("a b.json", target), "train", O, "inputs/with blank.txt", K);
    snprintf(rec, sizeof rec, "%s.rec", target);
    struct record r;
    struct err e;
    size_t n;
    assert_int_equal(record_read(rec, &r, &e), 0);
    assert_string_equal(r.stage, "train");
    assert_string_equal(r.out, O);
    assert_int_equal(r.ms, 1234);
    assert_int_equal(r.n_words, 4);
    assert_string_equal(r.word[0].text, "--in");
    assert_string_equal(r.word[0].hash, "");
    assert_string_equal(r.word[1].text, "inputs/with blank.txt");
    assert_string_equal(r.word[1].hash, K);
    char *text = record_text(&r), *same = get(rec, &n);
    assert_string_equal(text, same);
    free(text);
    free(same);
    record_free(&r);
}

/* Bytes under a sum that fits. */
static void put_summed(const char *path, const char *body) {
    char text[512], sum[HASH_HEX];
    hash_bytes(body, strlen(body), sum);
    snprintf(text, sizeof text, "%ssum %s\n", body, sum);
    put_text(path, text);
}

static void unreadable(const char *path) {
    struct record r;
    struct err e = {0};
    assert_int_equal(record_read(path, &r, &e), ERR_FORMAT);
    assert_non_null(strstr(e.text, path));
}

static void receipt_that_is_damaged(void **state) {
    (void)state;
    static const char *const bad[] = {"memo 3\nstage train\n",
                                      "memo 3\nstage train\nprogram p 12\n",
                                      "memo 3\nnonsense x\n",
                                      "memo 3\nin 00 x\n",
                                      "memo 3\nin 00000000000000000000000000000001\n",
                                      "memo 3\nnamed 00000000000000000000000000000001 \n",
                                      "memo 3\nstage\n",
                                      "memo 3\nout 0000000000000000000000000000000G\n"};
    char path[PATH_MAX], target[PATH_MAX];
    in_dir("bad.rec", path);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_summed(path, bad[i]);
        unreadable(path);
    }
    struct record other;
    put_summed(path, "memo 2\nstage train\n");
    assert_int_equal(record_read(path, &other, NULL), ERR_UNSUPPORTED);
    /* a whole one, cut off anywhere or with any bit changed, as disks and power cuts leave them */
    size_t n;
    write_receipt(in_dir("bad", target), "train", O, "inputs/x.txt", K);
    char *whole = get(path, &n);
    for (size_t cut = 0; cut < n; cut++) {
        put(path, whole, cut);
        unreadable(path);
    }
    for (size_t bit = 0; bit < 8 * n; bit++) {
        whole[bit / 8] ^= (char)(1 << bit % 8);
        put(path, whole, n);
        unreadable(path);
        whole[bit / 8] ^= (char)(1 << bit % 8);
    }
    free(whole);
    unlink(path);
}

static int count(const char *path, const struct record *r, void *ctx, struct err *e) {
    (void)path, (void)r, (void)e;
    ++*(int *)ctx;
    return 0;
}

static void walk_finds_receipts_but_not_in_the_store(void **state) {
    (void)state;
    char path[PATH_MAX];
    int n = 0;
    assert_int_equal(outdir_make(in_dir("walk/run", path), NULL), 0);
    assert_int_equal(outdir_make(in_dir("walk/store/ac", path), NULL), 0);
    write_receipt(in_dir("walk/run/one", path), "train", O, "x", K);
    write_receipt(in_dir("walk/two", path), "train", O, "x", K);
    write_receipt(in_dir("walk/store/ac/three", path), "train", O, "x", K);
    assert_int_equal(record_walk(in_dir("walk", path), count, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(record_walk(in_dir("nowhere", path), count, &n, NULL), 0);
}

static void lineage_tells_inputs_first_and_each_once(void **state) {
    (void)state;
    char a[PATH_MAX], b[PATH_MAX], c[PATH_MAX], bad[PATH_MAX], *text;
    static const char HA[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", HB[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
                      HC[] = "cccccccccccccccccccccccccccccccc";
    write_receipt(in_dir("la", a), "tokenize", HA, "/far/away/zh/faq.txt", K);
    write_receipt(in_dir("lb", b), "collect", HB, a, HA);
    write_receipt(in_dir("lc", c), "normalise", HC, a, HA);
    struct record_word in[] = {{.text = b, .hash = "b"}, {.text = c, .hash = "c"}, {.text = "raw/x.txt", .hash = "x"}};
    struct record r = {.stage = "plot", .word = in, .n_words = 3};
    struct err e;
    assert_int_equal(record_lineage(&r, &text, bad, &e), 0);
    assert_string_equal(text, "aaaaaaaaaaaaaaaa = tokenize --in zh/faq.txt:0000000000000000\n"
                              "bbbbbbbbbbbbbbbb = collect --in aaaaaaaaaaaaaaaa\n"
                              "cccccccccccccccc = normalise --in aaaaaaaaaaaaaaaa\n");
    free(text);
    put_text(in_dir("la.rec", a), ""); /* as after a power cut */
    assert_int_equal(record_lineage(&r, &text, bad, &e), ERR_FORMAT);
    assert_string_equal(bad, a);
}

static void lineage_of_a_circle_ends(void **state) {
    (void)state;
    char a[PATH_MAX], b[PATH_MAX], bad[PATH_MAX], *text = NULL;
    write_receipt(in_dir("ca", a), "x", O, in_dir("cb", b), K);
    write_receipt(b, "y", K, a, O);
    struct record_word in[] = {{.text = a, .hash = "a"}};
    struct record r = {.stage = "plot", .word = in, .n_words = 1};
    struct err e;
    assert_int_equal(record_lineage(&r, &text, bad, &e), 0); /* each artifact is told once, so the circle is cut */
    free(text);
}

static void short_names(void **state) {
    (void)state;
    assert_string_equal(record_short_name("/a/b/c.txt"), "b/c.txt");
    assert_string_equal(record_short_name("c.txt"), "c.txt");
    assert_string_equal(record_short_name("b/c.txt"), "b/c.txt");
}

/* ---- store ---- */

static void opened(struct store *s) {
    char path[PATH_MAX];
    struct err e;
    assert_int_equal(store_open(s, in_dir("r/store", path), STORE_RUN, &e), 0);
}

static void store_keeps_a_file(void **state) {
    (void)state;
    struct store s;
    struct stat st;
    char path[PATH_MAX], again[PATH_MAX], blob[PATH_MAX], hex[HASH_HEX], same[HASH_HEX], direct[HASH_HEX];
    opened(&s);
    put_text(in_dir("f1", path), "content");
    hash_bytes("content", 7, direct);
    assert_int_equal(store_put(&s, path, hex, NULL), 0);
    assert_string_equal(hex, direct);
    assert_int_not_equal(access(path, F_OK), 0);
    store_path(&s, "cas", hex, blob);
    assert_int_equal(stat(blob, &st), 0);
    assert_int_equal(st.st_mtime, 1);
    assert_int_equal(st.st_mode & 0222, 0);
    put_text(in_dir("f2", again), "content");
    assert_int_equal(store_put(&s, again, same, NULL), 0); /* the second copy is dropped */
    assert_string_equal(hex, same);
    assert_int_not_equal(access(again, F_OK), 0);
    store_close(&s);
}

static void store_keeps_a_folder(void **state) {
    (void)state;
    struct store s;
    struct stat st;
    char path[PATH_MAX], blob[PATH_MAX + 64], hex[HASH_HEX], same[HASH_HEX];
    opened(&s);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(outdir_make(in_dir("d/sub", path), NULL), 0);
        put_text(in_dir("d/a.json", path), "{}");
        put_text(in_dir("d/sub/b.bin", path), "bb");
        assert_int_equal(store_put(&s, in_dir("d", path), i ? same : hex, NULL), 0);
        assert_int_not_equal(access(path, F_OK), 0);
    }
    assert_string_equal(hex, same);
    snprintf(blob, sizeof blob, "%s/cas/%s/sub/b.bin", s.root, hex);
    assert_int_equal(stat(blob, &st), 0);
    assert_int_equal(st.st_mode & 0222, 0);
    assert_int_equal(st.st_mtime, 1);
    store_close(&s);
}

static void store_links_are_relative_and_fresh(void **state) {
    (void)state;
    static const char *const where[] = {"r/tiny/paper/run/x.json", "r/x.json", "elsewhere/x", "r/store/x",
                                        "r/storey/x"};
    static const char *const want[] = {"../../../store/cas/", "store/cas/", "../r/store/cas/", "cas/", "../store/cas/"};
    struct store s;
    char path[PATH_MAX], to[PATH_MAX], hex[HASH_HEX], got[HASH_HEX];
    opened(&s);
    put_text(in_dir("l", path), "linked");
    assert_int_equal(store_put(&s, path, hex, NULL), 0);
    for (int i = 0; i < 5; i++) {
        in_dir(where[i], path);
        for (int twice = 0; twice < 2; twice++) assert_int_equal(store_link(&s, hex, path, NULL), 0);
        ssize_t n = readlink(path, to, sizeof to - 1);
        assert_true(n > 0);
        to[n] = 0;
        assert_memory_equal(to, want[i], strlen(want[i]));
        assert_string_equal(to + strlen(want[i]), hex);
        assert_int_equal(store_linked(path, got), 1);
        assert_string_equal(got, hex);
        size_t bytes;
        char *text = get(path, &bytes);
        assert_string_equal(text, "linked");
        free(text);
    }
    /* what is no link into a store stays */
    struct err e = {0};
    assert_int_equal(outdir_make(in_dir("r/folder/with", path), NULL), 0);
    assert_int_equal(store_link(&s, hex, in_dir("r/folder", path), &e), ERR_IO);
    assert_non_null(strstr(e.text, "not replaced"));
    put_text(in_dir("r/file", path), "mine");
    assert_int_equal(store_link(&s, hex, path, &e), ERR_IO);
    assert_int_equal(symlink("file", in_dir("r/link", path)), 0);
    assert_int_equal(store_link(&s, hex, path, &e), ERR_IO);
    assert_int_equal(access(in_dir("r/folder/with", path), F_OK), 0);
    assert_int_equal(store_linked(dir, got), 0);
    store_close(&s);
}

static void age(const char *path) { /* as if it had been written a minute ago; ctime stays, so wait out its guard */
    const struct timespec t[2] = {{.tv_sec = time(NULL) - 60}, {.tv_sec = time(NULL) - 60}};
    assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static void store_hashes_inputs_again_only_when_they_change(void **state) {
    (void)state;
    struct store s;
    char path[PATH_MAX], a[HASH_HEX], b[HASH_HEX], sa[HASH_HEX], sb[HASH_HEX], name[HASH_HEX], cache[PATH_MAX];
    opened(&s);
    put_text(in_dir("raw.txt", path), "first");
    assert_int_equal(store_hash_input(&s, path, a, sa, NULL), 0);
    hash_bytes(path, strlen(path), name);
    store_path(&s, "inputs", name, cache);
    assert_int_not_equal(access(cache, F_OK), 0); /* a file that has not settled is not remembered */
    put_text(path, "other");
    assert_int_equal(store_hash_input(&s, path, b, sb, NULL), 0);
    assert_string_not_equal(a, b);
    age(path);
    const struct timespec settle = {.tv_sec = 2, .tv_nsec = 100000000};
    nanosleep(&settle, NULL);
    assert_int_equal(store_hash_input(&s, path, a, sa, NULL), 0);
    assert_string_equal(a, b);
    assert_int_equal(access(cache, F_OK), 0);
    char line[PATH_MAX + 80]; /* a wrong remembered hash is believed: so it is not hashed again */
    snprintf(line, sizeof line, "%s %s %s\n", sa, K, path);
    put_text(cache, line);
    assert_int_equal(store_hash_input(&s, path, b, sb, NULL), 0);
    assert_string_equal(b, K);
    assert_string_equal(sa, sb);
    put_text(path, "third, and longer");
    assert_int_equal(store_hash_input(&s, path, b, sb, NULL), 0);
    assert_string_not_equal(b, K);
    assert_string_not_equal(sa, sb);
    assert_int_equal(store_state(path, sa, NULL), 0);
    assert_string_equal(sa, sb);
    assert_int_equal(store_hash_input(&s, "build/tmp/test_memo/none", b, sb, NULL), ERR_IO);
    store_close(&s);
}

static void store_state_of_a_folder_sees_every_file(void **state) {
    (void)state;
    char path[PATH_MAX], folder[PATH_MAX], a[HASH_HEX], b[HASH_HEX];
    assert_int_equal(outdir_make(in_dir("model/deep", path), NULL), 0);
    in_dir("model", folder);
    put_text(in_dir("model/deep/w.bin", path), "1");
    assert_int_equal(store_state(folder, a, NULL), 0);
    put_text(path, "12");
    assert_int_equal(store_state(folder, b, NULL), 0);
    assert_string_not_equal(a, b);
    unlink(path);
    assert_int_equal(store_state(folder, a, NULL), 0);
    assert_string_not_equal(a, b);
}

static void store_that_lacks_an_artifact_says_so(void **state) {
    (void)state;
    struct store s;
    struct err e = {0};
    char path[PATH_MAX], hex[HASH_HEX], got[HASH_HEX];
    opened(&s);
    put_text(in_dir("gone", path), "gone");
    assert_int_equal(store_put(&s, path, hex, NULL), 0);
    assert_int_equal(store_link(&s, hex, in_dir("r/gone", path), NULL), 0);
    char blob[PATH_MAX];
    store_path(&s, "cas", hex, blob);
    assert_int_equal(outdir_remove(blob, NULL), 0);
    assert_false(store_has(&s, hex));
    assert_int_equal(store_hash_input(&s, path, got, NULL, &e), ERR_IO);
    assert_non_null(strstr(e.text, hex));
    store_close(&s);
}

static void store_is_known_by_its_marker(void **state) {
    (void)state;
    struct store s;
    struct err e = {0};
    char path[PATH_MAX], root[PATH_MAX];
    assert_int_equal(outdir_make(in_dir("home/inputs", path), NULL), 0);
    put_text(in_dir("home/inputs/thesis", path), "mine");
    for (int use = STORE_LOOK; use <= STORE_ALONE; use++) {
        assert_int_equal(store_open(&s, in_dir("home", root), (enum store_use)use, &e), ERR_IO);
        assert_non_null(strstr(e.text, "is no store"));
        assert_non_null(strstr(e.hint, "SAEMILL-STORE"));
    }
    assert_int_not_equal(access(in_dir("home/cas", path), F_OK), 0);
    assert_int_equal(outdir_make(in_dir("fresh", root), NULL), 0);
    put_text(in_dir("fresh/SAEMILL-STORE.saemill-77", path), ""); /* another run that is making it */
    assert_int_equal(store_open(&s, root, STORE_RUN, &e), 0);
    store_close(&s);
    for (int use = STORE_LOOK; use <= STORE_ALONE; use++) {
        assert_int_equal(store_open(&s, root, (enum store_use)use, &e), 0);
        store_close(&s);
    }
    assert_int_equal(store_open(&s, in_dir("not/there", root), STORE_LOOK, &e), 0); /* empty, and not made */
    store_close(&s);
    assert_int_not_equal(access(root, F_OK), 0);
    put_text(in_dir("fresh/SAEMILL-STORE", path), "");
    assert_int_equal(store_open(&s, in_dir("fresh", root), STORE_RUN, &e), ERR_IO);
}

/* Put text into the store as the artifact of a run that read `in`; hex is its name. */
static void made_from(const struct store *s, const char *text, const char *key, const char *in, char hex[HASH_HEX]) {
    char path[PATH_MAX], target[PATH_MAX], rec[PATH_MAX + 8];
    put_text(in_dir("new", path), text);
    assert_int_equal(store_put(s, path, hex, NULL), 0);
    store_path(s, "ac", key, target);
    write_receipt(target, "x", hex, "in", in);
    snprintf(rec, sizeof rec, "%s.rec", target);
    assert_int_equal(rename(rec, target), 0);
}

static void flip(const struct store *s, const char *hex) {
    char path[PATH_MAX];
    const struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    store_path(s, "cas", hex, path);
    assert_int_equal(chmod(path, 0644), 0);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fputc('#', f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
}

static void damage_is_found_and_put_aside_with_its_products(void **state) {
    (void)state;
    struct store s;
    struct err e = {0};
    char a[HASH_HEX], b[HASH_HEX], c[HASH_HEX], d[HASH_HEX], path[PATH_MAX], is[HASH_HEX];
    size_t n;
    assert_int_equal(store_open(&s, in_dir("q", path), STORE_RUN, NULL), 0);
    made_from(&s, "a", "0000000000000000000000000000000a", K, a);
    made_from(&s, "b", "0000000000000000000000000000000b", a, b);
    made_from(&s, "c", "0000000000000000000000000000000c", b, c);
    made_from(&s, "d", "0000000000000000000000000000000d", K, d);
    assert_int_equal(store_verify(&s, a, true, &e), 0);
    assert_int_equal(store_link(&s, a, in_dir("linked", path), NULL), 0);
    assert_int_equal(hash_path(path, is, NULL), 0);
    flip(&s, a);
    assert_int_equal(store_verify(&s, a, false, &e), ERR_FORMAT);
    assert_int_equal(hash_path(path, is, &e), ERR_FORMAT); /* as a stage reads it */
    assert_non_null(strstr(e.text, "damaged"));
    assert_int_equal(quarantine(&s, a, &n, &e), 0);
    assert_int_equal(n, 2);
    assert_false(store_has(&s, a) || store_has(&s, b) || store_has(&s, c));
    assert_true(store_has(&s, d));
    store_path(&s, "quarantine", a, path);
    assert_int_equal(access(path, F_OK), 0);
    for (const char *k = "abcd"; *k; k++) {
        char key[HASH_HEX] = "00000000000000000000000000000000";
        key[HASH_HEX - 2] = *k;
        store_path(&s, "ac", key, path);
        assert_int_equal(access(path, F_OK), *k == 'd' ? 0 : -1);
    }
    /* a new result takes the place of a damaged one of its name */
    flip(&s, d);
    put_text(in_dir("new", path), "d");
    assert_int_equal(store_put(&s, path, is, NULL), 0);
    assert_string_equal(is, d);
    assert_int_equal(store_verify(&s, d, true, &e), 0);
    store_close(&s);
}

static void leftovers_are_known_by_name(void **state) {
    (void)state;
    long pid;
    assert_true(store_leftover("tsne.json.rec.saemill-123", &pid));
    assert_int_equal(pid, 123);
    assert_false(store_leftover("tsne.json.rec.123", &pid));
    assert_false(store_leftover("a.saemill-part", &pid));
    assert_false(store_leftover("a.saemill-12x", &pid));
}

static void locks_exclude(void **state) {
    (void)state;
    struct store s, alone;
    struct err e = {0};
    char path[PATH_MAX];
    int a, b;
    opened(&s);
    assert_int_equal(store_lock(&s, "one", &a, NULL), 0);
    assert_int_equal(store_try_lock(&s, "one", &b, NULL), 1);
    assert_int_equal(store_try_lock(&s, "two", &b, NULL), 0);
    close(b);
    close(a);
    assert_int_equal(store_try_lock(&s, "one", &a, NULL), 0);
    close(a);
    assert_int_equal(store_open(&alone, in_dir("r/store", path), STORE_ALONE, &e),
                     ERR_IO); /* gc while a run is under way */
    store_close(&s);
    assert_int_equal(store_open(&alone, path, STORE_ALONE, &e), 0);
    store_close(&alone);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(program_without_sections_is_the_same),
        cmocka_unit_test(program_with_other_code_is_another),
        cmocka_unit_test(program_that_is_no_elf),
        cmocka_unit_test(program_with_lying_header),
        cmocka_unit_test(receipt_there_and_back),
        cmocka_unit_test(receipt_that_is_damaged),
        cmocka_unit_test(walk_finds_receipts_but_not_in_the_store),
        cmocka_unit_test(lineage_tells_inputs_first_and_each_once),
        cmocka_unit_test(lineage_of_a_circle_ends),
        cmocka_unit_test(short_names),
        cmocka_unit_test(store_keeps_a_file),
        cmocka_unit_test(store_keeps_a_folder),
        cmocka_unit_test(store_links_are_relative_and_fresh),
        cmocka_unit_test(store_hashes_inputs_again_only_when_they_change),
        cmocka_unit_test(store_state_of_a_folder_sees_every_file),
        cmocka_unit_test(store_that_lacks_an_artifact_says_so),
        cmocka_unit_test(store_is_known_by_its_marker),
        cmocka_unit_test(damage_is_found_and_put_aside_with_its_products),
        cmocka_unit_test(leftovers_are_known_by_name),
        cmocka_unit_test(locks_exclude),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
