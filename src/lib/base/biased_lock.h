/* A lock for short holds, cheap while only one thread wants it.  A thread that finds it taken waits
 * by the ladder of clock.h; no thread sleeps or runs a task while it holds it.
 *
 * A pthread mutex costs an atomic operation each way, a third of a short task's whole way through
 * the pool.  One exchange still costs a sixth, because it drains the store buffer.  So one thread
 * may own the lock, and pays two plain stores and a load; the others pay for the order of its
 * accesses (membarrier.h).  The first other thread that waits for the lock ends the ownership: with
 * several threads none takes it so much more often than the rest.  A thread that only tries, as the
 * caretaker does, does not end it.
 *
 *   owner     in = 1;  closed?  then out again and wait                          in = 0
 *   others    taken = 1 (exchange);  closed = 1;  fence of all;  wait while in   closed = taken = 0
 *
 * One of the two sees what the other has written.  When the ownership ends, closed stays 1: a
 * thread that still takes itself for the owner finds that out. */
#ifndef RPI_BIASED_LOCK_H
#define RPI_BIASED_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct rpi_biased_lock {
    atomic_int taken;
    atomic_int in, closed;
    atomic_uintptr_t owner; /* rpi_biased_lock_thread(); 0: none */
};

/* `owner` of a lock that is shut: no thread owns it, and what it guards is over */
#define RPI_BIASED_LOCK_SHUT ((uintptr_t)1)

/* What tells this thread from the others. */
static inline uintptr_t rpi_biased_lock_thread(void)
{
#if defined(__x86_64__) && defined(__linux__)
    uintptr_t self;
    __asm__("mov %%fs:0, %0" : "=r"(self));
    return self;
#else
    return (uintptr_t)pthread_self();
#endif
}

/* From now on this thread owns it, where the kernel allows that.  No other thread may know it
 * yet. */
void rpi_biased_lock_own(struct rpi_biased_lock *lock);

void rpi_biased_lock_contend(struct rpi_biased_lock *lock);
bool rpi_biased_lock_try_other(struct rpi_biased_lock *lock);

/* Shuts it for good; the caller must not hold it.  From then on no thread enters as its owner, and
 * one that has taken it sees that it is shut. */
void rpi_biased_lock_shut(struct rpi_biased_lock *lock);
/* The same in a child of fork(), whoever held it in the parent. */
void rpi_biased_lock_leave(struct rpi_biased_lock *lock);

static inline bool rpi_biased_lock_is_shut(const struct rpi_biased_lock *lock)
{
    return atomic_load_explicit(&lock->owner, memory_order_relaxed) == RPI_BIASED_LOCK_SHUT;
}

/* Whether a thread owns it. */
static inline bool rpi_biased_lock_has_owner(const struct rpi_biased_lock *lock)
{
    return atomic_load_explicit(&lock->owner, memory_order_relaxed) > RPI_BIASED_LOCK_SHUT;
}

static inline bool rpi_biased_lock_is_own(const struct rpi_biased_lock *lock)
{
    return atomic_load_explicit(&lock->owner, memory_order_relaxed) == rpi_biased_lock_thread();
}

/* The owner's way in; false: another is inside, or wants to be. */
static inline bool rpi_biased_lock_enter(struct rpi_biased_lock *lock)
{
    atomic_store_explicit(&lock->in, 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    return !atomic_load_explicit(&lock->closed, memory_order_acquire);
}

static inline void rpi_biased_lock_take(struct rpi_biased_lock *lock)
{
    if (!rpi_biased_lock_is_own(lock) || !rpi_biased_lock_enter(lock))
        rpi_biased_lock_contend(lock);
}

/* Takes it only if no other thread has it.  Not for the owner. */
static inline bool rpi_biased_lock_try(struct rpi_biased_lock *lock)
{
    return !atomic_load_explicit(&lock->taken, memory_order_relaxed) &&
           !atomic_load_explicit(&lock->in, memory_order_relaxed) &&
           rpi_biased_lock_try_other(lock);
}

static inline void rpi_biased_lock_give(struct rpi_biased_lock *lock)
{
    if (rpi_biased_lock_is_own(lock)) {
        atomic_store_explicit(&lock->in, 0, memory_order_release);
        return;
    }
    if (rpi_biased_lock_has_owner(lock))
        atomic_store_explicit(&lock->closed, 0, memory_order_release);
    atomic_store_explicit(&lock->taken, 0, memory_order_release);
}

#endif
