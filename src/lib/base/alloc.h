/* Memory through the application's hook, or in pages of the system's.  The only file pair that calls realloc and free. */
#ifndef RPI_ALLOC_H
#define RPI_ALLOC_H

#include <rankpool.h>

struct rpi_bufcache;

struct rpi_alloc {
    rp_alloc *fn;
    void *user;
    struct rpi_bufcache *spares; /* NULL, or: where large buffers come from */
};

/* `fn` NULL: realloc and free. */
struct rpi_alloc rpi_alloc_of(rp_alloc *fn, void *user);

/* NULL: no memory.  Not zeroed; size 0 is taken as 1.  Freed by rpi_free. */
void *rpi_reserve(const struct rpi_alloc *alloc, size_t size);
void *rpi_zeroed(const struct rpi_alloc *alloc, size_t size);
/* NULL: no memory, and `old` is as it was. */
void *rpi_resize(const struct rpi_alloc *alloc, void *old, size_t size);
void rpi_free(const struct rpi_alloc *alloc, void *memory);

/* The system's large pages: a copy between processes looks up each page, and each new one costs a fault. */
#define RPI_HUGE ((size_t)2 << 20)
/* Whether memory comes from the system, which may be asked for pages; the application's hook is asked for all. */
bool rpi_has_pages(const struct rpi_alloc *alloc);
/* Apart from all other memory, and large pages as far as whole ones go, where the system has them.  NULL: no memory. */
void *rpi_pages_new(size_t size);
void rpi_pages_free(void *pages, size_t size);
/* The system takes back what whole pages there are, until they are written again; what they hold is lost. */
void rpi_pages_empty(void *memory, size_t size);

/* What stands before a buffer's first byte. */
struct rpi_owner {
    _Alignas(max_align_t) rp_alloc *fn; /* frees it */
    void *user;
};

/* A buffer that remembers its allocator, so that it can be handed to the application and freed by rp_free.  Aligned for any type. */
void *rpi_buffer_new(const struct rpi_alloc *alloc, size_t size);
void rpi_buffer_free(void *buffer);

#endif
