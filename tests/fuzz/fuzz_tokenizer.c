/* fuzz_tokenizer.c - libFuzzer target: JSON as parts of a tokenizer.json, a zero byte, and any bytes as text. The JSON
 * is laid over a small valid tokenizer, so that short inputs reach every part; it is refused with a text, or the text
 * is encoded. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lm/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static json_t *base(void) {
    json_t *vocab = json_object(),
           *merges = json_loads(
               "[[\"a\",\"b\"],\"ab c\",[\"b\",\"c\"],[\"a\",\"a\"],[\"aa\",\"aa\"],\"\\u00e4 \\u00b8\"]", 0, NULL);
    static const char *const longer[] = {"ab", "abc", "bc", "aa", "aaaa", "\xC3\xA4\xC2\xB8"};
    uint32_t next = 256;
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t cp = (b > 32 && b < 127) || (b > 160 && b != 173) ? b : next++;
        char key[3] = {(char)cp, 0, 0};
        if (cp >= 0x80) key[0] = (char)(0xC0 | cp >> 6), key[1] = (char)(0x80 | (cp & 0x3F));
        json_object_set_new(vocab, key, json_integer(b));
    }
    for (int i = 0; i < 6; i++) json_object_set_new(vocab, longer[i], json_integer(256 + i));
    json_t *byte_level = json_pack("{s:s,s:b}", "type", "ByteLevel", "add_prefix_space", 0);
    return json_pack("{s:{s:s,s:o,s:o},s:o}", "model", "type", "BPE", "vocab", vocab, "merges", merges, "pre_tokenizer",
                     byte_level);
}

static void encode(struct tokenizer *t, const char *text, size_t n) {
    struct bpe_ids first = {0}, again = {0};
    struct err e = {0};
    int rc = tokenizer_encode(t, text, n, &first, &e);
    if (!rc) {
        CHECK(!n || first.n);
        for (size_t i = 0; i < first.n; i++) CHECK(first.id[i] >= 0 && first.id[i] < tokenizer_n_ids(t));
        CHECK(!tokenizer_encode(t, text, n, &again, &e) && again.n == first.n);
        CHECK(!first.n || !memcmp(first.id, again.id, first.n * sizeof *first.id)); /* from the word cache */
    } else {
        CHECK(rc == ERR_RANGE && e.text[0]);
    }
    bpe_ids_free(&first);
    bpe_ids_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    const uint8_t *zero = n ? memchr(data, 0, n) : NULL;
    size_t n_json = zero ? (size_t)(zero - data) : n, skip = zero ? n_json + 1 : 0;
    json_t *over = json_loadb((const char *)data, n_json, 0, NULL);
    if (!over && zero) return 0; /* no JSON and no zero byte: all of it is text */
    json_t *root = base(), *config = json_object_get(over, "config");
    if (json_is_object(over)) json_object_update_recursive(root, over);
    struct tokfile f;
    struct tokenizer *t = NULL;
    struct err e = {0};
    char *text = malloc(n - skip + 1);
    if (n - skip) memcpy(text, data + skip, n - skip);
    int rc = tokfile_parse(&f, root, config, "T", &e);
    if (!rc) rc = tokenizer_build(&t, &f, "T", &e);
    tokfile_free(&f);
    json_decref(root);
    json_decref(over);
    if (!rc)
        encode(t, text, n - skip);
    else
        CHECK(rc == e.code && rc < 0 && e.text[0] && !t);
    tokenizer_close(t);
    free(text);
    return 0;
}
