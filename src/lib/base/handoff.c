#include "base/handoff.h"

#include "base/clock.h"
#include "base/membarrier.h"

void rpi_loan_init(struct rpi_loan *loan, void (*call)(void *context), void *context)
{
    atomic_init(&loan->turn, 0);
    atomic_init(&loan->borrowed, false);
    atomic_init(&loan->asleep, false);
    loan->fences = !rpi_fence_register();
    loan->call = call;
    loan->context = context;
}

void rpi_loan_call(struct rpi_loan *loan)
{
    atomic_store(&loan->asleep, false);
    loan->call(loan->context);
}

void rpi_loan_contend(struct rpi_loan *loan)
{
    struct rpi_patience patience = { 0 };
    while (atomic_load(&loan->borrowed))
        rpi_patience_wait(&patience);
}

bool rpi_loan_borrow(struct rpi_loan *loan)
{
    atomic_store(&loan->borrowed, true);
    if (!loan->fences)
        rpi_fence_all();
    if (atomic_load(&loan->turn) & 1)
        return true;
    atomic_store(&loan->borrowed, false);
    return false;
}

void rpi_loan_return(struct rpi_loan *loan)
{
    atomic_store(&loan->borrowed, false);
}

bool rpi_loan_sleep(struct rpi_loan *loan, uint64_t turn)
{
    atomic_store(&loan->asleep, true);
    if (!loan->fences)
        rpi_fence_all();
    if (!(turn & 1) && atomic_load(&loan->turn) == turn)
        return true;
    atomic_store(&loan->asleep, false);
    return false;
}
