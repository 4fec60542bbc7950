/* A lock for short holds, cheap where nobody else wants it: one atomic exchange to take it, a plain store to give it back (a pthread
 * mutex costs an atomic operation each way, a third of a short task's whole way through the pool).  Who finds it taken waits by the
 * ladder of clock.h; nobody holds it while he sleeps or runs a task. */
#ifndef RPI_LOCK_H
#define RPI_LOCK_H

#include "clock.h"

#include <stdatomic.h>

struct rpi_lock {
    atomic_int taken;
};

void rpi_lock_contend(struct rpi_lock *lock);

static inline void rpi_lock_take(struct rpi_lock *lock)
{
    if (atomic_exchange_explicit(&lock->taken, 1, memory_order_acquire))
        rpi_lock_contend(lock);
}

/* Takes it only where nobody else has it. */
static inline bool rpi_lock_try(struct rpi_lock *lock)
{
    return !atomic_load_explicit(&lock->taken, memory_order_relaxed) &&
           !atomic_exchange_explicit(&lock->taken, 1, memory_order_acquire);
}

static inline void rpi_lock_give(struct rpi_lock *lock)
{
    atomic_store_explicit(&lock->taken, 0, memory_order_release);
}

#endif
