/* quarantine.c - see quarantine.h. */
#include "lib/store/quarantine.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/store/record.h"

struct made { /* one action entry */
    char path[PATH_MAX];
    struct record r;
    bool tainted;
};

struct made_list {
    struct made *item;
    size_t n, cap;
};

static void list_free(struct made_list *l) {
    for (size_t i = 0; i < l->n; i++) record_free(&l->item[i].r);
    free(l->item);
}

/* All entries that can be read; the others count as not there for everybody. */
static int read_actions(const struct store *s, struct made_list *l, struct err *e) {
    char folder[PATH_MAX];
    store_path(s, "ac", "", folder);
    DIR *d = opendir(folder);
    if (!d) return err_errno(e, "%s: cannot list", folder);
    for (struct dirent *f; (f = readdir(d));) {
        if (strlen(f->d_name) != HASH_HEX - 1) continue;
        if (l->n == l->cap) {
            l->cap = l->cap ? 2 * l->cap : 64;
            struct made *p = realloc(l->item, l->cap * sizeof *p);
            if (!p) {
                closedir(d);
                return err_set(e, ERR_MEMORY, "%s: no memory for its entries", folder);
            }
            l->item = p;
        }
        struct made *m = &l->item[l->n];
        m->tainted = false;
        store_path(s, "ac", f->d_name, m->path);
        if (!record_read(m->path, &m->r, NULL)) l->n++;
    }
    closedir(d);
    return 0;
}

static bool gone(const struct made_list *l, const char *hex, const char *hash) {
    if (!strcmp(hash, hex)) return true;
    for (size_t i = 0; i < l->n; i++)
        if (l->item[i].tainted && !strcmp(l->item[i].r.out, hash)) return true;
    return false;
}

/* Mark what was made from what is gone, until nothing more is found. */
static void taint(struct made_list *l, const char *hex) {
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < l->n; i++) {
            struct made *m = &l->item[i];
            for (size_t k = 0; !m->tainted && k < m->r.n_words; k++)
                more |= m->tainted = gone(l, hex, m->r.word[k].hash);
        }
    }
}

int quarantine(const struct store *s, const char *hex, size_t *n_products, struct err *e) {
    struct made_list l = {0};
    *n_products = 0;
    int rc = read_actions(s, &l, e);
    if (!rc) taint(&l, hex);
    /* Keys before artifacts: a kill in between leaves no key without its artifact. */
    for (size_t i = 0; !rc && i < l.n; i++)
        if ((l.item[i].tainted || !strcmp(l.item[i].r.out, hex)) && unlink(l.item[i].path))
            rc = err_errno(e, "%s: cannot remove", l.item[i].path);
    if (!rc) rc = store_set_aside(s, hex, e);
    for (size_t i = 0; !rc && i < l.n; i++) {
        if (!l.item[i].tainted || !store_has(s, l.item[i].r.out)) continue;
        rc = store_set_aside(s, l.item[i].r.out, e);
        ++*n_products;
    }
    list_free(&l);
    return rc;
}
