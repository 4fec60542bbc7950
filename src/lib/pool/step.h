/* A step of the pool: what has come is taken, what is ready goes out. */
#ifndef RPI_STEP_H
#define RPI_STEP_H

#include "pool/state.h"

/* One step now; `run`: a task too, in a pool of one process, which lets the lock go meanwhile.
 * Returns whether anything happened. */
bool rpi_step(rp_pool *pool, bool run);
#define RPI_STEP_CALLS 16 /* calls that share one look at the time */

/* One step, if the last is a microsecond ago, and some times as long as it took.  The lock is held.
 * While much is queued, not every call looks at the time: it costs a quarter of a call. */
void rpi_step_drive_now(rp_pool *pool);
static inline void rpi_step_drive(rp_pool *pool)
{
    if (++pool->steps.calls % RPI_STEP_CALLS == 0 ||
        pool->master.ready.queue.tasks - 1 < RPI_STEP_CALLS)
        rpi_step_drive_now(pool);
}
/* Hands out what was queued, without looking at what has come. */
void rpi_step_dispatch(rp_pool *pool);
/* Frees shared data that is needed no more. */
void rpi_step_free_shares(rp_pool *pool);
/* Whether a large payload is under way, which moves only while the pool is driven. */
bool rpi_step_carries(const rp_pool *pool);
/* Parts of a step: takes what worker 0 sent; hands the transports what the engine
 * has for them; notes what failed. */
bool rpi_step_poll_here(rp_pool *pool);
void rpi_step_pump(rp_pool *pool);

#endif
