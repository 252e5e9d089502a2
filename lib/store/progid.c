/* progid.c - see progid.h. */
#include "lib/store/progid.h"

#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/infile.h"

/* True when [offset, offset + n) lies in a file of size bytes. */
static int inside(uint64_t offset, uint64_t n, size_t size) { return offset <= size && n <= size - offset; }

/* Appends n bytes to *out, which has room for them. */
static void take(unsigned char **out, const void *from, size_t n) {
    memcpy(*out, from, n);
    *out += n;
}

/* What is loaded, one piece behind the other, into out (room for size + 32 bytes a program header): the file header
 * with its pointers to the section table zeroed, as they move with the debug information, and every loadable segment,
 * less the header in the first. Returns how much that is; 0 when p is no ELF file this understands. */
static size_t loaded(const unsigned char *p, size_t size, unsigned char *out) {
    Elf64_Ehdr h;
    unsigned char *end_of_out = out;
    memcpy(&h, p, sizeof h);
    h.e_shoff = 0;
    h.e_shnum = h.e_shstrndx = 0;
    take(&end_of_out, &h, sizeof h);
    size_t loads = 0, room = size - sizeof h;
    for (unsigned i = 0; i < h.e_phnum; i++) {
        Elf64_Phdr s;
        memcpy(&s, p + h.e_phoff + i * sizeof s, sizeof s);
        if (s.p_type != PT_LOAD) continue;
        if (!inside(s.p_offset, s.p_filesz, size)) return 0;
        uint64_t begin = s.p_offset < sizeof h ? sizeof h : s.p_offset, end = s.p_offset + s.p_filesz;
        uint64_t where[4] = {s.p_vaddr, s.p_memsz, s.p_filesz, s.p_flags};
        take(&end_of_out, where, sizeof where);
        if (begin < end) {
            if (end - begin > room) return 0; /* segments that overlap in the file: no linker writes that */
            take(&end_of_out, p + begin, end - begin);
            room -= end - begin;
        }
        loads++;
    }
    return loads ? (size_t)(end_of_out - out) : 0;
}

static int identify(const unsigned char *p, size_t size, char hex[HASH_HEX]) {
    Elf64_Ehdr h;
    size_t n = 0;
    if (size >= sizeof h) memcpy(&h, p, sizeof h);
    if (size >= sizeof h && !memcmp(h.e_ident, ELFMAG, SELFMAG) && h.e_ident[EI_CLASS] == ELFCLASS64 &&
        h.e_phentsize == sizeof(Elf64_Phdr) && inside(h.e_phoff, (uint64_t)h.e_phnum * sizeof(Elf64_Phdr), size)) {
        unsigned char *out = malloc(size + (size_t)h.e_phnum * 32);
        if (!out) return -1;
        n = loaded(p, size, out);
        if (n) hash_bytes(out, n, hex);
        free(out);
    }
    if (!n) hash_bytes(p, size, hex);
    return 0;
}

int progid(const char *path, char hex[HASH_HEX], struct err *e) {
    struct stat s;
    int fd, rc = infile_open(path, &fd, &s, e);
    if (rc) return rc;
    if (s.st_size <= 0) {
        close(fd);
        return err_set(e, ERR_IO, "%s: not a program", path);
    }
    size_t size = (size_t)s.st_size;
    unsigned char *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED) return err_errno(e, "%s: cannot read", path);
    int failed = identify(p, size, hex);
    munmap(p, size);
    return failed ? err_set(e, ERR_MEMORY, "%s: no memory to hash it", path) : 0;
}
