#include "alloc.h"

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

/* What stands before a buffer's first byte. */
struct owner {
    _Alignas(max_align_t) struct rpi_alloc alloc;
};

void *rpi_buffer_new(const struct rpi_alloc *alloc, size_t size)
{
    if (size > SIZE_MAX - sizeof(struct owner))
        return NULL;
    struct owner *owner = rpi_reserve(alloc, sizeof *owner + size);
    if (!owner)
        return NULL;
    owner->alloc = *alloc;
    return owner + 1;
}

void rpi_buffer_free(void *buffer)
{
    if (!buffer)
        return;
    struct owner *owner = (struct owner *)buffer - 1;
    struct rpi_alloc alloc = owner->alloc;
    rpi_free(&alloc, owner);
}

void rp_free(void *data)
{
    rpi_buffer_free(data);
}
