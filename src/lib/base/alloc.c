#include "base/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

void *rpi_buffer_new(const struct rpi_alloc *alloc, size_t size)
{
    if (alloc->large && size >= RPI_BUFFER_LARGE)
        return alloc->large(alloc->cache, size);
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
