#include "pool/callbacks.h"

#include "base/status.h"
#include "pool/pool.h"

static _Thread_local bool in_callback;

bool rpi_callbacks_inside(void)
{
    return in_callback;
}

void rpi_callbacks_leave(void)
{
    in_callback = false;
}

rp_status rpi_callbacks_may_wait(const char *function)
{
    return in_callback
               ? rpi_error(RP_ERR_CONTEXT, "%s waits: an on_done function may not", function)
               : RP_OK;
}

static void call_on_done(rp_pool *pool, uint64_t id)
{
    struct rpi_master *master = &pool->master;
    struct rpi_future *future = rpi_future_of(&master->futures, id);
    struct rpi_options options = *rpi_options_at(&master->options, future->options);
    rp_outcome outcome = RP_OUTCOME_INIT;
    rpi_master_outcome(master, future, &outcome);
    rpi_pool_leave(pool);
    in_callback = true;
    options.on_done(pool, (rp_future){ id }, &outcome, options.user);
    in_callback = false;
    rpi_pool_come_back(pool, "an on_done function");
    rpi_master_forget_options(master, future); /* until now they kept it from being freed */
    if (future->flags & RPI_FUTURE_RELEASED)
        rpi_master_release(master, id, future);
}

void rpi_callbacks_deliver(rp_pool *pool)
{
    if (pool->delivering || in_callback)
        return;
    pool->delivering = true;
    while (pool->master.called.ids.count) {
        pool->master.called.due--;
        call_on_done(pool, rpi_idqueue_pop(&pool->master.called.ids));
        pool->turns++;
    }
    pool->delivering = false;
}
