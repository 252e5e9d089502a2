/* tokfile.c - see tokfile.h. */
#include "lib/lm/tokfile.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/arena.h"
#include "lib/file/jsonfile.h"
#include "lib/lm/pretoken.h"
#include "lib/lm/unitext.h"

enum { ID_LIMIT = 1 << 30 };

/* What every reader below needs. */
struct reading {
    struct tokfile *t;
    const json_t *root, *vocab;
    const char *path;
    struct err *e;
};

static bool absent(const json_t *v) { return !v || json_is_null(v); }

static int unsupported(const struct reading *r, const char *field, const char *value, const char *what) {
    err_set(r->e, ERR_UNSUPPORTED, "%s: %s: '%s' is not supported", r->path, field, value);
    return err_hint(r->e, "%s", what);
}

static int bad_format(const struct reading *r, const char *field, const char *want) {
    return err_set(r->e, ERR_FORMAT, "%s: %s: want %s", r->path, field, want);
}

/* The "type" of a part of the pipeline; *type is "" for null. */
static int part_type(const struct reading *r, const json_t *part, const char *field, const char **type) {
    *type = "";
    if (absent(part)) return 0;
    const json_t *v = json_object_get(part, "type");
    if (!json_is_string(v)) return bad_format(r, field, "an object with a \"type\"");
    *type = json_string_value(v);
    return 0;
}

/* A flag of a part: absent and null are the preset. */
static int flag_or(const struct reading *r, const json_t *part, const char *field, const char *key, bool preset,
                   bool *out) {
    const json_t *v = json_object_get(part, key);
    *out = preset;
    if (absent(v)) return 0;
    if (!json_is_boolean(v)) {
        char text[96];
        snprintf(text, sizeof text, "true or false for \"%s\"", key);
        return bad_format(r, field, text);
    }
    *out = json_is_true(v);
    return 0;
}

/* The parts of a Sequence, or the part alone. */
static int parts_of(const struct reading *r, const json_t *part, const char *field, const char *key, size_t *n) {
    const char *type;
    int rc = part_type(r, part, field, &type);
    *n = !absent(part);
    if (rc || strcmp(type, "Sequence")) return rc;
    const json_t *list = json_object_get(part, key);
    if (!json_is_array(list)) return bad_format(r, field, "a list of parts in the Sequence");
    *n = json_array_size(list);
    return 0;
}

static const json_t *part_at(const json_t *part, const char *key, size_t i) {
    const json_t *list = json_object_get(part, key);
    return json_is_array(list) ? json_array_get(list, i) : part;
}

static int read_normalizer(const struct reading *r) {
    static const char field[] = "normalizer";
    const json_t *top = json_object_get(r->root, field);
    size_t n;
    int rc = parts_of(r, top, field, "normalizers", &n);
    for (size_t i = 0; !rc && i < n; i++) {
        const char *type;
        rc = part_type(r, part_at(top, "normalizers", i), field, &type);
        if (!rc && strcmp(type, "NFC"))
            rc = unsupported(r, field, type, "NFC or none is; other families need their own code");
        if (!rc) r->t->nfc = true;
    }
    return rc;
}

static int read_split(const struct reading *r, const json_t *part) {
    static const char field[] = "pre_tokenizer: Split";
    const json_t *regex = json_object_get(json_object_get(part, "pattern"), "Regex");
    const json_t *behavior = json_object_get(part, "behavior");
    bool invert;
    int rc = flag_or(r, part, field, "invert", false, &invert);
    if (rc) return rc;
    if (!json_is_string(regex)) return unsupported(r, field, "pattern", "only a pattern given as \"Regex\" is");
    if (!json_is_string(behavior)) return bad_format(r, field, "a \"behavior\"");
    if (strcmp(json_string_value(behavior), "Isolated"))
        return unsupported(r, "pre_tokenizer: Split: behavior", json_string_value(behavior), "only \"Isolated\" is");
    if (invert) return unsupported(r, field, "invert", "only the pattern as it stands is, not its inverse");
    r->t->pattern = json_string_value(regex);
    return 0;
}

