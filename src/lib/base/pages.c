#include "base/pages.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static uintptr_t round_up(uintptr_t address, uintptr_t unit)
{
    return (address + unit - 1) & ~(unit - 1);
}

static uintptr_t page_size(void)
{
    return (uintptr_t)sysconf(_SC_PAGESIZE);
}

static void unmap(uintptr_t begin, uintptr_t end)
{
    if (begin < end)
        (void)munmap((void *)begin, end - begin); /* cannot fail: it cuts off an end */
}

void *rpi_pages_new(size_t size)
{
    size = round_up(size, page_size());
    size_t room = size + RPI_PAGES_HUGE;
    /* cppcheck-suppress invalidFunctionArg ; MAP_ANONYMOUS wants fd -1 */
    void *map = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return NULL;
    uintptr_t pages = round_up((uintptr_t)map, RPI_PAGES_HUGE);
    unmap((uintptr_t)map, pages);
    unmap(pages + size, (uintptr_t)map + room);
    (void)madvise((void *)pages, size, MADV_HUGEPAGE); /* without it they are small */
    return (void *)pages;
}

void rpi_pages_free(void *pages, size_t size)
{
    unmap((uintptr_t)pages, (uintptr_t)pages + round_up(size, page_size()));
}

void rpi_pages_empty(void *memory, size_t size)
{
    uintptr_t begin = round_up((uintptr_t)memory, page_size());
    uintptr_t end = ((uintptr_t)memory + size) & ~(page_size() - 1);
    if (begin < end)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}
