#include "base/handoff.h"

#include "base/clock.h"
#include "base/membarrier.h"

void rpi_handoff_init(struct rpi_handoff *loan, void (*call)(void *context), void *context)
{
    atomic_init(&loan->turn, 0);
    atomic_init(&loan->borrowed, false);
    atomic_init(&loan->asleep, false);
    loan->fences = !rpi_membarrier_register();
    loan->call = call;
    loan->context = context;
}

void rpi_handoff_call(struct rpi_handoff *loan)
{
    atomic_store(&loan->asleep, false);
    loan->call(loan->context);
}

void rpi_handoff_contend(struct rpi_handoff *loan)
{
    struct rpi_patience patience = { 0 };
    while (atomic_load(&loan->borrowed))
        rpi_patience_wait(&patience);
}

bool rpi_handoff_borrow(struct rpi_handoff *loan)
{
    atomic_store(&loan->borrowed, true);
    if (!loan->fences)
        rpi_membarrier_all();
    if (atomic_load(&loan->turn) & 1)
        return true;
    atomic_store(&loan->borrowed, false);
    return false;
}

void rpi_handoff_return(struct rpi_handoff *loan)
{
    atomic_store(&loan->borrowed, false);
}

bool rpi_handoff_sleep(struct rpi_handoff *loan, uint64_t turn)
{
    atomic_store(&loan->asleep, true);
    if (!loan->fences)
        rpi_membarrier_all();
    if (!(turn & 1) && atomic_load(&loan->turn) == turn)
        return true;
    atomic_store(&loan->asleep, false);
    return false;
}