static int read_byte_level(const struct reading *r, const json_t *part, bool after_split) {
    static const char field[] = "pre_tokenizer: ByteLevel";
    static const char hint[] = "Split and then ByteLevel without regex and prefix, or ByteLevel with its own regex, is";
    bool regex;
    int rc = flag_or(r, part, field, "add_prefix_space", true, &r->t->prefix_space);
    if (!rc) rc = flag_or(r, part, field, "use_regex", true, &regex);
    if (rc) return rc;
    if (after_split && r->t->prefix_space) return unsupported(r, field, "add_prefix_space", hint);
    if (after_split == regex) return unsupported(r, field, regex ? "use_regex: true" : "use_regex: false", hint);
    if (regex) r->t->pattern = pretoken_gpt2;
    return 0;
}

static int read_pre_tokenizer(const struct reading *r) {
    static const char field[] = "pre_tokenizer", key[] = "pretokenizers";
    static const char hint[] =
        "byte-level BPE of the Qwen2, Llama-3 and GPT-2 families is: [Split, ByteLevel] or ByteLevel";
    const json_t *top = json_object_get(r->root, field);
    const char *type = "", *last = "";
    size_t n;
    int rc = parts_of(r, top, field, key, &n);
    if (rc) return rc;
    if (!n) return unsupported(r, field, "none", hint);
    for (size_t i = 0; !rc && i < n; i++) {
        const json_t *part = part_at(top, key, i);
        rc = part_type(r, part, field, &type);
        if (rc) break;
        if (!strcmp(type, "Split") && i == 0)
            rc = read_split(r, part);
        else if (!strcmp(type, "ByteLevel") && i + 1 == n && i < 2)
            rc = read_byte_level(r, part, i == 1);
        else
            rc = unsupported(r, field, type, hint);
        last = type;
    }
    if (!rc && strcmp(last, "ByteLevel")) rc = unsupported(r, field, "Split without ByteLevel", hint);
    return rc;
}

/* GPT-2's alphabet (encoder.py, bytes_to_unicode): printable Latin-1 stands for itself, the other bytes for 256, 257, …
 */
static void byte_alphabet(uint32_t cp_of[256]) {
    uint32_t next = 256;
    for (uint32_t b = 0; b < 256; b++) {
        bool self = (b > 32 && b < 127) || (b > 160 && b != 173);
        cp_of[b] = self ? b : next++;
    }
}

static size_t put_utf8(uint32_t cp, char out[4]) { /* cp < 0x800 */
    if (cp < 0x80) return out[0] = (char)cp, 1;
    out[0] = (char)(0xC0 | cp >> 6);
    out[1] = (char)(0x80 | (cp & 0x3F));
    return 2;
}

static int vocab_id(const struct reading *r, const char *token, size_t n, int32_t *id) {
    const json_t *v = json_object_getn(r->vocab, token, n);
    *id = json_is_integer(v) ? (int32_t)json_integer_value(v) : -1;
    return *id < 0;
}

static int read_bytes(const struct reading *r) {
    uint32_t cp_of[256];
    byte_alphabet(cp_of);
    for (int b = 0; b < 256; b++) {
        char token[4];
        size_t n = put_utf8(cp_of[b], token);
        bool in_utf8 = b < 0xC0 || (b > 0xC1 && b < 0xF5);
        if (!vocab_id(r, token, n, &r->t->byte_id[b]) || !in_utf8) continue;
        err_set(r->e, ERR_FORMAT, "%s: model: vocab: byte 0x%02X: want an entry '%.*s', got none", r->path, b, (int)n,
                token);
        return err_hint(r->e, "a byte-level vocabulary holds all bytes; is this tokenizer byte-level BPE?");
    }
    return 0;
}

static int check_vocab(const struct reading *r) {
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)r->vocab, key, v) {
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) >= ID_LIMIT)
            return err_set(r->e, ERR_RANGE, "%s: model: vocab: '%.64s': want an id in [0, 2^30)", r->path, key);
        if (json_integer_value(v) > r->t->largest) r->t->largest = (int32_t)json_integer_value(v);
    }
    return 0;
}

/* The vocabulary as bytes, for ignore_merges. An entry outside the byte alphabet can never equal a pre-token: left out.
 */
