/* progid.c - see progid.h. */
#define _XOPEN_SOURCE 700 /* realpath */
#include "lib/store/progid.h"

#include <elf.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/infile.h"

/* Libraries that count by content; and those that a back end opens while it runs, of which it finds one. */
static const char *const numeric[] = {"libopenblas", "libblas", "liblapack", "libarpack", "libfftw3"};
static const char opened_by_cuda[] =
    "libcublas.so.13 libcublas.so.12 libcublas.so.11 libcublas.so /usr/local/cuda/lib64/libcublas.so.13 "
    "/usr/local/cuda/lib64/libcublas.so.12 /usr/local/cuda/lib64/libcublas.so.11 /usr/local/cuda/lib64/libcublas.so";

/* Is `backend` of that kind? "cuda-f32" is of "cuda". */
static bool is_of(const char *backend, const char *kind) {
    size_t n = strlen(kind);
    return !strncmp(backend, kind, n) && (!backend[n] || backend[n] == '-');
}

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

/* ---- libraries ---- */

/* A line of the loader's list, "name => path (address)" or, of a library that is named by its path, "path (address)": what counts of it
 * goes to f. */
static int put_library(FILE *f, char *line, struct err *e) {
    char *name = line + strspn(line, "\t "), *arrow = strstr(name, " => /"), real[PATH_MAX], hex[HASH_HEX];
    char *path = arrow ? arrow + 4 : *name == '/' ? name : NULL, *end = path ? strstr(path, " (0x") : NULL;
    if (!end) return 0; /* the kernel's own, or one that is not found */
    *end = 0;
    if (arrow)
        *arrow = 0;
    else
        name = strrchr(path, '/') + 1;
    if (!strncmp(name, "ld-linux", strlen("ld-linux"))) return 0; /* the loader: of the C library's release */
    if (!realpath(path, real)) return err_errno(e, "%s: cannot open", path);
    bool by_content = false;
    for (size_t i = 0; i < sizeof numeric / sizeof *numeric; i++)
        by_content |= !strncmp(name, numeric[i], strlen(numeric[i]));
    int rc = by_content ? hash_content(real, hex, e) : 0;
    if (!rc) fprintf(f, "library %s %s\n", name, by_content ? hex : strrchr(real, '/') + 1);
    return rc;
}

/* The loader's list for a program, into f. It runs nothing of the program. */
static int put_libraries(FILE *f, const char *loader, const char *program, const char *backend, struct err *e) {
    int end[2], rc = 0;
    if (pipe(end)) return err_errno(e, "%s: cannot ask for its libraries", program);
    pid_t pid = fork();
    if (!pid) {
        unsetenv("LD_PRELOAD");
        if (is_of(backend, "cuda")) setenv("LD_PRELOAD", opened_by_cuda, 1);
        if (dup2(end[1], 1) == 1 && freopen("/dev/null", "w", stderr))
            execl(loader, loader, "--list", program, (char *)NULL);
        _exit(127);
    }
    close(end[1]);
    FILE *list = pid < 0 ? NULL : fdopen(end[0], "r");
    if (!list) {
        rc = err_errno(e, "%s: cannot ask for its libraries", program);
        close(end[0]);
    }
    char line[2 * PATH_MAX];
    while (list && !rc && fgets(line, sizeof line, list)) rc = put_library(f, line, e);
    if (list) fclose(list);
    int status = 0;
    if (pid > 0 && (waitpid(pid, &status, 0) != pid || status)) fputs("libraries not told\n", f); /* nor would it run */
    return rc;
}

/* ---- the program ---- */

/* The lines of a section of parts, "name sum [backend]", that count. */
static void put_parts(FILE *f, const char *text, size_t n, const char *backend) {
    for (const char *p = text, *end = text + n; p < end;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        char name[256], sum[128], only[32] = "";
        size_t length = (size_t)((stop ? stop : end) - p);
        char line[sizeof name + sizeof sum + sizeof only];
        if (length < sizeof line) {
            memcpy(line, p, length);
            line[length] = 0;
            if (sscanf(line, "%255s %127s %31s", name, sum, only) < 3 || is_of(backend, only))
                fprintf(f, "code %s\n", line);
        } else
            fprintf(f, "code %.*s\n", (int)length, p);
        p += length + 1;
    }
}

