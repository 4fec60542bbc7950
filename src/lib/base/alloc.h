/* Memory through the application's hook.  The only file pair that calls realloc and free. */
#ifndef RPI_ALLOC_H
#define RPI_ALLOC_H

#include <rankpool.h>

#define RPI_BUFFER_LARGE ((size_t)64 << 10) /* bytes */

struct rpi_alloc {
    rp_alloc *fn;
    void *user;
    void *(*large)(
        void *cache,
        size_t size); /* NULL, or gives buffers of RPI_BUFFER_LARGE and more, or NULL: no memory */
    void *cache;      /* its own (bufcache.h) */
};

/* `fn` NULL: realloc and free. */
struct rpi_alloc rpi_alloc_of(rp_alloc *fn, void *user);

/* NULL: no memory.  Not zeroed; size 0 is taken as 1.  Freed by rpi_free. */
void *rpi_reserve(const struct rpi_alloc *alloc, size_t size);
void *rpi_zeroed(const struct rpi_alloc *alloc, size_t size);
/* NULL: no memory, and `old` is as it was. */
void *rpi_resize(const struct rpi_alloc *alloc, void *old, size_t size);
void rpi_free(const struct rpi_alloc *alloc, void *memory);

/* Whether memory comes from the system, which may be asked for pages too (pages.h); the
 * application's hook is asked for all. */
bool rpi_has_pages(const struct rpi_alloc *alloc);

/* What stands before a buffer's first byte. */
struct rpi_owner {
    _Alignas(max_align_t) rp_alloc *fn; /* frees it */
    void *user;
};

/* A buffer that remembers its allocator, so that it can be handed to the application and freed by
 * rp_free.  Aligned for any type. */
void *rpi_buffer_new(const struct rpi_alloc *alloc, size_t size);
void rpi_buffer_free(void *buffer);

#endif