static int read_whole(const struct reading *r) {
    uint32_t cp_of[256];
    int16_t byte_of[512];
    size_t n_bytes = 0, at = 0;
    const char *key;
    json_t *v, *vocab = (json_t *)(uintptr_t)r->vocab;
    byte_alphabet(cp_of);
    memset(byte_of, 0xFF, sizeof byte_of);
    for (int b = 0; b < 256; b++) byte_of[cp_of[b]] = (int16_t)b;
    json_object_foreach(vocab, key, v) n_bytes += strlen(key);
    r->t->whole = mem_array(json_object_size(vocab), sizeof *r->t->whole, "vocabulary", r->e);
    r->t->whole_byte = mem_array(n_bytes, 1, "vocabulary", r->e);
    if (!r->t->whole || !r->t->whole_byte) return ERR_MEMORY;
    json_object_foreach(vocab, key, v) {
        size_t begin = at, n = strlen(key);
        bool ok = n > 0;
        for (size_t i = 0; ok && i < n;) {
            uint32_t cp = 0;
            int len = unitext_decode(key + i, n - i, &cp);
            ok = len > 0 && cp < 512 && byte_of[cp] >= 0;
            if (ok) r->t->whole_byte[at++] = (char)byte_of[cp], i += (size_t)len;
        }
        if (ok)
            r->t->whole[r->t->n_whole++] =
                (struct bpe_word){r->t->whole_byte + begin, at - begin, (int32_t)json_integer_value(v)};
        else
            at = begin;
    }
    return 0;
}

/* The two halves of a merge, as "a b" or ["a", "b"]. */
static bool merge_halves(const json_t *m, const char *half[2], size_t n[2]) {
    if (json_is_array(m) && json_array_size(m) == 2) {
        for (size_t k = 0; k < 2; k++) {
            half[k] = json_string_value(json_array_get(m, k));
            n[k] = half[k] ? json_string_length(json_array_get(m, k)) : 0;
        }
        return half[0] && half[1];
    }
    const char *s = json_string_value(m), *blank = s ? strchr(s, ' ') : NULL;
    if (!blank || strchr(blank + 1, ' ')) return false;
    half[0] = s;
    half[1] = blank + 1;
    n[0] = (size_t)(blank - s);
    n[1] = strlen(half[1]);
    return true;
}

static int read_merges(const struct reading *r, const json_t *merges) {
    size_t n = json_array_size(merges);
    struct unitext_buf joined = {0};
    int rc = 0;
    r->t->merge = mem_array(n, sizeof *r->t->merge, "merges", r->e);
    if (!r->t->merge) return ERR_MEMORY;
    for (size_t i = 0; !rc && i < n; i++) {
        const json_t *m = json_array_get(merges, i);
        const char *half[2];
        size_t len[2];
        struct bpe_merge *out = &r->t->merge[r->t->n_merges];
        if (json_is_string(m) && !strncmp(json_string_value(m), "#version", 8)) continue;
        if (!merge_halves(m, half, len)) {
            rc =
                err_set(r->e, ERR_FORMAT, "%s: model: merges: element %zu: want \"a b\" or [\"a\", \"b\"]", r->path, i);
            break;
        }
        joined.n = 0;
        rc = unitext_append(&joined, half[0], len[0], r->e);
        if (!rc) rc = unitext_append(&joined, half[1], len[1], r->e);
        if (rc) break;
        if (vocab_id(r, half[0], len[0], &out->left) || vocab_id(r, half[1], len[1], &out->right) ||
            vocab_id(r, joined.byte, joined.n, &out->joined))
            rc = err_set(r->e, ERR_FORMAT,
                         "%s: model: merges: element %zu: '%.64s' + '%.64s': a part or the whole is not in vocab",
                         r->path, i, half[0], half[1]);
        r->t->n_merges++;
    }
    unitext_free(&joined);
    return rc;
}

