#include "base/handoff.h"

#include "base/backoff.h"
#include "base/membarrier.h"

void rpi_handoff_init(struct rpi_handoff *handoff, void (*call)(void *context), void *context)
{
    atomic_init(&handoff->turn, 0);
    atomic_init(&handoff->borrowed, false);
    atomic_init(&handoff->asleep, false);
    handoff->fences = !rpi_membarrier_register();
    handoff->call = call;
    handoff->context = context;
}

void rpi_handoff_call(struct rpi_handoff *handoff)
{
    atomic_store(&handoff->asleep, false);
    handoff->call(handoff->context);
}

void rpi_handoff_contend(struct rpi_handoff *handoff)
{
    struct rpi_backoff backoff = { 0 };
    while (atomic_load(&handoff->borrowed))
        rpi_backoff_wait(&backoff);
}

bool rpi_handoff_borrow(struct rpi_handoff *handoff)
{
    atomic_store(&handoff->borrowed, true);
    if (!handoff->fences)
        rpi_membarrier_all();
    if (atomic_load(&handoff->turn) & 1)
        return true;
    atomic_store(&handoff->borrowed, false);
    return false;
}

void rpi_handoff_return(struct rpi_handoff *handoff)
{
    atomic_store(&handoff->borrowed, false);
}

bool rpi_handoff_sleep(struct rpi_handoff *handoff, uint64_t turn)
{
    atomic_store(&handoff->asleep, true);
    if (!handoff->fences)
        rpi_membarrier_all();
    if (!(turn & 1) && atomic_load(&handoff->turn) == turn)
        return true;
    atomic_store(&handoff->asleep, false);
    return false;
}
