#include "pool/wait.h"

#include "base/backoff.h"
#include "base/status.h"
#include "pool/callbacks.h"
#include "pool/idle.h"
#include "pool/journaling.h"
#include "pool/local_worker.h"
#include "pool/pool.h"
#include "pool/step.h"

/* ---- rank 0 works too */

/* How long a task may be expected to take.  A longer one than RPI_LOCAL_WORKER_SHORT must end
 * before the timeout, and the caretaker must hand out tasks meanwhile. */
static double bearable(const rp_pool *pool, double left)
{
    if (left <= 0)
        return 0;
    return left > RPI_LOCAL_WORKER_SHORT && pool->progress_thread.live ? left
                                                                       : RPI_LOCAL_WORKER_SHORT;
}

/* In a waiting call with `left` seconds to go, when no other worker can be given more: takes a
 * task for rank 0 itself, or a few very short ones, and runs them.  Returns whether anything
 * happened. */
static bool help(rp_pool *pool, double left)
{
    const struct rpi_seat *seat = &pool->master.roster.seats[0];
    if (pool->local.executing || pool->broken != RP_OK)
        return false;
    if (!seat->in_flight &&
        !rpi_master_dispatch_here(&pool->master, bearable(pool, left), pool->now))
        return false;
    bool all = false;
    for (bool any = true; any && seat->in_flight && pool->broken == RP_OK; all = all || any) {
        rpi_step_pump(pool);
        any = rpi_local_worker_run(pool, UINT32_MAX);
        any = rpi_step_poll_here(pool) || any;
    }
    rpi_step_dispatch(pool);
    return all;
}

/* ---- waiting */

/* A step has found nothing.  Returns whether this thread is about to sleep, and wants to look once
 * more before. */
static bool wait_a_while(rp_pool *pool, struct rpi_backoff *backoff, bool dozing, double left)
{
    if (dozing) {
        double limit = rpi_idle_limit(pool, backoff);
        if (rpi_idle_take(pool, limit < left ? limit : left, false))
            rpi_backoff_rouse(backoff);
    } else if (rpi_backoff_is_drowsy(backoff) && rpi_idle_doze(pool)) {
        return true;
    } else {
        backoff->moving = pool->transport->moving;
        rpi_biased_lock_give(&pool->lock);
        rpi_backoff_wait(backoff);
        rpi_biased_lock_take(&pool->lock);
    }
    return false;
}

static rp_status wait_until(rp_pool *pool, bool (*ready)(rp_pool *pool, const void *context),
                            const void *context, double timeout, bool deliver)
{
    struct rpi_backoff backoff = { .crowded = pool->transport->crowd > 1 };
    double deadline = 0;
    bool dozing = false;
    while (!ready(pool, context)) {
        rp_status status = rpi_pool_sound(pool);
        if (status == RP_OK)
            status = rpi_callbacks_may_wait("the call");
        if (status != RP_OK)
            return status;
        pool->transport->hasty = rpi_backoff_spins(&backoff);
        bool any = rpi_step(pool, true);
        if (deliver && pool->master.called.ids.count)
            rpi_callbacks_deliver(pool);
        if (deadline <= 0)
            deadline = rpi_deadline(pool->now, timeout);
        if (ready(pool, context))
            return RP_OK;
        if (pool->shortage != RP_OK)
            return rpi_no_memory("what came from the workers; it waits");
        if (pool->now >= deadline)
            return rpi_error(RP_ERR_TIMEOUT, "not settled within %g s", timeout);
        if (pool->local.here && help(pool, deadline - pool->now))
            any = true;
        if (any)
            rpi_backoff_reset(&backoff);
        dozing = !any && wait_a_while(pool, &backoff, dozing, deadline - pool->now);
    }
    return RP_OK;
}

static rp_status wait_counted(rp_pool *pool, bool (*ready)(rp_pool *pool, const void *context),
                              const void *context, double timeout, bool deliver)
{
    pool->waiting++;
    rp_status status = wait_until(pool, ready, context, timeout, deliver);
    pool->waiting--;
    return status;
}

rp_status rpi_wait(rp_pool *pool, bool (*ready)(rp_pool *pool, const void *context),
                   const void *context, double timeout)
{
    return wait_counted(pool, ready, context, timeout, true);
}

rp_status rpi_wait_quietly(rp_pool *pool, bool (*ready)(rp_pool *pool, const void *context),
                           const void *context)
{
    return wait_counted(pool, ready, context, RP_FOREVER, false);
}

bool rpi_wait_at_rest(rp_pool *pool, const void *unused)
{
    (void)unused;
    return pool->master.unsettled == 0 && pool->master.called.ids.count == 0 && !pool->delivering &&
           rpi_journaling_at_rest(pool);
}