static int refuse_options(const struct reading *r, const json_t *model) {
    static const char *const flags[] = {"byte_fallback", "fuse_unk"};
    static const char *const texts[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const json_t *dropout = json_object_get(model, "dropout");
    for (size_t i = 0; i < 2; i++) {
        bool on;
        int rc = flag_or(r, model, "model", flags[i], false, &on);
        if (rc) return rc;
        if (on) return unsupported(r, "model", flags[i], "byte-level BPE without it is");
        const json_t *v = json_object_get(model, texts[i]);
        if (!absent(v) && !(json_is_string(v) && !json_string_length(v)))
            return unsupported(r, "model", texts[i], "byte-level BPE without it is");
    }
    if (!absent(dropout) && !(json_is_number(dropout) && json_number_value(dropout) == 0))
        return unsupported(r, "model", "dropout", "a tokenizer without randomness is; set it to null");
    return 0;
}

static int read_model(struct reading *r) {
    const json_t *model = json_object_get(r->root, "model");
    const char *type;
    bool ignore_merges;
    if (!json_is_object(model)) return bad_format(r, "model", "an object");
    if (json_object_get(model, "type")) {
        int rc = part_type(r, model, "model", &type);
        if (rc) return rc;
        if (strcmp(type, "BPE")) return unsupported(r, "model: type", type, "byte-level BPE is");
    }
    const json_t *merges = json_object_get(model, "merges");
    r->vocab = json_object_get(model, "vocab");
    if (!json_is_object(r->vocab)) return bad_format(r, "model: vocab", "an object");
    if (!json_is_array(merges)) return bad_format(r, "model: merges", "an array");
    int rc = refuse_options(r, model);
    if (!rc) rc = check_vocab(r);
    if (!rc) rc = read_bytes(r);
    if (!rc) rc = read_merges(r, merges);
    if (!rc) rc = flag_or(r, model, "model", "ignore_merges", false, &ignore_merges);
    if (!rc && ignore_merges) rc = read_whole(r);
    return rc;
}

/* One added token. The reference numbers them itself: the vocabulary's id if it has the text, else the next free
 * number; a file that says otherwise means two things at once and is refused. */
static int read_added_token(const struct reading *r, const json_t *a, size_t i, int64_t *next) {
    static const char *const refused[] = {"single_word", "lstrip", "rstrip"};
    const json_t *content = json_object_get(a, "content"), *id = json_object_get(a, "id");
    char field[64];
    bool on, special, normalized = false;
    snprintf(field, sizeof field, "added_tokens: element %zu", i);
    if (!json_is_string(content) || !json_is_integer(id))
        return bad_format(r, field, "an object with \"id\" and \"content\"");
    for (size_t k = 0; k < 3; k++) {
        int rc = flag_or(r, a, field, refused[k], false, &on);
        if (rc) return rc;
        if (on)
            return unsupported(r, field, refused[k],
                               "added tokens are found as they stand, blanks and words left alone");
    }
    int rc = flag_or(r, a, field, "special", false, &special);
    if (!rc) rc = flag_or(r, a, field, "normalized", !special, &normalized);
    if (rc || !json_string_length(content)) return rc;
    int32_t want;
    if (vocab_id(r, json_string_value(content), json_string_length(content), &want)) want = (int32_t)*next;
    if (want < 0 || want >= ID_LIMIT || json_integer_value(id) != want) {
        err_set(r->e, ERR_FORMAT, "%s: %s: '%.64s': want id %d, got %lld", r->path, field, json_string_value(content),
                want, (long long)json_integer_value(id));
        return err_hint(
            r->e, "ids of added tokens are the vocabulary's, or follow it without a gap, in the order of the list");
    }
    if (want >= *next) *next = (int64_t)want + 1;
    if (want > r->t->largest) r->t->largest = want;
    struct added_token *out = normalized ? &r->t->normalized[r->t->n_normalized++] : &r->t->raw[r->t->n_raw++];
    *out = (struct added_token){json_string_value(content), json_string_length(content), want};
    return 0;
}

static int read_added(const struct reading *r) {
    const json_t *list = json_object_get(r->root, "added_tokens");
    int64_t next = (int64_t)json_object_size(r->vocab);
    int rc = 0;
    if (absent(list)) return 0;
    if (!json_is_array(list)) return bad_format(r, "added_tokens", "an array");
    size_t n = json_array_size(list);
    r->t->raw = mem_array(n, sizeof *r->t->raw, "added tokens", r->e);
    r->t->normalized = mem_array(n, sizeof *r->t->normalized, "added tokens", r->e);
    if (!r->t->raw || !r->t->normalized) return ERR_MEMORY;
    for (size_t i = 0; !rc && i < n; i++) rc = read_added_token(r, json_array_get(list, i), i, &next);
    return rc;
}

/* The id of a token that is in the vocabulary or added, or -1. */
static int32_t token_id(const struct reading *r, const char *token) {
    const struct tokfile *t = r->t;
    int32_t id;
    size_t n = strlen(token);
    for (size_t i = 0; i < t->n_raw; i++)
        if (t->raw[i].n_bytes == n && !memcmp(t->raw[i].byte, token, n)) return t->raw[i].id;
    for (size_t i = 0; i < t->n_normalized; i++)
        if (t->normalized[i].n_bytes == n && !memcmp(t->normalized[i].byte, token, n)) return t->normalized[i].id;
    return vocab_id(r, token, n, &id) ? -1 : id;
}

/* Check the post-processor's type; *before is the token that a template puts before a single text, or NULL. */
static int read_post_processor(const struct reading *r, const char **before) {
    static const char field[] = "post_processor", key[] = "processors";
    const json_t *top = json_object_get(r->root, field);
    size_t n;
    int rc = parts_of(r, top, field, key, &n);
    for (size_t i = 0; !rc && i < n; i++) {
        const json_t *part = part_at(top, key, i);
        const char *type;
        rc = part_type(r, part, field, &type);
        if (rc || !strcmp(type, "ByteLevel")) continue;
        if (strcmp(type, "TemplateProcessing"))
            return unsupported(r, field, type, "ByteLevel and TemplateProcessing are");
        const json_t *first = json_array_get(json_object_get(part, "single"), 0);
        const json_t *id = json_object_get(json_object_get(first, "SpecialToken"), "id");
        if (json_is_string(id)) *before = json_string_value(id);
    }
    return rc;
}

static int read_bos(const struct reading *r, const json_t *config) {
    const char *named = NULL;
    int rc = read_post_processor(r, &named);
    if (rc) return rc;
    const json_t *id = json_object_get(config, "bos_token_id"),
                 *prepend = json_object_get(config, "default_prepend_bos");
    if (id) {
        if (json_is_null(id)) return 0;
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > r->t->largest) {
            err_set(r->e, ERR_RANGE, "%s: config.json beside it: bos_token_id: want a token id in [0, %d] or null",
                    r->path, r->t->largest);
            return err_hint(r->e, "are config.json and tokenizer.json of the same model?");
        }
        r->t->bos = (int32_t)json_integer_value(id);
        return 0;
    }
    if (prepend) named = json_is_true(prepend) ? "<|endoftext|>" : NULL;
    if (!named) return 0;
    r->t->bos = token_id(r, named);
    if (r->t->bos >= 0) return 0;
    return err_set(r->e, ERR_FORMAT, "%s: BOS token '%.64s': it is no token of this tokenizer", r->path, named);
}

