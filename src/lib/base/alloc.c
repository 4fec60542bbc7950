#include "base/alloc.h"

#include "base/bufcache.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void *plain(void *old, size_t size, void *user)
{
    (void)user;
    if (size == 0) {
        free(old);
        return NULL;
    }
    return realloc(old, size);
}

struct rpi_alloc rpi_alloc_of(rp_alloc *fn, void *user)
{
    return (struct rpi_alloc){ .fn = fn ? fn : plain, .user = user };
}

void *rpi_reserve(const struct rpi_alloc *alloc, size_t size)
{
    return alloc->fn(NULL, size ? size : 1, alloc->user);
}

void *rpi_zeroed(const struct rpi_alloc *alloc, size_t size)
{
    void *memory = rpi_reserve(alloc, size);
    if (memory)
        memset(memory, 0, size);
    return memory;
}

void *rpi_resize(const struct rpi_alloc *alloc, void *old, size_t size)
{
    return alloc->fn(old, size ? size : 1, alloc->user);
}

void rpi_free(const struct rpi_alloc *alloc, void *memory)
{
    if (memory)
        (void)alloc->fn(memory, 0, alloc->user);
}

bool rpi_has_pages(const struct rpi_alloc *alloc)
{
    return alloc->fn == plain;
}

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
    /* cppcheck-suppress invalidFunctionArg ; so it is to be with MAP_ANONYMOUS */
    void *map = mmap(NULL, size + RPI_HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return NULL;
    uintptr_t pages = round_up((uintptr_t)map, RPI_HUGE);
    unmap((uintptr_t)map, pages);
    unmap(pages + size, (uintptr_t)map + size + RPI_HUGE);
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

void *rpi_buffer_new(const struct rpi_alloc *alloc, size_t size)
{
    if (alloc->spares && size >= RPI_BUFCACHE_LEAST)
        return rpi_bufcache_buffer(alloc->spares, size);
    if (size > SIZE_MAX - sizeof(struct rpi_owner))
        return NULL;
    struct rpi_owner *owner = rpi_reserve(alloc, sizeof *owner + size);
    if (!owner)
        return NULL;
    *owner = (struct rpi_owner){ .fn = alloc->fn, .user = alloc->user };
    return owner + 1;
}

void rpi_buffer_free(void *buffer)
{
    if (!buffer)
        return;
    struct rpi_owner *owner = (struct rpi_owner *)buffer - 1;
    (void)owner->fn(owner, 0, owner->user);
}

void rp_free(void *data)
{
    rpi_buffer_free(data);
}
