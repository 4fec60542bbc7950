/* An allocator for the library's hook that counts what is live and can fail: the nth time, from
 * then on, or by chance.  New memory and freed memory are filled with junk, so that using either
 * shows. */
#ifndef MEMORY_H
#define MEMORY_H

#include "base/alloc.h"

struct memory {
    uint64_t live;     /* blocks */
    uint64_t bytes;    /* in them */
    uint64_t calls;    /* that asked for memory */
    uint64_t refused;  /* of them */
    uint64_t fail_at;  /* the call that is refused, from 1; 0: none */
    bool fail_on;      /* and every one after it */
    uint32_t fail_ppm; /* calls refused by chance, in a million */
    size_t most;       /* a block of more bytes is refused; 0: none is */
    uint64_t random;
};

void *memory_alloc(void *old, size_t size, void *memory);
struct rpi_alloc memory_hook(struct memory *memory);

/* For the tests' own needs: realloc that never fails, and zeroed memory.  Freed by free. */
void *test_room(void *old, size_t size);
void *test_zeroed(size_t size);

#endif
