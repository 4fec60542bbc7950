#include "transport/mpi/ompi41.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#if __SIZEOF_POINTER__ == 8

#define COMPONENT "mca_btl_tcp"

static int quiet =
    -1; /* the read end of a pipe that is never written to: never readable or writable */

static bool is_end(ssize_t size)
{
    return size == 0 || (size < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR &&
                         errno != EFAULT);
}

/* What the component would see of an ended connection: one over which nothing comes and nothing
 * goes.  The descriptor stays its own. */
static ssize_t silence(int file)
{
    (void)dup3(quiet, file, O_CLOEXEC);
    errno = EAGAIN;
    return -1;
}

static ssize_t read_or_wait(int file, const struct iovec *pieces, int count)
{
    ssize_t size = readv(file, pieces, count);
    return is_end(size) ? silence(file) : size;
}

static ssize_t write_or_wait(int file, const struct iovec *pieces, int count)
{
    ssize_t size = writev(file, pieces, count);
    return is_end(size) ? silence(file) : size;
}

/* ---- the component's calls of them: slots that the dynamic linker fills, one for each function
 * (System V ABI, "Dynamic Linking") */

typedef ssize_t (*transfer)(int, const struct iovec *, int);

struct tables {
    const char *names;
    const Elf64_Sym *symbols;
    const Elf64_Rela *calls;
    size_t calls_bytes;
    Elf64_Addr sealed, sealed_end; /* made read-only when everything was linked */
};

/* An address in an object's dynamic section: the linker has made it one of this process, on most
 * machines. */
static const void *at(const struct dl_phdr_info *object, Elf64_Addr address)
{
    return (const void *)(uintptr_t)(address < object->dlpi_addr ? address + object->dlpi_addr
                                                                 : address);
}

static bool find_tables(const struct dl_phdr_info *object, struct tables *tables)
{
    const Elf64_Dyn *entry = NULL;
    Elf64_Sxword kind = 0;
    *tables = (struct tables){ 0 };
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const Elf64_Phdr *part = &object->dlpi_phdr[i];
        if (part->p_type == PT_DYNAMIC)
            entry = (const Elf64_Dyn *)(uintptr_t)(object->dlpi_addr + part->p_vaddr);
        if (part->p_type == PT_GNU_RELRO) {
            tables->sealed = object->dlpi_addr + part->p_vaddr;
            tables->sealed_end = tables->sealed + part->p_memsz;
        }
    }
    for (; entry && entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_STRTAB)
            tables->names = at(object, entry->d_un.d_ptr);
        else if (entry->d_tag == DT_SYMTAB)
            tables->symbols = at(object, entry->d_un.d_ptr);
        else if (entry->d_tag == DT_JMPREL)
            tables->calls = at(object, entry->d_un.d_ptr);
        else if (entry->d_tag == DT_PLTRELSZ)
            tables->calls_bytes = entry->d_un.d_val;
        else if (entry->d_tag == DT_PLTREL)
            kind = (Elf64_Sxword)entry->d_un.d_val;
    }
    return tables->names && tables->symbols && tables->calls && kind == DT_RELA;
}

static void fill(const struct tables *tables, Elf64_Addr slot, transfer function)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *start = (void *)(uintptr_t)(slot & ~(Elf64_Addr)(page - 1));
    bool sealed = slot >= tables->sealed && slot < tables->sealed_end;
    if (sealed && mprotect(start, page, PROT_READ | PROT_WRITE) != 0)
        return;
    __atomic_store_n((transfer *)(uintptr_t)slot, function, __ATOMIC_RELEASE);
    if (sealed)
        (void)mprotect(start, page, PROT_READ);
}

static int redirect(struct dl_phdr_info *object, size_t size, void *unused)
{
    struct tables tables;
    int ends[2];
    (void)size;
    (void)unused;
    if (!strstr(object->dlpi_name, COMPONENT) || !find_tables(object, &tables))
        return 0;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return 1;
    quiet = ends[0];
    for (size_t i = 0; i < tables.calls_bytes / sizeof *tables.calls; i++) {
        const Elf64_Rela *call = &tables.calls[i];
        const char *name = tables.names + tables.symbols[ELF64_R_SYM(call->r_info)].st_name;
        if (strcmp(name, "readv") == 0)
            fill(&tables, object->dlpi_addr + call->r_offset, read_or_wait);
        else if (strcmp(name, "writev") == 0)
            fill(&tables, object->dlpi_addr + call->r_offset, write_or_wait);
    }
    return 1;
}

static void redirect_all(void)
{
    (void)dl_iterate_phdr(redirect, NULL);
}

void rpi_ompi41_outlive_peers(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, redirect_all);
}

#else

void rpi_ompi41_outlive_peers(void)
{
}

#endif
