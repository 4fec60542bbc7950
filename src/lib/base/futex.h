/* A bell in memory that two processes share: one rings, the other sleeps until it does. */
#ifndef RPI_FUTEX_H
#define RPI_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>

struct rpi_futex {
    _Atomic uint32_t rung; /* so often */
};

/* What the sleeper gives to rpi_futex_sleep, behind one more look at what it waits for. */
static inline uint32_t rpi_futex_count(struct rpi_futex *bell)
{
    return atomic_load(&bell->rung);
}

/* Until it rings again, since it was counted; it may also return for no reason. */
void rpi_futex_sleep(struct rpi_futex *bell, uint32_t count);
/* Behind what it is rung for. */
void rpi_futex_ring(struct rpi_futex *bell);

#endif