/* A section or program header's bytes by its name or type: where in p, or NULL. */
static const char *section(const unsigned char *p, size_t size, const char *wanted, size_t *n) {
    Elf64_Ehdr h;
    Elf64_Shdr s, names;
    memcpy(&h, p, sizeof h);
    if (h.e_shentsize != sizeof s || h.e_shstrndx >= h.e_shnum ||
        !inside(h.e_shoff, (uint64_t)h.e_shnum * sizeof s, size))
        return NULL;
    memcpy(&names, p + h.e_shoff + h.e_shstrndx * sizeof s, sizeof names);
    if (!inside(names.sh_offset, names.sh_size, size)) return NULL;
    for (unsigned i = 0; i < h.e_shnum; i++) {
        memcpy(&s, p + h.e_shoff + i * sizeof s, sizeof s);
        if (s.sh_name >= names.sh_size || names.sh_size - s.sh_name <= strlen(wanted)) continue;
        if (memcmp(p + names.sh_offset + s.sh_name, wanted, strlen(wanted) + 1) ||
            !inside(s.sh_offset, s.sh_size, size))
            continue;
        *n = s.sh_size;
        return (const char *)p + s.sh_offset;
    }
    return NULL;
}

/* The loader that a program asks for; only the GNU C library's is asked. */
static bool loader_of(const unsigned char *p, size_t size, char loader[PATH_MAX]) {
    Elf64_Ehdr h;
    Elf64_Phdr s;
    memcpy(&h, p, sizeof h);
    for (unsigned i = 0; i < h.e_phnum; i++) {
        memcpy(&s, p + h.e_phoff + i * sizeof s, sizeof s);
        if (s.p_type != PT_INTERP || !inside(s.p_offset, s.p_filesz, size) || s.p_filesz >= PATH_MAX) continue;
        memcpy(loader, p + s.p_offset, s.p_filesz);
        loader[s.p_filesz] = 0;
        return loader[0] == '/' && strstr(loader, "/ld-linux");
    }
    return false;
}

static int put_program(FILE *f, const char *path, const unsigned char *p, size_t size, const char *backend,
                       struct err *e) {
    char hex[HASH_HEX], loader[PATH_MAX];
    Elf64_Ehdr h;
    size_t n = 0;
    if (size >= sizeof h) memcpy(&h, p, sizeof h);
    bool elf = size >= sizeof h && !memcmp(h.e_ident, ELFMAG, SELFMAG) && h.e_ident[EI_CLASS] == ELFCLASS64 &&
               h.e_phentsize == sizeof(Elf64_Phdr) && inside(h.e_phoff, (uint64_t)h.e_phnum * sizeof(Elf64_Phdr), size);
    const char *parts = elf ? section(p, size, ".saemill.parts", &n) : NULL;
    unsigned char *out = elf && !parts ? malloc(size + (size_t)h.e_phnum * 32) : NULL;
    if (elf && !parts && !out) return err_set(e, ERR_MEMORY, "%s: no memory to hash it", path);
    if (parts)
        put_parts(f, parts, n, backend);
    else {
        if (out) n = loaded(p, size, out);
        hash_bytes(n ? out : p, n ? n : size, hex);
        fprintf(f, "code %s\n", hex);
    }
    free(out);
    if (!elf || !loader_of(p, size, loader)) return 0;
    fprintf(f, "libc %s\n", gnu_get_libc_version());
    return put_libraries(f, loader, path, backend, e);
}

int progid(const char *path, const char *backend, char hex[HASH_HEX], struct err *e) {
    struct stat s;
    char *text = NULL;
    size_t n;
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
    FILE *f = open_memstream(&text, &n);
    if (f) rc = put_program(f, path, p, size, backend, e);
    munmap(p, size);
    if (!f || fclose(f)) rc = err_set(e, ERR_MEMORY, "%s: no memory to hash it", path);
    if (!rc) hash_bytes(text, n, hex);
    free(text);
    return rc;
}
