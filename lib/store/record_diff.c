/* record_diff.c - see record_diff.h. */
#include "lib/store/record_diff.h"

#include <string.h>

/* The words of an option: from word[i], "--name", up to the next one. */
static size_t group_end(const struct record *r, size_t i) {
    for (i++; i < r->n_words && strncmp(r->word[i].text, "--", 2); i++) continue;
    return i;
}

static void put_group(FILE *f, const char *sign, const struct record *r, size_t i) {
    fprintf(f, "  %s", sign);
    for (size_t end = group_end(r, i); i < end; i++) fprintf(f, " %s", r->word[i].text);
    fputc('\n', f);
}

static int same_group(const struct record *a, size_t i, const struct record *b, size_t k) {
    size_t n = group_end(a, i) - i;
    if (n != group_end(b, k) - k) return 0;
    for (size_t w = 0; w < n; w++)
        if (!*a->word[i + w].hash != !*b->word[k + w].hash || strcmp(a->word[i + w].text, b->word[k + w].text))
            return 0;
    return 1;
}

/* Options of a that b does not have in just these words. */
static int put_missing(FILE *f, const char *sign, const struct record *a, const struct record *b) {
    int n = 0;
    for (size_t i = 0; i < a->n_words; i = group_end(a, i)) {
        int found = 0;
        for (size_t k = 0; !found && k < b->n_words; k = group_end(b, k)) found = same_group(a, i, b, k);
        if (!found) put_group(f, sign, a, i), n++;
    }
    return n;
}

static int put_inputs(FILE *f, const struct record *old, const struct record *now) {
    int n = 0;
    for (const struct record_word *w = now->word; w < now->word + now->n_words; w++)
        for (const struct record_word *v = old->word; *w->hash && v < old->word + old->n_words; v++)
            if (*v->hash && !strcmp(w->text, v->text) && strcmp(w->hash, v->hash)) {
                fprintf(f, "  input %s: was %.12s, is %.12s\n", w->text, v->hash, w->hash);
                n++;
                break;
            }
    return n;
}

int record_diff(FILE *f, const struct record *old, const struct record *now) {
    int n = put_missing(f, "<", old, now);
    n += put_missing(f, ">", now, old);
    n += put_inputs(f, old, now);
    if (!strcmp(old->program_id, now->program_id)) return n;
    fprintf(f, "  program %s: was %.12s, is %.12s\n", now->program, old->program_id, now->program_id);
    return n + 1;
}
