#include "lock.h"

void rpi_lock_contend(struct rpi_lock *lock)
{
    struct rpi_patience patience = { 0 };
    do {
        while (atomic_load_explicit(&lock->taken, memory_order_relaxed))
            rpi_patience_wait(&patience);
    } while (atomic_exchange_explicit(&lock->taken, 1, memory_order_acquire));
}
