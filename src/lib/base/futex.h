/* A bell in memory that two processes share: one rings, the other sleeps until it does. */
#ifndef RPI_FUTEX_H
#define RPI_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>

struct rpi_bell {
    _Atomic uint32_t rung; /* so often */
};

/* What the sleeper gives to rpi_bell_sleep, behind one more look at what it waits for. */
static inline uint32_t rpi_bell_count(struct rpi_bell *bell)
{
    return atomic_load(&bell->rung);
}

/* Until it rings again, since it was counted; it may also return for no reason. */
void rpi_bell_sleep(struct rpi_bell *bell, uint32_t count);
/* Behind what it is rung for. */
void rpi_bell_ring(struct rpi_bell *bell);

#endif
