/* What one thread, its owner, holds except while it is out, and what another may borrow meanwhile:
 * a lock whose owner comes and goes millions of times a second and pays two plain stores and two
 * loads for it.  The borrower pays instead: it makes the whole process's memory accesses take an
 * order (membarrier), where the kernel does that; else the owner pays an exchange for each store.
 *
 *   owner     turn = odd ... out ...   turn = even;  borrowed?  then wait
 *   borrower                           borrowed = true;  fence of all;  turn odd?  then it has it
 *
 * One of the two sees what the other has written. */
#ifndef RPI_HANDOFF_H
#define RPI_HANDOFF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct rpi_handoff {
    _Atomic uint64_t turn; /* odd: the owner is out */
    atomic_bool borrowed;
    atomic_bool asleep; /* the borrower is not looking: the owner calls it when it goes out */
    bool fences;        /* the kernel does not order the owner's accesses */
    void (*call)(void *context);
    void *context;
};

/* `call` wakes the borrower; from the owner's thread. */
void rpi_handoff_init(struct rpi_handoff *handoff, void (*call)(void *context), void *context);

void rpi_handoff_call(struct rpi_handoff *handoff);
void rpi_handoff_contend(struct rpi_handoff *handoff);

/* Before what it reads of the other side. */
static inline void rpi_handoff_next_turn(struct rpi_handoff *handoff)
{
    uint64_t turn = atomic_load_explicit(&handoff->turn, memory_order_relaxed) + 1;
    if (handoff->fences)
        (void)atomic_exchange(&handoff->turn, turn);
    else
        atomic_store_explicit(&handoff->turn, turn, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
}

/* The owner goes out, and comes back. */
static inline void rpi_handoff_out(struct rpi_handoff *handoff)
{
    rpi_handoff_next_turn(handoff);
    if (atomic_load(&handoff->asleep))
        rpi_handoff_call(handoff);
}

static inline void rpi_handoff_back(struct rpi_handoff *handoff)
{
    rpi_handoff_next_turn(handoff);
    if (atomic_load(&handoff->borrowed))
        rpi_handoff_contend(handoff);
}

/* Borrows it if the owner is out.  Not from the owner's thread. */
bool rpi_handoff_borrow(struct rpi_handoff *handoff);
void rpi_handoff_return(struct rpi_handoff *handoff);

/* What tells one time out from another; odd: out now. */
static inline uint64_t rpi_handoff_turn(const struct rpi_handoff *handoff)
{
    return atomic_load(&handoff->turn);
}

/* The borrower means to sleep until it is called.  False: the owner is out, or has been since
 * `turn`. */
bool rpi_handoff_sleep(struct rpi_handoff *handoff, uint64_t turn);

#endif
