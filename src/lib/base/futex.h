/* A bell in memory that two processes share: one rings, the other sleeps until it does. */
#ifndef RPI_FUTEX_H
#define RPI_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>

struct rpi_futex {
    _Atomic uint32_t rung; /* number of rings */
};

/* Read it, check the awaited condition once more, then give it to rpi_futex_sleep. */
static inline uint32_t rpi_futex_count(struct rpi_futex *bell)
{
    return atomic_load(&bell->rung);
}

/* Until it rings again, since it was counted; it may also return for no reason. */
void rpi_futex_sleep(struct rpi_futex *bell, uint32_t count);
/* Call it after the change that the sleeper waits for. */
void rpi_futex_ring(struct rpi_futex *bell);

#endif
