#include "base/biased_lock.h"

#include "base/backoff.h"
#include "base/membarrier.h"

void rpi_biased_lock_own(struct rpi_biased_lock *lock)
{
    if (rpi_membarrier_register())
        atomic_store_explicit(&lock->owner, rpi_biased_lock_thread(), memory_order_relaxed);
}

/* The owner waits until it is let in.  False: it owns the lock no more. */
static bool wait_as_owner(struct rpi_biased_lock *lock)
{
    struct rpi_backoff backoff = { 0 };
    while (rpi_biased_lock_is_own(lock)) {
        atomic_store_explicit(&lock->in, 0, memory_order_release);
        while (atomic_load_explicit(&lock->closed, memory_order_relaxed) &&
               rpi_biased_lock_is_own(lock))
            rpi_backoff_wait(&backoff);
        if (rpi_biased_lock_enter(lock))
            return true;
    }
    atomic_store_explicit(&lock->in, 0, memory_order_release);
    return false;
}

/* The owner is kept out; what it did inside is seen from here on.  Returns whether it is out. */
static bool close_to_owner(struct rpi_biased_lock *lock)
{
    atomic_store(&lock->closed, 1);
    rpi_membarrier_all();
    return !atomic_load_explicit(&lock->in, memory_order_acquire);
}

static void take(struct rpi_biased_lock *lock)
{
    struct rpi_backoff backoff = { 0 };
    while (atomic_exchange_explicit(&lock->taken, 1, memory_order_acquire))
        while (atomic_load_explicit(&lock->taken, memory_order_relaxed))
            rpi_backoff_wait(&backoff);
}

void rpi_biased_lock_contend(struct rpi_biased_lock *lock)
{
    struct rpi_backoff backoff = { 0 };
    if (rpi_biased_lock_is_own(lock) && wait_as_owner(lock))
        return;
    take(lock);
    if (!rpi_biased_lock_has_owner(lock))
        return;
    for (bool out = close_to_owner(lock); !out;
         out = !atomic_load_explicit(&lock->in, memory_order_acquire))
        rpi_backoff_wait(&backoff);
    atomic_store_explicit(&lock->owner, 0, memory_order_relaxed); /* and closed stays 1 */
}

bool rpi_biased_lock_try_other(struct rpi_biased_lock *lock)
{
    if (atomic_exchange_explicit(&lock->taken, 1, memory_order_acquire))
        return false;
    if (!rpi_biased_lock_has_owner(lock) || close_to_owner(lock))
        return true;
    rpi_biased_lock_give(lock);
    return false;
}

void rpi_biased_lock_shut(struct rpi_biased_lock *lock)
{
    struct rpi_backoff backoff = { 0 };
    take(lock);
    for (bool out = close_to_owner(lock); !out;
         out = !atomic_load_explicit(&lock->in, memory_order_acquire))
        rpi_backoff_wait(&backoff);
    atomic_store_explicit(&lock->owner, RPI_BIASED_LOCK_SHUT,
                          memory_order_relaxed); /* and closed stays 1 */
    rpi_biased_lock_give(lock);
}

void rpi_biased_lock_leave(struct rpi_biased_lock *lock)
{
    atomic_store(&lock->owner, RPI_BIASED_LOCK_SHUT);
    atomic_store(&lock->closed, 1);
    atomic_store(&lock->in, 0);
    atomic_store(&lock->taken, 0);
}
