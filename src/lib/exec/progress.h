/* How far a task is, for those that watch it from another thread or process, and how far a chunk of
 * a map may go.
 *
 * The items of a running chunk that have not begun can be taken from it at any time.  Its runner
 * says which item is next, then reads the limit; its cutter sets the limit to 0, then reads the
 * item.  If both keep this order (the cutter enforces it on the runner where that is cheaper), one
 * of the two sees what the other has written: so an item is either begun or taken, never both. */
#ifndef RPI_PROGRESS_H
#define RPI_PROGRESS_H

#include <stdatomic.h>
#include <stdint.h>

struct rpi_mailbox_progress {
    _Atomic uint64_t deadline; /* nanoseconds on the monotonic clock; 0: none */
    /* of a chunk: */
    _Atomic uint32_t item;     /* the one that runs, or the limit; those before it are done */
    _Atomic uint32_t limit;    /* items from this one on must not begin; 0: it is being cut, wait */
    _Atomic uint32_t failures; /* of them */
    _Atomic uint32_t failures_size; /* bytes, after the results */
};

/* Call before a chunk of `items` items, at least one, is given to its runner. */
static inline void rpi_mailbox_progress_begin(struct rpi_mailbox_progress *progress, uint32_t items)
{
    atomic_store_explicit(&progress->item, 0, memory_order_relaxed);
    atomic_store_explicit(&progress->limit, items, memory_order_release);
}

/* Leaves the chunk the items that it has begun, the first at least; returns how many these are.
 * Only one at a time may cut.  `fence`: makes the thread that runs it order its accesses; NULL: it
 * does so by itself, or is this thread. */
static inline uint32_t rpi_mailbox_progress_cut(struct rpi_mailbox_progress *progress,
                                                void (*fence)(void))
{
    uint32_t limit = atomic_exchange(&progress->limit, 0);
    if (fence)
        fence();
    uint32_t item = atomic_load(&progress->item);
    if (item < limit)
        limit = item + 1;
    atomic_store(&progress->limit, limit);
    return limit;
}

#endif
