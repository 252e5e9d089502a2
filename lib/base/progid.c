/* progid.c - see progid.h. */
#include "lib/base/progid.h"

#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

static void to_hex(XXH128_hash_t h, char hex[HASH_HEX]) {
    static const char digit[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        hex[i] = digit[h.high64 >> (60 - 4 * i) & 15];
        hex[16 + i] = digit[h.low64 >> (60 - 4 * i) & 15];
    }
    hex[HASH_HEX - 1] = 0;
}

/* True when [offset, offset + n) lies in a file of size bytes. */
static int inside(uint64_t offset, uint64_t n, size_t size) { return offset <= size && n <= size - offset; }

/* Feeds the loadable segments; 0 when p is no ELF file this understands. The file header, which the first segment contains,
 * is fed with its pointers to the section table zeroed: they move with the debug information. */
static int feed_segments(XXH3_state_t *st, const unsigned char *p, size_t size) {
    Elf64_Ehdr h;
    if (size < sizeof h) return 0;
    memcpy(&h, p, sizeof h);
    if (memcmp(h.e_ident, ELFMAG, SELFMAG) || h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_phentsize != sizeof(Elf64_Phdr) ||
        !inside(h.e_phoff, (uint64_t)h.e_phnum * sizeof(Elf64_Phdr), size))
        return 0;
    h.e_shoff = 0;
    h.e_shnum = h.e_shstrndx = 0;
    XXH3_128bits_update(st, &h, sizeof h);
    int loads = 0;
    for (unsigned i = 0; i < h.e_phnum; i++) {
        Elf64_Phdr s;
        memcpy(&s, p + h.e_phoff + i * sizeof s, sizeof s);
        if (s.p_type != PT_LOAD) continue;
        if (!inside(s.p_offset, s.p_filesz, size)) return 0;
        uint64_t begin = s.p_offset < sizeof h ? sizeof h : s.p_offset, end = s.p_offset + s.p_filesz;
        uint64_t where[4] = {s.p_vaddr, s.p_memsz, s.p_filesz, s.p_flags};
        XXH3_128bits_update(st, where, sizeof where);
        if (begin < end) XXH3_128bits_update(st, p + begin, end - begin);
        loads++;
    }
    return loads;
}

int progid(const char *path, char hex[HASH_HEX], struct err *e) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat s;
    if (fd < 0) return err_errno(e, "%s: cannot open", path);
    if (fstat(fd, &s) || !S_ISREG(s.st_mode) || s.st_size <= 0) {
        close(fd);
        return err_set(e, ERR_IO, "%s: not a program", path);
    }
    size_t size = (size_t)s.st_size;
    unsigned char *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED) return err_errno(e, "%s: cannot read", path);
    XXH3_state_t *st = XXH3_createState();
    int rc = 0;
    if (st) {
        XXH3_128bits_reset(st);
        if (!feed_segments(st, p, size)) {
            XXH3_128bits_reset(st);
            XXH3_128bits_update(st, p, size);
        }
        to_hex(XXH3_128bits_digest(st), hex);
        XXH3_freeState(st);
    } else rc = err_set(e, ERR_MEMORY, "%s: no memory to hash it", path);
    munmap(p, size);
    return rc;
}