int tokfile_parse(struct tokfile *t, const json_t *root, const json_t *config, const char *path, struct err *e) {
    struct reading r = {.t = t, .root = root, .path = path, .e = e};
    *t = (struct tokfile){.bos = -1, .largest = -1};
    int rc = read_model(&r);
    if (!rc) rc = read_normalizer(&r);
    if (!rc) rc = read_pre_tokenizer(&r);
    if (!rc) rc = read_added(&r);
    if (!rc) rc = read_bos(&r, config);
    return rc;
}

int tokfile_read(struct tokfile *t, const char *dir, struct err *e) {
    char path[PATH_MAX], config_path[PATH_MAX];
    json_t *root = NULL, *config = NULL;
    *t = (struct tokfile){0};
    int n = snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    int m = snprintf(config_path, sizeof config_path, "%s/config.json", dir);
    if (n >= PATH_MAX || m >= PATH_MAX) return err_set(e, ERR_RANGE, "%.64s…: the path is too long", dir);
    if (access(path, R_OK)) {
        err_errno(e, "%s: cannot read the tokenizer", path);
        return err_hint(
            e, "--model names a folder with tokenizer.json; one that has vocab.json and merges.txt or tokenizer.model "
               "instead is converted by AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)");
    }
    int rc = jsonfile_read(path, &root, e);
    if (!rc && !access(config_path, F_OK)) rc = jsonfile_read(config_path, &config, e);
    if (!rc) rc = tokfile_parse(t, root, config, path, e);
    json_decref(config);
    t->root = root;
    return rc;
}

void tokfile_free(struct tokfile *t) {
    free(t->merge);
    free(t->whole);
    free(t->whole_byte);
    free(t->raw);
    free(t->normalized);
    json_decref(t->root);
    *t = (struct tokfile){0};
}
